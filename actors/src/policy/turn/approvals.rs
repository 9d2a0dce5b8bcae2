//! Answers of people: bound to one question, used once, in time or not at all.

use crate::{
    domain::{
        event::Event,
        ids::{ApprovalNo, ToolCallNo},
        permission::{Answer, Ask, Closed, Decision, Rule, RulePattern, Subject},
        tool::ToolOutcome,
    },
    policy::rules,
};

use super::{
    builtin,
    desk::Desk,
    input::{Effect, Rejected},
    state::Stage,
};

impl Desk<'_, '_> {
    pub(super) fn approval_decided(
        &mut self,
        no: ApprovalNo,
        answer: Answer,
    ) -> Result<(), Rejected> {
        let Some(ask) = self.state.approvals.get(&no).cloned() else {
            // Somebody who did not hear that the answer was taken gives it again.
            let given = self.state.answered.get(&no);
            let again = given.is_some_and(|(known, by)| *known == answer && by == self.env.by);
            return if again { Ok(()) } else { Err(Rejected::NoSuchApproval { no }) };
        };
        if answer.approves() {
            self.lets_begin()?;
        }
        if self.env.now >= ask.expires_at {
            // The timer will close it; an answer that came too late changes nothing.
            return Err(Rejected::Expired { no, at: ask.expires_at });
        }
        if let (Answer::Edit { args }, Subject::ToolCall { request, .. }) = (&answer, &ask.subject)
            && let Err(what) = self.env.checks.look(&request.tool, args)
        {
            return Err(Rejected::BadValue { what });
        }
        let remember = rule_left_by(&answer, &ask);
        self.emit(Event::ApprovalDecided {
            no,
            answer: answer.clone(),
            by: self.env.by.clone(),
            remember: remember.clone(),
        });
        if let (Answer::Always, Some(rule)) = (&answer, remember) {
            self.once(Effect::Remember { rule });
        }
        if let Subject::ToolCall { call, .. } = ask.subject {
            self.answered(call, &answer);
        }
        if matches!(
            answer,
            Answer::Turn | Answer::Session | Answer::Always | Answer::All | Answer::Never
        ) {
            self.ask_again_all();
        }
        Ok(())
    }

    fn answered(&mut self, no: ToolCallNo, answer: &Answer) {
        let by = self.env.by.clone();
        match answer {
            Answer::Reject | Answer::Never => {
                let reason = format!("Permission denied by {by}. Do not retry this call.");
                self.close(no, ToolOutcome::Refused { reason });
            }
            Answer::Comment { text } => {
                let reason = format!("Tool not executed. Comment of {by}: {text}");
                self.close(no, ToolOutcome::Refused { reason });
            }
            Answer::Revise { feedback } => {
                let reason =
                    format!("Tool not executed. {by} wants it done differently: {feedback}");
                self.close(no, ToolOutcome::Refused { reason });
            }
            Answer::Once
            | Answer::Turn
            | Answer::Session
            | Answer::Always
            | Answer::All
            | Answer::Edit { .. } => self.go_on(no),
        }
    }

    /// A person said yes. Edited arguments are judged as if they had been asked for.
    fn go_on(&mut self, no: ToolCallNo) {
        let verdict = self.decide(no);
        if verdict.decision == Decision::Deny {
            return self.deny(no, &verdict);
        }
        let own = self.state.calls.get(&no).is_some_and(|call| builtin::is_builtin(&call.name));
        if own {
            self.start_builtin(no);
        }
    }

    /// An answer that left a rule, or waived asking, answers the other open questions too.
    fn ask_again_all(&mut self) {
        let open: Vec<(ApprovalNo, ToolCallNo)> = self
            .state
            .approvals
            .iter()
            .filter_map(|(no, ask)| match &ask.subject {
                Subject::ToolCall { call, .. } => Some((*no, *call)),
                Subject::Plan { .. } | Subject::Budget { .. } | Subject::Question { .. } => None,
            })
            .collect();
        for (no, call) in open {
            let verdict = self.decide(call);
            if verdict.decision == Decision::Ask {
                continue;
            }
            self.emit(Event::ApprovalClosed { no, why: Closed::Withdrawn });
            if verdict.decision == Decision::Deny {
                self.deny(call, &verdict);
            } else {
                self.gate(call, false);
            }
        }
    }

    /// Closes questions whose time has run out: nobody answered, so the answer is no.
    pub(super) fn expire_approvals(&mut self) {
        let now = self.env.now;
        let over: Vec<(ApprovalNo, Subject)> = self
            .state
            .approvals
            .iter()
            .filter(|(_, ask)| ask.expires_at <= now)
            .map(|(no, ask)| (*no, ask.subject.clone()))
            .collect();
        for (no, subject) in over {
            self.emit(Event::ApprovalClosed { no, why: Closed::Expired });
            if let Subject::ToolCall { call, .. } = subject {
                let reason = "Permission denied: nobody answered in time".to_owned();
                self.close(call, ToolOutcome::Refused { reason });
            }
        }
    }

    /// Takes back the question of a call that will not run.
    pub(super) fn withdraw(&mut self, call: ToolCallNo) {
        let stage = self.state.calls.get(&call).map(|call| call.stage.clone());
        if let Some(Stage::Asking { no }) = stage {
            self.emit(Event::ApprovalClosed { no, why: Closed::Withdrawn });
        }
    }
}

/// The rule that an answer leaves. A yes for longer leaves what was proposed with the question, for
/// that is what the person read; where nothing was proposed, no rule would have helped.
fn rule_left_by(answer: &Answer, ask: &Ask) -> Option<Rule> {
    let Subject::ToolCall { request, .. } = &ask.subject else { return None };
    match answer {
        Answer::Session | Answer::Always => {
            let pattern = RulePattern(ask.proposal.clone()?);
            Some(Rule { decision: Decision::Allow, pattern })
        }
        Answer::Never => Some(rules::remember(request, Decision::Deny)),
        Answer::Once
        | Answer::Turn
        | Answer::All
        | Answer::Edit { .. }
        | Answer::Reject
        | Answer::Comment { .. }
        | Answer::Revise { .. } => None,
    }
}
