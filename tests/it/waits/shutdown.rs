//! The end of a runtime waits for nobody longer than it said.

use greenroom_actors::{
    Runtime,
    domain::{
        event::{Event, UserInput},
        ids::Position,
        tool::EffectClass,
    },
    ports::JournalError,
    runtime::Listener,
    testing::harness::{bounded, ended, say},
};

use crate::workshop::{Still, agent, until};

use super::{
    ECHO, HANGS, LIVES, echo, happened,
    tasks::{Free, stubborn},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 6)]
async fn a_shutdown_does_not_wait_for_what_hangs() {
    let (prop, free, runs) = stubborn(EffectClass::Once);
    let _free = Free(free);
    let mut still = Still::set(HANGS, |harness| {
        harness.tool(prop).agent(agent("tool", &["hangs"], &[])).agent(agent("model", &[], &[]))
    })
    .await;
    for life in 1..3 {
        let model = say(&still.runtime, "model", "k", "go").await;
        say(&still.runtime, "tool", "k", "go").await;
        until("the tool runs", || async { (runs.get() == life).then_some(()) }).await;
        happened(&still, model, "model_call_started").await;
        // Sessions own their tasks; no clock has to move for them to let go.
        let order = bounded("shutdown", still.runtime.shutdown()).await;
        assert!(order.last().is_some_and(|last| last == "Ledger"), "{order:?}");
        assert_eq!(still.runtime.awake(), 0);
        let late = still.runtime.submit(model, "k2".into(), UserInput::text("too late"));
        assert!(bounded("a question after the end", late).await.is_err());
        let log = still.runtime.read(model, Position(0)).await.expect("its log");
        assert!(
            log.iter().flat_map(|frame| &frame.events).all(|e: &Event| e.name() != "turn_finished")
        );
        still = still.crash().await;
    }
}

/// Hears all that there is, and then the end.
async fn hears_the_end(mut listener: Listener) {
    bounded("it is told that the house has ended", async {
        while listener.next().await.is_some() {}
    })
    .await;
}

/// Handles are kept all the while, so the bus does not end by being let go.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_listens_is_told_when_the_house_ends() {
    let mut still = Still::set(ECHO, echo).await;
    for life in LIVES {
        let session = say(&still.runtime, "echo", life, "one").await;
        let listeners = |runtime: &Runtime| (runtime.subscribe(), runtime.follow(session));
        let (house, follower) = listeners(&still.runtime);
        ended(&still.runtime, session, life).await;
        if life == LIVES[0] {
            bounded("shutdown", still.runtime.shutdown()).await;
        } else {
            let poison = JournalError::Poisoned { why: "a sync failed".to_owned() };
            still.store.fail_appends(1, &poison);
            let _running = still.runs(50);
            let late = still.runtime.submit(session, "k2".into(), UserInput::text("two"));
            assert!(bounded("a refusal", late).await.is_err());
        }
        hears_the_end(house).await;
        hears_the_end(follower).await;
        let (house, follower) = listeners(&still.runtime);
        hears_the_end(house).await;
        hears_the_end(follower).await;
        still = still.crash().await;
    }
}
