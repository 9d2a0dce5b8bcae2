//! Trouble with a log, as the actor that owns it is told: without the store's own types, which
//! stay behind the port.

/// Why a log could not be read or written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Trouble {
    /// Somebody else owns it now.
    #[error("another ledger owns the log now")]
    Fenced,
    /// Not now.
    #[error("the journal is unavailable: {0}")]
    Unavailable(String),
    /// Nothing is certain any more.
    #[error("the journal is poisoned: {0}")]
    Poisoned(String),
    /// It cannot be read at all.
    #[error("the log is damaged: {0}")]
    Damaged(String),
}
