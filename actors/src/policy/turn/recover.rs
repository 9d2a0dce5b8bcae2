//! Waking up: what a session does about the work it finds in its log.

use std::collections::BTreeSet;

use crate::{
    domain::{
        event::{Event, FailureKind, ModelFailure, RestartCause},
        house::Readmission,
        ids::{Assignment, ToolCallNo},
        outcome::{ChildOutcome, TurnOutcome},
        permission::Decision,
        tool::{EffectClass, ToolOutcome},
    },
    policy::recovery::{self, Next},
};

use super::{
    builtin,
    desk::Desk,
    input::{Effect, Rejected},
    state::{Queued, Stage},
};

impl Desk<'_, '_> {
    pub(super) fn recovered(&mut self, panic: Option<String>) {
        if self.state.quarantined.is_some() {
            return self.tell_quarantine();
        }
        let panicked = panic.is_some();
        let doing = self.state.waiting_on().unwrap_or_else(|| "waking up".to_owned());
        // A session that left memory in peace had nothing running; one that had died in mid-work.
        let cause = panic
            .map(|message| RestartCause::Panic { message })
            .or_else(|| self.has_running_work().then_some(RestartCause::Process));
        if let Some(cause) = cause {
            self.emit(Event::SessionRestarted { cause });
        }
        self.settle_recent();
        self.lose_model_call();
        if panicked && self.too_many_panics(&doing) {
            return;
        }
        self.after_waking();
    }

    /// What every session does about its log that comes back to work.
    fn after_waking(&mut self) {
        self.judge_started_tools();
        if let Some(last) = self.state.reports.last_key_value().map(|(no, _)| *no) {
            self.report_again(last);
        }
        self.remember_again();
        self.expire_approvals();
    }

    fn has_running_work(&self) -> bool {
        let calling = self.state.turn.as_ref().is_some_and(|turn| turn.calling.is_some());
        calling
            || self.state.calls.values().any(|call| {
                matches!(call.stage, Stage::Started { .. }) && !builtin::is_builtin(&call.name)
            })
    }

    /// A model call in flight is lost: booked at its bound, and made again under a new number.
    fn lose_model_call(&mut self) {
        let calling = self.state.turn.as_ref().and_then(|turn| turn.calling.clone());
        let Some(calling) = calling else { return };
        let failure =
            ModelFailure::new(FailureKind::Lost, "a crash took the call".to_owned(), true);
        self.model_failed(calling.call, failure);
    }

    fn too_many_panics(&mut self, doing: &str) -> bool {
        let policy = self.state.agent().map(|agent| agent.restart).unwrap_or_default();
        let next =
            recovery::after_panic(&policy, &self.state.panics, self.env.now, self.env.random);
        let Next::Quarantine { panics } = next else { return false };
        let reason = format!("{panics} panics without progress, at: {doing}");
        self.release_room();
        self.emit(Event::SessionQuarantined { reason: reason.clone() });
        self.once(Effect::Quarantine { reason });
        self.tell_quarantine();
        true
    }

    /// Tells the parent that this session is off the stage, for every assignment it still owes, and
    /// for those that were cancelled before they arrived.
    pub(super) fn tell_quarantine(&mut self) {
        let (Some(parent), Some(reason)) = (self.state.parent(), self.state.quarantined.clone())
        else {
            return;
        };
        let running = self.state.turn.iter().filter_map(|turn| turn.assignment);
        let queued = self.state.queue.iter().filter_map(|queued| queued.input.assignment);
        let unseen = self.state.cancelled.keys().copied();
        let owed: BTreeSet<Assignment> = running.chain(queued).chain(unseen).collect();
        for assignment in owed {
            let (reason, stopped) = (reason.clone(), self.has_stopped(assignment));
            self.report(parent, assignment, ChildOutcome::Quarantined { reason, stopped });
        }
    }

    /// Whether a cancel of an assignment has come to its end here, off the stage: it will not go on
    /// after a release, and nothing that it set to work is at work. Only the running turn has
    /// agents below it.
    fn has_stopped(&self, assignment: Assignment) -> bool {
        let state = &*self.state;
        let of_turn = state.turn.as_ref().filter(|turn| turn.assignment == Some(assignment));
        if let Some(turn) = of_turn {
            return turn.cancel.is_some() && !state.works_below();
        }
        let queued = |queued: &&Queued| queued.input.assignment == Some(assignment);
        match state.queue.iter().find(queued) {
            Some(queued) => queued.cancelled.is_some(),
            None => state.cancelled.contains_key(&assignment),
        }
    }

    /// A started tool without a result follows its effect class, and permission as it is now.
    fn judge_started_tools(&mut self) {
        let started: Vec<(ToolCallNo, EffectClass, bool)> = self
            .state
            .calls
            .iter()
            .filter(|(_, call)| {
                matches!(call.stage, Stage::Started { .. }) && !builtin::is_builtin(&call.name)
            })
            .map(|(no, call)| {
                let spec = self.state.tool(&call.name);
                let effect = spec.map_or(EffectClass::Once, |tool| tool.effect);
                (*no, effect, call.cancel.is_some())
            })
            .collect();
        for (no, effect, cancelled) in started {
            let unknown = effect != EffectClass::Pure;
            if cancelled {
                self.close(no, ToolOutcome::Cancelled { effect_unknown: unknown });
            } else if effect == EffectClass::Once || self.decide(no).decision == Decision::Deny {
                self.close(no, ToolOutcome::OutcomeUnknown);
            }
        }
    }

    /// What was settled last may not have reached the ledger.
    fn settle_recent(&mut self) {
        // The last word on each call only: a bound that an exact figure has replaced would make
        // the budget look fuller than it is until the figure follows.
        let mut last = std::collections::BTreeMap::new();
        for (call, actual, assigns) in &self.state.recent {
            last.insert(*call, (*actual, *assigns));
        }
        for (call, (actual, assigns)) in last {
            self.settle(call, actual, assigns);
        }
    }

    /// A rule for every session may not have reached the house log before a crash.
    fn remember_again(&mut self) {
        for rule in self.state.always.clone() {
            self.once(Effect::Remember { rule });
        }
    }

    pub(super) fn released(&mut self, skip: bool) -> Result<(), Rejected> {
        if self.state.quarantined.is_none() {
            let same = self.state.released.as_ref() == Some(&(skip, self.env.by.clone()));
            return if same { Ok(()) } else { Err(Rejected::NotQuarantined) };
        }
        self.lets_begin()?;
        self.emit(Event::SessionReleased { skip, by: self.env.by.clone(), house: None });
        if skip {
            self.skip_step();
        }
        self.judge_started_tools();
        Ok(())
    }

    /// Waking up after the house took it off the stage, because it died before it could say so, and a
    /// person let it back without the step that failed. Its log says both now, in one frame and
    /// before anything of that step is touched again.
    pub(super) fn readmitted(&mut self, release: Readmission) {
        let Readmission { at, reason, by } = release;
        if self.has_running_work() {
            self.emit(Event::SessionRestarted { cause: RestartCause::Process });
        }
        self.settle_recent();
        self.lose_model_call();
        if self.state.quarantined.is_none() {
            self.release_room();
            self.emit(Event::SessionQuarantined { reason });
        }
        self.emit(Event::SessionReleased { skip: true, by, house: Some(at) });
        self.skip_step();
        self.after_waking();
    }

    fn skip_step(&mut self) {
        // Of the host's calls only those that ran can be the step that failed.
        let open: Vec<(ToolCallNo, bool)> = self
            .state
            .calls
            .iter()
            .map(|(no, call)| (no, call, matches!(call.stage, Stage::Started { .. })))
            .filter(|(_, call, started)| *started || self.state.in_turn(call))
            .map(|(no, _, started)| (*no, started))
            .collect();
        for (no, started) in open {
            self.withdraw(no);
            let outcome = if started {
                ToolOutcome::OutcomeUnknown
            } else {
                ToolOutcome::Cancelled { effect_unknown: false }
            };
            self.close(no, outcome);
        }
        let Some(turn) = self.state.turn.as_ref().map(|turn| turn.id) else { return };
        let reason = "the step that failed was skipped on release".to_owned();
        self.end_turn(turn, TurnOutcome::Failed { reason });
    }
}
