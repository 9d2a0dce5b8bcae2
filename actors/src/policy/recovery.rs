//! When to try again: a session after its own panic, the runtime after many, a model call after a
//! failure. Random numbers and the time come in as arguments.
//!
//! Jitter only lengthens a pause, by at most a fifth: a pause is never shorter than what was asked
//! for, and those who failed together do not come back together.

use crate::{
    domain::{agent::RestartPolicy, ids::Timestamp},
    limits,
};

mod breaker;

pub use breaker::{Breaker, Change, Held, Verdict};

#[cfg(test)]
mod tests;

/// What happens to a session after a panic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// It is started again after a pause.
    Restart {
        /// The pause.
        after_ms: u64,
    },
    /// It is not started again until a person releases it.
    Quarantine {
        /// How many panics the window held.
        panics: u32,
    },
}

/// Decides after a panic. `panics` are the session's own panics since it last made progress, oldest
/// first, the newest included; `jitter` is any random number.
#[must_use]
pub fn after_panic(
    policy: &RestartPolicy,
    panics: &[Timestamp],
    now: Timestamp,
    jitter: u64,
) -> Next {
    // The panic that is being decided counts even where the caller's list does not hold it yet.
    let recent = panics.iter().filter(|at| now.since_ms(**at) < policy.window_ms).count().max(1);
    let recent = u32::try_from(recent).unwrap_or(u32::MAX);
    if recent >= policy.panics_max {
        return Next::Quarantine { panics: recent };
    }
    // All of them, not only the recent ones: a session that panics slower than the window would
    // otherwise be restarted at the first pause for ever.
    let all = u32::try_from(panics.len()).unwrap_or(u32::MAX).max(1);
    let pause = doubled(policy.backoff_ms, all - 1, policy.backoff_max_ms);
    Next::Restart { after_ms: lengthened(pause, jitter) }
}

/// The pause before a model call is made again. `attempt` counts the failures so far, from 1. The
/// vendor may ask for a longer one, up to what a gate would keep: behind an absurd figure the turn
/// would die by its deadline instead of trying again.
#[must_use]
pub fn retry_pause(attempt: u32, retry_after_ms: Option<u64>, jitter: u64) -> u64 {
    let own = doubled(limits::RETRY_MS, attempt.saturating_sub(1), limits::RETRY_MAX_MS);
    let asked = retry_after_ms.unwrap_or(0).min(limits::GATE_PAUSE_MAX_MS);
    lengthened(own.max(asked), jitter)
}

/// `first`, doubled `times` times, at most `max`.
pub(in crate::policy) fn doubled(first: u64, times: u32, max: u64) -> u64 {
    let factor = 1_u64.checked_shl(times).unwrap_or(u64::MAX);
    first.saturating_mul(factor).min(max)
}

/// `pause` and up to a fifth more.
pub(in crate::policy) fn lengthened(pause: u64, jitter: u64) -> u64 {
    pause.saturating_add(jitter % (pause / 5 + 1))
}

/// How many restarts the whole runtime allows itself per second: a token bucket, counted in
/// thousandths of a restart so that it needs no fractions. One second's worth may go at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    per_second: u32,
    /// Below zero: restarts were promised that the bucket has yet to gain.
    milli: i64,
    filled_at: Timestamp,
}

/// Thousandths in one restart.
const ONE: i64 = 1_000;

impl Rate {
    /// A full bucket with the runtime's limit.
    #[must_use]
    pub const fn new(now: Timestamp) -> Self {
        Self::of(limits::RESTARTS_PER_SECOND, now)
    }

    /// A full bucket with another limit; 0 is taken as 1, so that nobody waits for ever.
    #[must_use]
    pub const fn of(per_second: u32, now: Timestamp) -> Self {
        let per_second = if per_second == 0 { 1 } else { per_second };
        Self { per_second, milli: per_second as i64 * ONE, filled_at: now }
    }

    /// Takes one restart and says how long to wait for it. Those who ask together are given
    /// moments one after the other: nobody asks again, and nobody waits with a crowd.
    pub fn admit(&mut self, now: Timestamp) -> u64 {
        self.fill(now);
        self.milli -= ONE;
        let owed = u64::try_from(-self.milli).unwrap_or(0);
        owed.div_ceil(u64::from(self.per_second))
    }

    /// Forgets what may go at once, not what was promised: those who waited together for
    /// something else are spread from the first one on.
    pub fn drain(&mut self, now: Timestamp) {
        self.fill(now);
        self.milli = self.milli.min(0);
    }

    fn fill(&mut self, now: Timestamp) {
        let per_second = i64::from(self.per_second);
        // `per_second` restarts a second are as many thousandths a millisecond. A clock that went
        // backwards fills nothing, and filling goes on from where it is now.
        let passed = i64::try_from(now.since_ms(self.filled_at)).unwrap_or(i64::MAX);
        let gained = passed.saturating_mul(per_second);
        self.milli = self.milli.saturating_add(gained).min(per_second * ONE);
        self.filled_at = now;
    }
}
