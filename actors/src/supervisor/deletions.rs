//! Deletions that were written down and not finished: who asked for one has gone, or the store was away.
//! Nobody in such a tree is woken, so somebody has to come back to it. One that a caller is at is left alone.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use tokio::sync::watch;

use crate::{
    bus::{Bus, Deletion},
    domain::{catalog::Erasure, house::HouseEvent, ids::SessionId},
    ports::Catalog,
    protocol::permission::PermissionHandle,
};

use super::seats::Seats;

/// What is left to be deleted.
#[derive(Clone)]
pub(super) struct Deletions {
    catalog: Arc<dyn Catalog>,
    bus: Bus,
    permission: PermissionHandle,
    deleted: watch::Receiver<Arc<BTreeMap<SessionId, bool>>>,
    leaving: watch::Receiver<Arc<BTreeSet<SessionId>>>,
    damaged: watch::Receiver<Arc<BTreeMap<SessionId, String>>>,
}

impl Deletions {
    pub(super) fn of(seats: &Seats, catalog: Arc<dyn Catalog>, bus: Bus) -> Self {
        Self {
            catalog,
            bus,
            permission: seats.permission().clone(),
            deleted: seats.deleted(),
            leaving: seats.leaving(),
            damaged: seats.damaged(),
        }
    }

    /// Goes on with each. What is not written now is found to be done by the next look.
    pub(super) async fn finish(&self) {
        let deleted = Arc::clone(&self.deleted.borrow());
        for (root, _) in deleted.iter().filter(|(_, done)| !**done) {
            if self.leaving.borrow().contains(root) {
                continue;
            }
            let off_stage: BTreeSet<_> = self.damaged.borrow().keys().copied().collect();
            let root = *root;
            // Whose it was is known as long as it is there.
            let line = self.catalog.session(root).await.ok().flatten();
            let event = match self.catalog.erase(Erasure { root, off_stage }).await {
                Ok(Ok(_sessions)) => {
                    if let Some(line) = line {
                        self.bus.publish_deletion(Deletion { root, tenant: line.tenant });
                    }
                    HouseEvent::Deleted { root }
                }
                Ok(Err(hindrance)) => HouseEvent::Kept { root, why: hindrance.to_string() },
                Err(error) => {
                    tracing::warn!(%root, %error, "a tree is not yet deleted");
                    continue;
                }
            };
            self.permission.record(event);
        }
    }
}
