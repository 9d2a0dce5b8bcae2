//! Jobs as they are listed and shown: what a face needs, without reading a log itself.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::{JobEnd, JobId, JobSpec, Work};
use crate::domain::ids::{
    AgentName, HookName, Position, QueueName, SessionId, TenantId, Timestamp,
};

/// What a job is doing, in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JobState {
    /// It waits: for its time, for others, or for a place.
    Queued,
    /// An attempt is at work.
    Running,
    /// An attempt is being stopped.
    Stopping,
    /// Somebody holds it.
    Paused,
    /// It worked.
    Completed,
    /// It did not.
    Failed,
    /// Somebody cancelled it.
    Cancelled,
    /// Its host died amid it.
    Lost,
}

impl JobState {
    /// Each of them.
    pub const ALL: [Self; 8] = [
        Self::Queued,
        Self::Running,
        Self::Stopping,
        Self::Paused,
        Self::Completed,
        Self::Failed,
        Self::Cancelled,
        Self::Lost,
    ];

    /// The word.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Stopping => "stopping",
            Self::Paused => "paused",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::Lost => "lost",
        }
    }

    /// Whether it has ended.
    #[must_use]
    pub const fn is_ended(self) -> bool {
        match self {
            Self::Queued | Self::Running | Self::Stopping | Self::Paused => false,
            Self::Completed | Self::Failed | Self::Cancelled | Self::Lost => true,
        }
    }
}

/// A word for nothing that a job does.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("read job state {text:?}: expected one of {}", JobState::ALL.map(JobState::word).join(", "))]
pub struct BadJobState {
    /// What was read.
    pub text: String,
}

impl FromStr for JobState {
    type Err = BadJobState;

    fn from_str(text: &str) -> Result<Self, BadJobState> {
        let found = Self::ALL.into_iter().find(|state| state.word() == text);
        found.ok_or_else(|| BadJobState { text: text.to_owned() })
    }
}

/// A job's line in the catalog.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobRow {
    /// Which.
    pub job: JobId,
    /// Whose.
    pub tenant: TenantId,
    /// Its queue.
    pub queue: QueueName,
    /// What people call it.
    pub name: String,
    /// Who does it: `host` or `prompt`.
    pub kind: String,
    /// The agent, of a prompt.
    pub agent: Option<AgentName>,
    /// What it is doing.
    pub state: JobState,
    /// How far it is, of a hundred.
    pub progress: u8,
    /// In words.
    pub detail: Option<String>,
    /// Attempts begun.
    pub attempt: u32,
    /// Attempts at most.
    pub attempts_max: u32,
    /// When its next attempt is due.
    pub due: Option<Timestamp>,
    /// The session of its last attempt, of a prompt.
    pub session: Option<SessionId>,
    /// Jobs that must have completed before it.
    pub after: Vec<JobId>,
    /// Why its last attempt failed, or it did not complete.
    pub error: Option<String>,
    /// The first of the chain that it recurs in.
    pub series: Option<JobId>,
    /// Whether anything is left to be done for it; a webhook may be owed its end.
    pub open: bool,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// Its last frame.
    pub position: Position,
}

impl JobRow {
    /// Where it stands among all jobs: by when it was asked for, then by its id.
    #[must_use]
    pub const fn place(&self) -> (Timestamp, JobId) {
        (self.created_at, self.job)
    }
}

/// In which order jobs are listed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum JobOrder {
    /// Those that were asked for first come first.
    #[default]
    Oldest,
    /// Those that were asked for last come first.
    Newest,
    /// Those that changed last come first.
    Changed,
}

/// Which jobs to list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JobFilter {
    /// Only of this tenant.
    pub tenant: Option<TenantId>,
    /// Only of this queue.
    pub queue: Option<QueueName>,
    /// Only in one of these states; empty is all.
    pub states: Vec<JobState>,
    /// Only those for which something is left to be done.
    pub open: bool,
    /// In which order.
    pub order: JobOrder,
    /// Only behind this place in that order, be there a job in it or not. Not looked at where those that
    /// changed last come first: they change places.
    pub after: Option<(Timestamp, JobId)>,
    /// At most this many; 0 is as many as a list has.
    pub rows: usize,
}

/// What happened, in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JobStep {
    /// It was asked for.
    Created,
    /// An attempt began.
    Started,
    /// It came further.
    Progressed,
    /// An attempt failed.
    AttemptFailed,
    /// It was told to stop.
    Stopping,
    /// It was held.
    Paused,
    /// It went on.
    Resumed,
    /// It ended.
    Ended,
    /// It was to be tried again.
    Requeued,
    /// The next of its chain came into being.
    Followed,
    /// Its end was told.
    Told,
    /// Its end could not be told.
    NotTold,
}

/// One line of a job's history.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HistoryEntry {
    /// When.
    pub at: Timestamp,
    /// What happened.
    pub step: JobStep,
    /// What it was doing then.
    pub state: JobState,
    /// Attempts begun by then.
    pub attempt: u32,
    /// How far it was.
    pub progress: u8,
    /// In words.
    pub detail: Option<String>,
}

/// All that is known of a job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct JobView {
    /// Its line.
    pub row: JobRow,
    /// What was asked for.
    pub spec: JobSpec,
    /// How it ended, if it has.
    pub end: Option<JobEnd>,
    /// What happened to it, the newest last; of a long one the end.
    pub history: Vec<HistoryEntry>,
    /// Lines of its history that were dropped.
    pub history_dropped: u64,
}

/// An attempt that the host has taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Taken {
    /// Which job.
    pub job: JobId,
    /// Its number; what is said of it later names it.
    pub attempt: u32,
    /// When it was due.
    pub due: Timestamp,
    /// When it will have taken too long.
    pub deadline: Timestamp,
    /// What it is called.
    pub name: String,
    /// What is to be done.
    pub work: Work,
}

/// What a webhook is told: the end of a job. The same at every try.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delivery {
    /// Who hears it twice knows it by this.
    pub id: String,
    /// Who is told.
    pub hook: HookName,
    /// Which job.
    pub job: JobId,
    /// Whose.
    pub tenant: TenantId,
    /// Its queue.
    pub queue: QueueName,
    /// What it is called.
    pub name: String,
    /// How it ended.
    pub end: JobEnd,
    /// Attempts it took.
    pub attempts: u32,
    /// When it ended.
    pub ended_at: Timestamp,
}
