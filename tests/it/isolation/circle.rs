//! S9: waits that nobody will ever answer.

use super::*;

/// S9: a session waits for itself, through the host, while the answer can never come; and a
/// caller waits for a turn that never ends. Both waits end with their deadline, not before and
/// not after: the clock stands still in between.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_circle_of_calls_waits_no_longer_than_its_deadline() {
    const PATIENCE: u64 = 5_000;
    let script = "
agent * when your turn
    say Here I am.
agent a
    call cross {\"to\": \"b\"}
  then
    say {results}
agent b
    call cross {\"to\": \"a\"}
  then
    say {results}
agent keeps
    hang
";
    let runtime_of = Arc::new(std::sync::OnceLock::<Runtime>::new());
    let pair = Arc::new(std::sync::OnceLock::<(SessionId, SessionId)>::new());
    let (gave_up, asked) = (Count::default(), Count::default());
    let cross = {
        let (runtime_of, pair) = (Arc::clone(&runtime_of), Arc::clone(&pair));
        let (gave_up, asked) = (gave_up.clone(), asked.clone());
        tool("cross", EffectClass::Pure, move |ctx, _| {
            let runtime = runtime_of.get().expect("set before any call").clone();
            let (a, b) = *pair.get().expect("set before any call");
            let to = if ctx.call.session == a { b } else { a };
            let (gave_up, asked) = (gave_up.clone(), asked.clone());
            async move {
                asked.up();
                // Neither asks before the other is busy asking.
                until("both", || async { (asked.get() >= 2).then_some(()) }).await;
                let input = UserInput::text("your turn");
                let answer = runtime.run(to, "crossed".into(), input, PATIENCE).await;
                match answer {
                    Err(CallError::TimedOut { waited_ms: PATIENCE }) => _ = gave_up.up(),
                    // Both waits end at the same moment; the first to give up sets the other free.
                    Ok(TurnOutcome::Completed { .. }) => {}
                    other => panic!("{other:?}"),
                }
                done("nobody answered")
            }
        })
    };
    let still = Still::set(script, |harness| {
        let harness = harness.tool(cross).agent(agent("a", &["cross"], &[]));
        harness.agent(agent("b", &["cross"], &[])).agent(agent("keeps", &[], &[]))
    })
    .await;
    runtime_of.set(still.runtime.clone()).expect("set once");
    let a = still.runtime.open(&"a".into(), "test".into()).await.expect("a");
    let b = still.runtime.open(&"b".into(), "test".into()).await.expect("b");
    pair.set((a, b)).expect("set once");
    let start = still.clock.now();
    for session in [a, b] {
        let input = UserInput::text("go");
        still.runtime.submit(session, "k".into(), input).await.expect("submit");
    }
    let kept = say(&still.runtime, "keeps", "k", "go").await;
    until("both ask", || async { (asked.get() == 2).then_some(()) }).await;
    let crossed = || async {
        let logs = join(events(&still.runtime, a), events(&still.runtime, b)).await;
        let accepted = |log: &[Event]| {
            log.iter().any(|e| matches!(e, Event::InputAccepted { key, .. } if key.0 == "crossed"))
        };
        (accepted(&logs.0) && accepted(&logs.1)).then_some(())
    };
    until("both inputs wait in the other's queue", crossed).await;
    let waiting = still.runtime.outcome(kept, "k".into(), PATIENCE - 1);
    let watching = async {
        // Some of these sleepers belong to the house; the waits are among them.
        until("everybody waits", || async { (still.clock.sleepers() >= 3).then_some(()) }).await;
        still.clock.advance(PATIENCE - 1);
        until("the shortest wait is over", || async {
            (still.clock.now() == start.plus_ms(PATIENCE - 1)).then_some(())
        })
        .await;
        assert_eq!(gave_up.get(), 0, "not a moment early");
        still.clock.advance(1);
    };
    let (kept, ()) = bounded("a wait beyond its deadline", join(waiting, watching)).await;
    assert!(matches!(kept, Err(CallError::TimedOut { .. })), "{kept:?}");
    let both = join(ended(&still.runtime, a, "k"), ended(&still.runtime, b, "k"));
    for outcome in <[TurnOutcome; 2]>::from(bounded("both turns end", both).await) {
        assert!(matches!(outcome, TurnOutcome::Completed { .. }), "{outcome:?}");
    }
    assert!(gave_up.get() >= 1, "a circle ends because somebody gives up");
    // The tools hold the handle that holds the tools.
    still.runtime.shutdown().await;
}
