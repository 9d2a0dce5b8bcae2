//! What a run has brought about: a checker that never met a lost result proves nothing about lost
//! results. Counted from the same facts; none may be zero in a run of the usual length.

use std::collections::{BTreeMap, BTreeSet};

use greenroom_actors::domain::{
    event::{CancelTarget, Event, FailureKind, RestartCause},
    outcome::TurnOutcome,
    permission::{Basis, Closed},
    tool::{EffectClass, ToolOutcome},
    usage::Settlement,
};

use super::{
    facts::Facts,
    model::ModelRecord,
    sink::{self, SinkRecord},
};

/// Everything a run should bring about, counted.
pub(crate) fn of(facts: &Facts) -> Vec<(&'static str, u64)> {
    let events = |which: fn(&Event) -> bool| {
        facts.events().filter(|(_, _, event)| which(event)).count() as u64
    };
    let sink = |which: fn(&SinkRecord) -> bool| {
        facts.sink.iter().filter(|record| which(record)).count() as u64
    };
    let repeated = sink::counts(&facts.sink)
        .values()
        .filter(|(class, count)| *class == EffectClass::Idempotent && *count > 1)
        .count() as u64;
    let delivered: BTreeSet<_> = facts
        .model
        .iter()
        .filter(|record| matches!(record, ModelRecord::Delivered { .. }))
        .map(ModelRecord::call)
        .collect();
    let lost = facts
        .events()
        .filter(|(session, _, event)| {
            matches!(event, Event::UsageSettled { call, settlement: Settlement::Unsettled { .. }, .. }
                if delivered.contains(&greenroom_actors::domain::ids::CallId::model(*session, *call)))
        })
        .count() as u64;
    vec![
        (
            "restarts after the process died",
            events(|event| {
                matches!(event, Event::SessionRestarted { cause: RestartCause::Process })
            }),
        ),
        (
            "restarts after a panic",
            events(|event| {
                matches!(event, Event::SessionRestarted { cause: RestartCause::Panic { .. } })
            }),
        ),
        (
            "model calls lost",
            events(
                |event| matches!(event, Event::ModelCallFailed { failure, .. } if failure.kind == FailureKind::Lost),
            ),
        ),
        ("whole replies delivered and lost", lost),
        (
            "once calls of unknown outcome",
            events(|event| {
                matches!(event, Event::ToolFinished { outcome: ToolOutcome::OutcomeUnknown, .. })
            }),
        ),
        ("idempotent effects made again", repeated),
        (
            "probes that found an effect",
            sink(|record| matches!(record, SinkRecord::Asked { count, .. } if *count > 0)),
        ),
        (
            "probes that found none",
            sink(|record| matches!(record, SinkRecord::Asked { count: 0, .. })),
        ),
        (
            "calls cancelled while they ran",
            events(|event| {
                matches!(
                    event,
                    Event::ToolFinished {
                        outcome: ToolOutcome::Cancelled { effect_unknown: true },
                        ..
                    }
                )
            }),
        ),
        (
            "assignments cancelled",
            events(|event| {
                matches!(
                    event,
                    Event::CancelRequested { target: CancelTarget::Assignment { .. }, .. }
                )
            }),
        ),
        (
            "starts by an approval",
            events(|event| {
                matches!(event, Event::ToolStarted { basis: Basis::Approval { .. }, .. })
            }),
        ),
        ("approvals open over a death", over_a_death(facts)),
        (
            "approvals expired",
            events(|event| matches!(event, Event::ApprovalClosed { why: Closed::Expired, .. })),
        ),
        (
            "turns ended by a budget",
            events(|event| {
                matches!(
                    event,
                    Event::TurnFinished { outcome: TurnOutcome::BudgetExhausted { .. }, .. }
                )
            }),
        ),
        ("retries", events(|event| matches!(event, Event::TimerFired { .. }))),
    ]
}

/// Questions asked by one owner of a log and answered under a later one.
fn over_a_death(facts: &Facts) -> u64 {
    let mut count = 0;
    for frames in facts.sessions.values() {
        let mut asked = BTreeMap::new();
        for frame in frames {
            let token = frame.envelope.token;
            for event in &frame.events {
                match event {
                    Event::ApprovalRequested { no, .. } => drop(asked.insert(*no, token)),
                    Event::ApprovalDecided { no, .. } => {
                        count += u64::from(asked.get(no).is_some_and(|before| *before < token));
                    }
                    _ => {}
                }
            }
        }
    }
    count
}
