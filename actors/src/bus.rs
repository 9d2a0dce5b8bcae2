//! What happens, told to whoever listens: committed frames in the order of their commits, and
//! between them ephemeral pieces of text that no log keeps. A listener that is too slow is told
//! how much it missed; it can read the log for the frames.
//!
//! Whoever follows one session hears that session only: ten thousand followers of ten thousand
//! sessions cost each other nothing. Whoever watches the house hears everything, or, where pieces are
//! of no use to it, the frames alone: who listens to pieces is asked before a call is made again.
//!
//! Handles of the runtime keep the bus, so it does not end by being let go: the root closes it, and
//! every listener hears what it has not yet heard, how much it missed, and then that this was all.

mod deletions;

use std::sync::{
    Arc, Weak,
    atomic::{AtomicU64, Ordering},
};

use dashmap::DashMap;
use tokio::sync::{
    broadcast::{self, error::RecvError},
    mpsc, watch,
};

use crate::{
    domain::{
        event::Event,
        ids::{AgentName, CallId, Position, PrincipalId, SessionId, TenantId, Timestamp, Token},
        job::JobRow,
    },
    limits,
    ports::ModelEvent,
};

pub use deletions::{Deletion, DeletionHeard, DeletionListener};

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
    /// On whose behalf.
    pub principal: PrincipalId,
    /// When.
    pub at: Timestamp,
    /// What happened.
    pub events: Arc<[Event]>,
}

/// The bus; clones are the same bus.
#[derive(Clone, Debug)]
pub struct Bus {
    house: broadcast::Sender<Note>,
    frames: broadcast::Sender<Note>,
    followers: Arc<Followers>,
    jobs: broadcast::Sender<Arc<JobRow>>,
    deletions: broadcast::Sender<Arc<Deletion>>,
    closed: watch::Sender<bool>,
}

/// Who follows which session. An entry lives as long as somebody listens to it.
type Followers = DashMap<SessionId, Vec<Follower>>;

/// A follower's end on the bus. Once it missed something it is told nothing more until it has
/// emptied its queue and heard how much that was, so that the gap is where it is said to be.
#[derive(Debug)]
struct Follower {
    /// Each shared by who hears it: the queue's first block holds 32, and is made for every turn that
    /// somebody follows.
    notes: mpsc::Sender<Arc<Note>>,
    missed: Arc<AtomicU64>,
}

impl Default for Bus {
    fn default() -> Self {
        let [house, frames] = [(); 2].map(|()| broadcast::channel(limits::BUS_EVENTS).0);
        let (jobs, closed) = (broadcast::channel(limits::JOB_NOTES).0, watch::Sender::new(false));
        let deletions = broadcast::channel(limits::DELETION_NOTES).0;
        Self { house, frames, followers: Arc::default(), jobs, deletions, closed }
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
pub struct Listener {
    ear: Ear,
    closed: watch::Receiver<bool>,
}

#[derive(Debug)]
enum Ear {
    House(broadcast::Receiver<Note>),
    Session(Following),
}

/// A follower's own end.
#[derive(Debug)]
struct Following {
    session: SessionId,
    notes: mpsc::Receiver<Arc<Note>>,
    missed: Arc<AtomicU64>,
    followers: Weak<Followers>,
}

impl Note {
    /// The session it is about.
    #[must_use]
    pub const fn session(&self) -> SessionId {
        match self {
            Self::Frame(frame) => frame.session,
            Self::Delta { call, .. } | Self::Progress { call, .. } => call.session,
        }
    }
}

impl Bus {
    /// Tells everybody who listens.
    pub fn publish(&self, note: Note) {
        let note = Arc::new(note);
        if let Some(followers) = self.followers.get(&note.session()) {
            followers.iter().for_each(|follower| follower.tell(&note));
        }
        // The last listener may have gone meanwhile: that is no failure.
        if matches!(*note, Note::Frame(_)) && self.frames.receiver_count() > 0 {
            drop(self.frames.send(Note::clone(&note)));
        }
        if self.house.receiver_count() > 0 {
            drop(self.house.send(Arc::unwrap_or_clone(note)));
        }
    }

    /// Whether anybody listens to a session's frames, so that none is made for nobody.
    #[must_use]
    pub fn is_heard(&self, session: SessionId) -> bool {
        self.frames.receiver_count() > 0 || self.pieces_are_heard(session)
    }

    /// Whether anybody listens to the pieces between them: what is told now may have been read.
    #[must_use]
    pub fn pieces_are_heard(&self, session: SessionId) -> bool {
        self.house.receiver_count() > 0 || self.followers.contains_key(&session)
    }

    /// Listens to the house from now on.
    #[must_use]
    pub fn listen(&self) -> Listener {
        self.listener(Ear::House(self.house.subscribe()))
    }

    /// Listens to the house's frames from now on, and to nothing between them.
    #[must_use]
    pub fn listen_to_frames(&self) -> Listener {
        self.listener(Ear::House(self.frames.subscribe()))
    }

    /// Listens to one session from now on.
    #[must_use]
    pub fn follow(&self, session: SessionId) -> Listener {
        let (notes, receiver) = mpsc::channel(limits::FOLLOWER_EVENTS);
        let missed = Arc::new(AtomicU64::new(0));
        let follower = Follower { notes, missed: Arc::clone(&missed) };
        self.followers.entry(session).or_default().push(follower);
        let followers = Arc::downgrade(&self.followers);
        self.listener(Ear::Session(Following { session, notes: receiver, missed, followers }))
    }

    /// Tells that a job has changed; its line is in the catalog.
    pub(crate) fn publish_job(&self, row: JobRow) {
        if self.jobs.receiver_count() > 0 {
            drop(self.jobs.send(Arc::new(row)));
        }
    }

    /// Listens to jobs from now on.
    #[must_use]
    pub fn listen_to_jobs(&self) -> JobListener {
        JobListener { rows: self.jobs.subscribe(), closed: self.closed.subscribe() }
    }

    /// Tells that a tree is gone.
    pub(crate) fn publish_deletion(&self, deletion: Deletion) {
        if self.deletions.receiver_count() > 0 {
            drop(self.deletions.send(Arc::new(deletion)));
        }
    }

    /// Listens to deletions from now on.
    #[must_use]
    pub fn listen_to_deletions(&self) -> DeletionListener {
        let those = self.deletions.subscribe();
        DeletionListener { those, closed: self.closed.subscribe() }
    }

    fn listener(&self, ear: Ear) -> Listener {
        Listener { ear, closed: self.closed.subscribe() }
    }

    /// The house has ended: whoever listens, now or later, is told so behind what was said.
    pub(crate) fn close(&self) {
        self.closed.send_replace(true);
    }
}

impl Follower {
    fn tell(&self, note: &Arc<Note>) {
        let behind = self.missed.load(Ordering::Acquire) > 0;
        if behind || self.notes.try_send(Arc::clone(note)).is_err() {
            self.missed.fetch_add(1, Ordering::AcqRel);
        }
    }
}

impl Listener {
    /// The next thing heard; `None` when the house has ended, and all was heard that came before.
    pub async fn next(&mut self) -> Option<Heard> {
        match &mut self.ear {
            Ear::House(notes) => tokio::select! {
                biased;
                heard = notes.recv() => match heard {
                    Ok(note) => Some(Heard::Note(note)),
                    Err(RecvError::Lagged(missed)) => Some(Heard::Lagged { missed }),
                    Err(RecvError::Closed) => None,
                },
                () = over(&mut self.closed) => None,
            },
            Ear::Session(following) => following.next(&mut self.closed).await,
        }
    }
}

/// Who listens to jobs.
#[derive(Debug)]
pub struct JobListener {
    rows: broadcast::Receiver<Arc<JobRow>>,
    closed: watch::Receiver<bool>,
}

/// What who listens to jobs receives.
#[derive(Clone, Debug)]
pub enum JobHeard {
    /// A job as it is now.
    Changed(Arc<JobRow>),
    /// The listener was too slow and missed this many; the catalog has the lines.
    Lagged {
        /// How many.
        missed: u64,
    },
}

impl JobListener {
    /// The next thing heard; `None` when the house has ended, and all was heard that came before.
    pub async fn next(&mut self) -> Option<JobHeard> {
        tokio::select! {
            biased;
            heard = self.rows.recv() => match heard {
                Ok(row) => Some(JobHeard::Changed(row)),
                Err(RecvError::Lagged(missed)) => Some(JobHeard::Lagged { missed }),
                Err(RecvError::Closed) => None,
            },
            () = over(&mut self.closed) => None,
        }
    }
}

/// Returns when the bus was closed, or has gone.
async fn over(closed: &mut watch::Receiver<bool>) {
    drop(closed.wait_for(|closed| *closed).await);
}

impl Following {
    async fn next(&mut self, closed: &mut watch::Receiver<bool>) -> Option<Heard> {
        if self.missed.load(Ordering::Acquire) == 0 {
            let heard = tokio::select! {
                biased;
                note = self.notes.recv() => note,
                () = over(closed) => None,
            };
            if let Some(note) = heard {
                return Some(Heard::Note(Arc::unwrap_or_clone(note)));
            }
        }
        // Nothing is sent while something counts as missed: behind what is queued lies the gap, and
        // behind the gap the end.
        if let Ok(note) = self.notes.try_recv() {
            return Some(Heard::Note(Arc::unwrap_or_clone(note)));
        }
        match self.missed.swap(0, Ordering::AcqRel) {
            0 => None,
            missed => Some(Heard::Lagged { missed }),
        }
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        self.notes.close();
        let Some(followers) = self.followers.upgrade() else { return };
        followers.remove_if_mut(&self.session, |_session, all| {
            all.retain(|follower| !follower.notes.is_closed());
            all.is_empty()
        });
    }
}

#[cfg(test)]
mod tests;
