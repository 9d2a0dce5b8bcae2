//! Errors in the vendor's words, in all the shapes in which they come: a body of its own, an event, a
//! failed answer; the error as an object, flat, or as a mere sentence.

use std::borrow::Cow;

use greenroom_actors::domain::ids::Timestamp;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::net::until_ms;

use super::super::Said;

/// Every place where a word may stand.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Words<'a> {
    #[serde(borrow)]
    error: Option<&'a RawValue>,
    #[serde(borrow)]
    code: Option<&'a RawValue>,
    #[serde(borrow, rename = "type")]
    kind: Option<&'a RawValue>,
    #[serde(borrow)]
    message: Option<&'a RawValue>,
    #[serde(borrow)]
    detail: Option<&'a RawValue>,
}

/// Sentences by which vendors without a code of their own for it say what they mean.
const SENTENCES: [(&str, &str); 3] = [
    ("incorrect api key", "invalid_api_key"),
    ("available credits", "insufficient_credits"),
    ("spending limit", "spend_limit"),
];

/// The error in the body of an answer, if there is one.
pub(super) fn in_body(body: &[u8]) -> Option<Said> {
    in_text(std::str::from_utf8(body).ok()?)
}

/// The error in an object that may hold one.
pub(super) fn in_text(json: &str) -> Option<Said> {
    let outer: Words<'_> = serde_json::from_str(json).ok()?;
    let error = outer.error.filter(|error| error.get() != "null");
    let inner: Words<'_> =
        error.and_then(|error| serde_json::from_str(error.get()).ok()).unwrap_or_default();
    let message = word(inner.message)
        .or_else(|| word(error))
        .or_else(|| word(outer.message))
        .or_else(|| word(outer.detail))
        .unwrap_or_default();
    let mut code = String::new();
    let lower = message.to_ascii_lowercase();
    let meant = SENTENCES.iter().find(|(sentence, _)| lower.contains(sentence));
    let meant = meant.map(|(_, code)| Cow::Borrowed(*code));
    for word in [meant, word(inner.code), word(inner.kind), word(outer.code)].into_iter().flatten()
    {
        if !word.is_empty() && !code.split(' ').any(|known| known == word) {
            if !code.is_empty() {
                code.push(' ');
            }
            code.push_str(&word);
        }
    }
    if code.is_empty() && message.is_empty() {
        return None;
    }
    let retry_after_ms = asked_wait(&lower);
    Some(Said { code, message: message.into_owned(), retry_after_ms })
}

/// A word where there is one: text, or a number in its place.
fn word(raw: Option<&RawValue>) -> Option<Cow<'_, str>> {
    let raw = raw?.get();
    if raw.starts_with('"') {
        return serde_json::from_str::<String>(raw).ok().map(Cow::Owned);
    }
    raw.starts_with(|first: char| first.is_ascii_digit()).then_some(Cow::Borrowed(raw))
}

/// Amid a stream no header says how long to wait, only the sentence does.
fn asked_wait(message: &str) -> Option<u64> {
    let (_, rest) = message.split_once("try again in ")?;
    let wait = rest.split_whitespace().next()?.trim_end_matches(['.', ',']);
    until_ms(wait, Timestamp::default())
}
