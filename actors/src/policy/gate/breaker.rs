//! Whether calls make sense at all. When many in a row fail, without an answer between them, the
//! vendor is down: every further call is one more failure, booked at its bound. So the breaker
//! opens, those who come wait, and single probes look whether it is back.
//!
//! ```text
//!          GATE_FAILURES in a row                the pause ends, a call is let in
//! closed ────────────────────────▶ open ────────────────────────────────▶ probing
//!   ▲                                ▲  ▲───── it fails: twice the pause ─────┤│
//!   │                                └──────── it is lost: no pause ──────────┘│
//!   └───────────────────────────── it is answered ─────────────────────────────┘
//! ```
//!
//! What comes of calls that were let in before it opened says nothing: they may have been answered
//! in half before the vendor went down.

use crate::{domain::ids::Timestamp, limits, policy::recovery};

/// The breaker; closed at first.
#[derive(Clone, Copy, Debug, Default)]
pub struct Breaker {
    /// Failures since the last answer, while it is closed.
    failures: u32,
    open: Option<Open>,
}

#[derive(Clone, Copy, Debug)]
struct Open {
    until: Timestamp,
    /// The number of the pause, from 0.
    pauses: u32,
    probe: Option<u64>,
}

/// How it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Calls are let in.
    Closed,
    /// Nobody calls before this moment, and then one.
    Open {
        /// The moment.
        until: Timestamp,
    },
    /// One calls, the others wait for what comes of it.
    Probing,
}

impl Breaker {
    /// How it stands.
    #[must_use]
    pub const fn stage(&self) -> Stage {
        match self.open {
            None => Stage::Closed,
            Some(Open { probe: Some(_), .. }) => Stage::Probing,
            Some(Open { until, probe: None, .. }) => Stage::Open { until },
        }
    }

    /// A call was let in; while it is open that is the probe.
    pub const fn granted(&mut self, no: u64) {
        if let Some(open) = &mut self.open {
            open.probe = Some(no);
        }
    }

    /// The vendor answered a call; whether that closes it.
    pub fn answered(&mut self, no: u64) -> bool {
        match self.open {
            None => {
                self.failures = 0;
                false
            }
            Some(open) if open.probe == Some(no) => {
                *self = Self::default();
                true
            }
            Some(_) => false,
        }
    }

    /// A call failed as it would if the vendor was down. `random` is any number.
    pub fn failed(&mut self, no: u64, now: Timestamp, random: u64) {
        let pauses = match self.open {
            None => {
                self.failures += 1;
                if self.failures < limits::GATE_FAILURES {
                    return;
                }
                0
            }
            Some(open) if open.probe == Some(no) => open.pauses.saturating_add(1),
            Some(_) => return,
        };
        let pause = recovery::doubled(limits::GATE_PROBE_MS, pauses, limits::GATE_PROBE_MAX_MS);
        let until = now.plus_ms(recovery::lengthened(pause, random));
        self.open = Some(Open { until, pauses, probe: None });
    }

    /// A call said nothing: broken off, or wrong in itself. The next one is the probe then.
    pub fn lost(&mut self, no: u64) {
        if let Some(open) = &mut self.open
            && open.probe == Some(no)
        {
            open.probe = None;
        }
    }
}
