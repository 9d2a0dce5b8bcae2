//! A job as it is listed, shown and told of.

use crate::domain::{
    ids::Position,
    job::{Delivery, JobRow, JobView, Work},
};

use super::state::{Held, Phase, State};

/// Its line after the frame at `position`.
#[must_use]
pub fn row(state: &State, position: Position) -> JobRow {
    let spec = &state.spec;
    let agent = match &spec.work {
        Work::Prompt { agent, .. } => Some(agent.clone()),
        Work::Host { .. } => None,
    };
    let due = match &state.phase {
        Phase::Queued { due } | Phase::Paused { held: Held::Queued { due } } => Some(*due),
        Phase::Running { .. }
        | Phase::Stopping { .. }
        | Phase::Paused { .. }
        | Phase::Ended { .. } => None,
    };
    let (ended_at, trouble) = match &state.phase {
        Phase::Ended { end, at } => (Some(*at), end.trouble().cloned()),
        Phase::Queued { .. }
        | Phase::Running { .. }
        | Phase::Stopping { .. }
        | Phase::Paused { .. } => (None, None),
    };
    let ran = agent.is_some() && state.attempts > 0;
    JobRow {
        job: state.job,
        tenant: state.tenant.clone(),
        queue: spec.queue.clone(),
        name: spec.name.clone(),
        kind: spec.work.word().to_owned(),
        agent,
        state: state.state(),
        progress: state.progress,
        detail: state.detail.clone(),
        attempt: state.attempts,
        attempts_max: spec.retry.attempts_max.saturating_add(state.attempts_before),
        due,
        session: ran.then(|| state.job.session(state.attempts)),
        after: spec.after.clone(),
        error: trouble.or_else(|| state.error.clone()),
        series: state.series,
        open: state.is_open(),
        created_at: state.created_at,
        updated_at: state.updated_at,
        ended_at,
        position,
    }
}

/// All that is known of it.
#[must_use]
pub fn view(state: &State, position: Position) -> JobView {
    let end = match &state.phase {
        Phase::Ended { end, .. } => Some(end.clone()),
        Phase::Queued { .. }
        | Phase::Running { .. }
        | Phase::Stopping { .. }
        | Phase::Paused { .. } => None,
    };
    JobView {
        row: row(state, position),
        spec: (*state.spec).clone(),
        end,
        history: state.history.iter().cloned().collect(),
        history_dropped: state.history_dropped,
    }
}

/// What its webhook is to be told, if it is owed its end.
#[must_use]
pub fn delivery(state: &State) -> Option<Delivery> {
    let (Some(_owed), Some(hook), Phase::Ended { end, at }) =
        (state.owed, &state.spec.hook, &state.phase)
    else {
        return None;
    };
    Some(Delivery {
        id: state.job.delivery(state.ends),
        hook: hook.clone(),
        job: state.job,
        tenant: state.tenant.clone(),
        queue: state.spec.queue.clone(),
        name: state.spec.name.clone(),
        end: end.clone(),
        attempts: state.attempts,
        ended_at: *at,
    })
}
