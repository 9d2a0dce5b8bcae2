//! Errors, in all the shapes that compatible servers give them: `{error: {message, type, code}}`,
//! `{error: "…"}`, `{message, type, code}`, `{detail: …}`, and lists of these.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::super::Said;

/// How deep an error may lie in others.
const DEPTH: u8 = 6;

#[derive(Deserialize)]
struct Problem<'a> {
    #[serde(borrow)]
    error: Option<&'a RawValue>,
    #[serde(borrow)]
    errors: Option<&'a RawValue>,
    #[serde(borrow)]
    message: Option<&'a RawValue>,
    #[serde(borrow)]
    detail: Option<&'a RawValue>,
    #[serde(borrow)]
    msg: Option<&'a RawValue>,
    #[serde(borrow)]
    code: Option<&'a RawValue>,
    #[serde(borrow, rename = "type")]
    kind: Option<&'a RawValue>,
    #[serde(borrow)]
    status: Option<&'a RawValue>,
    #[serde(borrow)]
    metadata: Option<&'a RawValue>,
}

/// What OpenRouter adds: the words of the vendor behind it.
#[derive(Deserialize)]
struct Metadata<'a> {
    #[serde(borrow)]
    raw: Option<&'a RawValue>,
}

/// What the text says of an error, if it is one.
pub(super) fn said(text: &str) -> Option<Said> {
    let said = within(text, DEPTH)?;
    (!said.code.is_empty() || !said.message.is_empty()).then_some(said)
}

fn within(text: &str, depth: u8) -> Option<Said> {
    let text = text.trim();
    let depth = depth.checked_sub(1)?;
    if text.starts_with('"') {
        let message = serde_json::from_str(text).ok()?;
        return Some(Said { message, ..Said::default() });
    }
    if text.starts_with('[') {
        let all: Vec<&RawValue> = serde_json::from_str(text).ok()?;
        return within(all.first()?.get(), depth);
    }
    let problem: Problem<'_> = serde_json::from_str(text).ok()?;
    let inner = [problem.error, problem.errors, problem.message, problem.detail, problem.msg];
    let inner = inner.into_iter().flatten().filter(|raw| raw.get() != "null");
    let mut said = inner.into_iter().find_map(|raw| within(raw.get(), depth)).unwrap_or_default();
    for raw in [problem.code, problem.kind, problem.status].into_iter().flatten() {
        for word in words(raw.get()) {
            if !said.code.split(' ').any(|known| known == word) {
                said.code = format!("{} {word}", said.code).trim_start().to_owned();
            }
        }
    }
    let metadata = problem.metadata.and_then(|raw| serde_json::from_str(raw.get()).ok());
    if let Some(Metadata { raw: Some(raw) }) = metadata
        && let Some(behind) = within(raw.get(), depth)
        && !behind.message.is_empty()
    {
        said.message = format!("{}: {}", said.message, behind.message);
    }
    Some(said)
}

/// A code as words; a number is a status of HTTP's, and gets the word by which errors are told apart.
fn words(raw: &str) -> Vec<String> {
    let text: String = match raw {
        "null" => return vec![],
        text if text.starts_with('"') => serde_json::from_str(text).unwrap_or_default(),
        other => other.to_owned(),
    };
    let word = match text.as_str() {
        "400" | "422" => "invalid_request",
        "401" => "unauthorized",
        "402" => "payment_required",
        "403" => "permission",
        "404" => "not_found",
        "408" | "504" | "524" => "timeout",
        "413" => "too_large",
        "429" => "rate_limit",
        "502" | "503" | "529" => "unavailable",
        _other => "",
    };
    let words = [text.as_str(), word].map(|word| word.trim().replace(' ', "_"));
    words.into_iter().filter(|word| !word.is_empty()).collect()
}
