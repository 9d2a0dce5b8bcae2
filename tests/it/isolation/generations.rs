//! S11: incarnations of one session follow one another and never mix.

use super::*;

/// Counts the tools that have ended, however they did.
struct Ends(Count);

impl Drop for Ends {
    fn drop(&mut self) {
        self.0.up();
    }
}

/// S11: one session is started again 300 times, its tools and children slow to die. No owner
/// writes after its successor, and no effect happens twice.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_hundred_incarnations_never_write_after_one_another() {
    const TIMES: usize = 300;
    let script = r#"
agent lead turn 1
    call spawn_agent {"agent": "slow", "task": "one"}
    call spawn_agent {"agent": "slow", "task": "two"}
    say Started.
  then
    say Started.
agent lead
    call press {"which": "{input}"}
    call press {"which": "{input} again"}
  then
    say {results}
agent slow
    hang
"#;
    let (pressed, started, let_go) = (Sink::default(), Count::default(), Count::default());
    let press = {
        let (pressed, started, let_go) = (pressed.clone(), started.clone(), let_go.clone());
        tool("press", EffectClass::Once, move |ctx, _| {
            let (pressed, started) = (pressed.clone(), started.clone());
            let ends = Ends(let_go.clone());
            async move {
                let _ends = ends;
                pressed.took(&ctx.idempotency_key);
                started.up();
                // Deaf to every wish to stop; a thread of its own outlives it for a while.
                let late = ctx.progress.clone();
                std::thread::spawn(move || {
                    std::thread::yield_now();
                    late.report("still here");
                });
                std::future::pending().await
            }
        })
    };
    let still = Still::set(script, |harness| {
        let mut lead = agent("lead", &["press"], &["slow"]);
        lead.restart = RestartPolicy { panics_max: u32::MAX, ..RestartPolicy::default() };
        harness.tool(press).agent(lead).agent(agent("slow", &[], &[]))
    })
    .await;
    // Slow enough that no tool's deadline comes in the middle of a step.
    let _running = still.runs(500);
    let runtime = &still.runtime;
    let lead = say(runtime, "lead", "k", "go").await;
    ended(runtime, lead, "k").await;
    for time in 0..TIMES {
        let (key, before) = (InputKey(format!("k{time}")), started.get());
        let input = UserInput::text(format!("button {time}"));
        runtime.submit(lead, key.clone(), input).await.expect("submit");
        until("both tools run", || async { (started.get() >= before + 2).then_some(()) }).await;
        until("it is there to be killed", || async {
            runtime.kill(&Victim::Session(lead)).then_some(())
        })
        .await;
        let outcome = bounded("the turn", runtime.outcome(lead, key, u64::MAX / 4)).await;
        let (_, outcome) = outcome.expect("the turn goes on");
        let TurnOutcome::Completed { text, .. } = outcome else { panic!("{outcome:?}") };
        assert_eq!(text.matches("outcome_unknown").count(), 2, "{text}");
        // However deaf, nothing of an older incarnation works on beside its successor.
        let gone = || async { (let_go.get() == started.get()).then_some(()) };
        until("what it had running has ended", gone).await;
    }
    let twice: Vec<_> = pressed.all().into_iter().filter(|(_, times)| *times > 1).collect();
    assert!(twice.is_empty(), "pressed twice: {twice:?}");
    assert_eq!(pressed.len(), 2 * TIMES);
    let journal: Arc<dyn Journal> = Arc::new(still.store.clone());
    let frames = tokens_never_fall(&journal, &still.store.logs()).await;
    assert!(frames > 3 * TIMES, "{frames} frames were looked at");
    let (_, token) = journal.tail(LogId::session(lead)).await.expect("its tail");
    assert!(token.0 > TIMES as u64, "every incarnation took a token of its own");
    let children = runtime.tree(lead).await.expect("the tree").children;
    assert!(children.iter().all(|child| child.row.restarts == 0), "the children never noticed");
    assert_eq!(children.len(), 2);
}

/// The log that a killed process leaves is verified by whoever reads it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_full_of_deaths_leaves_logs_that_verify() {
    let sink = Sink::default();
    let stage = Stage::set(WORK, workers(&sink)).await;
    let runtime = &stage.runtime;
    let sessions = join_all((0..20).map(|_| say(runtime, "worker", "k", "go"))).await;
    for session in sessions.iter().step_by(2) {
        // Some have finished and left by now; that is as good.
        let _ = runtime.kill(&Victim::Session(*session));
    }
    join_all(sessions.iter().map(|session| ended(runtime, *session, "k"))).await;
    let stage = stage.crash().await;
    let journal: Arc<dyn Journal> = Arc::clone(&stage.store) as _;
    for session in sessions {
        let log = LogId::session(session);
        let frames = log::read_all::<Event>(&journal, log).await.expect("it verifies");
        assert!(frames.len() > 3);
        tokens_never_fall(&journal, &[log]).await;
    }
}
