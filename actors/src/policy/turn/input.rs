//! What goes into the machine and what comes out of it.

use std::collections::BTreeMap;

use crate::{
    domain::{
        agent::Rendered,
        budget::{Account, Amount, Dimension, Room, Shortage},
        conversation::Reply,
        event::{CancelTarget, Creation, Event, ForkPoint, Goal, ModelFailure, UserInput},
        house::Readmission,
        ids::{
            AgentName, ApprovalNo, Assignment, CallId, CallNo, CheckpointName, InputKey,
            ModelCallNo, PoolKind, Position, PrincipalId, SessionId, Timestamp, ToolCallNo,
            ToolName, TurnId,
        },
        outcome::{ChildReport, TurnOutcome},
        permission::{Answer, Ask, Mode, Rule, ScriptSeen},
        tool::{Args, ToolOutcome},
        usage::PriceBook,
    },
    policy::rules::Policy,
};

use super::state::Stage;

/// Everything outside the log that a decision may depend on.
#[derive(Clone, Copy, Debug)]
pub struct Env<'a> {
    /// Now.
    pub now: Timestamp,
    /// A random number, for jitter.
    pub random: u64,
    /// Who acts.
    pub by: &'a PrincipalId,
    /// The rules in force.
    pub policy: &'a Policy,
    /// Agents that can be spawned, with their tools as they are now.
    pub agents: &'a BTreeMap<AgentName, Rendered>,
    /// Prices.
    pub prices: &'a PriceBook,
    /// What tools say of arguments before anybody is asked.
    pub checks: Checks<'a>,
    /// Whether words are only written down: nothing follows from them until the house is lit.
    pub dark: bool,
    /// Why nothing may begin, where somebody stopped everything.
    pub halted: Option<&'a str>,
}

/// A tool's own look at arguments: whether they fit its schema, in words that a model can mend.
#[derive(Clone, Copy)]
pub struct Checks<'a>(pub &'a dyn Fn(&ToolName, &Args) -> Result<(), String>);

impl Checks<'_> {
    /// Nothing is checked beyond that arguments are an object.
    #[must_use]
    pub fn none() -> Self {
        Checks(&|_name, _args| Ok(()))
    }

    /// Whether arguments can be used at all.
    ///
    /// # Errors
    /// Why not, for the model.
    pub fn look(&self, name: &ToolName, args: &Args) -> Result<(), String> {
        match args.object() {
            Ok(_) => (self.0)(name, args),
            Err(bad) => Err(super::chain(&bad)),
        }
    }
}

impl std::fmt::Debug for Checks<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Checks")
    }
}

/// Something that reached the session.
#[derive(Clone, Debug)]
pub enum Input {
    /// It is opened.
    Opened {
        /// Agent and lineage.
        creation: Box<Creation>,
        /// The frame it continues, for a fork.
        fork: Option<ForkPoint>,
    },
    /// Somebody says something.
    Submitted {
        /// Under this key.
        key: InputKey,
        /// What.
        input: Box<UserInput>,
    },
    /// A model answered; `slots` says for each tool it asks for whether a slot is held.
    ModelFinished {
        /// The call.
        call: ModelCallNo,
        /// The answer.
        reply: Box<Reply>,
        /// Slots already held, in the order of the tool uses.
        slots: Vec<bool>,
    },
    /// A model did not answer.
    ModelFailed {
        /// The call.
        call: ModelCallNo,
        /// Why.
        failure: ModelFailure,
    },
    /// The ledger answered.
    BudgetDecided {
        /// The call it was asked for.
        call: CallId,
        /// What that call was to be when it was asked.
        asked: Box<Purpose>,
        /// Its answer.
        decision: Result<Room, Shortage>,
    },
    /// A slot is held for this call, and its reservation is granted.
    SlotGranted {
        /// The call.
        call: ToolCallNo,
        /// The files that it would run, as they are now.
        scripts: Vec<ScriptSeen>,
    },
    /// A tool's pool cannot take the call.
    SlotRefused {
        /// The call.
        call: ToolCallNo,
        /// Why.
        reason: String,
    },
    /// A tool closed.
    ToolFinished {
        /// The call.
        call: ToolCallNo,
        /// How.
        outcome: ToolOutcome,
    },
    /// A person answered.
    ApprovalDecided {
        /// The question.
        no: ApprovalNo,
        /// The answer.
        answer: Answer,
    },
    /// A child reports.
    ChildFinished {
        /// Which.
        child: SessionId,
        /// Which assignment.
        assignment: Assignment,
        /// How it ended.
        report: ChildReport,
    },
    /// Something may have fallen due.
    TimerFired,
    /// Somebody wants something stopped.
    CancelRequested {
        /// What.
        target: CancelTarget,
        /// Why.
        reason: String,
    },
    /// The session was woken.
    Recovered {
        /// The text of the panic it died of, if it did.
        panic: Option<String>,
    },
    /// A person lets it back.
    Released {
        /// Whether the failed step is closed instead of made again.
        skip: bool,
    },
    /// The session was woken, and the house's log says that a person let it back without the step
    /// that failed.
    Readmitted {
        /// What the house's log says.
        release: Box<Readmission>,
    },
    /// The host wants one tool run.
    Invoked {
        /// Under this key.
        key: InputKey,
        /// Which tool.
        name: ToolName,
        /// With what.
        args: Args,
        /// A stricter mode.
        mode: Option<Mode>,
        /// Where.
        cwd: Option<String>,
    },
    /// A new name.
    Renamed {
        /// The name.
        name: String,
    },
    /// Put away, or taken out.
    Archived {
        /// Which of the two.
        archived: bool,
    },
    /// A place to come back to.
    Checkpointed {
        /// Its name.
        name: CheckpointName,
        /// The last frame.
        at: Position,
        /// The caller's own value.
        value: String,
    },
    /// A goal, or none.
    GoalSet {
        /// The goal.
        goal: Option<Goal>,
    },
    /// A budget passed its mark.
    BudgetWarned {
        /// Whose.
        account: SessionId,
        /// In which dimension.
        dimension: Dimension,
        /// The share spent; above 100 it was overrun.
        percent: u64,
    },
}

/// What a call that asks for room is to be. A number alone does not say: the next turn asks under the
/// number that an earlier turn was refused, and a tool call asks again when a person has allowed it or
/// its session is back on the stage. Each time the room of the earlier question was given back, so its
/// answer, should it still be under way, must not serve the later one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Purpose {
    /// The running turn, for a model call.
    pub turn: Option<TurnId>,
    /// How far it is, for a tool call.
    pub stage: Option<Stage>,
    /// How often the session was let back on the stage.
    pub releases: u64,
}

/// Something to be done. The first group stands until an event ends it and is read off the state;
/// the second is done once.
#[derive(Clone, Debug, PartialEq)]
#[expect(missing_docs, reason = "the variant's line says what its fields are")]
pub enum Effect {
    /// Commit these events; everything after this waits for it.
    Append { events: Vec<Event> },

    /// Ask the ledger for room for this call.
    Reserve { call: CallNo },
    /// Call the model of the running turn.
    CallModel { call: ModelCallNo },
    /// Stop calling it.
    AbortModel { call: ModelCallNo },
    /// Show a question to a person.
    AskPermission { no: ApprovalNo, ask: Box<Ask> },
    /// Get a slot, and room in the budgets first where tool calls are counted.
    AcquireSlot { call: ToolCallNo, pool: PoolKind, reserve: bool },
    /// Run a started tool.
    RunTool { call: ToolCallNo, run: Run },
    /// Stop running it.
    AbortTool { call: ToolCallNo },
    /// See to it that the child exists, has this assignment, and reports how it ended.
    SpawnChild { child: SessionId, assignment: Assignment },
    /// See to it that the child's assignment ends.
    CancelChild { child: SessionId, assignment: Assignment, reason: String },
    /// Wake the machine at this time; replaces an earlier one.
    SetTimer { at: Timestamp },

    /// Tell the ledger what a call came to, and whether that is the last word on it.
    Settle { call: CallNo, accounts: Vec<Account>, actual: Amount, last: bool },
    /// Tell whoever waits how a turn ended.
    Finish { turn: TurnId, key: InputKey, outcome: TurnOutcome },
    /// Tell the host how its tool call closed.
    FinishCall { call: ToolCallNo, key: InputKey, outcome: ToolOutcome },
    /// Tell the parent how an assignment ended.
    Report { parent: SessionId, assignment: Assignment, report: ChildReport },
    /// Tell the parent how an assignment ended that only the log remembers.
    ReportFromLog { parent: SessionId, assignment: Assignment, turn: TurnId },
    /// Keep a rule for every session.
    Remember { rule: Rule },
    /// Leave the stage.
    Quarantine { reason: String },
}

/// Whether a tool is run for the first time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Run {
    /// By the incarnation that started it.
    First,
    /// By a later one: a verifiable tool asks the world first.
    Again,
}

/// Why an input was refused. Nothing was recorded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rejected {
    /// It is busy and its agent refuses input meanwhile, or too much waits already.
    #[error("the session is busy; send it again when its turn has ended")]
    Busy,
    /// It is off the stage.
    #[error("the session is quarantined ({reason}); release it first")]
    Quarantined {
        /// Why.
        reason: String,
    },
    /// It is not off the stage.
    #[error("the session is not quarantined; there is nothing to release")]
    NotQuarantined,
    /// It was put away.
    #[error("the session is archived; unarchive it first")]
    Archived,
    /// It has no first event.
    #[error("the session does not exist")]
    NotOpened,
    /// It has one already.
    #[error("the session exists already")]
    Exists,
    /// It has taken all that one session takes.
    #[error(
        "the session has taken {max} inputs and calls, and takes no more; fork it and go on there"
    )]
    Full {
        /// The cap.
        max: usize,
    },
    /// It ended too long ago to be in memory; the log says how.
    #[error("turn {turn} ended long ago; its end is in the log")]
    TurnInLog {
        /// Which.
        turn: TurnId,
    },
    /// The same of a call.
    #[error("call {call} closed long ago; its result is in the log")]
    CallInLog {
        /// Which.
        call: ToolCallNo,
    },
    /// Too large.
    #[error("the input has {bytes} bytes, at most {max} are taken; put large content into a blob")]
    TooLarge {
        /// Its size.
        bytes: usize,
        /// The cap.
        max: usize,
    },
    /// No such question is open.
    #[error("approval {no} is not open; it was answered, withdrawn, or never asked")]
    NoSuchApproval {
        /// Which.
        no: ApprovalNo,
    },
    /// Its time has run out.
    #[error("approval {no} expired at {at}")]
    Expired {
        /// Which.
        no: ApprovalNo,
        /// When.
        at: Timestamp,
    },
    /// No such child.
    #[error("{child} is not a child of this session")]
    NoSuchChild {
        /// Which.
        child: SessionId,
    },
    /// It was deleted, and none comes back under its id.
    #[error("the session was deleted; open another one, under a key that is not this one's")]
    Gone,
    /// Somebody stopped everything.
    #[error("everything was stopped: {reason}; unhalt it to let new work begin")]
    Halted {
        /// Why.
        reason: String,
    },
    /// The value is not usable.
    #[error("{what}")]
    BadValue {
        /// What was expected.
        what: String,
    },
}
