//! What follows from an input: the records to write, or a no.

use crate::{
    domain::{
        ids::{InputKey, PrincipalId, Timestamp},
        job::{
            AttemptEnd, JobEnd, JobEvent, JobId, JobSpec, JobState, OnLost, Retry, Stop, When, Work,
        },
    },
    limits,
    policy::recovery::{doubled, lengthened},
};

use super::{
    Env, Input, JobRefused, orders,
    state::{Held, Phase, State},
};

/// Decides. What was already so is no record and no refusal, so that a question may be asked twice.
///
/// # Errors
/// When whoever asked must be told no; then nothing follows.
pub fn step(state: &State, env: &Env, input: Input) -> Result<Vec<JobEvent>, JobRefused> {
    match input {
        Input::Start { key } => start(state, env, key),
        Input::Progress { attempt, percent, detail } => {
            orders::progress(state, attempt, percent, detail)
        }
        Input::Finished { attempt, end } => finished(state, env, attempt, end),
        Input::Cancel { reason } => orders::cancel(state, reason),
        Input::Pause { detail } => orders::pause(state, detail),
        Input::Resume { detail } => orders::resume(state, detail),
        Input::Retry => orders::retry(state, env),
        Input::Due => Ok(due(state, env)),
        Input::Recovered => Ok(recovered(state, env)),
        Input::Awaited { job, why } => Ok(awaited(state, job, &why)),
        Input::Followed { job } => {
            let owed = state.owes_a_follower();
            Ok(owed.then_some(JobEvent::Followed { job }).into_iter().collect())
        }
        Input::Told { heard } => Ok(told(state, env, heard)),
    }
}

/// The first record of a job; its time has been found out by whoever reads calendars.
#[must_use]
pub fn enqueue(
    spec: Box<JobSpec>,
    due: Timestamp,
    by: PrincipalId,
    series: Option<JobId>,
) -> JobEvent {
    JobEvent::Enqueued { spec, due, by, series }
}

/// Whether a job can be taken as it is described.
///
/// # Errors
/// What is wrong, and what was expected.
pub fn check_spec(spec: &JobSpec) -> Result<(), JobRefused> {
    let bad = |what: String| Err(JobRefused::BadValue { what });
    let name = |what: &str, text: &str| {
        let fits = !text.is_empty() && text.len() <= limits::NAME_BYTES;
        let max = limits::NAME_BYTES;
        if fits { Ok(()) } else { bad(format!("{what} has 1 to {max} bytes, not {}", text.len())) }
    };
    name("a job's name", &spec.name)?;
    name("a queue's name", spec.queue.as_str())?;
    let Retry { attempts_max, .. } = spec.retry;
    if attempts_max == 0 || attempts_max > limits::JOB_ATTEMPTS_MAX {
        return bad(format!(
            "a job has 1 to {} attempts, not {attempts_max}",
            limits::JOB_ATTEMPTS_MAX
        ));
    }
    if spec.attempt_ms == 0 || spec.attempt_ms > limits::TURN_MS {
        let max = limits::TURN_MS;
        return bad(format!("an attempt takes 1 to {max} ms, not {}", spec.attempt_ms));
    }
    if spec.after.len() > limits::JOB_AFTER {
        return bad(format!("a job waits for at most {} others", limits::JOB_AFTER));
    }
    if matches!(spec.when, When::Cron { .. }) && !spec.after.is_empty() {
        return bad("a job that recurs waits for no others".to_owned());
    }
    let (Work::Host { payload: text } | Work::Prompt { prompt: text, .. }) = &spec.work;
    if text.len() > limits::INPUT_BYTES {
        let max = limits::INPUT_BYTES;
        return bad(format!(
            "a job's payload or prompt has at most {max} bytes, not {}",
            text.len()
        ));
    }
    Ok(())
}

fn start(state: &State, env: &Env, key: Option<InputKey>) -> Result<Vec<JobEvent>, JobRefused> {
    // Its host has not heard that it has it.
    if key.as_ref().is_some_and(|key| state.is_under(key, env.boot)) {
        return Ok(Vec::new());
    }
    let Phase::Queued { due } = state.phase else {
        return Err(orders::wrong(state, "start", &[JobState::Queued]));
    };
    if due > env.now {
        return Err(JobRefused::NotDue { job: state.job, due });
    }
    let attempt = state.attempts.saturating_add(1);
    let deadline = env.now.plus_ms(state.spec.attempt_ms);
    Ok(vec![JobEvent::AttemptStarted { attempt, due, deadline, boot: env.boot, key }])
}

fn finished(
    state: &State,
    env: &Env,
    attempt: u32,
    end: AttemptEnd,
) -> Result<Vec<JobEvent>, JobRefused> {
    let is_last = attempt == state.attempts && attempt > 0;
    match (&state.phase, &end) {
        (Phase::Running { .. }, _) if is_last => Ok(ends(state, env, end)),
        (Phase::Stopping { why }, _) if is_last => Ok(stopped(state, env, why, end)),
        // The answer to the first word may have been lost.
        (Phase::Ended { end: JobEnd::Completed { .. }, .. }, AttemptEnd::Completed { .. })
        | (Phase::Ended { end: JobEnd::Failed { .. }, .. }, AttemptEnd::Failed { .. })
            if is_last =>
        {
            Ok(Vec::new())
        }
        (Phase::Queued { .. }, AttemptEnd::Failed { .. })
            if is_last && attempt > state.attempts_before =>
        {
            Ok(Vec::new())
        }
        (Phase::Paused { held: Held::Running { .. } }, _) if is_last => {
            Err(orders::wrong(state, "an end", &[JobState::Running]))
        }
        (
            Phase::Queued { .. }
            | Phase::Running { .. }
            | Phase::Stopping { .. }
            | Phase::Paused { .. }
            | Phase::Ended { .. },
            _,
        ) => Err(JobRefused::Stale { job: state.job, attempt, attempts: state.attempts }),
    }
}

fn ends(state: &State, env: &Env, end: AttemptEnd) -> Vec<JobEvent> {
    match end {
        AttemptEnd::Completed { result } => vec![over(state, JobEnd::Completed { result })],
        AttemptEnd::Failed { error, again } => failed(state, env, error, again),
        AttemptEnd::Cancelled { reason } => vec![over(state, JobEnd::Cancelled { reason })],
    }
}

/// What a prompt that was told to stop came to. One that had its last word before it heard of it has
/// completed: that is the truth.
fn stopped(state: &State, env: &Env, why: &Stop, end: AttemptEnd) -> Vec<JobEvent> {
    match (why, end) {
        (_, AttemptEnd::Completed { result }) => vec![over(state, JobEnd::Completed { result })],
        (Stop::Cancelled { reason }, AttemptEnd::Failed { .. } | AttemptEnd::Cancelled { .. }) => {
            vec![over(state, JobEnd::Cancelled { reason: reason.clone() })]
        }
        (Stop::Late, AttemptEnd::Failed { .. } | AttemptEnd::Cancelled { .. }) => {
            failed(state, env, late(state), true)
        }
    }
}

fn late(state: &State) -> String {
    format!("it has taken longer than {} ms", state.spec.attempt_ms)
}

pub(super) fn over(state: &State, end: JobEnd) -> JobEvent {
    JobEvent::Ended { no: state.ends.saturating_add(1), end }
}

fn failed(state: &State, env: &Env, mut error: String, again: bool) -> Vec<JobEvent> {
    orders::shorten(&mut error);
    let attempt = state.attempts;
    let made = attempt.saturating_sub(state.attempts_before);
    let Retry { attempts_max, backoff_ms, backoff_max_ms } = state.spec.retry;
    if again && made < attempts_max {
        let pause = doubled(backoff_ms, made.saturating_sub(1), backoff_max_ms);
        let again_at = Some(env.now.plus_ms(lengthened(pause, env.jitter)));
        return vec![JobEvent::AttemptFailed { attempt, error, again_at }];
    }
    let end = over(state, JobEnd::Failed { error: error.clone() });
    vec![JobEvent::AttemptFailed { attempt, error, again_at: None }, end]
}

fn due(state: &State, env: &Env) -> Vec<JobEvent> {
    match &state.phase {
        Phase::Running { deadline, .. } if *deadline <= env.now && state.is_prompt() => {
            vec![JobEvent::StopRequested { why: Stop::Late }]
        }
        Phase::Running { deadline, .. } if *deadline <= env.now => {
            failed(state, env, late(state), true)
        }
        Phase::Queued { .. }
        | Phase::Running { .. }
        | Phase::Stopping { .. }
        | Phase::Paused { .. }
        | Phase::Ended { .. } => Vec::new(),
    }
}

/// A host's attempt dies with the program that it was in; a prompt's goes on from its session's log.
fn recovered(state: &State, env: &Env) -> Vec<JobEvent> {
    let (Phase::Running { boot, .. } | Phase::Paused { held: Held::Running { boot, .. } }) =
        state.phase
    else {
        return Vec::new();
    };
    if boot == env.boot || state.is_prompt() {
        return Vec::new();
    }
    let error = "the program that was at it has ended".to_owned();
    match state.spec.on_lost {
        OnLost::Retry => failed(state, env, error, true),
        OnLost::Leave => {
            let attempt = state.attempts;
            let end = over(state, JobEnd::Lost { error: error.clone() });
            vec![JobEvent::AttemptFailed { attempt, error, again_at: None }, end]
        }
    }
}

fn awaited(state: &State, job: JobId, why: &str) -> Vec<JobEvent> {
    let waits =
        matches!(state.phase, Phase::Queued { .. } | Phase::Paused { held: Held::Queued { .. } });
    if !waits || !state.spec.after.contains(&job) {
        return Vec::new();
    }
    let mut error = format!("it waited for job {job}, which did not complete: {why}");
    orders::shorten(&mut error);
    vec![over(state, JobEnd::Failed { error })]
}

fn told(state: &State, env: &Env, heard: Result<(), (String, bool, Option<u64>)>) -> Vec<JobEvent> {
    let Some(owed) = state.owed else { return Vec::new() };
    let (mut why, again, asked_ms) = match heard {
        Ok(()) => return vec![JobEvent::EndTold],
        Err(missed) => missed,
    };
    orders::shorten(&mut why);
    let most = limits::WEBHOOK_PAUSE_MAX_MS;
    let own = doubled(limits::WEBHOOK_PAUSE_MS, owed.failures, most);
    let pause = own.max(asked_ms.unwrap_or(0).min(most));
    let again = again && owed.failures.saturating_add(1) < limits::JOB_TELLS;
    let again_at = again.then(|| env.now.plus_ms(lengthened(pause, env.jitter)));
    vec![JobEvent::EndNotTold { why, again_at }]
}
