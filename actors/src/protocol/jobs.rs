//! Jobs as faces see them: asked for, ordered, taken. Every question may be asked twice.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use ractor::ActorRef;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot, watch};

use super::address::Singleton;
use crate::{
    domain::{
        ids::{AgentName, InputKey, Position, PrincipalId, QueueName, SessionId, TenantId},
        job::{AttemptEnd, JobEvent, JobId, JobRow, JobSpec, Taken},
    },
    limits,
    log::{Trouble, Writer},
    policy::jobs::{Input, JobRefused, State},
};

/// The address, with the door before it; clones share both.
#[derive(Clone, Debug)]
pub struct JobsHandle {
    actor: Singleton<JobsMsg>,
    door: Arc<Semaphore>,
}

/// Where an answer goes.
pub(crate) type Answer<T> = oneshot::Sender<Result<T, JobRefused>>;

/// What the jobs' actor is told.
#[derive(Debug)]
pub(crate) enum JobsMsg {
    /// Somebody outside wants something.
    Request(Box<Request>, OwnedSemaphorePermit),
    /// The logs of all that are not done were read, or not.
    Loaded(Result<Box<House>, Trouble>),
    /// One log was read anew, or for the first time; none where there is no such job.
    Fetched(JobId, Result<Option<Box<Loaded>>, Trouble>),
    /// A frame was written, or not.
    Appended(JobId, Result<Position, Trouble>),
    /// An attempt of a prompt has ended.
    Ran { job: JobId, attempt: u32, end: Box<AttemptEnd> },
    /// A webhook was told, or not.
    Told { job: JobId, heard: Result<(), (String, bool, Option<u64>)> },
    /// A point in time has come.
    Due,
    /// Time to read the logs again.
    Reload,
}

/// What somebody outside wants.
#[derive(Debug)]
pub(crate) enum Request {
    /// A job. Those it waits for are named with how they ended, if they have.
    Enqueue {
        job: JobId,
        spec: Box<JobSpec>,
        tenant: TenantId,
        by: PrincipalId,
        after: Vec<(JobId, Option<Result<(), String>>)>,
        reply: Answer<()>,
    },
    /// A change of one; of a tenant, where it is asked on one's behalf.
    Order {
        job: JobId,
        tenant: Option<TenantId>,
        input: Box<Input>,
        by: PrincipalId,
        reply: Answer<JobRow>,
    },
    /// The next attempt of a host's job in a queue, if there is one; the one under this key, if there is
    /// that.
    Take {
        tenant: TenantId,
        queue: QueueName,
        key: InputKey,
        by: PrincipalId,
        reply: Answer<Option<Taken>>,
    },
    /// The attempt of this very job.
    Start {
        job: JobId,
        tenant: Option<TenantId>,
        key: InputKey,
        by: PrincipalId,
        reply: Answer<Option<Taken>>,
    },
}

/// A job's log, claimed and folded.
#[derive(Debug)]
pub(crate) struct Loaded {
    pub(crate) state: State,
    pub(crate) writer: Writer,
    /// The last frame: whether what was being written when the answer was lost is there.
    pub(crate) last: Vec<JobEvent>,
}

/// All jobs that are not done.
#[derive(Debug, Default)]
pub(crate) struct House {
    pub(crate) jobs: Vec<Loaded>,
    /// Those whose log cannot be read.
    pub(crate) damaged: Vec<(JobId, String)>,
    /// How those ended that somebody waits for.
    pub(crate) ends: Vec<(JobId, Result<(), String>)>,
}

/// An attempt of a prompt.
#[derive(Clone, Debug)]
pub(crate) struct Attempt {
    pub(crate) session: SessionId,
    pub(crate) key: InputKey,
    pub(crate) agent: AgentName,
    pub(crate) prompt: String,
    pub(crate) tenant: TenantId,
    pub(crate) by: PrincipalId,
    /// Why it is to stop.
    pub(crate) stop: Option<String>,
}

/// Who runs prompts: in sessions, of which the jobs know nothing. It may be dropped at any time and
/// asked again for the same attempt, which is then the same turn.
pub(crate) trait Prompts: Send + Sync + 'static {
    /// Runs one to its end, or stops it.
    fn run(&self, attempt: Attempt) -> BoxFuture<'static, AttemptEnd>;
}

impl JobsHandle {
    /// The address and the end through which the supervisor names the actor.
    #[must_use]
    pub(crate) fn channel() -> (watch::Sender<Option<ActorRef<JobsMsg>>>, Self) {
        let (seat, actor) = Singleton::channel();
        (seat, Self { actor, door: Arc::new(Semaphore::new(limits::JOBS_INBOX)) })
    }

    /// Hands a request over; one that finds the door full or nobody behind it is let go of, and its
    /// asker sees the reply port close.
    pub(crate) fn request(&self, request: Request) -> Result<(), JobRefused> {
        let permit = Arc::clone(&self.door).try_acquire_owned();
        let permit = permit.map_err(|_full| JobRefused::Busy)?;
        let _ = self.actor.cast(JobsMsg::Request(Box::new(request), permit));
        Ok(())
    }
}
