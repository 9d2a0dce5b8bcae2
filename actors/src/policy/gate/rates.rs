//! What is left of a vendor's rate limits, learnt from the headers of its answers. Grants spend it
//! until the vendor says more or the window ends. What the vendor never spoke of is unlimited.
//!
//! The figures are hints: an answer counts what the vendor had heard when it wrote them, windows of
//! vendors slide, and our costs are estimates. So each figure is replaced by the next, holds nobody
//! behind its window, and no window is believed to be longer than `GATE_LEARNT_MAX_MS`. Who is wrong
//! is refused by the vendor, and a refusal's pause is no hint.

use crate::{
    domain::{
        ids::Timestamp,
        model::{Allowance, RateLimits},
    },
    limits,
};

use super::Claim;

/// What is left, by kind.
#[derive(Clone, Copy, Debug, Default)]
pub struct Rates {
    requests: Option<Window>,
    tokens: Option<Window>,
    input: Option<Window>,
    output: Option<Window>,
}

/// What a call takes, or several.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cost {
    requests: u64,
    input: u64,
    output: u64,
}

/// What is left, for people to see; nothing where nothing is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Left {
    /// Requests.
    pub requests: Option<u64>,
    /// Tokens of both kinds.
    pub tokens: Option<u64>,
    /// Tokens of input.
    pub input_tokens: Option<u64>,
    /// Tokens of output.
    pub output_tokens: Option<u64>,
}

/// One kind of limit.
#[derive(Clone, Copy, Debug)]
struct Window {
    limit: u64,
    left: u64,
    resets_at: Timestamp,
    /// How long it was when it was heard of.
    length_ms: u64,
    /// When the next grant is due, while little is left.
    paced: Timestamp,
    /// Whether the vendor has spoken of this very window, and not only of the one before.
    heard: bool,
}

impl Cost {
    /// What these calls take together.
    #[must_use]
    pub fn sum(claims: impl Iterator<Item = Claim>) -> Self {
        claims.map(|claim| Self::of(&claim)).fold(Self::default(), |sum, one| Self {
            requests: sum.requests + one.requests,
            input: sum.input.saturating_add(one.input),
            output: sum.output.saturating_add(one.output),
        })
    }

    const fn of(claim: &Claim) -> Self {
        Self { requests: 1, input: claim.input_tokens, output: claim.output_tokens }
    }

    const fn tokens(&self) -> u64 {
        self.input.saturating_add(self.output)
    }
}

impl Rates {
    /// When a call may be made: in the past when it may be now.
    #[must_use]
    pub fn room_at(&self, now: Timestamp) -> Timestamp {
        let windows = [self.requests, self.tokens, self.input, self.output];
        let each = windows.into_iter().flatten().filter_map(|window| window.at(now));
        each.map(|window| window.opens(now)).max().unwrap_or(now)
    }

    /// A call was let in.
    pub fn granted(&mut self, claim: &Claim, now: Timestamp) {
        self.each(&Cost::of(claim), |window, cost| {
            let mut window = window.at(now)?;
            window.spend(cost, now);
            Some(window)
        });
    }

    /// It came to nothing.
    pub fn unused(&mut self, claim: &Claim) {
        self.each(&Cost::of(claim), |mut window, cost| {
            window.left = window.left.saturating_add(cost);
            window.paced = Timestamp::default();
            Some(window)
        });
    }

    /// The vendor has spoken; what is on its way to it may not be counted yet.
    pub fn learn(&mut self, heard: &RateLimits, unheard: Cost, now: Timestamp) {
        let learn = |window: &mut Option<Window>, heard: Option<Allowance>, unheard| {
            if let Some(heard) = heard {
                *window = Some(Window::new(heard, unheard, *window, now));
            }
        };
        learn(&mut self.requests, heard.requests, unheard.requests);
        learn(&mut self.tokens, heard.tokens, unheard.tokens());
        learn(&mut self.input, heard.input_tokens, unheard.input);
        learn(&mut self.output, heard.output_tokens, unheard.output);
    }

    /// The vendor refused a call and said until when: nothing that is used up holds longer.
    pub fn refused(&mut self, until: Timestamp) {
        self.each(&Cost::default(), |mut window, _| {
            if window.left == 0 {
                window.resets_at = window.resets_at.min(until);
            }
            Some(window)
        });
    }

    /// What is left, as far as it is known.
    #[must_use]
    pub fn left(&self, now: Timestamp) -> Left {
        let left = |window: Option<Window>| Some(window?.at(now)?.left);
        Left {
            requests: left(self.requests),
            tokens: left(self.tokens),
            input_tokens: left(self.input),
            output_tokens: left(self.output),
        }
    }

    fn each(&mut self, cost: &Cost, change: impl Fn(Window, u64) -> Option<Window>) {
        let kinds = [
            (&mut self.requests, cost.requests),
            (&mut self.tokens, cost.tokens()),
            (&mut self.input, cost.input),
            (&mut self.output, cost.output),
        ];
        for (window, cost) in kinds {
            *window = window.and_then(|window| change(window, cost));
        }
    }
}

impl Window {
    fn new(heard: Allowance, unheard: u64, before: Option<Self>, now: Timestamp) -> Self {
        let length_ms = heard.reset_ms.min(limits::GATE_LEARNT_MAX_MS);
        let resets_at = now.plus_ms(length_ms);
        // A sliding window is heard of by how long it takes to be whole, which is short at first.
        let length_ms = before.map_or(length_ms, |before| before.length_ms.max(length_ms));
        let paced = before.map_or(Timestamp::default(), |before| before.paced.min(resets_at));
        let left = heard.remaining.saturating_sub(unheard);
        Self { limit: heard.limit, left, resets_at, length_ms, paced, heard: true }
    }

    /// It, or the one that has followed it: taken to be like it until the vendor speaks, once. After
    /// that nothing is known.
    fn at(self, now: Timestamp) -> Option<Self> {
        if now < self.resets_at {
            return Some(self);
        }
        let resets_at = self.resets_at.plus_ms(self.length_ms);
        let (paced, left) = (Timestamp::default(), self.limit);
        let follows = self.heard && self.limit > 0 && now < resets_at;
        follows.then_some(Self { left, resets_at, paced, heard: false, ..self })
    }

    /// When it lets a call in.
    fn opens(&self, now: Timestamp) -> Timestamp {
        if self.left == 0 {
            self.resets_at
        } else if self.is_little() {
            self.paced.min(self.resets_at)
        } else {
            now
        }
    }

    /// Takes what a call costs, at most what there is: the cost is a bound, and a call that is larger
    /// than what is left is let in and not held for ever.
    fn spend(&mut self, cost: u64, now: Timestamp) {
        if self.is_little() && self.left > 0 {
            let left_ms = u128::from(self.resets_at.since_ms(now));
            let share = left_ms * u128::from(cost.min(self.left)) / u128::from(self.left);
            self.paced = now.plus_ms(u64::try_from(share).unwrap_or(u64::MAX));
        }
        self.left = self.left.saturating_sub(cost);
    }

    fn is_little(&self) -> bool {
        u128::from(self.left) * 100
            < u128::from(self.limit) * u128::from(limits::GATE_LITTLE_PERCENT)
    }
}
