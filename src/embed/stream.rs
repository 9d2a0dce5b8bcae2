//! A turn as it happens: pieces of text while they come, the events that are in the log, and in
//! the end the outcome.

use std::{
    collections::VecDeque,
    pin::Pin,
    task::{Context, Poll},
};

use futures_util::{
    FutureExt as _, Stream, StreamExt as _,
    stream::{self, BoxStream, Fuse},
};
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

/// A turn as it happens: typed events, then the outcome. Dropping it stops listening, not the turn.
///
/// ```
/// use greenroom::{AgentSpec, Event, Runtime, TurnEvent};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("greenroom.db");
/// let script = "agent *\n  stream 6 every 1ms\n  say Hello, {input}.";
/// let runtime = Runtime::builder().store(path).script(script).start().await?;
/// let session = runtime.spawn(&AgentSpec::new("greeter", "scripted")).await?;
///
/// let mut turn = session.send("world").await?;
/// let (mut said, mut frames) = (String::new(), 0);
/// while let Some(event) = turn.next().await {
///     match event {
///         TurnEvent::Text(piece) => said.push_str(&piece),
///         TurnEvent::Happened(_, event) => frames += usize::from(matches!(*event, Event::TurnStarted { .. })),
///         TurnEvent::Thinking(_) | TurnEvent::Progress(_) => {}
///         TurnEvent::Lagged(missed) => eprintln!("too slow: {missed} missed; session.log() has them"),
///     }
/// }
/// assert_eq!((said.as_str(), frames), ("Hello, world.", 1));
/// assert_eq!(turn.outcome().await?.text(), "Hello, world.");
/// # runtime.shutdown().await;
/// # Ok(())
/// # }
/// ```
///
/// It is a [`Stream`] as well. It ends with the turn, with the runtime, or when the session is taken
/// off the stage; the outcome says which.
pub struct TurnStream {
    runtime: Handle,
    session: SessionId,
    key: InputKey,
    events: Fuse<BoxStream<'static, TurnEvent>>,
}

impl std::fmt::Debug for TurnStream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut shown = f.debug_struct("TurnStream");
        shown.field("session", &self.session).field("key", &self.key).finish_non_exhaustive()
    }
}

impl TurnStream {
    /// Of an input that was accepted after the listener began to listen.
    pub(super) async fn begin(
        runtime: Handle,
        session: SessionId,
        key: InputKey,
        listener: Listener,
    ) -> Result<Self, CallError> {
        let (waiting, turn) = (VecDeque::new(), None);
        let mut listening = Listening {
            runtime: runtime.clone(),
            session,
            key: key.clone(),
            listener,
            waiting,
            turn,
            over: false,
        };
        listening.find().await?;
        let events = stream::unfold(listening, |mut listening| async move {
            listening.next().await.map(|event| (event, listening))
        });
        Ok(Self { runtime, session, key, events: events.boxed().fuse() })
    }

    /// The key of the input: with it the same turn can be found again after a restart.
    #[must_use]
    pub const fn key(&self) -> &InputKey {
        &self.key
    }

    /// What happens next; `None` once the turn or the house has ended. Also when something was
    /// missed and the log cannot be read for it: then only [`TurnStream::outcome`] can tell.
    pub async fn next(&mut self) -> Option<TurnEvent> {
        self.events.next().await
    }

    /// How the turn ended, once it has; asks the log, so it does not matter what was heard.
    ///
    /// # Errors
    /// When the session is off the stage or the runtime has gone.
    pub async fn outcome(self) -> Result<TurnOutcome, CallError> {
        let Self { runtime, session, key, events } = self;
        // Nobody reads any more: what is queued is not kept for as long as the turn takes.
        drop(events);
        Ok(runtime.outcome(session, key, limits::OUTCOME_MS).await?.1)
    }
}

impl Stream for TurnStream {
    type Item = TurnEvent;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<TurnEvent>> {
        self.events.poll_next_unpin(cx)
    }
}

/// An ear for one turn among those of its session.
struct Listening {
    runtime: Handle,
    session: SessionId,
    key: InputKey,
    listener: Listener,
    waiting: VecDeque<TurnEvent>,
    turn: Option<TurnId>,
    over: bool,
}

impl Listening {
    /// Finds the turn. An input that is new is heard being accepted. One that was sent before is
    /// not, and its turn may have begun, or ended, long ago: then the log knows, once.
    async fn find(&mut self) -> Result<(), CallError> {
        while let Some(Some(heard)) = self.listener.next().now_or_never() {
            match heard {
                Heard::Note(note) => {
                    let new = self.is_accepted_in(&note);
                    self.hear(note);
                    if new {
                        return Ok(());
                    }
                }
                Heard::Lagged { missed } => self.waiting.push_back(TurnEvent::Lagged(missed)),
            }
        }
        self.look_up().await
    }

    /// Asks the log where the turn is. The fold reads the whole log, so it is asked only when
    /// something was not heard.
    async fn look_up(&mut self) -> Result<(), CallError> {
        let state = self.runtime.state(self.session).await?;
        self.turn = state.inputs.get(&self.key).copied().flatten();
        self.over = self.turn.is_some_and(|turn| state.has_ended(turn));
        Ok(())
    }

    fn is_accepted_in(&self, note: &Note) -> bool {
        let Note::Frame(frame) = note else { return false };
        let mut events = frame.events.iter();
        events.any(|event| matches!(event, Event::InputAccepted { key, .. } if *key == self.key))
    }

    async fn next(&mut self) -> Option<TurnEvent> {
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
                    // Begin and end may be among what was missed. Where the log cannot be read
                    // nothing is certain any more, and the outcome says why.
                    self.over |= self.look_up().await.is_err();
                    return Some(TurnEvent::Lagged(missed));
                }
                // The house has ended: nothing more will be heard of this turn.
                None => self.over = true,
            }
        }
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
                ModelEvent::Limits { .. } | ModelEvent::Finished { .. } => {}
            },
            Note::Progress { label, .. } => self.waiting.push_back(TurnEvent::Progress(label)),
        }
    }

    fn happened(&mut self, position: Position, event: &Event) {
        match event {
            Event::TurnStarted { turn, key, .. } if *key == self.key => self.turn = Some(*turn),
            Event::TurnFinished { turn, .. } if self.turn == Some(*turn) => self.over = true,
            // Until a person releases it nothing goes on; the outcome says why.
            Event::SessionQuarantined { .. } => self.over = true,
            _ => {}
        }
        if self.turn.is_some() {
            self.waiting.push_back(TurnEvent::Happened(position, Box::new(event.clone())));
        }
    }
}
