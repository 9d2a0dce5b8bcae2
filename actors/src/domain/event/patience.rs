//! Which failures of a model are no failures, but a vendor's word to wait.

use super::{FailureKind, ModelFailure};

impl ModelFailure {
    /// Whether the vendor asks for patience and nothing is wrong with the call itself: it is made
    /// again for as long as its turn may take, however often.
    #[must_use]
    pub const fn asks_for_patience(&self) -> bool {
        match self.kind {
            FailureKind::RateLimited => self.retryable,
            FailureKind::Overloaded => self.retryable && self.retry_after_ms.is_some(),
            FailureKind::Auth
            | FailureKind::Quota
            | FailureKind::BadRequest
            | FailureKind::Transport
            | FailureKind::EndedEarly
            | FailureKind::TimedOut
            | FailureKind::Malformed
            | FailureKind::Aborted
            | FailureKind::Lost => false,
        }
    }
}
