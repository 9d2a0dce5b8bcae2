//! Effects: what a session does once the events that cause it are committed.

use std::sync::Arc;

use crate::{
    domain::{
        budget::Room,
        event::{Caller, ModelFailure},
        ids::{
            Assignment, CallId, CallNo, ModelCallNo, PoolKind, SessionId, Timestamp, ToolCallNo,
        },
        span::traceparent,
        tool::{EffectClass, ToolOutcome},
    },
    fault, limits,
    owned::{Ended, Owned},
    policy::{
        rules,
        turn::{Effect, Input, Purpose, Run, pending, prompt, state::Stage},
    },
    ports::{Cancel, Progress, Sight, ToolCtx},
    protocol::{
        address::{ReplyTo, tell},
        ledger::BudgetDecision,
        session::{Mail, SessionMsg, Timer},
    },
};

use super::{
    house::Tables,
    live::{Live, Running, aborted},
    model_task, tool_task,
};

impl Live {
    pub(super) fn tables(&self) -> Arc<Tables> {
        Arc::clone(&self.house.tables.borrow())
    }

    pub(super) fn perform_all(&mut self, effects: Vec<Effect>) {
        fault::point("effects.before_perform");
        for effect in effects {
            self.perform(effect);
        }
        self.arm_due();
        fault::point("effects.after_perform");
    }

    fn perform(&mut self, effect: Effect) {
        match effect {
            // Committed before anything comes here; the timer is read off the state.
            Effect::Append { .. } | Effect::SetTimer { .. } => {}
            Effect::Reserve { call } => {
                if let CallNo::Tool(tool) = call {
                    self.wait_bounded(tool);
                }
                self.reserve(call);
            }
            Effect::CallModel { call } => self.call_model(call),
            Effect::AbortModel { call } => self.abort(CallNo::Model(call)),
            // The inbox is a projection of the log, which has the question by now.
            Effect::AskPermission { .. } => {}
            Effect::AcquireSlot { call, pool, reserve } => self.acquire(call, &pool, reserve),
            Effect::RunTool { call, run } => self.run_tool(call, run),
            Effect::AbortTool { call } => self.abort(CallNo::Tool(call)),
            Effect::SpawnChild { child, assignment } => self.assign(child, assignment),
            Effect::CancelChild { child, assignment, reason } => {
                self.cancel_child(child, assignment, reason);
            }
            Effect::Settle { call, accounts, actual, last } => {
                // Whatever becomes of it, it holds no room from here on.
                if let CallNo::Tool(tool) = call {
                    self.granted.remove(&tool);
                }
                let call = CallId { session: self.id(), no: call };
                let root = self.state.root();
                self.house.ledger.settle(root, call, accounts, (actual, last));
            }
            Effect::Finish { turn, key, outcome } => self.finished(turn, &key, &outcome),
            Effect::FinishCall { key, outcome, .. } => self.call_finished(&key, &outcome),
            Effect::Report { parent, assignment, report } => {
                fault::point("child.before_report");
                let report = Box::new(report);
                let child = self.id();
                self.house.board.mail(parent, Mail::Report { child, assignment, report });
            }
            Effect::ReportFromLog { parent, assignment, turn } => {
                self.report_from_log(parent, assignment, turn);
            }
            Effect::Remember { rule } => {
                self.house.permission.remember(rule, self.behalf.clone());
            }
            Effect::Quarantine { reason } => self.off_stage(&reason),
        }
    }

    /// Sets the alarm for whatever falls due next.
    pub(super) fn arm_due(&mut self) {
        let next = self.state.next_wake().filter(|_| !self.house.dark);
        if self.timers.due.as_ref().map(|(at, _)| *at) != next {
            self.timers.due = next.map(|at| (at, self.at(at, Timer::Due)));
        }
    }

    /// Asks the ledger. The question may be lost, so it is asked again until it is answered.
    pub(super) fn reserve(&mut self, call: CallNo) {
        let tables = self.tables();
        let now = self.house.clock.now();
        let Some(reservation) = prompt::reservation(&self.state, call, &tables.prices, now) else {
            // Nobody counts it.
            let (bound, priced) = prompt::model_bound(&self.state, &tables.prices, now);
            let (decision, session) = (Ok(Room { bound, priced }), self.id());
            let asked = Box::new(prompt::purpose(&self.state, call));
            let call = CallId { session, no: call };
            return self.enqueue(Input::BudgetDecided { call, asked, decision });
        };
        let myself = self.myself.clone();
        let asked = Box::new(prompt::purpose(&self.state, call));
        let reply = ReplyTo::new(move |answer: BudgetDecision| {
            let asked = asked.clone();
            tell(&myself, SessionMsg::BudgetDecided { answer, asked });
        });
        self.house.ledger.reserve(reservation, reply);
        self.ask_again_later();
    }

    pub(super) fn budget_decided(&mut self, answer: BudgetDecision, asked: Box<Purpose>) {
        let BudgetDecision { call, decision } = answer;
        if let (CallNo::Tool(no), Ok(_)) = (call.no, &decision)
            && let Some(name) = self.state.calls.get(&no).map(|call| call.name.clone())
            && !crate::policy::turn::builtin::is_builtin(&name)
        {
            // An answer to an earlier question: that room was given back.
            if *asked != prompt::purpose(&self.state, call.no) {
                return;
            }
            self.granted.insert(no);
            if let Some(pool) = self.state.tool(&name).map(|tool| tool.pool.clone()) {
                self.acquire(no, &pool, false);
            }
            return;
        }
        self.enqueue(Input::BudgetDecided { call, asked, decision });
    }

    pub(super) fn ask_again_later(&mut self) {
        if self.timers.ask_again.is_none() {
            self.timers.ask_again = Some(self.after(limits::LEDGER_RETRY_MS, Timer::AskAgain));
        }
    }

    /// Repeats every question that still stands.
    pub(super) fn ask_again(&mut self) {
        self.timers.ask_again = None;
        // What the state says of a frame in flight is not yet true.
        if self.is_committing() {
            return self.ask_again_later();
        }
        for effect in pending(&self.state, Run::First) {
            if let Effect::Reserve { .. } | Effect::AcquireSlot { .. } = effect {
                self.perform(effect);
            }
        }
        let again: Vec<ToolCallNo> = self.again.keys().copied().collect();
        for call in again {
            if let Some(pool) = self.pool_of(call) {
                self.acquire(call, &pool, false);
            }
        }
    }

    fn pool_of(&self, call: ToolCallNo) -> Option<PoolKind> {
        let name = &self.state.calls.get(&call)?.name;
        self.state.tool(name).map(|tool| tool.pool.clone())
    }

    fn call_model(&mut self, call: ModelCallNo) {
        if self.holds_back(CallNo::Model(call), Run::First) {
            return;
        }
        let now = self.house.clock.now();
        let Some(request) = prompt::request(&self.state, call, now) else { return };
        let tables = self.tables();
        let provider =
            self.state.turn.as_ref().map(|turn| tables.provider(&turn.choice())).transpose();
        let late = request.deadline.plus_ms(2 * limits::ABORT_GRACE_MS);
        let request = (request, prompt::claim(&self.state));
        let task = model_task::call(Arc::clone(&self.house), request, provider);
        let myself = self.myself.clone();
        let task = Owned::watched(task, move |ended| {
            let message = match ended {
                Ended::Value(result) => SessionMsg::ModelEnded { call, result: Box::new(result) },
                Ended::Panicked(message) => SessionMsg::ModelPanicked { message },
                Ended::Aborted => SessionMsg::ModelEnded { call, result: Box::new(Err(aborted())) },
            };
            tell(&myself, message);
        });
        let call = CallNo::Model(call);
        self.running.insert(call, Running { task, cancel: None });
        self.overdue_at(call, late);
    }

    /// Asks a running call to end. One that does not within its grace is closed without it.
    fn abort(&mut self, call: CallNo) {
        let Some(running) = self.running.get(&call) else {
            let never_left = self.held_back.remove(&call);
            return self.enqueue(match call {
                CallNo::Model(call) => {
                    let failure = if never_left { aborted().unbilled() } else { aborted() };
                    Input::ModelFailed { call, failure }
                }
                CallNo::Tool(call) => {
                    let outcome = ToolOutcome::Cancelled { effect_unknown: !never_left };
                    Input::ToolFinished { call, outcome }
                }
            });
        };
        match &running.cancel {
            // The tool has gone if nobody listens; its report is on the way.
            Some(cancel) => drop(cancel.send(true)),
            None => running.task.abort(),
        }
        let overdue = self.after(2 * limits::ABORT_GRACE_MS, Timer::Overdue(call));
        self.timers.overdue.insert(call, overdue);
    }

    /// Closes a call by then, whatever its task does. The task has a deadline of its own, but one
    /// that never lets go of its thread cannot see it.
    fn overdue_at(&mut self, call: CallNo, at: Timestamp) {
        let overdue = self.at(at, Timer::Overdue(call));
        self.timers.overdue.insert(call, overdue);
    }

    pub(super) fn run_tool(&mut self, call: ToolCallNo, run: Run) {
        if self.holds_back(CallNo::Tool(call), run) {
            return;
        }
        let Some(asked) = self.state.calls.get(&call) else { return };
        let Stage::Started { deadline, .. } = asked.stage else { return };
        let tables = self.tables();
        let Some(tool) = tables.tools.get(&asked.name).cloned() else {
            let output = crate::domain::tool::Output::text(format!(
                "tool {} is not registered in this runtime",
                asked.name
            ));
            return self
                .enqueue(Input::ToolFinished { call, outcome: ToolOutcome::Failed { output } });
        };
        let effect = self.state.tool(&asked.name).map_or(EffectClass::Once, |tool| tool.effect);
        let Some(lease) = self.leases.remove(&call) else {
            // Started by an earlier incarnation: a slot first, as for any run. Its deadline may
            // have passed while nobody was there; it ends by then, slot or no slot.
            let end = deadline.max(self.house.clock.now());
            self.overdue_at(CallNo::Tool(call), end.plus_ms(2 * limits::ABORT_GRACE_MS));
            self.again.insert(call, run);
            if let Some(pool) = self.pool_of(call) {
                self.acquire(call, &pool, false);
            }
            return;
        };
        let (cancel, seen) = Cancel::channel();
        let ctx = self.tool_ctx(call, deadline, seen);
        let args = asked.args.clone();
        let job = tool_task::Job { tool, ctx, args, run, effect, lease };
        let task = tool_task::run(Arc::clone(&self.house), job);
        let myself = self.myself.clone();
        let task = Owned::watched(task, move |ended| {
            let outcome = Box::new(tool_task::outcome(ended, effect));
            tell(&myself, SessionMsg::ToolEnded { call, outcome });
        });
        let call = CallNo::Tool(call);
        self.running.insert(call, Running { task, cancel: Some(cancel) });
        self.overdue_at(call, deadline.plus_ms(2 * limits::ABORT_GRACE_MS));
    }

    /// What a call comes to that did not end by itself.
    pub(super) fn overdue(&mut self, call: CallNo) {
        let input = match call {
            CallNo::Tool(call) => {
                let Some(asked) = self.state.calls.get(&call) else { return };
                let effect = self.state.tool(&asked.name).map(|tool| tool.effect);
                let outcome = match asked.cancel {
                    Some(_) => ToolOutcome::Cancelled { effect_unknown: true },
                    None => tool_task::timed_out(effect.unwrap_or_default()),
                };
                Input::ToolFinished { call, outcome }
            }
            CallNo::Model(call) => {
                let cancelled = self.state.turn.as_ref().is_some_and(|turn| turn.cancel.is_some());
                let failure = if cancelled { aborted() } else { model_task::timed_out() };
                // A task that never lets go of its thread cannot say whether it gave pieces out.
                let emitted = self.house.bus.pieces_are_heard(self.id());
                let failure = ModelFailure { emitted, ..failure };
                Input::ModelFailed { call, failure }
            }
        };
        self.enqueue(input);
    }

    /// A turn ends by its deadline and with it its calls; a call of the host has no turn, so its
    /// wait for room and for a slot ends by itself.
    pub(super) fn wait_bounded(&mut self, call: ToolCallNo) {
        let by = self.state.calls.get(&call).map(|call| &call.by);
        let host = matches!(by, Some(Caller::Host { .. }));
        if host && !self.timers.no_slot.contains_key(&call) {
            let timer = self.after(limits::TOOL_MS, Timer::NoSlot(call));
            self.timers.no_slot.insert(call, timer);
        }
    }

    fn tool_ctx(&self, call: ToolCallNo, deadline: Timestamp, cancel: Cancel) -> ToolCtx {
        let id = CallId::tool(self.id(), call);
        let asked = self.state.calls.get(&call);
        let name = asked.map(|call| &call.name);
        let overlay = name.and_then(|name| self.state.agent()?.tools.get(name)).cloned();
        let bus = self.house.bus.clone();
        let policy = Arc::clone(&self.house.policy.borrow());
        let cwd = asked.and_then(|call| crate::policy::turn::State::request(call, &policy).cwd);
        let sight = name.map_or_else(Sight::default, |name| {
            let own = (self.state.authority(), &self.state.answers);
            let of = (name, cwd.as_deref());
            let sight = Arc::new(rules::Sight::of(&policy, (&own.0, own.1), of));
            let (hides, keeps) = (Arc::clone(&sight), Arc::clone(&sight));
            Sight::new(Arc::new(move |path| hides.hides(path)))
                .keeping(Arc::new(move |path| keeps.keeps(path)))
                .within(sight.trees().cloned())
        });
        ToolCtx {
            call: id,
            idempotency_key: id.to_string(),
            traceparent: traceparent(self.state.root(), id),
            tenant: self.writer.tenant.clone(),
            principal: self.writer.principal.clone(),
            cwd,
            deadline,
            cancel,
            progress: Progress::new(Arc::new(move |label| {
                bus.publish(crate::bus::Note::Progress { call: id, label });
            })),
            sight,
            overlay: overlay.unwrap_or_default(),
            services: self.house.services.clone(),
        }
    }

    fn assign(&mut self, child: SessionId, assignment: Assignment) {
        let Some(known) = self.state.children.get(&child) else { return };
        let Some(task) = known.assignments.get(&assignment) else { return };
        let Some(input) = &task.input else { return };
        fault::point("child.before_assign");
        let mail = Mail::Assign {
            creation: known.creation.clone(),
            parent: self.state.session,
            assignment,
            input: input.clone(),
            tenant: self.writer.tenant.clone(),
            principal: self.writer.principal.clone(),
        };
        self.house.board.mail(child, mail);
        self.sweep_later();
    }

    fn cancel_child(&mut self, child: SessionId, assignment: Assignment, reason: String) {
        let Some(known) = self.state.children.get(&child) else { return };
        let mail = Mail::Cancel {
            creation: known.creation.clone(),
            root: self.state.root(),
            parent: self.state.session,
            assignment,
            reason,
            tenant: self.writer.tenant.clone(),
            principal: self.writer.principal.clone(),
        };
        self.house.board.mail(child, mail);
        self.sweep_later();
    }

    fn sweep_later(&mut self) {
        if self.timers.sweep.is_none() {
            self.timers.sweep = Some(self.after(limits::CHILD_SWEEP_MS, Timer::Sweep));
        }
    }

    /// Says again what children may not have heard; one that has ended says so again.
    pub(super) fn sweep(&mut self) {
        self.timers.sweep = None;
        if self.is_committing() {
            return self.sweep_later();
        }
        for effect in pending(&self.state, Run::First) {
            if let Effect::SpawnChild { .. } | Effect::CancelChild { .. } = effect {
                self.perform(effect);
            }
        }
    }
}
