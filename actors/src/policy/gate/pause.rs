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
    crowd: Option<Crowd>,
}

/// Those who waited when the first was let in again, and whoever has come since.
#[derive(Clone, Copy, Debug)]
struct Crowd {
    /// The longest gap between two of them; the mean is half of it.
    gap_ms: u64,
    /// From then on the rest is let in without gaps.
    ends: Timestamp,
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
    /// would call together. It ends when nobody waits any more.
    pub fn granted(&mut self, now: Timestamp, random: u64, (places, waiting): (usize, usize)) {
        if self.spread_ms == 0 {
            return;
        }
        let mut crowd = match self.crowd {
            None => self.gathered(places.max(1), waiting),
            Some(crowd) => crowd,
        };
        let left_ms = crowd.ends.since_ms(now);
        if waiting == 0 || left_ms == 0 {
            self.spread_ms = 0;
            return;
        }
        self.next = now.plus_ms(up_to(crowd.gap_ms, random).min(left_ms));
        crowd.gap_ms = crowd.gap_ms.min(2 * left_ms / waiting as u64);
        self.crowd = Some(crowd);
    }

    fn gathered(&self, places: usize, waiting: usize) -> Crowd {
        let times = (waiting + 1).div_ceil(places) as u64;
        let spread_ms = self.spread_ms.saturating_mul(times);
        let gap_ms = 2 * spread_ms / (waiting as u64 + 1);
        // Gaps lengthen where calls are let in late; a crowd that has places enough is in by the end
        // of the one spread all the same.
        let ends_ms = if times > 1 { spread_ms.saturating_mul(2) } else { spread_ms };
        Crowd { gap_ms, ends: self.until.plus_ms(ends_ms) }
    }
}

fn up_to(max: u64, random: u64) -> u64 {
    random % max.saturating_add(1)
}
