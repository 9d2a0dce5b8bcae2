//! What the actor holds: the jobs that are not done, each with what waits for it and what is going on
//! for it. All of it may be lost; the logs say it again.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use ractor::ActorRef;
use tokio::sync::OwnedSemaphorePermit;

use crate::{
    domain::{
        ids::{Position, PrincipalId, TenantId, Timestamp},
        job::{JobEvent, JobId, JobRow, Taken},
    },
    log::Writer,
    owned::Owned,
    policy::jobs::{Input, JobRefused, State},
    protocol::jobs::{Answer, JobsMsg, Request},
};

use super::{JobsHouse, enqueue::Birth};

/// The actor's changing part.
pub(crate) struct Desk {
    pub(super) house: Arc<JobsHouse>,
    pub(super) myself: ActorRef<JobsMsg>,
    pub(super) is_loaded: bool,
    /// Who came before that.
    pub(super) early: Vec<(Request, OwnedSemaphorePermit)>,
    /// Who hears that everything is stopped, or let go on.
    pub(super) halts: Option<Owned>,
    /// Who reads all logs.
    pub(super) task: Option<Owned>,
    pub(super) jobs: BTreeMap<JobId, Live>,
    /// Jobs whose first frame is under way.
    pub(super) births: BTreeMap<JobId, Birth>,
    /// Jobs whose log is being read, and who waits for that.
    pub(super) fetching: BTreeMap<JobId, Fetching>,
    /// Those whose log cannot be read.
    pub(super) damaged: BTreeMap<JobId, String>,
    /// How those ended that somebody waits for.
    pub(super) ends: BTreeMap<JobId, Result<(), String>>,
    pub(super) timer: Option<(Timestamp, Owned)>,
    /// Whether something is to be tried again soon although no job says when.
    pub(super) again_soon: bool,
}

/// A job that is not done.
pub(super) struct Live {
    pub(super) state: State,
    pub(super) writer: Writer,
    pub(super) queue: VecDeque<Work>,
    pub(super) flight: Option<Flight>,
    /// Its prompt's attempt.
    pub(super) running: Option<Running>,
    /// Who tells its webhook.
    pub(super) telling: Option<Owned>,
}

/// A prompt's attempt.
pub(super) struct Running {
    pub(super) attempt: u32,
    pub(super) stopping: bool,
    pub(super) _task: Owned,
}

/// A log that is being read.
#[derive(Default)]
pub(super) struct Fetching {
    pub(super) orders: Vec<Work>,
    pub(super) task: Option<Owned>,
    /// What was under way when the answer was lost.
    pub(super) flight: Option<Flight>,
}

/// An input and whoever waits for it.
pub(super) struct Work {
    pub(super) input: Input,
    pub(super) by: PrincipalId,
    pub(super) answer: Answering,
    /// Whose job it must be.
    pub(super) tenant: Option<TenantId>,
}

/// What becomes of the asker.
pub(super) enum Answering {
    Nobody,
    Row(Answer<JobRow>),
    Taken(Answer<Option<Taken>>),
}

/// A frame on its way.
pub(super) struct Flight {
    pub(super) _task: Option<Owned>,
    pub(super) at: Timestamp,
    pub(super) position: Position,
    pub(super) events: Vec<JobEvent>,
    /// What it follows from, to be decided again if it was not written.
    pub(super) work: Work,
}

impl Answering {
    pub(super) fn refuse(self, refused: JobRefused) {
        // Whoever asked may have gone.
        match self {
            Self::Nobody => tracing::debug!(%refused, "a job"),
            Self::Row(reply) => drop(reply.send(Err(refused))),
            Self::Taken(reply) => drop(reply.send(Err(refused))),
        }
    }
}

impl Desk {
    pub(super) fn new(house: Arc<JobsHouse>, myself: ActorRef<JobsMsg>) -> Self {
        Self {
            house,
            myself,
            is_loaded: false,
            early: Vec::new(),
            halts: None,
            task: None,
            jobs: BTreeMap::new(),
            births: BTreeMap::new(),
            fetching: BTreeMap::new(),
            damaged: BTreeMap::new(),
            ends: BTreeMap::new(),
            timer: None,
            again_soon: false,
        }
    }
}
