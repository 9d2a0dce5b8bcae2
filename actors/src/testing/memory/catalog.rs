//! The catalog of a store in memory: every question under the one lock.

use futures_util::future::BoxFuture;

use super::MemoryStore;
use crate::{
    domain::{
        catalog::{
            Account, ApprovalFilter, ApprovalRow, Branch, Census, Change, CheckpointRow, Erasure,
            Hindrance, Open, SessionFilter, SessionRow, Totals, TotalsOf,
        },
        ids::{InputKey, Position, SessionId, TenantId},
        job::{JobFilter, JobId, JobRow},
    },
    ports::{AppendError, Catalog, JournalError},
};

impl Catalog for MemoryStore {
    fn sessions(
        &self,
        filter: SessionFilter,
    ) -> BoxFuture<'static, Result<Vec<SessionRow>, JournalError>> {
        self.with(move |state| Ok(state.rows.sessions(&filter)))
    }

    fn session(
        &self,
        session: SessionId,
    ) -> BoxFuture<'static, Result<Option<SessionRow>, JournalError>> {
        self.with(move |state| Ok(state.rows.session(session)))
    }

    fn approvals(
        &self,
        filter: ApprovalFilter,
    ) -> BoxFuture<'static, Result<Vec<ApprovalRow>, JournalError>> {
        self.with(move |state| Ok(state.rows.approvals(&filter)))
    }

    fn open(&self, tenant: Option<TenantId>) -> BoxFuture<'static, Result<Open, JournalError>> {
        self.with(move |state| Ok(state.rows.open(tenant.as_ref())))
    }

    fn branches(
        &self,
        of: Vec<SessionId>,
    ) -> BoxFuture<'static, Result<Vec<Branch>, JournalError>> {
        self.with(move |state| Ok(state.rows.branches(&of)))
    }

    fn totals(&self, of: TotalsOf) -> BoxFuture<'static, Result<Totals, JournalError>> {
        self.with(move |state| Ok(state.rows.totals(&of)))
    }

    fn accounts(
        &self,
        roots: Vec<SessionId>,
        rows: usize,
    ) -> BoxFuture<'static, Result<Vec<Account>, JournalError>> {
        self.with(move |state| Ok(state.rows.accounts(&roots, rows)))
    }

    fn census(
        &self,
        tenant: Option<TenantId>,
    ) -> BoxFuture<'static, Result<Vec<Census>, JournalError>> {
        self.with(move |state| Ok(state.rows.census(tenant.as_ref())))
    }

    fn in_trees(&self, filter: SessionFilter) -> BoxFuture<'static, Result<u64, JournalError>> {
        self.with(move |state| Ok(state.rows.in_trees(filter)))
    }

    fn input(
        &self,
        session: SessionId,
        key: InputKey,
    ) -> BoxFuture<'static, Result<Option<Position>, JournalError>> {
        self.with(move |state| Ok(state.rows.input(session, &key)))
    }

    fn checkpoints(
        &self,
        session: SessionId,
    ) -> BoxFuture<'static, Result<Vec<CheckpointRow>, JournalError>> {
        self.with(move |state| Ok(state.rows.checkpoints(session)))
    }

    fn jobs(&self, filter: JobFilter) -> BoxFuture<'static, Result<Vec<JobRow>, JournalError>> {
        self.with(move |state| Ok(state.rows.jobs(&filter)))
    }

    fn job(&self, job: JobId) -> BoxFuture<'static, Result<Option<JobRow>, JournalError>> {
        self.with(move |state| Ok(state.rows.job(job)))
    }

    fn stale_jobs(&self) -> BoxFuture<'static, Result<Vec<JobId>, JournalError>> {
        self.with(|state| Ok(state.stale_jobs.iter().copied().collect()))
    }

    fn replace_job(
        &self,
        job: JobId,
        upto: Position,
        row: Box<JobRow>,
    ) -> BoxFuture<'static, Result<Position, AppendError>> {
        let store = self.clone();
        Box::pin(async move { store.state().replace_job(job, upto, row) })
    }

    fn stale(&self) -> BoxFuture<'static, Result<Vec<SessionId>, JournalError>> {
        // Frames and rows move under one lock here, so nothing falls behind by itself.
        self.with(|state| Ok(state.stale.iter().copied().collect()))
    }

    fn replace(
        &self,
        session: SessionId,
        upto: Position,
        changes: Vec<Change>,
    ) -> BoxFuture<'static, Result<Position, AppendError>> {
        let store = self.clone();
        Box::pin(async move { store.state().replace(session, upto, changes) })
    }

    fn hinders(
        &self,
        erasure: Erasure,
    ) -> BoxFuture<'static, Result<Option<Hindrance>, JournalError>> {
        self.with(move |state| Ok(state.hinders(&erasure)))
    }

    fn erase(
        &self,
        erasure: Erasure,
    ) -> BoxFuture<'static, Result<Result<u64, Hindrance>, JournalError>> {
        self.with(move |state| {
            if !state.stale.iter().all(|session| erasure.off_stage.contains(session)) {
                let why = "the catalog is behind the logs; ask again".to_owned();
                return Err(JournalError::Unavailable { why });
            }
            Ok(state.erase(&erasure))
        })
    }
}
