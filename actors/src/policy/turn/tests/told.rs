//! What a step says, a line each, for the tables: `+` an event, `>` an effect.

use super::play::{NOTHING, boss, kid, me};
use crate::{
    domain::{
        event::{Caller, CancelTarget, Event},
        ids::SessionId,
        outcome::ChildOutcome,
        permission::{Basis, Subject},
        tool::ToolOutcome,
        usage::Settlement,
    },
    policy::turn::{Effect, Run},
};

pub(super) fn stepped(events: &[Event], effects: &[Effect]) -> String {
    let events = events.iter().map(|event| format!("+ {}", self::event(event)));
    let effects = effects.iter().map(|effect| format!("> {}", self::effect(effect)));
    events.chain(effects).collect::<Vec<_>>().join("\n")
}

fn who(session: SessionId) -> String {
    if session == me() {
        return "me".to_owned();
    }
    if session == boss() {
        return "boss".to_owned();
    }
    let call = (1..99).find(|call| kid(*call) == session);
    call.map_or_else(|| session.to_string(), |call| format!("kid{call}"))
}

fn outcome(outcome: &ToolOutcome) -> String {
    let (output, _) = outcome.told();
    format!("{}: {}", outcome.word(), named(output.shown()))
}

/// Children by the calls that spawned them.
fn named(text: &str) -> String {
    let mut text = text.to_owned();
    for call in 1..9 {
        text = text.replace(&kid(call).to_string(), &format!("kid{call}"));
    }
    text
}

fn target(target: &CancelTarget) -> String {
    match target {
        CancelTarget::Everything => "everything".to_owned(),
        CancelTarget::Assignment { no } => format!("assignment {no}"),
        CancelTarget::Child { child } => who(*child),
        CancelTarget::Turn { turn } => format!("turn {turn}"),
    }
}

fn settlement(settlement: &Settlement) -> String {
    match settlement {
        Settlement::Exact { usage, .. } => format!("exactly {}", usage.tokens()),
        Settlement::Unsettled { .. } => "at its bound".to_owned(),
        Settlement::Free => "as free".to_owned(),
    }
}

fn event(event: &Event) -> String {
    let name = event.name();
    let facts = match event {
        Event::InputAccepted { key, .. } => key.0.split('/').next_back().unwrap().to_owned(),
        Event::TurnStarted { turn, .. } => turn.to_string(),
        Event::ModelCallStarted { call, .. } | Event::ModelCallFinished { call, .. } => {
            format!("m{call}")
        }
        Event::ModelCallFailed { call, failure } => format!("m{call} {:?}", failure.kind),
        Event::ModelFellBack { from, to, reason, .. } => format!("{from} to {to}: {reason}"),
        Event::UsageSettled { call, settlement: booked, .. } => {
            format!("m{call} {}", settlement(booked))
        }
        Event::ToolRequested { call, name, by, .. } => match by {
            Caller::Model { .. } => format!("t{call} {name}"),
            Caller::Host { key, .. } => format!("t{call} {name} for {key}"),
        },
        Event::ApprovalRequested { no, ask } => match &ask.subject {
            Subject::ToolCall { call, .. } => format!("a{no} about t{call}"),
            other => format!("a{no} {other:?}"),
        },
        Event::ApprovalDecided { no, answer, remember, .. } => {
            let rule = remember
                .as_ref()
                .map(|rule| format!(" leaves {:?} {}", rule.decision, rule.pattern.0));
            format!("a{no} {answer:?}{}", rule.unwrap_or_default())
        }
        Event::ApprovalClosed { no, why } => format!("a{no} {why:?}"),
        Event::ToolStarted { call, basis, deadline, .. } => {
            let basis = match basis {
                Basis::Rules { .. } => "by rules".to_owned(),
                Basis::Approval { no } => format!("by a{no}"),
                Basis::BuiltIn => "as built in".to_owned(),
            };
            format!("t{call} {basis} until {}", deadline.0)
        }
        Event::ToolFinished { call, outcome: told } => format!("t{call} {}", outcome(told)),
        Event::ChildSpawned { child, assignment, call, creation, .. } => {
            let new = if creation.is_some() { " anew" } else { "" };
            format!("{}/{assignment} by t{call}{new}", who(*child))
        }
        Event::ChildFinished { child, assignment, report } => {
            format!("{}/{assignment} {}", who(*child), report.outcome.word())
        }
        Event::TimerSet { at, .. } => at.0.to_string(),
        Event::ChildStopped { child, assignment } => format!("{}/{assignment}", who(*child)),
        Event::CancelRequested { target: what, reason, .. } => {
            format!("{}: {reason}", target(what))
        }
        Event::TurnFinished { turn, outcome } => {
            format!("{turn} {}: {}", outcome.word(), outcome.text())
        }
        Event::SessionQuarantined { reason } => reason.clone(),
        Event::SessionReleased { skip, .. } => if *skip { "skipping" } else { "" }.to_owned(),
        Event::SessionRenamed { name } => name.clone(),
        Event::SessionArchived { archived } => archived.to_string(),
        _ => String::new(),
    };
    format!("{name} {facts}").trim().to_owned()
}

pub(super) fn effect(effect: &Effect) -> String {
    match effect {
        Effect::Append { .. } => unreachable!("taken off before"),
        Effect::Reserve { call } => format!("reserve {call}"),
        Effect::CallModel { call } => format!("call m{call}"),
        Effect::AbortModel { call } => format!("abort m{call}"),
        Effect::AskPermission { no, .. } => format!("ask a{no}"),
        Effect::AcquireSlot { call, reserve, .. } => {
            format!("slot t{call}{}", if *reserve { " after room" } else { "" })
        }
        Effect::RunTool { call, run } => match run {
            Run::First => format!("run t{call}"),
            Run::Again => format!("run t{call} again"),
        },
        Effect::AbortTool { call } => format!("abort t{call}"),
        Effect::SpawnChild { child, assignment } => format!("see to {}/{assignment}", who(*child)),
        Effect::CancelChild { child, assignment, .. } => {
            format!("cancel {}/{assignment}", who(*child))
        }
        Effect::SetTimer { at } => format!("wake at {}", at.0),
        Effect::Settle { call, actual, .. } => {
            let told = match *actual {
                NOTHING => "nothing".to_owned(),
                some => {
                    format!("{} tokens {} calls", some.tokens, some.model_calls + some.tool_calls)
                }
            };
            format!("settle {call} {told}")
        }
        Effect::Finish { turn, outcome, .. } => format!("tell turn {turn} {}", outcome.word()),
        Effect::FinishCall { call, outcome, .. } => format!("tell t{call} {}", outcome.word()),
        Effect::Report { parent, assignment, report } => {
            let stopped = match report.outcome {
                ChildOutcome::Quarantined { stopped: true, .. } => ", stopped",
                ChildOutcome::Quarantined { .. } | ChildOutcome::Turn { .. } => "",
            };
            format!("report {assignment} to {}: {}{stopped}", who(*parent), report.outcome.word())
        }
        Effect::ReportFromLog { parent, assignment, turn } => {
            format!("report {assignment} to {}: the end of turn {turn} in the log", who(*parent))
        }
        Effect::Remember { rule } => format!("remember {:?} {}", rule.decision, rule.pattern.0),
        Effect::Quarantine { .. } => "quarantine".to_owned(),
    }
}
