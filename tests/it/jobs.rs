//! Jobs of the host and prompts of the runtime: what is asked for is done at its time, tried again, done
//! once for each attempt, and goes on after a death. The clock is in the test's hand.

use std::sync::Arc;

use greenroom_actors::{
    Runtime,
    domain::{
        ids::{TenantId, Timestamp},
        job::{JobFilter, JobId, JobRow, JobSpec, JobState},
    },
    limits,
    ports::Calendar,
    runtime::{JobError, JobRefused},
    testing::harness::Harness,
};

use crate::workshop::{Still, agent, until};

mod chains;
mod hooks;
mod host;
pub mod killed;
mod prompts;
mod trouble;

fn tenant() -> TenantId {
    TenantId::from("test")
}

async fn enqueue(runtime: &Runtime, spec: JobSpec) -> JobId {
    runtime.jobs().enqueue(&tenant(), spec, None).await.expect("it is taken")
}

async fn row(runtime: &Runtime, job: JobId) -> JobRow {
    runtime.jobs().show(job).await.expect("it is there").row
}

/// Waits until a job is in a state.
async fn comes_to(runtime: &Runtime, job: JobId, state: JobState) -> JobRow {
    let what = format!("job {job} is {}", state.word());
    let look = || async {
        let row = runtime.jobs().show(job).await.ok()?.row;
        (row.state == state).then_some(row)
    };
    until(&what, look).await
}

fn refused(error: JobError) -> JobRefused {
    match error {
        JobError::Refused(refused) => refused,
        other => panic!("it was to be refused: {other:?}"),
    }
}

/// Every so many milliseconds, by the wall's own count; what an expression means is no matter here.
struct Every;

impl Calendar for Every {
    fn next(&self, expression: &str, _zone: &str, after: Timestamp) -> Result<Timestamp, String> {
        let every: i64 = expression.parse().map_err(|_| format!("no number: {expression:?}"))?;
        Ok(Timestamp((after.0 / every + 1) * every))
    }
}

fn with_calendar(mut harness: Harness) -> Harness {
    harness.calendar = Some(Arc::new(Every));
    harness.agent(agent("clerk", &[], &[]))
}
