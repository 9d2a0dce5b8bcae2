//! What a session remembers of what is over: the latest, within the bounds of `limits`. All of it is
//! in the log; here is what may be asked for again soon.

use std::collections::BTreeSet;

use crate::{
    domain::{
        event::Caller,
        ids::{ApprovalNo, InputKey, PrincipalId, ToolCallNo, TurnId},
        outcome::TurnOutcome,
        permission::Answer,
        tool::ToolOutcome,
    },
    limits,
};

use super::{HostCall, State};

impl State {
    /// Whether it has taken all that one session takes.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.inputs.len() + self.host_calls.len() >= limits::KEYS
    }

    /// Whether a turn has ended, also one whose outcome is only in the log.
    #[must_use]
    pub fn has_ended(&self, turn: TurnId) -> bool {
        turn < self.next.turn && self.turn.as_ref().is_none_or(|running| running.id != turn)
    }

    /// Open calls of the host.
    #[must_use]
    pub fn open_host_calls(&self) -> usize {
        let of_host = |by: &Caller| matches!(by, Caller::Host { .. });
        self.calls.values().filter(|call| of_host(&call.by)).count()
    }

    /// Remembers how a turn ended. What a parent assigned has room of its own, so that no number of
    /// other turns makes it forget an end that the parent has not heard.
    pub(in crate::policy::turn) fn remember_end(&mut self, turn: TurnId, outcome: TurnOutcome) {
        self.outcomes.insert(turn, outcome);
        if self.outcomes.len() <= limits::OUTCOMES {
            return;
        }
        let assigned: BTreeSet<TurnId> = self.reports.values().copied().collect();
        let (mut ours, mut others) = (0, 0);
        let mut over = Vec::new();
        for turn in self.outcomes.keys().rev() {
            let kind = if assigned.contains(turn) { &mut ours } else { &mut others };
            *kind += 1;
            if *kind > limits::OUTCOMES {
                over.push(*turn);
            }
        }
        for turn in over {
            self.outcomes.remove(&turn);
        }
    }

    /// Remembers how a call of the host closed.
    pub(in crate::policy::turn) fn remember_call(
        &mut self,
        key: &InputKey,
        call: ToolCallNo,
        outcome: ToolOutcome,
    ) {
        self.host_calls.insert(key.clone(), HostCall { call, outcome: Some(outcome) });
        self.closed_calls.push_back(key.clone());
        if self.closed_calls.len() > limits::CALL_OUTCOMES
            && let Some(oldest) = self.closed_calls.pop_front()
            && let Some(known) = self.host_calls.get_mut(&oldest)
        {
            known.outcome = None;
        }
    }

    /// Remembers an answer.
    pub(in crate::policy::turn) fn remember_answer(
        &mut self,
        no: ApprovalNo,
        answer: &Answer,
        by: &PrincipalId,
    ) {
        self.answered.insert(no, (answer.clone(), by.clone()));
        if self.answered.len() > limits::ANSWERS {
            self.answered.pop_first();
        }
    }
}
