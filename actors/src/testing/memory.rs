//! A store in memory with the semantics of a durable one, and handles to make it fail: appends
//! that are refused, appends that hang, a poisoned store, damaged frames. Clones share everything,
//! so a clone is the same store opened again.

mod anew;
mod blobs;
mod catalog;
mod erase;
mod rows;
#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use futures_util::future::BoxFuture;
use tokio::sync::watch;

use self::rows::Rows;
use crate::{
    domain::{
        frame::{Chain, LogId, LogKind, StoredFrame},
        ids::{Position, SessionId, Token},
        job::JobId,
    },
    limits,
    ports::{Append, AppendError, Claim, Journal, JournalError},
};

/// A store that lives as long as its last clone.
#[derive(Clone, Debug)]
pub struct MemoryStore {
    state: Arc<Mutex<State>>,
    /// Whether appends wait.
    held: watch::Sender<bool>,
}

#[derive(Debug, Default)]
struct State {
    logs: BTreeMap<LogId, Log>,
    rows: Rows,
    blobs: HashMap<String, Vec<u8>>,
    append_faults: VecDeque<JournalError>,
    lost_answers: usize,
    claim_faults: VecDeque<JournalError>,
    read_faults: VecDeque<JournalError>,
    /// Whether the catalog fails: it follows no frame and cannot be rebuilt.
    blind: bool,
    /// Sessions whose frames it missed.
    stale: BTreeSet<SessionId>,
    /// The same of jobs.
    stale_jobs: BTreeSet<JobId>,
    poison: Option<JournalError>,
    counts: Counts,
}

#[derive(Debug)]
struct Log {
    token: Token,
    tail: Position,
    chain: Chain,
    frames: Vec<StoredFrame>,
}

impl Default for Log {
    fn default() -> Self {
        Self {
            token: Token::default(),
            tail: Position::default(),
            chain: Chain::START,
            frames: Vec::new(),
        }
    }
}

/// What a store was asked so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Claims that were granted.
    pub claims: u64,
    /// Frames that were committed.
    pub appends: u64,
    /// Appends refused because somebody else owned the log or it had grown.
    pub fenced: u64,
    /// Requests that failed because a test wanted it.
    pub failed: u64,
    /// Pages read.
    pub reads: u64,
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new()
    }
}

impl MemoryStore {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        Self { state: Arc::default(), held: watch::Sender::new(false) }
    }

    /// The next `times` appends fail with `error`. A poisoned one poisons the store.
    pub fn fail_appends(&self, times: usize, error: &JournalError) {
        self.state().append_faults.extend(std::iter::repeat_n(error.clone(), times));
    }

    /// The next `times` appends are written and their callers told that the store is unavailable.
    pub fn lose_answers(&self, times: usize) {
        self.state().lost_answers += times;
    }

    /// The next `times` claims fail with `error`.
    pub fn fail_claims(&self, times: usize, error: &JournalError) {
        self.state().claim_faults.extend(std::iter::repeat_n(error.clone(), times));
    }

    /// The next `times` reads of a log fail with `error`.
    pub fn fail_reads(&self, times: usize, error: &JournalError) {
        self.state().read_faults.extend(std::iter::repeat_n(error.clone(), times));
    }

    /// Appends from now on hang, not yet written, until they are released.
    pub fn hold_appends(&self) {
        self.held.send_replace(true);
    }

    /// Hung appends go on, and later ones do not hang.
    pub fn release_appends(&self) {
        self.held.send_replace(false);
    }

    /// Whether the catalog fails from now on: it misses what is appended, which stops no append.
    pub fn fail_catalog(&self, fails: bool) {
        self.state().blind = fails;
    }

    /// Forgets faults and poison, as opening the store anew does. What was acknowledged is there.
    pub fn reopen(&self) {
        let mut state = self.state();
        state.poison = None;
        state.append_faults.clear();
        state.lost_answers = 0;
        state.claim_faults.clear();
        state.read_faults.clear();
        drop(state);
        self.release_appends();
    }

    /// What it was asked so far.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.state().counts
    }

    /// Every log it holds.
    #[must_use]
    pub fn logs(&self) -> Vec<LogId> {
        self.state().logs.keys().copied().collect()
    }

    /// Changes a stored body, as a failing disk does; `false` when there is no such frame.
    pub fn damage(&self, log: LogId, position: Position) -> bool {
        let mut state = self.state();
        let frames = state.logs.get_mut(&log).map(|log| &mut log.frames);
        let frame =
            frames.and_then(|all| all.iter_mut().find(|one| one.envelope.position == position));
        let Some(frame) = frame else { return false };
        frame.body.push(' ');
        true
    }

    /// Loses a stored frame; `false` when there is no such frame.
    pub fn lose(&self, log: LogId, position: Position) -> bool {
        let mut state = self.state();
        let Some(log) = state.logs.get_mut(&log) else { return false };
        let before = log.frames.len();
        log.frames.retain(|frame| frame.envelope.position != position);
        log.frames.len() < before
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn with<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut State) -> Result<T, JournalError> + Send + 'static,
    ) -> BoxFuture<'static, Result<T, JournalError>> {
        let store = self.clone();
        Box::pin(async move {
            let mut state = store.state();
            state.sound()?;
            work(&mut state)
        })
    }
}

impl State {
    fn sound(&self) -> Result<(), JournalError> {
        self.poison.clone().map_or(Ok(()), Err)
    }

    /// Fails if a test wants it.
    fn strike(&mut self, fault: Option<JournalError>) -> Result<(), JournalError> {
        let Some(error) = fault else { return Ok(()) };
        self.counts.failed += 1;
        if matches!(error, JournalError::Poisoned { .. }) {
            self.poison = Some(error.clone());
        }
        Err(error)
    }

    fn claim(&mut self, log: LogId) -> Result<Claim, JournalError> {
        let fault = self.claim_faults.pop_front();
        self.strike(fault)?;
        self.counts.claims += 1;
        let log = self.logs.entry(log).or_default();
        log.token = log.token.next();
        Ok(Claim { token: log.token, tail: log.tail, chain: log.chain })
    }

    fn append(&mut self, append: Append) -> Result<Position, AppendError> {
        self.sound()?;
        let fault = self.append_faults.pop_front();
        self.strike(fault)?;
        let Append { envelope, body, changes, begins } = append;
        let (id, expected) = (envelope.log, envelope.position);
        let fenced = |tail, token| AppendError::Fenced { expected, tail, token };
        if expected == Position(1) && !self.base_is_there(&body) {
            let why = format!("{id} goes on from a session that was deleted");
            return Err(JournalError::Unavailable { why }.into());
        }
        if begins {
            if let Some(log) = self.logs.get(&id) {
                self.counts.fenced += 1;
                return Err(fenced(log.tail, log.token));
            }
            if (envelope.token, expected) == (Token(1), Position(1)) {
                let born = Log { token: Token(1), ..Log::default() };
                self.logs.insert(id, born);
            }
        }
        let Some(log) = self.logs.get_mut(&id) else {
            self.counts.fenced += 1;
            return Err(fenced(Position(0), Token(0)));
        };
        if envelope.token != log.token || expected != log.tail.next() {
            self.counts.fenced += 1;
            return Err(fenced(log.tail, log.token));
        }
        log.chain = log.chain.next(&envelope, &body);
        log.tail = expected;
        log.frames.push(StoredFrame { envelope, body, chain: log.chain });
        self.counts.appends += 1;
        if !self.blind {
            self.rows.follow(id, changes);
        } else if id.kind == LogKind::Session && !changes.is_empty() {
            self.stale.insert(SessionId(id.id));
        } else if id.kind == LogKind::Job && !changes.is_empty() {
            self.stale_jobs.insert(JobId(id.id));
        }
        if let Some(left) = self.lost_answers.checked_sub(1) {
            self.lost_answers = left;
            self.counts.failed += 1;
            let why = "the answer was lost".to_owned();
            return Err(JournalError::Unavailable { why }.into());
        }
        Ok(expected)
    }
}

impl Journal for MemoryStore {
    fn claim(&self, log: LogId) -> BoxFuture<'static, Result<Claim, JournalError>> {
        self.with(move |state| state.claim(log))
    }

    fn append(&self, append: Append) -> BoxFuture<'static, Result<Position, AppendError>> {
        let store = self.clone();
        Box::pin(async move {
            let mut held = store.held.subscribe();
            // The sender lives in `store`, so this ends when the hold does.
            drop(held.wait_for(|held| !held).await);
            store.state().append(append)
        })
    }

    fn read(
        &self,
        log: LogId,
        after: Position,
        rows: usize,
    ) -> BoxFuture<'static, Result<Vec<StoredFrame>, JournalError>> {
        self.with(move |state| {
            let fault = state.read_faults.pop_front();
            state.strike(fault)?;
            state.counts.reads += 1;
            let frames = state.logs.get(&log).map(|log| log.frames.as_slice()).unwrap_or_default();
            let later = frames.iter().filter(|frame| frame.envelope.position > after);
            let mut bytes = 0_usize;
            let fits = |(no, frame): &(usize, &StoredFrame)| {
                bytes = bytes.saturating_add(frame.body.len());
                *no == 0 || bytes <= limits::READ_BYTES
            };
            let page = later.take(rows).enumerate().take_while(fits);
            Ok(page.map(|(_, frame)| frame.clone()).collect())
        })
    }

    fn tail(&self, log: LogId) -> BoxFuture<'static, Result<(Position, Token), JournalError>> {
        self.with(move |state| {
            Ok(state.logs.get(&log).map(|log| (log.tail, log.token)).unwrap_or_default())
        })
    }
}
