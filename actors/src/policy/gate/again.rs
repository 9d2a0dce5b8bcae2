//! The budget of calls made again. Each call that fails is made again by its session; when most
//! fail, that is a second load on a vendor that cannot carry the first. So calls made for the first
//! time earn a tenth of one made again, and a small floor is there always. Who has no budget waits;
//! it does not fail.
//!
//! After a few answers in a row the vendor is well, and what failed before is made again freely:
//! else those who failed together in an outage would wait for others' first calls to earn theirs.

use crate::{domain::ids::Timestamp, limits};

/// Thousandths in one call.
const ONE: u64 = 1_000;

/// The budget.
#[derive(Clone, Copy, Debug)]
pub struct Again {
    milli: u64,
    /// Up to when the floor has regained what was spent.
    filled_at: Timestamp,
    /// Answers since the last failure.
    answers: u32,
}

impl Default for Again {
    fn default() -> Self {
        let milli = limits::GATE_AGAIN_FLOOR * ONE;
        Self { milli, filled_at: Timestamp::default(), answers: 0 }
    }
}

impl Again {
    /// When a call may be made again: in the past when it may be now.
    #[must_use]
    pub fn next(&self, now: Timestamp) -> Timestamp {
        let lacks = ONE.saturating_sub(self.milli_at(now));
        if self.is_well() {
            now
        } else {
            now.plus_ms((lacks * limits::GATE_AGAIN_MS).div_ceil(ONE))
        }
    }

    /// How many may be made again now, if the vendor is not well.
    #[must_use]
    pub fn allowed(&self, now: Timestamp) -> u64 {
        self.milli_at(now) / ONE
    }

    /// A call was let in.
    pub fn granted(&mut self, again: bool, now: Timestamp) {
        self.milli = self.milli_at(now);
        self.filled_at = now;
        self.milli = if again {
            self.milli.saturating_sub(ONE)
        } else {
            (self.milli + EARNED).min(limits::GATE_AGAIN_MAX * ONE)
        };
    }

    /// It had gone: nothing was sent.
    pub fn unused(&mut self, again: bool) {
        self.milli = if again { self.milli + ONE } else { self.milli.saturating_sub(EARNED) };
    }

    /// A model answered.
    pub const fn answered(&mut self) {
        self.answers = self.answers.saturating_add(1);
    }

    /// The vendor refused or failed.
    pub const fn failed(&mut self) {
        self.answers = 0;
    }

    const fn is_well(&self) -> bool {
        self.answers >= limits::GATE_WELL
    }

    /// What there is, with what the floor has regained since.
    fn milli_at(&self, now: Timestamp) -> u64 {
        let floor = limits::GATE_AGAIN_FLOOR * ONE;
        let gained = now.since_ms(self.filled_at).saturating_mul(ONE) / limits::GATE_AGAIN_MS;
        self.milli.max(self.milli.saturating_add(gained).min(floor))
    }
}

/// What a call made for the first time earns.
const EARNED: u64 = ONE * limits::GATE_AGAIN_PERCENT / 100;
