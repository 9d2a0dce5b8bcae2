//! The one writer: a thread that owns the only writing connection and commits in groups.
//!
//! ```text
//! wait ─▶ take up to COMMIT_FRAMES ─▶ BEGIN ─▶ all ─────────────▶ COMMIT (synced) ─▶ answer all
//!                                       │ one failed: undone      ▲ │ disk full: rolled back, nothing of it is there
//!                                       ╰▶ each in a savepoint ───╯ │ anything else: poisoned, for good
//! ```
//!
//! Where a piece of work fails it takes no neighbour with it, so that group is undone and done once
//! more with a savepoint around each. That is rare, and without it no group pays for savepoints, whose
//! copies of pages cost a tenth of the writer's time.
//!
//! Nothing is answered before the commit that holds it. A failed sync is never tried again: the
//! kernel may have dropped what it could not write and would report success the second time.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, OnceLock,
        mpsc::{Receiver, RecvTimeoutError},
    },
    time::Duration,
};

use greenroom_actors::{
    fault, limits, owned,
    ports::{AppendError, JournalError},
};
use rusqlite::Connection;
use tokio::sync::{OwnedSemaphorePermit, oneshot, watch};

use super::{
    erase,
    trouble::{Class, Trouble, class, unavailable},
};

/// Set once, when what is durable is no longer known.
#[derive(Clone, Debug, Default)]
pub(super) struct Poison(Arc<OnceLock<String>>);

impl Poison {
    /// The error everybody gets from now on, if there is one.
    pub(super) fn error(&self) -> Option<JournalError> {
        self.0.get().map(|why| JournalError::Poisoned { why: why.clone() })
    }

    fn set(&self, why: String) -> JournalError {
        tracing::error!(%why, "store is poisoned");
        JournalError::Poisoned { why: self.0.get_or_init(|| why).clone() }
    }
}

/// Why nothing can be written for now; empty while it can. Whoever runs the store may watch it.
pub(super) type Hindrance = watch::Sender<Option<String>>;

/// Something to write whose caller waits for the commit.
pub(super) trait Work: Send {
    /// Does it inside a transaction. It may be undone, and is then done again.
    fn run(&mut self, conn: &Connection) -> Done;

    /// What keeps it from being written until somebody does something about it.
    fn hindered(&self) -> Option<JournalError>;

    /// Tells its caller what it came to, or why there was no commit.
    fn answer(self: Box<Self>, failed: Option<JournalError>);
}

/// Whether a piece of work was done, so that it may stay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Done {
    /// It was.
    Kept,
    /// It was not, and what it wrote must not stay.
    Failed,
    /// The disk failed under it.
    Io,
}

struct Write<T, F> {
    reply: oneshot::Sender<Result<T, AppendError>>,
    write: F,
    done: Option<Result<T, Trouble>>,
}

impl<T, F> Work for Write<T, F>
where
    T: Send + 'static,
    F: Fn(&Connection) -> Result<T, Trouble> + Send,
{
    fn run(&mut self, conn: &Connection) -> Done {
        let done = self.done.insert((self.write)(conn));
        match done {
            Ok(_) => Done::Kept,
            Err(Trouble::Sqlite(error)) if class(error) == Class::Io => Done::Io,
            Err(
                Trouble::Sqlite(_)
                | Trouble::Fenced { .. }
                | Trouble::Damaged { .. }
                | Trouble::Refused(_),
            ) => Done::Failed,
        }
    }

    fn hindered(&self) -> Option<JournalError> {
        match self.done.as_ref()? {
            Err(Trouble::Sqlite(error)) => match class(error) {
                Class::Full | Class::Busy => Some(unavailable(error)),
                Class::Io | Class::Other => None,
            },
            Ok(_) | Err(Trouble::Fenced { .. } | Trouble::Damaged { .. } | Trouble::Refused(_)) => {
                None
            }
        }
    }

    fn answer(self: Box<Self>, failed: Option<JournalError>) {
        let answer = match (failed, self.done) {
            (Some(error), _) => Err(error.into()),
            (None, Some(done)) => done.map_err(AppendError::from),
            (None, None) => Err(lost("it was not written").into()),
        };
        // Whoever asked may have gone; then nobody misses the answer.
        let _gone = self.reply.send(answer);
    }
}

/// Nothing of it was written, and it may be asked for again.
fn lost(why: &str) -> JournalError {
    JournalError::Unavailable { why: why.to_owned() }
}

/// A request to the writer. Its permit is its place in the bounded queue.
pub(super) struct Job {
    work: Box<dyn Work>,
    permit: OwnedSemaphorePermit,
    /// Whether nothing of what it takes away may stay in the write-ahead log.
    forgets: bool,
}

/// A writing job and where its answer arrives.
pub(super) fn job<T: Send + 'static>(
    permit: OwnedSemaphorePermit,
    write: impl Fn(&Connection) -> Result<T, Trouble> + Send + 'static,
    forgets: bool,
) -> (Job, oneshot::Receiver<Result<T, AppendError>>) {
    let (reply, answer) = oneshot::channel();
    (Job { work: Box::new(Write { reply, write, done: None }), permit, forgets }, answer)
}

/// The writer's state on its thread.
pub(super) struct Writer {
    conn: Connection,
    jobs: Receiver<Job>,
    poison: Poison,
    hindrance: Hindrance,
    /// Committed and not yet copied back.
    dirty: bool,
    /// Whether the write-ahead log holds what was taken away.
    traces: bool,
    /// Whether the last group took something away.
    forgets: bool,
    /// Whether pages may still hold it between their rows.
    slack: bool,
    alarmed: bool,
}

impl Writer {
    /// A writer over its connection and its queue.
    pub(super) fn new(
        conn: Connection,
        jobs: Receiver<Job>,
        (poison, hindrance): (Poison, Hindrance),
    ) -> Self {
        Self {
            conn,
            jobs,
            poison,
            hindrance,
            dirty: false,
            traces: false,
            forgets: false,
            slack: false,
            alarmed: false,
        }
    }

    /// Runs until its queue is shut and empty. A panic poisons the store: its callers hear it, nobody hangs.
    pub(super) fn run(mut self) {
        let poison = self.poison.clone();
        // The connection is not used after a panic, so no broken state is seen.
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| self.serve())) {
            poison.set(format!("the writer panicked: {}", owned::panic_text(panic.as_ref())));
        }
    }

    fn serve(&mut self) {
        while let Some(first) = self.next() {
            let group = self.group(first);
            self.commit(group);
        }
        self.rewrite();
        self.copy_back("TRUNCATE");
    }

    /// What is committed together: all that waits, up to the limit. Their places in the queue come
    /// free, so that the next group gathers while this one is synced.
    fn group(&mut self, first: Job) -> Vec<Box<dyn Work>> {
        let mut group = Vec::new();
        let mut next = Some(first);
        self.forgets = false;
        while let Some(Job { work, permit, forgets }) = next {
            group.push(work);
            self.forgets |= forgets;
            drop(permit);
            let room = group.len() < limits::COMMIT_FRAMES;
            next = if room { self.jobs.try_recv().ok() } else { None };
        }
        self.traces |= self.forgets;
        self.slack |= self.forgets;
        group
    }

    /// The next request; while there is none, the write-ahead log is copied back.
    fn next(&mut self) -> Option<Job> {
        // More than once only for what was taken away and a reader still holds.
        while self.dirty || self.slack {
            match self.jobs.recv_timeout(Duration::from_millis(limits::STORE_IDLE_MS)) {
                Ok(job) => return Some(job),
                Err(RecvTimeoutError::Disconnected) => return None,
                Err(RecvTimeoutError::Timeout) if self.traces || self.slack => {
                    self.rewrite();
                    self.forget(0);
                }
                Err(RecvTimeoutError::Timeout) => self.copy_back("PASSIVE"),
            }
        }
        self.jobs.recv().ok()
    }

    fn commit(&mut self, mut group: Vec<Box<dyn Work>>) {
        let written = self.begin().and_then(|()| {
            if self.together(&mut group)? {
                return Ok(());
            }
            self.undo()?;
            self.begin()?;
            group.iter_mut().try_for_each(|work| self.apart(work.as_mut()))
        });
        let failed = match written {
            Ok(()) => self.seal(),
            Err(refusal) => Some(self.roll_back(refusal)),
        };
        let hindered = group.iter().rev().find_map(|work| work.hindered());
        self.hindered(failed.as_ref().or(hindered.as_ref()));
        for work in group {
            work.answer(failed.clone());
        }
        if failed.is_none() {
            self.committed();
        }
    }

    fn begin(&self) -> Result<(), JournalError> {
        match self.poison.error() {
            Some(poisoned) => Err(poisoned),
            None => self.conn.execute_batch("BEGIN IMMEDIATE").map_err(|e| unavailable(&e)),
        }
    }

    /// The whole group, as far as all goes well; `false` when a piece of it failed.
    fn together(&self, group: &mut [Box<dyn Work>]) -> Result<bool, JournalError> {
        for work in group {
            fault::point("store.in_group");
            match work.run(&self.conn) {
                // SQLite gives up the whole transaction when it cannot undo one statement of it, also
                // of one that the read model did without.
                Done::Kept if self.conn.is_autocommit() => return Ok(false),
                Done::Kept => {}
                Done::Failed => return Ok(false),
                Done::Io => return Err(self.disk_failed()),
            }
        }
        Ok(true)
    }

    /// One piece of work in a savepoint, so that its failure takes no neighbour with it. An error
    /// says that the whole transaction is lost.
    fn apart(&self, work: &mut dyn Work) -> Result<(), JournalError> {
        let run = |sql: &str| {
            let ran = self.conn.prepare_cached(sql).and_then(|mut sql| sql.execute([]));
            ran.map_err(|error| self.refusal(&error))
        };
        run("SAVEPOINT job")?;
        fault::point("store.in_group");
        let done = work.run(&self.conn);
        if done == Done::Io {
            return Err(self.disk_failed());
        }
        // As above.
        if self.conn.is_autocommit() {
            return Err(lost("the transaction was given up; the disk may be full"));
        }
        if done == Done::Failed {
            run("ROLLBACK TO job")?;
        }
        run("RELEASE job")?;
        Ok(())
    }

    /// Tells who watches whether anything can be written, when that changes.
    fn hindered(&self, by: Option<&JournalError>) {
        let why = by.map(|error| match error {
            JournalError::Unavailable { why } => why.clone(),
            error => error.to_string(),
        });
        self.hindrance.send_if_modified(|known| {
            let changes = *known != why;
            *known = why;
            changes
        });
    }

    fn disk_failed(&self) -> JournalError {
        self.poison.set("the disk failed under a write".to_owned())
    }

    fn refusal(&self, error: &rusqlite::Error) -> JournalError {
        match class(error) {
            Class::Io => self.poison.set(format!("the disk failed under a write: {error}")),
            Class::Full | Class::Busy | Class::Other => unavailable(error),
        }
    }

    /// Nothing of the transaction may stay; if that fails too, nothing is known any more.
    fn roll_back(&self, refusal: JournalError) -> JournalError {
        self.undo().err().unwrap_or(refusal)
    }

    fn undo(&self) -> Result<(), JournalError> {
        if self.conn.is_autocommit() {
            return Ok(());
        }
        let undone = self.conn.execute_batch("ROLLBACK");
        undone.map_err(|error| {
            self.poison.set(format!("a failed group could not be undone: {error}"))
        })
    }

    /// Makes the group durable, or says why it is not.
    fn seal(&self) -> Option<JournalError> {
        fault::point("store.before_commit");
        let committed = self.conn.execute_batch("COMMIT");
        fault::point("store.committed");
        let error = committed.err()?;
        match class(&error) {
            // The write-ahead log had no room for the group. Its commit mark is written last and
            // is not there; the next group overwrites the rest. So the outcome is known: not done.
            Class::Full => Some(self.roll_back(unavailable(&error))),
            Class::Busy | Class::Io | Class::Other => {
                let poisoned = self.poison.set(format!("a commit failed: {error}"));
                Some(self.roll_back(poisoned))
            }
        }
    }

    fn committed(&mut self) {
        self.dirty = true;
        // Asks for the length only; it copies nothing and takes no lock.
        let pages = self.conn.prepare_cached("PRAGMA wal_checkpoint(NOOP)").and_then(|mut ask| {
            ask.query_row([], |row| Ok((row.get::<_, i64>(1)?, row.get::<_, i64>(2)?)))
        });
        let Ok((length, copied)) = pages else { return };
        if self.traces {
            let wait_ms = if self.forgets { limits::STORE_FORGET_MS } else { 0 };
            return self.forget(wait_ms);
        }
        let waiting = u64::try_from(length.saturating_sub(copied)).unwrap_or(0);
        if waiting >= limits::STORE_WAL_PAGES {
            self.copy_back("PASSIVE");
        }
        let alarm = waiting >= limits::STORE_WAL_ALARM_PAGES;
        if alarm && !self.alarmed {
            tracing::warn!(pages = waiting, "a long read holds the write-ahead log");
        }
        self.alarmed = alarm;
    }

    /// Empties the log of what was taken away. Who still reads it is not waited for long, for all writes
    /// wait meanwhile: it is tried again behind the next one, and when there is nothing else to do.
    fn forget(&mut self, wait_ms: u64) {
        self.waits(wait_ms);
        self.copy_back("TRUNCATE");
        self.waits(limits::STORE_BUSY_MS);
    }

    /// Writes all pages anew behind a deletion. What is deleted is overwritten where it lay, but a page that
    /// was split or merged before keeps, between its rows, copies of rows that have moved elsewhere. It is done
    /// when there is nothing else to do, for all writes wait meanwhile.
    fn rewrite(&mut self) {
        if !std::mem::take(&mut self.slack) || self.poison.error().is_some() {
            return;
        }
        match erase::rewrite(&self.conn) {
            Ok(()) => self.traces = true,
            Err(error) if class(&error) == Class::Io => {
                self.poison.set(format!("the pages were not written anew: {error}"));
            }
            Err(error) => {
                tracing::warn!(%error, "pages still hold what was deleted; the next start tries again");
            }
        }
    }

    fn waits(&self, ms: u64) {
        if let Err(error) = self.conn.busy_timeout(Duration::from_millis(ms)) {
            tracing::warn!(%error, "how long a write waits could not be set");
        }
    }

    /// Copies the write-ahead log into the database. A reader may stop it, and so may a full disk;
    /// both pass. A failed sync does not.
    fn copy_back(&mut self, how: &str) {
        self.dirty = false;
        if self.poison.error().is_some() {
            return;
        }
        let sql = format!("PRAGMA wal_checkpoint({how})");
        fault::point("store.before_copy_back");
        // The first figure says whether somebody stopped it.
        let copied = self.conn.query_row(&sql, [], |row| row.get::<_, i64>(0));
        fault::point("store.copied_back");
        match copied {
            Ok(stopped) => {
                self.traces &= stopped != 0 || how != "TRUNCATE";
                // It is tried again when there is nothing else to do.
                self.dirty |= self.traces;
            }
            Err(error) if class(&error) == Class::Io => {
                self.poison.set(format!("the write-ahead log was not copied back: {error}"));
            }
            Err(error) => tracing::warn!(%error, how, "write-ahead log was not copied back"),
        }
    }
}
