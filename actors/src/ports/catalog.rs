//! The read model over all sessions and jobs. What it says follows from the logs and from nothing else;
//! deletion is asked of it because it knows who hangs together.

use futures_util::future::BoxFuture;

use crate::domain::{
    catalog::{
        Account, ApprovalFilter, ApprovalRow, Branch, Census, Change, CheckpointRow, Erasure,
        Hindrance, Open, SessionFilter, SessionRow, Totals, TotalsOf,
    },
    ids::{InputKey, Position, SessionId, TenantId},
    job::{JobFilter, JobId, JobRow},
};

use super::{AppendError, JournalError};

/// The read model over all sessions. It follows the journal; no decision reads it before it has
/// caught up, and its failure stops no append.
pub trait Catalog: Send + Sync + 'static {
    /// Lines of sessions, in the order of their ids; the newest first where that is wished.
    fn sessions(
        &self,
        filter: SessionFilter,
    ) -> BoxFuture<'static, Result<Vec<SessionRow>, JournalError>>;

    /// One session's line.
    fn session(
        &self,
        session: SessionId,
    ) -> BoxFuture<'static, Result<Option<SessionRow>, JournalError>>;

    /// Open approvals, oldest expiry first.
    fn approvals(
        &self,
        filter: ApprovalFilter,
    ) -> BoxFuture<'static, Result<Vec<ApprovalRow>, JournalError>>;

    /// How much is open.
    fn open(&self, tenant: Option<TenantId>) -> BoxFuture<'static, Result<Open, JournalError>>;

    /// Sums of what was booked.
    fn totals(&self, of: TotalsOf) -> BoxFuture<'static, Result<Totals, JournalError>>;

    /// Sessions of these trees, in the order of their ids, each with what it spent; at most `rows`.
    fn accounts(
        &self,
        roots: Vec<SessionId>,
        rows: usize,
    ) -> BoxFuture<'static, Result<Vec<Account>, JournalError>>;

    /// What each of these came to with everybody below it, in their order; one that is not there came
    /// to nothing.
    fn branches(&self, of: Vec<SessionId>)
    -> BoxFuture<'static, Result<Vec<Branch>, JournalError>>;

    /// How many sessions of each agent are in which state.
    fn census(
        &self,
        tenant: Option<TenantId>,
    ) -> BoxFuture<'static, Result<Vec<Census>, JournalError>>;

    /// How many sessions are in the trees that a filter finds by their roots, whatever its `rows` and
    /// `after` say.
    fn in_trees(&self, filter: SessionFilter) -> BoxFuture<'static, Result<u64, JournalError>>;

    /// The frame in which a session accepted an input.
    fn input(
        &self,
        session: SessionId,
        key: InputKey,
    ) -> BoxFuture<'static, Result<Option<Position>, JournalError>>;

    /// A session's checkpoints, oldest first.
    fn checkpoints(
        &self,
        session: SessionId,
    ) -> BoxFuture<'static, Result<Vec<CheckpointRow>, JournalError>>;

    /// Lines of jobs, in the order of their ids.
    fn jobs(&self, filter: JobFilter) -> BoxFuture<'static, Result<Vec<JobRow>, JournalError>>;

    /// One job's line.
    fn job(&self, job: JobId) -> BoxFuture<'static, Result<Option<JobRow>, JournalError>>;

    /// Jobs whose line has not followed their log and must be replaced.
    fn stale_jobs(&self) -> BoxFuture<'static, Result<Vec<JobId>, JournalError>>;

    /// Replaces a job's line by the one after its frame `upto`. Fenced when the log has grown
    /// meanwhile: read it again.
    fn replace_job(
        &self,
        job: JobId,
        upto: Position,
        row: Box<JobRow>,
    ) -> BoxFuture<'static, Result<Position, AppendError>>;

    /// Sessions whose part has not followed their log and must be replaced.
    fn stale(&self) -> BoxFuture<'static, Result<Vec<SessionId>, JournalError>>;

    /// Replaces what is said about a session by what all its frames up to `upto` do to it. Fenced
    /// when the log has grown meanwhile: read it again.
    fn replace(
        &self,
        session: SessionId,
        upto: Position,
        changes: Vec<Change>,
    ) -> BoxFuture<'static, Result<Position, AppendError>>;

    /// What keeps a tree from being deleted.
    fn hinders(
        &self,
        erasure: Erasure,
    ) -> BoxFuture<'static, Result<Option<Hindrance>, JournalError>>;

    /// Deletes a tree, all of it or nothing: its logs, what is said here about it, and the blobs that no
    /// other log names. Nothing of it can be read any more, in the file either. What it spent stays in the
    /// totals that are not of its sessions. Durable when it returns with how many sessions it had, and
    /// none of a tree that is not there. What hinders it is asked behind every frame written before.
    fn erase(
        &self,
        erasure: Erasure,
    ) -> BoxFuture<'static, Result<Result<u64, Hindrance>, JournalError>>;
}
