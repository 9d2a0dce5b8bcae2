//! The pause that a vendor asked for, and how callers come back from it: one by one, with positive
//! jitter, because a herd that wakes together is refused together.
//!
//! ```text
//! open ── begin ──▶ paused ── until + jitter ──▶ spreading ── the crowd is through ──▶ open
//!                     ▲                             │
//!                     └────────── begin ────────────┘
//! ```

use crate::{domain::ids::Timestamp, limits};

/// The pause; there is none at first.
#[derive(Clone, Copy, Debug, Default)]
pub struct Pause {
    until: Timestamp,
    spread_ms: u64,
    /// The earliest moment of the next grant.
    next: Timestamp,
    /// Who waited when the first was let in again, as far as they still do, and until when they are
    /// let in.
    crowd: Option<(usize, Timestamp)>,
}

impl Pause {
    /// The first moment at which a call may be made.
    #[must_use]
    pub const fn until(&self) -> Timestamp {
        self.until
    }

    /// The earliest moment of the next grant.
    #[must_use]
    pub const fn next(&self) -> Timestamp {
        self.next
    }

    /// Starts or prolongs it; a shorter one never cuts a longer one short.
    pub fn begin(&mut self, retry_after_ms: u64, now: Timestamp, random: u64) {
        // One absurd figure must not take the credential away for good.
        let retry_after_ms = retry_after_ms.min(limits::GATE_PAUSE_MAX_MS);
        let until = now.plus_ms(retry_after_ms);
        if until <= self.until {
            return;
        }
        let spread_ms = (retry_after_ms / 100).saturating_mul(limits::GATE_SPREAD_PERCENT);
        let spread_ms = spread_ms.clamp(limits::GATE_SPREAD_MIN_MS, limits::GATE_SPREAD_MAX_MS);
        // The first up to half of the spread later, so that processes that share a credential do
        // not come back together either.
        let next = until.plus_ms(up_to(spread_ms / 2, random));
        *self = Self { until, spread_ms, next, crowd: None };
    }

    /// Who waits comes back spread over this while, as after a pause that ends now.
    pub fn spread(&mut self, now: Timestamp, spread_ms: u64) {
        if self.until <= now {
            *self = Self { until: now, spread_ms, next: self.next.max(now), crowd: None };
        }
    }

    /// A call was let in while so many others wait. A crowd that is larger than all places comes
    /// back over as many spreads as it fills them: behind the end of a single one all the rest
    /// would call together. Who comes later comes at a moment of its own.
    pub fn granted(&mut self, now: Timestamp, random: u64, (places, waiting): (usize, usize)) {
        if self.spread_ms == 0 {
            return;
        }
        let (left, ends) = match self.crowd {
            None => {
                let times = (waiting + 1).div_ceil(places.max(1)) as u64;
                (waiting, self.until.plus_ms(self.spread_ms.saturating_mul(times)))
            }
            Some((left, ends)) => (left.saturating_sub(1).min(waiting), ends),
        };
        self.crowd = Some((left, ends));
        let left_ms = ends.since_ms(now);
        if left == 0 || left_ms == 0 {
            self.spread_ms = 0;
            return;
        }
        let gap_ms = up_to(2 * left_ms / left as u64, random).min(left_ms);
        self.next = now.plus_ms(gap_ms);
    }
}

fn up_to(max: u64, random: u64) -> u64 {
    random % max.saturating_add(1)
}
