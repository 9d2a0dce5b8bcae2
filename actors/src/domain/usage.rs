//! Tokens and money, in integers. Money is in nano-dollars; a price is in pico-dollars per token,
//! because vendors quote fractions of a cent per million.

use std::{fmt, ops::AddAssign};

use serde::{Deserialize, Serialize};

use super::ids::{ModelName, Timestamp};

/// What a model reported for one call. Kinds are apart; `reasoning` is part of `output`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Usage {
    /// Input tokens that no cache served.
    pub input: u64,
    /// Input tokens read from a prompt cache.
    pub cache_read: u64,
    /// Input tokens written to a prompt cache.
    pub cache_write: u64,
    /// Output tokens, reasoning included.
    pub output: u64,
    /// Of the output, tokens spent on reasoning.
    pub reasoning: u64,
}

impl Usage {
    /// All tokens that count towards a budget.
    #[must_use]
    pub const fn tokens(&self) -> u64 {
        self.input
            .saturating_add(self.cache_read)
            .saturating_add(self.cache_write)
            .saturating_add(self.output)
    }
}

impl AddAssign for Usage {
    fn add_assign(&mut self, other: Self) {
        self.input = self.input.saturating_add(other.input);
        self.cache_read = self.cache_read.saturating_add(other.cache_read);
        self.cache_write = self.cache_write.saturating_add(other.cache_write);
        self.output = self.output.saturating_add(other.output);
        self.reasoning = self.reasoning.saturating_add(other.reasoning);
    }
}

/// Money in nano-dollars (10⁻⁹ of a dollar).
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct NanoUsd(pub u64);

impl NanoUsd {
    /// So many cents.
    #[must_use]
    pub const fn cents(cents: u64) -> Self {
        Self(cents.saturating_mul(10_000_000))
    }
}

impl fmt::Display for NanoUsd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "${}.{:06}", self.0 / 1_000_000_000, self.0 % 1_000_000_000 / 1_000)
    }
}

/// Pico-dollars per token of each kind: `$3 per million tokens` is 3,000,000.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Price {
    /// Uncached input.
    pub input: u64,
    /// Input read from a cache.
    pub cache_read: u64,
    /// Input written to a cache.
    pub cache_write: u64,
    /// Output, reasoning included.
    pub output: u64,
}

impl Price {
    /// What `usage` costs, rounded up to a nano-dollar.
    #[must_use]
    pub fn cost(&self, usage: &Usage) -> NanoUsd {
        let pico = u128::from(usage.input) * u128::from(self.input)
            + u128::from(usage.cache_read) * u128::from(self.cache_read)
            + u128::from(usage.cache_write) * u128::from(self.cache_write)
            + u128::from(usage.output) * u128::from(self.output);
        NanoUsd(u64::try_from(pico.div_ceil(1_000)).unwrap_or(u64::MAX))
    }

    /// The dearest an input token can be.
    #[must_use]
    pub fn top_input(&self) -> u64 {
        self.input.max(self.cache_read).max(self.cache_write)
    }
}

/// A price that holds for a model from a date on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DatedPrice {
    /// The model.
    pub model: ModelName,
    /// From when it holds.
    pub since: Timestamp,
    /// The price.
    pub price: Price,
    /// What a call with a long prompt costs instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub long: Option<LongPrompts>,
}

/// Some vendors charge the whole call more when its prompt is long.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LongPrompts {
    /// Longest prompt of the usual price, in tokens, whatever served them.
    pub above: u64,
    /// The whole call's price beyond it.
    pub price: Price,
}

/// What a model costs at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tariff {
    /// As a rule.
    pub usual: Price,
    /// With a long prompt.
    pub long: Option<LongPrompts>,
}

impl Tariff {
    /// What `usage` costs.
    #[must_use]
    pub fn cost(&self, usage: &Usage) -> NanoUsd {
        self.of_prompt(usage.input + usage.cache_read + usage.cache_write).cost(usage)
    }

    /// The most that a call can cost with so many tokens in and out at most.
    #[must_use]
    pub fn bound(&self, input: u64, output: u64) -> NanoUsd {
        let most = |price: &Price| {
            let input_price = u128::from(price.top_input());
            let output_price = input_price.max(u128::from(price.output));
            u128::from(input) * input_price + u128::from(output) * output_price
        };
        // A call below the bound may have a short prompt, at a price that need not be the lower one.
        let long = self.long.filter(|long| input > long.above);
        let pico = most(&self.usual).max(long.map_or(0, |long| most(&long.price)));
        NanoUsd(u64::try_from(pico.div_ceil(1_000)).unwrap_or(u64::MAX))
    }

    fn of_prompt(&self, tokens: u64) -> Price {
        match self.long {
            Some(long) if tokens > long.above => long.price,
            Some(_) | None => self.usual,
        }
    }
}

/// All prices the runtime knows, as data.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PriceBook(pub Vec<DatedPrice>);

impl PriceBook {
    /// These, and what a model costs as long as nothing else is said.
    #[must_use]
    pub fn with(mut self, model: impl Into<ModelName>, price: Price) -> Self {
        self.0.push(DatedPrice {
            model: model.into(),
            since: Timestamp::default(),
            price,
            long: None,
        });
        self
    }

    /// The price of `model` at `now`: the latest entry that has begun. `None` is unknown, never 0.
    #[must_use]
    pub fn price(&self, model: &ModelName, now: Timestamp) -> Option<Tariff> {
        self.0
            .iter()
            .filter(|entry| entry.model == *model && entry.since <= now)
            .max_by_key(|entry| entry.since)
            .map(|entry| Tariff { usual: entry.price, long: entry.long })
    }
}

/// How a model call was booked. Assigned, never added: a later word on the same call replaces it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Settlement {
    /// The vendor's own final usage.
    Exact {
        /// Tokens as reported.
        usage: Usage,
        /// Their cost, where the price is known.
        cost: Option<NanoUsd>,
    },
    /// The call broke off: the true figure is unknown and at most this.
    Unsettled {
        /// Upper bound of the tokens.
        tokens_max: u64,
        /// Upper bound of the cost, where the price is known.
        cost_max: Option<NanoUsd>,
    },
    /// The vendor refused before doing any work.
    Free,
}

impl Settlement {
    /// Tokens to charge.
    #[must_use]
    pub const fn tokens(&self) -> u64 {
        match self {
            Self::Exact { usage, .. } => usage.tokens(),
            Self::Unsettled { tokens_max, .. } => *tokens_max,
            Self::Free => 0,
        }
    }

    /// Money to charge.
    #[must_use]
    pub fn cost(&self) -> NanoUsd {
        match self {
            Self::Exact { cost, .. } => cost.unwrap_or_default(),
            Self::Unsettled { cost_max, .. } => cost_max.unwrap_or_default(),
            Self::Free => NanoUsd(0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_with_a_long_prompt_costs_what_the_vendor_takes_for_one_and_no_bound_is_below_it() {
        let price =
            |each: u64| Price { input: each, cache_read: each, output: each, ..Price::default() };
        let long = LongPrompts { above: 1_000, price: price(2_000) };
        let tariff = Tariff { usual: price(1_000), long: Some(long) };
        let usage = |input: u64, cache_read: u64| Usage {
            input,
            cache_read,
            output: 10,
            ..Usage::default()
        };
        // What a cache served belongs to the prompt's length.
        for (input, cached, cost) in [(1_000, 0, 1_010), (1_001, 0, 2_022), (1, 1_000, 2_022)] {
            let usage = usage(input, cached);
            assert_eq!(tariff.cost(&usage), NanoUsd(cost), "{usage:?}");
            assert!(tariff.cost(&usage) <= tariff.bound(input + cached, 10), "{usage:?}");
        }
        assert_eq!(tariff.bound(1_000, 10), NanoUsd(1_010), "no prompt below it is long");
    }
}
