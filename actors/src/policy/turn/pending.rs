//! The standing effects of a state: what is in hand and not ended by an event yet. Read off the
//! state, never remembered, so that recovery and a live step cannot differ.

use crate::domain::{
    event::Caller,
    ids::{CallNo, ToolCallNo},
    tool::EffectClass,
};

use super::{
    builtin,
    input::{Effect, Run},
    prompt,
    state::{Stage, State, ToolCall},
};

/// All standing effects, in a fixed order. `run` says whether started tools were started by an
/// earlier incarnation.
#[must_use]
pub fn pending(state: &State, run: Run) -> Vec<Effect> {
    let mut effects = Vec::new();
    if state.opened.is_none() {
        return effects;
    }
    // Off the stage nothing runs; questions stay in the inbox.
    if state.quarantined.is_none() {
        model(state, &mut effects);
        for (no, call) in &state.calls {
            tool(state, *no, call, run, &mut effects);
        }
    }
    children(state, &mut effects);
    for (no, ask) in &state.approvals {
        effects.push(Effect::AskPermission { no: *no, ask: Box::new(ask.clone()) });
    }
    if let Some(at) = state.next_wake() {
        effects.push(Effect::SetTimer { at });
    }
    effects
}

/// Whether the running turn wants a model call that it has not begun.
#[must_use]
pub fn wants_model(state: &State) -> bool {
    state.turn.as_ref().is_some_and(|turn| {
        turn.cancel.is_none()
            && turn.calling.is_none()
            && turn.retry_at.is_none()
            && turn.last_word.is_none()
            && turn.batch.iter().all(|(_, result)| result.is_some())
    })
}

fn model(state: &State, effects: &mut Vec<Effect>) {
    let Some(turn) = &state.turn else { return };
    if let Some(calling) = &turn.calling {
        let call = calling.call;
        effects.push(if turn.cancel.is_some() {
            Effect::AbortModel { call }
        } else {
            Effect::CallModel { call }
        });
    } else if wants_model(state) {
        // Without a budget on the path the call was begun at once, so this waits for the ledger.
        effects.push(Effect::Reserve { call: CallNo::Model(state.next.model) });
    }
}

fn tool(state: &State, no: ToolCallNo, call: &ToolCall, run: Run, effects: &mut Vec<Effect>) {
    let orphan = matches!(call.by, Caller::Model { .. }) && !state.in_turn(call);
    let waits = matches!(call.stage, Stage::Wanted | Stage::Approved { .. });
    if builtin::is_builtin(&call.name) {
        if waits && call.cancel.is_none() && builtin::assigns(&call.name) {
            effects.push(Effect::Reserve { call: CallNo::Tool(no) });
        }
        return;
    }
    let Some(spec) = state.tool(&call.name) else { return };
    if waits && call.cancel.is_none() && !orphan {
        let reserve = !prompt::accounts(state, &prompt::TOOL).is_empty();
        effects.push(Effect::AcquireSlot { call: no, pool: spec.pool.clone(), reserve });
    }
    if let Stage::Started { .. } = call.stage {
        effects.push(if call.cancel.is_some() {
            Effect::AbortTool { call: no }
        } else {
            // Only a verifiable tool asks the world first; the others do not care.
            let run = if spec.effect == EffectClass::Verifiable { run } else { Run::First };
            Effect::RunTool { call: no, run }
        });
    }
}

fn children(state: &State, effects: &mut Vec<Effect>) {
    for (child, known) in &state.children {
        for (assignment, task) in &known.assignments {
            let (child, assignment) = (*child, *assignment);
            let sent = task.report.is_none() && state.quarantined.is_none();
            if sent {
                effects.push(Effect::SpawnChild { child, assignment });
            }
            if task.is_stopping() {
                let reason = task.cancel.clone().unwrap_or_default();
                effects.push(Effect::CancelChild { child, assignment, reason });
                // Off the stage nobody is sent to work, and nobody is where one off the stage
                // refused it. But what never arrived there can only end when it does, so it goes
                // down behind its cancel, and ends as it begins.
                if !sent {
                    effects.push(Effect::SpawnChild { child, assignment });
                }
            }
        }
    }
}
