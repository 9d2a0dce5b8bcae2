//! Jobs: work that is due at a time, tried again when it fails, and ends once. A job has a log of its
//! own, from the record that it was asked for to the record of its end, so that no log grows with the
//! number of jobs; a job that recurs is a chain of jobs, each of which brings the next into being.

mod record;
mod row;

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::ids::{AgentName, HookName, InputKey, QueueName, SessionId, TenantId, Timestamp};
use crate::limits;

pub use record::{AttemptEnd, JobEnd, JobEvent, JobText, Stop};
pub use row::{
    BadJobState, Delivery, HistoryEntry, JobFilter, JobOrder, JobRow, JobState, JobStep, JobView,
    Taken,
};

/// A job.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct JobId(pub Uuid);

impl JobId {
    /// The id of the job that a tenant asks for under a key: derived, so that asking twice asks once.
    #[must_use]
    pub fn keyed(tenant: &TenantId, key: &InputKey) -> Self {
        let name = format!("job/{}/{tenant}/{key}", tenant.as_str().len());
        Self(Uuid::new_v5(&Uuid::NAMESPACE_OID, name.as_bytes()))
    }

    /// The id of the one that recurs after this one at that time: derived, so that it comes into
    /// being once.
    #[must_use]
    pub fn next_at(self, due: Timestamp) -> Self {
        Self(Uuid::new_v5(&self.0, format!("next/{}", due.0).as_bytes()))
    }

    /// The session in which an attempt of it runs: derived, so that it is opened once.
    #[must_use]
    pub fn session(self, attempt: u32) -> SessionId {
        SessionId(Uuid::new_v5(&self.0, format!("attempt/{attempt}").as_bytes()))
    }

    /// The key of what an attempt says to its session.
    #[must_use]
    pub fn input_key(self, attempt: u32) -> InputKey {
        InputKey(format!("job/{self}/{attempt}"))
    }

    /// The id under which its end is told: the same at every try.
    #[must_use]
    pub fn delivery(self, end: u32) -> String {
        format!("job/{self}/end/{end}")
    }
}

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.as_hyphenated())
    }
}

impl fmt::Debug for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A text that is not a job's id.
#[derive(Debug, thiserror::Error)]
#[error("read job id {text:?}: expected a UUID such as 0192f0c1-2b3c-7d4e-8f90-123456789abc")]
pub struct BadJobId {
    text: String,
    #[source]
    source: uuid::Error,
}

impl FromStr for JobId {
    type Err = BadJobId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match Uuid::parse_str(text) {
            Ok(id) => Ok(Self(id)),
            Err(source) => Err(BadJobId { text: text.to_owned(), source }),
        }
    }
}

/// What is to be done, when, and what is done about failures.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JobSpec {
    /// What people call it.
    pub name: String,
    /// The line it waits in; each has its own number of places at work.
    #[serde(default = "usual_queue")]
    pub queue: QueueName,
    /// What is to be done.
    pub work: Work,
    /// When.
    #[serde(default)]
    pub when: When,
    /// How often, and after which pauses.
    #[serde(default)]
    pub retry: Retry,
    /// How long one attempt may take.
    #[serde(default = "usual_attempt_ms")]
    pub attempt_ms: u64,
    /// What becomes of an attempt whose host has died.
    #[serde(default)]
    pub on_lost: OnLost,
    /// Jobs that must have completed before. Each must exist already, so there are no circles.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub after: Vec<JobId>,
    /// Who is told of its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hook: Option<HookName>,
}

fn usual_queue() -> QueueName {
    QueueName::from("default")
}

const fn usual_attempt_ms() -> u64 {
    limits::JOB_ATTEMPT_MS
}

impl JobSpec {
    fn of(name: &str, work: Work) -> Self {
        Self {
            name: name.to_owned(),
            queue: usual_queue(),
            work,
            when: When::default(),
            retry: Retry::default(),
            attempt_ms: usual_attempt_ms(),
            on_lost: OnLost::default(),
            after: Vec::new(),
            hook: None,
        }
    }

    /// Work that the program around the runtime does itself; the payload is its own.
    #[must_use]
    pub fn host(name: &str, payload: impl Into<String>) -> Self {
        Self::of(name, Work::Host { payload: payload.into() })
    }

    /// A prompt to an agent, in a session of its own for each attempt.
    #[must_use]
    pub fn prompt(name: &str, agent: impl Into<AgentName>, prompt: impl Into<String>) -> Self {
        Self::of(name, Work::Prompt { agent: agent.into(), prompt: prompt.into() })
    }

    /// In this queue.
    #[must_use]
    pub fn queue(mut self, queue: impl Into<QueueName>) -> Self {
        self.queue = queue.into();
        self
    }

    /// Not before then.
    #[must_use]
    pub fn at(mut self, at: Timestamp) -> Self {
        self.when = When::At { at };
        self
    }

    /// Again and again, by a cron expression in a time zone.
    #[must_use]
    pub fn cron(mut self, expression: impl Into<String>, zone: impl Into<String>) -> Self {
        self.when = When::Cron { expression: expression.into(), zone: zone.into() };
        self
    }

    /// So many attempts at most, the first among them.
    #[must_use]
    pub const fn attempts(mut self, attempts_max: u32) -> Self {
        self.retry.attempts_max = attempts_max;
        self
    }

    /// The first pause before another attempt; it doubles up to the second figure.
    #[must_use]
    pub const fn backoff_ms(mut self, first: u64, most: u64) -> Self {
        self.retry.backoff_ms = first;
        self.retry.backoff_max_ms = most;
        self
    }

    /// How long one attempt may take.
    #[must_use]
    pub const fn attempt_ms(mut self, attempt_ms: u64) -> Self {
        self.attempt_ms = attempt_ms;
        self
    }

    /// What becomes of an attempt whose host has died.
    #[must_use]
    pub const fn on_lost(mut self, on_lost: OnLost) -> Self {
        self.on_lost = on_lost;
        self
    }

    /// Only once this one has completed.
    #[must_use]
    pub fn after(mut self, job: JobId) -> Self {
        self.after.push(job);
        self
    }

    /// Its end is told to this webhook.
    #[must_use]
    pub fn hook(mut self, hook: impl Into<HookName>) -> Self {
        self.hook = Some(hook.into());
        self
    }
}

/// What a job does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Work {
    /// What the host makes of its payload.
    Host {
        /// The host's own.
        payload: String,
    },
    /// An agent answers a prompt.
    Prompt {
        /// Which agent.
        agent: AgentName,
        /// What it is told.
        prompt: String,
    },
}

impl Work {
    /// One word for it.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Host { .. } => "host",
            Self::Prompt { .. } => "prompt",
        }
    }
}

/// When a job is due.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum When {
    /// At once.
    #[default]
    Now,
    /// Then; at once where that has passed.
    At {
        /// The moment.
        at: Timestamp,
    },
    /// Again and again. What was missed while nobody ran is made up for once.
    Cron {
        /// Minute, hour, day of the month, month, day of the week.
        expression: String,
        /// A zone such as `Europe/Berlin`.
        zone: String,
    },
}

/// How often it is tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Retry {
    /// Attempts, the first among them.
    pub attempts_max: u32,
    /// First pause between two; it doubles.
    pub backoff_ms: u64,
    /// Longest pause.
    pub backoff_max_ms: u64,
}

impl Default for Retry {
    fn default() -> Self {
        Self {
            attempts_max: limits::JOB_ATTEMPTS,
            backoff_ms: limits::JOB_BACKOFF_MS,
            backoff_max_ms: limits::JOB_BACKOFF_MAX_MS,
        }
    }
}

/// What becomes of an attempt of a host's job when the host dies amid it: nobody knows how far it came.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnLost {
    /// It counts as failed and is made again: at least once.
    #[default]
    Retry,
    /// The job ends as lost, until somebody says to try it again: at most once.
    Leave,
}
