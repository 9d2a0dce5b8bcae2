//! Jobs as they go over the wire, and what is asked for as the core takes it.

use std::borrow::Cow;

use greenroom_actors::domain::{
    ids::Timestamp,
    job::{JobId, JobRow, JobSpec, JobState, OnLost, Retry, Taken, When, Work},
};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use crate::http::problem::{Answer, problem};

/// The words for what a job is doing, for the document.
pub(in crate::http) struct States;

impl JsonSchema for States {
    fn schema_name() -> Cow<'static, str> {
        "JobState".into()
    }

    fn json_schema(_generator: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "enum": JobState::ALL.map(JobState::word) })
    }
}

/// A job.
#[derive(Debug, Serialize, JsonSchema)]
pub(in crate::http) struct JobWire {
    id: String,
    tenant: String,
    queue: String,
    name: String,
    /// `host` or `prompt`.
    kind: String,
    agent: Option<String>,
    #[schemars(with = "States")]
    state: JobState,
    /// Of a hundred.
    progress: u8,
    detail: Option<String>,
    /// Attempts begun.
    attempt: u32,
    /// Attempts at most.
    attempts_max: u32,
    /// When its next attempt is due.
    next_attempt_at: Option<i64>,
    /// The session of its last attempt, of a prompt.
    session: Option<String>,
    /// Jobs that must have completed before it.
    after: Vec<String>,
    /// Why it did not work.
    error: Option<String>,
    created_at: i64,
    updated_at: i64,
    ended_at: Option<i64>,
}

impl From<JobRow> for JobWire {
    fn from(row: JobRow) -> Self {
        Self {
            id: row.job.to_string(),
            tenant: row.tenant.to_string(),
            queue: row.queue.to_string(),
            name: row.name,
            kind: row.kind,
            agent: row.agent.map(|agent| agent.to_string()),
            state: row.state,
            progress: row.progress,
            detail: row.detail,
            attempt: row.attempt,
            attempts_max: row.attempts_max,
            next_attempt_at: row.due.map(|due| due.0),
            session: row.session.map(|session| session.to_string()),
            after: row.after.iter().map(ToString::to_string).collect(),
            error: row.error,
            created_at: row.created_at.0,
            updated_at: row.updated_at.0,
            ended_at: row.ended_at.map(|at| at.0),
        }
    }
}

/// A job to be done: by an agent where `agent` and `prompt` are given, else by a host, who is given the
/// `payload`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct NewJob {
    /// What people call it.
    name: String,
    /// The line it waits in.
    #[serde(default)]
    queue: Option<String>,
    /// Which agent does it.
    #[serde(default)]
    agent: Option<String>,
    /// What the agent is told.
    #[serde(default)]
    prompt: Option<String>,
    /// What a host makes of it.
    #[serde(default)]
    payload: Option<String>,
    /// Not before then, in milliseconds since 1970.
    #[serde(default)]
    at: Option<i64>,
    /// Again and again: minute, hour, day of the month, month, day of the week.
    #[serde(default)]
    cron: Option<String>,
    /// The time zone of that, such as `Europe/Berlin`.
    #[serde(default)]
    zone: Option<String>,
    /// Attempts at most, the first among them.
    #[serde(default)]
    attempts_max: Option<u32>,
    /// The first pause between two; it doubles.
    #[serde(default)]
    backoff_ms: Option<u64>,
    /// The longest pause.
    #[serde(default)]
    backoff_max_ms: Option<u64>,
    /// How long one attempt may take.
    #[serde(default)]
    attempt_ms: Option<u64>,
    /// Whether an attempt whose host dies is left alone instead of made again.
    #[serde(default)]
    leave_when_lost: bool,
    /// Jobs that must have completed before.
    #[serde(default)]
    after: Vec<String>,
    /// The webhook that is told of its end, by its name.
    #[serde(default)]
    hook: Option<String>,
}

impl NewJob {
    pub(super) fn spec(self) -> Answer<JobSpec> {
        let wrong = |words: &str| problem("unprocessable", words);
        let work = match (self.agent, self.prompt, self.payload) {
            (Some(agent), Some(prompt), None) => Work::Prompt { agent: agent.into(), prompt },
            (None, None, payload) => Work::Host { payload: payload.unwrap_or_default() },
            _ => return Err(wrong("expected `agent` with `prompt`, or `payload`")),
        };
        let when = match (self.at, self.cron, self.zone) {
            (None, None, None) => When::Now,
            (Some(at), None, None) => When::At { at: Timestamp(at) },
            (None, Some(expression), zone) => {
                When::Cron { expression, zone: zone.unwrap_or_else(|| "UTC".to_owned()) }
            }
            _ => return Err(wrong("expected `at`, or `cron` with its `zone`, or none of them")),
        };
        let ids = self.after.iter().map(|text| text.parse());
        let after: Result<Vec<JobId>, _> = ids.collect();
        let usual = JobSpec::host(&self.name, "");
        let retry = Retry::default();
        Ok(JobSpec {
            work,
            when,
            queue: self.queue.map_or(usual.queue, Into::into),
            retry: Retry {
                attempts_max: self.attempts_max.unwrap_or(retry.attempts_max),
                backoff_ms: self.backoff_ms.unwrap_or(retry.backoff_ms),
                backoff_max_ms: self.backoff_max_ms.unwrap_or(retry.backoff_max_ms),
            },
            attempt_ms: self.attempt_ms.unwrap_or(usual.attempt_ms),
            on_lost: if self.leave_when_lost { OnLost::Leave } else { OnLost::Retry },
            after: after.map_err(|_odd| wrong("`after` holds what is no job's id"))?,
            hook: self.hook.map(Into::into),
            name: self.name,
        })
    }
}

/// An attempt that a host is at.
#[derive(Debug, Serialize, JsonSchema)]
pub(in crate::http) struct TakenWire {
    job: String,
    name: String,
    payload: String,
    /// Its number: what is said of it names it.
    attempt: u32,
    /// When it is over, done or not.
    deadline: i64,
}

impl From<Taken> for TakenWire {
    fn from(taken: Taken) -> Self {
        let payload = match taken.work {
            Work::Host { payload } => payload,
            Work::Prompt { prompt, .. } => prompt,
        };
        Self {
            job: taken.job.to_string(),
            name: taken.name,
            payload,
            attempt: taken.attempt,
            deadline: taken.deadline.0,
        }
    }
}
