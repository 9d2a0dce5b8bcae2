//! What an error of a vendor's means for us: whether waiting helps, whether it may be billed, whose
//! fault it is. The decision is a table; the first row that fits decides. A vendor's code goes before
//! its status, because vendors say "no money left" with the status of "not so fast", and errors come
//! under a status of 200.

use greenroom_actors::domain::event::{FailureKind, ModelFailure};

use crate::net::Broken;

use super::Said;

/// A row: for which statuses and which codes, what it is.
pub(crate) struct Row {
    /// First and last status; 200 is an error in the middle of an answer.
    pub(crate) status: (u16, u16),
    /// Words of which one is in the code or the message, in small letters; none fits any.
    pub(crate) words: &'static [&'static str],
    pub(crate) kind: FailureKind,
    /// Whether the same call may succeed later.
    pub(crate) retryable: bool,
    /// Whether the vendor certainly did no billable work.
    pub(crate) unbilled: bool,
}

const ANY: (u16, u16) = (0, 999);

const fn row(
    status: (u16, u16),
    words: &'static [&'static str],
    kind: FailureKind,
    (retryable, unbilled): (bool, bool),
) -> Row {
    Row { status, words, kind, retryable, unbilled }
}

/// What was certainly not begun, and helps nobody to ask again.
const REFUSED: (bool, bool) = (false, true);
/// What was certainly not begun, and may go better later.
const LATER: (bool, bool) = (true, true);
/// What may have been billed, and may go better later.
const BROKEN: (bool, bool) = (true, false);
/// What may have been billed, and helps nobody to ask again.
const SPENT: (bool, bool) = (false, false);

/// The decisions.
pub(crate) const TABLE: &[Row] = &[
    // Words that outrank a status. Within an answer (200) something was done before.
    row((200, 299), &QUOTA, FailureKind::Quota, SPENT),
    row(ANY, &QUOTA, FailureKind::Quota, REFUSED),
    row((400, 499), &KEY, FailureKind::Auth, REFUSED),
    row((400, 400), &["rate_limit"], FailureKind::RateLimited, LATER),
    // Errors in the middle of an answer: only the vendor's word tells them apart.
    row((200, 299), &["overloaded", "unavailable", "capacity"], FailureKind::Overloaded, BROKEN),
    row((200, 299), &["rate_limit", "resource_exhausted", "429"], FailureKind::RateLimited, BROKEN),
    row((200, 299), &["authentication", "permission", "unauthorized"], FailureKind::Auth, SPENT),
    row((200, 299), &["timeout", "deadline_exceeded"], FailureKind::TimedOut, BROKEN),
    row(
        (200, 299),
        &[
            "invalid_request",
            "not_found",
            "context_length",
            "too_large",
            "invalid_argument",
            "content_policy",
            "invalid_prompt",
            "bad_request",
        ],
        FailureKind::BadRequest,
        SPENT,
    ),
    row((200, 299), &[], FailureKind::Overloaded, BROKEN),
    // A redirect is not followed: the credential would go along.
    row((300, 399), &[], FailureKind::BadRequest, REFUSED),
    row((401, 401), &[], FailureKind::Auth, REFUSED),
    row((402, 402), &[], FailureKind::Quota, REFUSED),
    row((403, 403), &[], FailureKind::Auth, REFUSED),
    row((407, 407), &[], FailureKind::Auth, REFUSED),
    row((408, 408), &[], FailureKind::TimedOut, BROKEN),
    row((409, 409), &[], FailureKind::Overloaded, LATER),
    row((425, 425), &[], FailureKind::Overloaded, LATER),
    row((429, 429), &[], FailureKind::RateLimited, LATER),
    row((400, 499), &[], FailureKind::BadRequest, REFUSED),
    row((501, 501), &[], FailureKind::BadRequest, REFUSED),
    row((503, 503), &[], FailureKind::Overloaded, LATER),
    row((504, 504), &[], FailureKind::TimedOut, BROKEN),
    row((529, 529), &[], FailureKind::Overloaded, LATER),
    row((500, 599), &[], FailureKind::Overloaded, BROKEN),
    row(ANY, &[], FailureKind::Malformed, SPENT),
];

const QUOTA: [&str; 7] = [
    "insufficient_quota",
    "insufficient_credits",
    "credit_balance",
    "billing",
    "spend_limit",
    "payment_required",
    "perday",
];
const KEY: [&str; 3] = ["api_key_invalid", "invalid_api_key", "authentication_error"];

/// What an answer with this status means, in the vendor's words where it had any.
pub(crate) fn of_status(status: u16, said: Option<&Said>) -> &'static Row {
    let code = said.map(|said| said.code.to_ascii_lowercase()).unwrap_or_default();
    let fits = |row: &&Row| {
        (row.status.0..=row.status.1).contains(&status)
            && (row.words.is_empty() || row.words.iter().any(|word| code.contains(word)))
    };
    // The last row fits everything.
    TABLE.iter().find(fits).unwrap_or(&TABLE[TABLE.len() - 1])
}

/// A connection that did not come about, broke or fell silent.
pub(crate) fn of_broken(broken: &Broken) -> ModelFailure {
    let message = broken.to_string();
    match broken {
        // Nothing was sent.
        Broken::Unreachable { .. } => {
            ModelFailure::new(FailureKind::Transport, message, true).unbilled()
        }
        Broken::ConnectTimedOut { .. } => {
            ModelFailure::new(FailureKind::TimedOut, message, true).unbilled()
        }
        Broken::SilentAtFirst { .. } | Broken::SilentAmid { .. } => {
            ModelFailure::new(FailureKind::TimedOut, message, true)
        }
        Broken::NoAnswer { .. } | Broken::Cut { .. } => {
            ModelFailure::new(FailureKind::Transport, message, true)
        }
        Broken::TooLarge { .. } | Broken::NotText => {
            ModelFailure::new(FailureKind::Malformed, message, false)
        }
    }
}
