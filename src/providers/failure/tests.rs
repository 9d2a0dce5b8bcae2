//! The table of decisions, row by row and status by status.

use std::sync::Arc;

use greenroom_actors::domain::{
    event::FailureKind::{
        self, Auth, BadRequest, Malformed, Overloaded, Quota, RateLimited, TimedOut,
    },
    ids::ProviderName,
};

use crate::{
    clock::SystemClock,
    net::{Net, Patience},
};

use super::{
    super::{
        Key, Options, Trouble, Vendor, Wire,
        anthropic::Anthropic,
        ollama::Ollama,
        openai_chat::{OpenAiChat, Quirks},
    },
    *,
};

/// What is decided: kind, whether to ask again, whether it was certainly not billed.
type Decided = (FailureKind, bool, bool);

fn decided(row: &Row) -> Decided {
    (row.kind, row.retryable, row.unbilled)
}

fn said(code: &str, message: &str) -> Said {
    Said { code: code.to_owned(), message: message.to_owned(), retry_after_ms: None }
}

/// For each row of the table, in its order, an answer that it decides: status, code, message.
const ROWS: &[(u16, &str, &str, Decided)] = &[
    (200, "insufficient_quota", "", (Quota, false, false)),
    (429, "enforced_spend_limit_reached rate_limit_error", "", (Quota, false, true)),
    (200, "rate_limit_error", "", (RateLimited, true, false)),
    (200, "overloaded_error invalid_request", "", (Overloaded, true, false)),
    (200, "API_KEY_INVALID", "", (Auth, false, false)),
    (200, "permission_error", "", (Auth, false, false)),
    (200, "408", "", (TimedOut, true, false)),
    (200, "context_length_exceeded", "", (BadRequest, false, false)),
    (200, "api_error", "429 in words", (Overloaded, true, false)),
    (302, "", "", (BadRequest, false, true)),
    (400, "invalid-argument", "Incorrect API key provided.", (Auth, false, true)),
    (403, "rate_limit_exceeded", "", (RateLimited, true, true)),
    (401, "", "", (Auth, false, true)),
    (402, "", "", (Quota, false, true)),
    (403, "content_policy_violation", "", (BadRequest, false, true)),
    (403, "", "", (Auth, false, true)),
    (407, "", "", (Auth, false, true)),
    (408, "", "", (TimedOut, true, false)),
    (409, "", "", (Overloaded, true, true)),
    (425, "", "", (Overloaded, true, true)),
    (429, "", "", (RateLimited, true, true)),
    (498, "capacity_exceeded", "", (Overloaded, true, true)),
    (413, "rate_limit_exceeded", "", (BadRequest, false, true)),
    (501, "", "", (BadRequest, false, true)),
    (504, "", "", (TimedOut, true, false)),
    (524, "", "", (TimedOut, true, false)),
    (529, "", "", (Overloaded, true, true)),
    (503, "overloaded_error", "", (Overloaded, true, true)),
    (500, "api_error", "", (Overloaded, true, false)),
    (999, "", "", (Malformed, false, false)),
];

#[test]
fn every_row_decides_something_that_no_other_would() {
    assert_eq!(ROWS.len(), TABLE.len());
    for (at, (status, code, message, expected)) in ROWS.iter().enumerate() {
        let said = said(code, message);
        let row = of_status(*status, Some(&said));
        assert!(std::ptr::eq(row, &TABLE[at]), "{status} {code:?} is decided by {row:?}");
        assert_eq!(decided(row), *expected, "{status} {code:?}");
        let others = TABLE.iter().enumerate().filter(|(other, _)| *other != at);
        let without = decide(others.map(|(_, row)| row), *status, Some(&said)).map(decided);
        assert_ne!(without, Some(*expected), "row {at} could be left out");
    }
}

#[test]
fn every_word_of_a_row_finds_it() {
    for row in TABLE {
        for word in row.words {
            let said = said(&format!("x {word}"), word);
            let found =
                row.status.clone().any(|status| std::ptr::eq(of_status(status, Some(&said)), row));
            assert!(found, "{word:?} never leads to {row:?}");
        }
    }
}

#[test]
fn a_word_is_looked_for_where_vendors_put_it() {
    let kind = |code, message| of_status(200, Some(&said(code, message))).kind;
    assert_eq!(kind("Service-Unavailable", ""), Overloaded);
    assert_eq!(kind("x 402", ""), Quota);
    assert_eq!(kind("14021", ""), Overloaded);
    assert_eq!(kind("", "insufficient_quota"), Overloaded);
    assert_eq!(kind("", "Your credit balance is too low to go on"), Quota);
    assert_eq!(kind("credit balance is too low", ""), Overloaded);
}

#[test]
fn an_empty_account_is_known_in_the_words_of_each_vendor() {
    let wire: Arc<dyn Wire> = Arc::new(OpenAiChat::new("own", Quirks::COMPATIBLE));
    let vendor = vendor(wire);
    let moonshot = r#"{"error":{"message":"no funds","type":"exceeded_current_quota_error"}}"#;
    let zai = ["1113", "1304", "1308", "1309", "1310"]
        .map(|code| format!(r#"{{"error":{{"code":"{code}","message":"recharge"}}}}"#));
    for body in zai.iter().map(String::as_str).chain([moonshot]) {
        let failed = failed(&vendor, 429, body);
        assert_eq!((failed.kind, failed.retryable), (Quota, false), "{body}");
    }
    // Too many at once, and too often.
    for code in ["1302", "1303", "1305"] {
        let body = format!(r#"{{"error":{{"code":"{code}","message":"slower"}}}}"#);
        let failed = failed(&vendor, 429, &body);
        assert_eq!((failed.kind, failed.retryable), (RateLimited, true), "{code}");
    }
}

/// What each status is with a body that says nothing: a page, nothing, half an object.
const STATUSES: [(u16, Decided); 13] = [
    (400, (BadRequest, false, true)),
    (401, (Auth, false, true)),
    (403, (Auth, false, true)),
    (404, (BadRequest, false, true)),
    (408, (TimedOut, true, false)),
    (409, (Overloaded, true, true)),
    (413, (BadRequest, false, true)),
    (429, (RateLimited, true, true)),
    (500, (Overloaded, true, false)),
    (502, (Overloaded, true, false)),
    (503, (Overloaded, true, false)),
    (504, (TimedOut, true, false)),
    (529, (Overloaded, true, true)),
];

/// The vendor's own word under a status, and what it then is.
const WORDS: [(u16, &str, Decided); 13] = [
    (400, "invalid_request_error", (BadRequest, false, true)),
    (401, "authentication_error", (Auth, false, true)),
    (403, "permission_error", (Auth, false, true)),
    (404, "not_found_error", (BadRequest, false, true)),
    (408, "timeout_error", (TimedOut, true, false)),
    (409, "conflict_error", (Overloaded, true, true)),
    (413, "request_too_large", (BadRequest, false, true)),
    (429, "rate_limit_error", (RateLimited, true, true)),
    (500, "api_error", (Overloaded, true, false)),
    (502, "api_error", (Overloaded, true, false)),
    (503, "overloaded_error", (Overloaded, true, true)),
    (504, "timeout_error", (TimedOut, true, false)),
    (529, "overloaded_error", (Overloaded, true, true)),
];

fn vendor(wire: Arc<dyn Wire>) -> Vendor {
    let net = Net::new(Arc::new(SystemClock), Patience::default(), None).unwrap();
    let options = Options {
        name: ProviderName("shop".to_owned()),
        base_url: "http://localhost:1".to_owned(),
        key: Key::None,
        headers: Vec::new(),
        stream: true,
    };
    Vendor::new(net, wire, options).unwrap()
}

/// The failure that a person and the gate get for a status with this body.
fn failed(vendor: &Vendor, status: u16, body: &str) -> ModelFailure {
    let said = match vendor.wire.trouble(body.as_bytes()) {
        Some(Trouble::Said(said)) => Some(said),
        Some(Trouble::Malformed(_)) | None => None,
    };
    vendor.failed(status, said.as_ref())
}

#[test]
fn every_status_is_decided_whatever_the_body() {
    let wires: [Arc<dyn Wire>; 2] = [Arc::new(Anthropic::new(true)), Arc::new(Ollama::new())];
    for vendor in wires.map(vendor) {
        let json = |word: &str| {
            format!(r#"{{"type":"error","error":{{"type":"{word}","message":"Why not"}}}}"#)
        };
        for ((status, silent), (_, word, expected)) in STATUSES.into_iter().zip(WORDS) {
            let whole = json(word);
            let half = whole.get(..whole.len() / 2).unwrap();
            for body in ["<html><h1>Sorry</h1></html>", "", half] {
                let failed = failed(&vendor, status, body);
                assert_eq!((failed.kind, failed.retryable, failed.unbilled), silent, "{status}");
                assert!(
                    failed.message.starts_with(&format!("shop answered {status}")),
                    "{failed:?}"
                );
                assert!(!failed.message.contains("html"), "{failed:?}");
            }
            let failed = failed(&vendor, status, &whole);
            let got = (failed.kind, failed.retryable, failed.unbilled);
            assert_eq!(got, expected, "{status} {word}");
            assert!(failed.message.contains(&format!("{word}: Why not")), "{failed:?}");
        }
    }
}
