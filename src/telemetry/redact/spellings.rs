//! How one secret may be written: itself, and what encoders make of it. Upper and lower case are the
//! same for whoever looks for them, so one of each is enough here.
//!
//! Not found are mixtures that no encoder makes (one letter of many as `%41`), dumps whose lines have
//! more than the bytes, and one encoding over another but JSON in JSON. What stands between pieces of a
//! spelling, lines and colours, is for `joined`.

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
    let mut all = BTreeSet::from([
        secret.to_owned(),
        secret.escape_debug().to_string(),
        units(secret, |_| true),
        units(secret, |c| !c.is_ascii()),
        // As a version control system names a file, a mail, and a language without letters beyond.
        escaped(secret, "\\", |byte| format!("{byte:03o}")),
        escaped(&secret.replace('=', "=3d"), "=", |byte| format!("{byte:02x}")),
        escaped(secret, "\\x", |byte| format!("{byte:02x}")),
        secret.chars().rev().collect(),
        // Letters of other alphabets; of ASCII's both cases are the same to whoever looks.
        secret.to_uppercase(),
        secret.to_lowercase(),
        utf8_percent_encode(secret, UNRESERVED).to_string().replace("%20", "+"),
    ]);
    for left in [NON_ALPHANUMERIC, UNRESERVED, COMPONENT, ADDRESS] {
        all.insert(utf8_percent_encode(secret, left).to_string());
    }
    all.extend(json(secret));
    all.extend(markup(secret));
    all.extend(numbers(secret));
    for before in 0..3 {
        let core = base64(secret, before);
        all.insert(core.replace('+', "-").replace('/', "_"));
        all.insert(core);
    }
    for before in 0..5 {
        all.extend(BASE32.map(|alphabet| base32(secret, before, alphabet)));
    }
    all
}

/// In quotes, as those write it who escape as little as they must, what a page of HTML could read, what
/// is not ASCII, or a slash; and each in quotes once more, as an error in an error.
fn json(secret: &str) -> impl Iterator<Item = String> {
    let quoted = serde_json::Value::from(secret).to_string();
    let plain = quoted.trim_matches('"').to_owned();
    let pages = ["", "<>&", "<>&='", "<>&'\""];
    let escapes = move |(of_pages, ascii, slash): (&str, bool, bool)| {
        // A quote is escaped by number or by a backslash, not by both.
        let text = if of_pages.contains('"') { plain.replace("\\\"", "\"") } else { plain.clone() };
        let text = if slash { text.replace('/', "\\/") } else { text };
        units(&text, |c| of_pages.contains(c) || (ascii && !c.is_ascii()))
    };
    let ways = pages.into_iter().flat_map(|page| {
        [(page, false, false), (page, true, false), (page, false, true), (page, true, true)]
    });
    ways.map(escapes).flat_map(|text| [text.replace('\\', "\\\\").replace('"', "\\\""), text])
}

/// In a page: brackets and ampersands always, and of the rest whatever each language escapes and how.
fn markup(secret: &str) -> BTreeSet<String> {
    let basic = secret.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    let others: [(char, &[&str]); 5] = [
        ('"', &["&quot;", "&#34;", "&#x22;"]),
        ('\'', &["&#39;", "&#039;", "&#x27;", "&apos;"]),
        ('/', &["&#x2f;", "&#47;"]),
        ('+', &["&#43;", "&#x2b;"]),
        ('=', &["&#x3d;", "&#61;"]),
    ];
    let mut all = BTreeSet::from([basic]);
    for (c, names) in others {
        let named = |text: &String| names.iter().map(|name| text.replace(c, name)).collect();
        let more: Vec<String> =
            all.iter().flat_map(|text| -> Vec<String> { named(text) }).collect();
        all.extend(more);
    }
    all.extend(all.clone().iter().map(|text| text.replace('`', "&#x60;")));
    let decimal = |c: char| format!("&#{};", u32::from(c));
    let hex = |c: char| format!("&#x{:x};", u32::from(c));
    let beyond = |c: char| if c.is_ascii() { c.to_string() } else { decimal(c) };
    all.extend(all.clone().iter().map(|text| text.chars().map(beyond).collect()));
    all.extend([secret.chars().map(decimal).collect(), secret.chars().map(hex).collect()]);
    all
}

/// Its bytes as numbers, with what stands between them: dumps, keys' fingerprints, lists of a program.
fn numbers(secret: &str) -> impl Iterator<Item = String> {
    let hex: Vec<String> = secret.bytes().map(|byte| format!("{byte:02x}")).collect();
    let decimal: Vec<String> = secret.bytes().map(|byte| byte.to_string()).collect();
    let between = ["", " ", ":", "-", ", ", ",", "%", "\\x", ", 0x", ",0x", " 0x"];
    let hex_lists = between.map(|between| {
        let begin = between.trim_start_matches([',', ' ', ':', '-']);
        format!("{begin}{}", hex.join(between))
    });
    let decimal_lists = [", ", ",", " "].map(|between| decimal.join(between));
    // Two and two, as some dumps have them, from the first byte or the second.
    let pairs = |from: usize| {
        let (alone, rest) = hex.split_at(from.min(hex.len()));
        let rest: Vec<String> = rest.chunks(2).map(<[String]>::concat).collect();
        let all: Vec<String> = alone.iter().cloned().chain(rest).collect();
        all.join(" ")
    };
    let pairs = [pairs(0), pairs(1)];
    hex_lists.into_iter().chain(decimal_lists).chain(pairs)
}

/// The usual letters, and those in the order of their values.
const BASE32: [&[u8; 32]; 2] =
    [b"abcdefghijklmnopqrstuvwxyz234567", b"0123456789abcdefghijklmnopqrstuv"];

/// What base32 has of it whatever stands around it, behind so many other bytes.
fn base32(secret: &str, before: usize, alphabet: &[u8; 32]) -> String {
    let mut text = String::new();
    let (mut bits, mut held) = (0, 0_u32);
    let bytes = std::iter::repeat_n(0, before).chain(secret.bytes());
    for byte in bytes {
        (bits, held) = (bits + 8, (held << 8 | u32::from(byte)) & 0xfff);
        while bits >= 5 {
            bits -= 5;
            text.push(char::from(alphabet[(held >> bits & 31) as usize]));
        }
    }
    text.get((before * 8).div_ceil(5)..).unwrap_or_default().to_owned()
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

/// Each byte that is not ASCII as a number, with something before it.
fn escaped(secret: &str, before: &str, number: impl Fn(u8) -> String) -> String {
    let mut text = String::new();
    for c in secret.chars() {
        if c.is_ascii() {
            text.push(c);
            continue;
        }
        for byte in c.encode_utf8(&mut [0; 4]).bytes() {
            text.push_str(before);
            text.push_str(&number(byte));
        }
    }
    text
}
