//! The logs and the trouble that a store may have: claiming, appending, reading. Order, owners and
//! durability are the implementation's promise, and its laws say which.

use futures_util::future::BoxFuture;

use crate::domain::{
    catalog::Change,
    frame::{Chain, Envelope, LogId, StoredFrame},
    ids::{Position, Token},
};

/// A log's state at the moment it was claimed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claim {
    /// The new owner's token: one more than any before.
    pub token: Token,
    /// The last frame; the fold must reach it.
    pub tail: Position,
    /// The chain up to there.
    pub chain: Chain,
}

/// A frame to be written, with what it does to the catalog.
#[derive(Clone, Debug)]
pub struct Append {
    /// The envelope; the frame is expected to follow position `envelope.position - 1`.
    pub envelope: Envelope,
    /// The records, encoded.
    pub body: String,
    /// What the frame does to the read model.
    pub changes: Vec<Change>,
    /// Whether it is the claim of its log as well: then that log is created with it, under the first
    /// token, and it is fenced where there is such a log already, whoever owns it.
    pub begins: bool,
}

/// Trouble with the store as a whole.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JournalError {
    /// It cannot be written or read for now; the same request may succeed later.
    #[error("the journal is unavailable: {why}")]
    Unavailable {
        /// Why.
        why: String,
    },
    /// A sync or a commit failed: what is durable is no longer known, so nothing more is
    /// acknowledged until the store has been opened anew.
    #[error("the journal is poisoned: {why}")]
    Poisoned {
        /// Why.
        why: String,
    },
    /// This log is damaged; others are not.
    #[error("{log} is damaged: {why}")]
    Damaged {
        /// Which.
        log: LogId,
        /// What is wrong.
        why: String,
    },
}

/// Why a frame was not appended.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    /// Somebody else owns the log now, or it has grown.
    #[error("append at {expected}: fenced, the log is at {tail} under token {token}")]
    Fenced {
        /// Where the frame was to go.
        expected: Position,
        /// Where the log ends.
        tail: Position,
        /// Who owns it.
        token: Token,
    },
    /// The store.
    #[error(transparent)]
    Journal(#[from] JournalError),
}

/// The logs. An append is durable when it returns; a frame is one atom; an unknown outcome is
/// resolved inside the adapter, never handed out.
pub trait Journal: Send + Sync + 'static {
    /// Takes ownership: durably raises the token, whatever the reason for waking. A log that does
    /// not exist is created empty.
    fn claim(&self, log: LogId) -> BoxFuture<'static, Result<Claim, JournalError>>;

    /// Writes one frame if its token is the owner's and its position is the next, or if it begins a
    /// log that does not exist. Two appends of one log are never in flight together.
    fn append(&self, append: Append) -> BoxFuture<'static, Result<Position, AppendError>>;

    /// Up to `rows` frames after `after`, in order, as stored, and no more of them than fit into
    /// `limits::READ_BYTES`; but never none because the next is too large. So a short page is not
    /// the last one, only an empty one is. The reader verifies them.
    fn read(
        &self,
        log: LogId,
        after: Position,
        rows: usize,
    ) -> BoxFuture<'static, Result<Vec<StoredFrame>, JournalError>>;

    /// The last committed position and the owner's token; both 0 for a log that does not exist.
    fn tail(&self, log: LogId) -> BoxFuture<'static, Result<(Position, Token), JournalError>>;
}
