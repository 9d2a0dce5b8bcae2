//! What can go wrong inside a piece of work on a connection, and what its caller is told.

use greenroom_actors::{
    domain::{
        frame::LogId,
        ids::{Position, Token},
    },
    ports::{AppendError, JournalError},
};
use rusqlite::ErrorCode;

/// Why a piece of work was not done.
#[derive(Debug)]
pub(super) enum Trouble {
    /// Somebody else owns the log, or it has grown.
    Fenced { expected: Position, tail: Position, token: Token },
    /// What is stored is not what was written.
    Damaged { log: LogId, why: String },
    /// The request itself cannot be met.
    Refused(String),
    /// SQLite.
    Sqlite(rusqlite::Error),
}

impl From<rusqlite::Error> for Trouble {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

impl From<Trouble> for AppendError {
    fn from(trouble: Trouble) -> Self {
        match trouble {
            Trouble::Fenced { expected, tail, token } => Self::Fenced { expected, tail, token },
            Trouble::Damaged { log, why } => JournalError::Damaged { log, why }.into(),
            Trouble::Refused(why) => JournalError::Unavailable { why }.into(),
            Trouble::Sqlite(error) => unavailable(&error).into(),
        }
    }
}

/// How SQLite's error changes what the writer may go on with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    /// No space: nothing was written, and space may come back.
    Full,
    /// Another program holds the file.
    Busy,
    /// The disk failed: what is on it is no longer known.
    Io,
    /// Anything else, which concerns one piece of work.
    Other,
}

/// The class of an error.
pub(super) fn class(error: &rusqlite::Error) -> Class {
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => Class::Full,
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Class::Busy,
        Some(ErrorCode::SystemIoFailure) => Class::Io,
        _ => Class::Other,
    }
}

/// Trouble that may pass, in words that say what to do.
pub(super) fn unavailable(error: &rusqlite::Error) -> JournalError {
    let why = match class(error) {
        Class::Full => "the disk is full; free some space".to_owned(),
        Class::Busy => "another program holds the database; close it".to_owned(),
        Class::Io | Class::Other => error.to_string(),
    };
    JournalError::Unavailable { why }
}

/// While working on a log, a value that cannot be read and a page that makes no sense are damage of
/// that log; everything else concerns the store.
pub(super) fn within(log: LogId) -> impl Fn(Trouble) -> Trouble {
    move |trouble| match trouble {
        Trouble::Sqlite(error) if is_damage(&error) => {
            Trouble::Damaged { log, why: error.to_string() }
        }
        other => other,
    }
}

fn is_damage(error: &rusqlite::Error) -> bool {
    match error {
        rusqlite::Error::FromSqlConversionFailure(..)
        | rusqlite::Error::InvalidColumnType(..)
        | rusqlite::Error::IntegralValueOutOfRange(..)
        | rusqlite::Error::Utf8Error(..) => true,
        _ => error.sqlite_error_code() == Some(ErrorCode::DatabaseCorrupt),
    }
}
