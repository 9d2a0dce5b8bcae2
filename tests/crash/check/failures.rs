//! Failed model calls: who asks again, and who does not. An answer that broke off after pieces of
//! it had been given out is not asked for twice in its turn; whatever else fails in this load is
//! outlasted, rate limits also by an agent with fewer retries than there are of them.

use std::collections::{BTreeMap, BTreeSet};

use greenroom_actors::domain::{
    event::Event,
    ids::{CallId, ModelCallNo, TurnId},
    outcome::TurnOutcome,
};

use super::Found;
use crate::{facts::Facts, model::ModelRecord};

/// I16: a turn fails of an answer that broke off, of nothing else, and at once.
pub(super) fn again(facts: &Facts) -> Found {
    let mut found = Found::default();
    let sent: BTreeMap<CallId, u64> = facts.model.iter().filter_map(pieces).collect();
    for session in facts.sessions.keys() {
        let mut turns: BTreeMap<ModelCallNo, TurnId> = BTreeMap::new();
        let mut broken: BTreeSet<TurnId> = BTreeSet::new();
        for event in facts.of(*session) {
            match event {
                Event::ModelCallStarted { call, turn, .. } => {
                    found.must(!broken.contains(turn), || {
                        format!("{session}: {call} is made behind an answer that broke off")
                    });
                    turns.insert(*call, *turn);
                }
                Event::ModelCallFailed { call, failure } if failure.emitted => {
                    broken.extend(turns.get(call));
                    let id = CallId::model(*session, *call);
                    let pieces = sent.get(&id).copied().unwrap_or(0);
                    found.must(pieces > 0 || !facts.healed, || {
                        format!("{id} broke off amid an answer of which nothing had been sent")
                    });
                }
                Event::TurnFinished { turn, outcome: TurnOutcome::Failed { reason } } => {
                    found.must(broken.contains(turn), || {
                        format!("{session}: turn {turn} failed, though it may ask again: {reason}")
                    });
                }
                _ => {}
            }
        }
    }
    found
}

/// How many pieces of a broken answer had been sent.
fn pieces(record: &ModelRecord) -> Option<(CallId, u64)> {
    match record {
        ModelRecord::Failed { call, pieces, .. } | ModelRecord::Broken { call, pieces, .. } => {
            Some((*call, *pieces))
        }
        ModelRecord::Arrived { .. } | ModelRecord::Delivered { .. } => None,
    }
}
