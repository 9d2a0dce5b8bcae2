//! A session played on the machine alone. Every step is written as bytes and folded from scratch,
//! and both must give the same state; `check` compares what a step says with a table's row.

use std::collections::{BTreeMap, BTreeSet};

use uuid::Uuid;

use super::told;
use crate::{
    domain::{
        agent::{AgentSpec, Rendered},
        budget::{Account, Amount, Budget, Room, Shortage},
        conversation::{Block, Reply, ReplyBlock, Stop},
        event::{
            CancelTarget, Creation, Event, FailureKind, Lineage, ModelFailure, ParentLink,
            UserInput,
        },
        frame,
        ids::{
            AgentName, ApprovalNo, Assignment, CallId, CallNo, ModelCallNo, PoolKind, PrincipalId,
            SessionId, Timestamp, ToolCallNo, TurnId,
        },
        outcome::{ChildOutcome, ChildReport, TurnOutcome},
        permission::{Answer, Authority, RulePattern, RuleSet},
        tool::{Args, EffectClass, Output, ToolOutcome, ToolSpec},
        usage::{DatedPrice, Price, PriceBook, Usage},
    },
    policy::{
        rules::{Desk, Layers, Policy},
        turn::{
            Checks, Effect, Env, Input, Purpose, Rejected, State, builtin, fold, prompt,
            state::Stage, step,
        },
    },
};

/// Tools, their effect classes, and what the agent's rules say of them.
const TOOLS: [(&str, EffectClass); 7] = [
    ("read", EffectClass::Pure),
    ("put", EffectClass::Idempotent),
    ("probe", EffectClass::Verifiable),
    ("send", EffectClass::Once),
    ("pay", EffectClass::Once),
    ("rm", EffectClass::Once),
    // No rule speaks of it, so it is asked about.
    ("buy", EffectClass::Once),
];

#[derive(Clone)]
pub(super) struct Play {
    pub(super) state: State,
    pub(super) now: Timestamp,
    pub(super) layers: Layers,
    pub(super) desk: Desk,
    pub(super) dark: bool,
    pub(super) halted: Option<String>,
    pub(super) prices: PriceBook,
    /// The fold of the stored bytes so far.
    stored: State,
    /// Committed frames: when, and the bytes.
    pub(super) frames: Vec<(Timestamp, String)>,
}

/// What one step came to.
pub(super) type Stepped = Result<(Vec<Event>, Vec<Effect>), Rejected>;

pub(super) fn me() -> SessionId {
    SessionId(Uuid::from_u128(1))
}

pub(super) fn agent() -> AgentSpec {
    let mut agent = AgentSpec::new("lead", "m");
    let all = TOOLS.iter().map(|(name, _)| *name).chain(builtin::ALL);
    agent.tools = all.map(|name| (name.into(), BTreeMap::new())).collect();
    agent.routes = BTreeSet::from(["hand".into()]);
    let pattern = |name: &str| RulePattern(name.to_owned());
    let allowed = ["read", "put", "probe", "send"].into_iter().chain(builtin::ALL);
    agent.authority = Authority {
        rules: RuleSet {
            allow: allowed.map(pattern).collect(),
            ask: vec![pattern("pay")],
            deny: vec![pattern("rm")],
        },
        ..Authority::default()
    };
    agent
}

pub(super) fn rendered(agent: AgentSpec) -> Rendered {
    let spec = |(name, effect): &(&str, EffectClass)| ToolSpec {
        name: (*name).into(),
        description: String::new(),
        schema: "{}".to_owned(),
        effect: *effect,
        pool: PoolKind::from("work"),
    };
    let mut tools: Vec<ToolSpec> = TOOLS.iter().map(spec).collect();
    tools.extend(builtin::specs(&agent.routes));
    Rendered { agent, tools }
}

pub(super) fn prices() -> PriceBook {
    let price = Price { input: 1_000, cache_read: 100, cache_write: 1_000, output: 2_000 };
    PriceBook(vec![DatedPrice { model: "m".into(), since: Timestamp(0), price, long: None }])
}

pub(super) fn agents() -> BTreeMap<AgentName, Rendered> {
    let mut hand = AgentSpec::new("hand", "m");
    hand.limits.depth = 2;
    BTreeMap::from([("hand".into(), rendered(hand))])
}

impl Play {
    /// A root session of this agent.
    pub(super) fn of(agent: AgentSpec) -> Self {
        Self::blank().with(Self::opening(agent))
    }

    /// What opens it.
    pub(super) fn opening(agent: AgentSpec) -> Input {
        let lineage = Lineage {
            root: me(),
            parent: None,
            depth: 0,
            depth_left: agent.limits.depth,
            total: agent.limits.total,
            accounts: Vec::new(),
            authority: Vec::new(),
            raised: Vec::new(),
        };
        opened(agent, lineage)
    }

    /// The same as a child of another.
    pub(super) fn child(agent: AgentSpec) -> Self {
        let root = boss();
        let budget = Budget { agents: Some(9), ..Budget::default() };
        let lineage = Lineage {
            root,
            parent: Some(ParentLink { session: root, call: ToolCallNo(1) }),
            depth: 1,
            depth_left: 2,
            total: 9,
            accounts: vec![Account { session: root, budget }],
            authority: Vec::new(),
            raised: Vec::new(),
        };
        Self::blank().with(opened(agent, lineage))
    }

    pub(super) fn blank() -> Self {
        Self {
            state: State::new(me()),
            stored: State::new(me()),
            now: Timestamp(1_000),
            layers: Layers::default(),
            desk: Desk::Staffed,
            dark: false,
            halted: None,
            prices: prices(),
            frames: Vec::new(),
        }
    }

    /// One input: decided, written, folded from the bytes.
    pub(super) fn step(&mut self, input: Input) -> Stepped {
        let stepped = self.decide(input)?;
        self.commit(&stepped.0);
        Ok(stepped)
    }

    /// Decides and moves the state, without writing anything.
    pub(super) fn decide(&mut self, input: Input) -> Stepped {
        let policy = Policy::compile(&self.layers, self.desk).unwrap();
        let by = PrincipalId::from("ann");
        let agents = agents();
        let env = Env {
            now: self.now,
            random: 0,
            by: &by,
            policy: &policy,
            agents: &agents,
            prices: &self.prices,
            checks: Checks::none(),
            dark: self.dark,
            halted: self.halted.as_deref(),
        };
        let mut effects = step(&mut self.state, &env, input)?;
        let events = match effects.first() {
            Some(Effect::Append { .. }) => match effects.remove(0) {
                Effect::Append { events } => events,
                _ => unreachable!(),
            },
            _ => Vec::new(),
        };
        Ok((events, effects))
    }

    /// Writes what a step said; what is read back must be the state that the step left.
    pub(super) fn commit(&mut self, events: &[Event]) {
        if !events.is_empty() {
            let body = frame::encode(events).expect("fits into a frame");
            let read: Vec<Event> = serde_json::from_str(&body).unwrap();
            fold(&mut self.stored, &read, self.now).unwrap();
            self.frames.push((self.now, body));
        }
        assert!(self.stored == self.state, "{:?}\nis stored as\n{:?}", self.state, self.stored);
    }

    /// The state that the stored bytes give.
    pub(super) fn read(&self) -> State {
        let mut state = State::new(me());
        for (at, body) in &self.frames {
            let events: Vec<Event> = serde_json::from_str(body).unwrap();
            fold(&mut state, &events, *at).unwrap();
        }
        state
    }

    /// The session dies, with everything that was not written, and wakes up again.
    pub(super) fn crash(&mut self, panic: Option<&str>) -> (Vec<Event>, Vec<Effect>) {
        self.state = self.read();
        assert!(self.state == self.stored, "the fold from scratch");
        self.step(Input::Recovered { panic: panic.map(ToOwned::to_owned) }).unwrap()
    }

    /// An input on the way to where a row begins.
    pub(super) fn with(mut self, input: Input) -> Self {
        if let Err(rejected) = self.step(input) {
            panic!("on the way to the row: {rejected}");
        }
        self
    }

    pub(super) fn at(mut self, ms: i64) -> Self {
        self.now = Timestamp(ms);
        self
    }

    /// A row: what this input comes to here.
    #[track_caller]
    pub(super) fn check(mut self, input: Input, expected: &str) -> Self {
        let told = match self.step(input) {
            Ok((events, effects)) => told::stepped(&events, &effects),
            Err(rejected) => format!("! {rejected}"),
        };
        let lines = expected.lines().map(str::trim).filter(|line| !line.is_empty());
        let expected: Vec<&str> = lines.collect();
        let told: Vec<&str> = told.lines().collect();
        assert!(
            expected == told,
            "\nexpected:\n{}\ntold:\n{}\n",
            expected.join("\n"),
            told.join("\n")
        );
        self
    }
}

pub(super) fn boss() -> SessionId {
    SessionId(Uuid::from_u128(2))
}

pub(super) fn kid(call: u32) -> SessionId {
    SessionId::child_of(me(), ToolCallNo(call))
}

pub(super) fn opened(agent: AgentSpec, lineage: Lineage) -> Input {
    let creation = Box::new(Creation { rendered: rendered(agent), lineage });
    Input::Opened { creation, fork: None }
}

pub(super) fn say(key: &str) -> Input {
    Input::Submitted { key: key.into(), input: Box::new(UserInput::text("hello")) }
}

/// What a parent's mail says.
pub(super) fn assign(no: u32) -> Input {
    let mut input = UserInput::text("work");
    input.assignment = Some(Assignment(no));
    let key = prompt::assignment_key(boss(), Assignment(no));
    Input::Submitted { key, input: Box::new(input) }
}

pub(super) const USED: Usage =
    Usage { input: 10, cache_read: 0, cache_write: 0, output: 5, reasoning: 0 };

pub(super) fn reply(text: &str, tools: &[(&str, &str)]) -> Reply {
    let said = (!text.is_empty())
        .then(|| ReplyBlock::Said { block: Block::Text { text: text.to_owned() } });
    let uses = tools.iter().map(|(name, args)| ReplyBlock::ToolUse {
        name: (*name).into(),
        args: Args((*args).to_owned()),
    });
    Reply {
        blocks: said.into_iter().chain(uses).collect(),
        stop: if tools.is_empty() { Stop::EndTurn } else { Stop::ToolUse },
        usage: Some(USED),
        served_by: None,
    }
}

pub(super) fn answers(call: u32, reply: Reply) -> Input {
    Input::ModelFinished { call: ModelCallNo(call), reply: Box::new(reply), slots: Vec::new() }
}

pub(super) fn wants(call: u32, tools: &[(&str, &str)]) -> Input {
    answers(call, reply("", tools))
}

/// The same with a slot at hand for each.
pub(super) fn wants_now(call: u32, tools: &[(&str, &str)]) -> Input {
    let (call, slots) = (ModelCallNo(call), vec![true; tools.len()]);
    Input::ModelFinished { call, reply: Box::new(reply("", tools)), slots }
}

pub(super) fn fails(call: u32, kind: FailureKind) -> Input {
    let retryable =
        !matches!(kind, FailureKind::Auth | FailureKind::Quota | FailureKind::BadRequest);
    let failure = ModelFailure {
        kind,
        message: "no".to_owned(),
        retryable,
        retry_after_ms: None,
        unbilled: kind == FailureKind::RateLimited,
        usage: None,
        emitted: false,
    };
    Input::ModelFailed { call: ModelCallNo(call), failure }
}

pub(super) fn slot(call: u32) -> Input {
    Input::SlotGranted { call: ToolCallNo(call), scripts: Vec::new() }
}

pub(super) fn done(call: u32, text: &str) -> Input {
    let outcome = ToolOutcome::Done { output: Output::text(text) };
    Input::ToolFinished { call: ToolCallNo(call), outcome }
}

pub(super) fn person(no: u32, answer: Answer) -> Input {
    Input::ApprovalDecided { no: ApprovalNo(no), answer }
}

/// What the ledger says of a call in turn `turn`, or of a tool call that only rules have allowed.
pub(super) fn decided(turn: u32, no: CallNo, decision: Result<Room, Shortage>) -> Input {
    let (turn, stage) = match no {
        CallNo::Model(_) => (Some(TurnId(turn)), None),
        CallNo::Tool(_) => (None, Some(Stage::Wanted)),
    };
    let asked = Box::new(Purpose { turn, stage, releases: 0 });
    Input::BudgetDecided { call: CallId { session: me(), no }, asked, decision }
}

/// More room than any call here needs.
pub(super) fn plenty() -> Room {
    let bound = Amount {
        tokens: 500_000,
        nano_usd: crate::domain::usage::NanoUsd(1_000_000_000),
        model_calls: 1,
        ..NOTHING
    };
    Room { bound, priced: true }
}

/// Room for a call of the first turn.
pub(super) fn room(no: CallNo) -> Input {
    decided(1, no, Ok(plenty()))
}

/// Room for whatever the call is to be now.
pub(super) fn room_now(state: &State, no: CallNo) -> Input {
    let asked = Box::new(prompt::purpose(state, no));
    let decision = Ok(plenty());
    Input::BudgetDecided { call: CallId { session: me(), no }, asked, decision }
}

pub(super) fn model(no: u32) -> CallNo {
    CallNo::Model(ModelCallNo(no))
}

pub(super) fn tool(no: u32) -> CallNo {
    CallNo::Tool(ToolCallNo(no))
}

pub(super) fn cancel(target: CancelTarget) -> Input {
    Input::CancelRequested { target, reason: "enough".to_owned() }
}

pub(super) fn stop_turn(turn: u32) -> Input {
    cancel(CancelTarget::Turn { turn: TurnId(turn) })
}

pub(super) fn ended(call: u32, assignment: u32, text: &str) -> Input {
    let outcome = TurnOutcome::Completed { text: text.to_owned(), truncated: false };
    let report = ChildReport { outcome: ChildOutcome::Turn { outcome }, usage: USED };
    Input::ChildFinished { child: kid(call), assignment: Assignment(assignment), report }
}

pub(super) fn wake() -> Input {
    Input::Recovered { panic: None }
}

pub(super) fn panicked() -> Input {
    Input::Recovered { panic: Some("bang".to_owned()) }
}

/// An agent whose tokens are counted, so that the ledger is asked before each model call.
pub(super) fn counted() -> AgentSpec {
    let mut agent = agent();
    agent.budget.tokens = Some(1_000_000);
    agent
}

/// An agent whose tool calls are counted.
pub(super) fn tools_counted() -> AgentSpec {
    let mut agent = agent();
    agent.budget.tool_calls = Some(100);
    agent
}

/// Nothing, for a settlement.
pub(super) const NOTHING: Amount = Amount {
    tokens: 0,
    nano_usd: crate::domain::usage::NanoUsd(0),
    model_calls: 0,
    tool_calls: 0,
    agents: 0,
};
