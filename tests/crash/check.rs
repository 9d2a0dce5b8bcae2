//! The invariants, each a pure function over the facts of a run: it says what is wrong and how
//! much it has looked at. One that has looked at nothing proves nothing, and counts as broken.

mod failures;
mod logs;
mod money;
pub(crate) mod prompts;
mod turns;
mod work;

use greenroom_actors::{
    domain::{event::Event, ids::SessionId},
    policy::turn::{self, State},
};

use super::facts::{Facts, Frame};

/// What a checker found.
#[derive(Clone, Debug, Default)]
pub(crate) struct Found {
    /// What is wrong.
    pub(crate) violations: Vec<String>,
    /// How many things it looked at.
    pub(crate) seen: u64,
}

impl Found {
    /// Looks at one more thing, which must hold.
    fn must(&mut self, holds: bool, otherwise: impl FnOnce() -> String) {
        self.seen += 1;
        if !holds {
            self.violations.push(otherwise());
        }
    }

    fn wrong(&mut self, what: String) {
        self.violations.push(what);
    }
}

/// A checker.
pub(crate) type Check = fn(&Facts) -> Found;

/// All of them, by the invariant they check.
pub(crate) const ALL: [(&str, Check); 15] = [
    ("I1 acknowledged is in the log", logs::acknowledged),
    ("I2 no gap, whole chain, nothing after an end", logs::unbroken),
    ("I3 each tool call closes once, no dangling call", work::closed),
    ("I4 once is once outside", work::outside),
    ("I5 settled is delivered", money::settled),
    ("I6 within budget at every prefix", money::within),
    ("I7 whoever has work has a next step or a reason", turns::next_step),
    ("I9 no start without leave", work::allowed),
    ("I10 no older owner after a newer one", logs::fenced),
    ("I11 the fold is the state, every end once", turns::folded),
    ("I12 the file is sound", logs::sound),
    ("I14 what was due took effect once", turns::due),
    ("I15 the same log asks the same bytes", prompts::same),
    ("I15b the same prompt is sent in the same bytes", prompts::sent),
    ("I16 a failed call is made again exactly where it may be", failures::again),
];

/// The state before a session's first frame: for a fork, where its base stood.
fn begin(facts: &Facts, session: SessionId, frames: &[Frame<Event>]) -> Result<State, String> {
    let first = frames.first().and_then(|frame| frame.events.first());
    let Some(Event::SessionOpened { fork: Some(point), .. }) = first else {
        return Ok(State::new(session));
    };
    let base = facts.sessions.get(&point.session).map_or(&[][..], Vec::as_slice);
    let upto = base.iter().take_while(|frame| frame.envelope.position <= point.at).count();
    let mut state = fold(facts, point.session, &base[..upto])?;
    state.session = session;
    Ok(state)
}

/// The state a session's frames fold to.
fn fold(facts: &Facts, session: SessionId, frames: &[Frame<Event>]) -> Result<State, String> {
    let mut state = begin(facts, session, frames)?;
    for frame in frames {
        turn::fold(&mut state, &frame.events, frame.envelope.at)
            .map_err(|error| format!("{session} at {}: {error}", frame.envelope.position))?;
    }
    Ok(state)
}
