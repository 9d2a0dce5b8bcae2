//! A catalog that hangs: who reads it hears so in time, and everything else goes on.

use std::future::Future;

use greenroom_actors::{
    domain::{
        catalog::{SessionFilter, TotalsOf},
        frame::LogKind,
        ids::{Position, SessionId},
        outcome::TurnOutcome,
        tool::EffectClass,
    },
    limits, log,
    ports::{Clock as _, JournalError},
    runtime::CallError,
    testing::harness::{bounded, ended, say},
};

use crate::workshop::{Still, agent, done, tool, until};

use super::{
    ECHO, LIVES, echo, happened,
    held::{Holding, holdable},
    kept, turn_takes,
};

/// The question is answered with "unavailable" when its time is up.
async fn unavailable<T: std::fmt::Debug>(
    still: &Still,
    what: &str,
    question: impl Future<Output = Result<T, CallError>>,
) {
    let start = still.clock.now();
    let _running = still.runs(50);
    match bounded(what, question).await {
        Err(
            CallError::Journal(JournalError::Unavailable { .. })
            | CallError::Read(log::ReadError::Journal(JournalError::Unavailable { .. })),
        ) => {}
        other => panic!("{what}: {other:?}"),
    }
    kept(still.clock.now().since_ms(start), limits::CALL_MS, 50);
}

async fn works(still: &Still, key: &str) -> SessionId {
    let _running = still.runs(50);
    let session = bounded("open and submit", say(&still.runtime, "echo", key, "one")).await;
    let outcome = ended(&still.runtime, session, key).await;
    assert!(matches!(outcome, TurnOutcome::Completed { .. }), "{outcome:?}");
    session
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reads_of_a_catalog_that_hangs_end_in_time_and_the_house_goes_on() {
    let (mut still, hold) = holdable(ECHO, echo).await;
    for life in LIVES {
        let session = works(&still, life).await;
        hold.on(Holding::Catalog);
        let runtime = &still.runtime;
        let lines = runtime.sessions(SessionFilter::default());
        unavailable(&still, "lines", lines).await;
        unavailable(&still, "the inbox", runtime.approvals(None)).await;
        unavailable(&still, "totals", runtime.totals(TotalsOf::Runtime)).await;
        unavailable(&still, "checkpoints", runtime.checkpoints(session)).await;
        unavailable(&still, "the tree", runtime.tree(session)).await;
        works(&still, "meanwhile").await;
        // A store by itself, without a runtime, is no more patient.
        let reading = greenroom_actors::runtime::Reading::new(&still.harness.deps);
        unavailable(&still, "a look from outside", reading.all_sessions(Default::default())).await;
        hold.off();
        runtime.sessions(SessionFilter::default()).await.expect("it is back");
        still = still.crash().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reads_of_logs_and_blobs_that_hang_end_in_time() {
    let (mut still, hold) = holdable(ECHO, echo).await;
    let blob = still.harness.deps.blobs.put(b"large".to_vec()).await.expect("kept");
    for life in LIVES {
        let session = works(&still, life).await;
        let runtime = &still.runtime;
        hold.on(Holding::Reads(LogKind::Session));
        unavailable(&still, "a log", runtime.read(session, Position(0))).await;
        unavailable(&still, "a state", runtime.state(session)).await;
        unavailable(&still, "a fork", runtime.fork(session, Position(1))).await;
        unavailable(&still, "an outcome", runtime.reading().last_outcome(session)).await;
        hold.on(Holding::Blobs);
        unavailable(&still, "a blob", runtime.blob(blob.clone())).await;
        hold.off();
        still = still.crash().await;
    }
}

/// The root looks again and again; each look ends in time. When the catalog answers again, the
/// sleeper's time has long come, and it is woken.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_look_for_sleepers_that_hangs_is_given_up_and_made_again() {
    let script = format!("{ECHO}agent asks\n    call press {{}}\n  then\n    say {{results}}\n");
    let (mut still, hold) = holdable(&script, |mut harness| {
        let mut asks = agent("asks", &["press"], &[]);
        asks.authority = Default::default();
        asks.limits.approval_ms = 600_000;
        harness.options.idle_ms = 1_000;
        let press = tool("press", EffectClass::Once, |_, _| async { done("pressed") });
        echo(harness.tool(press).agent(asks))
    })
    .await;
    for life in LIVES {
        let start = still.clock.now();
        let session = say(&still.runtime, "asks", "k", "go").await;
        happened(&still, session, "approval_requested").await;
        let asleep = || async { (still.runtime.awake() == 0).then_some(()) };
        still.advancing("it sleeps", 1_000, asleep).await;
        hold.on(Holding::Catalog);
        if life == LIVES[1] {
            // The root that looks is one that was started while the catalog hung.
            let running = still.runs(200);
            still = still.crash().await;
            drop(running);
        }
        let running = still.runs(1_000);
        let looks = hold.held();
        until("it is looked again", || async { (hold.held() >= looks + 3).then_some(()) }).await;
        until("its time has come", || async {
            (still.clock.now().since_ms(start) > 700_000).then_some(())
        })
        .await;
        assert_eq!(still.runtime.awake(), 0, "nobody knows of it");
        drop(running);
        works(&still, "meanwhile").await;
        hold.off();
        let (outcome, took) = turn_takes(&still, (session, "k"), start, 200).await;
        let TurnOutcome::Completed { text, .. } = outcome else { panic!("{outcome:?}") };
        assert!(text.contains("nobody answered in time"), "{text}");
        assert!(took > 700_000, "{took}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_start_while_the_catalog_hangs_waits_for_it_no_longer_than_a_call() {
    let (mut still, hold) = holdable(ECHO, echo).await;
    for _life in LIVES {
        hold.on(Holding::Catalog);
        let start = still.clock.now();
        let running = still.runs(200);
        still = still.crash().await;
        kept(still.clock.now().since_ms(start), limits::CALL_MS, 200);
        drop(running);
        works(&still, "meanwhile").await;
        hold.off();
    }
}

/// Several sessions are behind, and each rebuilding hangs: they share one deadline. The house works
/// without them, and its looks go on where the start gave up.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_start_while_every_rebuilding_hangs_waits_for_all_no_longer_than_a_call() {
    let (mut still, hold) = holdable(ECHO, echo).await;
    let mut behind = Vec::new();
    for life in LIVES {
        still.store.fail_catalog(true);
        for _ in 0..4 {
            behind.push(works(&still, "before").await);
        }
        hold.on(Holding::Rebuilds);
        still.store.fail_catalog(false);
        let held = hold.held();
        let start = still.clock.now();
        let running = still.runs(200);
        still = still.crash().await;
        kept(still.clock.now().since_ms(start), limits::CALL_MS, 200);
        drop(running);
        assert!(hold.held() > held, "{life}: there was something to rebuild");
        works(&still, "meanwhile").await;
        hold.off();
        let rebuilt = || async {
            let stale = still.harness.deps.catalog.stale().await.expect("the catalog");
            stale.is_empty().then_some(())
        };
        still.advancing("the looks rebuild them", 200, rebuilt).await;
    }
    for session in behind {
        let row = still.runtime.tree(session).await.expect("its line").row;
        let log = still.runtime.read(session, Position(0)).await.expect("its log");
        assert_eq!(Some(row.position), log.last().map(|frame| frame.envelope.position));
    }
}
