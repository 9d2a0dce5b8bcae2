//! Whether restarts make sense at all. Many sessions that die together die of something they
//! share, and each restart into it costs a session one of its few panics. So the breaker opens:
//! only a few probes are started, everybody else waits for what becomes of them.
//!
//! ```text
//!             more than BREAKER_DEATHS sessions die within BREAKER_WINDOW_MS
//!   closed ─────────────────────────────────────────────────▶ open, pausing
//!     ▲                                                       │         ▲
//!     │ BREAKER_PROBES of them live,            the pause ends│         │ a probe dies:
//!     │ or nobody waits any more                              ▼         │ a longer pause
//!     └──────────────────────────────────────────────── open, probing ──┘
//! ```
//!
//! It counts sessions, not deaths: one session that dies again and again never opens it. It holds
//! up only who died; a session that is woken or opened is no restart and is never asked about.
//! Whoever waits comes back and asks again, so nobody depends on being remembered here: what is
//! kept of the waiting is a count for people to see, and whose turn it is to probe.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    domain::ids::{SessionId, Timestamp},
    limits,
};

#[cfg(test)]
mod tests;

/// What a session that died may do when its backoff is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The breaker is closed: start, at the house's rate.
    Pass,
    /// Start now: others wait for what becomes of this one.
    Probe,
    /// Ask again after a while.
    Wait {
        /// The while.
        after_ms: u64,
    },
}

/// What people are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// So many sessions died together.
    Opened {
        /// How many.
        deaths: usize,
    },
    /// Those who wait are started at the house's rate.
    Closed {
        /// How long it was open.
        after_ms: u64,
        /// How many wait.
        waiting: usize,
    },
}

/// An open breaker, for people to see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Held {
    /// When it opened.
    pub since: Timestamp,
    /// How many sessions wait for it to close.
    pub waiting: usize,
}

/// The breaker. Closed at first.
#[derive(Clone, Debug, Default)]
pub struct Breaker {
    /// When each of those who died last did; never more than `BREAKER_DEATHS` and one.
    deaths: BTreeMap<SessionId, Timestamp>,
    open: Option<Open>,
}

#[derive(Clone, Debug)]
struct Open {
    since: Timestamp,
    /// The last moment heard of: a clock that went back is noticed by it.
    seen: Timestamp,
    pause_ms: u64,
    probe_at: Timestamp,
    probes: BTreeMap<SessionId, Probe>,
    /// How many probes of this round live.
    lived: usize,
    /// Who has probed; the others go first, so that the price of looking is shared.
    probed: BTreeSet<SessionId>,
    /// Who waits, and when each last asked.
    waiting: BTreeMap<SessionId, Timestamp>,
}

#[derive(Clone, Copy, Debug)]
struct Probe {
    started_at: Timestamp,
    settled_at: Option<Timestamp>,
    /// Whether it has come a step further since it settled.
    progressed: bool,
}

impl Breaker {
    /// A session died.
    pub fn died(&mut self, session: SessionId, now: Timestamp) -> Option<Change> {
        if let Some(open) = &mut self.open {
            open.heard(now);
            open.died(session, now);
            return None;
        }
        self.deaths.retain(|_, at| now.since_ms(*at) < limits::BREAKER_WINDOW_MS);
        self.deaths.insert(session, now);
        let deaths = self.deaths.len();
        if deaths <= limits::BREAKER_DEATHS {
            return None;
        }
        self.deaths.clear();
        self.open = Some(Open::new(now));
        Some(Change::Opened { deaths })
    }

    /// A session that died wants to be started. `jitter` is any random number.
    pub fn ask(
        &mut self,
        session: SessionId,
        now: Timestamp,
        jitter: u64,
    ) -> (Verdict, Option<Change>) {
        let Some(open) = &mut self.open else { return (Verdict::Pass, None) };
        open.waiting.insert(session, now);
        if let Some(closed) = self.look(now) {
            return (Verdict::Pass, Some(closed));
        }
        let Some(open) = &mut self.open else { return (Verdict::Pass, None) };
        if open.may_probe(session, now) {
            open.waiting.remove(&session);
            open.probed.insert(session);
            open.probes
                .insert(session, Probe { started_at: now, settled_at: None, progressed: false });
            return (Verdict::Probe, None);
        }
        let after_ms = limits::BREAKER_ASK_MS + jitter % limits::BREAKER_ASK_MS;
        (Verdict::Wait { after_ms }, None)
    }

    /// A session has recovered and is at work. It lives when it still does after a while.
    pub fn settled(&mut self, session: SessionId, now: Timestamp) {
        let probe = self.open.as_mut().and_then(|open| open.probes.get_mut(&session));
        if let Some(probe) = probe {
            probe.settled_at.get_or_insert(now);
        }
    }

    /// A session has done a step that worked, which whatever killed it has not prevented.
    pub fn progressed(&mut self, session: SessionId) {
        let probe = self.open.as_mut().and_then(|open| open.probes.get_mut(&session));
        if let Some(probe) = probe {
            probe.progressed = true;
        }
    }

    /// A session is not coming back, or went without a death: it neither waits nor proves anything.
    pub fn gone(&mut self, session: SessionId) {
        if let Some(open) = &mut self.open {
            open.probes.remove(&session);
            open.waiting.remove(&session);
        }
    }

    /// Whether a session waits for it to close.
    #[must_use]
    pub fn holds(&self, session: SessionId) -> bool {
        self.open.as_ref().is_some_and(|open| open.waiting.contains_key(&session))
    }

    /// Sees what became of the probes; closes when enough of them live, or nobody waits.
    pub fn look(&mut self, now: Timestamp) -> Option<Change> {
        let open = self.open.as_mut()?;
        open.heard(now);
        open.judge(now);
        let idle = open.probes.is_empty() && open.waiting.is_empty() && now >= open.probe_at;
        if open.lived < limits::BREAKER_PROBES && !idle {
            return None;
        }
        let after_ms = now.since_ms(open.since);
        let waiting = open.waiting.len();
        self.open = None;
        Some(Change::Closed { after_ms, waiting })
    }

    /// Forgets who has not asked for long: it was stopped, or died with its wing.
    pub fn sweep(&mut self, now: Timestamp) {
        if let Some(open) = &mut self.open {
            open.waiting.retain(|_, at| now.since_ms(*at) < limits::BREAKER_LOST_MS);
        }
    }

    /// Since when it is open and how many wait; `None` while it is closed.
    #[must_use]
    pub fn held(&self) -> Option<Held> {
        let open = self.open.as_ref()?;
        Some(Held { since: open.since, waiting: open.waiting.len() })
    }
}

impl Open {
    fn new(now: Timestamp) -> Self {
        Self {
            since: now,
            seen: now,
            pause_ms: limits::BREAKER_PAUSE_MS,
            probe_at: now.plus_ms(limits::BREAKER_PAUSE_MS),
            probes: BTreeMap::new(),
            lived: 0,
            probed: BTreeSet::new(),
            waiting: BTreeMap::new(),
        }
    }

    /// A clock that went back would stretch the pause and the probes' time; they begin anew.
    fn heard(&mut self, now: Timestamp) {
        if now < self.seen {
            self.since = self.since.min(now);
            self.probes.clear();
            self.waiting.values_mut().for_each(|at| *at = now);
            self.probe_at = now.plus_ms(self.pause_ms);
        }
        self.seen = now;
    }

    /// Whoever dies while it is open waits; when it was a probe, everybody waits longer.
    fn died(&mut self, session: SessionId, now: Timestamp) {
        if self.probes.remove(&session).is_none() {
            return;
        }
        // What the others of this round become proves nothing any more.
        self.probes.clear();
        self.lived = 0;
        self.pause_ms = self.pause_ms.saturating_mul(2).min(limits::BREAKER_PAUSE_MAX_MS);
        self.probe_at = now.plus_ms(self.pause_ms);
    }

    fn judge(&mut self, now: Timestamp) {
        let lives = |probe: &Probe| {
            let long = |at| now.since_ms(at) >= limits::BREAKER_LIVES_MS;
            probe.progressed || probe.settled_at.is_some_and(long)
        };
        let before = self.probes.len();
        self.probes.retain(|_, probe| !lives(probe));
        self.lived += before - self.probes.len();
        // One of whom nothing is heard leaves its place to another.
        let late = limits::BREAKER_LOST_MS;
        self.probes.retain(|_, it| it.settled_at.is_some() || now.since_ms(it.started_at) < late);
    }

    fn may_probe(&mut self, session: SessionId, now: Timestamp) -> bool {
        if now < self.probe_at || self.probes.len() + self.lived >= limits::BREAKER_PROBES {
            return false;
        }
        if !self.probed.contains(&session) {
            return true;
        }
        if self.waiting.keys().all(|one| self.probed.contains(one)) {
            self.probed.clear();
            return true;
        }
        false
    }
}
