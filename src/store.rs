//! The store on one machine: journal, catalog and blobs in one SQLite file.
//!
//! One thread writes, a few read; see `writer` for what an acknowledgement means. The store owns
//! its file alone (`lock`), refuses to open what it cannot keep safe (`open`), and once a sync or a
//! commit has failed acknowledges nothing more until it has been opened anew.

mod blob;
mod catalog;
mod columns;
mod lock;
mod log;
mod open;
mod readers;
#[cfg(test)]
mod tests;
mod trouble;
mod writer;

use std::{
    fmt,
    future::Future,
    path::Path,
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{SyncSender, sync_channel},
    },
    thread::{self, JoinHandle},
};

use futures_util::future::BoxFuture;
use greenroom_actors::{
    domain::{
        catalog::{
            ApprovalRow, Change, CheckpointRow, SessionFilter, SessionRow, Totals, TotalsOf,
        },
        conversation::BlobRef,
        frame::{LogId, StoredFrame},
        ids::{Position, SessionId, TenantId, Token},
    },
    limits,
    ports::{Append, AppendError, Blobs, Catalog, Claim, Journal, JournalError},
};
use rusqlite::Connection;
use tokio::sync::Semaphore;

pub use open::OpenError;
use readers::Read;
use trouble::Trouble;
use writer::{Job, Poison, Writer};

/// How a store is opened.
#[derive(Clone, Copy, Debug)]
pub struct StoreOptions {
    /// Reading connections.
    pub readers: usize,
}

impl Default for StoreOptions {
    fn default() -> Self {
        Self { readers: limits::STORE_READERS }
    }
}

/// A store in an SQLite file. Dropping it closes it: what was accepted is committed first.
#[derive(Debug)]
pub struct Store {
    door: Door,
    threads: Mutex<Threads>,
}

/// What must be joined before the lock is let go, in this order.
#[derive(Debug)]
struct Threads {
    readers: Vec<JoinHandle<()>>,
    writer: Option<JoinHandle<()>>,
    lock: Option<lock::Lock>,
}

/// The way in, shared with every request under way.
#[derive(Clone, Debug)]
struct Door {
    writes: Queue<Job>,
    reads: Queue<Read>,
    poison: Poison,
}

/// A bounded queue to threads: callers wait for a permit without blocking, then the send cannot.
struct Queue<T> {
    permits: Arc<Semaphore>,
    sender: Arc<Mutex<Option<SyncSender<T>>>>,
}

impl<T> Clone for Queue<T> {
    fn clone(&self) -> Self {
        Self { permits: Arc::clone(&self.permits), sender: Arc::clone(&self.sender) }
    }
}

impl<T> fmt::Debug for Queue<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Queue").field("places", &self.permits.available_permits()).finish()
    }
}

impl<T> Queue<T> {
    fn new(places: usize, sender: SyncSender<T>) -> Self {
        let sender = Arc::new(Mutex::new(Some(sender)));
        Self { permits: Arc::new(Semaphore::new(places)), sender }
    }

    /// Whether it went in; it does not once the queue is shut.
    fn send(&self, item: T) -> bool {
        let sender = self.sender.lock().unwrap_or_else(PoisonError::into_inner);
        sender.as_ref().is_some_and(|sender| sender.try_send(item).is_ok())
    }

    /// Lets nobody in any more; what is inside is still served.
    fn shut(&self) {
        self.permits.close();
        drop(self.sender.lock().unwrap_or_else(PoisonError::into_inner).take());
    }
}

impl Store {
    /// Opens a store, or creates it.
    ///
    /// # Errors
    /// When the file cannot be kept safe; the error names the holder and the way out.
    pub fn open(path: &Path, options: StoreOptions) -> Result<Self, OpenError> {
        let (lock, conn) = open::writer(path)?;
        let readers = (0..options.readers.max(1))
            .map(|_no| open::reader(path))
            .collect::<Result<Vec<_>, _>>()?;
        let thread = |source| OpenError::Thread { path: path.to_owned(), source };
        let poison = Poison::default();
        // One more than there are permits: the request to close needs none.
        let (write, jobs) = sync_channel(limits::JOURNAL_QUEUE + 1);
        let (read, reads) = sync_channel(limits::STORE_READS);
        let writer = Writer::new(conn, jobs, poison.clone());
        let writer = thread::Builder::new()
            .name("store-writer".to_owned())
            .spawn(move || writer.run())
            .map_err(thread)?;
        let readers = readers::start(readers, reads).map_err(thread)?;
        let door = Door {
            writes: Queue::new(limits::JOURNAL_QUEUE, write),
            reads: Queue::new(limits::STORE_READS, read),
            poison,
        };
        let threads = Threads { readers, writer: Some(writer), lock: Some(lock) };
        Ok(Self { door, threads: Mutex::new(threads) })
    }

    /// Commits what was accepted, copies the write-ahead log back and lets the file go. Requests
    /// from then on are refused. Blocks for as long as the disk takes.
    pub fn close(&self) {
        self.door.writes.send(Job::Close);
        self.door.writes.shut();
        self.door.reads.shut();
        let mut threads = self.threads.lock().unwrap_or_else(PoisonError::into_inner);
        // Readers first: a reading snapshot would stop the last copy back. A thread that panicked
        // has said so through the poison.
        for reader in threads.readers.drain(..) {
            let _ = reader.join();
        }
        if let Some(writer) = threads.writer.take() {
            let _ = writer.join();
        }
        drop(threads.lock.take());
    }

    /// Sessions whose part of the catalog has not followed their log and must be replaced.
    ///
    /// # Errors
    /// As `Catalog`.
    pub async fn stale_sessions(&self) -> Result<Vec<SessionId>, JournalError> {
        self.door.clone().read(catalog::stale).await
    }

    /// Replaces what the catalog says about a session by what all its frames up to `upto` do to
    /// it. Refused as fenced when the log has grown meanwhile: read it again.
    ///
    /// # Errors
    /// As `Journal::append`.
    pub fn replace_catalog(
        &self,
        session: SessionId,
        upto: Position,
        changes: Vec<Change>,
    ) -> BoxFuture<'static, Result<Position, AppendError>> {
        let door = self.door.clone();
        Box::pin(door.write(move |conn| {
            catalog::replace(conn, session, &changes)?;
            log::followed_anew(conn, LogId::session(session), upto)
        }))
    }

    /// Runs SQL on the writing connection, to bring about what a test needs.
    #[cfg(test)]
    async fn raw(&self, sql: &'static str) {
        let run = move |conn: &Connection| Ok(conn.execute_batch(sql)?);
        self.door.clone().write(run).await.unwrap();
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        self.close();
    }
}

impl Door {
    async fn write<T: Send + 'static>(
        self,
        work: impl FnOnce(&Connection) -> Result<T, Trouble> + Send + 'static,
    ) -> Result<T, AppendError> {
        let permit = Arc::clone(&self.writes.permits).acquire_owned().await;
        let permit = permit.map_err(|_shut| self.gone())?;
        let (job, answer) = writer::job(permit, work);
        if !self.writes.send(job) {
            return Err(self.gone().into());
        }
        answer.await.unwrap_or_else(|_lost| Err(self.gone().into()))
    }

    async fn read<T: Send + 'static>(
        self,
        work: impl FnOnce(&Connection) -> Result<T, Trouble> + Send + 'static,
    ) -> Result<T, JournalError> {
        if let Some(poisoned) = self.poison.error() {
            return Err(poisoned);
        }
        let permit = Arc::clone(&self.reads.permits).acquire_owned().await;
        let permit = permit.map_err(|_shut| self.gone())?;
        let (read, answer) = readers::read(permit, work);
        if !self.reads.send(read) {
            return Err(self.gone());
        }
        let answer = answer.await.unwrap_or_else(|_lost| {
            let why = "the read panicked".to_owned();
            Err(JournalError::Unavailable { why }.into())
        });
        // What was read while a commit failed may not be durable.
        match self.poison.error() {
            Some(poisoned) => Err(poisoned),
            None => answer.map_err(journal),
        }
    }

    /// Why nobody answers.
    fn gone(&self) -> JournalError {
        self.poison.error().unwrap_or_else(|| {
            if self.writes.permits.is_closed() {
                return JournalError::Unavailable { why: "the store is closed".to_owned() };
            }
            // A panicking writer loses its answers a moment before the poison is set.
            JournalError::Poisoned { why: "the writer is gone".to_owned() }
        })
    }
}

/// The error of a request that is never fenced.
fn journal(error: AppendError) -> JournalError {
    match error {
        AppendError::Journal(error) => error,
        AppendError::Fenced { .. } => JournalError::Unavailable { why: error.to_string() },
    }
}

async fn unfenced<T>(
    answer: impl Future<Output = Result<T, AppendError>>,
) -> Result<T, JournalError> {
    answer.await.map_err(journal)
}

impl Journal for Store {
    fn claim(&self, log: LogId) -> BoxFuture<'static, Result<Claim, JournalError>> {
        Box::pin(unfenced(self.door.clone().write(move |conn| log::claim(conn, log))))
    }

    fn append(&self, append: Append) -> BoxFuture<'static, Result<Position, AppendError>> {
        Box::pin(self.door.clone().write(move |conn| log::append(conn, &append)))
    }

    fn read(
        &self,
        log: LogId,
        after: Position,
        rows: usize,
    ) -> BoxFuture<'static, Result<Vec<StoredFrame>, JournalError>> {
        Box::pin(self.door.clone().read(move |conn| log::read(conn, log, after, rows)))
    }

    fn tail(&self, log: LogId) -> BoxFuture<'static, Result<(Position, Token), JournalError>> {
        Box::pin(self.door.clone().read(move |conn| log::tail(conn, log)))
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
        tenant: Option<TenantId>,
    ) -> BoxFuture<'static, Result<Vec<ApprovalRow>, JournalError>> {
        Box::pin(self.door.clone().read(move |conn| catalog::approvals(conn, tenant.as_ref())))
    }

    fn totals(&self, of: TotalsOf) -> BoxFuture<'static, Result<Totals, JournalError>> {
        Box::pin(self.door.clone().read(move |conn| catalog::totals(conn, &of)))
    }

    fn checkpoints(
        &self,
        session: SessionId,
    ) -> BoxFuture<'static, Result<Vec<CheckpointRow>, JournalError>> {
        Box::pin(self.door.clone().read(move |conn| catalog::checkpoints(conn, session)))
    }
}

impl Blobs for Store {
    fn put(&self, bytes: Vec<u8>) -> BoxFuture<'static, Result<BlobRef, JournalError>> {
        Box::pin(unfenced(self.door.clone().write(move |conn| {
            let name = blob::name(&bytes);
            blob::put(conn, &name, &bytes)?;
            Ok(name)
        })))
    }

    fn get(&self, blob: BlobRef) -> BoxFuture<'static, Result<Option<Vec<u8>>, JournalError>> {
        Box::pin(self.door.clone().read(move |conn| blob::get(conn, &blob)))
    }
}
