//! What can be asked across sessions. A `Change` is what one frame does to the read model; it is
//! computed by `policy::catalog` from the events, so that the read model can always be rebuilt.

mod census;

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::{
    event::Goal,
    ids::{
        AgentName, ApprovalId, ApprovalNo, CheckpointName, InputKey, ModelCallNo, ModelName,
        Position, SessionId, TenantId, Timestamp,
    },
    job::{JobRow, JobState},
    permission::Ask,
    usage::{NanoUsd, Settlement, Usage},
};

pub use census::{AwakeFigures, Census, Wait};

/// What a session is doing, in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Nothing in hand.
    Idle,
    /// Has work in hand: must be awake.
    Running,
    /// Waits for a person or a point in time: may sleep.
    Waiting,
    /// Off the stage until a person releases it.
    Quarantined,
    /// Put away.
    Archived,
}

impl Status {
    /// Each of them.
    pub const ALL: [Self; 5] =
        [Self::Idle, Self::Running, Self::Waiting, Self::Quarantined, Self::Archived];

    /// The word.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Running => "running",
            Self::Waiting => "waiting",
            Self::Quarantined => "quarantined",
            Self::Archived => "archived",
        }
    }

    /// Whether one that does this has work in hand, be it off the stage.
    #[must_use]
    pub const fn is_busy(self) -> bool {
        match self {
            Self::Running | Self::Waiting | Self::Quarantined => true,
            Self::Idle | Self::Archived => false,
        }
    }
}

/// A session's line in the catalog.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionRow {
    /// Which.
    pub session: SessionId,
    /// Whose data.
    pub tenant: TenantId,
    /// The root of its tree.
    pub root: SessionId,
    /// Its parent.
    pub parent: Option<SessionId>,
    /// Its agent.
    pub agent: AgentName,
    /// Its own name, if it has one.
    pub name: Option<String>,
    /// What it is doing.
    pub status: Status,
    /// What it waits on, in words.
    pub waiting_on: Option<String>,
    /// When it must be woken although nobody speaks to it.
    pub wake_at: Option<Timestamp>,
    /// Its goal.
    pub goal: Option<Goal>,
    /// Restarts so far.
    pub restarts: u64,
    /// When it was opened.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// Its last frame.
    pub position: Position,
}

impl SessionRow {
    /// For what it waits, where it has work in hand.
    #[must_use]
    pub fn waits(&self) -> Option<Wait> {
        let words = || self.waiting_on.as_deref().unwrap_or_default();
        self.status.is_busy().then(|| Wait::of(words()))
    }
}

/// One effect of a frame on the read model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Change {
    /// The session's line is now this.
    Session(Box<SessionRow>),
    /// An approval waits.
    ApprovalOpened {
        /// Its number in the session.
        no: ApprovalNo,
        /// When it was asked.
        asked_at: Timestamp,
        /// What is asked.
        ask: Box<Ask>,
    },
    /// It no longer does.
    ApprovalClosed {
        /// Its number in the session.
        no: ApprovalNo,
    },
    /// A model call was booked; replaces an earlier word on the same call.
    Usage {
        /// The call.
        call: ModelCallNo,
        /// The model.
        model: ModelName,
        /// The agent.
        agent: AgentName,
        /// The booking.
        settlement: Settlement,
    },
    /// A checkpoint.
    Checkpoint {
        /// Its name.
        name: CheckpointName,
        /// Where it points.
        at: Position,
        /// The caller's own value.
        value: String,
    },
    /// An input was accepted.
    Input {
        /// Its key.
        key: InputKey,
        /// The frame that says so.
        at: Position,
    },
    /// The job's line is now this.
    Job(Box<JobRow>),
}

/// An approval as the inbox lists it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApprovalRow {
    /// Which.
    pub id: ApprovalId,
    /// Whose data.
    pub tenant: TenantId,
    /// The agent that asks.
    pub agent: AgentName,
    /// When it asked.
    pub asked_at: Timestamp,
    /// What it asks.
    pub ask: Ask,
}

/// A checkpoint as it is listed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckpointRow {
    /// Of which session.
    pub session: SessionId,
    /// Its name.
    pub name: CheckpointName,
    /// Where it points.
    pub at: Position,
    /// The caller's own value.
    pub value: String,
}

/// A booked model call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UsageRow {
    /// The session.
    pub session: SessionId,
    /// Its root.
    pub root: SessionId,
    /// The call.
    pub call: ModelCallNo,
    /// The model.
    pub model: ModelName,
    /// The agent.
    pub agent: AgentName,
    /// The booking.
    pub settlement: Settlement,
}

/// Sums over booked model calls. What is exact and what is only bounded are apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    /// Calls with a final usage.
    pub calls: u64,
    /// Their tokens.
    pub usage: Usage,
    /// Their cost, where known.
    pub cost: NanoUsd,
    /// Calls whose price is not known.
    pub unpriced_calls: u64,
    /// Calls that broke off.
    pub unsettled_calls: u64,
    /// At most this many tokens in them.
    pub unsettled_tokens_max: u64,
    /// At most this cost in them.
    pub unsettled_cost_max: NanoUsd,
}

impl Totals {
    /// Adds one booking.
    pub fn add(&mut self, settlement: &Settlement) {
        match settlement {
            Settlement::Exact { usage, cost } => {
                self.calls += 1;
                self.usage += *usage;
                match cost {
                    Some(cost) => self.cost = NanoUsd(self.cost.0.saturating_add(cost.0)),
                    None => self.unpriced_calls += 1,
                }
            }
            Settlement::Unsettled { tokens_max, cost_max } => {
                self.unsettled_calls += 1;
                self.unsettled_tokens_max = self.unsettled_tokens_max.saturating_add(*tokens_max);
                let cost = cost_max.unwrap_or_default();
                self.unsettled_cost_max = NanoUsd(self.unsettled_cost_max.0.saturating_add(cost.0));
            }
            Settlement::Free => {}
        }
    }
}

impl std::ops::AddAssign for Totals {
    fn add_assign(&mut self, other: Self) {
        let money = |a: NanoUsd, b: NanoUsd| NanoUsd(a.0.saturating_add(b.0));
        self.calls = self.calls.saturating_add(other.calls);
        self.usage += other.usage;
        self.cost = money(self.cost, other.cost);
        self.unpriced_calls = self.unpriced_calls.saturating_add(other.unpriced_calls);
        self.unsettled_calls = self.unsettled_calls.saturating_add(other.unsettled_calls);
        self.unsettled_tokens_max =
            self.unsettled_tokens_max.saturating_add(other.unsettled_tokens_max);
        self.unsettled_cost_max = money(self.unsettled_cost_max, other.unsettled_cost_max);
    }
}

/// A tree of sessions that is to be deleted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Erasure {
    /// Its root.
    pub root: SessionId,
    /// Sessions that the house has taken off the stage: whatever their lines say, they are not at work.
    pub off_stage: BTreeSet<SessionId>,
}

/// What keeps a tree from being deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hindrance {
    /// Somebody in it has something in hand.
    AtWork {
        /// Who.
        session: SessionId,
    },
    /// A fork goes on from one in it.
    Forked {
        /// From which.
        session: SessionId,
        /// The fork.
        fork: SessionId,
    },
}

impl std::fmt::Display for Hindrance {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::AtWork { session } => {
                write!(f, "{session} has work in hand; cancel it and wait for its end")
            }
            Self::Forked { session, fork } => {
                write!(f, "{fork} is a fork that goes on from {session}; delete that first")
            }
        }
    }
}

/// Which booked calls to sum.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TotalsOf {
    /// Everything.
    Runtime,
    /// One session alone.
    Session(SessionId),
    /// A session and everything below it.
    Subtree(SessionId),
    /// One model.
    Model(ModelName),
    /// One agent name.
    Agent(AgentName),
    /// One tenant.
    Tenant(TenantId),
}

/// Which sessions to list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SessionFilter {
    /// Only of this tenant.
    pub tenant: Option<TenantId>,
    /// Only of this tree.
    pub root: Option<SessionId>,
    /// Only with one of these states; empty is all.
    pub status: Vec<Status>,
    /// Archived ones too.
    pub archived: bool,
    /// Only those that must be woken by then.
    pub wake_by: Option<Timestamp>,
    /// Only after this one, in the order of ids.
    pub after: Option<SessionId>,
    /// At most this many.
    pub rows: usize,
    /// Roots only; each of those that hold a session for which all the other wishes are true.
    pub roots: bool,
    /// Only these.
    pub among: Option<Vec<SessionId>>,
    /// Only of this agent.
    pub agent: Option<AgentName>,
    /// Only where agent, name, what is waited for or an end of the id has this text; the case of
    /// plain letters does not matter.
    pub text: Option<String>,
    /// The newest first; `after` then is the last of the page before, too.
    pub newest: bool,
}

/// A session's line with what it spent itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// Its line.
    pub row: SessionRow,
    /// What it spent, without those below it.
    pub own: Totals,
}

/// What a session and everybody below it came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Branch {
    /// Whose.
    pub session: SessionId,
    /// What it spent itself.
    pub own: Totals,
    /// What it spent with everybody below it.
    pub subtree: Totals,
    /// How many children it has.
    pub children: u64,
}

/// Which open approvals to list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ApprovalFilter {
    /// Only of this tenant.
    pub tenant: Option<TenantId>,
    /// Only of this session.
    pub session: Option<SessionId>,
    /// Only this one.
    pub only: Option<ApprovalId>,
    /// Only behind this place in the order of a list: by expiry, then by id.
    pub after: Option<(Timestamp, ApprovalId)>,
    /// At most this many; 0 is all that are open.
    pub rows: usize,
}

/// How much is open.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Open {
    /// Approvals that wait for an answer.
    pub approvals: u64,
    /// Jobs for which something is left to be done, by what they are doing.
    pub jobs: Vec<(JobState, u64)>,
}
