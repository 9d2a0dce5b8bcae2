//! What a step rested on and no log holds, read off what the step decided.

use std::collections::BTreeMap;

use crate::{
    domain::{
        agent::Rendered,
        event::Event,
        ids::{AgentName, ToolCallNo, ToolName},
        permission::{Answer, Basis, Decision, Subject, Verdict},
        tool::{Args, ToolOutcome},
    },
    policy::{
        rules::{Places, Policy},
        turn::{
            builtin::unknown_agent,
            state::{Stage, State},
            tools::CHANGED,
        },
    },
};

/// How a refusal by rules begins.
const DENIED: &str = "Permission denied: ";

/// The facts of one frame.
#[derive(Clone, Debug, Default)]
pub(in crate::policy::turn) struct Given {
    verdicts: BTreeMap<ToolCallNo, Verdict>,
    bad_args: Vec<(ToolName, Args, String)>,
    pub(super) agents: BTreeMap<AgentName, Rendered>,
    /// No rules, but the folder that calls began in, where the frame says it.
    pub(super) policy: Policy,
}

impl Given {
    pub(super) fn of(state: &State, events: &[Event]) -> Self {
        let mut given = Self::default();
        for (no, call) in &state.calls {
            if let Stage::Asking { no: question } = call.stage
                && !is_closed(events, question)
            {
                given.say(*no, Decision::Ask, Vec::new());
            }
        }
        given.agents = known_agents(state, events);
        for event in events {
            given.note(state, events, event);
        }
        given
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "other events rest on nothing outside")]
    fn note(&mut self, state: &State, events: &[Event], event: &Event) {
        match event {
            Event::ApprovalRequested { ask, .. } => {
                let Subject::ToolCall { call, request } = &ask.subject else { return };
                let mut reasons = ask.reasons.clone();
                // The machine says this one itself, where it finds that it is so.
                let approved = state.calls.get(call);
                if approved.is_some_and(|call| matches!(call.stage, Stage::Approved { .. }))
                    && reasons.first().is_some_and(|reason| reason == CHANGED)
                {
                    reasons.remove(0);
                }
                let proposal = ask.proposal.clone();
                let verdict = Verdict { decision: Decision::Ask, reasons, proposal };
                self.verdicts.insert(*call, verdict);
                let workspace = request.cwd.clone();
                self.policy = Policy::default().at(Places { workspace, ..Places::default() });
            }
            Event::ToolStarted { call, basis: Basis::Rules { reasons }, .. } => {
                self.say(*call, Decision::Allow, reasons.clone());
            }
            Event::ToolFinished { call, outcome } => self.closed(state, events, *call, outcome),
            Event::ChildSpawned { agent, creation: Some(creation), .. } => {
                self.agents.insert(agent.clone(), creation.rendered.clone());
            }
            _ => {}
        }
    }

    fn closed(&mut self, state: &State, events: &[Event], call: ToolCallNo, outcome: &ToolOutcome) {
        match outcome {
            ToolOutcome::Refused { reason } => {
                if let Some(reason) = reason.strip_prefix(DENIED) {
                    self.say(call, Decision::Deny, vec![reason.to_owned()]);
                }
            }
            // Of a call that was started and judged anew on waking, or skipped without a look.
            ToolOutcome::OutcomeUnknown => self.say(call, Decision::Deny, Vec::new()),
            ToolOutcome::Failed { output } => {
                let Some((name, args)) = asked_for(state, events, call) else { return };
                let why = output.shown().strip_prefix(name.as_str());
                if let Some(why) = why.and_then(|rest| rest.strip_prefix(": ")) {
                    self.bad_args.push((name, args, why.to_owned()));
                }
            }
            ToolOutcome::Done { .. } | ToolOutcome::Cancelled { .. } | ToolOutcome::NotCarried => {}
        }
    }

    fn say(&mut self, call: ToolCallNo, decision: Decision, reasons: Vec<String>) {
        self.verdicts.insert(call, Verdict { decision, reasons, proposal: None });
    }

    /// What rules said of a call: what its frame shows, and else nothing against it.
    pub(in crate::policy::turn) fn verdict(&self, call: ToolCallNo) -> Verdict {
        let nothing = Verdict { decision: Decision::Allow, reasons: Vec::new(), proposal: None };
        self.verdicts.get(&call).cloned().unwrap_or(nothing)
    }

    /// What a tool said of its arguments.
    pub(super) fn look(&self, name: &ToolName, args: &Args) -> Result<(), String> {
        let bad = self.bad_args.iter().find(|(of, with, _)| of == name && with == args);
        bad.map_or(Ok(()), |(_, _, why)| Err(why.clone()))
    }
}

/// Agents that may be started. What they are is said where one is; until then it is enough that the
/// runtime has heard of them, and a frame shows where it had not.
fn known_agents(state: &State, events: &[Event]) -> BTreeMap<AgentName, Rendered> {
    let Some(opened) = &state.opened else { return BTreeMap::new() };
    let unknown = |name: &AgentName| {
        let why = unknown_agent(name);
        events.iter().any(|event| {
            if let Event::ToolFinished { outcome: ToolOutcome::Failed { output }, .. } = event {
                output.shown() == why
            } else {
                false
            }
        })
    };
    let routes = opened.rendered.agent.routes.iter().filter(|name| !unknown(name));
    routes.map(|name| (name.clone(), opened.rendered.clone())).collect()
}

fn is_closed(events: &[Event], question: crate::domain::ids::ApprovalNo) -> bool {
    events.iter().any(|event| {
        matches!(event, Event::ApprovalDecided { no, .. } | Event::ApprovalClosed { no, .. } if *no == question)
    })
}

/// The tool and the arguments of a call as they were looked at in this frame.
fn asked_for(state: &State, events: &[Event], wanted: ToolCallNo) -> Option<(ToolName, Args)> {
    let here = events.iter().find_map(|event| {
        if let Event::ToolRequested { call, name, args, .. } = event
            && *call == wanted
        {
            Some((name.clone(), args.clone()))
        } else {
            None
        }
    });
    here.or_else(|| {
        let call = state.calls.get(&wanted)?;
        let edited = events.iter().find_map(|event| {
            if let Event::ApprovalDecided { answer: Answer::Edit { args }, .. } = event {
                Some(args.clone())
            } else {
                None
            }
        });
        Some((call.name.clone(), edited.unwrap_or_else(|| call.args.clone())))
    })
}
