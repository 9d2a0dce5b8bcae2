//! Looking for sleepers: sessions out of memory whose time has come, or that had work in hand when
//! they left it. The catalog knows them, as far as it has followed the logs; a part of it that fell
//! behind is first rebuilt from its log, also while the house runs, since a sleeper that wrote its
//! time while the catalog failed is known to its log alone.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::sync::watch;

use crate::{
    bus::Bus,
    directory::Switchboard,
    domain::{
        catalog::{SessionFilter, Status},
        house::Halt,
        ids::{SessionId, Timestamp},
    },
    fault, limits,
    ports::{Catalog, Journal},
    session,
};

use super::{deletions::Deletions, seats::Seats};

/// Who looks, and through what.
#[derive(Clone)]
pub(crate) struct Sleepers {
    journal: Arc<dyn Journal>,
    catalog: Arc<dyn Catalog>,
    board: Switchboard,
    /// Why nothing may begin, where somebody stopped everything.
    halt: watch::Receiver<Option<Arc<Halt>>>,
    deletions: Deletions,
    /// Sessions whose part could not be rebuilt. They are left alone until the next full look, for
    /// a log may be long, and one that is damaged stays so.
    behind: Arc<Mutex<BTreeSet<SessionId>>>,
}

impl Sleepers {
    pub(crate) fn new(
        journal: Arc<dyn Journal>,
        catalog: Arc<dyn Catalog>,
        (seats, bus): (&Seats, Bus),
    ) -> Self {
        let deletions = Deletions::of(seats, Arc::clone(&catalog), bus);
        let (board, halt) = (seats.board().clone(), seats.halt());
        Self { journal, catalog, board, halt, deletions, behind: Arc::default() }
    }

    /// Wakes whose time has come by `now`; with `all` also everybody with work in hand.
    pub(super) async fn look(&self, all: bool, now: Timestamp) {
        if all {
            self.deletions.finish().await;
        }
        // Those whose lines are right wait for no rebuilding; a line that is behind can at worst
        // wake somebody too early, who then looks into its own log.
        self.wake(all, now).await;
        if self.catch_up(all).await {
            self.wake(all, now).await;
        }
    }

    /// The catalog follows the logs again where it fell behind; `true` when something was rebuilt.
    /// A session whose log cannot be read stays as it is there, and is refused when it wakes.
    pub(crate) async fn catch_up(&self, all: bool) -> bool {
        let stale = match self.catalog.stale().await {
            Ok(stale) => stale,
            Err(error) => {
                // The next look tries again.
                tracing::warn!(%error, "look for a catalog that fell behind");
                return false;
            }
        };
        let mut rebuilt = false;
        if all {
            self.behind().clear();
        }
        for session in stale {
            if self.behind().contains(&session) {
                continue;
            }
            match self.rebuild(session).await {
                Ok(()) => rebuilt = true,
                Err(why) => {
                    tracing::warn!(%session, why, "rebuild the catalog");
                    self.behind().insert(session);
                }
            }
        }
        rebuilt
    }

    async fn rebuild(&self, session: SessionId) -> Result<(), String> {
        let read = session::changes(&self.journal, session).await;
        let (upto, changes) = read.map_err(|error| error.to_string())?;
        let replaced = self.catalog.replace(session, upto, changes).await;
        fault::point("catalog.replaced");
        // Fenced by a frame written meanwhile: who writes is awake and needs no waking.
        replaced.map(drop).map_err(|error| error.to_string())
    }

    async fn wake(&self, all: bool, now: Timestamp) {
        if all {
            // Who waits for a person sleeps; but where everything is stopped, each that has something in
            // hand is to stop it, which a death may have kept it from.
            let waiting = self.halt.borrow().is_some().then_some(Status::Waiting);
            let status = std::iter::once(Status::Running).chain(waiting).collect();
            self.wake_those(status, None).await;
        }
        self.wake_those(Vec::new(), Some(now)).await;
    }

    async fn wake_those(&self, status: Vec<Status>, wake_by: Option<Timestamp>) {
        let mut after = None;
        loop {
            let rows = limits::WAKE_SCAN_MAX;
            let filter = SessionFilter {
                status: status.clone(),
                wake_by,
                after,
                rows,
                ..SessionFilter::default()
            };
            let found = match self.catalog.sessions(filter).await {
                Ok(found) => found,
                Err(error) => {
                    // The next look tries again.
                    tracing::warn!(%error, "look for sleepers");
                    return;
                }
            };
            for row in &found {
                self.board.wake(row.session);
            }
            after = found.last().map(|row| row.session);
            if found.len() < rows {
                return;
            }
            tokio::task::yield_now().await;
        }
    }

    fn behind(&self) -> std::sync::MutexGuard<'_, BTreeSet<SessionId>> {
        self.behind.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
