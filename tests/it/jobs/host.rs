//! Jobs that the program around the runtime does itself.

use greenroom_actors::{domain::job::OnLost, runtime::Victim, testing::harness::bounded};

use super::*;

async fn still() -> Still {
    Still::set("agent clerk\n    say Done.\n", with_calendar).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_host_takes_a_job_says_how_far_it_is_and_what_it_left() {
    let still = still().await;
    let jobs = still.runtime.jobs();
    let job = enqueue(&still.runtime, JobSpec::host("backup", "all of it")).await;
    let taken = jobs.take(&tenant(), &"default".into()).await.expect("asked").expect("one is due");
    assert_eq!((taken.job, taken.attempt), (job, 1));
    assert!(jobs.take(&tenant(), &"default".into()).await.expect("asked").is_none());
    let told = jobs.progress((job, 1), 40, Some("four of ten".to_owned())).await.expect("it runs");
    assert_eq!((told.progress, told.detail.as_deref()), (40, Some("four of ten")));
    let large = "x".repeat(limits::INLINE_BYTES + 1);
    let done = jobs.complete((job, 1), Some(large.clone())).await.expect("it runs");
    assert_eq!((done.state, done.progress, done.open), (JobState::Completed, 100, false));
    assert_eq!(jobs.result(job).await.expect("it is kept"), Some(large));
    let view = jobs.show(job).await.expect("it is there");
    let steps: Vec<String> =
        view.history.iter().map(|line| format!("{:?}", line.step).to_lowercase()).collect();
    assert_eq!(steps, ["created", "started", "progressed", "ended"]);
    let late = refused(jobs.cancel(job, String::new()).await.expect_err("it has ended"));
    assert!(matches!(late, JobRefused::Wrong { state: JobState::Completed, .. }), "{late}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_key_is_the_same_job_also_after_its_end_and_a_crash() {
    let still = still().await;
    let ask = async |runtime: &Runtime, tenant: &str| {
        let spec = JobSpec::host("once", "");
        let key = Some("k".into());
        runtime.jobs().enqueue(&tenant.into(), spec, key).await.expect("it is taken")
    };
    let job = ask(&still.runtime, "ann").await;
    assert_eq!(ask(&still.runtime, "ann").await, job);
    assert_ne!(ask(&still.runtime, "bob").await, job, "another tenant's key is another's");
    let jobs = still.runtime.jobs();
    jobs.start(job).await.expect("it is due");
    jobs.complete((job, 1), None).await.expect("it runs");
    assert_eq!(ask(&still.runtime, "ann").await, job);
    let still = still.crash().await;
    assert_eq!(ask(&still.runtime, "ann").await, job);
    assert_eq!(row(&still.runtime, job).await.state, JobState::Completed);
    let all = still.runtime.jobs().list(JobFilter::default()).await.expect("the list");
    assert_eq!(all.len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_attempt_asked_for_again_under_its_key_is_the_same_until_it_ends_or_its_host_dies() {
    let still = still().await;
    let queue = "default".into();
    let take = async |runtime: &Runtime, key: &str| {
        let jobs = runtime.jobs().under(Some(key.into()));
        let taken = jobs.take(&tenant(), &queue).await.expect("asked");
        taken.map(|taken| (taken.job, taken.attempt))
    };
    for name in ["one", "another"] {
        enqueue(&still.runtime, JobSpec::host(name, "")).await;
    }
    let first = take(&still.runtime, "mine").await.expect("one is due");
    assert_eq!(take(&still.runtime, "mine").await, Some(first), "asked twice, begun once");
    assert!(still.runtime.kill(&Victim::Jobs));
    let again = still.advancing("its actor is back", 10, || take(&still.runtime, "mine")).await;
    assert_eq!(again, first, "its log knows whose it is");
    let started = still.runtime.jobs().under(Some("mine".into())).start(first.0).await;
    assert_eq!(started.map(|taken| taken.attempt).expect("it is theirs"), first.1);
    let second = take(&still.runtime, "theirs").await.expect("the other is due");
    assert_ne!(second.0, first.0);
    assert_eq!(take(&still.runtime, "mine").await, Some(first));
    still.runtime.jobs().complete(first, None).await.expect("it runs");
    assert_eq!(take(&still.runtime, "mine").await, None, "what has ended is nobody's any more");
    let still = still.crash().await;
    // Its attempt died with the runtime: nobody is told that he has it.
    assert_ne!(take(&still.runtime, "theirs").await, Some(second));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_unknown_or_anothers_is_refused_as_unknown() {
    let still = still().await;
    let job = enqueue(&still.runtime, JobSpec::host("mine", "")).await;
    let jobs = still.runtime.jobs();
    let nobody = JobId(uuid::Uuid::from_u128(99));
    let others = jobs.clone().of("other".into());
    for (jobs, job) in [(&jobs, nobody), (&others, job)] {
        let unknown = JobRefused::Unknown { job };
        assert_eq!(refused(jobs.show(job).await.expect_err("unknown")), unknown);
        assert_eq!(refused(jobs.cancel(job, String::new()).await.expect_err("unknown")), unknown);
        assert_eq!(refused(jobs.start(job).await.expect_err("unknown")), unknown);
        let spec = JobSpec::host("b", "").after(job);
        let tenant = if job == nobody { tenant() } else { "other".into() };
        let after = jobs.enqueue(&tenant, spec, None).await.expect_err("unknown");
        assert_eq!(refused(after), unknown);
    }
    assert!(others.list(JobFilter::default()).await.expect("the list").is_empty());
    assert_eq!(row(&still.runtime, job).await.state, JobState::Queued);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failed_attempt_is_due_again_after_its_pause_and_the_last_one_ends_the_job() {
    let still = still().await;
    let jobs = still.runtime.jobs();
    let spec = JobSpec::host("shaky", "").attempts(2).backoff_ms(60_000, 60_000);
    let job = enqueue(&still.runtime, spec).await;
    jobs.start(job).await.expect("it is due");
    let failed = jobs.fail((job, 1), "no network".to_owned(), true).await.expect("it runs");
    let due = failed.due.expect("it is tried again");
    let early = refused(jobs.start(job).await.expect_err("too early"));
    assert_eq!(early, JobRefused::NotDue { job, due });
    // Nobody asks for it meanwhile: that it is due outlives a crash.
    let still = still.crash().await;
    let jobs = still.runtime.jobs();
    let took = still
        .advancing("it is due", 1_000, || async {
            jobs.take(&tenant(), &"default".into()).await.ok().flatten()
        })
        .await;
    assert_eq!((took.job, took.attempt, took.due), (job, 2, due));
    let failed = jobs.fail((job, 2), "no network".to_owned(), true).await.expect("it runs");
    assert_eq!((failed.state, failed.error.as_deref()), (JobState::Failed, Some("no network")));
    let again = jobs.retry(job).await.expect("a person may say so");
    assert_eq!((again.state, again.attempts_max), (JobState::Queued, 4));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_host_that_died_amid_an_attempt_makes_it_again_or_leaves_it_as_declared() {
    let still = still().await;
    let again = enqueue(&still.runtime, JobSpec::host("again", "").backoff_ms(1, 1)).await;
    let left = enqueue(&still.runtime, JobSpec::host("left", "").on_lost(OnLost::Leave)).await;
    for job in [again, left] {
        still.runtime.jobs().start(job).await.expect("it is due");
    }
    // The actor's own death is not the host's.
    assert!(still.runtime.kill(&Victim::Jobs));
    let told = still.advancing("its actor is back", 10, || async {
        still.runtime.jobs().progress((left, 1), 10, None).await.ok()
    });
    assert_eq!(told.await.state, JobState::Running);
    let still = still.crash().await;
    assert_eq!(comes_to(&still.runtime, left, JobState::Lost).await.attempt, 1);
    let queued = comes_to(&still.runtime, again, JobState::Queued).await;
    assert!(queued.error.is_some_and(|why| why.contains("has ended")));
    let late = still.runtime.jobs().complete((again, 1), None).await.expect_err("it is over");
    assert!(matches!(refused(late), JobRefused::Stale { attempt: 1, .. }));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_attempt_whose_host_says_nothing_ends_by_its_deadline() {
    let still = still().await;
    let spec = JobSpec::host("hangs", "").attempts(1).attempt_ms(30_000);
    let job = enqueue(&still.runtime, spec).await;
    let taken = still.runtime.jobs().start(job).await.expect("it is due");
    let ended = still
        .advancing("it ends", 500, || async {
            let row = row(&still.runtime, job).await;
            (row.state == JobState::Failed).then_some(row)
        })
        .await;
    let late = ended.updated_at.since_ms(taken.deadline);
    assert!(ended.updated_at >= taken.deadline && late < 60_000, "{late} ms late");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_that_is_held_begins_only_when_it_goes_on_and_keeps_its_time() {
    let still = still().await;
    let jobs = still.runtime.jobs();
    let job = enqueue(&still.runtime, JobSpec::host("held", "")).await;
    jobs.pause(job, Some("wait for me".to_owned())).await.expect("it waits");
    assert!(jobs.take(&tenant(), &"default".into()).await.expect("asked").is_none());
    let still = still.crash().await;
    let jobs = still.runtime.jobs();
    assert_eq!(row(&still.runtime, job).await.state, JobState::Paused);
    jobs.resume(job, None).await.expect("it was held");
    let running = jobs.start(job).await.expect("it is due");
    jobs.pause(job, None).await.expect("a host can be held");
    let refused = refused(jobs.complete((job, running.attempt), None).await.expect_err("held"));
    assert!(matches!(refused, JobRefused::Wrong { .. }), "{refused}");
    jobs.resume(job, None).await.expect("it was held");
    jobs.complete((job, running.attempt), None).await.expect("it runs");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_queue_has_its_places_at_work_and_a_bounded_number_of_jobs() {
    let queued = |mut harness: Harness| {
        harness.options.queues.insert("narrow".into(), 2);
        with_calendar(harness)
    };
    let still = Still::set("agent clerk\n    say Done.\n", queued).await;
    let jobs = still.runtime.jobs();
    let narrow = || JobSpec::host("n", "").queue("narrow");
    let mut all = Vec::new();
    for _ in 0..3 {
        all.push(enqueue(&still.runtime, narrow()).await);
    }
    let take = async || jobs.take(&tenant(), &"narrow".into()).await.expect("asked");
    let first = take().await.expect("a place");
    take().await.expect("a place");
    assert!(take().await.is_none(), "two are at work");
    let third = *all.iter().max().expect("three");
    assert!(matches!(
        refused(jobs.start(third).await.expect_err("no place")),
        JobRefused::Waits { .. } | JobRefused::Wrong { .. }
    ));
    jobs.complete((first.job, 1), None).await.expect("it runs");
    take().await.expect("a place came free");
    let full = async {
        for _ in 0..=limits::QUEUE_OPEN {
            jobs.enqueue(&tenant(), JobSpec::host("f", "").queue("full"), None).await?;
        }
        Ok::<_, JobError>(())
    };
    let full = refused(bounded("a full queue", full).await.expect_err("there is an end"));
    assert!(matches!(full, JobRefused::Full { open: limits::QUEUE_OPEN, .. }), "{full}");
    enqueue(&still.runtime, narrow()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_waits_for_another_and_fails_with_it() {
    let still = still().await;
    let jobs = still.runtime.jobs();
    let first = enqueue(&still.runtime, JobSpec::host("a", "").attempts(1)).await;
    let good = enqueue(&still.runtime, JobSpec::host("b", "").after(first)).await;
    let waits = refused(jobs.start(good).await.expect_err("its first has not ended"));
    assert!(matches!(waits, JobRefused::Waits { .. }), "{waits}");
    jobs.start(first).await.expect("it is due");
    jobs.complete((first, 1), None).await.expect("it runs");
    let still = still.crash().await;
    let jobs = still.runtime.jobs();
    jobs.start(good).await.expect("what it waited for had completed before the crash");
    jobs.fail((good, 1), "it broke".to_owned(), false).await.expect("it runs");
    let late = enqueue(&still.runtime, JobSpec::host("c", "").after(good)).await;
    let failed = comes_to(&still.runtime, late, JobState::Failed).await;
    assert!(failed.error.is_some_and(|why| why.contains("it broke")), "ended before it was asked");
    let one = enqueue(&still.runtime, JobSpec::host("d", "")).await;
    let two = enqueue(&still.runtime, JobSpec::host("e", "").after(one)).await;
    let three = enqueue(&still.runtime, JobSpec::host("f", "").after(two)).await;
    jobs.cancel(one, "not today".to_owned()).await.expect("it waits");
    let failed = comes_to(&still.runtime, three, JobState::Failed).await;
    assert!(failed.error.is_some_and(|why| why.contains("not today")), "down the line");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_circle_of_jobs_cannot_be_asked_for() {
    let still = still().await;
    let own = JobId::keyed(&tenant(), &"k".into());
    let spec = JobSpec::host("ouroboros", "").after(own);
    let asked = still.runtime.jobs().enqueue(&tenant(), spec, Some("k".into())).await;
    assert_eq!(refused(asked.expect_err("it is not there yet")), JobRefused::Unknown { job: own });
}
