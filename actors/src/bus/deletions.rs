//! Trees that were deleted, told to whoever listens: their frames are gone, and no log says so to who shows
//! them. Who was too slow is told that it missed some, and looks at what is there.

use std::sync::Arc;

use tokio::sync::{
    broadcast::{self, error::RecvError},
    watch,
};

use crate::domain::ids::{SessionId, TenantId};

use super::over;

/// A tree that was deleted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deletion {
    /// Its root.
    pub root: SessionId,
    /// Whose it was.
    pub tenant: TenantId,
}

/// Who listens to deletions.
#[derive(Debug)]
pub struct DeletionListener {
    pub(super) those: broadcast::Receiver<Arc<Deletion>>,
    pub(super) closed: watch::Receiver<bool>,
}

/// What who listens to deletions receives.
#[derive(Clone, Debug)]
pub enum DeletionHeard {
    /// A tree is gone.
    Gone(Arc<Deletion>),
    /// The listener was too slow and missed this many; what is there is in the catalog.
    Lagged {
        /// How many.
        missed: u64,
    },
}

impl DeletionListener {
    /// The next one; `None` when the house has ended, and all was heard that came before.
    pub async fn next(&mut self) -> Option<DeletionHeard> {
        tokio::select! {
            biased;
            heard = self.those.recv() => match heard {
                Ok(gone) => Some(DeletionHeard::Gone(gone)),
                Err(RecvError::Lagged(missed)) => Some(DeletionHeard::Lagged { missed }),
                Err(RecvError::Closed) => None,
            },
            () = over(&mut self.closed) => None,
        }
    }
}
