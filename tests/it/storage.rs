//! A store that fails under the whole runtime: a damaged row, a poisoned journal, a full disk.

use greenroom_actors::{
    domain::{
        catalog::SessionFilter,
        event::{Event, UserInput},
        frame::LogId,
        ids::{Position, SessionId},
        outcome::{ChildOutcome, TurnOutcome},
        tool::EffectClass,
    },
    policy::turn::Rejected,
    ports::JournalError,
    runtime::{CallError, Ended},
    testing::harness::{bounded, ended, events, say},
};

use crate::{
    stage::Stage,
    workshop::{Still, agent, done, tool, until},
};

const SCRIPT: &str = r#"
agent echo
    say You said {input}.
agent lead
    call spawn_agent {"agent": "stuck", "task": "go"}
  then
    call await_agents {}
  then
    say {results}
agent stuck
    hang
"#;

fn arrange(
    harness: greenroom_actors::testing::harness::Harness,
) -> greenroom_actors::testing::harness::Harness {
    harness.agent(agent("echo", &[], &[])).agent(agent("lead", &[], &["stuck"])).agent(agent(
        "stuck",
        &[],
        &[],
    ))
}

/// A frame is changed on the disk while nobody looks. Its session is off the stage with a reason,
/// its parent is told, and everybody else is served.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_session_is_quarantined_its_parent_told_and_all_others_served() {
    let still = Still::set(SCRIPT, arrange).await;
    let lead = say(&still.runtime, "lead", "k", "go").await;
    let echo = say(&still.runtime, "echo", "k", "one").await;
    let other = say(&still.runtime, "echo", "k", "one").await;
    ended(&still.runtime, echo, "k").await;
    ended(&still.runtime, other, "k").await;
    let stuck = until("the child works", || async {
        let child = events(&still.runtime, lead).await.iter().find_map(|event| match event {
            Event::ChildSpawned { child, .. } => Some(*child),
            _ => None,
        })?;
        let log = still.runtime.read(child, Position(0)).await.ok()?;
        let calls = log.iter().flat_map(|frame| &frame.events);
        calls.into_iter().any(|e| e.name() == "model_call_started").then_some(child)
    })
    .await;
    for damaged in [stuck, echo] {
        assert!(still.store.damage(LogId::session(damaged), Position(1)));
    }
    let still = still.crash().await;
    let _running = still.runs(50);
    let runtime = &still.runtime;
    let quarantined = |refused: &Result<(), CallError>| {
        matches!(refused, Err(CallError::Rejected(Rejected::Quarantined { .. })))
    };
    let refused = runtime.submit(echo, "k2".into(), UserInput::text("two")).await;
    assert!(quarantined(&refused), "{refused:?}");
    let served = runtime.run(other, "k2".into(), UserInput::text("two"), u64::MAX / 4).await;
    assert!(matches!(served, Ok(TurnOutcome::Completed { .. })), "{served:?}");
    let outcome = bounded("the parent is told", async {
        runtime.outcome(lead, "k".into(), u64::MAX / 4).await.expect("its turn ends").1
    })
    .await;
    let TurnOutcome::Completed { text, .. } = outcome else { panic!("{outcome:?}") };
    assert!(text.contains("quarantined"), "{text}");
    let told = events(runtime, lead).await;
    let told = told.iter().filter(|event| {
        matches!(event, Event::ChildFinished { child, report, .. }
        if *child == stuck && matches!(&report.outcome, ChildOutcome::Quarantined { .. }))
    });
    assert_eq!(told.count(), 1);
    // The reason outlives the process: it is in the house's own log.
    drop(_running);
    let still = still.crash().await;
    let refused = still.runtime.submit(echo, "k3".into(), UserInput::text("three")).await;
    assert!(quarantined(&refused), "{refused:?}");
}

/// A fork is cut from a log, so a catalog that fell behind does not stop it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_that_the_catalog_does_not_know_is_forked_all_the_same() {
    let still = Still::set(SCRIPT, arrange).await;
    let runtime = &still.runtime;
    still.store.fail_catalog(true);
    let base = say(runtime, "echo", "k", "one").await;
    ended(runtime, base, "k").await;
    let frames = runtime.read(base, Position(0)).await.expect("its log");
    let tail = frames.last().expect("a frame").envelope.clone();
    let fork = runtime.fork(base, tail.position).await.expect("a fork");
    let first = runtime.read(fork, Position(0)).await.expect("its log").remove(0);
    assert_eq!(first.envelope.tenant, tail.tenant, "whose data the base is");
}

/// Says something to each; whether any of it was acknowledged.
async fn acknowledged(still: &Still, sessions: &[SessionId], key: &str) -> usize {
    let mut acknowledged = 0;
    for session in sessions {
        let input = UserInput::text("more");
        let submit = still.runtime.submit(*session, key.into(), input);
        acknowledged += usize::from(bounded("an answer", submit).await.is_ok());
    }
    acknowledged
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_poisoned_journal_ends_the_runtime_and_nothing_is_acknowledged_after_it() {
    let still = Still::set(SCRIPT, arrange).await;
    let mut sessions = Vec::new();
    for _ in 0..5 {
        let session = say(&still.runtime, "echo", "k", "one").await;
        ended(&still.runtime, session, "k").await;
        sessions.push(session);
    }
    let stuck = say(&still.runtime, "stuck", "k", "go").await;
    let appends = still.store.counts().appends;
    let poison = JournalError::Poisoned { why: "a sync failed".to_owned() };
    still.store.fail_appends(1, &poison);
    let running = still.runs(50);
    assert_eq!(acknowledged(&still, &sessions, "k2").await, 0);
    let why = bounded("the end", still.runtime.ended()).await;
    assert!(matches!(&why, Ended::Poisoned { why } if why.contains("a sync failed")), "{why:?}");
    assert_eq!(acknowledged(&still, &sessions, "k3").await, 0);
    let gone = bounded("an answer", still.runtime.outcome(stuck, "k".into(), u64::MAX / 4)).await;
    assert!(gone.is_err(), "no caller waits for a house that has ended: {gone:?}");
    assert!(still.store.counts().appends <= appends + 1, "only the stuck one's last frame, if any");
    // Opened anew, everything that was acknowledged is there, and nothing else.
    drop(running);
    let still = still.crash().await;
    for session in sessions {
        let log = events(&still.runtime, session).await;
        let inputs = log.iter().filter(|event| matches!(event, Event::InputAccepted { .. }));
        assert_eq!(inputs.count(), 1);
        let again = still.runtime.submit(session, "k2".into(), UserInput::text("more")).await;
        again.expect("a store opened anew takes inputs");
    }
}

/// The catalog fails while a session writes when it must be woken and goes to sleep. It stops no
/// append; and as soon as it is well again the sleeper is known, also while the house runs.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sleeper_written_while_the_catalog_failed_is_woken_in_time() {
    let script = "agent asks\n    call press {}\n  then\n    say {results}\n";
    let still = Still::set(script, |mut harness| {
        let mut asks = agent("asks", &["press"], &[]);
        asks.authority = Default::default();
        harness.options.idle_ms = 1_000;
        let press = tool("press", EffectClass::Once, |_, _| async { done("pressed") });
        harness.tool(press).agent(asks)
    })
    .await;
    let runtime = &still.runtime;
    still.store.fail_catalog(true);
    let session = say(runtime, "asks", "k", "go").await;
    let asleep = || async {
        let asked = events(runtime, session).await.iter().any(|e| e.name() == "approval_requested");
        (asked && runtime.awake() == 0).then_some(())
    };
    still.advancing("it asks and sleeps", 1_000, asleep).await;
    let unknown = runtime.sessions(SessionFilter::default()).await.expect("lines");
    assert!(unknown.is_empty(), "the catalog knows nothing of it: {unknown:?}");
    still.store.fail_catalog(false);
    let over = || async {
        let state = runtime.state(session).await.ok()?;
        state.outcomes.values().next().cloned()
    };
    let outcome = still.advancing("its time has come", 600_000, over).await;
    let TurnOutcome::Completed { text, .. } = outcome else { panic!("{outcome:?}") };
    assert!(text.contains("nobody answered in time"), "{text}");
    let known = runtime.sessions(SessionFilter::default()).await.expect("lines");
    assert_eq!(known.len(), 1, "{known:?}");
}

/// The real store on a real file, with no room left: refused, and later taken.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_refuses_and_the_same_input_is_taken_when_there_is_room() {
    let still = Still::set(SCRIPT, arrange).await;
    let session = say(&still.runtime, "echo", "k", "one").await;
    ended(&still.runtime, session, "k").await;
    let full = JournalError::Unavailable { why: "no space left on the device".to_owned() };
    still.store.fail_appends(100_000, &full);
    let running = still.runs(50);
    assert_eq!(acknowledged(&still, &[session], "k2").await, 0, "refused while it is full");
    let log = events(&still.runtime, session).await;
    assert!(!log.iter().any(|e| matches!(e, Event::InputAccepted { key, .. } if key.0 == "k2")));
    still.store.reopen();
    until("it goes on", || async {
        let input = UserInput::text("two");
        still.runtime.submit(session, "k2".into(), input).await.ok()
    })
    .await;
    let outcome = ended(&still.runtime, session, "k2").await;
    assert!(matches!(outcome, TurnOutcome::Completed { .. }), "{outcome:?}");
    assert_eq!(still.runtime.tree(session).await.expect("its row").row.restarts, 0);
    drop(running);
}

/// The same over SQLite: a row is changed in the file itself.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_row_changed_in_the_file_takes_one_session_off_the_stage() {
    let mut stage = Stage::set(SCRIPT, arrange).await;
    let echo = say(&stage.runtime, "echo", "k", "one").await;
    let other = say(&stage.runtime, "echo", "k", "one").await;
    ended(&stage.runtime, echo, "k").await;
    ended(&stage.runtime, other, "k").await;
    let path = stage.folder.path().join("greenroom.db");
    bounded("shutdown", stage.runtime.shutdown()).await;
    stage.store.close();
    {
        let file = rusqlite::Connection::open(&path).expect("the file");
        let changed = file
            .execute(
                "UPDATE frame SET body = replace(body, 'one', 'two') WHERE log = \
                 (SELECT num FROM log WHERE kind = 'session' AND id = ?1)",
                [echo.to_string()],
            )
            .expect("the rows");
        assert!(changed > 0, "something was changed");
    }
    stage = stage.crash().await;
    let refused = stage.runtime.submit(echo, "k2".into(), UserInput::text("two")).await;
    let Err(CallError::Rejected(Rejected::Quarantined { reason })) = refused else {
        panic!("{refused:?}");
    };
    assert!(!reason.is_empty());
    let served = stage.runtime.run(other, "k2".into(), UserInput::text("two"), 30_000).await;
    assert!(matches!(served, Ok(TurnOutcome::Completed { .. })), "{served:?}");
}
