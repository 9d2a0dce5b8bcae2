//! The job machine: what becomes of a job, decided without clocks, randomness or I/O.
//!
//! `step` decides: from a state and an input it makes the records that follow, or says no. `apply`
//! folds a record into the state, live and on recovery alike; what is in hand is derived from the
//! state by `State::standing`, so a job that was killed goes on by the code that would have gone on
//! anyway.
//!
//! ```text
//!            ╭────────────── pause ──────────────╮      ╭───── pause (host) ─────╮
//!            ▼                                   │      ▼                        │
//!   paused ─ resume ─▶ queued ── start ──▶ running ◀─ resume ─ paused            │
//!                       ▲  │                 │ │ ╰──────────────────────────────╯
//!         failed, again │  │ cancel          │ ├─ cancel, too late (prompt) ─▶ stopping ─╮
//!                       ╰──┼─────────────────╯ │                                         │
//!                          ▼                   ▼                                         ▼
//!                      cancelled      completed, failed, cancelled, lost  ◀──────────────╯
//!                                              │
//!                                  retry ──────╯──▶ queued
//! ```
//!
//! A prompt that runs is a session's turn: it is told to stop and has stopped when that turn has ended,
//! so it stays `stopping` until then, and nothing of it is at work when its end is recorded. A host's
//! work is the host's: it is told, and what it says later of that attempt is refused.

mod apply;
mod decide;
mod orders;
mod queue;
mod state;
mod view;

#[cfg(test)]
mod tests;

pub use apply::{Impossible, apply, opened};
pub use decide::{check_spec, enqueue, step};
pub(crate) use orders::cut;
pub use queue::{Places, Queue, Waiting, admit};
pub use state::{Held, Owed, Phase, Standing, State};
pub use view::{delivery, row, view};

use crate::domain::{
    ids::{AgentName, HookName, InputKey, QueueName, Timestamp},
    job::{AttemptEnd, JobId, JobState},
};

/// What a decision depends on besides the job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Env {
    /// Now.
    pub now: Timestamp,
    /// Any random number.
    pub jitter: u64,
    /// Which start of the runtime this is.
    pub boot: u64,
}

/// What a job is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// A place is free for it: an attempt begins.
    Start {
        /// What a host asks for it under.
        key: Option<InputKey>,
    },
    /// Its host says how far it is.
    Progress {
        /// Which attempt.
        attempt: u32,
        /// Of a hundred.
        percent: u8,
        /// In words.
        detail: Option<String>,
    },
    /// An attempt has ended.
    Finished {
        /// Which.
        attempt: u32,
        /// How.
        end: AttemptEnd,
    },
    /// It is not to be done.
    Cancel {
        /// Why.
        reason: String,
    },
    /// It is to be held.
    Pause {
        /// Why.
        detail: Option<String>,
    },
    /// It is to go on.
    Resume {
        /// Why.
        detail: Option<String>,
    },
    /// It is to be tried again although it has ended.
    Retry,
    /// A point in time has come.
    Due,
    /// Its log was read anew.
    Recovered,
    /// One that it waits for has ended without completing.
    Awaited {
        /// Which.
        job: JobId,
        /// Why.
        why: String,
    },
    /// The next of its chain exists.
    Followed {
        /// Which.
        job: JobId,
    },
    /// Its webhook was told of its end, or not.
    Told {
        /// Whether it has heard, or why not and whether to try again, and the pause it asked for.
        heard: Result<(), (String, bool, Option<u64>)>,
    },
}

/// Why a job was not accepted, or an order to one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JobRefused {
    /// There is none.
    #[error("no job {job}")]
    Unknown {
        /// Which.
        job: JobId,
    },
    /// It is not in a state for that.
    #[error("job {job} is {}: {order} is for one that is {}", state.word(), of(expected))]
    Wrong {
        /// Which.
        job: JobId,
        /// What was ordered.
        order: &'static str,
        /// What it is doing.
        state: JobState,
        /// When it could be.
        expected: &'static [JobState],
    },
    /// Only for jobs of the host, or only for prompts that do not run.
    #[error("job {job}: {why}")]
    NotForThis {
        /// Which.
        job: JobId,
        /// What to do.
        why: &'static str,
    },
    /// Another attempt is at work, or none.
    #[error("attempt {attempt} of job {job} has ended; its attempts so far: {attempts}")]
    Stale {
        /// Which.
        job: JobId,
        /// The one that was spoken of.
        attempt: u32,
        /// Those that began.
        attempts: u32,
    },
    /// Its time has not come.
    #[error("job {job} is due at {} UTC", due.utc())]
    NotDue {
        /// Which.
        job: JobId,
        /// When.
        due: Timestamp,
    },
    /// It waits for others, or its queue has no place.
    #[error("job {job} waits {what}")]
    Waits {
        /// Which.
        job: JobId,
        /// For what.
        what: String,
    },
    /// Too many wait already.
    #[error(
        "queue {queue} has {open} jobs that are not done, of at most {max}; wait for some to end"
    )]
    Full {
        /// Which queue.
        queue: QueueName,
        /// How many.
        open: usize,
        /// At most.
        max: usize,
    },
    /// Too much is asked at once.
    #[error("too many orders wait for the jobs; try again")]
    Busy,
    /// Somebody stopped everything.
    #[error("everything was stopped: {reason}; unhalt it to let new work begin")]
    Halted {
        /// Why.
        reason: String,
    },
    /// Nobody serves that webhook.
    #[error("no webhook {hook} is set up; there is: {known}")]
    UnknownHook {
        /// Which.
        hook: HookName,
        /// Those there are.
        known: String,
    },
    /// No agent of that name.
    #[error("no agent {agent} is registered")]
    UnknownAgent {
        /// Which.
        agent: AgentName,
    },
    /// A value that cannot be used.
    #[error("{what}")]
    BadValue {
        /// What was expected.
        what: String,
    },
    /// Its log cannot be read.
    #[error("the log of job {job} cannot be read: {why}")]
    Damaged {
        /// Which.
        job: JobId,
        /// Why.
        why: String,
    },
}

fn of(states: &[JobState]) -> String {
    states.iter().map(|state| state.word()).collect::<Vec<_>>().join(" or ")
}
