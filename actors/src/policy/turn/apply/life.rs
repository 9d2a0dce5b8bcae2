//! The fold of a session's life: restarts, quarantine, and the cut of a fork.

use crate::domain::{
    event::RestartCause,
    ids::{Position, PrincipalId},
};

use super::{
    super::state::{Stage, State},
    Applied, Fold,
};

impl Fold {
    pub(super) fn restarted(&self, state: &mut State, cause: &RestartCause) {
        state.restarts += 1;
        if matches!(cause, RestartCause::Panic { .. }) {
            state.panics.push(self.at);
        }
    }

    pub(super) fn quarantined(&self, state: &mut State, reason: &str) -> Applied {
        if state.quarantined.replace(reason.to_owned()).is_some() {
            return self.cannot("it is quarantined already");
        }
        state.released = None;
        Ok(())
    }

    pub(super) fn released(
        &self,
        state: &mut State,
        (skip, by): (bool, &PrincipalId),
        house: Option<Position>,
    ) -> Applied {
        if state.quarantined.take().is_none() {
            return self.cannot("it is not quarantined");
        }
        state.released = Some((skip, by.clone()));
        state.releases += 1;
        state.house_release = house.or(state.house_release);
        Ok(())
    }
}

/// A fork keeps the conversation and what is pinned; what ties it to others stays behind. Open
/// calls stay open here: the fork's own next events close them, each by name.
pub(super) fn cut(state: &mut State) {
    state.children.clear();
    state.read_reports.clear();
    state.approvals.clear();
    state.answers = crate::domain::permission::RuleSet::default();
    state.always.clear();
    state.answered.clear();
    state.waived = false;
    state.usage = crate::domain::usage::Usage::default();
    state.unsettled.clear();
    state.warned.clear();
    state.recent.clear();
    state.panics.clear();
    state.restarts = 0;
    state.quarantined = None;
    state.released = None;
    state.house_release = None;
    state.cancelled.clear();
    state.reports.clear();
    state.inputs.clear();
    state.queue.clear();
    state.host_calls.clear();
    state.closed_calls.clear();
    state.archived = false;
    state.name = None;
    for call in state.calls.values_mut() {
        call.cancel = None;
        if let Stage::Asking { .. } = call.stage {
            call.stage = Stage::Wanted;
        }
    }
    if let Some(turn) = &mut state.turn {
        turn.calling = None;
        turn.assignment = None;
        turn.retry_at = None;
    }
}
