//! Deleting a tree of sessions for good. Only a whole tree goes, from its root, and only while nobody in it
//! is at work: a child's parent would ask for it for ever, and work cannot be taken back.
//!
//! ```text
//!   nobody may be woken ─▶ who is awake stops ─▶ `Deleting` is written ─▶ all is erased ─▶ `Deleted`
//!                                                        │                      ╰ hindered ▶ `Kept`
//!                                                        ╰ death: the next start goes on from here
//! ```
//!
//! What hinders it is asked first, and once more where it is erased, behind all that was on its way: a
//! message that came meanwhile keeps its session. It refuses to take money back: what was spent is summed on.

use std::{collections::BTreeSet, sync::Arc};

use crate::{
    bus::Deletion,
    domain::{
        catalog::{Erasure, Hindrance, SessionFilter},
        house::HouseEvent,
        ids::SessionId,
    },
    limits,
    policy::turn::Rejected,
    ports::JournalError,
    session::left,
    supervisor::Seats,
};

use super::{CallError, Runtime, acting::Acting};

/// Sessions that nobody may wake, until this is dropped. Whatever became of it by then, also where its
/// caller just left: who was put to sleep for it and is still there goes on.
struct Leaving {
    seats: Arc<Seats>,
    those: Vec<SessionId>,
    asleep: Vec<SessionId>,
}

impl Drop for Leaving {
    fn drop(&mut self) {
        self.seats.leave(&self.those, false);
        self.asleep.iter().for_each(|session| self.seats.board().wake(*session));
    }
}

impl Acting<'_> {
    /// As `Runtime::delete`.
    ///
    /// # Errors
    /// As there.
    pub async fn delete(&self, root: SessionId) -> Result<u64, CallError> {
        let runtime = self.runtime;
        let begun = runtime.inner.seats.deleted().borrow().get(&root).copied();
        match begun {
            Some(true) => return Err(Rejected::Gone.into()),
            // An earlier call did not come to its end.
            Some(false) => {}
            None => runtime.may_delete(root).await?,
        }
        let filter = SessionFilter { root: Some(root), archived: true, ..SessionFilter::default() };
        let tree = runtime.reading().all_sessions(filter).await?;
        let those: Vec<SessionId> = tree.iter().map(|row| row.session).collect();
        runtime.inner.seats.leave(&those, true);
        let seats = Arc::clone(&runtime.inner.seats);
        let mut leaving = Leaving { seats, those, asleep: Vec::new() };
        runtime.put_to_sleep(&mut leaving).await?;
        let (sessions, by) = (tree.len() as u64, self.principal.clone());
        runtime.record(HouseEvent::Deleting { root, sessions, by }).await?;
        let erased = runtime.erase(root).await;
        let row = tree.into_iter().find(|row| row.session == root);
        if let (Ok(1..), Some(row)) = (&erased, row) {
            runtime.inner.bus.publish_deletion(Deletion { root, tenant: row.tenant });
        }
        if erased.is_ok() {
            leaving.asleep.clear();
        }
        match erased {
            // Somebody else's order did it meanwhile.
            Ok(0) => Err(Rejected::Gone.into()),
            other => other,
        }
    }
}

impl Runtime {
    /// Deletes a session and all below it, for good: logs, lines, questions, checkpoints, and the blobs that
    /// nobody else names. What it spent stays in the totals, and the house's log says who deleted it. A
    /// key that opened it opens nothing any more. Returns how many sessions went.
    ///
    /// # Errors
    /// When it is no root, when somebody in its tree has work in hand, when a fork goes on from it, and
    /// when it cannot be written; then the same call again, or the next start, finishes it.
    pub async fn delete(&self, root: SessionId) -> Result<u64, CallError> {
        self.acting().delete(root).await
    }

    /// Returns when this tree has been deleted, and never while it is there.
    pub async fn deleted(&self, root: SessionId) {
        let mut deleted = self.inner.seats.deleted();
        if deleted.wait_for(|those| those.get(&root) == Some(&true)).await.is_err() {
            // The runtime has ended, which its listeners are told.
            std::future::pending().await
        }
    }

    /// Asks what hinders it, before anything is said.
    async fn may_delete(&self, root: SessionId) -> Result<(), CallError> {
        let row = self.inner.catalog.session(root).await?;
        let row = row.ok_or(CallError::UnknownSession { session: root })?;
        if row.root != root {
            return Err(CallError::NotARoot { session: root, root: row.root });
        }
        let erasure = self.erasure(root);
        let stale = self.inner.catalog.stale().await?;
        // A catalog that is behind may not know all of the tree; it is being rebuilt.
        if !stale.iter().all(|session| erasure.off_stage.contains(session)) {
            let why = "the catalog is behind the logs; ask again".to_owned();
            return Err(JournalError::Unavailable { why }.into());
        }
        let hindrance = self.inner.catalog.hinders(erasure).await?;
        hindrance.map_or(Ok(()), |hindrance| Err(CallError::Hindered { root, hindrance }))
    }

    fn erasure(&self, root: SessionId) -> Erasure {
        let off_stage: BTreeSet<_> = self.inner.seats.damaged().borrow().keys().copied().collect();
        Erasure { root, off_stage }
    }

    /// Ends those of them that are in memory.
    async fn put_to_sleep(&self, leaving: &mut Leaving) -> Result<(), CallError> {
        let board = self.inner.seats.board();
        let those = leaving.those.iter().copied();
        leaving.asleep = those.filter(|session| board.entry(*session).is_some()).collect();
        let asleep = async {
            for session in &leaving.asleep {
                while let Some(entry) = board.entry(*session) {
                    entry.actor.stop(Some(left::ASLEEP.to_owned()));
                    self.inner.clock.after(limits::ASK_AGAIN_MS).await;
                }
            }
        };
        self.within(limits::CALL_MS, asleep).await
    }

    async fn erase(&self, root: SessionId) -> Result<u64, CallError> {
        match self.inner.catalog.erase(self.erasure(root)).await? {
            Ok(sessions) => {
                self.record(HouseEvent::Deleted { root }).await?;
                Ok(sessions)
            }
            Err(hindrance) => {
                let why = hindrance.to_string();
                self.record(HouseEvent::Kept { root, why }).await?;
                Err(CallError::Hindered { root, hindrance })
            }
        }
    }

    /// Goes on where a death cut a deletion off, before anybody can be woken.
    pub(super) async fn finish_deleting(&self) {
        let deleted = Arc::clone(&self.inner.seats.deleted().borrow());
        for (root, _) in deleted.iter().filter(|(_, done)| !**done) {
            match self.erase(*root).await {
                Ok(sessions) => tracing::info!(%root, sessions, "a tree was deleted"),
                Err(CallError::Hindered { hindrance: Hindrance::AtWork { .. }, .. }) => {
                    tracing::info!(%root, "a tree was kept: it is at work");
                }
                // The same order again, or the next start, finishes it.
                Err(error) => tracing::warn!(%root, %error, "a tree is not yet deleted"),
            }
        }
    }
}
