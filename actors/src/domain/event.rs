//! The one vocabulary: what happened in a session, in the past tense. An event is a journal
//! record, a subscriber's message, a trace line and the source of every metric.

mod patience;

use serde::{Deserialize, Serialize};

use super::{
    agent::{ModelChoice, Rendered, Sampling},
    budget::{Account, Amount, Dimension, Shortage},
    conversation::{Block, Reply},
    ids::{
        AgentName, ApprovalNo, Assignment, CheckpointName, EngineId, InputKey, ModelCallNo,
        ModelName, Position, PrincipalId, ProviderName, SessionId, Timestamp, ToolCallNo, ToolName,
        TurnId,
    },
    outcome::{ChildReport, TurnOutcome},
    permission::{Answer, Ask, Authority, Basis, Closed, Mode, Raised, RequestDigest, Rule},
    tool::{Args, ToolOutcome, ToolSpec},
    usage::{Settlement, Usage},
};

/// Where a session comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lineage {
    /// The root of its tree; itself, for a root.
    pub root: SessionId,
    /// Who spawned it, and with which call.
    pub parent: Option<ParentLink>,
    /// How deep it is; 0 for a root.
    pub depth: u32,
    /// How much deeper it may spawn.
    pub depth_left: u32,
    /// Agents alive at once in the whole tree.
    pub total: u32,
    /// Budgets above it, root first; its own comes from its agent.
    pub accounts: Vec<Account>,
    /// Authority of its ancestors, root first; its own comes from its agent.
    pub authority: Vec<Authority>,
    /// Tools that its parent was asked about when it spawned it, because they failed there.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub raised: Vec<Raised>,
}

/// A child's link to its parent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ParentLink {
    /// The parent.
    pub session: SessionId,
    /// The tool call that spawned it.
    pub call: ToolCallNo,
}

/// The frame a fork was cut at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ForkPoint {
    /// The session it was cut from.
    pub session: SessionId,
    /// The last frame that it shares.
    pub at: Position,
}

/// What a user or a parent says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UserInput {
    /// The content.
    pub blocks: Vec<Block>,
    /// What this turn does differently.
    #[serde(default, skip_serializing_if = "TurnOverrides::is_none")]
    pub overrides: TurnOverrides,
    /// Set on a parent's assignment to its child.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub assignment: Option<Assignment>,
}

/// Differences of one turn from the session's agent.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TurnOverrides {
    /// Another model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<ModelName>,
    /// Another place where the model is served; without it, the agent's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<ProviderName>,
    /// Other sampling.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sampling: Option<Sampling>,
    /// A mode for this turn; it can only be stricter than the session's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<Mode>,
}

impl TurnOverrides {
    /// Whether nothing differs.
    #[must_use]
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }
}

impl UserInput {
    /// A plain text.
    #[must_use]
    pub fn text(text: impl Into<String>) -> Self {
        Self {
            blocks: vec![Block::Text { text: text.into() }],
            overrides: TurnOverrides::default(),
            assignment: None,
        }
    }
}

/// Who asked for a tool call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Caller {
    /// The model, in this turn.
    Model {
        /// The turn.
        turn: TurnId,
    },
    /// The host, outside any turn; the key makes it one call however often it is sent.
    Host {
        /// The key.
        key: InputKey,
        /// A mode for this call, stricter than the session's.
        mode: Option<Mode>,
        /// Where it runs.
        cwd: Option<String>,
    },
}

/// Why a model call failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelFailure {
    /// What kind of trouble.
    pub kind: FailureKind,
    /// For a person.
    pub message: String,
    /// Whether the same call may succeed later.
    pub retryable: bool,
    /// What the vendor asked us to wait.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u64>,
    /// Whether the vendor certainly did no billable work.
    #[serde(default)]
    pub unbilled: bool,
    /// What the vendor reported all the same: the answer came whole and could not be used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<Usage>,
    /// Whether pieces of the answer had been given out. Then the call is not made again: somebody
    /// would read its beginning twice.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub emitted: bool,
}

impl ModelFailure {
    /// A failure of which no more is known.
    #[must_use]
    pub fn new(kind: FailureKind, message: impl Into<String>, retryable: bool) -> Self {
        Self {
            kind,
            message: message.into(),
            retryable,
            retry_after_ms: None,
            unbilled: false,
            usage: None,
            emitted: false,
        }
    }

    /// The same, where the vendor certainly did no billable work.
    #[must_use]
    pub fn unbilled(mut self) -> Self {
        self.unbilled = true;
        self
    }
}

/// Kinds of trouble with a model call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureKind {
    /// The credential was refused.
    Auth,
    /// The account's money or its quota has run out: waiting a moment does not help.
    Quota,
    /// The vendor refused the request as it stands.
    BadRequest,
    /// Too many requests.
    RateLimited,
    /// The vendor is overloaded or broken.
    Overloaded,
    /// The connection failed or broke off.
    Transport,
    /// The stream ended without its end.
    EndedEarly,
    /// A deadline passed.
    TimedOut,
    /// The reply was not what the protocol allows, or too large.
    Malformed,
    /// We broke it off.
    Aborted,
    /// A crash took it.
    Lost,
}

impl FailureKind {
    /// The word, as the metrics and the log show it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Auth => "auth",
            Self::Quota => "quota",
            Self::BadRequest => "bad_request",
            Self::RateLimited => "rate_limited",
            Self::Overloaded => "overloaded",
            Self::Transport => "transport",
            Self::EndedEarly => "ended_early",
            Self::TimedOut => "timed_out",
            Self::Malformed => "malformed",
            Self::Aborted => "aborted",
            Self::Lost => "lost",
        }
    }
}

/// What a cancel is aimed at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum CancelTarget {
    /// The running turn, everything queued, and everything below.
    Everything,
    /// One assignment from the parent, whether it has arrived or not.
    Assignment {
        /// Which.
        no: Assignment,
    },
    /// A child of this session.
    Child {
        /// Which.
        child: SessionId,
    },
    /// The running turn and the agents it set to work; what is queued goes on.
    Turn {
        /// Which.
        turn: TurnId,
    },
}

/// A goal somebody set for a session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Goal {
    /// What is to be reached.
    pub objective: String,
    /// How many tokens it may take, where said.
    pub token_budget: Option<u64>,
}

/// Why a session was started again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum RestartCause {
    /// It panicked.
    Panic {
        /// The panic's text.
        message: String,
    },
    /// The process died while it had work in hand.
    Process,
}

/// What the timer is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TimerKind {
    /// A failed model call is made again.
    Retry,
}

/// Something that happened in a session.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
#[expect(missing_docs, reason = "the variant's line says what its fields are; see ids and values")]
pub enum Event {
    /// The session exists, with everything that its prompt prefix is made of.
    SessionOpened { rendered: Box<Rendered>, lineage: Lineage, fork: Option<ForkPoint> },
    /// An input is acknowledged. The same key again is the same input.
    InputAccepted { key: InputKey, input: UserInput },
    /// The oldest input not yet begun is being answered.
    TurnStarted { turn: TurnId, key: InputKey, deadline: Timestamp },
    /// A model is about to be called.
    ModelCallStarted {
        call: ModelCallNo,
        turn: TurnId,
        model: ModelName,
        bound: Amount,
        priced: bool,
    },
    /// A model answered.
    ModelCallFinished { call: ModelCallNo, reply: Box<Reply> },
    /// A model did not.
    ModelCallFailed { call: ModelCallNo, failure: ModelFailure },
    /// The turn goes on with the next model that its agent declares for such a case.
    ModelFellBack { turn: TurnId, from: ModelChoice, to: ModelChoice, reason: String },
    /// A model call was booked. A later word on the same call replaces this one.
    UsageSettled { call: ModelCallNo, model: ModelName, settlement: Settlement },
    /// A budget passed its warning mark; above 100 it was overrun. Logs before there was a dimension
    /// have none.
    BudgetWarned {
        account: SessionId,
        percent: u64,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        dimension: Option<Dimension>,
    },
    /// A budget on the path has no room for the next call.
    BudgetExhausted { shortage: Shortage },
    /// A tool is wanted. Not yet allowed, not yet started.
    ToolRequested { call: ToolCallNo, name: ToolName, args: Args, by: Caller },
    /// A person is asked.
    ApprovalRequested { no: ApprovalNo, ask: Box<Ask> },
    /// A person answered; `remember` is what the answer adds to the session's rules.
    ApprovalDecided { no: ApprovalNo, answer: Answer, by: PrincipalId, remember: Option<Rule> },
    /// Nobody answered, or nobody needs to any more.
    ApprovalClosed { no: ApprovalNo, why: Closed },
    /// A tool is about to run: slot held, permission decided, approval used up.
    ToolStarted { call: ToolCallNo, digest: RequestDigest, basis: Basis, deadline: Timestamp },
    /// A tool call closed.
    ToolFinished { call: ToolCallNo, outcome: ToolOutcome },
    /// A child is assigned work. The first assignment carries everything needed to create it.
    ChildSpawned {
        child: SessionId,
        agent: AgentName,
        assignment: Assignment,
        call: ToolCallNo,
        task: UserInput,
        creation: Option<Box<Creation>>,
    },
    /// A child's assignment ended.
    ChildFinished { child: SessionId, assignment: Assignment, report: ChildReport },
    /// A cancel has gone through a quarantined child to its end: nothing below it is at work.
    ChildStopped { child: SessionId, assignment: Assignment },
    /// A deadline was set.
    TimerSet { timer: TimerKind, at: Timestamp },
    /// The deadline has come.
    TimerFired { timer: TimerKind },
    /// Somebody wants something stopped. A turn that is over but for the agents it set to work is
    /// stopped so as well; then `outcome` is how it ends behind them.
    CancelRequested {
        target: CancelTarget,
        reason: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        outcome: Option<TurnOutcome>,
    },
    /// A turn ended.
    TurnFinished { turn: TurnId, outcome: TurnOutcome },
    /// An engine's own state.
    EngineState { engine: EngineId, version: u32, state: String },
    /// The session's tools are now these.
    ToolsChanged { tools: Vec<ToolSpec>, reason: String },
    /// Older messages were replaced by a summary.
    Compacted { messages: u64, summary: String },
    /// A place to come back to, with the caller's own value.
    Checkpointed { name: CheckpointName, at: Position, value: String },
    /// This log continues another's, cut at a frame.
    SessionForked { from: ForkPoint },
    /// The session was started again with work in hand.
    SessionRestarted { cause: RestartCause },
    /// The session panicked too often and waits for a person.
    SessionQuarantined { reason: String },
    /// A person let it back; `skip` closes the step that failed.
    SessionReleased {
        skip: bool,
        by: PrincipalId,
        /// Where the house's log says so, of one that could not write down its own quarantine.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        house: Option<Position>,
    },
    /// The session has another name.
    SessionRenamed { name: String },
    /// The session was put away or taken out again.
    SessionArchived { archived: bool },
    /// The session has a goal, or none.
    GoalSet { goal: Option<Goal> },
}

/// All that is needed to create a child.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Creation {
    /// Its pinned agent.
    pub rendered: Rendered,
    /// Where it comes from.
    pub lineage: Lineage,
}

impl Event {
    /// The event's name as the log and the metrics show it.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::SessionOpened { .. } => "session_opened",
            Self::InputAccepted { .. } => "input_accepted",
            Self::TurnStarted { .. } => "turn_started",
            Self::ModelCallStarted { .. } => "model_call_started",
            Self::ModelCallFinished { .. } => "model_call_finished",
            Self::ModelCallFailed { .. } => "model_call_failed",
            Self::ModelFellBack { .. } => "model_fell_back",
            Self::UsageSettled { .. } => "usage_settled",
            Self::BudgetWarned { .. } => "budget_warned",
            Self::BudgetExhausted { .. } => "budget_exhausted",
            Self::ToolRequested { .. } => "tool_requested",
            Self::ApprovalRequested { .. } => "approval_requested",
            Self::ApprovalDecided { .. } => "approval_decided",
            Self::ApprovalClosed { .. } => "approval_closed",
            Self::ToolStarted { .. } => "tool_started",
            Self::ToolFinished { .. } => "tool_finished",
            Self::ChildSpawned { .. } => "child_spawned",
            Self::ChildFinished { .. } => "child_finished",
            Self::ChildStopped { .. } => "child_stopped",
            Self::TimerSet { .. } => "timer_set",
            Self::TimerFired { .. } => "timer_fired",
            Self::CancelRequested { .. } => "cancel_requested",
            Self::TurnFinished { .. } => "turn_finished",
            Self::EngineState { .. } => "engine_state",
            Self::ToolsChanged { .. } => "tools_changed",
            Self::Compacted { .. } => "compacted",
            Self::Checkpointed { .. } => "checkpointed",
            Self::SessionForked { .. } => "session_forked",
            Self::SessionRestarted { .. } => "session_restarted",
            Self::SessionQuarantined { .. } => "session_quarantined",
            Self::SessionReleased { .. } => "session_released",
            Self::SessionRenamed { .. } => "session_renamed",
            Self::SessionArchived { .. } => "session_archived",
            Self::GoalSet { .. } => "goal_set",
        }
    }
}
