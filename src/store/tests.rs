//! The store in SQLite keeps the laws; what it refuses, what it survives, what it never reads
//! silently. Faults of the disk itself are in `tests/it/store_faults.rs`.

mod damage;
mod erasing;
mod kept;
mod opening;
mod plans;

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc, Barrier,
        atomic::{AtomicUsize, Ordering},
    },
    task::Poll,
};

use futures_util::{FutureExt as _, future::join_all, poll};
use greenroom_actors::{
    domain::{
        catalog::{Change, SessionFilter, SessionRow, Status, TotalsOf},
        frame::LogId,
        ids::{ApprovalNo, Position, SessionId, Timestamp, Token},
        permission::{Ask, RequestDigest, Subject},
        usage::Settlement,
    },
    log::{self, Writer as LogWriter},
    ports::{Append, AppendError, Blobs as _, Catalog as _, Journal, JournalError},
    testing::laws,
};
use rusqlite::Connection;
use tempfile::TempDir;
use tokio::task::unconstrained;
use uuid::Uuid;

use super::{trouble::Trouble, *};

fn open(path: &Path) -> Store {
    Store::open(path, StoreOptions::default()).unwrap()
}

fn folder() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("green.db");
    (folder, path)
}

fn session(n: u128) -> SessionId {
    SessionId(Uuid::from_u128(n))
}

fn house(n: u128) -> LogId {
    LogId::session(session(n))
}

async fn claimed(store: &Store, log: LogId) -> LogWriter {
    LogWriter::new(log, store.claim(log).await.unwrap(), "t".into(), "p".into())
}

fn next(writer: &LogWriter, text: &str, changes: Vec<Change>) -> Append {
    writer.frame(&[text], changes, None, Timestamp(1)).unwrap()
}

async fn write(store: &Store, writer: &mut LogWriter, text: &str) {
    writer.tail = store.append(next(writer, text, Vec::new())).await.unwrap();
}

async fn texts(store: &Arc<Store>, log: LogId) -> Result<Vec<String>, log::ReadError> {
    let journal: Arc<dyn Journal> = Arc::<Store>::clone(store);
    let frames = log::read_all::<String>(&journal, log).await?;
    Ok(frames.into_iter().flat_map(|frame| frame.events).collect())
}

fn row(n: u128, position: u64) -> Change {
    Change::Session(Box::new(SessionRow {
        session: session(n),
        tenant: "t".into(),
        root: session(n),
        parent: None,
        agent: "a".into(),
        name: None,
        status: Status::Idle,
        waiting_on: None,
        wake_at: None,
        goal: None,
        restarts: 0,
        created_at: Timestamp(0),
        updated_at: Timestamp(0),
        position: Position(position),
    }))
}

fn question(no: u32, expires_at: i64) -> Change {
    let ask = Ask {
        subject: Subject::Question { text: "which?".to_owned() },
        digest: RequestDigest(format!("{no:064}")),
        scripts: Vec::new(),
        reasons: Vec::new(),
        proposal: None,
        expires_at: Timestamp(expires_at),
    };
    Change::ApprovalOpened { no: ApprovalNo(no), asked_at: Timestamp(7), ask: Box::new(ask) }
}

fn free(call: u32) -> Change {
    let (model, agent) = ("m".into(), "a".into());
    let call = greenroom_actors::domain::ids::ModelCallNo(call);
    Change::Usage { call, model, agent, settlement: Settlement::Free }
}

#[tokio::test(flavor = "multi_thread")]
async fn it_keeps_every_law() {
    let folder = tempfile::tempdir().unwrap();
    let made = AtomicUsize::new(0);
    let fresh = || {
        let no = made.fetch_add(1, Ordering::Relaxed);
        open(&folder.path().join(format!("{no}.db")))
    };
    laws::journal(fresh).await;
    laws::catalog(fresh).await;
    laws::blobs(fresh).await;
    laws::erasure(fresh).await;
    laws::durable(|| open(&folder.path().join("again.db"))).await;
}

#[tokio::test]
async fn what_was_accepted_before_closing_is_committed_and_nothing_after() {
    let (_folder, path) = folder();
    let store = open(&path);
    let mut writers = Vec::new();
    for n in 0..300 {
        writers.push(claimed(&store, house(n)).await);
    }
    let mut waiting: Vec<_> =
        writers.iter().map(|writer| store.append(next(writer, "last", Vec::new()))).collect();
    // Polled once, each is in the queue; then the door shuts behind them.
    let mut early = Vec::new();
    for append in &mut waiting {
        // A task that polls this much is made to wait by tokio; here every poll must reach the door.
        early.push(poll!(unconstrained(append)));
    }
    store.close();
    for (append, early) in waiting.into_iter().zip(early) {
        let done = match early {
            Poll::Ready(done) => done,
            Poll::Pending => append.await,
        };
        assert_eq!(done, Ok(Position(1)));
    }
    let refused = store.append(next(writers.first().unwrap(), "late", Vec::new())).await;
    assert!(matches!(refused, Err(AppendError::Journal(JournalError::Unavailable { .. }))));
    assert!(matches!(store.tail(house(1)).await, Err(JournalError::Unavailable { .. })));
    drop(store);
    let store = Arc::new(open(&path));
    for n in 0..300 {
        assert_eq!(texts(&store, house(n)).await.unwrap(), ["last"]);
    }
}

#[tokio::test]
async fn closing_copies_the_write_ahead_log_back_and_lets_the_file_go() {
    let (_folder, path) = folder();
    let store = open(&path);
    let mut writer = claimed(&store, house(1)).await;
    write(&store, &mut writer, "one").await;
    store.close();
    store.close();
    let wal = std::fs::metadata(path.with_extension("db-wal")).map_or(0, |file| file.len());
    assert_eq!(wal, 0, "the database is whole without its write-ahead log");
    drop(open(&path));
}

#[tokio::test]
async fn a_catalog_that_fails_stops_no_append_and_is_rebuilt() {
    let (_folder, path) = folder();
    let store = Arc::new(open(&path));
    let mut writer = claimed(&store, house(1)).await;
    let mut other = claimed(&store, house(2)).await;
    store.raw("ALTER TABLE usage RENAME TO hidden").await;
    let both = vec![row(1, 1), free(1)];
    writer.tail = store.append(next(&writer, "one", both.clone())).await.unwrap();
    other.tail = store.append(next(&other, "of another", vec![row(2, 1)])).await.unwrap();
    assert_eq!(store.stale().await.unwrap(), [session(1)]);
    assert_eq!(store.session(session(1)).await.unwrap(), None, "all of a frame's changes or none");
    store.raw("ALTER TABLE hidden RENAME TO usage").await;
    // Later frames are followed, but the session stays marked until it has been rebuilt.
    writer.tail = store.append(next(&writer, "two", vec![row(1, 2)])).await.unwrap();
    assert_eq!(store.stale().await.unwrap(), [session(1)]);
    let early = store.replace(session(1), Position(1), both.clone()).await;
    assert!(matches!(early, Err(AppendError::Fenced { tail: Position(2), .. })));
    let all = vec![row(1, 1), free(1), row(1, 2)];
    assert_eq!(store.replace(session(1), Position(2), all).await, Ok(Position(2)));
    assert_eq!(store.stale().await.unwrap(), []);
    assert_eq!(store.session(session(1)).await.unwrap().unwrap().position, Position(2));
    assert_eq!(texts(&store, house(1)).await.unwrap(), ["one", "two"]);
}

#[tokio::test]
async fn a_piece_that_fails_half_done_leaves_nothing_and_takes_no_neighbour_with_it() {
    let (_folder, path) = folder();
    let store = open(&path);
    let mut writers = Vec::new();
    for n in 0..16 {
        writers.push(claimed(&store, house(n)).await);
    }
    // While the writer is held up with this one, the others gather to be one group.
    let (held, go) = (Arc::new(Barrier::new(2)), Arc::new(Barrier::new(2)));
    let (hold, wait) = (Arc::clone(&held), Arc::clone(&go));
    let first = store.door.clone().write(move |_conn| {
        hold.wait();
        wait.wait();
        Ok(())
    });
    let half = store.door.clone().write(|conn| -> Result<(), Trouble> {
        conn.execute_batch("INSERT INTO meta(key, value) VALUES ('half', 'done')")?;
        Err(Trouble::Refused("half done, on purpose".to_owned()))
    });
    tokio::pin!(first, half);
    assert!(poll!(&mut first).is_pending());
    held.wait();
    let append = |writer| store.append(next(writer, "kept", Vec::new()));
    let mut before: Vec<_> = writers[..8].iter().map(append).collect();
    before.iter_mut().for_each(|one| assert!(one.now_or_never().is_none()));
    assert!(poll!(&mut half).is_pending());
    let mut after: Vec<_> = writers[8..].iter().map(append).collect();
    after.iter_mut().for_each(|one| assert!(one.now_or_never().is_none()));
    go.wait();
    first.await.unwrap();
    assert!(matches!(half.await, Err(AppendError::Journal(JournalError::Unavailable { .. }))));
    before.extend(after);
    assert!(join_all(before).await.iter().all(Result::is_ok), "each as if it were alone");
    let left = |conn: &Connection| {
        Ok(conn.query_row("SELECT count(*) FROM meta WHERE key = 'half'", [], |row| row.get(0))?)
    };
    assert_eq!(store.door.clone().write::<i64>(left).await, Ok(0));
}

#[tokio::test]
async fn a_full_database_refuses_for_now_and_takes_more_when_there_is_room() {
    let (_folder, path) = folder();
    let store = Arc::new(open(&path));
    let mut writer = claimed(&store, house(1)).await;
    write(&store, &mut writer, "one").await;
    // Later than the tables of the form and their first rows, so that a large frame hits it.
    store.raw("PRAGMA max_page_count = 60").await;
    let large = "x".repeat(200_000);
    let refused = store.append(next(&writer, &large, Vec::new())).await;
    let Err(AppendError::Journal(JournalError::Unavailable { why })) = refused else {
        panic!("refused for now: {refused:?}");
    };
    assert!(why.contains("full"), "{why}");
    let seen = store.hindrance();
    assert_eq!(seen.borrow().as_deref(), Some(why.as_str()), "whoever watches knows");
    assert_eq!(store.tail(house(1)).await.unwrap(), (Position(1), Token(1)));
    store.raw("PRAGMA max_page_count = 100000").await;
    writer.tail = store.append(next(&writer, &large, Vec::new())).await.unwrap();
    assert_eq!(seen.borrow().as_deref(), None);
    assert_eq!(texts(&store, house(1)).await.unwrap(), ["one".to_owned(), large]);
}

#[tokio::test]
async fn a_file_locked_by_another_program_is_a_refusal_that_passes() {
    let (_folder, path) = folder();
    for _life in 0..2 {
        let store = open(&path);
        store.raw("PRAGMA busy_timeout = 50").await;
        let mut writer = claimed(&store, house(1)).await;
        let other = Connection::open(&path).unwrap();
        other.execute_batch("BEGIN IMMEDIATE").unwrap();
        let refused = store.append(next(&writer, "one", Vec::new())).await;
        assert!(matches!(refused, Err(AppendError::Journal(JournalError::Unavailable { .. }))));
        other.execute_batch("ROLLBACK").unwrap();
        write(&store, &mut writer, "one").await;
    }
}

#[tokio::test]
async fn a_writer_that_panics_poisons_the_store_and_leaves_nobody_waiting() {
    let (_folder, path) = folder();
    let store = open(&path);
    let mut writer = claimed(&store, house(1)).await;
    write(&store, &mut writer, "one").await;
    let panics = store.door.clone().write(|_conn| -> Result<(), Trouble> { panic!("a bug") });
    let others = (0..10).map(|_no| store.append(next(&writer, "two", Vec::new())));
    let (panicked, others) = tokio::join!(panics, join_all(others));
    assert!(matches!(panicked, Err(AppendError::Journal(JournalError::Poisoned { .. }))));
    for done in others {
        assert!(matches!(done, Err(AppendError::Journal(JournalError::Poisoned { .. }))));
    }
    drop(store);
    let store = Arc::new(open(&path));
    assert_eq!(texts(&store, house(1)).await.unwrap(), ["one"]);
}

#[tokio::test]
async fn more_callers_than_places_wait_their_turn() {
    let (_folder, path) = folder();
    let store = open(&path);
    let callers = limits::JOURNAL_QUEUE as u128 + 500;
    let claims = join_all((0..callers).map(|n| store.claim(house(n)))).await;
    assert!(claims.iter().all(|claim| claim.as_ref().is_ok_and(|claim| claim.token == Token(1))));
    let filter = SessionFilter { rows: 1, ..SessionFilter::default() };
    let reads = (0..limits::STORE_READS + 500).map(|_no| store.sessions(filter.clone()));
    assert!(join_all(reads).await.into_iter().all(|rows| rows == Ok(Vec::new())));
}

#[tokio::test]
async fn absurd_figures_do_not_break_the_sums() {
    let (_folder, path) = folder();
    let store = open(&path);
    let writer = claimed(&store, house(1)).await;
    let absurd = |call| Change::Usage {
        call: greenroom_actors::domain::ids::ModelCallNo(call),
        model: "m".into(),
        agent: "a".into(),
        settlement: Settlement::Unsettled { tokens_max: u64::MAX, cost_max: None },
    };
    store.append(next(&writer, "x", (1..=900).map(absurd).collect())).await.unwrap();
    let totals = store.totals(TotalsOf::Runtime).await.unwrap();
    assert_eq!(totals.unsettled_calls, 900);
    assert_eq!(totals.unsettled_tokens_max, 900 * limits::STORE_BOOKED_MAX);
}

#[tokio::test]
async fn the_write_ahead_log_is_copied_back_while_the_store_is_busy() {
    let (_folder, path) = folder();
    let store = open(&path);
    let mut writer = claimed(&store, house(1)).await;
    let large = "x".repeat(limits::EVENT_BYTES - 2);
    // 80 MiB, two and a half times what the log may hold before it is copied back.
    for _ in 0..320 {
        write(&store, &mut writer, &large).await;
    }
    let wal = std::fs::metadata(path.with_extension("db-wal")).unwrap().len();
    assert!(wal < 40 * 1024 * 1024, "the write-ahead log grew to {wal} bytes");
}
