//! A child process that writes to a store and says what was acknowledged, and what its parent then
//! demands of the file: every acknowledged frame, no gap, a whole chain.

use std::{
    collections::BTreeMap,
    env,
    io::{BufRead as _, BufReader, Lines, Write as _},
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Stdio},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use greenroom::store::{Store, StoreOptions};
use greenroom_actors::{
    domain::{
        frame::LogId,
        ids::{Position, SessionId, Timestamp},
    },
    fault,
    log::{self, Writer},
    ports::{AppendError, Blobs as _, Journal, JournalError},
};
use uuid::Uuid;

use crate::parts;

/// The part of the process that writes.
pub const PART: &str = "writes to a store";
const FILE: &str = "GREENROOM_CHILD_STORE";
const FRAMES: &str = "GREENROOM_CHILD_FRAMES";
const OPENS: &str = "GREENROOM_CHILD_OPENS";
const HOLDS: &str = "GREENROOM_CHILD_HOLDS";
const ABORT_AT: &str = "GREENROOM_CHILD_ABORT_AT";
/// Sessions a child writes at once, so that groups hold several frames.
pub(super) const SESSIONS: u128 = 8;
/// A child that its parent forgot ends by itself.
const LIFE: Duration = Duration::from_secs(60);

fn log(n: u128) -> LogId {
    LogId::session(SessionId(Uuid::from_u128(n)))
}

fn text(n: u128, position: Position) -> String {
    format!("session {n} frame {position} {}", "x".repeat(300))
}

fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    // A parent that is gone needs no answer.
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}

/// What the process does.
pub fn play() {
    let path = env::var_os(FILE).expect("a file to write to");
    if let Ok(nth) = env::var(ABORT_AT) {
        let (nth, passed) = (nth.parse::<u64>().unwrap(), AtomicU64::new(1));
        fault::arm(Box::new(move |point| {
            if point == "store.before_commit" && passed.fetch_add(1, Ordering::SeqCst) == nth {
                std::process::abort();
            }
        }));
    }
    if env::var_os(HOLDS).is_some() {
        return hold(Path::new(&path));
    }
    if env::var_os(OPENS).is_some() {
        let opened = Store::open(Path::new(&path), StoreOptions::default());
        return say(
            &opened.map_or_else(|refused| format!("refused: {refused}"), |_| "opened".into())
        );
    }
    let frames = env::var(FRAMES).map_or(u64::MAX, |frames| frames.parse().unwrap());
    let store = Arc::new(Store::open(Path::new(&path), StoreOptions::default()).unwrap());
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_time()
        .build()
        .unwrap();
    runtime.block_on(async {
        let all = (0..SESSIONS).map(|n| write(Arc::clone(&store), n, frames));
        tokio::time::timeout(LIFE, futures_util::future::join_all(all)).await.unwrap();
    });
    say("end");
}

/// Holds the database as another program would, until it is killed.
fn hold(path: &Path) {
    let conn = rusqlite::Connection::open(path).unwrap();
    conn.execute_batch("PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE").unwrap();
    say("holds");
    std::thread::sleep(LIFE);
}

async fn write(store: Arc<Store>, n: u128, frames: u64) {
    let claim = store.claim(log(n)).await.unwrap();
    let mut writer = Writer::new(log(n), claim, "t".into(), "p".into());
    for _ in 0..frames {
        let at = writer.tail.next();
        let frame = || writer.frame(&[text(n, at)], Vec::new(), None, Timestamp(1)).unwrap();
        match store.append(frame()).await {
            Ok(position) => {
                say(&format!("ack {n} {position}"));
                writer.tail = position;
            }
            Err(AppendError::Journal(JournalError::Unavailable { why })) => {
                say(&format!("unavailable {why}"));
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            Err(AppendError::Journal(JournalError::Poisoned { why })) => {
                say(&format!("poisoned {why}"));
                return stays_poisoned(&store, &writer).await;
            }
            Err(other) => return say(&format!("wrong {other}")),
        }
    }
    // Idle: only the writer's own work on the file can fail now.
    loop {
        if let Err(JournalError::Poisoned { why }) = store.tail(log(n)).await {
            say(&format!("poisoned {why}"));
            return stays_poisoned(&store, &writer).await;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn stays_poisoned(store: &Store, writer: &Writer) {
    let frame = writer.frame(&["later"], Vec::new(), None, Timestamp(1)).unwrap();
    let append = store.append(frame).await;
    let rest = [
        store.claim(writer.log).await.err(),
        store.tail(writer.log).await.err(),
        store.read(writer.log, Position(0), 1).await.err(),
        store.put(vec![1]).await.err(),
    ];
    let poisoned = |error: &JournalError| matches!(error, JournalError::Poisoned { .. });
    let append = matches!(append, Err(AppendError::Journal(error)) if poisoned(&error));
    let all = append && rest.iter().all(|error| error.as_ref().is_some_and(poisoned));
    say(if all { "stays poisoned" } else { "wrong: answered although poisoned" });
}

/// A running child and what it has said.
pub(super) struct Writing {
    path: PathBuf,
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
    /// The last acknowledged position of each session.
    pub(super) acknowledged: BTreeMap<u128, u64>,
    /// Everything else it said.
    pub(super) said: Vec<String>,
}

/// What a child is told besides its file.
#[derive(Debug, Default)]
pub(super) struct Orders {
    /// Frames per session before it idles.
    pub(super) frames: Option<u64>,
    /// Aborts itself when it passes this commit.
    pub(super) abort_at: Option<u64>,
    /// Locks the file as another program would, instead of writing.
    pub(super) holds: bool,
    /// Only opens the store, as a user without rights of its own, and says what came of it.
    pub(super) opens: bool,
    /// A library loaded before all others, and the file that tells it what to do.
    pub(super) preload: Option<(PathBuf, PathBuf)>,
}

impl Writing {
    /// Starts a child that writes to this file.
    pub(super) fn start(path: &Path, orders: &Orders) -> Self {
        let mut command = parts::process(PART);
        command.env(FILE, path).stdout(Stdio::piped()).stderr(Stdio::null());
        if let Some(frames) = orders.frames {
            command.env(FRAMES, frames.to_string());
        }
        if let Some(nth) = orders.abort_at {
            command.env(ABORT_AT, nth.to_string());
        }
        if orders.holds {
            command.env(HOLDS, "1");
        }
        if orders.opens {
            command.env(OPENS, "1");
            // Root may write anywhere; whoever else runs this has no more rights than the modes.
            if rustix::process::geteuid().is_root() {
                command.uid(65_534).gid(65_534);
            }
        }
        if let Some((library, control)) = &orders.preload {
            command.env("LD_PRELOAD", library).env("GREENROOM_FAULT", control);
        }
        let mut child = command.spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let (acknowledged, said) = (BTreeMap::new(), Vec::new());
        Self { path: path.to_owned(), child, lines, acknowledged, said }
    }

    /// Its process id.
    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Listens until it has said something that `enough` is looking for; `false` when it ended.
    pub(super) fn listen(&mut self, mut enough: impl FnMut(&str) -> bool) -> bool {
        for line in self.lines.by_ref() {
            // The last line of a killed child may be cut; it is then no acknowledgement.
            let Ok(line) = line else { return false };
            if let Some(ack) = line.strip_prefix("ack ") {
                let (session, position) = ack.split_once(' ').unwrap();
                self.acknowledged.insert(session.parse().unwrap(), position.parse().unwrap());
            } else if !line.is_empty() {
                // A full disk is reported again and again; once is enough to read.
                let again = line.starts_with("unavailable") && self.said.last() == Some(&line);
                self.said.extend((!again).then(|| line.clone()));
            }
            if enough(&line) {
                return true;
            }
        }
        false
    }

    /// Listens to this many acknowledgements.
    pub(super) fn acks(&mut self, count: usize) {
        let mut heard = 0;
        let found = self.listen(|line| {
            heard += usize::from(line.starts_with("ack "));
            heard == count
        });
        assert!(found, "the child ended early and said {:?}", self.said);
    }

    /// Kills it with SIGKILL and takes in what it still managed to say.
    pub(super) fn kill(mut self) -> Ended {
        self.child.kill().unwrap();
        self.end()
    }

    /// Waits for its own end.
    pub(super) fn end(mut self) -> Ended {
        self.listen(|_line| false);
        self.child.wait().unwrap();
        Ended { path: self.path, acknowledged: self.acknowledged, said: self.said }
    }
}

/// A child that is no more.
pub(super) struct Ended {
    path: PathBuf,
    acknowledged: BTreeMap<u128, u64>,
    /// What it said besides acknowledgements.
    pub(super) said: Vec<String>,
}

impl Ended {
    /// Opens the store again and demands every acknowledged frame; returns how many there were.
    pub(super) fn check(&self) -> u64 {
        let wrong: Vec<_> = self.said.iter().filter(|line| line.starts_with("wrong")).collect();
        assert!(wrong.is_empty(), "{wrong:?}");
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let store = Arc::new(Store::open(&self.path, StoreOptions::default()).unwrap());
        for n in 0..SESSIONS {
            let journal: Arc<dyn Journal> = Arc::<Store>::clone(&store);
            let frames = runtime.block_on(log::read_all::<String>(&journal, log(n))).unwrap();
            let found = frames.len() as u64;
            let acknowledged = self.acknowledged.get(&n).copied().unwrap_or(0);
            assert!(
                found >= acknowledged,
                "session {n}: {acknowledged} acknowledged, {found} found"
            );
            for frame in &frames {
                assert_eq!(frame.events, [text(n, frame.envelope.position)]);
            }
            let (tail, _token) = runtime.block_on(store.tail(log(n))).unwrap();
            assert_eq!(tail.0, found, "the log's row and its frames agree");
        }
        drop(store);
        let conn = rusqlite::Connection::open(&self.path).unwrap();
        let verdict: String =
            conn.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
        assert_eq!(verdict, "ok");
        self.acknowledged.values().sum()
    }
}
