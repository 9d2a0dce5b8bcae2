//! Budgets and the amounts that are reserved, spent and compared with them.

use serde::{Deserialize, Serialize};

use super::{
    ids::{CallId, SessionId},
    usage::NanoUsd,
};

/// What something costs or may cost, in every dimension a budget can limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Amount {
    /// Tokens of every kind.
    #[serde(default)]
    pub tokens: u64,
    /// Money.
    #[serde(default)]
    pub nano_usd: NanoUsd,
    /// Calls to models.
    #[serde(default)]
    pub model_calls: u64,
    /// Calls to tools.
    #[serde(default)]
    pub tool_calls: u64,
    /// Live agents: only ever reserved, given back when the agent has ended.
    #[serde(default)]
    pub agents: u64,
}

impl Amount {
    /// Both together, saturating.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self {
            tokens: self.tokens.saturating_add(other.tokens),
            nano_usd: NanoUsd(self.nano_usd.0.saturating_add(other.nano_usd.0)),
            model_calls: self.model_calls.saturating_add(other.model_calls),
            tool_calls: self.tool_calls.saturating_add(other.tool_calls),
            agents: self.agents.saturating_add(other.agents),
        }
    }

    /// This without `other`, never below zero.
    #[must_use]
    pub const fn minus(self, other: Self) -> Self {
        Self {
            tokens: self.tokens.saturating_sub(other.tokens),
            nano_usd: NanoUsd(self.nano_usd.0.saturating_sub(other.nano_usd.0)),
            model_calls: self.model_calls.saturating_sub(other.model_calls),
            tool_calls: self.tool_calls.saturating_sub(other.tool_calls),
            agents: self.agents.saturating_sub(other.agents),
        }
    }
}

/// Upper limits; `None` is no limit in that dimension.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Budget {
    /// Tokens of every kind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens: Option<u64>,
    /// Money.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nano_usd: Option<NanoUsd>,
    /// Calls to models.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model_calls: Option<u64>,
    /// Calls to tools.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool_calls: Option<u64>,
    /// Agents alive at once below (and not counting) this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agents: Option<u64>,
}

/// Declared step by step: what is not said is not limited.
///
/// ```
/// use greenroom_actors::domain::{budget::Budget, usage::NanoUsd};
///
/// let budget = Budget::default().money(NanoUsd::cents(50)).model_calls(20);
/// assert_eq!(budget.nano_usd, Some(NanoUsd(500_000_000)));
/// assert_eq!((budget.model_calls, budget.tokens), (Some(20), None));
/// ```
impl Budget {
    /// At most so many tokens, of every kind.
    #[must_use]
    pub const fn tokens(mut self, tokens: u64) -> Self {
        self.tokens = Some(tokens);
        self
    }

    /// At most so much money; a model without a known price is then refused.
    #[must_use]
    pub const fn money(mut self, money: NanoUsd) -> Self {
        self.nano_usd = Some(money);
        self
    }

    /// At most so many calls to models.
    #[must_use]
    pub const fn model_calls(mut self, calls: u64) -> Self {
        self.model_calls = Some(calls);
        self
    }

    /// At most so many calls to tools.
    #[must_use]
    pub const fn tool_calls(mut self, calls: u64) -> Self {
        self.tool_calls = Some(calls);
        self
    }

    /// At most so many agents alive at once below it.
    #[must_use]
    pub const fn agents(mut self, agents: u64) -> Self {
        self.agents = Some(agents);
        self
    }
}

/// A dimension of a budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Dimension {
    /// Tokens.
    Tokens,
    /// Money.
    Money,
    /// Model calls.
    ModelCalls,
    /// Tool calls.
    ToolCalls,
    /// Live agents.
    Agents,
}

impl Dimension {
    /// An amount of it, for a person.
    #[must_use]
    pub fn shown(self, amount: u64) -> String {
        match self {
            Self::Tokens => format!("{amount} tokens"),
            Self::Money => NanoUsd(amount).to_string(),
            Self::ModelCalls => format!("{amount} model calls"),
            Self::ToolCalls => format!("{amount} tool calls"),
            Self::Agents => format!("{amount} agents"),
        }
    }

    /// What it is called.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Tokens => "tokens",
            Self::Money => "money",
            Self::ModelCalls => "model calls",
            Self::ToolCalls => "tool calls",
            Self::Agents => "agents",
        }
    }

    /// Every dimension, in a fixed order.
    pub const ALL: [Self; 5] =
        [Self::Tokens, Self::Money, Self::ModelCalls, Self::ToolCalls, Self::Agents];

    /// This dimension of an amount.
    #[must_use]
    pub const fn of(self, amount: &Amount) -> u64 {
        match self {
            Self::Tokens => amount.tokens,
            Self::Money => amount.nano_usd.0,
            Self::ModelCalls => amount.model_calls,
            Self::ToolCalls => amount.tool_calls,
            Self::Agents => amount.agents,
        }
    }

    /// This dimension's limit.
    #[must_use]
    pub fn limit(self, budget: &Budget) -> Option<u64> {
        match self {
            Self::Tokens => budget.tokens,
            Self::Money => budget.nano_usd.map(|money| money.0),
            Self::ModelCalls => budget.model_calls,
            Self::ToolCalls => budget.tool_calls,
            Self::Agents => budget.agents,
        }
    }
}

/// A mark that spending passes on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Mark {
    /// Most of the budget.
    Most,
    /// More than the budget: a vendor charged more than anybody could know before.
    Overrun,
}

impl Mark {
    /// The mark of a share in percent.
    #[must_use]
    pub const fn of(percent: u64) -> Self {
        if percent > 100 { Self::Overrun } else { Self::Most }
    }
}

impl Budget {
    /// Whether nothing is limited.
    #[must_use]
    pub fn is_unlimited(&self) -> bool {
        *self == Self::default()
    }
}

/// An account on the way from a root to a session: a session that has a budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Account {
    /// The session whose budget it is; everything below it draws on it.
    pub session: SessionId,
    /// Its limits.
    pub budget: Budget,
}

/// What a session asks of the ledger before it calls.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reservation {
    /// The call it is for; the same call again is the same reservation.
    pub call: CallId,
    /// The root of the session tree: whose log holds the grant.
    pub root: SessionId,
    /// Accounts that must all have room, root first.
    pub accounts: Vec<Account>,
    /// A true upper bound of what the call can cost; `None` money means the price is unknown.
    pub bound: Amount,
    /// Whether the money part of the bound is known.
    pub priced: bool,
}

/// Room that is set aside for a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// At most this may the call come to; it is what the ledger holds, and what the call records.
    pub bound: Amount,
    /// Whether the money part of the bound is known.
    pub priced: bool,
}

impl Room {
    /// Whether a call that may come to this much fits.
    #[must_use]
    pub fn covers(&self, bound: &Amount) -> bool {
        bound.minus(self.bound) == Amount::default()
    }
}

/// Why a reservation was refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Shortage {
    /// An account has no room and none can come free.
    Exhausted {
        /// Whose budget.
        account: SessionId,
        /// In which dimension.
        dimension: Dimension,
        /// Its limit.
        limit: u64,
        /// Spent so far.
        spent: u64,
        /// What the call could cost.
        bound: u64,
    },
    /// A money budget is on the path and the model's price is not known.
    UnknownPrice {
        /// Whose budget.
        account: SessionId,
    },
    /// Room could have come free but did not within the deadline.
    Waited {
        /// Whose budget.
        account: SessionId,
        /// How long the reservation waited.
        waited_ms: u64,
    },
}

impl std::fmt::Display for Shortage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Exhausted { account, dimension: Dimension::Agents, limit, spent, .. } => {
                write!(f, "{spent} of at most {limit} agents are at work below {account}")
            }
            Self::Exhausted { account, dimension, limit, spent, bound } => {
                let shown = |amount: u64| dimension.shown(amount);
                let (spent, limit, bound) = (shown(*spent), shown(*limit), shown(*bound));
                write!(
                    f,
                    "budget of {account}: {spent} of {limit} spent, the next call may need {bound}"
                )
            }
            Self::UnknownPrice { account } => {
                write!(f, "budget of {account} is in money, but the model's price is unknown")
            }
            Self::Waited { account, waited_ms } => {
                write!(f, "budget of {account} stayed reserved by others for {waited_ms} ms")
            }
        }
    }
}
