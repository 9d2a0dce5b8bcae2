//! Prompts that the runtime runs: at their time, each attempt a turn of its own.

use greenroom_actors::{
    domain::{
        catalog::SessionFilter,
        outcome::TurnOutcome,
        tool::{EffectClass, ToolOutcome},
    },
    ports::Clock as _,
    runtime::Victim,
    testing::harness::{bounded, ended, events},
};

use super::*;
use crate::workshop::{Count, Sink, done, tool};

const SAYS: &str = "agent clerk\n    say You said {input}.\n";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_prompt_is_one_turn_of_a_session_of_its_own_and_its_answer_is_kept() {
    let still = Still::set(SAYS, with_calendar).await;
    let job = enqueue(&still.runtime, JobSpec::prompt("hello", "clerk", "hello")).await;
    let done = comes_to(&still.runtime, job, JobState::Completed).await;
    let session = done.session.expect("it ran");
    assert_eq!(session, job.session(1));
    let result = still.runtime.jobs().result(job).await.expect("it is kept");
    assert_eq!(result.as_deref(), Some("You said hello."));
    let outcome = ended(&still.runtime, session, job.input_key(1).as_str()).await;
    assert_eq!(outcome.word(), "completed");
    let nobody = JobSpec::prompt("x", "nobody", "");
    let unknown =
        still.runtime.jobs().enqueue(&tenant(), nobody, None).await.expect_err("no agent");
    assert!(matches!(refused(unknown), JobRefused::UnknownAgent { .. }));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_prompt_begins_at_its_time_also_when_nobody_ran_then() {
    let still = Still::set(SAYS, with_calendar).await;
    let at = still.clock.now().plus_ms(3_600_000);
    let on_time = enqueue(&still.runtime, JobSpec::prompt("a", "clerk", "a").at(at)).await;
    let missed = still.clock.now().plus_ms(9_000_000);
    let late = enqueue(&still.runtime, JobSpec::prompt("b", "clerk", "b").at(missed)).await;
    let done = still.advancing("it is done", 60_000, || async {
        let row = row(&still.runtime, on_time).await;
        (row.state == JobState::Completed).then_some(row)
    });
    let done = done.await;
    assert!(done.updated_at >= at && row(&still.runtime, late).await.state == JobState::Queued);
    let view = still.runtime.jobs().show(on_time).await.expect("it is there");
    let started = view.history.get(1).expect("it began");
    assert!(started.at >= at, "not before its time");
    still.clock.set(missed.plus_ms(1));
    let still = still.crash().await;
    comes_to(&still.runtime, late, JobState::Completed).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_prompt_cut_off_by_a_death_goes_on_in_the_same_session_under_the_same_key() {
    let (sink, begun) = (Sink::default(), Count::default());
    let (noted, count) = (sink.clone(), begun.clone());
    let hold = Count::default();
    let let_go = hold.clone();
    let mark = tool("mark", EffectClass::Idempotent, move |ctx, _| {
        noted.took(&ctx.idempotency_key);
        count.up();
        let let_go = let_go.clone();
        async move {
            until("it is let go", || async { (let_go.get() > 0).then_some(()) }).await;
            done("marked")
        }
    });
    let script = "agent worker\n    call mark {}\n  then\n    say Well.\n";
    let furnish =
        |harness: Harness| with_calendar(harness).tool(mark).agent(agent("worker", &["mark"], &[]));
    let mut still = Still::set(script, furnish).await;
    let job = enqueue(&still.runtime, JobSpec::prompt("w", "worker", "go")).await;
    for life in 1..=3 {
        until("it is at it", || async { (begun.get() >= life).then_some(()) }).await;
        if life < 3 {
            still = still.crash().await;
        }
    }
    hold.up();
    let done = comes_to(&still.runtime, job, JobState::Completed).await;
    assert_eq!(done.attempt, 1, "no death is an attempt");
    assert_eq!(sink.len(), 1, "the same call, under the same key: {:?}", sink.all());
    let all = still.runtime.sessions(SessionFilter::default()).await.expect("the list");
    assert_eq!(all.len(), 1);
    let log = events(&still.runtime, job.session(1)).await;
    let inputs = log.iter().filter(|event| event.name() == "input_accepted").count();
    assert_eq!(inputs, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_turn_that_fails_is_made_again_in_another_session() {
    let tries = Count::default();
    let counted = tries.clone();
    let shaky = |harness: Harness| {
        let mark = tool("mark", EffectClass::Pure, move |_, _| {
            let nth = counted.up();
            async move {
                if nth < 3 {
                    panic!("not yet")
                }
                done("marked")
            }
        });
        let mut worker = agent("worker", &["mark"], &[]);
        worker.limits.steps = 1;
        with_calendar(harness).tool(mark).agent(worker)
    };
    // One step is too few for a call and what follows from it: each turn fails.
    let script = "agent worker\n    call mark {}\n  then\n    say Well.\n";
    let still = Still::set(script, shaky).await;
    let spec = JobSpec::prompt("w", "worker", "go").attempts(3).backoff_ms(1_000, 1_000);
    let job = enqueue(&still.runtime, spec).await;
    let failed = still.advancing("it has failed", 200, || async {
        let row = row(&still.runtime, job).await;
        (row.state == JobState::Failed).then_some(row)
    });
    assert_eq!(failed.await.attempt, 3);
    let all = still.runtime.sessions(SessionFilter::default()).await.expect("the list");
    assert_eq!(all.len(), 3, "each attempt is a conversation of its own");
}

/// A tool that hangs until it is told to stop.
fn hanging(harness: Harness, begun: &Count, gone: &Count) -> Harness {
    let (begun, gone) = (begun.clone(), gone.clone());
    let hang = tool("hang", EffectClass::Pure, move |mut ctx, _| {
        begun.up();
        let gone = gone.clone();
        async move {
            ctx.cancel.requested().await;
            gone.up();
            ToolOutcome::Cancelled { effect_unknown: false }
        }
    });
    with_calendar(harness).tool(hang).agent(agent("worker", &["hang"], &[]))
}

const HANGS: &str = "agent worker\n    call hang {}\n  then\n    say Well.\n";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cancelled_prompt_has_ended_when_nothing_of_its_turn_is_at_work() {
    let (begun, gone) = (Count::default(), Count::default());
    let still = Still::set(HANGS, |harness| hanging(harness, &begun, &gone)).await;
    let job = enqueue(&still.runtime, JobSpec::prompt("w", "worker", "go")).await;
    until("it hangs", || async { (begun.get() > 0).then_some(()) }).await;
    let told = still.runtime.jobs().cancel(job, "enough".to_owned()).await.expect("it runs");
    assert!(matches!(told.state, JobState::Stopping | JobState::Cancelled));
    let pause = still.runtime.jobs().pause(job, None).await;
    assert!(pause.is_err(), "one that stops is not held");
    let _running = still.runs(50);
    comes_to(&still.runtime, job, JobState::Cancelled).await;
    assert_eq!(gone.get(), 1, "before its end was said");
    let key = job.input_key(1);
    let outcome = ended(&still.runtime, job.session(1), key.as_str()).await;
    assert!(matches!(outcome, TurnOutcome::Cancelled { .. }), "{outcome:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_prompt_that_takes_too_long_is_stopped_and_made_again_also_over_a_death() {
    let (begun, gone) = (Count::default(), Count::default());
    let still = Still::set(HANGS, |harness| hanging(harness, &begun, &gone)).await;
    let spec = JobSpec::prompt("w", "worker", "go").attempts(2).attempt_ms(60_000);
    let job = enqueue(&still.runtime, spec.backoff_ms(1_000, 1_000)).await;
    until("it hangs", || async { (begun.get() > 0).then_some(()) }).await;
    // Its time runs out while nobody is there to see it.
    still.clock.set(still.clock.now().plus_ms(61_000));
    let still = still.crash().await;
    let _running = still.runs(100);
    let failed = comes_to(&still.runtime, job, JobState::Failed).await;
    assert_eq!(failed.attempt, 2);
    assert!(failed.error.is_some_and(|why| why.contains("longer than 60000 ms")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn prompts_of_a_queue_run_as_many_at_once_as_it_has_places_and_all_are_done() {
    let (now, most) = (Count::default(), Arc::new(std::sync::Mutex::new((0_i32, 0_i32))));
    let (seen, ran) = (Arc::clone(&most), now.clone());
    let furnish = |mut harness: Harness| {
        harness.options.queues.insert("narrow".into(), 3);
        let mark = tool("mark", EffectClass::Pure, move |_, _| {
            let (seen, ran) = (Arc::clone(&seen), ran.clone());
            async move {
                {
                    let mut at = seen.lock().expect("no test panics here");
                    at.0 += 1;
                    at.1 = at.1.max(at.0);
                }
                tokio::task::yield_now().await;
                seen.lock().expect("no test panics here").0 -= 1;
                ran.up();
                done("marked")
            }
        });
        with_calendar(harness).tool(mark).agent(agent("worker", &["mark"], &[]))
    };
    let script = "agent worker\n    call mark {}\n  then\n    say Well.\n";
    let still = Still::set(script, furnish).await;
    for _ in 0..20 {
        enqueue(&still.runtime, JobSpec::prompt("w", "worker", "go").queue("narrow")).await;
    }
    // Its actor's death amid them loses none and begins none twice.
    assert!(still.runtime.kill(&Victim::Jobs));
    let _running = still.runs(20);
    let done = || async {
        let states = vec![JobState::Completed];
        let filter = JobFilter { states, ..JobFilter::default() };
        let rows = still.runtime.jobs().list(filter).await.ok()?;
        (rows.len() == 20).then_some(())
    };
    bounded("all are done", until("all are done", done)).await;
    assert_eq!(now.get(), 20);
    let most = most.lock().expect("no test panics here").1;
    assert!((1..=3).contains(&most), "{most} at once");
}
