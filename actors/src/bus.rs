//! What happens, told to whoever listens: committed frames in the order of their commits, and
//! between them ephemeral pieces of text that no log keeps. A listener that is too slow is told
//! how much it missed; it can read the log for the frames.

use std::sync::Arc;

use tokio::sync::broadcast;

use crate::{
    domain::{
        event::Event,
        ids::{AgentName, CallId, Position, SessionId, TenantId, Timestamp, Token},
    },
    limits,
    ports::ModelEvent,
};

/// Something that happened.
#[derive(Clone, Debug)]
pub enum Note {
    /// A frame was committed.
    Frame(Frame),
    /// A model said a piece; ephemeral.
    Delta {
        /// The call.
        call: CallId,
        /// The piece.
        event: ModelEvent,
    },
    /// A tool said how far it is; ephemeral.
    Progress {
        /// The call.
        call: CallId,
        /// What it said.
        label: String,
    },
}

/// A committed frame.
#[derive(Clone, Debug)]
pub struct Frame {
    /// Whose.
    pub session: SessionId,
    /// Its agent.
    pub agent: AgentName,
    /// Whose data.
    pub tenant: TenantId,
    /// Its place in the session's log; with the session, a public cursor.
    pub position: Position,
    /// The owner that wrote it.
    pub token: Token,
    /// When.
    pub at: Timestamp,
    /// What happened.
    pub events: Arc<[Event]>,
}

/// The bus; clones are the same bus.
#[derive(Clone, Debug)]
pub struct Bus(broadcast::Sender<Note>);

impl Default for Bus {
    fn default() -> Self {
        Self(broadcast::channel(limits::BUS_EVENTS).0)
    }
}

/// What a listener receives.
#[derive(Clone, Debug)]
pub enum Heard {
    /// The next note.
    Note(Note),
    /// The listener was too slow and missed this many; read the log to catch up.
    Lagged {
        /// How many.
        missed: u64,
    },
}

/// A listener.
#[derive(Debug)]
pub struct Listener(broadcast::Receiver<Note>);

impl Bus {
    /// Tells everybody who listens.
    pub fn publish(&self, note: Note) {
        // Nobody listens: that is no failure.
        drop(self.0.send(note));
    }

    /// Whether anybody listens, so that ephemeral pieces need not be made for nobody.
    #[must_use]
    pub fn is_heard(&self) -> bool {
        self.0.receiver_count() > 0
    }

    /// Listens from now on.
    #[must_use]
    pub fn listen(&self) -> Listener {
        Listener(self.0.subscribe())
    }
}

impl Listener {
    /// The next thing heard; `None` when the runtime has gone.
    pub async fn next(&mut self) -> Option<Heard> {
        match self.0.recv().await {
            Ok(note) => Some(Heard::Note(note)),
            Err(broadcast::error::RecvError::Lagged(missed)) => Some(Heard::Lagged { missed }),
            Err(broadcast::error::RecvError::Closed) => None,
        }
    }
}
