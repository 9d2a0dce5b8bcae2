//! Waits of jobs: for their logs, for a webhook, for the place where a large answer is kept.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use greenroom_actors::{
    domain::{
        frame::LogKind,
        ids::TenantId,
        job::{Delivery, JobId, JobSpec, JobState},
    },
    limits,
    ports::{Clock as _, JobHook, NotTold},
    runtime::JobError,
    testing::harness::{Harness, bounded},
};

use crate::workshop::{Count, Still, until};

use super::{
    ECHO, LIVES, echo,
    held::{Holding, holdable},
    kept,
};

async fn enqueue(still: &Still, spec: JobSpec) -> JobId {
    let asked = still.runtime.jobs().enqueue(&TenantId::from("t"), spec, None).await;
    asked.expect("it is taken")
}

async fn comes_to(still: &Still, job: JobId, state: JobState) {
    let look = || async {
        let row = still.runtime.jobs().show(job).await.ok()?.row;
        (row.state == state).then_some(())
    };
    until(state.word(), look).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_to_a_job_whose_log_hangs_ends_in_time_and_is_carried_out_when_it_answers() {
    let (mut still, hold) = holdable(ECHO, echo).await;
    for life in LIVES {
        let job = enqueue(&still, JobSpec::host(life, "")).await;
        hold.on(Holding::Appends(LogKind::Job));
        let start = still.clock.running();
        {
            let _running = still.runs(50);
            let jobs = still.runtime.jobs();
            let late = bounded("the caller's wait ends", jobs.cancel(job, life.to_owned())).await;
            assert!(matches!(late, Err(JobError::TimedOut { .. })), "{late:?}");
            kept(still.clock.running().since_ms(start), limits::CALL_MS, 50);
            // Its frame is given up as well, and decided again once the log answers.
            let given_up = start.plus_ms(limits::APPEND_MS + limits::SUSPEND_MS);
            until("the frame is given up", || async {
                (still.clock.running() > given_up).then_some(())
            })
            .await;
            hold.off();
            comes_to(&still, job, JobState::Cancelled).await;
        }
        still = still.crash().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn jobs_whose_logs_hang_at_the_start_hold_up_nobody_and_are_read_when_they_answer() {
    for what in [Holding::Claims(LogKind::Job), Holding::Reads(LogKind::Job)] {
        let (mut still, hold) = holdable(ECHO, echo).await;
        let job = enqueue(&still, JobSpec::host("a", "")).await;
        for _life in LIVES {
            hold.on(what);
            still = Box::pin(bounded("the start waits for no job", still.crash())).await;
            let _running = still.runs(50);
            let jobs = still.runtime.jobs();
            let pause = bounded("the caller's wait ends", jobs.pause(job, None)).await;
            assert!(matches!(pause, Err(JobError::TimedOut { .. })), "{pause:?}");
            hold.off();
            until("it is read", || async { jobs.pause(job, None).await.ok() }).await;
            jobs.resume(job, None).await.expect("it was held");
        }
    }
}

/// Hangs, and hears from the third time on.
struct Hung(Count);

impl JobHook for Hung {
    fn tell(&self, _delivery: Delivery) -> BoxFuture<'static, Result<(), NotTold>> {
        if self.0.up() < 3 { Box::pin(std::future::pending()) } else { Box::pin(async { Ok(()) }) }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_webhook_that_hangs_is_given_up_in_time_and_told_again_also_after_a_restart() {
    let calls = Count::default();
    let given = calls.clone();
    let hooked = |mut harness: Harness| {
        harness.hooks.insert("ops".into(), Arc::new(Hung(given)));
        echo(harness)
    };
    let mut still = Still::set(ECHO, hooked).await;
    let job = enqueue(&still, JobSpec::prompt("a", "echo", "a").hook("ops")).await;
    for life in 1..=2 {
        until("it hangs", || async { (calls.get() == life).then_some(()) }).await;
        if life == 1 {
            still = still.crash().await;
        }
    }
    let start = still.clock.running();
    let told = || async {
        let row = still.runtime.jobs().show(job).await.ok()?.row;
        (!row.open).then_some(())
    };
    still.advancing("it is told", 100, told).await;
    kept(still.clock.running().since_ms(start), limits::JOB_TELL_MS, 100);
    assert_eq!(calls.get(), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_answer_of_a_job_is_kept_when_the_blobs_answer_also_after_a_restart() {
    let long = "x".repeat(limits::INLINE_BYTES + 1);
    let script = format!("agent echo\n    say {long}\n");
    let (mut still, hold) = holdable(&script, echo).await;
    hold.on(Holding::Blobs);
    let job = enqueue(&still, JobSpec::prompt("a", "echo", "a")).await;
    for life in LIVES {
        let before = hold.held();
        let runs = still.runs(50);
        until(life, || async { (hold.held() > before + 1).then_some(()) }).await;
        drop(runs);
        let row = still.runtime.jobs().show(job).await.expect("it is there").row;
        assert_eq!((row.state, row.attempt), (JobState::Running, 1), "not said to be done");
        still = still.crash().await;
    }
    hold.off();
    let _running = still.runs(50);
    comes_to(&still, job, JobState::Completed).await;
    let result = still.runtime.jobs().result(job).await.expect("it is kept");
    assert_eq!(result.map(|text| text.len()), Some(long.len()));
}
