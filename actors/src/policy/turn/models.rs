//! Model calls: begun, answered, failed, made again, booked.

use crate::{
    domain::{
        budget::{Room, Shortage},
        conversation::{Reply, ReplyBlock},
        event::{Caller, Event, FailureKind, ModelFailure},
        ids::{CallId, CallNo, ModelCallNo, ModelName, ToolCallNo, ToolName},
        outcome::TurnOutcome,
        tool::{Args, ToolOutcome},
        usage::Settlement,
    },
    limits,
};

use super::{
    builtin,
    desk::Desk,
    input::{Effect, Purpose},
    measure, pending, prompt,
    state::{Stage, State},
};

impl Desk<'_, '_> {
    /// Begins a model call, unless a budget on the path must be asked first.
    pub(super) fn begin_model_call(&mut self) -> bool {
        let Some(turn) = &self.state.turn else { return false };
        let steps = self.state.agent().map_or(limits::STEPS, |agent| agent.limits.steps);
        if turn.steps >= steps && !turn.stepping {
            let reason = format!("{steps} model calls in one turn without an end");
            self.end_turn(turn.id, TurnOutcome::Failed { reason });
            return true;
        }
        if !prompt::accounts(self.state, &prompt::MODEL).is_empty() {
            return false;
        }
        self.call_model(self.needed());
        true
    }

    /// The room that the next model call needs as things stand now.
    fn needed(&self) -> Room {
        let (bound, priced) = prompt::model_bound(self.state, self.env.prices, self.env.now);
        Room { bound, priced }
    }

    /// Records the call with the room it has, so that the frame, the ledger and the booking of a
    /// call that breaks off say one number.
    fn call_model(&mut self, Room { bound, priced }: Room) {
        let Some(turn) = &self.state.turn else { return };
        self.emit(Event::ModelCallStarted {
            call: self.state.next.model,
            turn: turn.id,
            model: turn.model.clone(),
            bound,
            priced,
        });
    }

    /// Gives back the room that a model call asked for and that will not be used. Its number is
    /// used up with it, so that a late grant of this room is never taken for a grant of the next
    /// call's, which may need more.
    pub(super) fn drop_reservation(&mut self) {
        let call = self.state.next.model;
        let Some(turn) = &self.state.turn else { return };
        if turn.calling.is_some() {
            return;
        }
        let model = turn.model.clone();
        self.call_model(self.needed());
        let failure = ModelFailure::new(
            FailureKind::Aborted,
            "not made: it still waited for room in a budget".to_owned(),
            false,
        )
        .unbilled();
        self.emit(Event::ModelCallFailed { call, failure });
        self.book(call, model, Settlement::Free);
    }

    /// Gives back all room that was asked for and not begun on; it is asked for again on release.
    pub(super) fn release_room(&mut self) {
        let mut asked = Vec::new();
        for effect in self.standing {
            if let Effect::Reserve { call: CallNo::Model(_) } = effect {
                self.drop_reservation();
            }
            if let Effect::Reserve { call: CallNo::Tool(no) }
            | Effect::AcquireSlot { call: no, reserve: true, .. } = effect
            {
                asked.push(*no);
            }
        }
        for no in asked {
            let Some(call) = self.state.calls.get(&no) else { continue };
            let assigns = builtin::assigns(&call.name);
            self.give_back(CallNo::Tool(no), assigns);
        }
    }

    pub(super) fn budget_decided(
        &mut self,
        call: CallId,
        asked: &Purpose,
        decision: Result<Room, Shortage>,
    ) {
        if call.session != self.state.session {
            return;
        }
        let same = *asked == prompt::purpose(self.state, call.no);
        match call.no {
            CallNo::Model(no) => self.model_room(no, same, decision),
            CallNo::Tool(no) => self.tool_room(no, same, decision),
        }
    }

    fn model_room(&mut self, no: ModelCallNo, same: bool, decision: Result<Room, Shortage>) {
        let due = no == self.state.next.model;
        let wanted = self.state.quarantined.is_none() && pending::wants_model(self.state);
        match decision {
            Ok(room) if due && wanted && same => {
                if room.covers(&self.needed().bound) {
                    self.call_model(room);
                } else {
                    // A price rose meanwhile: the ledger is asked for the difference.
                    self.once(Effect::Reserve { call: CallNo::Model(no) });
                }
            }
            Err(shortage) if due && wanted && same => self.exhausted(shortage),
            // Nobody wants it any more; a call that was begun is settled when it ends. While another
            // turn asks under this number, giving it back would take what that turn is granted.
            Ok(_) if no >= self.state.next.model && !wanted => {
                self.give_back(CallNo::Model(no), false);
            }
            Ok(_) | Err(_) => {}
        }
    }

    fn tool_room(&mut self, no: ToolCallNo, same: bool, decision: Result<Room, Shortage>) {
        let Some(asked) = self.state.calls.get(&no) else {
            if decision.is_ok() {
                self.settle_late(no);
            }
            return;
        };
        let waits = matches!(asked.stage, Stage::Wanted | Stage::Approved { .. });
        let assigns = builtin::assigns(&asked.name);
        match decision {
            Ok(_) if waits && same && assigns => self.assign_if_allowed(no),
            Err(shortage) if waits && same => {
                let reason = format!("limit reached: {shortage}");
                self.emit(Event::BudgetExhausted { shortage });
                self.close(no, ToolOutcome::Refused { reason });
            }
            Ok(_) | Err(_) => {}
        }
    }

    /// Room was granted for a call that has closed meanwhile. What it came to is told again: the
    /// ledger assigns, so a zero here would take back what was really spent.
    fn settle_late(&mut self, no: ToolCallNo) {
        let call = CallNo::Tool(no);
        let booked = self.state.recent.iter().rev().find(|(booked, ..)| *booked == call);
        if let Some((call, actual, assigns)) = booked.copied() {
            self.settle(call, actual, assigns);
        }
    }

    fn exhausted(&mut self, shortage: Shortage) {
        let Some(turn) = self.state.turn.as_ref().map(|turn| turn.id) else { return };
        let reason = shortage.to_string();
        // The question may have been asked twice, or part of the room be held already: whatever this
        // number has or still waits for goes back, for the next turn asks under it anew.
        self.give_back(CallNo::Model(self.state.next.model), false);
        self.emit(Event::BudgetExhausted { shortage });
        self.end_turn(turn, TurnOutcome::BudgetExhausted { reason });
    }

    pub(super) fn model_finished(&mut self, call: ModelCallNo, reply: Reply, slots: &[bool]) {
        let calling = self.state.turn.as_ref().and_then(|turn| turn.calling.clone());
        let Some(calling) = calling.filter(|calling| calling.call == call) else {
            return self.late_usage(call, &reply);
        };
        let model = reply.served_by.clone().unwrap_or_else(|| calling.model.clone());
        let settlement = self.settlement(&reply, &model, &calling.model).unwrap_or_else(|| {
            // A reply without usage is booked at its bound: nobody knows better.
            prompt::unsettled(&calling.bound, calling.priced)
        });
        let Some(turn) = &self.state.turn else { return };
        let (turn, cancelled) = (turn.id, turn.cancel.is_some());
        let wanted: Vec<_> = reply
            .blocks
            .iter()
            .filter_map(|block| match block {
                ReplyBlock::ToolUse { name, args } => Some((name.clone(), args.clone())),
                ReplyBlock::Said { .. } => None,
            })
            .collect();
        let promised = promised(&wanted);
        let frame = stored_reply(&reply).saturating_add(promised);
        if wanted.len() > limits::CALLS_READ || frame > limits::FRAME_BYTES / 16 * 15 {
            return self.runaway(call, wanted.len(), (calling.model, settlement));
        }
        self.promised = promised;
        self.emit(Event::ModelCallFinished { call, reply: Box::new(reply) });
        self.book(call, calling.model, settlement);
        let mut calls = Vec::new();
        for (name, args) in wanted {
            let call = self.state.next.tool;
            self.emit(Event::ToolRequested { call, name, args, by: Caller::Model { turn } });
            calls.push(call);
        }
        for (at, call) in calls.into_iter().enumerate() {
            if cancelled {
                // The answer overtook the abort: nothing is begun for a turn that is ending.
                self.close(call, ToolOutcome::Cancelled { effect_unknown: false });
            } else if at >= limits::CALLS_PER_REPLY {
                let max = limits::CALLS_PER_REPLY;
                let reason = format!("more than {max} tool calls in one message");
                self.close(call, ToolOutcome::Refused { reason });
            } else {
                self.gate(call, slots.get(at).copied().unwrap_or(false));
            }
        }
    }

    /// That many calls, or their arguments, would not fit into a frame, not even to refuse them.
    fn runaway(&mut self, call: ModelCallNo, calls: usize, booked: (ModelName, Settlement)) {
        let Some(turn) = self.state.turn.as_ref().map(|turn| turn.id) else { return };
        let message = format!("{calls} tool calls in one message");
        let failure = ModelFailure::new(FailureKind::Malformed, message.clone(), false);
        self.emit(Event::ModelCallFailed { call, failure });
        self.book(call, booked.0, booked.1);
        self.end_turn(turn, TurnOutcome::Failed { reason: message });
    }

    fn settlement(
        &self,
        reply: &Reply,
        served_by: &ModelName,
        asked: &ModelName,
    ) -> Option<Settlement> {
        let usage = reply.usage?;
        let price = self
            .env
            .prices
            .price(served_by, self.env.now)
            .or_else(|| self.env.prices.price(asked, self.env.now));
        Some(Settlement::Exact { usage, cost: price.map(|price| price.cost(&usage)) })
    }

    /// A call that was booked at its bound turned out to have a usage after all.
    fn late_usage(&mut self, call: ModelCallNo, reply: &Reply) {
        let Some(model) = self.state.unsettled.get(&call).cloned() else { return };
        let served_by = reply.served_by.as_ref().unwrap_or(&model);
        if let Some(settlement) = self.settlement(reply, served_by, &model) {
            self.book(call, model, settlement);
        }
    }

    pub(super) fn book(&mut self, call: ModelCallNo, model: ModelName, settlement: Settlement) {
        self.emit(Event::UsageSettled { call, model, settlement });
        self.settle(CallNo::Model(call), State::booked(&settlement), false);
    }

    pub(super) fn model_failed(&mut self, call: ModelCallNo, failure: ModelFailure) {
        let Some(turn) = &self.state.turn else { return };
        let (cancelled, attempts) = (turn.cancel.is_some(), turn.attempts);
        let Some(calling) = turn.calling.clone().filter(|calling| calling.call == call) else {
            return;
        };
        let settlement = match failure.usage {
            Some(usage) => {
                let price = self.env.prices.price(&calling.model, self.env.now);
                Settlement::Exact { usage, cost: price.map(|price| price.cost(&usage)) }
            }
            None if failure.unbilled => Settlement::Free,
            None => prompt::unsettled(&calling.bound, calling.priced),
        };
        self.emit(Event::ModelCallFailed { call, failure: failure.clone() });
        self.book(call, calling.model, settlement);
        if cancelled || failure.kind == FailureKind::Lost {
            return;
        }
        self.after_failure(&failure, attempts + 1);
    }
}

/// Bytes that calls will take in the frame of their reply, at most: each is asked for, and most of
/// them are then asked about, which says it all once more.
fn promised(wanted: &[(ToolName, Args)]) -> usize {
    let size = |(at, (name, args)): (usize, &(ToolName, Args))| {
        let own = measure::stored(name.as_str()).saturating_add(measure::stored(&args.0));
        if at < limits::CALLS_PER_REPLY {
            own.saturating_mul(2).saturating_add(limits::CALL_OVERHEAD_BYTES)
        } else {
            own.saturating_add(limits::REFUSED_OVERHEAD_BYTES)
        }
    };
    wanted.iter().enumerate().map(size).fold(limits::VERDICTS_BYTES, usize::saturating_add)
}

fn stored_reply(reply: &Reply) -> usize {
    serde_json::to_vec(reply).map_or(usize::MAX, |bytes| bytes.len())
}
