//! What a session is after its log: the fold's result, and the questions one may ask of it.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
};

use crate::domain::{
    agent::{AgentSpec, ModelChoice, Rendered, Sampling},
    budget::{Account, Amount, Dimension, Mark},
    conversation::Message,
    event::{Caller, FailureKind, ForkPoint, Goal, Lineage, UserInput},
    ids::{
        ApprovalNo, Assignment, CallNo, InputKey, ModelCallNo, ModelName, Position, PrincipalId,
        ProviderName, SessionId, Timestamp, ToolCallNo, ToolName, TurnId,
    },
    outcome::TurnOutcome,
    permission::{Answer, Ask, Authority, Basis, Mode, Request, Rule, RuleSet},
    tool::{Args, ToolSpec},
    usage::{Settlement, Usage},
};
use crate::policy::reliability::Record;

mod children;
mod runs;
mod standing;
mod window;

pub use children::{Child, Task};

/// A session after its log.
#[derive(Clone, Debug, PartialEq)]
pub struct State {
    /// Which session.
    pub session: SessionId,
    /// Its first event, once there is one.
    pub opened: Option<Arc<Opened>>,
    /// Its tools now.
    pub tools: Arc<Vec<ToolSpec>>,
    /// What the model has read and said.
    pub conversation: Vec<Arc<Message>>,
    /// Bytes of the conversation, for bounds.
    pub conversation_bytes: u64,
    /// Every input ever accepted, and the turn that answered it.
    pub inputs: BTreeMap<InputKey, Option<TurnId>>,
    /// Inputs not yet begun.
    pub queue: VecDeque<Queued>,
    /// The running turn. Boxed: most sessions that are awake have none.
    pub turn: Option<Box<Turn>>,
    /// How the latest turns ended; older ones are in the log.
    pub outcomes: BTreeMap<TurnId, TurnOutcome>,
    /// Open tool calls.
    pub calls: BTreeMap<ToolCallNo, ToolCall>,
    /// Calls the host asked for, by key; the outcome of the latest that closed.
    pub host_calls: BTreeMap<InputKey, HostCall>,
    /// Those whose outcome is kept, oldest first.
    pub closed_calls: VecDeque<InputKey>,
    /// Open approvals.
    pub approvals: BTreeMap<ApprovalNo, Ask>,
    /// Children, with what they were assigned and the model has not read about, and the last of what
    /// it has.
    pub children: BTreeMap<SessionId, Child>,
    /// Reports that the model has read and that are kept whole, oldest first.
    pub read_reports: VecDeque<(SessionId, Assignment)>,
    /// Rules that answers left in this session.
    pub answers: RuleSet,
    /// Those of them that were meant for every session; told to the house again on recovery.
    pub always: Vec<Rule>,
    /// The latest answers given, and by whom: the same of the same person again is the same answer.
    pub answered: BTreeMap<ApprovalNo, (Answer, PrincipalId)>,
    /// Whether somebody answered "all".
    pub waived: bool,
    /// How tools did lately that have failed.
    pub reliability: BTreeMap<ToolName, Record>,
    /// Model calls whose booking is only a bound, and that bound's model.
    pub unsettled: BTreeMap<ModelCallNo, ModelName>,
    /// Exact usage of all calls.
    pub usage: Usage,
    /// The latest bookings, told to the ledger again on recovery; whether each assigned work.
    pub recent: VecDeque<(CallNo, Amount, bool)>,
    /// Marks that budgets have passed. Before logs named dimensions they had none.
    pub warned: BTreeSet<(SessionId, Option<Dimension>, Mark)>,
    /// Panics since the last progress.
    pub panics: Vec<Timestamp>,
    /// Restarts so far.
    pub restarts: u64,
    /// Why it is off the stage.
    pub quarantined: Option<String>,
    /// How it was let back last, and by whom: the same release again is the same release.
    pub released: Option<(bool, PrincipalId)>,
    /// How often it was let back.
    pub releases: u64,
    /// The last word of the house's log on it that it has carried out.
    pub house_release: Option<Position>,
    /// Assignments cancelled before they arrived, or after.
    pub cancelled: BTreeMap<Assignment, String>,
    /// Assignments that have ended, and the turns that carried them out.
    pub reports: BTreeMap<Assignment, TurnId>,
    /// Its name.
    pub name: Option<String>,
    /// Whether it was put away.
    pub archived: bool,
    /// Its goal.
    pub goal: Option<Goal>,
    /// Numbers to give out next.
    pub next: Next,
    /// When it was opened.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

/// The session's first event.
#[derive(Clone, Debug, PartialEq)]
pub struct Opened {
    /// The pinned agent.
    pub rendered: Rendered,
    /// Where it comes from.
    pub lineage: Lineage,
    /// Which log it continues.
    pub fork: Option<ForkPoint>,
}

/// Numbers to give out next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Next {
    /// For turns.
    pub turn: TurnId,
    /// For model calls.
    pub model: ModelCallNo,
    /// For tool calls.
    pub tool: ToolCallNo,
    /// For approvals.
    pub approval: ApprovalNo,
}

/// An input that waits.
#[derive(Clone, Debug, PartialEq)]
pub struct Queued {
    /// Its key.
    pub key: InputKey,
    /// What it says.
    pub input: UserInput,
    /// Why it will be cancelled when its turn comes.
    pub cancelled: Option<String>,
}

/// A running turn.
#[derive(Clone, Debug, PartialEq)]
pub struct Turn {
    /// Its number.
    pub id: TurnId,
    /// The input it answers.
    pub key: InputKey,
    /// It ends by then.
    pub deadline: Timestamp,
    /// Its model; another than it began with, once that one could not answer.
    pub model: ModelName,
    /// Where that is served, where its name does not say.
    pub provider: Option<ProviderName>,
    /// What is left of the chain that its agent declares.
    pub fallback: Vec<ModelChoice>,
    /// How it samples.
    pub sampling: Sampling,
    /// A stricter mode.
    pub mode: Option<Mode>,
    /// The parent's assignment it carries out.
    pub assignment: Option<Assignment>,
    /// The open model call.
    pub calling: Option<Calling>,
    /// Steps begun: model calls, without those made again.
    pub steps: u32,
    /// Whether the step begun last has no reply yet.
    pub stepping: bool,
    /// Failures of the current step that count: not a call that a crash took, nor one whose vendor
    /// asked for patience.
    pub attempts: u32,
    /// Those whose vendor did ask for patience.
    pub patience: u32,
    /// What the last failure of the current step was.
    pub trouble: Option<FailureKind>,
    /// When a failed call is made again.
    pub retry_at: Option<Timestamp>,
    /// Calls of the latest reply, in order, with what the model will read of them.
    pub batch: Vec<(ToolCallNo, Option<crate::domain::conversation::Block>)>,
    /// Whether asks are waived until the turn ends.
    pub waived: bool,
    /// Why it is being cancelled.
    pub cancel: Option<String>,
    /// How it ends behind its agents, if it is over but for them.
    pub outcome: Option<TurnOutcome>,
    /// What the model said before its vendor broke the answer off, until it has said the rest.
    pub said: String,
    /// The last reply, once the turn needs nothing more of the model.
    pub last_word: Option<LastWord>,
}

impl Turn {
    /// The model it is on.
    #[must_use]
    pub fn choice(&self) -> ModelChoice {
        ModelChoice { model: self.model.clone(), provider: self.provider.clone() }
    }
}

/// An open model call.
#[derive(Clone, Debug, PartialEq)]
pub struct Calling {
    /// Its number.
    pub call: ModelCallNo,
    /// The model called.
    pub model: ModelName,
    /// At most this.
    pub bound: Amount,
    /// Whether the money part of the bound is known.
    pub priced: bool,
}

/// A reply that asked for no tools.
#[derive(Clone, Debug, PartialEq)]
pub struct LastWord {
    /// Its text, with that of the answers that its vendor broke off before.
    pub text: String,
    /// Why it stopped.
    pub stop: crate::domain::conversation::Stop,
}

/// An open tool call.
#[derive(Clone, Debug, PartialEq)]
pub struct ToolCall {
    /// Which tool.
    pub name: ToolName,
    /// With what; an answer may have edited it.
    pub args: Args,
    /// Who asked.
    pub by: Caller,
    /// How far it is.
    pub stage: Stage,
    /// Whether it is to be stopped.
    pub cancel: Option<String>,
}

/// How far a tool call is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Allowed by rules, not started: waits for a slot or a reservation.
    Wanted,
    /// A person is asked.
    Asking {
        /// Which question.
        no: ApprovalNo,
    },
    /// A person said yes: waits for a slot or a reservation.
    Approved {
        /// Which question.
        no: ApprovalNo,
    },
    /// Started.
    Started {
        /// On what ground.
        basis: Basis,
        /// Until when.
        deadline: Timestamp,
    },
}

/// A call the host asked for.
#[derive(Clone, Debug, PartialEq)]
pub struct HostCall {
    /// Its number.
    pub call: ToolCallNo,
    /// How it closed, if it is closed and among the latest.
    pub outcome: Option<crate::domain::tool::ToolOutcome>,
}

impl ToolCall {
    /// The turn it belongs to; none if the host asked for it.
    #[must_use]
    pub const fn turn(&self) -> Option<TurnId> {
        match &self.by {
            Caller::Model { turn } => Some(*turn),
            Caller::Host { .. } => None,
        }
    }
}

impl State {
    /// Before the first event.
    #[must_use]
    pub fn new(session: SessionId) -> Self {
        Self {
            session,
            opened: None,
            tools: Arc::default(),
            conversation: Vec::new(),
            conversation_bytes: 0,
            inputs: BTreeMap::new(),
            queue: VecDeque::new(),
            turn: None,
            outcomes: BTreeMap::new(),
            calls: BTreeMap::new(),
            host_calls: BTreeMap::new(),
            closed_calls: VecDeque::new(),
            approvals: BTreeMap::new(),
            children: BTreeMap::new(),
            read_reports: VecDeque::new(),
            answers: RuleSet::default(),
            always: Vec::new(),
            answered: BTreeMap::new(),
            waived: false,
            reliability: BTreeMap::new(),
            unsettled: BTreeMap::new(),
            usage: Usage::default(),
            recent: VecDeque::new(),
            warned: BTreeSet::new(),
            panics: Vec::new(),
            restarts: 0,
            quarantined: None,
            released: None,
            releases: 0,
            house_release: None,
            cancelled: BTreeMap::new(),
            reports: BTreeMap::new(),
            name: None,
            archived: false,
            goal: None,
            next: Next {
                turn: TurnId(1),
                model: ModelCallNo(1),
                tool: ToolCallNo(1),
                approval: ApprovalNo(1),
            },
            created_at: Timestamp::default(),
            updated_at: Timestamp::default(),
        }
    }

    /// The pinned agent, once opened.
    #[must_use]
    pub fn agent(&self) -> Option<&AgentSpec> {
        self.opened.as_ref().map(|opened| &opened.rendered.agent)
    }

    /// A tool of the closed set.
    #[must_use]
    pub fn tool(&self, name: &ToolName) -> Option<&ToolSpec> {
        self.tools.iter().find(|tool| tool.name == *name)
    }

    /// Every account on the path, root first, its own last. A root always has one, because the
    /// tree's limit on live agents is kept there.
    #[must_use]
    pub fn accounts(&self) -> Vec<Account> {
        let Some(opened) = &self.opened else { return Vec::new() };
        let mut accounts = opened.lineage.accounts.clone();
        let mut budget = opened.rendered.agent.budget;
        if opened.lineage.parent.is_none() {
            let total = u64::from(opened.lineage.total);
            budget.agents = Some(budget.agents.map_or(total, |agents| agents.min(total)));
        }
        if !budget.is_unlimited() {
            accounts.push(Account { session: self.session, budget });
        }
        accounts
    }

    /// Every link of its authority, root first, its own last.
    #[must_use]
    pub fn authority(&self) -> Vec<Authority> {
        let Some(opened) = &self.opened else { return Vec::new() };
        let mut links = opened.lineage.authority.clone();
        links.push(opened.rendered.agent.authority.clone());
        links
    }

    /// The root of its tree.
    #[must_use]
    pub fn root(&self) -> SessionId {
        self.opened.as_ref().map_or(self.session, |opened| opened.lineage.root)
    }

    /// Its parent.
    #[must_use]
    pub fn parent(&self) -> Option<SessionId> {
        self.opened.as_ref()?.lineage.parent.as_ref().map(|link| link.session)
    }

    /// Whether its log says that a budget passed this mark.
    #[must_use]
    pub fn is_warned(&self, account: SessionId, dimension: Dimension, mark: Mark) -> bool {
        [Some(dimension), None].iter().any(|of| self.warned.contains(&(account, *of, mark)))
    }

    /// How a call's request looks to permission.
    #[must_use]
    pub fn request(call: &ToolCall) -> Request {
        let cwd = match &call.by {
            Caller::Host { cwd, .. } => cwd.clone(),
            Caller::Model { .. } => None,
        };
        Request { tool: call.name.clone(), args: call.args.clone(), cwd }
    }

    /// Whether a call belongs to the running turn.
    #[must_use]
    pub fn in_turn(&self, call: &ToolCall) -> bool {
        let running = self.turn.as_ref().map(|turn| turn.id);
        call.turn().is_some() && call.turn() == running
    }

    /// Open calls of the running turn.
    pub fn turn_calls(&self) -> impl Iterator<Item = (&ToolCallNo, &ToolCall)> {
        self.calls.iter().filter(|(_, call)| self.in_turn(call))
    }

    /// Names of the tools, for a message.
    #[must_use]
    pub fn tool_names(&self) -> BTreeSet<&str> {
        self.tools.iter().map(|tool| tool.name.as_str()).collect()
    }

    /// What a booking came to, for the ledger.
    #[must_use]
    pub fn booked(settlement: &Settlement) -> Amount {
        crate::policy::replay::model_amount(settlement)
    }
}
