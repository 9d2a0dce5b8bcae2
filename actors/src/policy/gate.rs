//! Who may call a vendor next, and when: everything that a gate decides. The actor performs it,
//! and all who hold the gate's handle share what it knows, so it survives the actor; what waits does
//! not, and its tasks ask again.
//!
//! ```text
//!            a vendor's pause   breaker    rates    budget of calls made again
//! waiting ─────────▶──────────────▶──────────▶──────────────▶─────── a place ──▶ in flight
//!  (fair, two classes)                              (these stand aside: others pass)  │
//!     ▲                                                                               │
//!     └───────── a refusal, a failure, an answer, limits in headers ◀─────────────────┘
//! ```
//!
//! Invariants: nothing is granted before a pause has ended; while the breaker is open one probe is let
//! in at a time, and always will be another when it is lost or long silent; nothing learnt holds a call longer
//! than `GATE_LEARNT_MAX_MS`; whatever waits is let in at last, for each bar has an end of its own.

use std::collections::HashMap;

use crate::{
    domain::{
        event::{FailureKind, ModelFailure},
        ids::{SessionId, Timestamp},
        model::RateLimits,
    },
    limits,
};

pub use again::Again;
pub use breaker::{Breaker, Stage};
pub use pause::Pause;
pub use queue::{Pick, Queue};
pub use rates::{Left, Rates};

mod again;
mod breaker;
mod pause;
mod queue;
mod rates;
#[cfg(test)]
mod tests;

/// What a gate must know of a call to let it in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claim {
    /// Whose share it uses up.
    pub session: SessionId,
    /// Whether it is an agent's below a root, for which nobody waits at a screen.
    pub behind: bool,
    /// How often its step was tried before.
    pub attempt: u32,
    /// Tokens it sends, as estimated.
    pub input_tokens: u64,
    /// Tokens it may be answered with.
    pub output_tokens: u64,
}

impl Claim {
    /// Tokens of both kinds.
    #[must_use]
    pub const fn tokens(&self) -> u64 {
        self.input_tokens.saturating_add(self.output_tokens)
    }

    /// What it takes of its session's share.
    #[must_use]
    pub fn weight(&self) -> u64 {
        self.tokens().clamp(limits::FAIR_ROUND, limits::GATE_WEIGHT_MAX)
    }

    /// Whether it was made before.
    #[must_use]
    pub const fn again(&self) -> bool {
        self.attempt > 0
    }
}

/// What a call that was let in came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The model answered.
    Answered,
    /// The vendor is well and asked for patience.
    Refused {
        /// For how long, if it said so.
        retry_after_ms: Option<u64>,
    },
    /// The vendor, or the way to it, is broken.
    Broken {
        /// How long it asked to be left alone, if it said so.
        retry_after_ms: Option<u64>,
    },
    /// Its own time ran out.
    Late,
    /// It says nothing about the vendor: the request itself was wrong, or broken off.
    Silent,
}

impl End {
    /// What a failure says about the vendor.
    #[must_use]
    pub const fn of(failure: &ModelFailure) -> Self {
        let retry_after_ms = failure.retry_after_ms;
        match failure.kind {
            FailureKind::RateLimited => Self::Refused { retry_after_ms },
            FailureKind::Overloaded
            | FailureKind::Transport
            | FailureKind::EndedEarly
            | FailureKind::TimedOut => Self::Broken { retry_after_ms },
            FailureKind::Auth
            | FailureKind::Quota
            | FailureKind::BadRequest
            | FailureKind::Malformed
            | FailureKind::Aborted
            | FailureKind::Lost => Self::Silent,
        }
    }
}

/// What a gate is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Let this one in, if a place is free.
    Grant(Pick),
    /// Nobody, before this moment or something else happens.
    Wait {
        /// The moment; none where only what happens elsewhere can help.
        until: Option<Timestamp>,
    },
}

/// What a gate knows, but for what waits.
#[derive(Clone, Debug)]
pub struct Admission {
    places: usize,
    pause: Pause,
    breaker: Breaker,
    rates: Rates,
    again: Again,
    flying: HashMap<u64, Flight>,
}

#[derive(Clone, Copy, Debug)]
struct Flight {
    claim: Claim,
    /// Whether the vendor has said its limits in answer to it.
    heard: bool,
    /// Whether its answer has begun to come.
    began: bool,
}

/// What holds a gate's callers up, for people to see. Moments are of the clock that it was asked by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bars {
    /// The vendor's pause, while it lasts.
    pub paused_until: Option<Timestamp>,
    /// The breaker.
    pub breaker: Stage,
    /// What is left of the vendor's limits, as far as it has said.
    pub left: Left,
    /// Calls that may be made again now.
    pub again: u64,
}

impl Bars {
    /// What is waited for, in words.
    #[must_use]
    pub fn words(&self, now: Timestamp) -> String {
        let seconds = |until: Timestamp| until.since_ms(now).div_ceil(1_000);
        let used_up = |left: Option<u64>| left == Some(0);
        let Left { requests, tokens, input_tokens, output_tokens } = self.left;
        match (self.paused_until, self.breaker) {
            (Some(until), _) => format!("paused {} s", seconds(until)),
            (None, Stage::Probing { .. }) => "the vendor is down, a probe is on its way".to_owned(),
            (None, Stage::Open { until }) => {
                format!("the vendor is down, the next probe in {} s", seconds(until))
            }
            (None, Stage::Closed) => {
                let kinds = [requests, tokens, input_tokens, output_tokens];
                let all = kinds.into_iter().any(used_up);
                if all { "the vendor's limits are used up" } else { "a place" }.to_owned()
            }
        }
    }

    /// The same with its moments told otherwise.
    #[must_use]
    pub fn told_as(self, tell: impl Fn(Timestamp) -> Timestamp) -> Self {
        let breaker = match self.breaker {
            Stage::Open { until } => Stage::Open { until: tell(until) },
            Stage::Closed => Stage::Closed,
            Stage::Probing { until } => Stage::Probing { until: tell(until) },
        };
        Self { paused_until: self.paused_until.map(tell), breaker, ..self }
    }
}

impl Admission {
    /// Nothing known yet.
    #[must_use]
    pub fn new(places: usize) -> Self {
        Self {
            places,
            pause: Pause::default(),
            breaker: Breaker::default(),
            rates: Rates::default(),
            again: Again::default(),
            flying: HashMap::new(),
        }
    }

    /// What is to be done with what waits. Asked again after every grant.
    #[must_use]
    pub fn next<T>(&self, queue: &Queue<T>, now: Timestamp) -> Next {
        if queue.is_empty() {
            return Next::Wait { until: None };
        }
        let opens = match self.breaker.stage() {
            Stage::Closed => self.pause.next(),
            Stage::Open { until } | Stage::Probing { until } => self.pause.next().max(until),
        };
        if now < opens {
            return Next::Wait { until: Some(opens) };
        }
        // A probe looks for all who wait: it needs no budget, but costs none where it is a first try.
        let probes = self.breaker.stage() != Stage::Closed;
        let budget_at = self.again.next(now);
        let again = !probes && budget_at <= now;
        let picked = queue.pick(again).or_else(|| queue.pick(true).filter(|_| probes));
        let Some((pick, _)) = picked else { return Next::Wait { until: Some(budget_at) } };
        let room_at = self.rates.room_at(now);
        if now < room_at { Next::Wait { until: Some(room_at) } } else { Next::Grant(pick) }
    }

    /// A call was let in, under this number; so many wait still. `random` is any number.
    pub fn granted(
        &mut self,
        no: u64,
        claim: Claim,
        (now, random): (Timestamp, u64),
        waiting: usize,
    ) {
        self.flying.insert(no, Flight { claim, heard: false, began: false });
        self.breaker.granted(no, now);
        self.rates.granted(&claim, now);
        self.again.granted(claim.again(), now);
        self.pause.granted(now, random, (self.places, waiting));
    }

    /// Whoever was let in had gone: nothing was sent.
    pub fn unused(&mut self, no: u64) {
        let Some(flight) = self.flying.remove(&no) else { return };
        self.breaker.lost(no);
        self.rates.unused(&flight.claim);
        self.again.unused(flight.claim.again());
    }

    /// The vendor has said its limits in answer to a call.
    pub fn learn(&mut self, no: u64, heard: &RateLimits, now: Timestamp) {
        if let Some(flight) = self.flying.get_mut(&no) {
            flight.heard = true;
        }
        // Whoever is still unanswered may not be counted yet by what the vendor has just said.
        let unheard = self.flying.values().filter(|flight| !flight.heard);
        let unheard = unheard.map(|flight| flight.claim);
        self.rates.learn(heard, rates::Cost::sum(unheard), now);
    }

    /// A call's answer has begun to come. A probe has found what it looked for: its answer may take
    /// minutes, and the others need not wait for all of it.
    pub fn began(&mut self, no: u64, now: Timestamp) {
        if let Some(flight) = self.flying.get_mut(&no) {
            flight.began = true;
        }
        if matches!(self.breaker.stage(), Stage::Probing { .. }) {
            self.healed(no, now);
        }
    }

    /// A call ended. Only its first end counts.
    pub fn ended(&mut self, no: u64, end: End, (now, random): (Timestamp, u64)) {
        let Some(flight) = self.flying.remove(&no) else { return };
        match end {
            End::Answered => {
                self.again.answered();
                self.healed(no, now);
            }
            End::Refused { retry_after_ms } => {
                self.again.failed();
                let asked = retry_after_ms.filter(|ms| *ms >= limits::RETRY_MS);
                self.pause(asked.unwrap_or(limits::RETRY_MS), (now, random));
                if asked.is_some() {
                    // The refusal is the vendor's word; what it said beside it may be of a window
                    // that is longer than it means us to wait.
                    self.rates.refused(self.pause.until());
                    self.healed(no, now);
                } else {
                    // When it is over nobody has said: probes find out.
                    self.breaker.failed(no, now, random);
                }
            }
            End::Broken { retry_after_ms } => {
                self.again.failed();
                if let Some(ms) = retry_after_ms {
                    self.pause(ms, (now, random));
                }
                self.breaker.failed(no, now, random);
            }
            // An answer that took longer than its agent has patience for is no outage.
            End::Late if !flight.began => {
                self.again.failed();
                self.breaker.failed(no, now, random);
            }
            End::Late | End::Silent => self.breaker.lost(no),
        }
    }

    /// The vendor asked for a pause; a shorter one never cuts a longer one short.
    pub fn pause(&mut self, retry_after_ms: u64, (now, random): (Timestamp, u64)) {
        self.pause.begin(retry_after_ms, now, random);
    }

    fn healed(&mut self, no: u64, now: Timestamp) {
        if self.breaker.answered(no) {
            // All who waited for the probe would otherwise call in the same moment.
            self.pause.spread(now, limits::GATE_BACK_MS);
        }
    }

    /// What holds callers up now.
    #[must_use]
    pub fn bars(&self, now: Timestamp) -> Bars {
        Bars {
            paused_until: Some(self.pause.until()).filter(|until| now < *until),
            breaker: self.breaker.stage(),
            left: self.rates.left(now),
            again: self.again.allowed(now),
        }
    }
}
