//! The reading connections: a few threads, each with its own, behind one bounded queue. A read
//! holds a snapshot only while it runs, so that the write-ahead log can be copied back.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex, PoisonError, mpsc::Receiver},
    thread::{self, JoinHandle},
};

use greenroom_actors::ports::AppendError;
use rusqlite::Connection;
use tokio::sync::{OwnedSemaphorePermit, oneshot};

use super::trouble::Trouble;

/// A read waiting for a connection. Its permit is its place in the bounded queue.
pub(super) struct Read {
    work: Box<dyn FnOnce(&Connection) + Send>,
    _permit: OwnedSemaphorePermit,
}

/// A read and where its answer arrives.
pub(super) fn read<T: Send + 'static>(
    permit: OwnedSemaphorePermit,
    read: impl FnOnce(&Connection) -> Result<T, Trouble> + Send + 'static,
) -> (Read, oneshot::Receiver<Result<T, AppendError>>) {
    let (reply, answer) = oneshot::channel();
    let work = Box::new(move |conn: &Connection| {
        // Nobody waits for the answer of a read whose caller has gone: it is not even run.
        if !reply.is_closed() {
            // It may go meanwhile.
            let _gone = reply.send(read(conn).map_err(AppendError::from));
        }
    });
    (Read { work, _permit: permit }, answer)
}

/// Starts a thread per connection.
pub(super) fn start(
    conns: Vec<Connection>,
    reads: Receiver<Read>,
) -> std::io::Result<Vec<JoinHandle<()>>> {
    let reads = Arc::new(Mutex::new(reads));
    let serve = |(no, conn): (usize, Connection)| {
        let reads = Arc::clone(&reads);
        thread::Builder::new().name(format!("store-reader-{no}")).spawn(move || {
            loop {
                // One thread waits in the queue, the others for their turn to. The guard is gone
                // before the work begins.
                let next = reads.lock().unwrap_or_else(PoisonError::into_inner).recv();
                let Ok(next) = next else { return };
                // A read changes nothing, so the connection is whole whatever happened in it;
                // its caller hears that there is no answer.
                let _panicked = catch_unwind(AssertUnwindSafe(|| (next.work)(&conn)));
            }
        })
    };
    conns.into_iter().enumerate().map(serve).collect()
}
