//! Cancel, timers and reports of children: everything that ends waiting.

use crate::domain::{
    budget::Amount,
    event::{CancelTarget, Event, TimerKind},
    ids::{Assignment, CallNo, SessionId, ToolCallNo, TurnId},
    outcome::{ChildOutcome, ChildReport, TurnOutcome},
    tool::ToolOutcome,
};

use super::{
    builtin,
    desk::Desk,
    input::{Effect, Rejected},
    state::{Stage, Task},
};

impl Desk<'_, '_> {
    pub(super) fn cancel_requested(
        &mut self,
        target: CancelTarget,
        reason: String,
    ) -> Result<(), Rejected> {
        if let CancelTarget::Child { child } = target
            && !self.state.children.contains_key(&child)
        {
            return Err(Rejected::NoSuchChild { child });
        }
        if let CancelTarget::Assignment { no } = target
            && self.state.reports.contains_key(&no)
        {
            // It had ended before the cancel arrived: the parent hears how.
            self.report_again(no);
            return Ok(());
        }
        if self.nothing_to_cancel(target) {
            return Ok(());
        }
        self.emit(Event::CancelRequested { target, reason: reason.clone() });
        if let CancelTarget::Turn { turn } = target {
            self.cancel_agents_of(turn, &reason);
        }
        self.cancel_below_quarantine();
        Ok(())
    }

    /// A quarantined agent has been reported as ended, but what it started may still be at work,
    /// and only it knows whom to tell. Told when the cancel is recorded and on every waking.
    pub(super) fn cancel_below_quarantine(&mut self) {
        let mut off_stage = Vec::new();
        for (child, known) in &self.state.children {
            for (assignment, task) in &known.assignments {
                let (Some(_), Some(reason)) = (&task.report, &task.cancel) else { continue };
                if is_off_stage(task) {
                    off_stage.push((*child, *assignment, reason.clone()));
                }
            }
        }
        for (child, assignment, reason) in off_stage {
            self.once(Effect::CancelChild { child, assignment, reason });
        }
    }

    /// A cancel that finds nothing open is acknowledged without a record: there is nothing it
    /// could change, and sending it twice must not write twice.
    fn nothing_to_cancel(&self, target: CancelTarget) -> bool {
        let state = &*self.state;
        let marked_all = |child: &super::state::Child| {
            let open = |task: &Task| task.report.is_none() || is_off_stage(task);
            child.assignments.values().all(|task| !open(task) || task.cancel.is_some())
        };
        match target {
            CancelTarget::Everything => {
                let marked = |turn: &super::state::Turn| turn.cancel.is_some();
                let turn = state.turn.as_ref().is_none_or(marked);
                turn && state.queue.iter().all(|queued| queued.cancelled.is_some())
                    && state.calls.values().all(|call| call.cancel.is_some())
                    && state.children.values().all(marked_all)
            }
            CancelTarget::Assignment { no } => state.cancelled.contains_key(&no),
            CancelTarget::Child { child } => state.children.get(&child).is_none_or(marked_all),
            CancelTarget::Turn { turn } => {
                let other = |run: &super::state::Turn| run.id != turn || run.cancel.is_some();
                state.turn.as_ref().is_none_or(other)
            }
        }
    }

    /// Closes cancelled calls that need no abort: not started, or one of our own that only waits.
    pub(super) fn close_cancelled(&mut self) {
        let over: Vec<ToolCallNo> = self
            .state
            .calls
            .iter()
            .filter(|(_, call)| {
                let idle = !matches!(call.stage, Stage::Started { .. });
                let turn = self.state.turn.as_ref();
                let turn_over = turn.is_some_and(|turn| turn.cancel.is_some());
                let cancelled = call.cancel.is_some() || (turn_over && self.state.in_turn(call));
                cancelled && (idle || builtin::is_builtin(&call.name))
            })
            .map(|(no, _)| *no)
            .collect();
        for no in over {
            self.withdraw(no);
            self.close(no, ToolOutcome::Cancelled { effect_unknown: false });
        }
    }

    /// Ends a cancelled turn once nothing of it is open: no call, and no agent that is being
    /// cancelled with it.
    pub(super) fn end_cancelled(&mut self) -> bool {
        let state = &*self.state;
        let Some(turn) = &state.turn else { return false };
        let Some(reason) = turn.cancel.clone() else { return false };
        if turn.assignment.is_some() {
            self.cancel_children(&reason);
        }
        let state = &*self.state;
        let Some(turn) = &state.turn else { return false };
        let ending = state.children.values().any(|child| {
            child.assignments.values().any(|task| task.report.is_none() && task.cancel.is_some())
        });
        if turn.calling.is_some() || state.turn_calls().next().is_some() || ending {
            return false;
        }
        let id = turn.id;
        let waited = CallNo::Model(state.next.model);
        if self.standing.contains(&Effect::Reserve { call: waited }) {
            self.drop_reservation();
        }
        self.end_turn(id, TurnOutcome::Cancelled { reason });
        true
    }

    /// Wants every agent stopped that still works for this session.
    pub(super) fn cancel_children(&mut self, reason: &str) {
        self.cancel_agents(reason, |_task| true);
    }

    /// Wants those stopped that a turn set to work. A newer input that interrupts the turn does not
    /// ask for this: whoever steers a conversation is told what still runs and can stop it.
    fn cancel_agents_of(&mut self, turn: TurnId, reason: &str) {
        self.cancel_agents(reason, |task| task.turn == Some(turn));
    }

    fn cancel_agents(&mut self, reason: &str, wanted: impl Fn(&Task) -> bool) {
        let working = |task: &Task| task.report.is_none() && task.cancel.is_none() && wanted(task);
        let all = self.state.children.iter();
        let all = all.filter(|(_, child)| child.assignments.values().any(working));
        let all: Vec<SessionId> = all.map(|(id, _)| *id).collect();
        for child in all {
            let target = CancelTarget::Child { child };
            self.emit(Event::CancelRequested { target, reason: reason.to_owned() });
        }
    }

    pub(super) fn child_finished(
        &mut self,
        child: SessionId,
        assignment: Assignment,
        report: ChildReport,
    ) {
        let task = self.state.children.get(&child);
        let task = task.and_then(|child| child.assignments.get(&assignment));
        let Some(task) = task.filter(|task| task.report.is_none()) else { return };
        let call = task.call;
        self.emit(Event::ChildFinished { child, assignment, report });
        self.settle(CallNo::Tool(call), Amount { tool_calls: 1, ..Amount::default() }, true);
    }

    pub(super) fn timer_fired(&mut self) {
        if self.state.quarantined.is_some() {
            return;
        }
        let now = self.env.now;
        self.expire_approvals();
        self.close_waits(true);
        let Some(turn) = &self.state.turn else { return };
        let (id, overdue) = (turn.id, turn.deadline <= now && turn.cancel.is_none());
        let retry = turn.retry_at.is_some_and(|at| at <= now);
        if overdue {
            let reason = "the turn's time ran out".to_owned();
            let (target, why) = (CancelTarget::Turn { turn: id }, reason.clone());
            self.emit(Event::CancelRequested { target, reason: why });
            self.cancel_agents_of(id, &reason);
        } else if retry {
            self.emit(Event::TimerFired { timer: TimerKind::Retry });
        }
    }
}

/// Whether an assignment was ended by a quarantine.
fn is_off_stage(task: &Task) -> bool {
    let outcome = task.report.as_ref().map(|report| &report.outcome);
    matches!(outcome, Some(ChildOutcome::Quarantined { .. }))
}
