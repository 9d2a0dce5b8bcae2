//! The fold of model calls: attempts, pauses, and what each came to.

use crate::{
    domain::{
        agent::ModelChoice,
        budget::Amount,
        conversation::Reply,
        event::{FailureKind, ModelFailure},
        ids::{CallNo, ModelCallNo, ModelName, Timestamp, TurnId},
        usage::Settlement,
    },
    limits,
};

use super::{
    super::state::{Calling, State, Turn},
    Applied, Fold, Impossible, talk,
};

impl Fold {
    fn running<'s>(&self, state: &'s mut State) -> Result<&'s mut Turn, Impossible> {
        self.known(state.turn.as_deref_mut(), "turn")
    }

    pub(super) fn call_started(&self, state: &mut State, id: TurnId, new: Calling) -> Applied {
        let due = state.next.model;
        let turn = self.running(state)?;
        if turn.calling.is_some() || turn.id != id || new.call != due {
            return self.cannot("another call is open or due");
        }
        turn.retry_at = None;
        turn.batch.clear();
        turn.steps += u32::from(!turn.stepping);
        turn.stepping = true;
        turn.calling = Some(new.clone());
        state.next.model = new.call.next();
        state.unsettled.insert(new.call, new.model);
        Ok(())
    }

    pub(super) fn call_finished(
        &self,
        state: &mut State,
        call: ModelCallNo,
        reply: &Reply,
    ) -> Applied {
        let turn = self.call_ended(state, call)?;
        turn.attempts = 0;
        turn.patience = 0;
        turn.trouble = None;
        turn.stepping = false;
        talk::answered(state, reply);
        Ok(())
    }

    pub(super) fn call_failed(
        &self,
        state: &mut State,
        call: ModelCallNo,
        failure: &ModelFailure,
    ) -> Applied {
        // What a crash took, or we broke off, says nothing about the model.
        let counts = !matches!(failure.kind, FailureKind::Lost | FailureKind::Aborted);
        let patience = failure.asks_for_patience();
        let turn = self.call_ended(state, call)?;
        turn.attempts += u32::from(counts && !patience);
        turn.patience += u32::from(patience);
        turn.trouble = Some(failure.kind);
        Ok(())
    }

    /// What is left of the chain are those behind the one it goes on with.
    pub(super) fn fell_back(&self, state: &mut State, id: TurnId, to: &ModelChoice) -> Applied {
        let turn = self.running(state)?;
        if turn.id != id || turn.calling.is_some() {
            return self.cannot("that turn has a call open, or is not running");
        }
        let at = turn.fallback.iter().position(|choice| choice == to);
        let at = self.known(at, "model in the rest of its chain")?;
        turn.fallback.drain(..=at);
        turn.model = to.model.clone();
        turn.provider.clone_from(&to.provider);
        turn.attempts = 0;
        turn.patience = 0;
        turn.trouble = None;
        turn.retry_at = None;
        Ok(())
    }

    fn call_ended<'s>(
        &self,
        state: &'s mut State,
        call: ModelCallNo,
    ) -> Result<&'s mut Turn, Impossible> {
        let turn = self.running(state)?;
        if turn.calling.take().is_none_or(|calling| calling.call != call) {
            return self.cannot("that call is not open");
        }
        Ok(turn)
    }

    pub(super) fn retry_at(&self, state: &mut State, at: Option<Timestamp>) -> Applied {
        self.running(state)?.retry_at = at;
        Ok(())
    }

    pub(super) fn settled(
        &self,
        state: &mut State,
        call: ModelCallNo,
        model: &ModelName,
        settlement: &Settlement,
    ) -> Applied {
        if !state.unsettled.contains_key(&call) {
            return self.cannot("that call was booked for good or never begun");
        }
        match settlement {
            Settlement::Exact { usage, .. } => {
                state.usage += *usage;
                state.unsettled.remove(&call);
            }
            Settlement::Free => {
                state.unsettled.remove(&call);
            }
            Settlement::Unsettled { .. } => {
                state.unsettled.insert(call, model.clone());
            }
        }
        booked(state, CallNo::Model(call), State::booked(settlement), false);
        Ok(())
    }
}

/// Keeps a booking, to be told to the ledger again on recovery.
pub(super) fn booked(state: &mut State, call: CallNo, actual: Amount, assigns: bool) {
    if state.recent.len() == limits::RECENT {
        state.recent.pop_front();
    }
    state.recent.push_back((call, actual, assigns));
}
