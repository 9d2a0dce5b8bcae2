//! A store with somebody before it, who sees each question and its answer on the way: with a deadline, a
//! watch, a hand that holds it back. Each says what it does once, and the ports' many methods stand here
//! alone. It changes no question, and gives no answer that the store did not give, but for trouble.

use std::sync::Arc;

use futures_util::future::BoxFuture;

use crate::domain::{
    catalog::{
        Account, ApprovalFilter, ApprovalRow, Branch, Census, Change, CheckpointRow, Erasure,
        Hindrance, Open, SessionFilter, SessionRow, Totals, TotalsOf,
    },
    conversation::BlobRef,
    frame::{LogId, LogKind, StoredFrame},
    ids::{InputKey, Position, SessionId, TenantId, Token},
    job::{JobFilter, JobId, JobRow},
};

use super::{Append, AppendError, Blobs, Catalog, Claim, Journal, JournalError, Pieces};

/// What a store is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// To hand over a log.
    Claim(LogKind),
    /// To write a frame.
    Append(LogKind),
    /// What a log says, or where it ends.
    Read(LogKind),
    /// What the read model says.
    Catalog,
    /// A page of what it says of sessions.
    Lines,
    /// To replace what the read model says of somebody.
    Rebuild,
    /// To delete a tree.
    Erasure,
    /// To keep a large value.
    Put,
    /// A large value.
    Get,
}

/// Who stands before a store.
pub trait Around: Send + Sync + 'static {
    /// Hands on the answer to a question, which has been asked already.
    fn around<T: Send + 'static, E: From<JournalError> + Send + 'static>(
        &self,
        _asked: Asked,
        answer: BoxFuture<'static, Result<T, E>>,
    ) -> BoxFuture<'static, Result<T, E>> {
        answer
    }

    /// Writes a frame: for who wants to see it, or the moment before it is asked for.
    fn append(
        &self,
        journal: &dyn Journal,
        append: Append,
    ) -> BoxFuture<'static, Result<Position, AppendError>> {
        self.around(Asked::Append(append.envelope.log.kind), journal.append(append))
    }
}

/// One port of a store, as it is seen through who stands before it.
#[derive(Debug)]
pub struct Through<P: ?Sized, A> {
    port: Arc<P>,
    around: Arc<A>,
}

impl<P: ?Sized, A> Through<P, A> {
    /// Puts somebody before a port; the same one may stand before several.
    pub fn new(port: Arc<P>, around: &Arc<A>) -> Self {
        Self { port, around: Arc::clone(around) }
    }
}

impl<A: Around> Journal for Through<dyn Journal, A> {
    fn claim(&self, log: LogId) -> BoxFuture<'static, Result<Claim, JournalError>> {
        self.around.around(Asked::Claim(log.kind), self.port.claim(log))
    }

    fn append(&self, append: Append) -> BoxFuture<'static, Result<Position, AppendError>> {
        self.around.append(&*self.port, append)
    }

    fn read(
        &self,
        log: LogId,
        after: Position,
        rows: usize,
    ) -> BoxFuture<'static, Result<Vec<StoredFrame>, JournalError>> {
        self.around.around(Asked::Read(log.kind), self.port.read(log, after, rows))
    }

    fn tail(&self, log: LogId) -> BoxFuture<'static, Result<(Position, Token), JournalError>> {
        self.around.around(Asked::Read(log.kind), self.port.tail(log))
    }
}

impl<A: Around> Catalog for Through<dyn Catalog, A> {
    fn sessions(
        &self,
        filter: SessionFilter,
    ) -> BoxFuture<'static, Result<Vec<SessionRow>, JournalError>> {
        self.around.around(Asked::Lines, self.port.sessions(filter))
    }

    fn session(
        &self,
        session: SessionId,
    ) -> BoxFuture<'static, Result<Option<SessionRow>, JournalError>> {
        self.around.around(Asked::Catalog, self.port.session(session))
    }

    fn approvals(
        &self,
        filter: ApprovalFilter,
    ) -> BoxFuture<'static, Result<Vec<ApprovalRow>, JournalError>> {
        self.around.around(Asked::Catalog, self.port.approvals(filter))
    }

    fn open(&self, tenant: Option<TenantId>) -> BoxFuture<'static, Result<Open, JournalError>> {
        self.around.around(Asked::Catalog, self.port.open(tenant))
    }

    fn branches(
        &self,
        of: Vec<SessionId>,
    ) -> BoxFuture<'static, Result<Vec<Branch>, JournalError>> {
        self.around.around(Asked::Catalog, self.port.branches(of))
    }

    fn totals(&self, of: TotalsOf) -> BoxFuture<'static, Result<Totals, JournalError>> {
        self.around.around(Asked::Catalog, self.port.totals(of))
    }

    fn accounts(
        &self,
        roots: Vec<SessionId>,
        rows: usize,
    ) -> BoxFuture<'static, Result<Vec<Account>, JournalError>> {
        self.around.around(Asked::Catalog, self.port.accounts(roots, rows))
    }

    fn census(
        &self,
        tenant: Option<TenantId>,
    ) -> BoxFuture<'static, Result<Vec<Census>, JournalError>> {
        self.around.around(Asked::Catalog, self.port.census(tenant))
    }

    fn in_trees(&self, filter: SessionFilter) -> BoxFuture<'static, Result<u64, JournalError>> {
        self.around.around(Asked::Catalog, self.port.in_trees(filter))
    }

    fn input(
        &self,
        session: SessionId,
        key: InputKey,
    ) -> BoxFuture<'static, Result<Option<Position>, JournalError>> {
        self.around.around(Asked::Catalog, self.port.input(session, key))
    }

    fn checkpoints(
        &self,
        session: SessionId,
    ) -> BoxFuture<'static, Result<Vec<CheckpointRow>, JournalError>> {
        self.around.around(Asked::Catalog, self.port.checkpoints(session))
    }

    fn jobs(&self, filter: JobFilter) -> BoxFuture<'static, Result<Vec<JobRow>, JournalError>> {
        self.around.around(Asked::Catalog, self.port.jobs(filter))
    }

    fn job(&self, job: JobId) -> BoxFuture<'static, Result<Option<JobRow>, JournalError>> {
        self.around.around(Asked::Catalog, self.port.job(job))
    }

    fn stale_jobs(&self) -> BoxFuture<'static, Result<Vec<JobId>, JournalError>> {
        self.around.around(Asked::Catalog, self.port.stale_jobs())
    }

    fn replace_job(
        &self,
        job: JobId,
        upto: Position,
        row: Box<JobRow>,
    ) -> BoxFuture<'static, Result<Position, AppendError>> {
        self.around.around(Asked::Rebuild, self.port.replace_job(job, upto, row))
    }

    fn stale(&self) -> BoxFuture<'static, Result<Vec<SessionId>, JournalError>> {
        self.around.around(Asked::Catalog, self.port.stale())
    }

    fn replace(
        &self,
        session: SessionId,
        upto: Position,
        changes: Vec<Change>,
    ) -> BoxFuture<'static, Result<Position, AppendError>> {
        self.around.around(Asked::Rebuild, self.port.replace(session, upto, changes))
    }

    fn hinders(
        &self,
        erasure: Erasure,
    ) -> BoxFuture<'static, Result<Option<Hindrance>, JournalError>> {
        self.around.around(Asked::Catalog, self.port.hinders(erasure))
    }

    fn erase(
        &self,
        erasure: Erasure,
    ) -> BoxFuture<'static, Result<Result<u64, Hindrance>, JournalError>> {
        self.around.around(Asked::Erasure, self.port.erase(erasure))
    }
}

impl<A: Around> Blobs for Through<dyn Blobs, A> {
    fn put(&self, bytes: Vec<u8>) -> BoxFuture<'static, Result<BlobRef, JournalError>> {
        self.around.around(Asked::Put, self.port.put(bytes))
    }

    fn put_pieces(
        &self,
        pieces: Arc<dyn Pieces>,
    ) -> BoxFuture<'static, Result<BlobRef, JournalError>> {
        self.around.around(Asked::Put, self.port.put_pieces(pieces))
    }

    fn get(&self, blob: BlobRef) -> BoxFuture<'static, Result<Option<Vec<u8>>, JournalError>> {
        self.around.around(Asked::Get, self.port.get(blob))
    }
}
