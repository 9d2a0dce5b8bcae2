//! What is a secret by its name. It guesses, and so serves log lines and errors alone; see above.

use std::{borrow::Cow, ops::Range, sync::LazyLock};

use aho_corasick::AhoCorasick;

use super::MASK;

/// Names of what is a secret, in any case.
const NAMES: [&str; 26] = [
    "authorization",
    "x-api-key",
    "x-goog-api-key",
    "api-key",
    "api_key",
    "apikey",
    "password",
    "passwd",
    "passphrase",
    "secret",
    "client_secret",
    "client-secret",
    "secret_key",
    "secret_access_key",
    "private_key",
    "access_token",
    "access-token",
    "accesstoken",
    "refresh_token",
    "id_token",
    "auth_token",
    "auth-token",
    "session_token",
    "security-token",
    "cookie",
    "?key",
];
/// One that is no word of its own: a scheme, and the secret behind a blank.
const BEARER: &str = "bearer ";
/// Before whom an address may carry a password.
const USER: &str = "://";
/// Shortest word behind `Bearer` that is a token and not one of a sentence.
const TOKEN_BYTES_MIN: usize = 16;

static FINDER: LazyLock<Option<AhoCorasick>> = LazyLock::new(|| {
    let names = NAMES.into_iter().chain(["&key", BEARER, USER]);
    AhoCorasick::builder().ascii_case_insensitive(true).build(names).ok()
});

/// A text without what is called a secret in it.
#[must_use]
pub fn by_name(text: &str) -> Cow<'_, str> {
    let Some(finder) = FINDER.as_ref() else { return Cow::Borrowed(text) };
    let (mut clean, mut at) = (String::new(), 0);
    for found in finder.find_overlapping_iter(text) {
        if found.start() < at {
            continue;
        }
        let Some(secret) = secret(text, found.range()) else { continue };
        clean.push_str(text.get(at..secret.start).unwrap_or_default());
        clean.push_str(MASK);
        at = secret.end;
    }
    if at == 0 {
        return Cow::Borrowed(text);
    }
    clean.push_str(text.get(at..).unwrap_or_default());
    Cow::Owned(clean)
}

/// What the name that was found there is the name of.
fn secret(text: &str, name: Range<usize>) -> Option<Range<usize>> {
    let (word, after) = (text.get(name.clone())?, text.get(name.end..)?);
    if word == USER {
        let authority = after.split(['/', '?', '#', ' ', '"', '\'', '\n']).next()?;
        let (user, _host) = authority.rsplit_once('@')?;
        let from = user.find(':').map_or(0, |colon| colon + 1);
        return masked(text, name.end + from..name.end + user.len());
    }
    if word.eq_ignore_ascii_case(BEARER) {
        let length = after.find(is_end).unwrap_or(after.len());
        let token = name.end..name.end + length;
        return masked(text, token).filter(|token| token.len() >= TOKEN_BYTES_MIN);
    }
    // `max_api_key` is one, `apikeyed` is none, and what ends in another word is told by that.
    let value = after.trim_start_matches(['\\', '"', '\'', ']', ' ']);
    let value = value.strip_prefix("=>").or_else(|| value.strip_prefix([':', '=']))?;
    let value = value.trim_start_matches(' ');
    let bare = value.trim_start_matches(['\\', '"', '\'', 'b']);
    let is_quoted = value.starts_with(['\\', '"', '\'']);
    let value = if is_quoted { bare } else { value };
    let header = word.eq_ignore_ascii_case("authorization") || word.eq_ignore_ascii_case("cookie");
    let length = match (is_quoted, header) {
        (true, _) => value.find(['\\', '"', '\'', '\n']),
        // A header goes on to the end of its line: its scheme, its parameters.
        (false, true) => value.find(['\n', '\r', '"', '\'', '}']),
        (false, false) => value.find(is_end),
    };
    let from = text.len() - value.len();
    masked(text, from..from + length.unwrap_or(value.len()))
}

fn is_end(c: char) -> bool {
    c.is_whitespace() || matches!(c, ',' | ';' | '&' | '"' | '\'' | ')' | '}' | ']' | '<' | '>')
}

/// Where something is and is not masked already.
fn masked(text: &str, place: Range<usize>) -> Option<Range<usize>> {
    let found = text.get(place.clone())?;
    (!found.is_empty() && !found.starts_with("[redacted") && found != "None").then_some(place)
}
