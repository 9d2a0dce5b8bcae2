//! The fold of children: what they were assigned, how that ended, and who wants what stopped.

use std::{collections::BTreeMap, sync::Arc};

use crate::{
    domain::{
        budget::Amount,
        event::{Caller, CancelTarget, Creation, UserInput},
        ids::{AgentName, Assignment, CallNo, SessionId, ToolCallNo},
        outcome::{ChildOutcome, ChildReport, TurnOutcome},
    },
    limits,
};

use super::{
    super::{
        measure::clip,
        state::{Child, State, Task, ToolCall},
    },
    Applied, Fold,
    models::booked,
};

impl Fold {
    pub(super) fn spawned(
        &self,
        state: &mut State,
        (child, assignment): (SessionId, Assignment),
        agent: &AgentName,
        (task, creation): (Task, Option<&Creation>),
    ) -> Applied {
        if let Some(creation) = creation {
            if state.children.contains_key(&child) || assignment != Assignment(1) {
                return self.cannot("the child exists already");
            }
            let assignments = BTreeMap::from([(assignment, task)]);
            let creation = Some(Arc::new(creation.clone()));
            state.children.insert(child, Child { agent: agent.clone(), creation, assignments });
            return Ok(());
        }
        let known = self.known(state.children.get_mut(&child), "child")?;
        let last = known.assignments.last_key_value().map(|(no, _)| no.next());
        if last != Some(assignment) {
            return self.cannot("another assignment is due");
        }
        known.assignments.insert(assignment, task);
        Ok(())
    }

    pub(super) fn child_finished(
        &self,
        state: &mut State,
        child: SessionId,
        assignment: Assignment,
        report: &ChildReport,
    ) -> Applied {
        let known = self.known(state.children.get_mut(&child), "child")?;
        let task = self.known(known.assignments.get_mut(&assignment), "assignment")?;
        if task.report.is_some() {
            return self.cannot("that assignment has ended before");
        }
        task.report = Some(report.clone());
        task.input = None;
        let call = task.call;
        // One off the stage may have got there before its first frame.
        if matches!(report.outcome, ChildOutcome::Turn { .. }) {
            known.creation = None;
        }
        booked(state, CallNo::Tool(call), Amount { tool_calls: 1, ..Amount::default() }, true);
        Ok(())
    }

    pub(super) fn child_stopped(
        &self,
        state: &mut State,
        child: SessionId,
        assignment: Assignment,
    ) -> Applied {
        let known = self.known(state.children.get_mut(&child), "child")?;
        let task = self.known(known.assignments.get_mut(&assignment), "assignment")?;
        if task.report.is_none() || !task.is_stopping() {
            return self.cannot("it was not being stopped off the stage");
        }
        task.stopped = true;
        Ok(())
    }

    pub(super) fn cancelled(
        &self,
        state: &mut State,
        target: CancelTarget,
        reason: &str,
        outcome: Option<&TurnOutcome>,
    ) -> Applied {
        let because = || Some(reason.to_owned());
        match target {
            CancelTarget::Everything => {
                for queued in &mut state.queue {
                    queued.cancelled = because();
                }
                for child in state.children.values_mut() {
                    cancel_child(child, reason);
                }
                for call in state.calls.values_mut() {
                    call.cancel = because();
                }
                if let Some(turn) = &mut state.turn {
                    turn.cancel.get_or_insert_with(|| reason.to_owned());
                }
            }
            CancelTarget::Assignment { no } => {
                state.cancelled.insert(no, reason.to_owned());
                for queued in &mut state.queue {
                    if queued.input.assignment == Some(no) {
                        queued.cancelled = because();
                    }
                }
                if state.turn.as_ref().is_some_and(|turn| turn.assignment == Some(no)) {
                    stop_turn(state, reason);
                    for child in state.children.values_mut() {
                        cancel_child(child, reason);
                    }
                }
            }
            CancelTarget::Child { child } => {
                let known = self.known(state.children.get_mut(&child), "child")?;
                cancel_child(known, reason);
            }
            CancelTarget::Turn { turn } => {
                if state.turn.as_ref().is_some_and(|running| running.id == turn) {
                    stop_turn(state, reason);
                }
            }
        }
        self.ends_as(state, target, outcome)
    }

    /// A turn that is over but for its agents ends like this, whoever cancels it meanwhile.
    fn ends_as(
        &self,
        state: &mut State,
        target: CancelTarget,
        outcome: Option<&TurnOutcome>,
    ) -> Applied {
        let Some(outcome) = outcome else { return Ok(()) };
        let turn = state.turn.as_mut();
        let turn = turn.filter(|turn| target == CancelTarget::Turn { turn: turn.id });
        let turn = self.known(turn, "turn")?;
        turn.outcome.get_or_insert_with(|| outcome.clone());
        Ok(())
    }
}

/// An assignment as it begins.
pub(super) fn assigned(state: &State, call: ToolCallNo, input: &UserInput) -> Task {
    let turn = state.calls.get(&call).and_then(ToolCall::turn);
    let (input, report, cancel) = (Some(Box::new(input.clone())), None, None);
    Task { call, turn, input, report, told: false, cancel, stopped: false }
}

/// The model has read how these agents stand. Of each the last report is kept, and whole while it is
/// among the latest: an agent that is sent to work again and again takes no more than one that was
/// not, and thousands of them take what is said of them in short. What may be at work below one off
/// the stage stays, for a cancel must find it.
pub(super) fn read(state: &mut State, children: Vec<SessionId>) {
    for id in children {
        let Some(child) = state.children.get_mut(&id) else { continue };
        let mut last = None;
        for (no, task) in &mut child.assignments {
            if task.report.is_none() {
                continue;
            }
            last = Some(*no);
            if !task.told {
                task.told = true;
                state.read_reports.push_back((id, *no));
            }
        }
        child.assignments.retain(|no, task| !task.told || task.may_work() || Some(*no) == last);
    }
    while state.read_reports.len() > limits::CHILD_REPORTS {
        let Some((id, no)) = state.read_reports.pop_front() else { return };
        let task = state.children.get_mut(&id).and_then(|child| child.assignments.get_mut(&no));
        if let Some(report) = task.and_then(|task| task.report.as_mut()) {
            shorten(report);
        }
    }
}

fn shorten(report: &mut ChildReport) {
    let text = match &mut report.outcome {
        ChildOutcome::Turn { outcome: TurnOutcome::Completed { text, .. } } => text,
        ChildOutcome::Turn {
            outcome:
                TurnOutcome::Failed { reason }
                | TurnOutcome::Cancelled { reason }
                | TurnOutcome::BudgetExhausted { reason },
        }
        | ChildOutcome::Quarantined { reason, .. } => reason,
    };
    *text = clip(text, limits::CHILD_SHORT_BYTES).into_owned();
}

fn stop_turn(state: &mut State, reason: &str) {
    let Some(turn) = &mut state.turn else { return };
    turn.cancel.get_or_insert_with(|| reason.to_owned());
    let id = turn.id;
    for call in state.calls.values_mut() {
        if call.by == (Caller::Model { turn: id }) {
            call.cancel = Some(reason.to_owned());
        }
    }
}

fn cancel_child(child: &mut Child, reason: &str) {
    for task in child.assignments.values_mut() {
        if task.may_work() {
            task.cancel.get_or_insert_with(|| reason.to_owned());
        }
    }
}
