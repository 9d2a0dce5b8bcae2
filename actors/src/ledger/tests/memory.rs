//! A journal in memory whose appends can be held back, lost after the commit, or refused.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use futures_util::future::BoxFuture;
use tokio::sync::watch;

use crate::{
    domain::{
        frame::{Chain, LogId, StoredFrame},
        ids::{Position, Token},
    },
    ports::{Append, AppendError, Claim, Journal, JournalError},
};

/// What happens to appends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Mood {
    Working,
    /// Nothing is written until the mood changes.
    Hanging,
    /// It is written, and nobody ever hears of it.
    Mute,
    Refusing(JournalError),
}

#[derive(Debug, Default)]
struct Stored {
    token: Token,
    frames: Vec<StoredFrame>,
}

impl Stored {
    fn tail(&self) -> (Position, Chain) {
        self.frames
            .last()
            .map_or((Position(0), Chain::START), |frame| (frame.envelope.position, frame.chain))
    }
}

type Logs = Arc<Mutex<HashMap<LogId, Stored>>>;

#[derive(Debug)]
pub(super) struct Memory {
    logs: Logs,
    mood: watch::Sender<Mood>,
}

impl Memory {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self { logs: Logs::default(), mood: watch::channel(Mood::Working).0 })
    }

    pub(super) fn set(&self, mood: Mood) {
        self.mood.send_replace(mood);
    }

    /// A byte of a frame changes while nobody looks.
    pub(super) fn damage(&self, log: LogId, at: usize) {
        self.logs.lock().unwrap().get_mut(&log).unwrap().frames[at].body.push(' ');
    }

    pub(super) fn frames(&self, log: LogId) -> Vec<StoredFrame> {
        self.logs.lock().unwrap().get(&log).map(|log| log.frames.clone()).unwrap_or_default()
    }
}

fn write(logs: &Logs, append: Append) -> Result<Position, AppendError> {
    let mut logs = logs.lock().unwrap();
    let stored = logs.entry(append.envelope.log).or_default();
    let ((tail, chain), expected) = (stored.tail(), append.envelope.position);
    if append.envelope.token != stored.token || expected != tail.next() {
        return Err(AppendError::Fenced { expected, tail, token: stored.token });
    }
    let chain = chain.next(&append.envelope, &append.body);
    stored.frames.push(StoredFrame { envelope: append.envelope, body: append.body, chain });
    Ok(expected)
}

impl Journal for Memory {
    fn claim(&self, log: LogId) -> BoxFuture<'static, Result<Claim, JournalError>> {
        let mut logs = self.logs.lock().unwrap();
        let stored = logs.entry(log).or_default();
        stored.token = stored.token.next();
        let (tail, chain) = stored.tail();
        let claim = Claim { token: stored.token, tail, chain };
        Box::pin(async move { Ok(claim) })
    }

    fn append(&self, append: Append) -> BoxFuture<'static, Result<Position, AppendError>> {
        let (logs, mut mood) = (Arc::clone(&self.logs), self.mood.subscribe());
        Box::pin(async move {
            let mood = mood.wait_for(|mood| *mood != Mood::Hanging).await.unwrap().clone();
            match mood {
                Mood::Refusing(error) => Err(error.into()),
                Mood::Mute => {
                    write(&logs, append)?;
                    std::future::pending().await
                }
                Mood::Working | Mood::Hanging => write(&logs, append),
            }
        })
    }

    fn read(
        &self,
        log: LogId,
        after: Position,
        rows: usize,
    ) -> BoxFuture<'static, Result<Vec<StoredFrame>, JournalError>> {
        let frames = self.frames(log);
        let page = frames.into_iter().filter(move |frame| frame.envelope.position > after);
        Box::pin(async move { Ok(page.take(rows).collect()) })
    }

    fn tail(&self, log: LogId) -> BoxFuture<'static, Result<(Position, Token), JournalError>> {
        let logs = self.logs.lock().unwrap();
        let found = logs.get(&log).map(|log| (log.tail().0, log.token)).unwrap_or_default();
        Box::pin(async move { Ok(found) })
    }
}
