//! Holds a log against the machine: would the machine have written this frame? The fold alone does
//! not say: it takes whatever can follow, also a turn that ended for no reason.
//!
//! A frame is one step, and a step has one cause. What the cause was stands in the frame (`causes`);
//! what else it rested on and no log holds is read off what was decided (`given`): what rules said of a
//! call, what a tool said of its arguments, prices, the random part of a pause, which slots were free.
//! The machine then takes the step again with these, and its events are compared with those of the log
//! (`compare`). So what is given is not verified, and all that follows from it is.
//!
//! It refuses to guess: a frame that no cause explains differs, also one that a machine with other
//! rules may have written.

mod causes;
mod compare;
mod given;

use crate::domain::{
    event::{Event, TimerKind},
    ids::Timestamp,
    usage::PriceBook,
};

use super::{
    desk::Desk,
    fold,
    input::{Checks, Env, Run},
    pending,
    state::State,
};
use causes::Cause;
pub(super) use given::Given;

/// Where a frame is not what the machine would have written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("event {event}: {why}")]
pub struct Differs {
    /// Which event of the frame, from 1.
    pub event: usize,
    /// In what.
    pub why: String,
}

/// Takes a frame's step again and folds the frame.
///
/// # Errors
/// When the frame cannot follow, or the machine would have written another.
pub fn audit(state: &mut State, events: &[Event], at: Timestamp) -> Result<(), Differs> {
    let mut after = state.clone();
    legal(&mut after, events, at)?;
    let given = Given::of(state, events);
    let mut nearest: Option<Differs> = None;
    for cause in causes::causes(state, events) {
        let Some(written) = again(state, &given, (&cause, events), at) else { continue };
        match compare::compare(events, written) {
            Ok(()) => {
                *state = after;
                return Ok(());
            }
            Err(differs) => {
                if nearest.as_ref().is_none_or(|nearest| nearest.event < differs.event) {
                    nearest = Some(differs);
                }
            }
        }
    }
    let name = events.first().map_or("nothing", Event::name);
    Err(nearest.unwrap_or_else(|| Differs {
        event: 1,
        why: format!("nothing that could have happened here makes the machine write {name}"),
    }))
}

/// Folds a frame and asks only whether it can follow what came before.
///
/// # Errors
/// When it cannot.
pub fn legal(state: &mut State, events: &[Event], at: Timestamp) -> Result<(), Differs> {
    if events.is_empty() {
        return Err(Differs { event: 1, why: "the frame has no events".to_owned() });
    }
    for (no, event) in events.iter().enumerate() {
        fold(state, std::slice::from_ref(event), at)
            .map_err(|impossible| Differs { event: no + 1, why: impossible.to_string() })?;
    }
    Ok(())
}

/// What the machine writes for a cause; nothing where it refuses it.
fn again(
    state: &State,
    given: &Given,
    (cause, recorded): (&Cause, &[Event]),
    at: Timestamp,
) -> Option<Vec<Event>> {
    let written = step(state, given, cause, (at, 0))?;
    // A pause has a random part. The log says which, and the step is the same for it.
    match (pause_end(&written), pause_end(recorded)) {
        (Some(shortest), Some(taken)) if taken > shortest => {
            step(state, given, cause, (at, taken.since_ms(shortest)))
        }
        _ => Some(written),
    }
}

fn pause_end(events: &[Event]) -> Option<Timestamp> {
    events.iter().find_map(|event| {
        if let Event::TimerSet { timer: TimerKind::Retry, at } = event { Some(*at) } else { None }
    })
}

fn step(
    state: &State,
    given: &Given,
    cause: &Cause,
    (now, random): (Timestamp, u64),
) -> Option<Vec<Event>> {
    let look = |name: &_, args: &_| given.look(name, args);
    let env = Env {
        now,
        random,
        by: &cause.by,
        policy: &given.policy,
        agents: &given.agents,
        prices: &PriceBook::default(),
        checks: Checks(&look),
        dark: cause.dark,
        halted: None,
    };
    let mut state = state.clone();
    let standing = if cause.dark { Vec::new() } else { pending(&state, Run::First) };
    let mut desk = Desk::new(&mut state, &env, &standing).given(given);
    desk.take(cause.input.clone()).ok()?;
    let (events, _effects) = desk.finish();
    (!events.is_empty()).then_some(events)
}
