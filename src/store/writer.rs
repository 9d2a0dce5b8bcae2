//! The one writer: a thread that owns the only writing connection and commits in groups.
//!
//! ```text
//! wait ─▶ take up to COMMIT_FRAMES ─▶ BEGIN ─▶ each in a savepoint ─▶ COMMIT (synced) ─▶ answer all
//!                                                                      │ disk full: rolled back, nothing of it is there
//!                                                                      │ anything else: poisoned, for good
//! ```
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

use super::trouble::{self, Class, Trouble, class, unavailable};

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

type Answer = Box<dyn FnOnce(Option<JournalError>) + Send>;
/// A piece of work that took nothing with it, and what kept it from being written, if anything did.
type Done = (Answer, Option<JournalError>);

/// Something to write whose caller waits for the commit.
pub(super) trait Work: Send {
    /// Does it, inside a savepoint.
    fn run(self: Box<Self>, conn: &Connection) -> Worked;

    /// Tells its caller that it will not be done.
    fn refuse(self: Box<Self>, why: JournalError);
}

/// Work that was done, or tried: whether it stays, and how its caller hears of the commit.
pub(super) struct Worked {
    keep: bool,
    class: Option<Class>,
    /// What keeps it from being written until somebody does something about it.
    hindered: Option<JournalError>,
    answer: Answer,
}

struct Write<T, F> {
    reply: oneshot::Sender<Result<T, AppendError>>,
    write: F,
}

impl<T, F> Work for Write<T, F>
where
    T: Send + 'static,
    F: FnOnce(&Connection) -> Result<T, Trouble> + Send,
{
    fn run(self: Box<Self>, conn: &Connection) -> Worked {
        let Self { reply, write } = *self;
        let done = write(conn);
        let class = match &done {
            Err(Trouble::Sqlite(error)) => Some(class(error)),
            Ok(_) | Err(Trouble::Fenced { .. } | Trouble::Damaged { .. } | Trouble::Refused(_)) => {
                None
            }
        };
        let hindered = match &done {
            Err(Trouble::Sqlite(error)) => match trouble::class(error) {
                Class::Full | Class::Busy => Some(unavailable(error)),
                Class::Io | Class::Other => None,
            },
            Ok(_) | Err(Trouble::Fenced { .. } | Trouble::Damaged { .. } | Trouble::Refused(_)) => {
                None
            }
        };
        let keep = done.is_ok();
        let answer: Answer = Box::new(move |failed| {
            let answer = match failed {
                Some(error) => Err(error.into()),
                None => done.map_err(AppendError::from),
            };
            // Whoever asked may have gone; then nobody misses the answer.
            let _gone = reply.send(answer);
        });
        Worked { keep, class, hindered, answer }
    }

    fn refuse(self: Box<Self>, why: JournalError) {
        // As above.
        let _gone = self.reply.send(Err(why.into()));
    }
}

/// A request to the writer. Its permit is its place in the bounded queue.
pub(super) struct Job {
    work: Box<dyn Work>,
    permit: OwnedSemaphorePermit,
}

/// A writing job and where its answer arrives.
pub(super) fn job<T: Send + 'static>(
    permit: OwnedSemaphorePermit,
    write: impl FnOnce(&Connection) -> Result<T, Trouble> + Send + 'static,
) -> (Job, oneshot::Receiver<Result<T, AppendError>>) {
    let (reply, answer) = oneshot::channel();
    (Job { work: Box::new(Write { reply, write }), permit }, answer)
}

/// The writer's state on its thread.
pub(super) struct Writer {
    conn: Connection,
    jobs: Receiver<Job>,
    poison: Poison,
    hindrance: Hindrance,
    /// Committed and not yet copied back.
    dirty: bool,
    alarmed: bool,
}

impl Writer {
    /// A writer over its connection and its queue.
    pub(super) fn new(
        conn: Connection,
        jobs: Receiver<Job>,
        (poison, hindrance): (Poison, Hindrance),
    ) -> Self {
        Self { conn, jobs, poison, hindrance, dirty: false, alarmed: false }
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
        self.copy_back("TRUNCATE");
    }

    /// What is committed together: all that waits, up to the limit. Their places in the queue come
    /// free, so that the next group gathers while this one is synced.
    fn group(&self, first: Job) -> Vec<Box<dyn Work>> {
        let mut group = Vec::new();
        let mut next = Some(first);
        while let Some(Job { work, permit }) = next {
            group.push(work);
            drop(permit);
            let room = group.len() < limits::COMMIT_FRAMES;
            next = if room { self.jobs.try_recv().ok() } else { None };
        }
        group
    }

    /// The next request; while there is none, the write-ahead log is copied back once.
    fn next(&mut self) -> Option<Job> {
        if self.dirty {
            match self.jobs.recv_timeout(Duration::from_millis(limits::STORE_IDLE_MS)) {
                Ok(job) => return Some(job),
                Err(RecvTimeoutError::Disconnected) => return None,
                Err(RecvTimeoutError::Timeout) => self.copy_back("PASSIVE"),
            }
        }
        self.jobs.recv().ok()
    }

    fn commit(&mut self, group: Vec<Box<dyn Work>>) {
        let begun = match self.poison.error() {
            Some(poisoned) => Err(poisoned),
            None => self.conn.execute_batch("BEGIN IMMEDIATE").map_err(|e| unavailable(&e)),
        };
        if let Err(refusal) = begun {
            self.hindered(Some(&refusal));
            for work in group {
                work.refuse(refusal.clone());
            }
            return;
        }
        let mut answers = Vec::with_capacity(group.len());
        let (mut aborted, mut hindered) = (None, None);
        for work in group {
            if let Some(refusal) = &aborted {
                work.refuse(JournalError::clone(refusal));
                continue;
            }
            match self.one(work) {
                Ok((answer, hindrance)) => {
                    answers.push(answer);
                    hindered = hindrance.or(hindered);
                }
                Err((answer, refusal)) => {
                    answers.extend(answer);
                    aborted = Some(refusal);
                }
            }
        }
        let failed = match aborted {
            Some(refusal) => Some(self.roll_back(refusal)),
            None => self.seal(),
        };
        self.hindered(failed.as_ref().or(hindered.as_ref()));
        for answer in answers {
            answer(failed.clone());
        }
        if failed.is_none() {
            self.committed();
        }
    }

    /// One piece of work in a savepoint, so that its failure takes no neighbour with it. An error
    /// says that the whole transaction is lost.
    fn one(&self, work: Box<dyn Work>) -> Result<Done, (Option<Answer>, JournalError)> {
        let run = |sql: &str| self.conn.prepare_cached(sql)?.execute([]);
        if let Err(error) = run("SAVEPOINT job") {
            let refusal = self.refusal(&error);
            work.refuse(refusal.clone());
            return Err((None, refusal));
        }
        fault::point("store.in_group");
        let Worked { keep, class, hindered, answer } = work.run(&self.conn);
        if class == Some(Class::Io) {
            let refusal = self.poison.set("the disk failed under a write".to_owned());
            return Err((Some(answer), refusal));
        }
        // SQLite gives up the whole transaction when it cannot undo one statement of it.
        let lost = |why: &str| JournalError::Unavailable { why: why.to_owned() };
        if self.conn.is_autocommit() {
            return Err((Some(answer), lost("the transaction was given up; the disk may be full")));
        }
        let ended = if keep { Ok(0) } else { run("ROLLBACK TO job") };
        match ended.and_then(|_rows| run("RELEASE job")) {
            Ok(_rows) => Ok((answer, hindered)),
            Err(error) => Err((Some(answer), self.refusal(&error))),
        }
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

    fn refusal(&self, error: &rusqlite::Error) -> JournalError {
        match class(error) {
            Class::Io => self.poison.set(format!("the disk failed under a write: {error}")),
            Class::Full | Class::Busy | Class::Other => unavailable(error),
        }
    }

    /// Nothing of the transaction may stay; if that fails too, nothing is known any more.
    fn roll_back(&self, refusal: JournalError) -> JournalError {
        if !self.conn.is_autocommit()
            && let Err(error) = self.conn.execute_batch("ROLLBACK")
        {
            return self.poison.set(format!("a failed group could not be undone: {error}"));
        }
        refusal
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

    /// Copies the write-ahead log into the database. A reader may stop it, and so may a full disk;
    /// both pass. A failed sync does not.
    fn copy_back(&mut self, how: &str) {
        self.dirty = false;
        if self.poison.error().is_some() {
            return;
        }
        let sql = format!("PRAGMA wal_checkpoint({how})");
        fault::point("store.before_copy_back");
        let copied = self.conn.query_row(&sql, [], |_row| Ok(()));
        fault::point("store.copied_back");
        match copied {
            Ok(()) => {}
            Err(error) if class(&error) == Class::Io => {
                self.poison.set(format!("the write-ahead log was not copied back: {error}"));
            }
            Err(error) => tracing::warn!(%error, how, "write-ahead log was not copied back"),
        }
    }
}
