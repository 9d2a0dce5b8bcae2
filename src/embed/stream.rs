//! A turn as it happens: pieces of text while they come, the events that are in the log, and in
//! the end the outcome.

use std::collections::VecDeque;

use greenroom_actors::{
    Runtime as Handle,
    domain::{
        event::Event,
        ids::{InputKey, Position, SessionId, TurnId},
        model::ModelEvent,
        outcome::TurnOutcome,
    },
    limits,
    runtime::{CallError, Heard, Listener, Note},
};

/// Something of a turn.
#[derive(Clone, Debug)]
pub enum TurnEvent {
    /// A piece of text; ephemeral.
    Text(String),
    /// A piece of thinking; ephemeral.
    Thinking(String),
    /// A tool said how far it is; ephemeral.
    Progress(String),
    /// Something that is in the log, with the frame it is in.
    Happened(Position, Box<Event>),
    /// The listener was too slow: so many notes were missed. Frames can be read from the log.
    Lagged(u64),
}

/// A turn as it happens. Dropping it stops listening, not the turn.
#[derive(Debug)]
pub struct TurnStream {
    runtime: Handle,
    session: SessionId,
    key: InputKey,
    listener: Listener,
    waiting: VecDeque<TurnEvent>,
    turn: Option<TurnId>,
    over: bool,
}

impl TurnStream {
    pub(super) const fn new(
        runtime: Handle,
        session: SessionId,
        key: InputKey,
        listener: Listener,
    ) -> Self {
        let waiting = VecDeque::new();
        Self { runtime, session, key, listener, waiting, turn: None, over: false }
    }

    /// The key of the input: with it the same turn can be found again after a restart.
    #[must_use]
    pub const fn key(&self) -> &InputKey {
        &self.key
    }

    /// What happens next; `None` once the turn or the house has ended. Also when something was
    /// missed and the log cannot be read for it: then only [`TurnStream::outcome`] can tell.
    pub async fn next(&mut self) -> Option<TurnEvent> {
        loop {
            if let Some(event) = self.waiting.pop_front() {
                return Some(event);
            }
            if self.over {
                return None;
            }
            match self.listener.next().await {
                Some(Heard::Note(note)) => self.hear(note),
                Some(Heard::Lagged { missed }) => {
                    self.over = !self.goes_on().await;
                    return Some(TurnEvent::Lagged(missed));
                }
                // The house has ended: nothing more will be heard of this turn.
                None => self.over = true,
            }
        }
    }

    /// How the turn ended, once it has; asks the log, so it does not matter what was heard.
    ///
    /// # Errors
    /// When the session is off the stage or the runtime has gone, and when the turn has not ended
    /// within `limits::OUTCOME_MS`; the turn goes on and can be asked for again by its key.
    pub async fn outcome(self) -> Result<TurnOutcome, CallError> {
        let (_, outcome) = self.runtime.outcome(self.session, self.key, limits::OUTCOME_MS).await?;
        Ok(outcome)
    }

    /// Whether more is to come of the turn. Its start and its end may both be among what was missed,
    /// so the log says which turn it is and whether it has ended. A log that cannot be read says
    /// neither, and then nobody could say when to stop listening.
    async fn goes_on(&mut self) -> bool {
        let Ok(state) = self.runtime.state(self.session).await else { return false };
        self.turn = state.inputs.get(&self.key).copied().flatten();
        self.turn.is_none_or(|turn| !state.has_ended(turn))
    }

    fn hear(&mut self, note: Note) {
        match note {
            Note::Frame(frame) => {
                for event in frame.events.iter() {
                    self.happened(frame.position, event);
                }
            }
            // Pieces before the turn has begun are an earlier turn's.
            Note::Delta { .. } | Note::Progress { .. } if self.turn.is_none() => {}
            Note::Delta { event, .. } => match event {
                ModelEvent::Text { delta } => self.waiting.push_back(TurnEvent::Text(delta)),
                ModelEvent::Thinking { delta } => {
                    self.waiting.push_back(TurnEvent::Thinking(delta));
                }
                ModelEvent::Finished { .. } => {}
            },
            Note::Progress { label, .. } => self.waiting.push_back(TurnEvent::Progress(label)),
        }
    }

    fn happened(&mut self, position: Position, event: &Event) {
        match event {
            Event::TurnStarted { turn, key, .. } if *key == self.key => self.turn = Some(*turn),
            Event::TurnFinished { turn, .. } if self.turn == Some(*turn) => self.over = true,
            _ => {}
        }
        if self.turn.is_some() {
            self.waiting.push_back(TurnEvent::Happened(position, Box::new(event.clone())));
        }
    }
}
