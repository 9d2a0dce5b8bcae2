//! A cancel that comes to a session whose log cannot be read. Only that log knew whom the session
//! had set to work; but the catalog knows them by their own logs. So the house orders them to stop
//! in its stead, and tells its parent when none of them is at work. Nothing is remembered here: the
//! parent asks until it has heard that, and each time all of it is looked at anew.

use crate::{
    domain::{
        catalog::{SessionFilter, SessionRow, Status},
        event::CancelTarget,
        ids::PrincipalId,
    },
    policy::turn::Input,
    ports::JournalError,
    protocol::session::Request,
};

use super::*;

/// Those below a session that cannot be read, and who wants them stopped.
pub(super) struct Orphans {
    pub(super) house: Arc<House>,
    pub(super) damaged: Arc<BTreeMap<SessionId, String>>,
    /// The tree they belong to.
    pub(super) root: SessionId,
    pub(super) parent: SessionId,
    /// The session and its assignment.
    pub(super) of: (SessionId, Assignment),
    pub(super) why: String,
    pub(super) principal: PrincipalId,
}

/// Tells a parent of an assignment of one off the stage.
pub(super) fn tell(
    house: &House,
    parent: SessionId,
    (child, assignment): (SessionId, Assignment),
    (reason, stopped): (&str, bool),
) {
    let outcome = ChildOutcome::Quarantined { reason: reason.to_owned(), stopped };
    let report = Box::new(ChildReport { outcome, usage: Usage::default() });
    house.board.mail(parent, Mail::Report { child, assignment, report });
}

impl Orphans {
    /// Orders them to stop and tells the parent how far that is.
    pub(super) async fn stop(self, damaged: String) {
        let stopped = match self.all_stopped().await {
            Ok(stopped) => stopped,
            Err(error) => {
                // The parent asks again.
                tracing::warn!(session = %self.of.0, %error, "look for those below it");
                false
            }
        };
        tell(&self.house, self.parent, self.of, (&damaged, stopped));
    }

    async fn all_stopped(&self) -> Result<bool, JournalError> {
        let stale = self.house.catalog.stale().await?;
        // A catalog that fell behind may not know all of them; it is being rebuilt.
        let mut stopped = stale.iter().all(|session| self.damaged.contains_key(session));
        let mut orders = Vec::new();
        for row in self.below().await? {
            // What is below one of them that cannot be read either is in this list itself.
            let at_work = match row.status {
                _ if self.damaged.contains_key(&row.session) => continue,
                Status::Idle | Status::Archived => continue,
                Status::Running | Status::Waiting => true,
                // It is told, so that it does not go on after its release.
                Status::Quarantined => false,
            };
            stopped &= !at_work;
            orders.push(self.order(row.session));
        }
        let late = self.house.clock.now().plus_ms(limits::CALL_MS);
        for order in orders {
            stopped &= self.is_taken(order, late).await;
        }
        Ok(stopped)
    }

    /// Everybody below it, at any depth.
    async fn below(&self) -> Result<Vec<SessionRow>, JournalError> {
        let mut of_parent: BTreeMap<SessionId, Vec<SessionRow>> = BTreeMap::new();
        let mut after = None;
        loop {
            let (root, rows) = (Some(self.root), limits::WAKE_SCAN_MAX);
            let filter =
                SessionFilter { root, archived: true, after, rows, ..SessionFilter::default() };
            let found = self.house.catalog.sessions(filter).await?;
            let (many, last) = (found.len(), found.last().map(|row| row.session));
            for row in found {
                if let Some(parent) = row.parent {
                    of_parent.entry(parent).or_default().push(row);
                }
            }
            if many < rows {
                break;
            }
            after = last;
        }
        let mut below = of_parent.remove(&self.of.0).unwrap_or_default();
        let mut at = 0;
        while let Some(row) = below.get(at) {
            below.extend(of_parent.remove(&row.session).unwrap_or_default());
            at += 1;
        }
        Ok(below)
    }

    fn order(&self, session: SessionId) -> oneshot::Receiver<Result<(), Rejected>> {
        let (reply, answer) = oneshot::channel();
        let target = CancelTarget::Everything;
        let input = Box::new(Input::CancelRequested { target, reason: self.why.clone() });
        let principal = self.principal.clone();
        self.house.board.request(session, Request::Order { input, principal, reply });
        answer
    }

    /// Whether an order stands, by then, in the log of whom it was given.
    async fn is_taken(
        &self,
        order: oneshot::Receiver<Result<(), Rejected>>,
        late: Timestamp,
    ) -> bool {
        tokio::select! {
            biased;
            answer = order => matches!(answer, Ok(Ok(()))),
            () = self.house.clock.sleep_until(late) => false,
        }
    }
}
