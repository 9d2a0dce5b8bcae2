//! What can be read: from a running runtime, or from its store alone, while another process runs on
//! it or none does. Nothing here writes, wakes or claims.

use std::sync::Arc;

use futures_util::future::BoxFuture;

use crate::{
    domain::{
        catalog::{
            Account, ApprovalFilter, ApprovalRow, Branch, Census, CheckpointRow, Open,
            SessionFilter, SessionRow, Totals, TotalsOf,
        },
        conversation::BlobRef,
        event::Event,
        frame::LogId,
        house::HouseEvent,
        ids::{ApprovalId, Position, SessionId, TenantId, Timestamp, ToolCallNo, TurnId},
        outcome::TurnOutcome,
        permission::Raised,
        tool::ToolOutcome,
    },
    limits, log,
    ports::{Blobs, Catalog, Journal},
    session::state_at,
};

use super::{CallError, Deps, Runtime};

/// A session in the tree.
#[derive(Clone, Debug)]
pub struct TreeNode {
    /// Its line.
    pub row: SessionRow,
    /// Whether it is in memory.
    pub awake: bool,
    /// Messages in its mailbox.
    pub inbox: usize,
    /// What it spent itself.
    pub own: Totals,
    /// What it and everything below it spent.
    pub subtree: Totals,
    /// Its children.
    pub children: Vec<TreeNode>,
}

/// A store as a reader sees it: what is committed.
#[derive(Clone)]
pub struct Reading {
    journal: Arc<dyn Journal>,
    catalog: Arc<dyn Catalog>,
    blobs: Arc<dyn Blobs>,
}

impl std::fmt::Debug for Reading {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Reading")
    }
}

impl Reading {
    /// Reads through these ports, each question within its deadline.
    #[must_use]
    pub fn new(deps: &Deps) -> Self {
        let Deps { journal, catalog, blobs, clock: _ } = super::patience::patient(deps.clone());
        Self { journal, catalog, blobs }
    }

    pub(super) const fn catalog(&self) -> &Arc<dyn Catalog> {
        &self.catalog
    }

    pub(super) const fn blobs(&self) -> &Arc<dyn Blobs> {
        &self.blobs
    }

    pub(super) const fn journal(&self) -> &Arc<dyn Journal> {
        &self.journal
    }

    /// A session's log after a frame, decoded and verified from its start.
    ///
    /// # Errors
    /// When it cannot be read or does not verify.
    pub async fn read(
        &self,
        session: SessionId,
        after: Position,
    ) -> Result<Vec<log::Decoded<Event>>, CallError> {
        let mut frames = Vec::new();
        log::read::<Event>(&self.journal, LogId::session(session), None, |frame| {
            if frame.envelope.position > after {
                frames.push(frame);
            }
            Ok(())
        })
        .await?;
        Ok(frames)
    }

    /// At most so many frames of a session's log after one of them, whatever the log's length.
    ///
    /// # Errors
    /// When they cannot be read or do not hang together.
    pub async fn page(
        &self,
        session: SessionId,
        after: Position,
        rows: usize,
    ) -> Result<Vec<log::Decoded<Event>>, CallError> {
        Ok(log::page(&self.journal, LogId::session(session), after, rows).await?)
    }

    /// The last frame of a session's log; 0 where there is none.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn tail(&self, session: SessionId) -> Result<Position, CallError> {
        Ok(self.journal.tail(LogId::session(session)).await?.0)
    }

    /// Sessions of some trees, each with what it spent itself, in the order of their ids.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn accounts(
        &self,
        roots: Vec<SessionId>,
        rows: usize,
    ) -> Result<Vec<Account>, CallError> {
        Ok(self.catalog.accounts(roots, rows).await?)
    }

    /// How many sessions of each agent are in which state.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn census(&self, tenant: Option<TenantId>) -> Result<Vec<Census>, CallError> {
        Ok(self.catalog.census(tenant).await?)
    }

    /// How many sessions are in the trees that a filter finds by their roots, whatever its `rows` and
    /// `after` say.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn in_trees(&self, filter: SessionFilter) -> Result<u64, CallError> {
        Ok(self.catalog.in_trees(filter).await?)
    }

    /// How a session's last turn ended, if one has. Reads its whole log.
    ///
    /// # Errors
    /// As `read`.
    pub async fn last_outcome(&self, session: SessionId) -> Result<Option<TurnOutcome>, CallError> {
        let wanted = |event| {
            if let Event::TurnFinished { outcome, .. } = event { Some(outcome) } else { None }
        };
        self.last(session, wanted).await
    }

    /// Tools of a session that are asked about at this moment because they failed again and again. Reads
    /// its whole log.
    ///
    /// # Errors
    /// As `read`.
    pub async fn raised(
        &self,
        session: SessionId,
        now: Timestamp,
    ) -> Result<Vec<Raised>, CallError> {
        Ok(state_at(&self.journal, session, None).await?.raised_tools(now))
    }

    /// How a turn ended that a session does not hold in memory any more.
    pub(super) async fn turn_end(
        &self,
        session: SessionId,
        wanted: TurnId,
    ) -> Result<Option<TurnOutcome>, CallError> {
        self.last(session, |event| {
            let Event::TurnFinished { turn, outcome } = event else { return None };
            (turn == wanted).then_some(outcome)
        })
        .await
    }

    /// The same of a tool call.
    pub(super) async fn call_end(
        &self,
        session: SessionId,
        wanted: ToolCallNo,
    ) -> Result<Option<ToolOutcome>, CallError> {
        self.last(session, |event| {
            let Event::ToolFinished { call, outcome } = event else { return None };
            (call == wanted).then_some(outcome)
        })
        .await
    }

    /// The last of some events of a session.
    async fn last<T: Send>(
        &self,
        session: SessionId,
        wanted: impl Fn(Event) -> Option<T> + Send,
    ) -> Result<Option<T>, CallError> {
        Ok(log::last(&self.journal, LogId::session(session), wanted).await?)
    }

    /// Lines of sessions.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn sessions(&self, filter: SessionFilter) -> Result<Vec<SessionRow>, CallError> {
        Ok(self.catalog.sessions(filter).await?)
    }

    /// One session's line, if there is such a session.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn session(&self, session: SessionId) -> Result<Option<SessionRow>, CallError> {
        Ok(self.catalog.session(session).await?)
    }

    /// All lines that fit a filter, page by page, whatever its `rows` says.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn all_sessions(&self, filter: SessionFilter) -> Result<Vec<SessionRow>, CallError> {
        let (mut rows, mut after) = (Vec::new(), filter.after);
        loop {
            let page = SessionFilter { after, rows: limits::LIST_ROWS, ..filter.clone() };
            let page = self.catalog.sessions(page).await?;
            after = page.last().map(|row| row.session);
            let last = page.len() < limits::LIST_ROWS;
            rows.extend(page);
            if last {
                return Ok(rows);
            }
        }
    }

    /// Open approvals, from any depth.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn approvals(&self, tenant: Option<TenantId>) -> Result<Vec<ApprovalRow>, CallError> {
        self.questions(ApprovalFilter { tenant, ..ApprovalFilter::default() }).await
    }

    /// Some of them, oldest expiry first.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn questions(&self, filter: ApprovalFilter) -> Result<Vec<ApprovalRow>, CallError> {
        Ok(self.catalog.approvals(filter).await?)
    }

    /// One of them, while it is open.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn question(&self, id: ApprovalId) -> Result<Option<ApprovalRow>, CallError> {
        let filter = ApprovalFilter { only: Some(id), ..ApprovalFilter::default() };
        Ok(self.questions(filter).await?.pop())
    }

    /// How many approvals and jobs are open; reads none of them.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn open(&self, tenant: Option<TenantId>) -> Result<Open, CallError> {
        Ok(self.catalog.open(tenant).await?)
    }

    /// What each of these sessions came to, itself and with everybody below it.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn branches(&self, of: Vec<SessionId>) -> Result<Vec<Branch>, CallError> {
        Ok(self.catalog.branches(of).await?)
    }

    /// Sums of booked model calls.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn totals(&self, of: TotalsOf) -> Result<Totals, CallError> {
        Ok(self.catalog.totals(of).await?)
    }

    /// A session's checkpoints.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn checkpoints(&self, session: SessionId) -> Result<Vec<CheckpointRow>, CallError> {
        Ok(self.catalog.checkpoints(session).await?)
    }

    /// A large value by its reference.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn blob(&self, blob: BlobRef) -> Result<Option<Vec<u8>>, CallError> {
        Ok(self.blobs.get(blob).await?)
    }

    /// What the house itself recorded, in order: boots, prices, standing rules, and the quarantine
    /// and release of sessions whose own log cannot say so.
    ///
    /// # Errors
    /// When the log cannot be read or does not verify.
    pub async fn house(&self) -> Result<Vec<HouseEvent>, CallError> {
        let frames = log::read_all::<HouseEvent>(&self.journal, LogId::HOUSE).await?;
        Ok(frames.into_iter().flat_map(|frame| frame.events).collect())
    }

    /// A session and everything below it. Nobody is awake here, as far as a store can tell.
    ///
    /// # Errors
    /// When it does not exist or the store cannot be read.
    pub async fn tree(&self, root: SessionId) -> Result<TreeNode, CallError> {
        let row = self.catalog.session(root).await?;
        let row = row.ok_or(CallError::UnknownSession { session: root })?;
        let filter =
            SessionFilter { root: Some(row.root), archived: true, ..SessionFilter::default() };
        let rows = self.all_sessions(filter).await?;
        self.node(row, &rows).await
    }

    fn node<'a>(
        &'a self,
        row: SessionRow,
        rows: &'a [SessionRow],
    ) -> BoxFuture<'a, Result<TreeNode, CallError>> {
        Box::pin(async move {
            let session = row.session;
            let own = self.catalog.totals(TotalsOf::Session(session)).await?;
            let subtree = self.catalog.totals(TotalsOf::Subtree(session)).await?;
            let mut below = Vec::new();
            for child in rows.iter().filter(|other| other.parent == Some(session)) {
                below.push((self.spawned_by(child.session).await, child));
            }
            // Their ids are hashes, and those sent to work together open in any order: only the
            // number of the call that spawned each says in which order their parent meant them.
            below.sort_by_key(|(call, row)| (call.is_none(), *call, row.created_at, row.session));
            let mut children = Vec::new();
            for (_call, child) in below {
                children.push(self.node(child.clone(), rows).await?);
            }
            Ok(TreeNode { row, awake: false, inbox: 0, own, subtree, children })
        })
    }

    /// The parent's call that spawned a session, from its first frame. One whose log cannot be read
    /// has no place in the order, but it is there, and must not hide the rest of the tree.
    async fn spawned_by(&self, session: SessionId) -> Option<ToolCallNo> {
        let first = log::first::<Event>(&self.journal, LogId::session(session)).await.ok()??;
        first.events.iter().find_map(|event| {
            let Event::SessionOpened { lineage, .. } = event else { return None };
            lineage.parent.as_ref().map(|parent| parent.call)
        })
    }
}

impl Runtime {
    /// What it has committed, for reading only.
    #[must_use]
    pub fn reading(&self) -> Reading {
        Reading {
            journal: Arc::clone(&self.inner.journal),
            catalog: Arc::clone(&self.inner.catalog),
            blobs: Arc::clone(&self.inner.blobs),
        }
    }
}
