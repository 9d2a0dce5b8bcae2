//! Cancel, timers and reports of children: everything that ends waiting.

use crate::domain::{
    budget::Amount,
    event::{CancelTarget, Event, TimerKind},
    ids::{Assignment, CallNo, SessionId, ToolCallNo, TurnId},
    outcome::{ChildReport, TurnOutcome},
    tool::ToolOutcome,
};

use super::{
    builtin,
    desk::Desk,
    input::{Effect, Rejected},
    state::{Stage, Task},
};

/// Why agents of a turn that is over are stopped.
const OVER: &str = "the agent that started it has ended";

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
        if !self.nothing_to_cancel(target) {
            let why = reason.clone();
            self.emit(Event::CancelRequested { target, reason: why, outcome: None });
            if let CancelTarget::Turn { turn } = target {
                self.cancel_agents_of(turn, &reason);
            }
        }
        // Whoever cancels one off the stage asks until it hears that nothing below is at work.
        self.tell_quarantine();
        Ok(())
    }

    /// A cancel that finds nothing open is acknowledged without a record: there is nothing it
    /// could change, and sending it twice must not write twice.
    fn nothing_to_cancel(&self, target: CancelTarget) -> bool {
        let state = &*self.state;
        let marked_all = |child: &super::state::Child| {
            child.assignments.values().all(|task| !task.may_work() || task.is_stopping())
        };
        match target {
            CancelTarget::Everything => {
                let marked = |turn: &super::state::Turn| turn.cancel.is_some();
                let turn = state.turn.as_deref().is_none_or(marked);
                turn && state.queue.iter().all(|queued| queued.cancelled.is_some())
                    && state.calls.values().all(|call| call.cancel.is_some())
                    && state.children.values().all(marked_all)
            }
            CancelTarget::Assignment { no } => state.cancelled.contains_key(&no),
            CancelTarget::Child { child } => state.children.get(&child).is_none_or(marked_all),
            CancelTarget::Turn { turn } => {
                let other = |run: &super::state::Turn| run.id != turn || run.cancel.is_some();
                state.turn.as_deref().is_none_or(other)
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
        let held = turn.calling.is_some() || state.turn_calls().next().is_some();
        if held || state.is_stopping() {
            return false;
        }
        let outcome = turn.outcome.clone().unwrap_or(TurnOutcome::Cancelled { reason });
        let id = turn.id;
        let waited = CallNo::Model(state.next.model);
        if self.standing.contains(&Effect::Reserve { call: waited }) {
            self.drop_reservation();
        }
        self.end_turn(id, outcome);
        true
    }

    /// Whether an assigned turn that has said its last word must wait. It has ended only when
    /// everything below it has: else a cancel of its parent would find it over, and pass by what
    /// still runs. Agents at work end by themselves; what an agent off the stage left at work is
    /// stopped, for nobody will read what it comes to.
    pub(super) fn waits_for_agents(&mut self) -> bool {
        if self.state.turn.as_ref().is_none_or(|turn| turn.assignment.is_none()) {
            return false;
        }
        if self.state.live_children() == 0 {
            self.cancel_children(OVER);
        }
        self.state.works_below()
    }

    /// An assigned turn is over, but agents below it are not: they are stopped, and it ends behind
    /// the last of them. Until then it is open for its parent, whose cancel must find it so.
    pub(super) fn end_behind(&mut self, turn: TurnId, outcome: TurnOutcome) {
        let target = CancelTarget::Turn { turn };
        let (reason, outcome) = (OVER.to_owned(), Some(outcome));
        self.emit(Event::CancelRequested { target, reason, outcome });
        self.cancel_children(OVER);
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
        let working = |task: &Task| task.may_work() && task.cancel.is_none() && wanted(task);
        let all = self.state.children.iter();
        let all = all.filter(|(_, child)| child.assignments.values().any(working));
        let all: Vec<SessionId> = all.map(|(id, _)| *id).collect();
        for child in all {
            let target = CancelTarget::Child { child };
            let reason = reason.to_owned();
            self.emit(Event::CancelRequested { target, reason, outcome: None });
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
        let Some(task) = task else { return };
        if task.report.is_none() {
            let call = task.call;
            self.emit(Event::ChildFinished { child, assignment, report });
            self.settle(CallNo::Tool(call), Amount { tool_calls: 1, ..Amount::default() }, true);
        } else if task.is_stopping() && report.outcome.is_over() {
            // A quarantine ended it before; this is the end of what was below.
            self.emit(Event::ChildStopped { child, assignment });
        } else {
            return;
        }
        // Its own parent may wait for this, too.
        self.tell_quarantine();
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
            self.emit(Event::CancelRequested { target, reason: why, outcome: None });
            self.cancel_agents_of(id, &reason);
        } else if retry {
            self.emit(Event::TimerFired { timer: TimerKind::Retry });
        }
    }
}
