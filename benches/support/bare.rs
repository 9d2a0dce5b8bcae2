//! What the figures are held against: a group-commit loop over bare SQLite that commits the same
//! rows of frames, byte for byte, with the store's own settings of safety, and does nothing else:
//! no owner is checked, nothing is hashed, no read model follows.

use std::{
    path::Path,
    sync::{
        Arc,
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    thread::JoinHandle,
};

use greenroom_actors::{domain::frame::Chain, limits, ports::Append};
use rusqlite::{Connection, params};
use tokio::sync::oneshot;

/// As the store's: every commit is synced, the write-ahead log is copied back as rarely.
const SETTINGS: &str = "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; \
    PRAGMA wal_autocheckpoint = 8000; \
    CREATE TABLE frame(gsn INTEGER PRIMARY KEY, log INTEGER NOT NULL, position INTEGER NOT NULL, \
    token INTEGER NOT NULL, version INTEGER NOT NULL, tenant TEXT NOT NULL, \
    principal TEXT NOT NULL, caused_by TEXT, trace TEXT, at INTEGER NOT NULL, body TEXT NOT NULL, \
    digest BLOB NOT NULL, chain BLOB NOT NULL) STRICT; \
    CREATE UNIQUE INDEX frame_position ON frame(log, position);";

/// A row to write, and where its commit is told.
struct Row {
    log: i64,
    position: i64,
    frame: Arc<Append>,
    done: oneshot::Sender<()>,
}

/// The loop on its thread.
pub struct Loop {
    rows: Option<SyncSender<Row>>,
    thread: Option<JoinHandle<()>>,
}

impl Loop {
    pub fn start(path: &Path) -> Self {
        let conn = Connection::open(path).expect("open");
        conn.execute_batch(SETTINGS).expect("settings");
        let (rows, waiting) = sync_channel(limits::JOURNAL_QUEUE);
        let thread = std::thread::spawn(move || serve(&conn, &waiting));
        Self { rows: Some(rows), thread: Some(thread) }
    }

    /// Writes a row and waits for the commit that holds it.
    pub async fn append(&self, log: i64, position: i64, frame: Arc<Append>) {
        let (done, committed) = oneshot::channel();
        let rows = self.rows.as_ref().expect("running").clone();
        let row = Row { log, position, frame, done };
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
        group.iter().for_each(|row| insert(conn, row));
        conn.execute_batch("COMMIT").expect("commit");
        for row in group {
            row.done.send(()).expect("whoever asked waits for the answer");
        }
    }
}

fn insert(conn: &Connection, Row { log, position, frame, .. }: &Row) {
    let envelope = &frame.envelope;
    let mut insert = conn
        .prepare_cached(
            "INSERT INTO frame(log, position, token, version, tenant, principal, caused_by, \
             trace, at, body, digest, chain) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
        )
        .expect("prepare");
    let row = params![
        log,
        position,
        envelope.token.0 as i64,
        envelope.version,
        envelope.tenant.as_str(),
        envelope.principal.as_str(),
        envelope.caused_by,
        envelope.trace,
        envelope.at.0,
        frame.body,
        Chain::START.0,
        Chain::START.0,
    ];
    insert.execute(row).expect("insert");
}
