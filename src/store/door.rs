//! The way into the store for its callers: bounded, without blocking a task, and with one answer
//! for everybody once the store is closed or poisoned.

use std::{
    fmt,
    future::Future,
    sync::{Arc, Mutex, PoisonError, mpsc::SyncSender},
};

use greenroom_actors::ports::{AppendError, JournalError};
use rusqlite::Connection;
use tokio::sync::Semaphore;

use super::{
    readers::{self, Read},
    trouble::Trouble,
    writer::{self, Job, Poison},
};

/// The way in, shared with every request under way.
#[derive(Clone, Debug)]
pub(super) struct Door {
    /// To the writer.
    pub(super) writes: Queue<Job>,
    /// To the readers.
    pub(super) reads: Queue<Read>,
    /// Why nobody is answered any more.
    pub(super) poison: Poison,
}

/// A bounded queue to threads: callers wait for a permit without blocking, then the send cannot.
pub(super) struct Queue<T> {
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
    /// A queue of so many places.
    pub(super) fn new(places: usize, sender: SyncSender<T>) -> Self {
        let sender = Arc::new(Mutex::new(Some(sender)));
        Self { permits: Arc::new(Semaphore::new(places)), sender }
    }

    /// Whether it went in; it does not once the queue is shut.
    pub(super) fn send(&self, item: T) -> bool {
        let sender = self.sender.lock().unwrap_or_else(PoisonError::into_inner);
        sender.as_ref().is_some_and(|sender| sender.try_send(item).is_ok())
    }

    /// Lets nobody in any more; what is inside is still served.
    pub(super) fn shut(&self) {
        self.permits.close();
        drop(self.sender.lock().unwrap_or_else(PoisonError::into_inner).take());
    }
}

impl Door {
    /// Sends work to the writer and waits for its commit.
    pub(super) async fn write<T: Send + 'static>(
        self,
        work: impl Fn(&Connection) -> Result<T, Trouble> + Send + 'static,
    ) -> Result<T, AppendError> {
        self.send(work, false).await
    }

    /// The same for work that takes something away: what the write-ahead log still holds of it goes too.
    pub(super) async fn write_and_forget<T: Send + 'static>(
        self,
        work: impl Fn(&Connection) -> Result<T, Trouble> + Send + 'static,
    ) -> Result<T, AppendError> {
        self.send(work, true).await
    }

    async fn send<T: Send + 'static>(
        self,
        work: impl Fn(&Connection) -> Result<T, Trouble> + Send + 'static,
        forgets: bool,
    ) -> Result<T, AppendError> {
        let permit = Arc::clone(&self.writes.permits).acquire_owned().await;
        let permit = permit.map_err(|_shut| self.gone())?;
        let (job, answer) = writer::job(permit, work, forgets);
        if !self.writes.send(job) {
            return Err(self.gone().into());
        }
        answer.await.unwrap_or_else(|_lost| Err(self.gone().into()))
    }

    /// Sends work to a reader.
    pub(super) async fn read<T: Send + 'static>(
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
            // Closing shuts the readers first.
            if self.reads.permits.is_closed() {
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

/// The answer to a request that is never fenced.
pub(super) async fn unfenced<T>(
    answer: impl Future<Output = Result<T, AppendError>>,
) -> Result<T, JournalError> {
    answer.await.map_err(journal)
}
