//! Everything around a session, as far as its effects go: open model calls, slots, tools, agents,
//! people, the ledger. It does what a step asks for, late, twice, in any order, or never, and it
//! keeps books of its own over what was said.

use std::collections::{BTreeMap, BTreeSet};

use super::play::{Play, me};
use crate::{
    domain::{
        catalog::Change,
        conversation::{Block, Speaker},
        event::{Caller, CancelTarget, Event},
        ids::{
            ApprovalNo, Assignment, CallNo, InputKey, ModelCallNo, Position, SessionId, ToolCallNo,
            TurnId,
        },
        outcome::ChildOutcome,
        usage::Settlement,
    },
    policy::{
        catalog,
        turn::{Effect, Run, State, builtin, pending},
    },
};

/// What the events of one session add up to, counted without the machine.
#[derive(Clone, Debug, Default)]
pub(super) struct Books {
    turn: Option<TurnId>,
    /// Whether the running turn is being cancelled.
    ending: bool,
    turns: BTreeSet<TurnId>,
    /// Inputs that carry out a parent's assignment.
    assigned: BTreeSet<InputKey>,
    /// Whether the running turn carries one out.
    of_parent: bool,
    models: BTreeMap<ModelCallNo, Call>,
    tools: BTreeMap<ToolCallNo, Tool>,
    questions: BTreeMap<ApprovalNo, bool>,
    children: BTreeMap<(SessionId, Assignment), Below>,
}

/// How far an assignment of an agent is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Below {
    Open,
    /// A quarantine ended it; what the agent set to work may be at work.
    OffStage,
    Over,
}

#[derive(Clone, Debug, Default)]
struct Call {
    ended: bool,
    booked: u32,
    exact: u32,
}

#[derive(Clone, Debug)]
struct Tool {
    by: Caller,
    started: bool,
    ended: bool,
}

impl Books {
    /// Counts one event; panics where it breaks a promise.
    pub(super) fn count(&mut self, event: &Event) {
        match event {
            Event::InputAccepted { key, input } if input.assignment.is_some() => {
                self.assigned.insert(key.clone());
            }
            Event::TurnStarted { turn, key, .. } => {
                self.of_parent = self.assigned.contains(key);
                assert!(self.turn.replace(*turn).is_none(), "two turns at once");
                assert!(self.turns.insert(*turn), "turn {turn} started twice");
                self.ending = false;
            }
            Event::TurnFinished { turn, .. } => self.turn_finished(*turn),
            Event::ModelCallStarted { call, turn, .. } => {
                assert_eq!(self.turn, Some(*turn), "a model call outside its turn");
                assert!(self.models.values().all(|call| call.ended), "two model calls at once");
                assert!(self.models.insert(*call, Call::default()).is_none(), "m{call} twice");
            }
            Event::ModelCallFinished { call, .. } | Event::ModelCallFailed { call, .. } => {
                let call = self.models.get_mut(call).expect("a call that was begun");
                assert!(!std::mem::replace(&mut call.ended, true), "a model call ended twice");
            }
            Event::ModelFellBack { turn, from, to, .. } => {
                assert_eq!(self.turn, Some(*turn), "another turn fell back");
                assert!(self.models.values().all(|call| call.ended), "left amid a call");
                assert_ne!(from, to, "fell back to itself");
                assert!(!self.ending, "a cancelled turn went on with another model");
            }
            Event::UsageSettled { call, settlement, .. } => {
                let call = self.models.get_mut(call).expect("a call that was begun");
                call.booked += 1;
                call.exact += u32::from(matches!(settlement, Settlement::Exact { .. }));
                assert!(call.exact <= 1, "booked exactly twice");
            }
            Event::CancelRequested { target, .. } => {
                let of_turn =
                    matches!(target, CancelTarget::Turn { .. } | CancelTarget::Everything);
                self.ending |= of_turn && self.turn.is_some();
            }
            Event::ToolRequested { call, by, .. } => {
                let new = Tool { by: by.clone(), started: false, ended: false };
                assert!(self.tools.insert(*call, new).is_none(), "t{call} twice");
            }
            Event::ToolStarted { call, .. } => {
                let tool = self.tools.get_mut(call).expect("a call that was asked for");
                assert!(!tool.ended, "t{call} started after its end");
                let of_turn = matches!(tool.by, Caller::Model { .. });
                assert!(!(of_turn && self.ending), "t{call} started for a cancelled turn");
                assert!(!std::mem::replace(&mut tool.started, true), "t{call} started twice");
            }
            Event::ToolFinished { call, .. } => {
                let tool = self.tools.get_mut(call).expect("a call that was asked for");
                assert!(!std::mem::replace(&mut tool.ended, true), "t{call} ended twice");
            }
            Event::ApprovalRequested { no, .. } => {
                assert!(self.questions.insert(*no, false).is_none(), "a{no} twice");
            }
            Event::ApprovalDecided { no, .. } | Event::ApprovalClosed { no, .. } => {
                let closed = self.questions.get_mut(no).expect("a question that was asked");
                assert!(!std::mem::replace(closed, true), "a{no} closed twice");
            }
            _ => self.count_below(event),
        }
    }

    /// Counts what an event says of agents.
    fn count_below(&mut self, event: &Event) {
        match event {
            Event::ChildSpawned { child, assignment, .. } => {
                let new = self.children.insert((*child, *assignment), Below::Open);
                assert!(new.is_none(), "{child}/{assignment} twice");
            }
            Event::ChildFinished { child, assignment, report } => {
                let below = self.children.get_mut(&(*child, *assignment)).expect("an assignment");
                let now = match report.outcome {
                    ChildOutcome::Quarantined { stopped: false, .. } => Below::OffStage,
                    ChildOutcome::Quarantined { .. } | ChildOutcome::Turn { .. } => Below::Over,
                };
                let before = std::mem::replace(below, now);
                assert_eq!(before, Below::Open, "{child}/{assignment} ended twice");
            }
            Event::ChildStopped { child, assignment } => {
                let below = self.children.get_mut(&(*child, *assignment)).expect("an assignment");
                let before = std::mem::replace(below, Below::Over);
                assert_eq!(before, Below::OffStage, "{child}/{assignment} stopped");
            }
            _ => {}
        }
    }

    fn turn_finished(&mut self, turn: TurnId) {
        assert_eq!(self.turn.take(), Some(turn), "turn {turn} ended and was not running");
        let open = self.tools.iter().find(|(_, tool)| {
            !tool.ended && matches!(tool.by, Caller::Model { turn: of } if of == turn)
        });
        assert!(open.is_none(), "turn {turn} ended before {open:?}");
        // Whoever assigned it takes it for over now, and passes it by with a cancel.
        assert!(!self.of_parent || !self.works_below(), "turn {turn} ended before its agents");
    }

    /// Whether an agent that this one set to work, or one below it, may be at work.
    fn works_below(&self) -> bool {
        self.children.values().any(|below| *below != Below::Over)
    }

    /// What holds between two frames.
    pub(super) fn audit(&self, state: &State) {
        let unbooked = self.models.iter().find(|(_, call)| call.ended && call.booked == 0);
        assert!(unbooked.is_none(), "ended and not booked: {unbooked:?}");
        assert_eq!(self.turn, state.turn.as_ref().map(|turn| turn.id));
        for run in [Run::First, Run::Again] {
            for effect in pending(state, run) {
                self.grounds(&effect, state);
            }
        }
        let open: Vec<_> = self.questions.iter().filter(|(_, closed)| !**closed).collect();
        let shown: Vec<_> = state.approvals.keys().collect();
        assert_eq!(open.iter().map(|(no, _)| *no).collect::<Vec<_>>(), shown, "the inbox");
        read_by_the_model(state);
    }

    /// Every standing effect has its event.
    pub(super) fn grounds(&self, effect: &Effect, state: &State) {
        match effect {
            Effect::CallModel { call } | Effect::AbortModel { call } => {
                assert!(self.models.get(call).is_some_and(|call| !call.ended), "{effect:?}");
            }
            Effect::RunTool { call, .. } | Effect::AbortTool { call } => {
                let tool = self.tools.get(call);
                assert!(tool.is_some_and(|tool| tool.started && !tool.ended), "{effect:?}");
            }
            Effect::AcquireSlot { call, .. } | Effect::Reserve { call: CallNo::Tool(call) } => {
                let tool = self.tools.get(call);
                assert!(tool.is_some_and(|tool| !tool.started && !tool.ended), "{effect:?}");
            }
            Effect::Reserve { call: CallNo::Model(call) } => {
                assert!(self.turn.is_some() && !self.models.contains_key(call), "{effect:?}");
            }
            Effect::AskPermission { no, .. } => {
                assert_eq!(self.questions.get(no), Some(&false), "{effect:?}");
            }
            Effect::SpawnChild { child, assignment } => {
                // What one off the stage refused is sent again only behind its cancel.
                let below = self.children.get(&(*child, *assignment));
                let stopping = state.children[child].assignments[assignment].cancel.is_some();
                let again = below == Some(&Below::OffStage) && stopping;
                assert!(again || below == Some(&Below::Open), "{effect:?}");
            }
            Effect::CancelChild { child, assignment, .. } => {
                // One that has ended is cancelled only where a quarantine ended it, until it says
                // that nothing below it is left.
                let below = self.children.get(&(*child, *assignment));
                assert!(matches!(below, Some(Below::Open | Below::OffStage)), "{effect:?}");
            }
            Effect::SetTimer { .. } => assert!(state.next_wake().is_some()),
            Effect::Settle { call: CallNo::Model(call), .. } => {
                let known = self.models.get(call).is_some_and(|call| call.booked > 0);
                assert!(known || *call >= state.next.model, "{effect:?}");
            }
            Effect::Settle { call: CallNo::Tool(call), .. } => {
                assert!(self.tools.contains_key(call), "{effect:?}");
            }
            Effect::Finish { turn, .. } => {
                assert!(self.turns.contains(turn) && self.turn != Some(*turn), "{effect:?}");
            }
            Effect::FinishCall { call, .. } => {
                assert!(self.tools.get(call).is_some_and(|tool| tool.ended), "{effect:?}");
            }
            Effect::ReportFromLog { turn, .. } => {
                assert!(self.turns.contains(turn) && self.turn != Some(*turn), "{effect:?}");
            }
            Effect::Report { assignment, report, .. } => {
                // Who hears that an assignment is over passes it by with a cancel from then on.
                let running = state.turn.as_ref().and_then(|turn| turn.assignment);
                let over = running == Some(*assignment) && report.outcome.is_over();
                assert!(!(over && self.works_below()), "{effect:?}");
            }
            Effect::Remember { .. } | Effect::Quarantine { .. } => {}
            Effect::Append { .. } => unreachable!("taken off before"),
        }
    }
}

/// Every tool use is answered in the very next message, all in one, in order; only the batch of a
/// running turn may still wait.
fn read_by_the_model(state: &State) {
    let last = state.conversation.len();
    for (at, message) in state.conversation.iter().enumerate() {
        let uses: Vec<ToolCallNo> = message
            .blocks
            .iter()
            .filter_map(|block| match block {
                Block::ToolUse { call, .. } => Some(*call),
                _ => None,
            })
            .collect();
        if uses.is_empty() {
            continue;
        }
        assert_eq!(message.speaker, Speaker::Assistant);
        let Some(next) = state.conversation.get(at + 1) else {
            assert!(at + 1 == last && state.turn.is_some(), "tool uses that nobody answered");
            continue;
        };
        let results: Vec<ToolCallNo> = next
            .blocks
            .iter()
            .filter_map(|block| match block {
                Block::ToolResult { call, .. } => Some(*call),
                _ => None,
            })
            .collect();
        assert_eq!((uses, next.blocks.len()), (results.clone(), results.len()), "results");
    }
}

/// What a session has asked the world for, newest last; the world forgets nothing, so that what is
/// late and what comes twice is tried as well.
#[derive(Clone, Debug, Default)]
pub(super) struct Asked {
    pub(super) models: Vec<ModelCallNo>,
    pub(super) room: Vec<CallNo>,
    pub(super) slots: Vec<ToolCallNo>,
    pub(super) tools: Vec<ToolCallNo>,
    pub(super) people: Vec<ApprovalNo>,
    pub(super) children: Vec<(SessionId, Assignment)>,
}

impl Asked {
    pub(super) fn hear(&mut self, effects: &[Effect]) {
        for effect in effects {
            match effect {
                Effect::CallModel { call } => self.models.push(*call),
                Effect::Reserve { call } => self.room.push(*call),
                Effect::AcquireSlot { call, .. } => self.slots.push(*call),
                Effect::RunTool { call, .. } => self.tools.push(*call),
                Effect::AskPermission { no, .. } => self.people.push(*no),
                Effect::SpawnChild { child, assignment } => {
                    self.children.push((*child, *assignment));
                }
                _ => {}
            }
        }
    }
}

/// A play whose every step is counted.
#[derive(Clone)]
pub(super) struct Watched {
    pub(super) play: Play,
    pub(super) books: Books,
    pub(super) asked: Asked,
    /// What the catalog shows of it.
    inbox: BTreeSet<ApprovalNo>,
    /// All events, for later.
    pub(super) events: Vec<Event>,
}

impl Watched {
    pub(super) fn new(play: Play) -> Self {
        let mut watched = Self {
            play,
            books: Books::default(),
            asked: Asked::default(),
            inbox: BTreeSet::new(),
            events: Vec::new(),
        };
        for (_, body) in watched.play.frames.clone() {
            let events: Vec<Event> = serde_json::from_str(&body).unwrap();
            watched.count(&events);
        }
        watched
    }

    fn count(&mut self, events: &[Event]) {
        for event in events {
            self.books.count(event);
        }
        self.events.extend_from_slice(events);
    }

    /// One input, as the session would put it; refusals change nothing.
    pub(super) fn step(&mut self, input: crate::policy::turn::Input) -> Vec<Effect> {
        let before = self.play.state.clone();
        match self.play.step(input) {
            Ok((events, effects)) => {
                self.seen(&events, &effects);
                effects
            }
            Err(_) => {
                assert!(before == self.play.state, "a refusal changed something");
                Vec::new()
            }
        }
    }

    /// The session dies and wakes.
    pub(super) fn crash(&mut self, panic: Option<&str>) {
        let (events, effects) = self.play.crash(panic);
        self.seen(&events, &effects);
        if self.play.state.quarantined.is_none() {
            // What a live session asks for once, a woken one asks for again.
            for effect in pending(&self.play.state, Run::Again) {
                assert!(effects.contains(&effect), "not asked again: {effect:?}");
            }
        }
    }

    fn seen(&mut self, events: &[Event], effects: &[Effect]) {
        self.count(events);
        for effect in effects {
            self.books.grounds(effect, &self.play.state);
        }
        self.asked.hear(effects);
        for change in catalog::changes(&self.play.state, &"t".into(), Position(1), events) {
            if let Change::ApprovalOpened { no, .. } = &change {
                self.inbox.insert(*no);
            }
            if let Change::ApprovalClosed { no } = &change {
                self.inbox.remove(no);
            }
        }
        assert!(self.inbox.iter().eq(self.play.state.approvals.keys()), "the catalog's inbox");
        self.books.audit(&self.play.state);
        let state = &self.play.state;
        assert_eq!(state.session, me());
        // Nobody may ask a question that a state cannot answer.
        drop((state.status(), state.waiting_on(), state.accounts(), state.authority()));
        for call in state.calls.values() {
            assert!(state.tool(&call.name).is_some() || builtin::is_builtin(&call.name));
        }
    }
}
