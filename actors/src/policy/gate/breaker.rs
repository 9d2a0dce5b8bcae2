//! Whether calls make sense at all. When many in a row fail, without an answer between them, the
//! vendor is down: every further call is one more failure, booked at its bound. So the breaker
//! opens, those who come wait, and single probes look whether it is back.
//!
//! ```text
//!          GATE_FAILURES in a row                the pause ends, a call is let in
//! closed ────────────────────────▶ open ────────────────────────────────▶ probing ◀─╮ silent for
//!   ▲                                ▲  ▲───── it fails: twice the pause ─────┤│ ╰──╯ so long: another
//!   │                                └──────── it is lost: no pause ──────────┘│
//!   └───────────────────────────── it is answered ─────────────────────────────┘
//! ```
//!
//! What comes of calls that were let in before it opened says nothing: they may have been answered
//! in half before the vendor went down.
//!
//! A probe may say nothing for minutes although the vendor is well: an answer that is not streamed
//! comes as a whole. So after `GATE_PROBE_MAX_MS`, the longest pause between two looks at a vendor
//! that is down, the next one looks as well. Each of them may close it.

use crate::{domain::ids::Timestamp, limits, policy::recovery};

/// The breaker; closed at first.
#[derive(Clone, Debug, Default)]
pub struct Breaker {
    /// Failures since the last answer, while it is closed.
    failures: u32,
    open: Option<Open>,
}

#[derive(Clone, Debug)]
struct Open {
    /// When the next probe may be let in.
    until: Timestamp,
    /// The number of the pause, from 0.
    pauses: u32,
    /// Those of which nothing has been heard.
    probes: Vec<u64>,
}

impl Open {
    /// Whether it was a probe; it is none any more.
    fn takes_out(&mut self, no: u64) -> bool {
        let found = self.probes.iter().position(|probe| *probe == no);
        found.map(|at| self.probes.swap_remove(at)).is_some()
    }
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
    Probing {
        /// When another is let in, if nothing has come by then.
        until: Timestamp,
    },
}

impl Breaker {
    /// How it stands.
    #[must_use]
    pub const fn stage(&self) -> Stage {
        match &self.open {
            None => Stage::Closed,
            Some(Open { until, probes, .. }) if probes.is_empty() => Stage::Open { until: *until },
            Some(Open { until, .. }) => Stage::Probing { until: *until },
        }
    }

    /// A call was let in; while it is open that is the probe.
    pub fn granted(&mut self, no: u64, now: Timestamp) {
        if let Some(open) = &mut self.open {
            open.probes.push(no);
            open.until = now.plus_ms(limits::GATE_PROBE_MAX_MS);
        }
    }

    /// The vendor answered a call; whether that closes it.
    pub fn answered(&mut self, no: u64) -> bool {
        let Some(open) = &self.open else {
            self.failures = 0;
            return false;
        };
        let closes = open.probes.contains(&no);
        if closes {
            *self = Self::default();
        }
        closes
    }

    /// A call failed as it would if the vendor was down. `random` is any number.
    pub fn failed(&mut self, no: u64, now: Timestamp, random: u64) {
        let (pauses, probes) = match &mut self.open {
            None => {
                self.failures += 1;
                if self.failures < limits::GATE_FAILURES {
                    return;
                }
                (0, Vec::new())
            }
            Some(open) => {
                if !open.takes_out(no) {
                    return;
                }
                (open.pauses.saturating_add(1), std::mem::take(&mut open.probes))
            }
        };
        let pause = recovery::doubled(limits::GATE_PROBE_MS, pauses, limits::GATE_PROBE_MAX_MS);
        let until = now.plus_ms(recovery::lengthened(pause, random));
        self.open = Some(Open { until, pauses, probes });
    }

    /// A call said nothing: broken off, or wrong in itself. The next one is the probe then.
    pub fn lost(&mut self, no: u64) {
        if let Some(open) = &mut self.open
            && open.takes_out(no)
        {
            open.until = Timestamp::default();
        }
    }
}
