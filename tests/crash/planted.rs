//! Faults planted into the facts of a clean run. A checker that does not flag what is planted for
//! it would not flag a real one either.

mod hands;

use greenroom_actors::domain::{
    budget::Amount,
    event::{Caller, Event, TimerKind},
    grant::GrantEvent,
    ids::{CallId, SessionId, Timestamp},
    outcome::{ChildOutcome, TurnOutcome},
    permission::{Basis, Closed, RequestDigest},
    tool::{EffectClass, ToolOutcome},
    usage::{Settlement, Usage},
};

use hands::{
    alter, asks_else, done_once, made_again, only, remove, repeat, seen_again, sends_else, settled,
    started,
};

use super::{check, control::Promise, facts::Facts, model::ModelRecord, sink::SinkRecord};

/// Plants one fault; whether there was a place for it.
type Plant = fn(&mut Facts) -> bool;

/// Plants each; how many were flagged, and which were not.
pub(crate) fn test(facts: &Facts) -> (u64, Vec<String>) {
    let (mut flagged, mut missed) = (0, Vec::new());
    for (name, check) in check::ALL {
        let id = name.split(' ').next().unwrap_or_default();
        let mine = PLANTS.iter().filter(|(of, _, _)| *of == id);
        let mut planted = 0;
        for (_, what, plant) in mine {
            planted += 1;
            let mut changed = facts.clone();
            if !plant(&mut changed) {
                missed.push(format!("{id}: no place to plant: {what}"));
            } else if check(&changed).violations.is_empty() {
                missed.push(format!("{id} does not flag: {what}"));
            } else {
                flagged += 1;
            }
        }
        if planted == 0 {
            missed.push(format!("{id}: nothing is planted for it"));
        }
    }
    (flagged, missed)
}

const PLANTS: &[(&str, &str, Plant)] = &[
    ("I1", "an acknowledged frame is gone", |facts| {
        let last = facts.client.iter().rev().find_map(|promise| match promise {
            Promise::Frame(acked) => Some(acked.session),
            _ => None,
        });
        let log = last.map(greenroom_actors::domain::frame::LogId::session);
        log.and_then(|log| facts.stored.get_mut(&log)?.pop()).is_some()
    }),
    ("I1", "an acknowledged frame says something else", |facts| {
        facts.client.iter_mut().any(|promise| match promise {
            Promise::Frame(acked) => {
                acked.digest = "0".repeat(64);
                true
            }
            _ => false,
        })
    }),
    ("I1", "an accepted input is gone", |facts| {
        remove(
            facts,
            |event| matches!(event, Event::InputAccepted { input, .. } if input.assignment.is_none()),
        )
    }),
    ("I1", "an answer is gone", |facts| {
        remove(facts, |event| matches!(event, Event::ApprovalDecided { .. }))
    }),
    ("I1", "a turn ended otherwise than was told", |facts| {
        facts.client.iter_mut().any(|promise| match promise {
            Promise::Ended { outcome, .. } => {
                *outcome = TurnOutcome::Failed { reason: "planted".to_owned() };
                true
            }
            _ => false,
        })
    }),
    ("I1", "a call of the client's own is gone", |facts| {
        remove(facts, |event| matches!(event, Event::ToolRequested { by: Caller::Host { .. }, .. }))
    }),
    ("I2", "a frame is missing in the middle", |facts| {
        let long = facts.stored.values_mut().find(|frames| frames.len() > 3);
        long.map(|frames| frames.remove(1)).is_some()
    }),
    ("I2", "a body was changed", |facts| {
        let frame = facts.stored.values_mut().find_map(|frames| frames.last_mut());
        frame.map(|frame| frame.body.push(' ')).is_some()
    }),
    ("I2", "the last frame is missing", |facts| {
        let long = facts.stored.values_mut().find(|frames| frames.len() > 3);
        long.and_then(Vec::pop).is_some()
    }),
    ("I2", "a call goes on after its end", |facts| {
        repeat(facts, |event| matches!(event, Event::ToolFinished { .. }))
    }),
    ("I2", "a turn goes on after its end", |facts| {
        repeat(facts, |event| matches!(event, Event::TurnFinished { .. }))
    }),
    ("I3", "a call never closes", |facts| {
        remove(facts, |event| matches!(event, Event::ToolFinished { .. }))
    }),
    ("I3", "a call closes twice", |facts| {
        repeat(facts, |event| matches!(event, Event::ToolFinished { .. }))
    }),
    ("I4", "a once effect is seen twice", |facts| seen_again(facts, EffectClass::Once)),
    ("I4", "a verifiable effect is seen twice", |facts| seen_again(facts, EffectClass::Verifiable)),
    ("I4", "a done effect was never seen", |facts| {
        let done = done_once(facts);
        let Some(done) = done else { return false };
        facts.sink.retain(|record| !matches!(record, SinkRecord::Seen { key, .. } if *key == done));
        true
    }),
    ("I4", "an effect that nobody started", |facts| {
        let key = CallId::tool(SessionId(uuid::Uuid::nil()), Default::default()).to_string();
        let (class, payload) = (EffectClass::Pure, "x".to_owned());
        facts.sink.push(SinkRecord::Seen { key, class, payload, count: 1 });
        true
    }),
    ("I4", "an effect of other arguments", |facts| {
        facts.sink.iter_mut().any(|record| match record {
            SinkRecord::Seen { payload, .. } => {
                payload.push('!');
                true
            }
            _ => false,
        })
    }),
    ("I5", "the vendor delivered one token more", |facts| {
        facts.model.iter_mut().any(|record| match record {
            ModelRecord::Delivered { usage: Some(usage), .. } => {
                usage.cache_read += 1;
                true
            }
            _ => false,
        })
    }),
    ("I5", "a call was never booked", |facts| {
        remove(facts, |event| matches!(event, Event::UsageSettled { .. }))
    }),
    ("I5", "a call was booked twice", |facts| {
        repeat(facts, |event| matches!(event, Event::UsageSettled { .. }))
    }),
    ("I5", "a call was made twice", |facts| {
        let first = facts.model.first().cloned();
        facts.model.extend(first);
        true
    }),
    ("I5", "a broken call cost more than its booking", |facts| {
        facts.model.iter_mut().any(|record| {
            let call = record.call();
            let broken = matches!(record, ModelRecord::Broken { .. });
            if broken {
                let usage = Usage { output: u64::from(u32::MAX), ..Usage::default() };
                *record = ModelRecord::Broken { call, usage, pieces: 1, finished: false };
            }
            broken
        })
    }),
    ("I5", "a delivered call was booked at a bound", |facts| {
        let mut found = None;
        for (session, frames) in &mut facts.sessions {
            for event in frames.iter_mut().flat_map(|frame| &mut frame.events) {
                if let Event::UsageSettled { call, settlement, .. } = event
                    && matches!(settlement, Settlement::Exact { .. })
                    && found.is_none()
                {
                    *settlement = Settlement::Unsettled { tokens_max: 1 << 30, cost_max: None };
                    found = Some((*session, call.0));
                }
            }
        }
        // The read model agrees, so that nothing but the vendor's word gives it away.
        let row = found.and_then(|call| facts.booked.get_mut(&call));
        row.is_some_and(|row| {
            "unsettled".clone_into(&mut row.kind);
            (row.tokens, row.tokens_max) = ([0; 5], 1 << 30);
            true
        })
    }),
    ("I5", "the read model lost a row", |facts| facts.booked.pop_first().is_some()),
    ("I6", "a call came to more than the budget", |facts| {
        settled(facts, |actual| *actual = Amount { tokens: 1 << 40, ..*actual })
    }),
    ("I6", "one token more than its session says", |facts| {
        settled(facts, |actual| actual.tokens += 1)
    }),
    ("I6", "room is held for ever", |facts| {
        let mut frames = facts.ledgers.values_mut().flatten();
        frames.any(|frame| {
            let before = frame.events.len();
            frame.events.retain(|event| !matches!(event, GrantEvent::Settled { .. }));
            frame.events.len() < before
        })
    }),
    ("I7", "a turn was forgotten", |facts| {
        remove(facts, |event| matches!(event, Event::TurnFinished { .. }))
    }),
    ("I7", "a session is off the stage", |facts| {
        let frame = facts.sessions.values_mut().find_map(|frames| frames.last_mut());
        let reason = "planted".to_owned();
        frame.map(|frame| frame.events.push(Event::SessionQuarantined { reason })).is_some()
    }),
    ("I7", "the read model knows nothing of a session", |facts| facts.lines.pop_first().is_some()),
    ("I7", "the read model would never wake it", |facts| {
        facts.lines.values_mut().next().map(|line| line.wake_at = Some(7)).is_some()
    }),
    ("I7", "a question is missing in the inbox", |facts| {
        remove(facts, |event| matches!(event, Event::ApprovalDecided { .. }))
    }),
    ("I9", "another request was started", |facts| {
        started(facts, |_, digest, _| {
            *digest = RequestDigest("0".repeat(64));
            true
        })
    }),
    ("I9", "a tool outside on no ground", |facts| {
        started(facts, |_, _, basis| {
            let rules = matches!(basis, Basis::Rules { .. });
            if rules {
                *basis = Basis::BuiltIn;
            }
            rules
        })
    }),
    ("I9", "an asked tool by a rule that is not there", |facts| {
        started(facts, |_, _, basis| {
            let approved = matches!(basis, Basis::Approval { .. });
            if approved {
                *basis = Basis::Rules { reasons: Vec::new() };
            }
            approved
        })
    }),
    ("I9", "an approval that was never given", |facts| {
        // The one that a start used.
        let mut used = None;
        started(facts, |_, _, basis| match basis {
            Basis::Approval { no } => {
                used = Some(*no);
                true
            }
            _ => false,
        });
        let Some(used) = used else { return false };
        facts.sessions.values_mut().flatten().for_each(|frame| {
            frame
                .events
                .retain(|event| !matches!(event, Event::ApprovalDecided { no, .. } if *no == used));
        });
        true
    }),
    ("I9", "an approval was used twice", |facts| {
        repeat(facts, |event| {
            matches!(event, Event::ToolStarted { basis: Basis::Approval { .. }, .. })
        })
    }),
    ("I10", "an older owner after a newer one", |facts| {
        let log = facts.commits.last().map(|(log, position, _)| (*log, *position));
        let Some((log, position)) = log else { return false };
        let (next, token) = (position.next(), Default::default());
        facts.commits.push((log, next, token));
        true
    }),
    ("I10", "a frame by an owner that never claimed", |facts| {
        facts.commits.last_mut().map(|(_, _, token)| token.0 += 1_000).is_some()
    }),
    ("I11", "the bytes say something else", |facts| {
        let mut frames = facts.sessions.values_mut().flatten();
        frames.any(|frame| {
            frame.events.iter_mut().any(|event| match event {
                Event::ToolFinished { outcome, .. } => {
                    *outcome = ToolOutcome::OutcomeUnknown;
                    true
                }
                _ => false,
            })
        })
    }),
    ("I11", "a turn ends twice", |facts| {
        repeat(facts, |event| matches!(event, Event::TurnFinished { .. }))
    }),
    ("I11", "a child is forgotten", |facts| {
        remove(facts, |event| matches!(event, Event::ChildFinished { .. }))
    }),
    ("I11", "a child is told twice", |facts| {
        repeat(facts, |event| matches!(event, Event::ChildFinished { .. }))
    }),
    ("I11", "a parent is told another end", |facts| {
        alter(facts, |event| match event {
            Event::ChildFinished { report, .. } => {
                let outcome = TurnOutcome::Failed { reason: "planted".to_owned() };
                report.outcome = ChildOutcome::Turn { outcome };
                true
            }
            _ => false,
        })
    }),
    ("I11", "a model call ends twice", |facts| {
        repeat(facts, |event| matches!(event, Event::ModelCallFinished { .. }))
    }),
    ("I12", "the file fails its own check", |facts| {
        facts.integrity = vec!["row 7 missing from index".to_owned()];
        true
    }),
    ("I12", "a row points nowhere", |facts| {
        facts.foreign_keys = 1;
        true
    }),
    ("I12", "the write-ahead log never shrinks", |facts| {
        facts.wal_bytes = 1 << 30;
        true
    }),
    ("I14", "a retry never fires", |facts| {
        remove(facts, |event| matches!(event, Event::TimerFired { timer: TimerKind::Retry }))
    }),
    ("I14", "a retry fires twice", |facts| {
        repeat(facts, |event| matches!(event, Event::TimerFired { timer: TimerKind::Retry }))
    }),
    ("I14", "a retry fires too early", |facts| {
        alter(facts, |event| match event {
            Event::TimerSet { at, .. } => {
                *at = Timestamp(i64::MAX);
                true
            }
            _ => false,
        })
    }),
    ("I14", "a question expires too early", |facts| {
        let expired =
            |event: &Event| matches!(event, Event::ApprovalClosed { why: Closed::Expired, .. });
        let frame = facts.sessions.values_mut().flatten().find(|f| f.events.iter().any(expired));
        frame.map(|frame| frame.envelope.at = Timestamp(0)).is_some()
    }),
    ("I14", "a question stays open for ever", |facts| {
        remove(facts, |event| matches!(event, Event::ApprovalClosed { .. }))
    }),
    ("I14", "an expiry without effect", |facts| {
        let expired =
            |event: &Event| matches!(event, Event::ApprovalClosed { why: Closed::Expired, .. });
        let frame = facts.sessions.values_mut().flatten().find(|f| f.events.iter().any(expired));
        let Some(frame) = frame else { return false };
        frame.events.retain(|event| !matches!(event, Event::ToolFinished { .. }));
        true
    }),
    // Each is found by one of the three comparisons alone; the log is read when all has healed.
    ("I15", "a call made again asks for something else", |facts| {
        facts.healed = false;
        asks_else(facts, |steps| steps.iter().find(|calls| calls.len() > 1)?.last().copied())
    }),
    ("I15", "a step begins another conversation", |facts| {
        facts.healed = false;
        asks_else(facts, |steps| only(steps.last().filter(|_| steps.len() > 1)?))
    }),
    ("I15", "an only step asks what its log does not give", |facts| {
        asks_else(facts, |steps| only(steps.first().filter(|_| steps.len() == 1)?))
    }),
    ("I15b", "a prompt asked again is sent in other bytes", |facts| {
        sends_else(facts, |steps| steps.iter().find(|calls| calls.len() > 1)?.last().copied())
    }),
    ("I15b", "a step sends another conversation", |facts| {
        sends_else(facts, |steps| only(steps.last().filter(|_| steps.len() > 1)?))
    }),
    ("I16", "an answer that broke off is asked for again", made_again),
    ("I16", "a turn fails of what may be asked again", |facts| {
        alter(facts, |event| match event {
            Event::ModelCallFailed { failure, .. } => std::mem::take(&mut failure.emitted),
            _ => false,
        })
    }),
    ("I16", "an answer broke off before it had begun", |facts| {
        facts.model.iter_mut().any(|record| match record {
            ModelRecord::Failed { pieces, .. } => std::mem::take(pieces) > 0,
            _ => false,
        })
    }),
];
