//! The desk a step is worked out on: it emits events, folds each at once, and collects what is to
//! be done once. All decisions are methods of it, a file per subject.

use crate::domain::{
    budget::{Amount, Mark},
    conversation::Stop,
    event::{Event, UserInput},
    ids::{Assignment, CallNo, InputKey, TurnId},
    outcome::{ChildOutcome, ChildReport, TurnOutcome},
    permission::ScriptSeen,
    tool::ToolOutcome,
};
use crate::limits;

use super::{
    apply,
    audit::Given,
    builtin, images,
    input::{Effect, Env, Input, Rejected},
    measure, pending, prompt,
    state::{Stage, State},
};
use crate::domain::{agent::InputPolicy, event::CancelTarget, ids::ToolCallNo};

pub(super) struct Desk<'s, 'e> {
    pub(super) state: &'s mut State,
    pub(super) env: &'s Env<'e>,
    /// What stood before the step.
    pub(super) standing: &'s [Effect],
    events: Vec<Event>,
    once: Vec<Effect>,
    /// Bytes of the frame that are spoken for although not written yet.
    pub(super) promised: usize,
    /// The call whose files were looked at for this step, and what was seen.
    pub(super) seen: Option<(ToolCallNo, Vec<ScriptSeen>)>,
    /// Most calls that were open at once in this step: they share the room for words.
    sharers: usize,
    /// What the step rested on, where it is taken again from a log.
    pub(super) given: Option<&'e Given>,
}

impl<'s, 'e> Desk<'s, 'e> {
    pub(super) const fn new(
        state: &'s mut State,
        env: &'s Env<'e>,
        standing: &'s [Effect],
    ) -> Self {
        Self {
            state,
            env,
            standing,
            events: Vec::new(),
            once: Vec::new(),
            promised: 0,
            seen: None,
            sharers: 1,
            given: None,
        }
    }

    pub(super) const fn given(mut self, given: &'e Given) -> Self {
        self.given = Some(given);
        self
    }

    pub(super) fn finish(self) -> (Vec<Event>, Vec<Effect>) {
        (self.events, self.once)
    }

    /// Writes an event and folds it at once.
    pub(super) fn emit(&mut self, event: Event) {
        if let Err(impossible) = apply(self.state, &event, self.env.now) {
            // A step that writes what the fold refuses is a bug here. Going on would write a log
            // that can never be read again, so the session stops before anything is committed.
            panic!("the machine wrote an impossible event: {impossible}");
        }
        self.events.push(event);
    }

    /// Bytes of an event that a text may take when `sharers` of them share what is left of the frame.
    pub(super) fn room(&self, sharers: usize) -> usize {
        let written: usize = self
            .events
            .iter()
            .map(|event| serde_json::to_vec(event).map_or(usize::MAX, |bytes| bytes.len()))
            .fold(0, usize::saturating_add);
        // A quarter is left for what else the step may have to say.
        let frame = (limits::FRAME_BYTES / 4 * 3).saturating_sub(written + self.promised);
        frame.min(limits::EVENT_BYTES / 4 * 3) / sharers.max(1)
    }

    /// Bytes of an event that the words of one verdict may take. The share is that of the moment
    /// with the most open calls: it does not grow while they close one by one.
    pub(super) fn words(&mut self) -> usize {
        let open = self.state.calls.len().min(limits::CALLS_PER_REPLY + limits::HOST_CALLS);
        self.sharers = self.sharers.max(open);
        limits::VERDICTS_BYTES / self.sharers
    }

    /// Asks for something to be done once the events are committed.
    pub(super) fn once(&mut self, effect: Effect) {
        self.once.push(effect);
    }

    pub(super) fn take(&mut self, mut input: Input) -> Result<(), Rejected> {
        if self.state.opened.is_none() && !matches!(input, Input::Opened { .. }) {
            return Err(Rejected::NotOpened);
        }
        measure::fit(&mut input)?;
        match input {
            Input::Opened { creation, fork } => self.opened(*creation, fork)?,
            Input::Submitted { key, input } => self.submitted(key, *input)?,
            Input::ModelFinished { call, reply, slots } => {
                self.model_finished(call, *reply, &slots)
            }
            Input::ModelFailed { call, failure } => self.model_failed(call, failure),
            Input::BudgetDecided { call, asked, decision } => {
                self.budget_decided(call, &asked, decision);
            }
            Input::SlotGranted { call, scripts } => self.slot_granted(call, scripts),
            Input::SlotRefused { call, reason } => self.slot_refused(call, reason),
            Input::ToolFinished { call, outcome } => self.tool_finished(call, outcome),
            Input::ApprovalDecided { no, answer } => self.approval_decided(no, answer)?,
            Input::ChildFinished { child, assignment, report } => {
                self.child_finished(child, assignment, report);
            }
            Input::TimerFired => self.timer_fired(),
            Input::CancelRequested { target, reason } => {
                self.cancel_requested(target, reason)?;
            }
            Input::Recovered { panic } => self.recovered(panic),
            Input::Released { skip } => self.released(skip)?,
            Input::Readmitted { release } => self.readmitted(*release),
            Input::Invoked { key, name, args, mode, cwd } => {
                self.invoked(key, (name, args), mode, cwd)?;
            }
            Input::Renamed { name } => self.renamed(name)?,
            Input::Archived { archived } => self.archived(archived)?,
            Input::Checkpointed { name, at, value } => {
                self.emit(Event::Checkpointed { name, at, value });
            }
            Input::GoalSet { goal } => self.emit(Event::GoalSet { goal }),
            Input::BudgetWarned { account, dimension, percent } => {
                // The ledger tells it until it knows that it stands here.
                if !self.state.is_warned(account, dimension, Mark::of(percent)) {
                    let dimension = Some(dimension);
                    self.emit(Event::BudgetWarned { account, percent, dimension });
                }
            }
        }
        if !self.env.dark {
            self.advance();
        }
        Ok(())
    }

    fn opened(
        &mut self,
        creation: crate::domain::event::Creation,
        fork: Option<crate::domain::event::ForkPoint>,
    ) -> Result<(), Rejected> {
        // What a fork continues is open already; a fork of its own it is only once.
        if self.state.opened.as_ref().is_some_and(|open| fork.is_none() || open.fork == fork) {
            return Err(Rejected::Exists);
        }
        // One that another sends to work may come into being to hear that it is to stop.
        if creation.lineage.parent.is_none() {
            self.lets_begin()?;
        }
        let rendered = Box::new(creation.rendered);
        self.emit(Event::SessionOpened { rendered, lineage: creation.lineage, fork });
        if let Some(from) = fork {
            self.emit(Event::SessionForked { from });
            let open: Vec<ToolCallNo> = self.state.calls.keys().copied().collect();
            for call in open {
                self.emit(Event::ToolFinished { call, outcome: ToolOutcome::NotCarried });
            }
            if let Some(turn) = self.state.turn.as_ref().map(|turn| turn.id) {
                let reason = "not carried over: forked while it ran".to_owned();
                self.emit(Event::TurnFinished { turn, outcome: TurnOutcome::Cancelled { reason } });
            }
        }
        Ok(())
    }

    fn submitted(&mut self, key: InputKey, input: UserInput) -> Result<(), Rejected> {
        if self.state.inputs.contains_key(&key) {
            // The same input again. What its turn came to is told again, should it have ended.
            self.tell_again(&key, input.assignment);
            return Ok(());
        }
        // What was to stop before it arrived ends as it begins, and its parent waits for that.
        let is_over = |no: &Assignment| self.state.cancelled.contains_key(no);
        if !input.assignment.as_ref().is_some_and(is_over) {
            self.lets_begin()?;
        }
        self.open_for_work()?;
        if self.state.is_full() {
            return Err(Rejected::Full { max: limits::KEYS });
        }
        if self.state.queue.len() >= limits::QUEUE {
            return Err(Rejected::Busy);
        }
        images::fit(self.state, &input)?;
        let policy = self.state.agent().map_or(InputPolicy::Queue, |agent| agent.input);
        let running = self.state.turn.as_ref();
        let ending = running.is_some_and(|turn| turn.cancel.is_some());
        let running = running.map(|turn| turn.id);
        // A parent's assignment always queues: the parent waits for its end, not for a free moment.
        let interrupted = match (running, policy, input.assignment) {
            (Some(_), InputPolicy::Reject, None) => return Err(Rejected::Busy),
            (Some(turn), InputPolicy::Interrupt, None) if !ending => Some(turn),
            _ => None,
        };
        self.emit(Event::InputAccepted { key, input });
        if let Some(turn) = interrupted {
            let reason = "interrupted by a newer input".to_owned();
            let (target, outcome) = (CancelTarget::Turn { turn }, None);
            self.emit(Event::CancelRequested { target, reason, outcome });
        }
        Ok(())
    }

    /// Refuses whatever begins something while everything is stopped.
    pub(super) fn lets_begin(&self) -> Result<(), Rejected> {
        let halted = |reason: &str| Err(Rejected::Halted { reason: reason.to_owned() });
        self.env.halted.map_or(Ok(()), halted)
    }

    /// Refuses work for a session that is off the stage or put away.
    pub(super) fn open_for_work(&self) -> Result<(), Rejected> {
        if let Some(reason) = &self.state.quarantined {
            return Err(Rejected::Quarantined { reason: reason.clone() });
        }
        if self.state.archived {
            return Err(Rejected::Archived);
        }
        Ok(())
    }

    fn tell_again(&mut self, key: &InputKey, assignment: Option<Assignment>) {
        let turn = self.state.inputs.get(key).copied().flatten();
        let ended = turn.and_then(|turn| Some((turn, self.state.outcomes.get(&turn)?.clone())));
        let Some((turn, outcome)) = ended else {
            // Off the stage it will not end, and its parent asks because it has not heard.
            let over = turn.is_some_and(|turn| self.state.has_ended(turn));
            match assignment {
                Some(assignment) if over => self.report_again(assignment),
                Some(_) | None if self.state.quarantined.is_some() && !over => {
                    self.tell_quarantine();
                }
                Some(_) | None => {}
            }
            return;
        };
        let (key, told) = (key.clone(), outcome.clone());
        self.once(Effect::Finish { turn, key, outcome: told });
        // This very assignment, not the last one: several reports may have been lost together.
        if let (Some(parent), Some(assignment)) = (self.state.parent(), assignment) {
            self.report(parent, assignment, ChildOutcome::Turn { outcome });
        }
    }

    /// Tells the parent once more how an assignment ended, if it has.
    pub(super) fn report_again(&mut self, assignment: Assignment) {
        let Some(turn) = self.state.reports.get(&assignment).copied() else { return };
        let Some(parent) = self.state.parent() else { return };
        match self.state.outcomes.get(&turn).cloned() {
            Some(outcome) => self.report(parent, assignment, ChildOutcome::Turn { outcome }),
            // Its parent has heard it, or has asked for more at once than a child takes.
            None => self.once(Effect::ReportFromLog { parent, assignment, turn }),
        }
    }

    pub(super) fn report(
        &mut self,
        parent: crate::domain::ids::SessionId,
        assignment: Assignment,
        outcome: ChildOutcome,
    ) {
        let report = ChildReport { outcome, usage: self.state.usage };
        self.once(Effect::Report { parent, assignment, report });
    }

    /// Takes every step that needs nothing from outside, until none is left.
    pub(super) fn advance(&mut self) {
        if self.state.quarantined.is_some() {
            return;
        }
        self.close_waits(false);
        self.close_cancelled();
        loop {
            let moved = match &self.state.turn {
                None => self.begin_turn(),
                Some(turn) if turn.cancel.is_some() => self.end_cancelled(),
                Some(turn) if turn.last_word.is_some() => self.end_completed(),
                Some(_) if pending::wants_model(self.state) => self.begin_model_call(),
                Some(_) => false,
            };
            if !moved {
                return;
            }
        }
    }

    fn begin_turn(&mut self) -> bool {
        let Some(queued) = self.state.queue.front() else { return false };
        let key = queued.key.clone();
        let turn_ms = self.state.agent().map_or(limits::TURN_MS, |agent| agent.limits.turn_ms);
        let deadline = self.env.now.plus_ms(turn_ms);
        self.emit(Event::TurnStarted { turn: self.state.next.turn, key, deadline });
        true
    }

    fn end_completed(&mut self) -> bool {
        let Some(turn) = &self.state.turn else { return false };
        let Some(last) = turn.last_word.clone() else { return false };
        let turn = turn.id;
        if self.waits_for_agents() {
            return false;
        }
        // One answer fits; one that was broken off again and again may not. All of it is in the
        // log, message by message.
        let text = measure::clip_stored(&last.text, limits::EVENT_BYTES / 2).into_owned();
        let outcome = match last.stop {
            Stop::Refusal => TurnOutcome::Failed { reason: format!("the model refused: {text}") },
            // A paused turn has no last word; if it had one, it would be over.
            Stop::EndTurn | Stop::ToolUse | Stop::MaxTokens | Stop::StopSequence | Stop::Paused => {
                TurnOutcome::Completed { text, truncated: last.stop == Stop::MaxTokens }
            }
        };
        self.end_turn(turn, outcome);
        true
    }

    /// Ends the turn and tells whoever waits. An assigned turn waits for those below it first: see
    /// `end_behind`.
    pub(super) fn end_turn(&mut self, turn: TurnId, outcome: TurnOutcome) {
        let Some(running) = &self.state.turn else { return };
        let (key, assignment) = (running.key.clone(), running.assignment);
        if assignment.is_some() && self.state.works_below() {
            return self.end_behind(turn, outcome);
        }
        self.emit(Event::TurnFinished { turn, outcome: outcome.clone() });
        if let (Some(parent), Some(assignment)) = (self.state.parent(), assignment) {
            self.report(parent, assignment, ChildOutcome::Turn { outcome: outcome.clone() });
        }
        self.once(Effect::Finish { turn, key, outcome });
    }

    /// Tells the ledger what a call came to, if it counts. Of a model call that is known only as a
    /// bound another figure may follow.
    pub(super) fn settle(&mut self, call: CallNo, actual: Amount, assigns: bool) {
        let last = match call {
            CallNo::Model(no) => !self.state.unsettled.contains_key(&no),
            CallNo::Tool(_) => true,
        };
        self.charge(call, (actual, last), assigns);
    }

    /// Gives back the room of a call that holds or wants some and is not begun; it may ask again.
    pub(super) fn give_back(&mut self, call: CallNo, assigns: bool) {
        self.charge(call, (Amount::default(), false), assigns);
    }

    fn charge(&mut self, call: CallNo, (actual, last): (Amount, bool), assigns: bool) {
        let accounts = match call {
            CallNo::Model(_) => prompt::accounts(self.state, &prompt::MODEL),
            CallNo::Tool(_) if assigns => prompt::accounts(self.state, &prompt::ASSIGN),
            CallNo::Tool(_) => prompt::accounts(self.state, &prompt::TOOL),
        };
        if !accounts.is_empty() {
            self.once(Effect::Settle { call, accounts, actual, last });
        }
    }

    /// Closes a tool call: one event, the ledger, and the host if it asked.
    pub(super) fn close(&mut self, no: ToolCallNo, outcome: ToolOutcome) {
        let Some(call) = self.state.calls.get(&no) else { return };
        let started = matches!(call.stage, Stage::Started { .. });
        let assigns = builtin::assigns(&call.name);
        let tool_calls = builtin::counts(&call.name, started);
        let host = match &call.by {
            crate::domain::event::Caller::Host { key, .. } => Some(key.clone()),
            crate::domain::event::Caller::Model { .. } => None,
        };
        self.emit(Event::ToolFinished { call: no, outcome: outcome.clone() });
        // A call that assigned work holds its place until the agent has ended.
        if !(assigns && started) {
            let actual = Amount { tool_calls, ..Amount::default() };
            self.settle(CallNo::Tool(no), actual, assigns);
        }
        if let Some(key) = host {
            self.once(Effect::FinishCall { call: no, key, outcome });
        }
    }

    fn renamed(&mut self, name: String) -> Result<(), Rejected> {
        if name.is_empty() || name.len() > limits::NAME_BYTES {
            let what = format!("a session's name has 1 to {} bytes", limits::NAME_BYTES);
            return Err(Rejected::BadValue { what });
        }
        self.emit(Event::SessionRenamed { name });
        Ok(())
    }

    fn archived(&mut self, archived: bool) -> Result<(), Rejected> {
        let in_hand = self.state.turn.is_some()
            || self.state.live_children() > 0
            || self.state.is_stopping()
            || !self.state.calls.is_empty();
        if archived && in_hand {
            return Err(Rejected::Busy);
        }
        if archived != self.state.archived {
            self.emit(Event::SessionArchived { archived });
        }
        Ok(())
    }
}
