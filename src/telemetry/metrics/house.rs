//! A look at the house: the levels that no event carries, as whoever looks has found them.

use greenroom_actors::domain::{
    catalog::{AwakeFigures, Census},
    ids::Timestamp,
};

/// How full something is that is lent out.
#[derive(Clone, Copy, Debug, Default)]
pub struct Fill {
    /// Places in all.
    pub places: usize,
    /// Places lent.
    pub taken: usize,
    /// Requests that wait for one.
    pub waiting: usize,
}

/// How a gate's breaker stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Breaker {
    /// Calls are let in.
    #[default]
    Closed,
    /// The vendor is down: nobody calls.
    Open,
    /// The vendor is down: one looks.
    Probing,
}

impl Breaker {
    pub(super) const ALL: [Self; 3] = [Self::Closed, Self::Open, Self::Probing];

    /// The word.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::Probing => "probing",
        }
    }
}

/// A gate: how full it is, where what is taken is in flight, and what holds its callers up.
#[derive(Clone, Copy, Debug, Default)]
pub struct Gate {
    /// Calls.
    pub fill: Fill,
    /// The end of the pause that its vendor asked for, while it lasts.
    pub paused_until: Option<Timestamp>,
    /// Whether the vendor is taken to be down.
    pub breaker: Breaker,
}

/// Lengths that were counted elsewhere: their sum, and how many were at most so long and longer than the
/// one before, in seconds. The last end is infinite.
#[derive(Clone, Debug)]
pub struct Spread {
    /// All of them together.
    pub sum: f64,
    /// How many up to each end.
    pub upto: Vec<(f64, u64)>,
}

impl Default for Spread {
    fn default() -> Self {
        Self { sum: 0.0, upto: vec![(f64::INFINITY, 0)] }
    }
}

/// A look at the house.
#[derive(Clone, Debug, Default)]
pub struct House {
    /// How many sessions of each agent are in which state.
    pub census: Vec<Census>,
    /// Sessions in memory, as the house's own directory counts them; unknown to whoever reads a
    /// store that another process may be working on.
    pub awake: Option<AwakeFigures>,
    /// Open questions.
    pub approvals: u64,
    /// Calls that wait at gates, of which the catalog says that they are with their model.
    pub at_gates: u64,
    /// How long frames took to be durable.
    pub appends: Spread,
    /// Sessions whose restart is held up because many died together.
    pub held: usize,
    /// Tool pools by kind.
    pub pools: Vec<(String, Fill)>,
    /// Gates by credential.
    pub gates: Vec<(String, Gate)>,
}
