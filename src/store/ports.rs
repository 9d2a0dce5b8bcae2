//! The ports that the store implements, each a piece of work sent through the door.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use greenroom_actors::{
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
    ports::{Append, AppendError, Blobs, Catalog, Claim, Journal, JournalError, Pieces},
};
use rusqlite::Connection;

use super::{
    Store, blob, catalog,
    door::unfenced,
    erase, log,
    trouble::{Trouble, within},
};

impl Journal for Store {
    fn claim(&self, log: LogId) -> BoxFuture<'static, Result<Claim, JournalError>> {
        let work = move |conn: &Connection| log::claim(conn, log).map_err(within(log));
        Box::pin(unfenced(self.door.clone().write(work)))
    }

    fn append(&self, append: Append) -> BoxFuture<'static, Result<Position, AppendError>> {
        let log = append.envelope.log;
        let (fresh, append) = (Arc::clone(&self.fresh), Arc::new(append));
        let written = Arc::clone(&append);
        let work = move |conn: &Connection| log::append(conn, &append).map_err(within(log));
        let write = self.door.clone().write(work);
        Box::pin(async move {
            let position = write.await?;
            fresh.frame(&written.body);
            Ok(position)
        })
    }

    fn read(
        &self,
        log: LogId,
        after: Position,
        rows: usize,
    ) -> BoxFuture<'static, Result<Vec<StoredFrame>, JournalError>> {
        let work = move |conn: &Connection| log::read(conn, log, after, rows).map_err(within(log));
        Box::pin(self.door.clone().read(work))
    }

    fn tail(&self, log: LogId) -> BoxFuture<'static, Result<(Position, Token), JournalError>> {
        let work = move |conn: &Connection| log::tail(conn, log).map_err(within(log));
        Box::pin(self.door.clone().read(work))
    }
}

impl Catalog for Store {
    fn sessions(
        &self,
        filter: SessionFilter,
    ) -> BoxFuture<'static, Result<Vec<SessionRow>, JournalError>> {
        Box::pin(self.door.clone().read(move |conn| catalog::sessions(conn, &filter)))
    }

    fn session(
        &self,
        session: SessionId,
    ) -> BoxFuture<'static, Result<Option<SessionRow>, JournalError>> {
        Box::pin(self.door.clone().read(move |conn| catalog::session(conn, session)))
    }

    fn approvals(
        &self,
        filter: ApprovalFilter,
    ) -> BoxFuture<'static, Result<Vec<ApprovalRow>, JournalError>> {
        Box::pin(self.door.clone().read(move |conn| catalog::approvals(conn, &filter)))
    }

    fn open(&self, tenant: Option<TenantId>) -> BoxFuture<'static, Result<Open, JournalError>> {
        Box::pin(self.door.clone().read(move |conn| catalog::open(conn, tenant.as_ref())))
    }

    fn branches(
        &self,
        of: Vec<SessionId>,
    ) -> BoxFuture<'static, Result<Vec<Branch>, JournalError>> {
        Box::pin(self.door.clone().read(move |conn| catalog::branches(conn, &of)))
    }

    fn totals(&self, of: TotalsOf) -> BoxFuture<'static, Result<Totals, JournalError>> {
        Box::pin(self.door.clone().read(move |conn| catalog::totals(conn, &of)))
    }

    fn accounts(
        &self,
        roots: Vec<SessionId>,
        rows: usize,
    ) -> BoxFuture<'static, Result<Vec<Account>, JournalError>> {
        Box::pin(self.door.clone().read(move |conn| catalog::accounts(conn, &roots, rows)))
    }

    fn census(
        &self,
        tenant: Option<TenantId>,
    ) -> BoxFuture<'static, Result<Vec<Census>, JournalError>> {
        Box::pin(self.door.clone().read(move |conn| catalog::census(conn, tenant.as_ref())))
    }

    fn in_trees(&self, filter: SessionFilter) -> BoxFuture<'static, Result<u64, JournalError>> {
        Box::pin(self.door.clone().read(move |conn| catalog::in_trees(conn, &filter)))
    }

    fn input(
        &self,
        session: SessionId,
        key: InputKey,
    ) -> BoxFuture<'static, Result<Option<Position>, JournalError>> {
        Box::pin(self.door.clone().read(move |conn| catalog::input(conn, session, &key)))
    }

    fn checkpoints(
        &self,
        session: SessionId,
    ) -> BoxFuture<'static, Result<Vec<CheckpointRow>, JournalError>> {
        Box::pin(self.door.clone().read(move |conn| catalog::checkpoints(conn, session)))
    }

    fn jobs(&self, filter: JobFilter) -> BoxFuture<'static, Result<Vec<JobRow>, JournalError>> {
        Box::pin(self.door.clone().read(move |conn| catalog::jobs(conn, &filter)))
    }

    fn job(&self, job: JobId) -> BoxFuture<'static, Result<Option<JobRow>, JournalError>> {
        Box::pin(self.door.clone().read(move |conn| catalog::job(conn, job)))
    }

    fn stale_jobs(&self) -> BoxFuture<'static, Result<Vec<JobId>, JournalError>> {
        Box::pin(self.door.clone().read(catalog::stale_jobs))
    }

    fn replace_job(
        &self,
        job: JobId,
        upto: Position,
        row: Box<JobRow>,
    ) -> BoxFuture<'static, Result<Position, AppendError>> {
        Box::pin(self.door.clone().write(move |conn| {
            catalog::replace_job(conn, job, &row)?;
            log::followed_anew(conn, LogId::job(job), upto)
        }))
    }

    fn stale(&self) -> BoxFuture<'static, Result<Vec<SessionId>, JournalError>> {
        Box::pin(self.door.clone().read(catalog::stale))
    }

    fn replace(
        &self,
        session: SessionId,
        upto: Position,
        changes: Vec<Change>,
    ) -> BoxFuture<'static, Result<Position, AppendError>> {
        Box::pin(self.door.clone().write(move |conn| {
            catalog::replace(conn, session, &changes)?;
            log::followed_anew(conn, LogId::session(session), upto)
        }))
    }

    fn hinders(
        &self,
        erasure: Erasure,
    ) -> BoxFuture<'static, Result<Option<Hindrance>, JournalError>> {
        Box::pin(self.door.clone().read(move |conn| erase::hinders(conn, &erasure)))
    }

    fn erase(
        &self,
        erasure: Erasure,
    ) -> BoxFuture<'static, Result<Result<u64, Hindrance>, JournalError>> {
        let fresh = Arc::clone(&self.fresh);
        let work = move |conn: &Connection| erase::erase(conn, &erasure, &fresh);
        Box::pin(unfenced(self.door.clone().write_and_forget(work)))
    }
}

impl Blobs for Store {
    fn put(&self, bytes: Vec<u8>) -> BoxFuture<'static, Result<BlobRef, JournalError>> {
        let name = blob::name(&bytes);
        self.fresh.put(&name.sha256);
        Box::pin(unfenced(self.door.clone().write(move |conn| {
            blob::put(conn, &name, &bytes)?;
            Ok(name.clone())
        })))
    }

    fn put_pieces(
        &self,
        pieces: Arc<dyn Pieces>,
    ) -> BoxFuture<'static, Result<BlobRef, JournalError>> {
        let (door, fresh) = (self.door.clone(), Arc::clone(&self.fresh));
        Box::pin(async move {
            // Named beside the writer, for whom a large one would be a long pause. It holds nothing
            // but the pieces, so that it may end on its own when nobody waits any more.
            let named = Arc::clone(&pieces);
            let name = tokio::task::spawn_blocking(move || blob::name_pieces(&*named)).await;
            let name = name.unwrap_or_else(|error| Err(Trouble::Refused(error.to_string())));
            let name = name.map_err(AppendError::from);
            let put = async {
                let name = name?;
                fresh.put(&name.sha256);
                let work = move |conn: &Connection| {
                    blob::put_pieces(conn, &name, &*pieces)?;
                    Ok(name.clone())
                };
                door.write(work).await
            };
            unfenced(put).await
        })
    }

    fn get(&self, blob: BlobRef) -> BoxFuture<'static, Result<Option<Vec<u8>>, JournalError>> {
        Box::pin(self.door.clone().read(move |conn| blob::get(conn, &blob)))
    }
}
