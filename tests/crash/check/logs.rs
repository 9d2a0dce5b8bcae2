//! The logs as such: what was promised is there, in order, whole, by owners that follow one
//! another, in a sound file.

use std::collections::{BTreeMap, BTreeSet};

use greenroom_actors::domain::{
    event::{Caller, Event},
    frame::{Chain, LogId, hex},
    ids::{Position, SessionId, Token, ToolCallNo, TurnId},
};
use sha2::{Digest as _, Sha256};

use super::Found;
use crate::{control::Promise, facts::Facts};

/// The write-ahead log after an orderly end, at most.
const WAL_MAX: u64 = 64 * 1024 * 1024;

/// I1: every acknowledgement the client holds is in the log.
pub(super) fn acknowledged(facts: &Facts) -> Found {
    let mut found = Found::default();
    for promise in &facts.client {
        match promise {
            Promise::Opened { session } => found.must(
                facts.of(*session).any(|event| matches!(event, Event::SessionOpened { .. })),
                || format!("{session} was opened and is not there"),
            ),
            Promise::Accepted { session, key } => {
                let there = facts.of(*session).filter(
                    |event| matches!(event, Event::InputAccepted { key: other, .. } if other == key),
                );
                let count = there.count();
                found.must(count == 1, || format!("{session}: {key} was accepted {count} times"));
            }
            Promise::Decided { approval, answer } => found.must(
                facts.of(approval.session).any(|event| {
                    matches!(event, Event::ApprovalDecided { no, answer: given, .. }
                        if *no == approval.no && given == answer)
                }),
                || format!("{approval}: its answer {answer:?} is not there"),
            ),
            Promise::Ended { session, key, turn, outcome } => {
                let started = facts.of(*session).any(|event| {
                    matches!(event, Event::TurnStarted { turn: id, key: other, .. }
                        if id == turn && other == key)
                });
                let ended = facts.of(*session).any(|event| {
                    matches!(event, Event::TurnFinished { turn: id, outcome: other }
                        if id == turn && other == outcome)
                });
                found.must(started && ended, || {
                    format!("{session}: {key} was said to end as {outcome:?}; the log knows not")
                });
            }
            Promise::Invoked { session, key, outcome } => {
                let mut calls = facts.of(*session).filter_map(|event| match event {
                    Event::ToolRequested { call, by: Caller::Host { key: other, .. }, .. } => {
                        (other == key).then_some(*call)
                    }
                    _ => None,
                });
                let (call, again) = (calls.next(), calls.next());
                let closed = facts.of(*session).any(|event| {
                    matches!(event, Event::ToolFinished { call: no, outcome: other }
                        if Some(*no) == call && other == outcome)
                });
                found.must(closed && again.is_none(), || {
                    format!("{session}: {key} closed as {outcome:?}; the log knows not")
                });
            }
            Promise::Frame(acked) => {
                let at = usize::try_from(acked.position.0.saturating_sub(1)).unwrap_or(usize::MAX);
                let stored = facts.stored.get(&LogId::session(acked.session));
                let stored = stored.and_then(|frames| frames.get(at));
                let same = stored.is_some_and(|stored| {
                    stored.envelope.position == acked.position
                        && stored.envelope.token == acked.token
                        && hex(&Sha256::digest(stored.body.as_bytes())) == acked.digest
                });
                found.must(same, || format!("{acked:?} is not what the log holds there"));
            }
        }
    }
    found
}

/// I2: positions without a gap, the chain computed anew, no event about what has ended.
pub(super) fn unbroken(facts: &Facts) -> Found {
    let mut found = Found::default();
    for error in &facts.undecoded {
        found.wrong(error.clone());
    }
    for (log, frames) in &facts.stored {
        let (mut position, mut chain) = (Position(0), Chain::START);
        for frame in frames {
            let expected = position.next();
            found.must(frame.envelope.position == expected, || {
                format!("{log}: {} stands where {expected} should", frame.envelope.position)
            });
            chain = chain.next(&frame.envelope, &frame.body);
            found.must(chain == frame.chain, || {
                format!("{log}: the chain breaks at {}", frame.envelope.position)
            });
            position = frame.envelope.position;
        }
        let ends = facts.logs.get(log).map(|(tail, _, end)| (*tail, *end));
        found.must(ends == Some((position, chain)), || {
            format!("{log}: its row says {ends:?}, its frames end at {position}")
        });
    }
    for session in facts.sessions.keys() {
        after_the_end(facts, *session, &mut found);
    }
    found
}

/// Nothing may happen to a turn that is over, nor to a call that is closed.
fn after_the_end(facts: &Facts, session: SessionId, found: &mut Found) {
    let mut over: BTreeSet<TurnId> = BTreeSet::new();
    let mut closed: BTreeSet<ToolCallNo> = BTreeSet::new();
    for event in facts.of(session) {
        let (turn, call) = match event {
            Event::ModelCallStarted { turn, .. }
            | Event::TurnStarted { turn, .. }
            | Event::TurnFinished { turn, .. } => (Some(*turn), None),
            Event::ToolRequested { call, by: Caller::Model { turn }, .. } => {
                (Some(*turn), Some(*call))
            }
            Event::ToolStarted { call, .. } | Event::ToolFinished { call, .. } => {
                (None, Some(*call))
            }
            _ => (None, None),
        };
        if turn.is_some() || call.is_some() {
            let late = turn.is_some_and(|turn| over.contains(&turn))
                || call.is_some_and(|call| closed.contains(&call));
            found.must(!late, || format!("{session}: {} after the end", event.name()));
        }
        match event {
            Event::TurnFinished { turn, .. } => drop(over.insert(*turn)),
            Event::ToolFinished { call, .. } => drop(closed.insert(*call)),
            _ => {}
        }
    }
}

/// I10: tokens only grow, within a log and in the order of the commits.
pub(super) fn fenced(facts: &Facts) -> Found {
    let mut found = Found::default();
    let mut last: BTreeMap<LogId, (Position, Token)> = BTreeMap::new();
    for (log, position, token) in &facts.commits {
        if let Some((before, owner)) = last.insert(*log, (*position, *token)) {
            found.must(before < *position && owner <= *token, || {
                format!("{log}: {position} under {token} after {before} under {owner}")
            });
        }
    }
    for (log, (_, newest)) in last {
        let owner = facts.logs.get(&log).map(|(_, token, _)| *token);
        found.must(owner.is_some_and(|owner| owner >= newest), || {
            format!("{log}: its row knows owner {owner:?}, a frame is by {newest}")
        });
    }
    found
}

/// I12: the file passes its own checks, and the write-ahead log stays small.
pub(super) fn sound(facts: &Facts) -> Found {
    let mut found = Found::default();
    found.must(facts.integrity == ["ok"], || format!("integrity_check: {:?}", facts.integrity));
    found.must(facts.foreign_keys == 0, || format!("{} broken links", facts.foreign_keys));
    found.must(facts.wal_bytes <= WAL_MAX, || {
        format!("the write-ahead log has {} bytes", facts.wal_bytes)
    });
    found
}
