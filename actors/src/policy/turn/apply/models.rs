//! The fold of model calls: attempts, pauses, and what each came to.

use crate::{
    domain::{
        budget::Amount,
        conversation::Reply,
        event::FailureKind,
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
        turn.stepping = false;
        talk::answered(state, reply);
        Ok(())
    }

    pub(super) fn call_failed(
        &self,
        state: &mut State,
        call: ModelCallNo,
        kind: FailureKind,
    ) -> Applied {
        // What a crash took, or we broke off, says nothing about the model.
        let counts = !matches!(kind, FailureKind::Lost | FailureKind::Aborted);
        self.call_ended(state, call)?.attempts += u32::from(counts);
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
