//! The turn machine: what a session does next, decided without clocks, randomness or I/O.
//!
//! `step` decides: it takes one input, writes the events that follow from it and returns the
//! effects to perform once those events are committed. `apply` folds: it is the only thing that
//! changes a `State`, in a live session and on recovery alike, so the state is always the fold of
//! the log. They are two functions so that a change of the rules never rewrites history.
//!
//! What is in hand is not remembered but derived: `pending` reads the standing effects off the
//! state. A live step returns the ones that are new; recovery returns all of them. So a session
//! that was killed goes on by the very code that would have gone on anyway.
//!
//! ```text
//!            input                 no tools asked for
//!   idle ──────────▶ needs a model ─────────────────────▶ finished
//!                     │    ▲    ▲ ╲ failed: pause, again
//!        (budget ok?) ▼    │    ╰──╮
//!                   model call ────╯
//!                     │ tools asked for
//!                     ▼    │ all closed
//!                   tools ─╯   each: asked? → slot → started → closed
//! ```
//!
//! A cancel is a mark on the turn: what has not started closes at once, what runs is aborted, and
//! the turn ends when nothing of it is open any more, children included.

pub mod apply;
pub mod audit;
pub mod builtin;
pub mod input;
pub mod pending;
pub mod prompt;
pub mod state;

mod approvals;
mod cancel;
mod desk;
mod images;
mod measure;
mod models;
mod recover;
mod tools;
mod trouble;

#[cfg(test)]
mod tests;

pub(crate) use apply::is_progress;
pub use apply::{Impossible, apply};
pub use input::{Checks, Effect, Env, Input, Purpose, Rejected, Run};
pub use pending::pending;
pub use state::State;

use crate::{
    domain::{event::Event, ids::Timestamp},
    policy::turn::desk::Desk,
};

/// Decides what follows from one input. The state moves with the events it emits; the effects,
/// `Append` first, are performed in order, each after the append is committed. If the append is
/// not committed the state is thrown away with the actor that held it.
///
/// # Errors
/// When whoever asked must be told no; then nothing has changed.
pub fn step(state: &mut State, env: &Env<'_>, input: Input) -> Result<Vec<Effect>, Rejected> {
    if env.dark {
        return note_down(state, env, input);
    }
    let recovering = matches!(input, Input::Recovered { .. } | Input::Readmitted { .. });
    // What a quarantined session had started, an earlier incarnation had started.
    let again = recovering || matches!(input, Input::Released { .. });
    let standing = pending(state, Run::First);
    let mut desk = Desk::new(state, env, &standing);
    desk.take(input)?;
    let (events, once) = desk.finish();
    let run = if again { Run::Again } else { Run::First };
    let before = if recovering { Vec::new() } else { standing };
    let mut effects = Vec::new();
    if !events.is_empty() {
        effects.push(Effect::Append { events });
    }
    effects.extend(once);
    effects.extend(pending(state, run).into_iter().filter(|effect| !before.contains(effect)));
    Ok(effects)
}

/// A word in a dark house: it is decided and written, and nothing follows from it here. What was in
/// hand stays as the log says, for the next house to take up; its recovery asks what is pending
/// and finds this word among the rest.
fn note_down(state: &mut State, env: &Env<'_>, input: Input) -> Result<Vec<Effect>, Rejected> {
    if matches!(input, Input::Recovered { .. } | Input::Readmitted { .. } | Input::TimerFired) {
        return Ok(Vec::new());
    }
    let mut desk = Desk::new(state, env, &[]);
    desk.take(input)?;
    let (events, once) = desk.finish();
    // A rule for every session goes to the house log, which is written in the dark as well; and
    // whoever waits at this very house for what the word has ended is told.
    let kept = once.into_iter().filter(|effect| {
        matches!(
            effect,
            Effect::Remember { .. } | Effect::Finish { .. } | Effect::FinishCall { .. }
        )
    });
    let append = (!events.is_empty()).then_some(Effect::Append { events });
    Ok(append.into_iter().chain(kept).collect())
}

/// Folds a frame's events.
///
/// # Errors
/// When an event cannot follow what came before.
pub fn fold(state: &mut State, events: &[Event], at: Timestamp) -> Result<(), Impossible> {
    for event in events {
        apply(state, event, at)?;
    }
    Ok(())
}

/// An error with all its causes, for the model to read.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
