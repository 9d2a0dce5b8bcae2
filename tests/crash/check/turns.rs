//! Turns and what they wait for: whoever has work has a next step, the fold of the bytes is the
//! state, every turn and assignment ends once, and what fell due took effect once.

use std::collections::BTreeMap;

use greenroom_actors::{
    domain::{
        catalog::Status,
        event::{Event, TimerKind},
        ids::{ApprovalNo, Assignment, SessionId, Timestamp, TurnId},
        outcome::{ChildOutcome, TurnOutcome},
        permission::{Closed, Subject},
        tool::ToolOutcome,
    },
    policy::turn::{self, Effect, Run, State},
};

use super::{Found, begin, fold};
use crate::{
    facts::{self, Facts, Frame},
    load,
};

/// I7: no session with work in hand is forgotten.
pub(super) fn next_step(facts: &Facts) -> Found {
    let mut found = Found::default();
    for (session, frames) in &facts.sessions {
        let Ok(state) = fold(facts, *session, frames) else {
            found.wrong(format!("{session} cannot be folded"));
            continue;
        };
        if state.opened.is_none() {
            continue;
        }
        let status = state.status();
        let owner = frames.last().is_some_and(|frame| frame.envelope.token.0 > 0);
        found.must(owner, || format!("{session} has no owner"));
        let steps = turn::pending(&state, Run::Again);
        let acts = steps.iter().any(|step| !matches!(step, Effect::SetTimer { .. }));
        let waits = state.next_wake().is_some() && state.waiting_on().is_some();
        match status {
            Status::Running => found.must(acts || waits, || {
                format!("{session} runs, and nothing would move it on: {:?}", state.waiting_on())
            }),
            Status::Waiting => found.must(waits, || format!("{session} waits for nothing")),
            Status::Quarantined => {
                let meant = state.agent().is_some_and(|agent| agent.name.as_str() == load::POISON);
                found.must(meant, || format!("{session}: {:?}", state.quarantined));
            }
            Status::Idle | Status::Archived => {
                let nothing = state.turn.is_none() && state.calls.is_empty();
                found.must(nothing, || format!("{session} is idle with work in hand"));
            }
        }
        found.must(!facts.healed || status == Status::Idle, || {
            format!("{session} is {} after all has healed", status.word())
        });
        read_model(facts, *session, (&state, frames), &mut found);
    }
    found
}

/// The line that wakes a session says what its log says.
fn read_model(
    facts: &Facts,
    session: SessionId,
    (state, frames): (&State, &[Frame<Event>]),
    found: &mut Found,
) {
    let line = facts.lines.get(&session);
    let position = frames.len();
    let same = line.is_some_and(|line| {
        line.status == facts::word(state.status())
            && line.waiting_on == state.waiting_on()
            && line.wake_at == state.next_wake().map(|at| at.0)
            && usize::try_from(line.position) == Ok(position)
    });
    found.must(same, || format!("{session} at {position}: the read model says {line:?}"));
    let asked = facts.inbox.iter().filter(|(other, _)| *other == session).count();
    let open = state.approvals.len();
    found.must(asked == open, || format!("{session}: {open} questions, {asked} in the inbox"));
}

/// I11: two folds of the stored bytes agree, and everything that ends does so once.
pub(super) fn folded(facts: &Facts) -> Found {
    let mut found = Found::default();
    for (session, frames) in &facts.sessions {
        let again: Result<Vec<Frame<Event>>, _> = frames
            .iter()
            .map(|frame| {
                let events = serde_json::from_str(&frame.body)?;
                let (envelope, body) = (frame.envelope.clone(), frame.body.clone());
                Ok::<_, serde_json::Error>(Frame { envelope, body, events })
            })
            .collect();
        let again = again.map(|again| fold(facts, *session, &again));
        match (fold(facts, *session, frames), again) {
            (Ok(one), Ok(Ok(two))) => {
                let same = format!("{one:?}") == format!("{two:?}");
                found.must(same, || format!("{session}: its bytes fold to another state"));
            }
            (one, two) => {
                let why = (one.err(), two.map(Result::err));
                found.wrong(format!("{session} cannot be folded: {why:?}"));
            }
        }
        ends(facts, (*session, frames), &mut found);
    }
    assignments(facts, &mut found);
    found
}

fn ends(facts: &Facts, (session, frames): (SessionId, &[Frame<Event>]), found: &mut Found) {
    let mut turns: BTreeMap<TurnId, (u64, u64)> = BTreeMap::new();
    let mut calls: BTreeMap<greenroom_actors::domain::ids::ModelCallNo, (u64, u64)> =
        BTreeMap::new();
    // A fork ends the turn in which its base stood.
    if let Ok(State { turn: Some(turn), .. }) = begin(facts, session, frames) {
        turns.insert(turn.id, (1, 0));
    }
    for event in facts.of(session) {
        match event {
            Event::TurnStarted { turn, .. } => turns.entry(*turn).or_default().0 += 1,
            Event::TurnFinished { turn, .. } => turns.entry(*turn).or_default().1 += 1,
            Event::ModelCallStarted { call, .. } => calls.entry(*call).or_default().0 += 1,
            Event::ModelCallFinished { call, .. } | Event::ModelCallFailed { call, .. } => {
                calls.entry(*call).or_default().1 += 1;
            }
            _ => {}
        }
    }
    let right = |counts: &(u64, u64)| match counts {
        (1, 1) => true,
        (1, 0) => !facts.healed,
        _ => false,
    };
    for (turn, counts) in &turns {
        found.must(right(counts), || format!("{session} turn {turn}: begun, ended {counts:?}"));
    }
    for (call, counts) in &calls {
        found.must(right(counts), || format!("{session} model call {call}: {counts:?}"));
    }
}

/// How each assignment ended, as the child's own log has it.
fn child_ends(facts: &Facts) -> BTreeMap<(SessionId, Assignment), TurnOutcome> {
    let mut ends = BTreeMap::new();
    for session in facts.sessions.keys() {
        let (mut inputs, mut turns) = (BTreeMap::new(), BTreeMap::new());
        for event in facts.of(*session) {
            match event {
                Event::InputAccepted { key, input } => {
                    inputs.extend(input.assignment.map(|no| (key, no)));
                }
                Event::TurnStarted { turn, key, .. } => {
                    turns.extend(inputs.get(key).map(|no| (*turn, *no)));
                }
                Event::TurnFinished { turn, outcome } => {
                    if let Some(no) = turns.get(turn) {
                        ends.insert((*session, *no), outcome.clone());
                    }
                }
                _ => {}
            }
        }
    }
    ends
}

/// Each assignment is told to its parent once, and as the child has it.
fn assignments(facts: &Facts, found: &mut Found) {
    let own = child_ends(facts);
    let mut told: BTreeMap<(SessionId, Assignment), u64> = BTreeMap::new();
    for (parent, _, event) in facts.events() {
        match event {
            Event::ChildSpawned { child, assignment, .. } => {
                told.entry((*child, *assignment)).or_default();
            }
            Event::ChildFinished { child, assignment, report } => {
                *told.entry((*child, *assignment)).or_default() += 1;
                let ended = own.get(&(*child, *assignment));
                let same = match &report.outcome {
                    ChildOutcome::Turn { outcome } => Some(outcome) == ended,
                    ChildOutcome::Quarantined { .. } => false,
                };
                found.must(same, || {
                    let told = &report.outcome;
                    format!("{parent} was told {told:?} of {child}, whose log says {ended:?}")
                });
            }
            _ => {}
        }
    }
    for ((child, assignment), count) in told {
        let right = count == 1 || (count == 0 && !facts.healed);
        found.must(right, || format!("{child}/{assignment} was told {count} times"));
    }
}

/// I14: a retry fires once and not too early; a question that nobody answers ends, once, in time.
pub(super) fn due(facts: &Facts) -> Found {
    let mut found = Found::default();
    for (session, frames) in &facts.sessions {
        retries(*session, frames, facts.healed, &mut found);
        questions(*session, frames, facts.healed, &mut found);
    }
    found
}

fn retries(session: SessionId, frames: &[Frame<Event>], healed: bool, found: &mut Found) {
    let mut set: Option<Timestamp> = None;
    for frame in frames {
        for event in &frame.events {
            match event {
                Event::TimerSet { timer: TimerKind::Retry, at } => {
                    found.must(set.replace(*at).is_none(), || {
                        format!("{session}: a retry was set over another")
                    });
                }
                Event::TimerFired { timer: TimerKind::Retry } => {
                    let due = set.take();
                    found.must(due.is_some_and(|due| due <= frame.envelope.at), || {
                        format!("{session}: fired at {}, due {due:?}", frame.envelope.at)
                    });
                }
                // Whoever is cancelled is not called again.
                Event::TurnFinished { .. } => set = None,
                Event::ModelCallStarted { .. } => {
                    found.must(set.is_none(), || format!("{session}: called before the retry"));
                }
                _ => {}
            }
        }
    }
    found.must(!healed || set.is_none(), || format!("{session}: a retry never fired"));
}

fn questions(session: SessionId, frames: &[Frame<Event>], healed: bool, found: &mut Found) {
    let mut open: BTreeMap<ApprovalNo, (Timestamp, Subject)> = BTreeMap::new();
    for frame in frames {
        let now = frame.envelope.at;
        for event in &frame.events {
            match event {
                Event::ApprovalRequested { no, ask } => {
                    open.insert(*no, (ask.expires_at, ask.subject.clone()));
                }
                Event::ApprovalDecided { no, .. } => {
                    let asked = open.remove(no);
                    found.must(asked.is_some_and(|(at, _)| now < at), || {
                        format!("{session}: question {no} was answered late, or twice")
                    });
                }
                Event::ApprovalClosed { no, why } => {
                    let asked = open.remove(no);
                    let expired = *why == Closed::Expired;
                    let right = asked.as_ref().is_some_and(|(at, _)| !expired || *at <= now);
                    found.must(right, || format!("{session}: question {no} closed too early"));
                    if let Some((_, Subject::ToolCall { call, .. })) = asked.filter(|_| expired) {
                        let refused = frame.events.iter().any(|event| {
                            matches!(event, Event::ToolFinished {
                                call: other, outcome: ToolOutcome::Refused { .. } } if *other == call)
                        });
                        found.must(refused, || format!("{session}: {call} expired, and stayed"));
                    }
                }
                _ => {}
            }
        }
    }
    found.must(!healed || open.is_empty(), || format!("{session}: open questions {open:?}"));
}
