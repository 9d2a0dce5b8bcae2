//! How the turn of an input ended, as the session's log says it. It is a reading: the input is found by
//! its key in the catalog, and from there on the log is read as far as the turn goes; nobody is woken,
//! nothing is folded, and what lies before it costs nothing.

use crate::{
    domain::{
        event::Event,
        ids::{InputKey, Position, SessionId, TurnId},
        outcome::TurnOutcome,
    },
    limits,
};

use super::{CallError, Reading};

/// An input whose turn is looked for: it knows how far the log was read.
#[derive(Clone, Debug)]
pub struct Sought {
    session: SessionId,
    key: InputKey,
    cursor: Position,
    turn: Option<TurnId>,
}

impl Reading {
    /// An input of a session, if it has accepted one under this key.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn input(
        &self,
        session: SessionId,
        key: &InputKey,
    ) -> Result<Option<Sought>, CallError> {
        let at = self.catalog().input(session, key.clone()).await?;
        // Its turn may have begun in the same frame.
        let before = |at: Position| Position(at.0.saturating_sub(1));
        Ok(at.map(|at| Sought { session, key: key.clone(), cursor: before(at), turn: None }))
    }

    /// Reads on, up to the log's end or to that of the input's turn. Nothing where it has not ended yet;
    /// asked again, it goes on where it was.
    ///
    /// # Errors
    /// When the log cannot be read or does not hang together.
    pub async fn turn_of(
        &self,
        sought: &mut Sought,
    ) -> Result<Option<(TurnId, TurnOutcome)>, CallError> {
        loop {
            let frames = self.page(sought.session, sought.cursor, limits::READ_FRAMES).await?;
            if frames.is_empty() {
                return Ok(None);
            }
            for frame in frames {
                let ended = frame.events.into_iter().find_map(|event| sought.see(event));
                if ended.is_some() {
                    return Ok(ended);
                }
                sought.cursor = frame.envelope.position;
            }
        }
    }
}

impl Sought {
    #[expect(clippy::wildcard_enum_match_arm, reason = "a turn begins and ends with these alone")]
    fn see(&mut self, event: Event) -> Option<(TurnId, TurnOutcome)> {
        match event {
            Event::TurnStarted { turn, key, .. } if key == self.key => self.turn = Some(turn),
            Event::TurnFinished { turn, outcome } if self.turn == Some(turn) => {
                return Some((turn, outcome));
            }
            _ => {}
        }
        None
    }
}
