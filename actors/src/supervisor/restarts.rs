//! The restarts that all wings allow themselves together: a breaker that holds them up while what
//! many died of lasts, and a rate for those that are let through. The lock is held only to count;
//! what people are told of it is said after it is let go.

use std::sync::{Arc, Mutex, PoisonError};

use crate::{
    domain::ids::{SessionId, Timestamp},
    policy::recovery::{Breaker, Change, Held, Rate, Verdict},
};

/// The house's restarts; clones are the same.
#[derive(Clone, Debug)]
pub(crate) struct Restarts(Arc<Mutex<Ration>>);

#[derive(Debug)]
struct Ration {
    rate: Rate,
    breaker: Breaker,
}

/// What a session that died is to do now that its backoff is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Leave {
    /// Start.
    Start,
    /// Start then, unless the breaker opens meanwhile: a moment of the rate is its own.
    Promised { after_ms: u64 },
    /// Ask again then.
    Held { after_ms: u64 },
}

impl Ration {
    /// Those who waited for the breaker come one by one from the first one on.
    fn spread(&mut self, change: Option<Change>, now: Timestamp) {
        if let Some(Change::Closed { .. }) = change {
            self.rate.drain(now);
        }
    }
}

impl Restarts {
    pub(crate) fn new(now: Timestamp) -> Self {
        let ration = Ration { rate: Rate::new(now), breaker: Breaker::default() };
        Self(Arc::new(Mutex::new(ration)))
    }

    /// A session died.
    pub(crate) fn died(&self, session: SessionId, now: Timestamp) {
        self.with(|ration| ((), ration.breaker.died(session, now)));
    }

    /// A session that died wants to be started; `promised` when this is its moment of the rate.
    pub(crate) fn ask(
        &self,
        (session, promised): (SessionId, bool),
        now: Timestamp,
        jitter: u64,
    ) -> Leave {
        self.with(|ration| {
            let (verdict, change) = ration.breaker.ask(session, now, jitter);
            ration.spread(change, now);
            let leave = match verdict {
                Verdict::Probe => Leave::Start,
                Verdict::Wait { after_ms } => Leave::Held { after_ms },
                Verdict::Pass if promised => Leave::Start,
                Verdict::Pass => match ration.rate.admit(now) {
                    0 => Leave::Start,
                    after_ms => Leave::Promised { after_ms },
                },
            };
            (leave, change)
        })
    }

    /// A session has recovered and is at work.
    pub(crate) fn settled(&self, session: SessionId, now: Timestamp) {
        self.with(|ration| {
            ration.breaker.settled(session, now);
            ((), None)
        });
    }

    /// A session has come a step further since it was started.
    pub(crate) fn progressed(&self, session: SessionId) {
        self.with(|ration| {
            ration.breaker.progressed(session);
            ((), None)
        });
    }

    /// A session went without a death, or is off the stage.
    pub(crate) fn gone(&self, session: SessionId) {
        self.with(|ration| {
            ration.breaker.gone(session);
            ((), None)
        });
    }

    /// Whether a session that died waits for the breaker, also if its wing knows no more of it.
    pub(crate) fn holds(&self, session: SessionId) -> bool {
        self.with(|ration| (ration.breaker.holds(session), None))
    }

    /// Sees what became of the probes, also when nobody asks.
    pub(crate) fn look(&self, now: Timestamp) {
        self.with(|ration| {
            ration.breaker.sweep(now);
            let change = ration.breaker.look(now);
            ration.spread(change, now);
            ((), change)
        });
    }

    /// Since when restarts are held up, and how many.
    pub(crate) fn held(&self) -> Option<Held> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).breaker.held()
    }

    fn with<T>(&self, act: impl FnOnce(&mut Ration) -> (T, Option<Change>)) -> T {
        let (value, change) = act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
        match change {
            None => {}
            Some(Change::Opened { deaths }) => {
                tracing::warn!(deaths, "many sessions died together; restarts are held up");
            }
            Some(Change::Closed { after_ms, waiting }) => {
                tracing::info!(after_ms, waiting, "restarts are let through again");
            }
        }
        value
    }
}
