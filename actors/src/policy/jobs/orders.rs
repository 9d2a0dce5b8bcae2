//! What people and hosts order, guarded: an order that does not fit what a job is doing is refused
//! with what would fit, and one that is so already changes nothing.

use crate::{
    domain::job::{JobEnd, JobEvent, JobState, Stop},
    limits,
};

use super::{
    Env, JobRefused,
    decide::over,
    state::{Held, Phase, State},
};

pub(super) const fn wrong(
    state: &State,
    order: &'static str,
    expected: &'static [JobState],
) -> JobRefused {
    JobRefused::Wrong { job: state.job, order, state: state.state(), expected }
}

/// A text that people read, cut to what a log keeps of one.
pub(super) fn shorten(text: &mut String) {
    cut(text, limits::REASON_BYTES);
}

/// Cuts a text to so many bytes at most, between two characters.
pub(crate) fn cut(text: &mut String, bytes_max: usize) {
    if text.len() > bytes_max {
        let end = (0..=bytes_max).rev().find(|at| text.is_char_boundary(*at));
        text.truncate(end.unwrap_or_default());
    }
}

fn short(detail: Option<String>) -> Option<String> {
    detail.map(|mut text| {
        shorten(&mut text);
        text
    })
}

pub(super) fn progress(
    state: &State,
    attempt: u32,
    percent: u8,
    detail: Option<String>,
) -> Result<Vec<JobEvent>, JobRefused> {
    if attempt != state.attempts || attempt == 0 {
        return Err(JobRefused::Stale { job: state.job, attempt, attempts: state.attempts });
    }
    if state.is_prompt() {
        let why = "its progress is its session's; only a host says how far its own jobs are";
        return Err(JobRefused::NotForThis { job: state.job, why });
    }
    if !matches!(state.phase, Phase::Running { .. }) {
        return Err(wrong(state, "progress", &[JobState::Running]));
    }
    let (percent, detail) = (percent.min(100), short(detail));
    if percent == state.progress && detail == state.detail {
        return Ok(Vec::new());
    }
    Ok(vec![JobEvent::Progressed { percent, detail }])
}

pub(super) fn cancel(state: &State, mut reason: String) -> Result<Vec<JobEvent>, JobRefused> {
    shorten(&mut reason);
    match &state.phase {
        Phase::Running { .. } | Phase::Stopping { why: Stop::Late } if state.is_prompt() => {
            Ok(vec![JobEvent::StopRequested { why: Stop::Cancelled { reason } }])
        }
        Phase::Queued { .. } | Phase::Running { .. } | Phase::Paused { .. } => {
            Ok(vec![over(state, JobEnd::Cancelled { reason })])
        }
        // It is so already, or will be.
        Phase::Stopping { .. } | Phase::Ended { end: JobEnd::Cancelled { .. }, .. } => {
            Ok(Vec::new())
        }
        Phase::Ended { .. } => {
            let open = &[JobState::Queued, JobState::Running, JobState::Stopping, JobState::Paused];
            Err(wrong(state, "cancel", open))
        }
    }
}

pub(super) fn pause(state: &State, detail: Option<String>) -> Result<Vec<JobEvent>, JobRefused> {
    match &state.phase {
        Phase::Running { .. } if state.is_prompt() => {
            let why = "a prompt at work is not paused; cancel it, or pause it between two attempts";
            Err(JobRefused::NotForThis { job: state.job, why })
        }
        Phase::Queued { .. } | Phase::Running { .. } => {
            Ok(vec![JobEvent::Paused { detail: short(detail) }])
        }
        Phase::Paused { .. } => Ok(Vec::new()),
        Phase::Stopping { .. } | Phase::Ended { .. } => {
            Err(wrong(state, "pause", &[JobState::Queued, JobState::Running]))
        }
    }
}

pub(super) fn resume(state: &State, detail: Option<String>) -> Result<Vec<JobEvent>, JobRefused> {
    match &state.phase {
        Phase::Paused { held: Held::Queued { .. } | Held::Running { .. } } => {
            Ok(vec![JobEvent::Resumed { detail: short(detail) }])
        }
        Phase::Queued { .. }
        | Phase::Running { .. }
        | Phase::Stopping { .. }
        | Phase::Ended { .. } => Err(wrong(state, "resume", &[JobState::Paused])),
    }
}

/// Another round of attempts. The webhook hears of an end before there is another one, so that each
/// is told.
pub(super) fn retry(state: &State, env: &Env) -> Result<Vec<JobEvent>, JobRefused> {
    match &state.phase {
        Phase::Ended { end: JobEnd::Completed { .. }, .. }
        | Phase::Queued { .. }
        | Phase::Running { .. }
        | Phase::Stopping { .. }
        | Phase::Paused { .. } => {
            let ended = &[JobState::Failed, JobState::Cancelled, JobState::Lost];
            Err(wrong(state, "retry", ended))
        }
        Phase::Ended { .. } if state.owed.is_some() => {
            let what = "until its webhook has heard of its end".to_owned();
            Err(JobRefused::Waits { job: state.job, what })
        }
        Phase::Ended { .. } => Ok(vec![JobEvent::Requeued { due: env.now }]),
    }
}
