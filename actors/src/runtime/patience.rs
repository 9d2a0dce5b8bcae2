//! The ports as the house uses them: each answers in time or counts as unavailable. A store that
//! hangs thus looks like one that is away, which everybody knows how to live with.

use std::{future::Future, sync::Arc};

use futures_util::future::BoxFuture;

use crate::{
    domain::{
        catalog::{
            Account, ApprovalFilter, ApprovalRow, Branch, Census, Change, CheckpointRow, Erasure,
            Hindrance, Open, SessionFilter, SessionRow, Totals, TotalsOf,
        },
        conversation::BlobRef,
        frame::{LogId, StoredFrame},
        ids::{InputKey, Position, SessionId, TenantId, Token},
        job::{JobFilter, JobId, JobRow},
    },
    limits,
    ports::{Append, AppendError, Blobs, Catalog, Claim, Clock, Journal, JournalError, Pieces},
};

use super::Deps;

/// A port whose every answer is due by a deadline.
struct Patient<P: ?Sized> {
    port: Arc<P>,
    clock: Arc<dyn Clock>,
}

/// The same ports, with deadlines.
pub(super) fn patient(deps: Deps) -> Deps {
    let Deps { journal, catalog, blobs, clock } = deps;
    Deps {
        journal: Arc::new(Patient { port: journal, clock: Arc::clone(&clock) }),
        catalog: Arc::new(Patient { port: catalog, clock: Arc::clone(&clock) }),
        blobs: Arc::new(Patient { port: blobs, clock: Arc::clone(&clock) }),
        clock,
    }
}

impl<P: ?Sized> Patient<P> {
    fn within<T: Send + 'static, E: From<JournalError> + Send + 'static>(
        &self,
        waited_ms: u64,
        answer: impl Future<Output = Result<T, E>> + Send + 'static,
    ) -> BoxFuture<'static, Result<T, E>> {
        let late = self.clock.after(waited_ms);
        Box::pin(async move {
            tokio::select! {
                biased;
                answer = answer => answer,
                () = late => {
                    let why = format!("the store has not answered within {waited_ms} ms");
                    Err(JournalError::Unavailable { why }.into())
                }
            }
        })
    }
}

impl Journal for Patient<dyn Journal> {
    fn claim(&self, log: LogId) -> BoxFuture<'static, Result<Claim, JournalError>> {
        self.within(limits::APPEND_MS, self.port.claim(log))
    }

    fn append(&self, append: Append) -> BoxFuture<'static, Result<Position, AppendError>> {
        self.within(limits::APPEND_MS, self.port.append(append))
    }

    fn read(
        &self,
        log: LogId,
        after: Position,
        rows: usize,
    ) -> BoxFuture<'static, Result<Vec<StoredFrame>, JournalError>> {
        self.within(limits::CALL_MS, self.port.read(log, after, rows))
    }

    fn tail(&self, log: LogId) -> BoxFuture<'static, Result<(Position, Token), JournalError>> {
        self.within(limits::CALL_MS, self.port.tail(log))
    }
}

impl Catalog for Patient<dyn Catalog> {
    fn sessions(
        &self,
        filter: SessionFilter,
    ) -> BoxFuture<'static, Result<Vec<SessionRow>, JournalError>> {
        self.within(limits::CALL_MS, self.port.sessions(filter))
    }

    fn session(
        &self,
        session: SessionId,
    ) -> BoxFuture<'static, Result<Option<SessionRow>, JournalError>> {
        self.within(limits::CALL_MS, self.port.session(session))
    }

    fn approvals(
        &self,
        filter: ApprovalFilter,
    ) -> BoxFuture<'static, Result<Vec<ApprovalRow>, JournalError>> {
        self.within(limits::CALL_MS, self.port.approvals(filter))
    }

    fn open(&self, tenant: Option<TenantId>) -> BoxFuture<'static, Result<Open, JournalError>> {
        self.within(limits::CALL_MS, self.port.open(tenant))
    }

    fn branches(
        &self,
        of: Vec<SessionId>,
    ) -> BoxFuture<'static, Result<Vec<Branch>, JournalError>> {
        self.within(limits::CALL_MS, self.port.branches(of))
    }

    fn totals(&self, of: TotalsOf) -> BoxFuture<'static, Result<Totals, JournalError>> {
        self.within(limits::CALL_MS, self.port.totals(of))
    }

    fn accounts(
        &self,
        roots: Vec<SessionId>,
        rows: usize,
    ) -> BoxFuture<'static, Result<Vec<Account>, JournalError>> {
        self.within(limits::CALL_MS, self.port.accounts(roots, rows))
    }

    fn census(
        &self,
        tenant: Option<TenantId>,
    ) -> BoxFuture<'static, Result<Vec<Census>, JournalError>> {
        self.within(limits::CALL_MS, self.port.census(tenant))
    }

    fn in_trees(&self, filter: SessionFilter) -> BoxFuture<'static, Result<u64, JournalError>> {
        self.within(limits::CALL_MS, self.port.in_trees(filter))
    }

    fn input(
        &self,
        session: SessionId,
        key: InputKey,
    ) -> BoxFuture<'static, Result<Option<Position>, JournalError>> {
        self.within(limits::CALL_MS, self.port.input(session, key))
    }

    fn checkpoints(
        &self,
        session: SessionId,
    ) -> BoxFuture<'static, Result<Vec<CheckpointRow>, JournalError>> {
        self.within(limits::CALL_MS, self.port.checkpoints(session))
    }

    fn jobs(&self, filter: JobFilter) -> BoxFuture<'static, Result<Vec<JobRow>, JournalError>> {
        self.within(limits::CALL_MS, self.port.jobs(filter))
    }

    fn job(&self, job: JobId) -> BoxFuture<'static, Result<Option<JobRow>, JournalError>> {
        self.within(limits::CALL_MS, self.port.job(job))
    }

    fn stale_jobs(&self) -> BoxFuture<'static, Result<Vec<JobId>, JournalError>> {
        self.within(limits::CALL_MS, self.port.stale_jobs())
    }

    fn replace_job(
        &self,
        job: JobId,
        upto: Position,
        row: Box<JobRow>,
    ) -> BoxFuture<'static, Result<Position, AppendError>> {
        self.within(limits::APPEND_MS, self.port.replace_job(job, upto, row))
    }

    fn stale(&self) -> BoxFuture<'static, Result<Vec<SessionId>, JournalError>> {
        self.within(limits::CALL_MS, self.port.stale())
    }

    fn replace(
        &self,
        session: SessionId,
        upto: Position,
        changes: Vec<Change>,
    ) -> BoxFuture<'static, Result<Position, AppendError>> {
        self.within(limits::APPEND_MS, self.port.replace(session, upto, changes))
    }

    fn hinders(
        &self,
        erasure: Erasure,
    ) -> BoxFuture<'static, Result<Option<Hindrance>, JournalError>> {
        self.within(limits::CALL_MS, self.port.hinders(erasure))
    }

    fn erase(
        &self,
        erasure: Erasure,
    ) -> BoxFuture<'static, Result<Result<u64, Hindrance>, JournalError>> {
        self.within(limits::APPEND_MS, self.port.erase(erasure))
    }
}

impl Blobs for Patient<dyn Blobs> {
    fn put(&self, bytes: Vec<u8>) -> BoxFuture<'static, Result<BlobRef, JournalError>> {
        self.within(limits::APPEND_MS, self.port.put(bytes))
    }

    fn put_pieces(
        &self,
        pieces: Arc<dyn Pieces>,
    ) -> BoxFuture<'static, Result<BlobRef, JournalError>> {
        self.within(limits::APPEND_MS, self.port.put_pieces(pieces))
    }

    fn get(&self, blob: BlobRef) -> BoxFuture<'static, Result<Option<Vec<u8>>, JournalError>> {
        self.within(limits::CALL_MS, self.port.get(blob))
    }
}
