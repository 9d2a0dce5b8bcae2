//! A store whose answers a test holds back: of one kind of question, until it lets go.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use greenroom_actors::{
    domain::{
        catalog::{
            Account, ApprovalFilter, ApprovalRow, Branch, Census, Change, CheckpointRow, Erasure,
            Hindrance, Open, SessionFilter, SessionRow, Totals, TotalsOf,
        },
        conversation::BlobRef,
        frame::{LogId, LogKind, StoredFrame},
        ids::{InputKey, Position, SessionId, TenantId, Token},
        job::{JobFilter, JobId, JobRow},
    },
    ports::{Append, AppendError, Blobs, Catalog, Claim, Journal, JournalError, Pieces},
    runtime::Deps,
    testing::harness::Harness,
};
use tokio::sync::watch;

use crate::workshop::{Count, Still};

/// What is held back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Holding {
    Nothing,
    Claims(LogKind),
    Reads(LogKind),
    Appends(LogKind),
    /// Frames of sessions that say this.
    Saying(&'static str),
    Blobs,
    Catalog,
    Rebuilds,
    /// Pages of sessions.
    Lines,
    Erasures,
}

/// The test's hand on the store.
#[derive(Clone)]
pub(crate) struct Hold {
    now: Arc<watch::Sender<Holding>>,
    held: Count,
}

impl Hold {
    pub(crate) fn on(&self, what: Holding) {
        self.now.send_replace(what);
    }

    pub(crate) fn off(&self) {
        self.on(Holding::Nothing);
    }

    /// How many questions were held back so far.
    pub(crate) fn held(&self) -> usize {
        self.held.get()
    }
}

#[derive(Clone)]
struct Held {
    journal: Arc<dyn Journal>,
    catalog: Arc<dyn Catalog>,
    blobs: Arc<dyn Blobs>,
    hold: Hold,
}

/// Puts these ports in a test's hand.
pub(crate) fn hold(deps: &mut Deps) -> Hold {
    let now = Arc::new(watch::Sender::new(Holding::Nothing));
    let hold = Hold { now, held: Count::default() };
    let (journal, blobs) = (Arc::clone(&deps.journal), Arc::clone(&deps.blobs));
    let catalog = Arc::clone(&deps.catalog);
    let port = Arc::new(Held { journal, catalog, blobs, hold: hold.clone() });
    deps.journal = Arc::clone(&port) as _;
    deps.catalog = Arc::clone(&port) as _;
    deps.blobs = port;
    hold
}

/// A stage on a store that can be held.
pub(crate) async fn holdable(
    script: &str,
    arrange: impl FnOnce(Harness) -> Harness,
) -> (Still, Hold) {
    let mut given = None;
    let still = Still::set(script, |mut harness| {
        given = Some(hold(&mut harness.deps));
        arrange(harness)
    })
    .await;
    (still, given.expect("the stage was arranged"))
}

impl Held {
    fn after<T: Send + 'static>(
        &self,
        what: Holding,
        work: BoxFuture<'static, T>,
    ) -> BoxFuture<'static, T> {
        let mut now = self.hold.now.subscribe();
        let held = self.hold.held.clone();
        Box::pin(async move {
            if *now.borrow_and_update() == what {
                held.up();
                now.wait_for(|now| *now != what).await.expect("the sender lives in the port");
            }
            work.await
        })
    }
}

impl Journal for Held {
    fn claim(&self, log: LogId) -> BoxFuture<'static, Result<Claim, JournalError>> {
        self.after(Holding::Claims(log.kind), self.journal.claim(log))
    }

    fn append(&self, append: Append) -> BoxFuture<'static, Result<Position, AppendError>> {
        let kind = append.envelope.log.kind;
        let now = *self.hold.now.borrow();
        let what = match now {
            Holding::Saying(word) if append.body.contains(word) => now,
            _ => Holding::Appends(kind),
        };
        self.after(what, self.journal.append(append))
    }

    fn read(
        &self,
        log: LogId,
        after: Position,
        rows: usize,
    ) -> BoxFuture<'static, Result<Vec<StoredFrame>, JournalError>> {
        self.after(Holding::Reads(log.kind), self.journal.read(log, after, rows))
    }

    fn tail(&self, log: LogId) -> BoxFuture<'static, Result<(Position, Token), JournalError>> {
        self.after(Holding::Reads(log.kind), self.journal.tail(log))
    }
}

impl Catalog for Held {
    fn sessions(
        &self,
        filter: SessionFilter,
    ) -> BoxFuture<'static, Result<Vec<SessionRow>, JournalError>> {
        let work = self.after(Holding::Catalog, self.catalog.sessions(filter));
        self.after(Holding::Lines, work)
    }

    fn session(
        &self,
        session: SessionId,
    ) -> BoxFuture<'static, Result<Option<SessionRow>, JournalError>> {
        self.after(Holding::Catalog, self.catalog.session(session))
    }

    fn approvals(
        &self,
        filter: ApprovalFilter,
    ) -> BoxFuture<'static, Result<Vec<ApprovalRow>, JournalError>> {
        self.after(Holding::Catalog, self.catalog.approvals(filter))
    }

    fn open(&self, tenant: Option<TenantId>) -> BoxFuture<'static, Result<Open, JournalError>> {
        self.after(Holding::Catalog, self.catalog.open(tenant))
    }

    fn branches(
        &self,
        of: Vec<SessionId>,
    ) -> BoxFuture<'static, Result<Vec<Branch>, JournalError>> {
        self.after(Holding::Catalog, self.catalog.branches(of))
    }

    fn totals(&self, of: TotalsOf) -> BoxFuture<'static, Result<Totals, JournalError>> {
        self.after(Holding::Catalog, self.catalog.totals(of))
    }

    fn accounts(
        &self,
        roots: Vec<SessionId>,
        rows: usize,
    ) -> BoxFuture<'static, Result<Vec<Account>, JournalError>> {
        self.after(Holding::Catalog, self.catalog.accounts(roots, rows))
    }

    fn census(
        &self,
        tenant: Option<TenantId>,
    ) -> BoxFuture<'static, Result<Vec<Census>, JournalError>> {
        self.after(Holding::Catalog, self.catalog.census(tenant))
    }

    fn in_trees(&self, filter: SessionFilter) -> BoxFuture<'static, Result<u64, JournalError>> {
        self.after(Holding::Catalog, self.catalog.in_trees(filter))
    }

    fn input(
        &self,
        session: SessionId,
        key: InputKey,
    ) -> BoxFuture<'static, Result<Option<Position>, JournalError>> {
        self.after(Holding::Catalog, self.catalog.input(session, key))
    }

    fn checkpoints(
        &self,
        session: SessionId,
    ) -> BoxFuture<'static, Result<Vec<CheckpointRow>, JournalError>> {
        self.after(Holding::Catalog, self.catalog.checkpoints(session))
    }

    fn jobs(&self, filter: JobFilter) -> BoxFuture<'static, Result<Vec<JobRow>, JournalError>> {
        self.after(Holding::Catalog, self.catalog.jobs(filter))
    }

    fn job(&self, job: JobId) -> BoxFuture<'static, Result<Option<JobRow>, JournalError>> {
        self.after(Holding::Catalog, self.catalog.job(job))
    }

    fn stale_jobs(&self) -> BoxFuture<'static, Result<Vec<JobId>, JournalError>> {
        self.after(Holding::Catalog, self.catalog.stale_jobs())
    }

    fn replace_job(
        &self,
        job: JobId,
        upto: Position,
        row: Box<JobRow>,
    ) -> BoxFuture<'static, Result<Position, AppendError>> {
        let work = self.after(Holding::Catalog, self.catalog.replace_job(job, upto, row));
        self.after(Holding::Rebuilds, work)
    }

    fn stale(&self) -> BoxFuture<'static, Result<Vec<SessionId>, JournalError>> {
        self.after(Holding::Catalog, self.catalog.stale())
    }

    fn replace(
        &self,
        session: SessionId,
        upto: Position,
        changes: Vec<Change>,
    ) -> BoxFuture<'static, Result<Position, AppendError>> {
        let work = self.after(Holding::Catalog, self.catalog.replace(session, upto, changes));
        self.after(Holding::Rebuilds, work)
    }

    fn hinders(
        &self,
        erasure: Erasure,
    ) -> BoxFuture<'static, Result<Option<Hindrance>, JournalError>> {
        self.after(Holding::Catalog, self.catalog.hinders(erasure))
    }

    fn erase(
        &self,
        erasure: Erasure,
    ) -> BoxFuture<'static, Result<Result<u64, Hindrance>, JournalError>> {
        self.after(Holding::Erasures, self.catalog.erase(erasure))
    }
}

impl Blobs for Held {
    fn put(&self, bytes: Vec<u8>) -> BoxFuture<'static, Result<BlobRef, JournalError>> {
        self.after(Holding::Blobs, self.blobs.put(bytes))
    }

    fn put_pieces(
        &self,
        pieces: Arc<dyn Pieces>,
    ) -> BoxFuture<'static, Result<BlobRef, JournalError>> {
        self.after(Holding::Blobs, self.blobs.put_pieces(pieces))
    }

    fn get(&self, blob: BlobRef) -> BoxFuture<'static, Result<Option<Vec<u8>>, JournalError>> {
        self.after(Holding::Blobs, self.blobs.get(blob))
    }
}
