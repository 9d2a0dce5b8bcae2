//! How one secret may be written: itself, and what encoders make of it. Upper and lower case are the
//! same for whoever looks for them, so one of each is enough here.
//!
//! Not found are mixtures that no encoder makes (one letter of many as `%41`), base64 that is broken
//! into lines amid the secret, and one encoding over another.

use std::{collections::BTreeSet, fmt::Write as _};

use base64::{Engine as _, engine::general_purpose::STANDARD_NO_PAD};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::SECRET_BYTES_MIN;

/// Lines of a secret of several lines, such as a private key, that are one by themselves.
const LINE_BYTES_MIN: usize = 16;

/// What every encoder of addresses leaves alone.
const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
/// What browsers leave alone in a part of an address.
const COMPONENT: &AsciiSet =
    &UNRESERVED.remove(b'!').remove(b'\'').remove(b'(').remove(b')').remove(b'*');
/// What they leave alone in a whole address.
const ADDRESS: &AsciiSet = &COMPONENT
    .remove(b';')
    .remove(b',')
    .remove(b'/')
    .remove(b'?')
    .remove(b':')
    .remove(b'@')
    .remove(b'&')
    .remove(b'=')
    .remove(b'+')
    .remove(b'$')
    .remove(b'#');

/// What of a value is a secret by itself: all of it, without the blanks around it, and its long lines
/// where it has several.
pub(super) fn parts(value: &str) -> impl Iterator<Item = &str> {
    let whole = value.trim();
    let several = whole.contains('\n');
    let lines = whole
        .lines()
        .map(str::trim)
        .filter(move |line| several && line.len() >= LINE_BYTES_MIN && !line.starts_with("-----"));
    std::iter::once(whole).filter(|whole| whole.len() >= SECRET_BYTES_MIN).chain(lines)
}

/// Every spelling.
pub(super) fn all(secret: &str) -> BTreeSet<String> {
    let json = serde_json::Value::from(secret).to_string();
    let json = json.trim_matches('"').to_owned();
    let mut all = BTreeSet::from([
        secret.to_owned(),
        json.replace('/', "\\/"),
        // JSON in JSON, as an error in an error.
        json.replace('\\', "\\\\"),
        json,
        secret.escape_debug().to_string(),
        units(secret, |_| true),
        units(secret, |c| !c.is_ascii()),
        bytes(secret, ""),
        bytes(secret, "%"),
        bytes(secret, "\\x"),
        markup(secret),
        secret.chars().rev().collect(),
        // Letters of other alphabets; of ASCII's both cases are the same to whoever looks.
        secret.to_uppercase(),
        secret.to_lowercase(),
        utf8_percent_encode(secret, UNRESERVED).to_string().replace("%20", "+"),
    ]);
    for left in [NON_ALPHANUMERIC, UNRESERVED, COMPONENT, ADDRESS] {
        all.insert(utf8_percent_encode(secret, left).to_string());
    }
    for before in 0..3 {
        let core = base64(secret, before);
        all.insert(core.replace('+', "-").replace('/', "_"));
        all.insert(core);
    }
    all
}

/// What base64 has of it whatever stands around it, behind so many other bytes.
fn base64(secret: &str, before: usize) -> String {
    let mut bytes = vec![0; before];
    bytes.extend_from_slice(secret.as_bytes());
    let text = STANDARD_NO_PAD.encode(&bytes);
    let (from, to) = ((before * 8).div_ceil(6), bytes.len() * 8 / 6);
    text.get(from..to).unwrap_or_default().to_owned()
}

/// Each character that `is_escaped` as JSON's escape by number.
fn units(secret: &str, is_escaped: impl Fn(char) -> bool) -> String {
    let mut text = String::new();
    for c in secret.chars() {
        if !is_escaped(c) {
            text.push(c);
            continue;
        }
        for unit in c.encode_utf16(&mut [0; 2]) {
            // Writing to a text cannot fail.
            let _written = write!(text, "\\u{unit:04x}");
        }
    }
    text
}

/// Each byte as two digits with something before them.
fn bytes(secret: &str, before: &str) -> String {
    let mut text = String::new();
    for byte in secret.bytes() {
        // Writing to a text cannot fail.
        let _written = write!(text, "{before}{byte:02x}");
    }
    text
}

fn markup(secret: &str) -> String {
    let text = secret.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    text.replace('"', "&quot;").replace('\'', "&#39;")
}

/// How a terminal's command begins: itself, and as the tools show it so that no terminal obeys.
const COMMANDS: [&str; 4] = ["\u{1b}", "\u{241b}", "\\u{1b}", "\\u001b"];

/// Whether there is a command to a terminal in a text.
pub(super) fn has_commands(text: &str) -> bool {
    COMMANDS.iter().any(|begin| text.contains(begin))
}

/// What a terminal would show of a text, without the commands in it, and where each of its bytes
/// stands in the text.
pub(super) fn shown(text: &str) -> (String, Vec<usize>) {
    let (mut shown, mut at) = (String::new(), Vec::new());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        if let Some(after) = COMMANDS.iter().find_map(|begin| rest.strip_prefix(begin)) {
            rest = after_command(after);
            continue;
        }
        let place = text.len() - rest.len();
        shown.push(c);
        at.extend(place..place + c.len_utf8());
        rest = rest.get(c.len_utf8()..).unwrap_or_default();
    }
    (shown, at)
}

/// What stands behind a command, of which this is the text behind its first character.
fn after_command(text: &str) -> &str {
    let Some(parameters) = text.strip_prefix('[') else {
        let mut rest = text.chars();
        rest.next();
        return rest.as_str();
    };
    // Parameters, until a letter ends the command.
    let end = parameters.trim_start_matches(|c| matches!(c, ' '..='?'));
    end.strip_prefix(|c| matches!(c, '@'..='~')).unwrap_or(end)
}
