//! Questions answered by folding a log: pure, so that a live actor, a recovery and an auditor
//! give the same answer.

use std::collections::BTreeMap;

use crate::domain::{
    budget::Amount,
    event::Event,
    ids::{Assignment, CallNo, InputKey, SessionId, ToolCallNo, TurnId},
    usage::Settlement,
};

/// What a session's log says about a call that the ledger granted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Charge {
    /// The call was never begun.
    Never,
    /// It was begun and has not ended.
    Open,
    /// It ended and comes to this.
    Closed {
        /// The last figure.
        actual: Amount,
        /// Whether no other can follow.
        last: bool,
    },
}

/// What a model call comes to once it is booked.
#[must_use]
pub fn model_amount(settlement: &Settlement) -> Amount {
    Amount {
        tokens: settlement.tokens(),
        nano_usd: settlement.cost(),
        model_calls: u64::from(*settlement != Settlement::Free),
        ..Amount::default()
    }
}

/// Whether a model call's booking is for good: only a bound is ever replaced.
#[must_use]
pub const fn is_last(settlement: &Settlement) -> bool {
    match settlement {
        Settlement::Exact { .. } | Settlement::Free => true,
        Settlement::Unsettled { .. } => false,
    }
}

/// Finds out what became of some calls of a session, event by event in the order of its log, so that
/// nobody has to hold a log to ask about it.
#[derive(Clone, Debug, Default)]
pub struct Charges {
    calls: BTreeMap<CallNo, Found>,
    /// Which call assigned what.
    assigned: BTreeMap<(SessionId, Assignment), ToolCallNo>,
}

#[derive(Clone, Copy, Debug)]
struct Found {
    charge: Charge,
    started: bool,
    /// What it assigned, and to whom.
    task: Option<(SessionId, Assignment)>,
}

impl Charges {
    /// Of these calls.
    pub fn of(calls: impl IntoIterator<Item = CallNo>) -> Self {
        let none = Found { charge: Charge::Never, started: false, task: None };
        let calls = calls.into_iter().map(|call| (call, none)).collect();
        Self { calls, assigned: BTreeMap::new() }
    }

    /// What is known of one so far.
    #[must_use]
    pub fn charge(&self, call: CallNo) -> Charge {
        self.calls.get(&call).map_or(Charge::Never, |found| found.charge)
    }

    /// What a call assigned, and to whom.
    #[must_use]
    pub fn task(&self, call: CallNo) -> Option<(SessionId, Assignment)> {
        self.calls.get(&call)?.task
    }

    /// Takes the next event. A tool call counts once it has started. A call that assigns work to a
    /// child holds the child's place until the child has finished, and comes to nothing then.
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "an event that is not about calls cannot change what one comes to"
    )]
    pub fn note(&mut self, event: &Event) {
        match event {
            Event::ModelCallStarted { call, .. } => self.begun(CallNo::Model(*call), false),
            Event::UsageSettled { call, settlement, .. } => {
                let (actual, last) = (model_amount(settlement), is_last(settlement));
                self.closed(CallNo::Model(*call), |_| Charge::Closed { actual, last });
            }
            Event::ToolStarted { call, .. } => self.begun(CallNo::Tool(*call), true),
            Event::ChildSpawned { child, assignment, call, .. } => {
                if let Some(found) = self.calls.get_mut(&CallNo::Tool(*call)) {
                    (found.charge, found.task) = (Charge::Open, Some((*child, *assignment)));
                    self.assigned.insert((*child, *assignment), *call);
                }
            }
            Event::ToolFinished { call, .. } => {
                let call = CallNo::Tool(*call);
                if self.task(call).is_none() {
                    self.closed(call, tool_closed);
                }
            }
            Event::ChildFinished { child, assignment, .. } => {
                if let Some(call) = self.assigned.get(&(*child, *assignment)).copied() {
                    self.closed(CallNo::Tool(call), tool_closed);
                }
            }
            _ => {}
        }
    }

    fn begun(&mut self, call: CallNo, tool: bool) {
        if let Some(found) = self.calls.get_mut(&call) {
            (found.charge, found.started) = (Charge::Open, found.started || tool);
        }
    }

    fn closed(&mut self, call: CallNo, charge: impl FnOnce(Found) -> Charge) {
        if let Some(found) = self.calls.get_mut(&call) {
            found.charge = charge(*found);
        }
    }
}

fn tool_closed(found: Found) -> Charge {
    let actual = Amount { tool_calls: u64::from(found.started), ..Amount::default() };
    Charge::Closed { actual, last: true }
}

/// How far an agent is with an assignment, by its own log, event by event: for those whose parent
/// cannot say any more.
#[derive(Clone, Debug)]
pub struct Errand {
    assignment: Assignment,
    key: Option<InputKey>,
    turn: Option<TurnId>,
    ended: bool,
}

impl Errand {
    /// Of this assignment.
    #[must_use]
    pub const fn of(assignment: Assignment) -> Self {
        Self { assignment, key: None, turn: None, ended: false }
    }

    /// Takes the next event.
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "an event that is not about turns cannot end an assignment"
    )]
    pub fn note(&mut self, event: &Event) {
        match event {
            Event::InputAccepted { key, input } if input.assignment == Some(self.assignment) => {
                self.key = Some(key.clone());
            }
            Event::TurnStarted { turn, key, .. } if self.key.as_ref() == Some(key) => {
                self.turn = Some(*turn);
            }
            Event::TurnFinished { turn, .. } => self.ended |= self.turn == Some(*turn),
            // A parent counts an agent that is off the stage as ended.
            Event::SessionQuarantined { .. } => self.ended = true,
            _ => {}
        }
    }

    /// What the call that assigned it comes to.
    #[must_use]
    pub fn charge(&self) -> Charge {
        let actual = Amount { tool_calls: 1, ..Amount::default() };
        match (&self.key, self.ended) {
            (_, true) => Charge::Closed { actual, last: true },
            (Some(_), false) => Charge::Open,
            (None, false) => Charge::Never,
        }
    }
}
