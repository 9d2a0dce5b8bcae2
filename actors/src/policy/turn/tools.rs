//! Tool calls: decided, started, closed. A call closes exactly once; the first closure counts.

use crate::{
    domain::{
        event::{Caller, Event},
        ids::{CallNo, InputKey, ToolCallNo, ToolName},
        permission::{Ask, Basis, Decision, Mode, ScriptSeen, Subject, Verdict},
        tool::{Args, EffectClass, Output, ToolOutcome},
    },
    limits,
    policy::rules,
};

use super::{
    builtin,
    desk::Desk,
    input::{Effect, Rejected},
    measure::{clip_stored, shorten},
    state::{Stage, State, ToolCall},
};

/// Why a person is asked a second time.
pub(super) const CHANGED: &str =
    "what it would run has changed since it was approved, or is another than was seen then";

impl Desk<'_, '_> {
    pub(super) fn invoked(
        &mut self,
        key: InputKey,
        (name, args): (ToolName, Args),
        mode: Option<Mode>,
        cwd: Option<String>,
    ) -> Result<(), Rejected> {
        if let Some(known) = self.state.host_calls.get(&key) {
            if let (call, Some(outcome)) = (known.call, known.outcome.clone()) {
                self.once(Effect::FinishCall { call, key, outcome });
            }
            return Ok(());
        }
        self.lets_begin()?;
        self.open_for_work()?;
        if self.state.is_full() {
            return Err(Rejected::Full { max: limits::KEYS });
        }
        if self.state.open_host_calls() >= limits::HOST_CALLS {
            return Err(Rejected::Busy);
        }
        let bytes = args.0.len();
        if bytes > limits::INPUT_BYTES {
            return Err(Rejected::TooLarge { bytes, max: limits::INPUT_BYTES });
        }
        let call = self.state.next.tool;
        self.emit(Event::ToolRequested { call, name, args, by: Caller::Host { key, mode, cwd } });
        self.gate(call, false);
        Ok(())
    }

    /// Decides a call that was just asked for: closed set first, then arguments, then permission.
    pub(super) fn gate(&mut self, no: ToolCallNo, slot: bool) {
        let Some(call) = self.state.calls.get(&no) else { return };
        let name = call.name.clone();
        if self.state.tool(&name).is_none() {
            let known: Vec<&str> = self.state.tool_names().into_iter().collect();
            let reason = format!("no tool {name}; this agent has: {}", known.join(", "));
            let reason = clip_stored(&reason, self.words()).into_owned();
            return self.close(no, ToolOutcome::Refused { reason });
        }
        if let Err(why) = self.env.checks.look(&name, &call.args) {
            let why = format!("{name}: {why}");
            let output = Output::text(clip_stored(&why, self.words()));
            return self.close(no, ToolOutcome::Failed { output });
        }
        let verdict = self.decide(no);
        match verdict.decision {
            Decision::Deny => self.deny(no, &verdict),
            // A person is told what would run, so it is looked at first; that comes with the slot.
            Decision::Ask if self.runs_files(no) => {}
            Decision::Ask => self.ask(no, verdict),
            Decision::Allow if builtin::is_builtin(&name) => self.start_builtin(no),
            Decision::Allow if slot && self.counted(&name) => {}
            Decision::Allow if slot => self.start(no, None),
            Decision::Allow => {}
        }
    }

    /// Whether a call would run files that nobody has looked at in this step.
    fn runs_files(&self, no: ToolCallNo) -> bool {
        let seen = self.seen.as_ref().is_some_and(|(seen, _)| *seen == no);
        let Some(call) = self.state.calls.get(&no).filter(|_| !seen && !self.env.dark) else {
            return false;
        };
        !rules::scripts(&State::request(call, self.env.policy)).is_empty()
    }

    /// What was seen of the files that a call would run.
    fn seen(&self, no: ToolCallNo) -> &[ScriptSeen] {
        match &self.seen {
            Some((seen, scripts)) if *seen == no => scripts,
            Some(_) | None => &[],
        }
    }

    /// Whether a budget on the path counts this tool's calls, so that the ledger is asked first.
    fn counted(&self, name: &ToolName) -> bool {
        !builtin::is_builtin(name)
            && !super::prompt::accounts(self.state, &super::prompt::TOOL).is_empty()
    }

    /// What permission says of a call as it stands now.
    pub(super) fn decide(&self, no: ToolCallNo) -> Verdict {
        if let Some(given) = self.given {
            return given.verdict(no);
        }
        let Some(call) = self.state.calls.get(&no) else {
            let reasons = vec!["no such call".to_owned()];
            return Verdict { decision: Decision::Deny, reasons, proposal: None };
        };
        let in_turn = self.state.in_turn(call);
        let turn = self.state.turn.as_ref().filter(|_| in_turn);
        let mode = match &call.by {
            Caller::Host { mode, .. } => *mode,
            Caller::Model { .. } => turn.and_then(|turn| turn.mode),
        };
        let effect = self.state.tool(&call.name).map_or(EffectClass::Once, |tool| tool.effect);
        let raised = self.state.raised(&call.name, self.env.now);
        let standing = rules::Standing {
            authority: &self.state.authority(),
            answers: &self.state.answers,
            asks_waived: self.state.waived || turn.is_some_and(|turn| turn.waived),
            mode,
            effect,
            raised: raised.as_deref(),
        };
        rules::decide(self.env.policy, &standing, &State::request(call, self.env.policy))
    }

    pub(super) fn deny(&mut self, no: ToolCallNo, verdict: &Verdict) {
        let verdict = shorten(verdict.clone(), self.words());
        let reason = format!("Permission denied: {}", verdict.reasons.join("; "));
        self.close(no, ToolOutcome::Refused { reason });
    }

    fn ask(&mut self, call: ToolCallNo, verdict: Verdict) {
        let verdict = shorten(verdict, self.words());
        let Some(asked) = self.state.calls.get(&call) else { return };
        let request = State::request(asked, self.env.policy);
        let ms = self.state.agent().map_or(limits::APPROVAL_MS, |agent| agent.limits.approval_ms);
        // The end of its turn closes the question too, so the inbox should not promise more.
        let end = self.state.turn.as_ref().filter(|_| self.state.in_turn(asked));
        let expires_at = self.env.now.plus_ms(ms);
        let expires_at = end.map_or(expires_at, |turn| turn.deadline.min(expires_at));
        let scripts = self.seen(call).to_vec();
        let ask = Ask {
            digest: request.digest_with(&scripts),
            scripts,
            subject: Subject::ToolCall { call, request },
            reasons: verdict.reasons,
            proposal: verdict.proposal,
            expires_at,
        };
        let no = self.state.next.approval;
        self.emit(Event::ApprovalRequested { no, ask: Box::new(ask) });
    }

    /// Everything is in hand: the start is recorded, with the approval it uses up.
    pub(super) fn start(&mut self, no: ToolCallNo, timeout_ms: Option<u64>) {
        let words = self.words();
        let Some(call) = self.state.calls.get(&no) else { return };
        let basis = self.basis(call, words);
        let digest = State::request(call, self.env.policy).digest_with(self.seen(no));
        let own = builtin::is_builtin(&call.name);
        let tool_ms = self.state.agent().map_or(limits::TOOL_MS, |agent| agent.limits.tool_ms);
        let turn_end = self.state.turn.as_ref().map(|turn| turn.deadline);
        let now = self.env.now;
        // One of our own waits on agents, who may well take as long as the turn.
        let deadline = match (own, timeout_ms, turn_end) {
            (true, Some(ms), _) => now.plus_ms(ms),
            (true, None, Some(end)) => end,
            (true, None, None) | (false, _, _) => now.plus_ms(tool_ms),
        };
        self.emit(Event::ToolStarted { call: no, digest, basis, deadline });
    }

    fn basis(&self, call: &ToolCall, words: usize) -> Basis {
        match &call.stage {
            Stage::Approved { no, .. } => Basis::Approval { no: *no },
            Stage::Wanted | Stage::Asking { .. } | Stage::Started { .. }
                if builtin::is_builtin(&call.name) =>
            {
                Basis::BuiltIn
            }
            Stage::Wanted | Stage::Asking { .. } | Stage::Started { .. } => {
                let no = self.state.calls.iter().find(|(_, known)| std::ptr::eq(*known, call));
                let reasons =
                    no.map_or_else(Vec::new, |(no, _)| shorten(self.decide(*no), words).reasons);
                Basis::Rules { reasons }
            }
        }
    }

    /// A slot is held. Permission is decided once more: a rule may have been tightened meanwhile.
    pub(super) fn slot_granted(&mut self, no: ToolCallNo, scripts: Vec<ScriptSeen>) {
        self.seen = Some((no, scripts));
        if self.may_start(no) {
            self.start(no, None);
        }
        self.seen = None;
    }

    pub(super) fn slot_refused(&mut self, no: ToolCallNo, reason: String) {
        let waits = self
            .state
            .calls
            .get(&no)
            .is_some_and(|call| matches!(call.stage, Stage::Wanted | Stage::Approved { .. }));
        if waits {
            self.close(no, ToolOutcome::Refused { reason });
        }
    }

    /// The ledger gave a place to an agent that is to be started.
    pub(super) fn assign_if_allowed(&mut self, no: ToolCallNo) {
        if self.may_start(no) {
            self.assign(no);
        } else if self.state.quarantined.is_some() {
            // Off the stage it holds nothing; it asks again once it is released.
            self.give_back(CallNo::Tool(no), true);
        }
    }

    fn may_start(&mut self, no: ToolCallNo) -> bool {
        let Some(call) = self.state.calls.get(&no) else { return false };
        if call.cancel.is_some() || self.state.quarantined.is_some() {
            return false;
        }
        let (approved, changed) = match &call.stage {
            Stage::Wanted => (false, false),
            Stage::Approved { digest, .. } => {
                let request = State::request(call, self.env.policy);
                let same = request.digest_with(self.seen(no)) == *digest;
                (same, !same)
            }
            Stage::Asking { .. } | Stage::Started { .. } => return false,
        };
        let mut verdict = self.decide(no);
        match verdict.decision {
            Decision::Allow => true,
            Decision::Ask if approved => true,
            Decision::Ask => {
                if changed {
                    verdict.reasons.insert(0, CHANGED.to_owned());
                }
                // Whoever waits for a person holds no room meanwhile.
                let assigns = builtin::assigns(&call.name);
                self.give_back(CallNo::Tool(no), assigns);
                self.ask(no, verdict);
                false
            }
            Decision::Deny => {
                self.deny(no, &verdict);
                false
            }
        }
    }

    pub(super) fn tool_finished(&mut self, no: ToolCallNo, outcome: ToolOutcome) {
        let started = self.state.calls.get(&no).is_some_and(|call| {
            matches!(call.stage, Stage::Started { .. }) && !builtin::is_builtin(&call.name)
        });
        if started {
            self.close(no, outcome);
        }
    }
}
