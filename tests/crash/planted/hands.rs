//! The hands that plant: each changes the first place that fits, and says whether there was one.

use greenroom_actors::domain::{
    budget::{Amount, Dimension},
    event::Event,
    grant::GrantEvent,
    ids::{CallId, ModelCallNo, SessionId},
    permission::{Basis, RequestDigest},
    tool::{EffectClass, ToolOutcome},
};

use crate::{check, facts::Facts, model::ModelRecord, sink::SinkRecord};

pub(super) fn remove(facts: &mut Facts, which: impl Fn(&Event) -> bool) -> bool {
    facts.sessions.values_mut().flatten().any(|frame| {
        let at = frame.events.iter().position(&which);
        at.map(|at| frame.events.remove(at)).is_some()
    })
}

pub(super) fn repeat(facts: &mut Facts, which: impl Fn(&Event) -> bool) -> bool {
    facts.sessions.values_mut().flatten().any(|frame| {
        let at = frame.events.iter().position(&which);
        at.map(|at| frame.events.insert(at, frame.events[at].clone())).is_some()
    })
}

pub(super) fn alter(facts: &mut Facts, change: impl Fn(&mut Event) -> bool) -> bool {
    let mut events = facts.sessions.values_mut().flatten().flat_map(|frame| &mut frame.events);
    events.any(change)
}

/// Makes a call once more whose answer broke off.
pub(super) fn made_again(facts: &mut Facts) -> bool {
    facts.sessions.values_mut().any(|frames| {
        let events = || frames.iter().flat_map(|frame| &frame.events);
        let broken = events().find_map(|event| match event {
            Event::ModelCallFailed { call, failure } if failure.emitted => Some(*call),
            _ => None,
        });
        let begun = events().find(
            |event| matches!(event, Event::ModelCallStarted { call, .. } if Some(*call) == broken),
        );
        let begun = begun.cloned();
        let last = frames.last_mut();
        last.zip(begun).map(|(frame, begun)| frame.events.push(begun)).is_some()
    })
}

pub(super) fn started(
    facts: &mut Facts,
    mut change: impl FnMut(&SessionId, &mut RequestDigest, &mut Basis) -> bool,
) -> bool {
    facts.sessions.iter_mut().any(|(session, frames)| {
        frames.iter_mut().flat_map(|frame| &mut frame.events).any(|event| match event {
            Event::ToolStarted { digest, basis, .. } => change(session, digest, basis),
            _ => false,
        })
    })
}

/// Changes what the first call below a budget of tokens came to.
pub(super) fn settled(facts: &mut Facts, change: impl Fn(&mut Amount)) -> bool {
    let mut limited = std::collections::BTreeSet::new();
    facts.ledgers.values_mut().flatten().flat_map(|frame| &mut frame.events).any(
        |event| match event {
            GrantEvent::Granted { call, accounts, bound } => {
                let tokens = |budget| Dimension::Tokens.limit(budget).is_some();
                if bound.model_calls > 0 && accounts.iter().any(|one| tokens(&one.budget)) {
                    limited.insert(*call);
                }
                false
            }
            GrantEvent::Settled { call, actual, .. } => {
                let fits = limited.contains(call);
                if fits {
                    change(actual);
                }
                fits
            }
        },
    )
}

/// Changes what a call asked by one blank, the first that is picked from a session's steps.
pub(super) fn asks_else(facts: &mut Facts, pick: Pick) -> bool {
    blank(facts, pick, |prompt, _body| prompt)
}

/// Changes what the adapter sent for it instead.
pub(super) fn sends_else(facts: &mut Facts, pick: Pick) -> bool {
    blank(facts, pick, |_prompt, body| body)
}

/// Which call of a session's steps.
type Pick = fn(&[Vec<ModelCallNo>]) -> Option<ModelCallNo>;

fn blank(
    facts: &mut Facts,
    pick: Pick,
    which: for<'a> fn(&'a mut String, &'a mut String) -> &'a mut String,
) -> bool {
    let picked = facts.sessions.iter().find_map(|(session, frames)| {
        let steps = check::prompts::steps(frames).into_values();
        let steps: Vec<Vec<ModelCallNo>> =
            steps.map(|calls| calls.into_iter().map(|(call, _)| call).collect()).collect();
        pick(&steps).map(|call| CallId::model(*session, call))
    });
    facts.model.iter_mut().any(|record| match record {
        ModelRecord::Arrived { call, prompt, body, .. } if Some(*call) == picked => {
            let text = which(prompt, body);
            *text = text.replacen("\"messages\":[", "\"messages\":[ ", 1);
            true
        }
        _ => false,
    })
}

/// The call of a step that was made once: nothing but the steps around it can give it away.
pub(super) fn only(calls: &[ModelCallNo]) -> Option<ModelCallNo> {
    calls.first().copied().filter(|_| calls.len() == 1)
}

pub(super) fn seen_again(facts: &mut Facts, wanted: EffectClass) -> bool {
    let seen = facts
        .sink
        .iter()
        .find(|record| matches!(record, SinkRecord::Seen { class, .. } if *class == wanted));
    let seen = seen.cloned();
    facts.sink.extend(seen.clone());
    seen.is_some()
}

/// The key of a `once` call that the log says is done.
pub(super) fn done_once(facts: &Facts) -> Option<String> {
    let done = |key: &str| {
        facts.events().any(|(session, _, event)| {
            matches!(event, Event::ToolFinished { call, outcome: ToolOutcome::Done { .. } }
                if CallId::tool(session, *call).to_string() == key)
        })
    };
    facts.sink.iter().find_map(|record| match record {
        SinkRecord::Seen { key, class: EffectClass::Once, .. } if done(key) => Some(key.clone()),
        _ => None,
    })
}
