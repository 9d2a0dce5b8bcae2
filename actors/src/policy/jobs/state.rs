//! What a job is, folded from its log, and what is in hand for it.

use std::collections::VecDeque;

use crate::domain::{
    ids::{InputKey, PrincipalId, TenantId, Timestamp},
    job::{HistoryEntry, JobEnd, JobId, JobSpec, JobState, Stop, When, Work},
};

/// A job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct State {
    /// Which.
    pub job: JobId,
    /// Whose.
    pub tenant: TenantId,
    /// Who asked for it.
    pub by: PrincipalId,
    /// What for.
    pub spec: Box<JobSpec>,
    /// The first of its chain.
    pub series: Option<JobId>,
    /// What it is doing.
    pub phase: Phase,
    /// Attempts begun.
    pub attempts: u32,
    /// Those of them before it was last said to be tried again.
    pub attempts_before: u32,
    /// What its last attempt was asked for under, by a host.
    pub key: Option<InputKey>,
    /// When its first attempt began.
    pub begun_at: Option<Timestamp>,
    /// How often it ended.
    pub ends: u32,
    /// How far it is, of a hundred.
    pub progress: u8,
    /// In words.
    pub detail: Option<String>,
    /// Why its last attempt failed.
    pub error: Option<String>,
    /// The next of its chain, once that exists.
    pub followed: Option<JobId>,
    /// An end that its webhook has not heard of.
    pub owed: Option<Owed>,
    /// What happened, the newest last.
    pub history: VecDeque<HistoryEntry>,
    /// Lines of it that were dropped.
    pub history_dropped: u64,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

/// What a job is doing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Phase {
    /// It waits for its time, for others, for a place.
    Queued {
        /// Its time.
        due: Timestamp,
    },
    /// An attempt is at work.
    Running {
        /// When that was due.
        due: Timestamp,
        /// When it will have taken too long.
        deadline: Timestamp,
        /// Which start of the runtime it belongs to.
        boot: u64,
    },
    /// A prompt is being stopped.
    Stopping {
        /// Why.
        why: Stop,
    },
    /// It is held.
    Paused {
        /// From what.
        held: Held,
    },
    /// It has ended.
    Ended {
        /// How.
        end: JobEnd,
        /// When.
        at: Timestamp,
    },
}

/// What a pause interrupted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Held {
    /// Waiting.
    Queued {
        /// Its time.
        due: Timestamp,
    },
    /// An attempt of the host.
    Running {
        /// When that was due.
        due: Timestamp,
        /// How much of its time is left.
        left_ms: u64,
        /// Which start of the runtime it belongs to.
        boot: u64,
    },
}

/// An end that a webhook has not heard of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owed {
    /// Tries that failed.
    pub failures: u32,
    /// When it is tried next.
    pub at: Timestamp,
}

/// What must be going on for a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// A prompt's attempt, or its being stopped.
    Prompt {
        /// Its number.
        attempt: u32,
        /// Why it is to stop.
        stop: Option<String>,
    },
    /// Its webhook is told.
    Tell,
    /// The next of its chain is brought into being.
    Follow,
}

impl State {
    /// Whether its attempt that is at work was asked for under this key, in this life of the runtime: what
    /// an older one began died with it, also before that is written.
    #[must_use]
    pub fn is_under(&self, key: &InputKey, now: u64) -> bool {
        matches!(self.phase, Phase::Running { boot, .. } if boot == now)
            && self.key.as_ref() == Some(key)
    }

    /// What it is doing, in one word.
    #[must_use]
    pub const fn state(&self) -> JobState {
        match &self.phase {
            Phase::Queued { .. } => JobState::Queued,
            Phase::Running { .. } => JobState::Running,
            Phase::Stopping { .. } => JobState::Stopping,
            Phase::Paused { .. } => JobState::Paused,
            Phase::Ended { end, .. } => match end {
                JobEnd::Completed { .. } => JobState::Completed,
                JobEnd::Failed { .. } => JobState::Failed,
                JobEnd::Cancelled { .. } => JobState::Cancelled,
                JobEnd::Lost { .. } => JobState::Lost,
            },
        }
    }

    /// Whether a place of its queue is taken by it: an attempt that is held may go on at any time.
    #[must_use]
    pub const fn takes_a_place(&self) -> bool {
        match &self.phase {
            Phase::Running { .. }
            | Phase::Stopping { .. }
            | Phase::Paused { held: Held::Running { .. } } => true,
            Phase::Queued { .. }
            | Phase::Paused { held: Held::Queued { .. } }
            | Phase::Ended { .. } => false,
        }
    }

    /// Whether the runtime does it, and not its host.
    #[must_use]
    pub const fn is_prompt(&self) -> bool {
        matches!(self.spec.work, Work::Prompt { .. })
    }

    /// Whether another of its chain is to come into being: once it has begun, however late that was.
    #[must_use]
    pub const fn owes_a_follower(&self) -> bool {
        matches!(self.spec.when, When::Cron { .. }) && self.attempts > 0 && self.followed.is_none()
    }

    /// Whether anything is left to be done for it.
    #[must_use]
    pub const fn is_open(&self) -> bool {
        !matches!(self.phase, Phase::Ended { .. }) || self.owed.is_some() || self.owes_a_follower()
    }

    /// What must be going on at `now`.
    #[must_use]
    pub fn standing(&self, now: Timestamp) -> Vec<Standing> {
        let mut standing = Vec::new();
        if self.is_prompt() {
            let attempt = self.attempts;
            match &self.phase {
                Phase::Running { .. } => standing.push(Standing::Prompt { attempt, stop: None }),
                Phase::Stopping { why } => {
                    let stop = Some(match why {
                        Stop::Cancelled { reason } => reason.clone(),
                        Stop::Late => "its job allows it no more time".to_owned(),
                    });
                    standing.push(Standing::Prompt { attempt, stop });
                }
                Phase::Queued { .. } | Phase::Paused { .. } | Phase::Ended { .. } => {}
            }
        }
        if self.owed.is_some_and(|owed| owed.at <= now) {
            standing.push(Standing::Tell);
        }
        if self.owes_a_follower() {
            standing.push(Standing::Follow);
        }
        standing
    }

    /// Whether its attempt has taken all its time.
    #[must_use]
    pub fn is_late(&self, now: Timestamp) -> bool {
        matches!(self.phase, Phase::Running { deadline, .. } if deadline <= now)
    }

    /// The next moment at which something about it changes by itself.
    #[must_use]
    pub fn next_wake(&self) -> Option<Timestamp> {
        let own = match &self.phase {
            Phase::Queued { due } => Some(*due),
            Phase::Running { deadline, .. } => Some(*deadline),
            Phase::Stopping { .. } | Phase::Paused { .. } | Phase::Ended { .. } => None,
        };
        own.into_iter().chain(self.owed.map(|owed| owed.at)).min()
    }
}
