//! What the figures are held against: a group-commit loop over bare SQLite that does the same
//! commits and nothing else.

use std::{
    path::Path,
    sync::mpsc::{Receiver, SyncSender, sync_channel},
    thread::JoinHandle,
};

use greenroom_actors::limits;
use rusqlite::{Connection, params};
use tokio::sync::oneshot;

/// A row to write, and where its commit is told.
struct Row {
    log: i64,
    position: i64,
    body: String,
    done: oneshot::Sender<()>,
}

/// The loop on its thread, with the settings of the real store.
pub struct Loop {
    rows: Option<SyncSender<Row>>,
    thread: Option<JoinHandle<()>>,
}

impl Loop {
    pub fn start(path: &Path) -> Self {
        let conn = Connection::open(path).expect("open");
        let settings = "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; \
             CREATE TABLE frame(log INTEGER, position INTEGER, body TEXT, PRIMARY KEY(log, position));";
        conn.execute_batch(settings).expect("settings");
        let (rows, waiting) = sync_channel(limits::JOURNAL_QUEUE);
        let thread = std::thread::spawn(move || serve(&conn, &waiting));
        Self { rows: Some(rows), thread: Some(thread) }
    }

    /// Writes a row and waits for the commit that holds it.
    pub async fn append(&self, log: i64, position: i64, body: String) {
        let (done, committed) = oneshot::channel();
        let rows = self.rows.as_ref().expect("running").clone();
        let row = Row { log, position, body, done };
        rows.send(row).expect("the loop lives");
        committed.await.expect("committed");
    }
}

impl Drop for Loop {
    fn drop(&mut self) {
        drop(self.rows.take());
        self.thread.take().map(JoinHandle::join).transpose().expect("the loop ends");
    }
}

fn serve(conn: &Connection, waiting: &Receiver<Row>) {
    while let Ok(first) = waiting.recv() {
        let mut group = vec![first];
        group.extend(waiting.try_iter().take(limits::COMMIT_FRAMES - 1));
        conn.execute_batch("BEGIN IMMEDIATE").expect("begin");
        for row in &group {
            conn.prepare_cached("INSERT INTO frame VALUES (?1, ?2, ?3)")
                .expect("prepare")
                .execute(params![row.log, row.position, row.body])
                .expect("insert");
        }
        conn.execute_batch("COMMIT").expect("commit");
        for row in group {
            // Whoever waited is still there; a bench breaks nothing off.
            row.done.send(()).expect("somebody waits");
        }
    }
}
