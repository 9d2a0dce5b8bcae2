//! The fold of children: what they were assigned, how that ended, and who wants what stopped.

use std::{collections::BTreeMap, sync::Arc};

use crate::domain::{
    budget::Amount,
    event::{Caller, CancelTarget, Creation},
    ids::{AgentName, Assignment, CallNo, SessionId},
    outcome::{ChildReport, TurnOutcome},
};

use super::{
    super::state::{Child, State, Task},
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
            let creation = Arc::new(creation.clone());
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
        let call = task.call;
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
