//! A store that fails, hangs or loses its answers, and a catalog that falls behind: no job is lost,
//! none is doubled.

use greenroom_actors::{
    domain::{frame::LogId, ids::Position},
    ports::JournalError,
    testing::harness::bounded,
};

use super::*;

fn away() -> JournalError {
    JournalError::Unavailable { why: "away".to_owned() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_written_although_its_answer_was_lost_happened_once() {
    let still = Still::set("agent clerk\n    say Done.\n", with_calendar).await;
    let jobs = still.runtime.jobs();
    let job = enqueue(&still.runtime, JobSpec::host("a", "")).await;
    let _running = still.runs(20);
    still.store.lose_answers(1);
    let taken = jobs.start(job).await.expect("it is there");
    assert_eq!(taken.attempt, 1);
    still.store.lose_answers(1);
    jobs.complete((job, 1), None).await.expect("it is there");
    still.store.fail_appends(2, &away());
    let other = enqueue(&still.runtime, JobSpec::host("b", "")).await;
    still.store.fail_appends(2, &away());
    jobs.start(other).await.expect("in the end");
    let view = jobs.show(job).await.expect("it is there");
    assert_eq!(view.history.len(), 3, "{:?}", view.history);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_that_its_catalog_missed_is_found_in_its_log() {
    let still = Still::set("agent clerk\n    say Done.\n", with_calendar).await;
    still.store.fail_catalog(true);
    let job = enqueue(&still.runtime, JobSpec::host("unseen", "")).await;
    assert!(still.runtime.jobs().list(JobFilter::default()).await.expect("a list").is_empty());
    still.store.fail_catalog(false);
    let still = still.crash().await;
    still.runtime.jobs().start(job).await.expect("it is due");
    let listed = still.runtime.jobs().list(JobFilter::default()).await.expect("a list");
    assert_eq!(listed.iter().map(|row| row.job).collect::<Vec<_>>(), [job]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_whose_log_is_damaged_is_refused_and_no_other() {
    let still = Still::set("agent clerk\n    say Done.\n", with_calendar).await;
    let bad = enqueue(&still.runtime, JobSpec::host("bad", "")).await;
    let good = enqueue(&still.runtime, JobSpec::host("good", "")).await;
    assert!(still.store.damage(LogId::job(bad), Position(1)));
    let still = still.crash().await;
    let jobs = still.runtime.jobs();
    jobs.start(good).await.expect("it is due");
    let refused = refused(jobs.cancel(bad, String::new()).await.expect_err("damaged"));
    assert!(matches!(refused, JobRefused::Damaged { .. }), "{refused}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_to_a_job_whose_journal_hangs_is_waited_for_no_longer_than_a_call() {
    let mut still = Still::set("agent clerk\n    say Done.\n", with_calendar).await;
    for _life in 0..2 {
        let job = enqueue(&still.runtime, JobSpec::host("a", "")).await;
        still.store.hold_appends();
        {
            let _running = still.runs(50);
            let jobs = still.runtime.jobs();
            let late = bounded("the caller's wait ends", jobs.cancel(job, String::new())).await;
            assert!(matches!(late, Err(JobError::TimedOut { .. })), "{late:?}");
            still.store.release_appends();
            comes_to(&still.runtime, job, JobState::Cancelled).await;
        }
        still = still.crash().await;
    }
}
