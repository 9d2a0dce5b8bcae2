//! The end of a runtime waits for nobody longer than it said.

use greenroom_actors::{
    domain::{
        event::{Event, UserInput},
        ids::Position,
        tool::EffectClass,
    },
    testing::harness::{bounded, say},
};

use crate::workshop::{Still, agent, until};

use super::{
    HANGS, happened,
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
