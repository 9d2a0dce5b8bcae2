//! Tables and properties of what a gate decides, with time as a number.

use proptest::prelude::*;
use uuid::Uuid;

use super::*;
use crate::domain::model::Allowance;

mod bars;
mod outage;
mod turns;

fn session(no: u128) -> SessionId {
    SessionId(Uuid::from_u128(no))
}

fn at(ms: i64) -> Timestamp {
    Timestamp(ms)
}

/// A first try of a root that takes so many tokens.
fn claim(who: u128, tokens: u64) -> Claim {
    let session = session(who);
    Claim { session, behind: false, attempt: 0, input_tokens: 0, output_tokens: tokens }
}

/// A gate without places: what it knows, who waits, and the moment.
struct Desk {
    known: Admission,
    queue: Queue<u64>,
    now: Timestamp,
    random: u64,
    no: u64,
}

impl Desk {
    fn new(places: usize) -> Self {
        let (known, queue) = (Admission::new(places), Queue::new(usize::MAX));
        Self { known, queue, now: at(1_000), random: 7, no: 0 }
    }

    fn moment(&mut self) -> (Timestamp, u64) {
        self.random = self.random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (self.now, self.random >> 16)
    }

    fn waits(&mut self, claim: Claim) {
        self.no += 1;
        self.queue.put(self.no, claim, self.no);
    }

    fn next(&self) -> Next {
        self.known.next(&self.queue, self.now)
    }

    /// Lets in whoever may come in now.
    fn grant(&mut self) -> Option<(u64, Claim)> {
        let Next::Grant(pick) = self.next() else { return None };
        let (claim, no) = self.queue.take(pick).unwrap();
        let moment = self.moment();
        self.known.granted(no, claim, moment, self.queue.len());
        Some((no, claim))
    }

    /// Lets in everybody who may come in at this moment.
    fn grants(&mut self) -> Vec<u64> {
        std::iter::from_fn(|| self.grant()).map(|(no, _)| no).collect()
    }

    fn ended(&mut self, no: u64, end: End) {
        let moment = self.moment();
        self.known.ended(no, end, moment);
    }

    /// Lets time run until somebody may come in; `None` when only what happens elsewhere can help.
    fn until_next(&mut self) -> Option<(u64, Claim)> {
        loop {
            match self.next() {
                Next::Grant(_) => return self.grant(),
                Next::Wait { until } => {
                    let until = until?;
                    assert!(self.now < until, "it would wait for a moment that is past");
                    self.now = until;
                }
            }
        }
    }
}

#[test]
fn what_a_failure_says_of_the_vendor() {
    use FailureKind as Kind;
    let of = |kind, retry_after_ms| {
        End::of(&ModelFailure { retry_after_ms, ..ModelFailure::new(kind, "", true) })
    };
    let table = [
        (Kind::RateLimited, End::Refused { retry_after_ms: Some(7) }),
        (Kind::Overloaded, End::Broken { retry_after_ms: Some(7) }),
        (Kind::Transport, End::Broken { retry_after_ms: Some(7) }),
        (Kind::EndedEarly, End::Broken { retry_after_ms: Some(7) }),
        (Kind::TimedOut, End::Broken { retry_after_ms: Some(7) }),
        (Kind::Auth, End::Silent),
        (Kind::Quota, End::Silent),
        (Kind::BadRequest, End::Silent),
        (Kind::Malformed, End::Silent),
        (Kind::Aborted, End::Silent),
        (Kind::Lost, End::Silent),
    ];
    for (kind, end) in table {
        assert_eq!(of(kind, Some(7)), end, "{kind:?}");
    }
    assert_eq!(of(Kind::RateLimited, None), End::Refused { retry_after_ms: None });
}

proptest! {
    /// Whatever vendors say and calls come to: whoever waits is let in at last, nothing is granted
    /// before a pause has ended, and while the breaker is open there is one probe at most.
    #[test]
    fn whoever_waits_is_let_in_at_last(
        steps in proptest::collection::vec((0u8..9, 0u64..6, 0u64..400_000, 0u64..100_000), 1..200),
    ) {
        let mut desk = Desk::new(4);
        let mut flying: Vec<u64> = Vec::new();
        for (what, who, big, small) in steps {
            match what {
                0 | 1 => {
                    let attempt = u32::from(big % 2 == 0);
                    let behind = big % 3 == 0;
                    let claim = Claim { attempt, behind, ..claim(u128::from(who), small) };
                    desk.waits(claim);
                }
                2 => desk.now = desk.now.plus_ms(small),
                3 if !flying.is_empty() => {
                    let no = flying[who as usize % flying.len()];
                    let left = Allowance { limit: small, remaining: who * small / 6, reset_ms: big };
                    let heard = RateLimits { requests: Some(left), ..RateLimits::default() };
                    desk.known.learn(no, &heard, desk.now);
                }
                4..9 if !flying.is_empty() => {
                    let no = flying.remove(who as usize % flying.len());
                    let asked = (big % 2 == 0).then_some(small);
                    let ends = [
                        End::Answered,
                        End::Refused { retry_after_ms: asked },
                        End::Broken { retry_after_ms: asked },
                        End::Silent,
                        End::Late,
                    ];
                    desk.ended(no, ends[usize::from(what - 4)]);
                }
                _ => {}
            }
            let open = desk.known.bars(desk.now).breaker != Stage::Closed;
            let paused = desk.known.bars(desk.now).paused_until;
            let granted = if flying.len() < 4 { desk.grant() } else { None };
            prop_assert!(granted.is_none() || paused.is_none(), "{:?}", paused);
            if open && granted.is_some() {
                let breaker = desk.known.bars(desk.now).breaker;
                prop_assert!(matches!(breaker, Stage::Probing { .. }), "{:?}", breaker);
                prop_assert!(desk.grant().is_none(), "one probe at most");
            }
            flying.extend(granted.map(|(no, _)| no));
        }
        // All in flight come to nothing, and time runs.
        flying.into_iter().for_each(|no| desk.ended(no, End::Silent));
        let day = desk.now.plus_ms(2 * limits::GATE_PAUSE_MAX_MS);
        while !desk.queue.is_empty() {
            let (no, _) = desk.until_next().expect("somebody may come in at some moment");
            desk.ended(no, End::Silent);
            prop_assert!(desk.now < day);
        }
    }
}
