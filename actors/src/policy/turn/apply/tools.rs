//! The fold of tool calls and of the questions asked about them.

use crate::domain::{
    budget::Amount,
    event::Caller,
    ids::{ApprovalNo, CallNo, Timestamp, ToolCallNo},
    permission::{Answer, Ask, Basis, Request, Rule, Subject},
    tool::ToolOutcome,
};

use super::{
    super::{
        builtin,
        state::{HostCall, Stage, State, ToolCall},
    },
    Applied, Fold, children,
    models::booked,
    talk,
};

impl Fold {
    pub(super) fn requested(&self, state: &mut State, no: ToolCallNo, call: ToolCall) -> Applied {
        if no != state.next.tool {
            return self.cannot("another call number is due");
        }
        state.next.tool = no.next();
        if let Caller::Host { key, .. } = &call.by {
            state.host_calls.insert(key.clone(), HostCall { call: no, outcome: None });
        }
        state.calls.insert(no, call);
        Ok(())
    }

    pub(super) fn asked(&self, state: &mut State, no: ApprovalNo, ask: &Ask) -> Applied {
        if no != state.next.approval {
            return self.cannot("another approval number is due");
        }
        state.next.approval = no.next();
        if let Subject::ToolCall { call, .. } = &ask.subject {
            let asked = self.known(state.calls.get_mut(call), "call")?;
            asked.stage = Stage::Asking { no };
        }
        state.approvals.insert(no, ask.clone());
        Ok(())
    }

    pub(super) fn decided(
        &self,
        state: &mut State,
        no: ApprovalNo,
        answer: &Answer,
        remember: Option<&Rule>,
    ) -> Applied {
        let ask = self.known(state.approvals.remove(&no), "open approval")?;
        if let Some(rule) = remember {
            state.answers.push(rule.clone());
            if *answer == Answer::Always && !state.always.contains(rule) {
                state.always.push(rule.clone());
            }
        }
        // Given for a call of the host's it is good for that call only: the turn is not its turn.
        let of_turn = match &ask.subject {
            Subject::ToolCall { call, .. } => {
                state.calls.get(call).is_some_and(|call| state.in_turn(call))
            }
            Subject::Plan { .. } | Subject::Budget { .. } | Subject::Question { .. } => true,
        };
        if matches!(answer, Answer::Turn)
            && let Some(turn) = state.turn.as_mut().filter(|_| of_turn)
        {
            turn.waived = true;
        }
        state.waived |= matches!(answer, Answer::All);
        if let Subject::ToolCall { call, request } = &ask.subject {
            let asked = self.known(state.calls.get_mut(call), "open call")?;
            let mut digest = ask.digest.clone();
            if let Answer::Edit { args } = answer {
                asked.args = args.clone();
                // What other arguments would run nobody has seen yet.
                digest = Request { args: args.clone(), ..request.clone() }.digest();
            }
            asked.stage =
                if answer.approves() { Stage::Approved { no, digest } } else { Stage::Wanted };
        }
        Ok(())
    }

    pub(super) fn unasked(&self, state: &mut State, no: ApprovalNo) -> Applied {
        let ask = self.known(state.approvals.remove(&no), "open approval")?;
        if let Subject::ToolCall { call, .. } = ask.subject
            && let Some(asked) = state.calls.get_mut(&call)
        {
            asked.stage = Stage::Wanted;
        }
        Ok(())
    }

    pub(super) fn started(
        &self,
        state: &mut State,
        no: ToolCallNo,
        basis: &Basis,
        deadline: Timestamp,
    ) -> Applied {
        let call = self.known(state.calls.get_mut(&no), "open call")?;
        let fits = match (&call.stage, basis) {
            (Stage::Wanted, Basis::Rules { .. } | Basis::BuiltIn) => true,
            (Stage::Approved { no, .. }, Basis::Approval { no: used }) => no == used,
            (
                Stage::Wanted
                | Stage::Approved { .. }
                | Stage::Asking { .. }
                | Stage::Started { .. },
                _,
            ) => false,
        };
        if !fits {
            return self.cannot("it was not allowed, or it was started before");
        }
        call.stage = Stage::Started { basis: basis.clone(), deadline };
        Ok(())
    }

    pub(super) fn closed(
        &self,
        state: &mut State,
        no: ToolCallNo,
        outcome: &ToolOutcome,
    ) -> Applied {
        let call = self.known(state.calls.remove(&no), "open call")?;
        if let Stage::Asking { .. } = call.stage {
            // Else the question would stay in the inbox for ever.
            return self.cannot("it is still being asked about");
        }
        // What a fork leaves behind is its base's: it stands in the base's books, and the base's host
        // hears of it.
        let carried = *outcome != ToolOutcome::NotCarried;
        let started = matches!(call.stage, Stage::Started { .. });
        if carried && (!builtin::assigns(&call.name) || !started) {
            let tool_calls = builtin::counts(&call.name, started);
            let actual = Amount { tool_calls, ..Amount::default() };
            booked(state, CallNo::Tool(no), actual, builtin::assigns(&call.name));
        }
        if started && !builtin::is_builtin(&call.name) {
            state.note_run((no, &call.name), outcome, self.at);
        }
        if let Some(read) = builtin::awaited(state, &call.name, &call.args)
            && matches!(outcome, ToolOutcome::Done { .. })
        {
            // The model reads these reports here, so the next turn does not tell them again.
            children::read(state, read);
        }
        match &call.by {
            Caller::Host { key, .. } if carried => {
                state.remember_call(key, no, outcome.clone());
            }
            Caller::Host { .. } => {}
            Caller::Model { .. } => talk::report_to_model(state, no, outcome),
        }
        Ok(())
    }
}
