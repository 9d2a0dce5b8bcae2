//! The fold: the only thing that changes a job's state. It refuses records that cannot follow what
//! came before, for then the log is not what was written.

use std::collections::VecDeque;

use crate::{
    domain::{
        ids::{TenantId, Timestamp},
        job::{HistoryEntry, JobEnd, JobEvent, JobId, JobStep, Stop},
    },
    limits,
};

use super::state::{Held, Owed, Phase, State};

/// A record that cannot follow what came before.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a job that is {state} cannot have had {what}")]
pub struct Impossible {
    state: &'static str,
    what: String,
}

/// The state behind a log's first record.
///
/// # Errors
/// When that record is not a job's first.
pub fn opened(
    job: JobId,
    tenant: TenantId,
    event: &JobEvent,
    at: Timestamp,
) -> Result<State, Impossible> {
    let JobEvent::Enqueued { spec, due, by, series } = event else {
        return Err(Impossible { state: "not asked for", what: format!("{event:?}") });
    };
    let mut state = State {
        job,
        tenant,
        by: by.clone(),
        spec: spec.clone(),
        series: *series,
        phase: Phase::Queued { due: *due },
        attempts: 0,
        attempts_before: 0,
        key: None,
        begun_at: None,
        ends: 0,
        progress: 0,
        detail: None,
        error: None,
        followed: None,
        owed: None,
        history: VecDeque::new(),
        history_dropped: 0,
        created_at: at,
        updated_at: at,
    };
    note(&mut state, JobStep::Created, None, at);
    Ok(state)
}

/// Folds one record.
///
/// # Errors
/// When it cannot follow what came before.
pub fn apply(state: &mut State, event: &JobEvent, at: Timestamp) -> Result<(), Impossible> {
    let (step, detail) = match event {
        JobEvent::Enqueued { .. } => return Err(impossible(state, event)),
        JobEvent::AttemptStarted { .. } => {
            started(state, event, at)?;
            (JobStep::Started, None)
        }
        JobEvent::Progressed { percent, detail } => {
            state.progress = *percent;
            state.detail.clone_from(detail);
            (JobStep::Progressed, detail.clone())
        }
        JobEvent::AttemptFailed { error, again_at, .. } => {
            state.error = Some(error.clone());
            if let Some(due) = again_at {
                state.phase = Phase::Queued { due: *due };
            }
            (JobStep::AttemptFailed, Some(error.clone()))
        }
        JobEvent::StopRequested { why } => {
            state.phase = Phase::Stopping { why: why.clone() };
            let words = match why {
                Stop::Cancelled { reason } => reason.clone(),
                Stop::Late => "it has taken all its time".to_owned(),
            };
            (JobStep::Stopping, Some(words))
        }
        JobEvent::Paused { detail } => {
            pause(state, event, at)?;
            (JobStep::Paused, detail.clone())
        }
        JobEvent::Resumed { detail } => {
            resume(state, event, at)?;
            (JobStep::Resumed, detail.clone())
        }
        JobEvent::Ended { no, end } => {
            ended(state, *no, end, at);
            (JobStep::Ended, end.trouble().cloned())
        }
        JobEvent::Requeued { due } => {
            state.phase = Phase::Queued { due: *due };
            state.attempts_before = state.attempts;
            state.progress = 0;
            (JobStep::Requeued, None)
        }
        JobEvent::Followed { job } => {
            state.followed = Some(*job);
            (JobStep::Followed, Some(job.to_string()))
        }
        JobEvent::EndTold => {
            state.owed = None;
            (JobStep::Told, None)
        }
        JobEvent::EndNotTold { why, again_at } => {
            let failures = state.owed.map_or(0, |owed| owed.failures).saturating_add(1);
            state.owed = again_at.map(|at| Owed { failures, at });
            (JobStep::NotTold, Some(why.clone()))
        }
    };
    state.updated_at = at;
    note(state, step, detail, at);
    Ok(())
}

fn impossible(state: &State, event: &JobEvent) -> Impossible {
    Impossible { state: state.state().word(), what: format!("{event:?}") }
}

fn started(state: &mut State, event: &JobEvent, at: Timestamp) -> Result<(), Impossible> {
    let JobEvent::AttemptStarted { attempt, due, deadline, boot, key } = event else {
        return Err(impossible(state, event));
    };
    let waits = matches!(state.phase, Phase::Queued { .. });
    if !waits || *attempt != state.attempts.saturating_add(1) {
        return Err(impossible(state, event));
    }
    state.attempts = *attempt;
    state.key.clone_from(key);
    state.begun_at.get_or_insert(at);
    state.progress = 0;
    state.detail = None;
    state.phase = Phase::Running { due: *due, deadline: *deadline, boot: *boot };
    Ok(())
}

fn pause(state: &mut State, event: &JobEvent, at: Timestamp) -> Result<(), Impossible> {
    let held = match &state.phase {
        Phase::Queued { due } => Held::Queued { due: *due },
        Phase::Running { due, deadline, boot } => {
            Held::Running { due: *due, left_ms: deadline.since_ms(at), boot: *boot }
        }
        Phase::Stopping { .. } | Phase::Paused { .. } | Phase::Ended { .. } => {
            return Err(impossible(state, event));
        }
    };
    state.phase = Phase::Paused { held };
    Ok(())
}

fn resume(state: &mut State, event: &JobEvent, at: Timestamp) -> Result<(), Impossible> {
    let Phase::Paused { held } = &state.phase else { return Err(impossible(state, event)) };
    state.phase = match *held {
        Held::Queued { due } => Phase::Queued { due },
        Held::Running { due, left_ms, boot } => {
            Phase::Running { due, deadline: at.plus_ms(left_ms), boot }
        }
    };
    Ok(())
}

fn ended(state: &mut State, no: u32, end: &JobEnd, at: Timestamp) {
    if matches!(end, JobEnd::Completed { .. }) {
        state.progress = 100;
        state.error = None;
    }
    state.ends = no;
    state.owed = state.spec.hook.is_some().then_some(Owed { failures: 0, at });
    state.phase = Phase::Ended { end: end.clone(), at };
}

/// One more line of its history; the oldest makes room and is counted.
fn note(state: &mut State, step: JobStep, detail: Option<String>, at: Timestamp) {
    let (doing, attempt, progress) = (state.state(), state.attempts, state.progress);
    if state.history.len() >= limits::JOB_HISTORY {
        state.history.pop_front();
        state.history_dropped += 1;
    }
    state.history.push_back(HistoryEntry { at, step, state: doing, attempt, progress, detail });
}
