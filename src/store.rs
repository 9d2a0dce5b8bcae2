//! The store on one machine: journal, catalog and blobs in one SQLite file.
//!
//! One thread writes, a few read; see `writer` for what an acknowledgement means. The store owns
//! its file alone (`lock`), refuses to open what it cannot keep safe (`open`), and once a sync or a
//! commit has failed acknowledges nothing more until it has been opened anew.

mod blob;
mod catalog;
mod checkup;
mod columns;
mod door;
mod erase;
mod links;
mod lock;
mod log;
mod open;
mod ports;
mod readers;
#[cfg(test)]
mod tests;
mod trouble;
mod writer;

use std::{
    path::Path,
    sync::{Arc, Mutex, PoisonError, mpsc::sync_channel},
    thread::{self, JoinHandle},
};

use greenroom_actors::limits;
use tokio::sync::watch;

pub use checkup::Checkup;
use door::{Door, Queue};
use links::Fresh;
pub use lock::Holder;
pub use open::OpenError;
use writer::{Poison, Writer};

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
    fresh: Arc<Fresh>,
    hindrance: watch::Receiver<Option<String>>,
    threads: Mutex<Threads>,
}

/// What must be joined before the lock is let go, in this order.
#[derive(Debug)]
struct Threads {
    readers: Vec<JoinHandle<()>>,
    writer: Option<JoinHandle<()>>,
    lock: Option<lock::Lock>,
}

impl Store {
    /// Opens a store, or creates it.
    ///
    /// # Errors
    /// When the file cannot be kept safe; the error names the holder and the way out.
    pub fn open(path: &Path, options: StoreOptions) -> Result<Self, OpenError> {
        let path = &open::real(path);
        let (lock, conn) = open::writer(path)?;
        let readers = (0..options.readers.max(1))
            .map(|_no| open::reader(path))
            .collect::<Result<Vec<_>, _>>()?;
        let thread = |source| OpenError::Thread { path: path.to_owned(), source };
        let poison = Poison::default();
        let (write, jobs) = sync_channel(limits::JOURNAL_QUEUE);
        let (read, reads) = sync_channel(limits::STORE_READS);
        let (hinders, hindrance) = watch::channel(None);
        let writer = Writer::new(conn, jobs, (poison.clone(), hinders));
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
        let fresh = Arc::default();
        Ok(Self { door, fresh, hindrance, threads: Mutex::new(threads) })
    }

    /// Opens a store to look at, also while a runtime holds it. Whatever would write is refused.
    ///
    /// # Errors
    /// When it is not there, is not ours, or has another form.
    pub fn look(path: &Path) -> Result<Self, OpenError> {
        let thread = |source| OpenError::Thread { path: path.to_owned(), source };
        let (write, _nobody) = sync_channel(1);
        let (read, reads) = sync_channel(limits::STORE_READS);
        let readers = readers::start(vec![open::onlooker(path)?], reads).map_err(thread)?;
        let door = Door {
            writes: Queue::new(1, write),
            reads: Queue::new(limits::STORE_READS, read),
            poison: Poison::default(),
        };
        door.writes.shut();
        let threads = Threads { readers, writer: None, lock: None };
        let (_nobody, hindrance) = watch::channel(None);
        let fresh = Arc::default();
        Ok(Self { door, fresh, hindrance, threads: Mutex::new(threads) })
    }

    /// Why nothing can be written for now, in words that say what to do; empty while it can.
    #[must_use]
    pub fn hindrance(&self) -> watch::Receiver<Option<String>> {
        self.hindrance.clone()
    }

    /// Commits what was accepted, copies the write-ahead log back and lets the file go. Requests
    /// from then on are refused. Blocks for as long as the disk takes.
    pub fn close(&self) {
        // Readers first: a reading snapshot would stop the last copy back.
        self.door.reads.shut();
        let mut threads = self.threads.lock().unwrap_or_else(PoisonError::into_inner);
        for reader in threads.readers.drain(..) {
            // A thread that panicked has told its callers.
            let _said = reader.join();
        }
        self.door.writes.shut();
        if let Some(writer) = threads.writer.take() {
            // As above.
            let _said = writer.join();
        }
        drop(threads.lock.take());
    }

    /// Runs SQL on the writing connection, to bring about what a test needs.
    #[cfg(test)]
    async fn raw(&self, sql: &'static str) {
        let run = move |conn: &rusqlite::Connection| Ok(conn.execute_batch(sql)?);
        self.door.clone().write(run).await.unwrap();
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        self.close();
    }
}
