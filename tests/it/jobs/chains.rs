//! Jobs that recur: a chain of jobs, of which each brings the next into being, once.

use super::*;

use greenroom_actors::ports::Clock as _;

const MINUTE: i64 = 60_000;

async fn all(runtime: &Runtime) -> Vec<JobRow> {
    let mut rows = runtime.jobs().list(JobFilter::default()).await.expect("the list");
    rows.sort_by_key(|row| row.created_at);
    rows
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_of_a_chain_begins_at_its_time_and_brings_the_next_into_being_once() {
    let still = Still::set("agent clerk\n    say Done.\n", with_calendar).await;
    let begun = still.clock.now();
    let spec = JobSpec::prompt("tick", "clerk", "tick").cron(MINUTE.to_string(), "UTC");
    let first = enqueue(&still.runtime, spec).await;
    let five = || async {
        let rows = all(&still.runtime).await;
        (rows.iter().filter(|row| row.state == JobState::Completed).count() >= 5).then_some(rows)
    };
    let rows = still.advancing("five are done", 1_000, five).await;
    let mut due = Vec::new();
    for row in &rows {
        let view = still.runtime.jobs().show(row.job).await.expect("it is there");
        let series = if row.job == first { None } else { Some(first) };
        assert_eq!(row.series, series);
        let started = view.history.iter().find(|line| line.attempt == 1).map(|line| line.at);
        let at = row.due.or(started).expect("it has a time");
        assert!(at > begun);
        due.push(at.0 / MINUTE);
    }
    let mut once = due.clone();
    once.sort_unstable();
    once.dedup();
    assert_eq!(once.len(), due.len(), "one for each minute: {due:?}");
    assert!(rows.len() <= 7, "one waits at a time");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_missed_while_nobody_ran_is_made_up_for_once() {
    let still = Still::set("agent clerk\n    say Done.\n", with_calendar).await;
    let spec = JobSpec::prompt("tick", "clerk", "tick").cron(MINUTE.to_string(), "UTC");
    enqueue(&still.runtime, spec).await;
    still.clock.set(Timestamp(still.clock.now().0 + 100 * MINUTE));
    let still = still.crash().await;
    let rows = until("the next waits", || async {
        let rows = all(&still.runtime).await;
        let done = rows.iter().filter(|row| row.state == JobState::Completed).count();
        (rows.len() == 2 && done == 1).then_some(rows)
    });
    let next = rows.await.into_iter().find(|row| row.state == JobState::Queued);
    let due = next.and_then(|row| row.due).expect("it has its time");
    assert!(due > still.clock.now(), "a hundred were missed, and one was made");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_cancels_the_one_that_waits_ends_the_chain() {
    let still = Still::set("agent clerk\n    say Done.\n", with_calendar).await;
    let spec = JobSpec::prompt("tick", "clerk", "tick").cron(MINUTE.to_string(), "UTC");
    let job = enqueue(&still.runtime, spec).await;
    still.runtime.jobs().cancel(job, "no more".to_owned()).await.expect("it waits");
    let still = still.crash().await;
    still.clock.advance(10 * 60_000);
    assert_eq!(all(&still.runtime).await.len(), 1);
    let bad = JobSpec::prompt("x", "clerk", "").cron("every day", "UTC");
    let bad = still.runtime.jobs().enqueue(&tenant(), bad, None).await.expect_err("no number");
    assert!(matches!(refused(bad), JobRefused::BadValue { .. }));
}
