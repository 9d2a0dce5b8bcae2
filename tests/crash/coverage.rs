//! What a run has brought about: a checker that never met a lost result proves nothing about lost
//! results. Counted from the same facts; none may be zero in a run of the usual length.

use std::collections::{BTreeMap, BTreeSet};

use greenroom_actors::domain::{
    event::{Caller, CancelTarget, Event, FailureKind, RestartCause},
    ids::{CallId, ModelCallNo},
    outcome::TurnOutcome,
    permission::{Basis, Closed},
    tool::{EffectClass, ToolOutcome},
    usage::Settlement,
};

use super::{
    check::prompts,
    facts::Facts,
    model::ModelRecord,
    sink::{self, SinkRecord},
};

/// Which events count.
type Which = fn(&Event) -> bool;

/// What the sessions' logs can show.
const LOGGED: [(&str, Which); 19] = [
    ("restarts after the process died", |event| {
        matches!(event, Event::SessionRestarted { cause: RestartCause::Process })
    }),
    ("restarts after a panic", |event| {
        matches!(event, Event::SessionRestarted { cause: RestartCause::Panic { .. } })
    }),
    ("model calls lost", |event| {
        matches!(event, Event::ModelCallFailed { failure, .. }
            if failure.kind == FailureKind::Lost)
    }),
    ("once calls of unknown outcome", |event| {
        matches!(event, Event::ToolFinished { outcome: ToolOutcome::OutcomeUnknown, .. })
    }),
    ("calls cancelled while they ran", |event| {
        matches!(event, Event::ToolFinished { outcome, .. }
            if *outcome == ToolOutcome::Cancelled { effect_unknown: true })
    }),
    ("assignments cancelled", |event| {
        matches!(event, Event::CancelRequested { target: CancelTarget::Assignment { .. }, .. })
    }),
    ("starts by an approval", |event| {
        matches!(event, Event::ToolStarted { basis: Basis::Approval { .. }, .. })
    }),
    ("approvals expired", |event| {
        matches!(event, Event::ApprovalClosed { why: Closed::Expired, .. })
    }),
    ("turns ended by a budget", |event| {
        matches!(event, Event::TurnFinished { outcome: TurnOutcome::BudgetExhausted { .. }, .. })
    }),
    ("calls of the client's own", |event| {
        matches!(event, Event::ToolRequested { by: Caller::Host { .. }, .. })
    }),
    ("later assignments of a child", |event| {
        matches!(event, Event::ChildSpawned { creation: None, .. })
    }),
    ("sessions taken off the stage", |event| matches!(event, Event::SessionQuarantined { .. })),
    ("releases", |event| matches!(event, Event::SessionReleased { .. })),
    ("forks", |event| matches!(event, Event::SessionForked { .. })),
    ("calls that a fork did not carry", |event| {
        matches!(event, Event::ToolFinished { outcome: ToolOutcome::NotCarried, .. })
    }),
    ("retries", |event| matches!(event, Event::TimerFired { .. })),
    ("calls that a rate limit put off", |event| {
        matches!(event, Event::ModelCallFailed { failure, .. }
            if failure.kind == FailureKind::RateLimited)
    }),
    (
        "answers that broke off by themselves",
        |event| matches!(event, Event::ModelCallFailed { failure, .. } if failure.emitted),
    ),
    ("turns that failed of one", |event| {
        matches!(event, Event::TurnFinished { outcome: TurnOutcome::Failed { .. }, .. })
    }),
];

/// Everything a run should bring about, counted.
pub(crate) fn of(facts: &Facts) -> Vec<(&'static str, u64)> {
    let logged = LOGGED.iter().map(|(what, which)| {
        (*what, facts.events().filter(|(_, _, event)| which(event)).count() as u64)
    });
    let asked = |found: bool| {
        let asked = facts.sink.iter().filter(
            |record| matches!(record, SinkRecord::Asked { count, .. } if (*count > 0) == found),
        );
        asked.count() as u64
    };
    let counts = sink::counts(&facts.sink);
    let again =
        |(class, count): &&(EffectClass, u64)| *class == EffectClass::Idempotent && *count > 1;
    let mut all: Vec<(&'static str, u64)> = logged.collect();
    all.extend([
        ("streams that a death cut amid", cut_amid(facts).values().sum()),
        ("whole replies delivered and lost", delivered_and_lost(facts)),
        ("idempotent effects made again", counts.values().filter(again).count() as u64),
        ("probes that found an effect", asked(true)),
        ("probes that found none", asked(false)),
        ("approvals open over a death", over_a_death(facts)),
        ("prompts asked again by another incarnation", asked_again(facts)),
    ]);
    all
}

/// How many streams the death of each process cut: pieces of their answer had been sent, its end
/// had not, and the log says that the call was lost with the process.
pub(crate) fn cut_amid(facts: &Facts) -> BTreeMap<u32, u64> {
    let (mut from, mut amid) = (BTreeMap::new(), BTreeMap::new());
    let lost = lost_with_the_process(facts);
    for record in &facts.model {
        match record {
            ModelRecord::Arrived { call, process, .. } => drop(from.insert(*call, *process)),
            ModelRecord::Broken { call, pieces: 1.., finished: false, .. } => {
                if let Some(process) = from.get(call).filter(|_| lost.contains(call)) {
                    *amid.entry(*process).or_default() += 1;
                }
            }
            ModelRecord::Broken { .. }
            | ModelRecord::Delivered { .. }
            | ModelRecord::Failed { .. } => {}
        }
    }
    amid
}

/// Calls that were lost, and not by a panic of their session.
fn lost_with_the_process(facts: &Facts) -> BTreeSet<CallId> {
    let mut lost = BTreeSet::new();
    for session in facts.sessions.keys() {
        // What the first restart behind a call's begin was for.
        let mut open: BTreeMap<ModelCallNo, Option<bool>> = BTreeMap::new();
        for event in facts.of(*session) {
            match event {
                Event::ModelCallStarted { call, .. } => drop(open.insert(*call, None)),
                Event::SessionRestarted { cause } => {
                    let process = matches!(cause, RestartCause::Process);
                    open.values_mut().for_each(|why| *why = why.or(Some(process)));
                }
                _ => {}
            }
        }
        lost.extend(facts.of(*session).filter_map(|event| match event {
            Event::ModelCallFailed { call, failure }
                if failure.kind == FailureKind::Lost && open.get(call) == Some(&Some(true)) =>
            {
                Some(CallId::model(*session, *call))
            }
            _ => None,
        }));
    }
    lost
}

/// Replies that the vendor delivered and a death took before they were recorded.
fn delivered_and_lost(facts: &Facts) -> u64 {
    let delivered = facts.model.iter();
    let delivered: BTreeSet<CallId> = delivered
        .filter(|record| matches!(record, ModelRecord::Delivered { .. }))
        .map(ModelRecord::call)
        .collect();
    let lost = facts.events().filter(|(session, _, event)| match event {
        Event::UsageSettled { call, settlement: Settlement::Unsettled { .. }, .. } => {
            delivered.contains(&CallId::model(*session, *call))
        }
        _ => false,
    });
    lost.count() as u64
}

/// Prompts that came to the vendor from an incarnation of a session that had not asked them first.
fn asked_again(facts: &Facts) -> u64 {
    let arrived = prompts::arrived(facts);
    let mut count = 0;
    for (session, frames) in &facts.sessions {
        for calls in prompts::steps(frames).into_values() {
            let came = |call| arrived.contains_key(&CallId::model(*session, call));
            let mut owners = calls.into_iter().filter(|(call, _)| came(*call)).map(|(_, by)| by);
            let first = owners.next();
            count += owners.filter(|by| Some(*by) != first).count() as u64;
        }
    }
    count
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
