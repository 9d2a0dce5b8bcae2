//! What an error of a vendor's means for us: whether waiting helps, whether it may be billed, whose
//! fault it is. The decision is a table; the first row that fits decides. A vendor's code goes before
//! its status, because vendors say "no money left" with the status of "not so fast", and errors come
//! under a status of 200. What a body has beside a code (a page of HTML, half an object, nothing at
//! all) decides nothing: then the status does.

mod table;

use std::ops::RangeInclusive;

use greenroom_actors::domain::event::{FailureKind, ModelFailure};

use crate::net::Broken;

use super::Said;

use table::TABLE;

/// A row: for which statuses and which words, what it is.
#[derive(Debug)]
pub(crate) struct Row {
    /// From the first to the last; 200 is an error amid an answer.
    status: RangeInclusive<u16>,
    /// Of these one must have been said; none fits whatever was said.
    words: &'static [&'static str],
    pub(crate) kind: FailureKind,
    /// Whether the same call may succeed later.
    pub(crate) retryable: bool,
    /// Whether the vendor certainly did no billable work.
    pub(crate) unbilled: bool,
}

/// What an answer with this status means, in the vendor's words where it had any.
pub(crate) fn of_status(status: u16, said: Option<&Said>) -> &'static Row {
    // The last row fits everything.
    decide(TABLE.iter(), status, said).unwrap_or(&TABLE[TABLE.len() - 1])
}

/// The first of these rows that fits.
fn decide<'a>(
    mut rows: impl Iterator<Item = &'a Row>,
    status: u16,
    said: Option<&Said>,
) -> Option<&'a Row> {
    let code = said.map(|said| said.code.to_ascii_lowercase().replace('-', "_"));
    let code = code.unwrap_or_default();
    let message = said.map(|said| said.message.to_ascii_lowercase()).unwrap_or_default();
    rows.find(|row| {
        let is_said = |word: &&str| is_said(word, &code, &message);
        row.status.contains(&status) && (row.words.is_empty() || row.words.iter().any(is_said))
    })
}

/// A word stands anywhere in the code, for vendors put more around it. A number is one whole word of
/// the code: some vendors' codes are the status that they could not send any more. Several words are a
/// sentence of the message; only such as no user's text would bring there by chance.
fn is_said(word: &str, code: &str, message: &str) -> bool {
    if word.contains(' ') {
        message.contains(word)
    } else if word.bytes().all(|byte| byte.is_ascii_digit()) {
        code.split(' ').any(|said| said == word)
    } else {
        code.contains(word)
    }
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
        Broken::Forbidden { .. } => {
            ModelFailure::new(FailureKind::BadRequest, message, false).unbilled()
        }
        Broken::TooLarge { .. } | Broken::NotText => {
            ModelFailure::new(FailureKind::Malformed, message, false)
        }
    }
}

#[cfg(test)]
mod tests;
