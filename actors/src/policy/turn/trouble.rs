//! After a failed model call: made again after a pause, made by the next model of the agent's chain,
//! or the end of the turn. Nobody else makes a call again: neither an adapter nor a gate.
//!
//! ```text
//!   pieces given out ─────────────────────────────────────────────▶ end
//!   patience asked for ──▶ pause, within the turn's time ──╮
//!   may pass by itself ──▶ pause, `retries` times ─────────┤ none left
//!   cannot pass (key, quota, request) ─────────────────────┴──▶ next of the chain, else end
//! ```

use crate::{
    domain::{
        event::{Event, FailureKind, ModelFailure, TimerKind},
        ids::Timestamp,
        outcome::TurnOutcome,
    },
    limits,
    policy::recovery,
};

use super::desk::Desk;

/// What a failed call is followed by.
enum Next {
    /// The same call, then.
    Again { at: Timestamp },
    /// The next model of the chain.
    Chain,
    /// Nothing: the turn ends, for this reason.
    End { reason: String },
}

impl Desk<'_, '_> {
    /// Decides after a failure of the running turn's model; `tries` counts those that used up a
    /// retry, this one included.
    pub(super) fn after_failure(&mut self, failure: &ModelFailure, tries: u32) {
        let Some(turn) = self.state.turn.as_ref().map(|turn| turn.id) else { return };
        match self.next(failure, tries) {
            Next::Again { at } => self.emit(Event::TimerSet { timer: TimerKind::Retry, at }),
            Next::Chain => self.fall_back(failure),
            Next::End { reason } => self.end_turn(turn, TurnOutcome::Failed { reason }),
        }
    }

    fn next(&self, failure: &ModelFailure, tries: u32) -> Next {
        let Some(turn) = &self.state.turn else { return Next::Chain };
        let message = &failure.message;
        if failure.emitted {
            let reason = format!(
                "the model's answer broke off after pieces of it had been given out, so the call \
                 was not made again: {message}"
            );
            return Next::End { reason };
        }
        let after = |failures: u32| {
            let asked = failure.retry_after_ms;
            let pause = recovery::retry_pause(failures, asked, self.env.random);
            self.env.now.plus_ms(pause)
        };
        if failure.asks_for_patience() {
            // The state has counted this one already.
            let at = after(turn.patience);
            if at < turn.deadline {
                return Next::Again { at };
            }
        } else if failure.retryable && tries <= self.retries() {
            return Next::Again { at: after(tries) };
        }
        if !turn.fallback.is_empty() && may_fall_back(failure.kind) {
            return Next::Chain;
        }
        let reason = if failure.asks_for_patience() {
            let at = after(turn.patience).utc();
            format!("the model asks to wait until {at}, beyond the turn's time: {message}")
        } else {
            let times = if tries == 1 { "once".to_owned() } else { format!("{tries} times") };
            format!("the model call failed {times}: {message}")
        };
        Next::End { reason }
    }

    fn retries(&self) -> u32 {
        self.state.agent().map_or(limits::MODEL_RETRIES, |agent| agent.limits.retries)
    }

    /// The next model of the chain takes the turn over. It asks for room of its own, at its own
    /// price, and has the same number of retries. The next turn begins with the agent's first model:
    /// the chain says what is preferred, and what troubled the first may have passed by then.
    fn fall_back(&mut self, failure: &ModelFailure) {
        let Some(turn) = &self.state.turn else { return };
        let Some(to) = turn.fallback.first().cloned() else { return };
        let (turn, from) = (turn.id, turn.choice());
        let reason = format!("{}: {}", failure.kind.word(), failure.message);
        self.emit(Event::ModelFellBack { turn, from, to, reason });
    }
}

/// Whether another model may do where this one failed so. A model that refuses has answered, and is
/// not a failure: nobody is asked in turn until one agrees.
const fn may_fall_back(kind: FailureKind) -> bool {
    match kind {
        FailureKind::Auth
        | FailureKind::Quota
        | FailureKind::BadRequest
        | FailureKind::RateLimited
        | FailureKind::Overloaded
        | FailureKind::Transport
        | FailureKind::EndedEarly
        | FailureKind::TimedOut
        | FailureKind::Malformed => true,
        FailureKind::Aborted | FailureKind::Lost => false,
    }
}
