//! Errors in the vendor's words: an object, the same within a list, or within a stream. What it means
//! stands in the details: why a key was refused, which quota is used up, how long to wait.

use std::borrow::Cow;

use greenroom_actors::domain::ids::Timestamp;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::net::until_ms;

use super::super::Said;

#[derive(Deserialize)]
struct Outer<'a> {
    #[serde(borrow, default)]
    error: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Error<'a> {
    #[serde(default)]
    code: Option<i64>,
    #[serde(borrow, default)]
    message: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    status: Option<Cow<'a, str>>,
    /// Read one by one: what one of them may hold is open.
    #[serde(borrow, default)]
    details: Option<Vec<&'a RawValue>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Detail<'a> {
    #[serde(borrow, default)]
    reason: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    retry_delay: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    violations: Option<Vec<Violation<'a>>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Violation<'a> {
    #[serde(borrow, default)]
    quota_id: Option<Cow<'a, str>>,
}

/// The error in the body of an answer, if there is one.
pub(super) fn in_body(body: &[u8]) -> Option<Said> {
    in_text(std::str::from_utf8(body).ok()?)
}

/// The error in an object or a list that may hold one.
pub(super) fn in_text(json: &str) -> Option<Said> {
    if json.trim_start().starts_with('[') {
        let list: Vec<&RawValue> = serde_json::from_str(json).ok()?;
        return list.into_iter().find_map(|one| in_text(one.get()));
    }
    let outer: Outer<'_> = serde_json::from_str(json).ok()?;
    let error = outer.error.filter(|error| error.get() != "null")?;
    Some(serde_json::from_str(error.get()).map_or_else(|_| of_text(error.get()), of_error))
}

/// An error that is a mere sentence, or nothing that is known.
fn of_text(raw: &str) -> Said {
    let message = serde_json::from_str(raw).unwrap_or_default();
    Said { code: "error".to_owned(), message, retry_after_ms: None }
}

fn of_error(error: Error<'_>) -> Said {
    let mut said =
        Said { message: error.message.unwrap_or_default().into_owned(), ..Said::default() };
    let details = error.details.unwrap_or_default();
    let mut words: Vec<String> = Vec::new();
    for detail in &details {
        let Ok(detail) = serde_json::from_str::<Detail<'_>>(detail.get()) else { continue };
        words.extend(detail.reason.map(Cow::into_owned));
        let quotas = detail.violations.into_iter().flatten();
        words.extend(quotas.filter_map(|quota| quota.quota_id).map(Cow::into_owned));
        let wait = detail.retry_delay.and_then(|wait| until_ms(&wait, Timestamp::default()));
        said.retry_after_ms = wait.or(said.retry_after_ms);
    }
    // A quota of a day outlasts one of a minute.
    words.sort_by_key(|word| !word.to_ascii_lowercase().contains("perday"));
    words.extend(error.status.map(Cow::into_owned));
    if words.iter().any(|word| word == "UNAUTHENTICATED") {
        words.push("unauthorized".to_owned());
    }
    if words.is_empty() {
        words.extend(error.code.map(|code| code.to_string()));
    }
    words.dedup();
    said.code = words.join(" ");
    said
}
