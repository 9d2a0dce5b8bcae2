//! What a job's log records, in the past tense. Its JSON form is part of the stored format.

use serde::{Deserialize, Serialize};

use super::{JobId, JobSpec};
use crate::domain::{
    conversation::BlobRef,
    ids::{InputKey, PrincipalId, Timestamp},
};

/// A text that a job leaves: small ones stand in its log, large ones beside it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kept", rename_all = "snake_case", deny_unknown_fields)]
pub enum JobText {
    /// All of it.
    Inline {
        /// The text.
        text: String,
    },
    /// Where it is, and how it begins.
    Stored {
        /// The whole.
        blob: BlobRef,
        /// Its beginning.
        preview: String,
    },
}

/// How an attempt ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AttemptEnd {
    /// It worked.
    Completed {
        /// What it left.
        result: Option<JobText>,
    },
    /// It did not.
    Failed {
        /// Why.
        error: String,
        /// Whether another attempt may fare better.
        again: bool,
    },
    /// Somebody stopped it.
    Cancelled {
        /// Why.
        reason: String,
    },
}

/// How a job ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum JobEnd {
    /// It worked.
    Completed {
        /// What it left.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        result: Option<JobText>,
    },
    /// It did not, in all its attempts.
    Failed {
        /// Why not in the last.
        error: String,
    },
    /// Somebody cancelled it.
    Cancelled {
        /// Why.
        reason: String,
    },
    /// Its host died amid it, and it is not to be made again by itself.
    Lost {
        /// What is known.
        error: String,
    },
}

impl JobEnd {
    /// Why it did not complete.
    #[must_use]
    pub const fn trouble(&self) -> Option<&String> {
        match self {
            Self::Completed { .. } => None,
            Self::Failed { error } | Self::Lost { error } => Some(error),
            Self::Cancelled { reason } => Some(reason),
        }
    }
}

/// Why an attempt is being stopped.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Stop {
    /// Somebody cancelled the job.
    Cancelled {
        /// Why.
        reason: String,
    },
    /// It has taken all the time it may.
    Late,
}

/// What happened to a job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum JobEvent {
    /// Somebody asked for it.
    Enqueued {
        /// What for.
        spec: Box<JobSpec>,
        /// When it is due.
        due: Timestamp,
        /// Who.
        by: PrincipalId,
        /// The first of the chain that it recurs in.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        series: Option<JobId>,
    },
    /// An attempt began. Recorded before anything of it leaves the process.
    AttemptStarted {
        /// Its number, from 1.
        attempt: u32,
        /// When it was due.
        due: Timestamp,
        /// When it will have taken too long.
        deadline: Timestamp,
        /// Which start of the runtime it belongs to.
        boot: u64,
        /// What a host asked for it under: asked again so, it is this attempt. Logs before there were
        /// such keys have none, and no prompt has one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        key: Option<InputKey>,
    },
    /// The host said how far it is.
    Progressed {
        /// Of a hundred.
        percent: u8,
        /// In words.
        detail: Option<String>,
    },
    /// An attempt failed.
    AttemptFailed {
        /// Which.
        attempt: u32,
        /// Why.
        error: String,
        /// When the next begins, if there is one.
        again_at: Option<Timestamp>,
    },
    /// The attempt is to stop; it has not yet.
    StopRequested {
        /// Why.
        why: Stop,
    },
    /// It was held.
    Paused {
        /// Why.
        detail: Option<String>,
    },
    /// It goes on.
    Resumed {
        /// Why.
        detail: Option<String>,
    },
    /// It ended.
    Ended {
        /// The how-many-eth end it is: one that is tried again ends again.
        no: u32,
        /// How.
        end: JobEnd,
    },
    /// Somebody said to try it again.
    Requeued {
        /// When it is due.
        due: Timestamp,
    },
    /// The next of its chain exists.
    Followed {
        /// Which.
        job: JobId,
    },
    /// Its webhook has heard of its end.
    EndTold,
    /// Its webhook has not heard of its end.
    EndNotTold {
        /// Why not.
        why: String,
        /// When it is tried again; never, where there is no more use in it.
        again_at: Option<Timestamp>,
    },
}
