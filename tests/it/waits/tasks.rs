//! Tasks that run and do not end: dropped at their deadline or at a cancel, and left behind where
//! they do not let go of their thread.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering::SeqCst},
};

use greenroom_actors::{
    domain::{event::CancelTarget, outcome::TurnOutcome, tool::EffectClass},
    limits,
    ports::Clock as _,
    testing::harness::say,
};

use crate::workshop::{Count, Prop, Still, agent, done, tool, until};

use super::{HANGS, hanging, happened, kept, turn_takes};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tool_that_hangs_is_given_up_also_after_a_restart() {
    let still = Still::set(HANGS, hanging).await;
    let timed_out = |outcome: &TurnOutcome| {
        matches!(
            outcome,
            TurnOutcome::Completed { text, .. } if text == "timed out"
        )
    };
    let start = still.clock.now();
    let first = say(&still.runtime, "tool", "k", "go").await;
    let (outcome, took) = turn_takes(&still, (first, "k"), start, 500).await;
    assert!(timed_out(&outcome), "{outcome:?}");
    kept(took, limits::TOOL_MS, 500);

    let start = still.clock.now();
    let second = say(&still.runtime, "tool", "k", "go").await;
    happened(&still, second, "tool_started").await;
    let still = still.crash().await;
    let (outcome, took) = turn_takes(&still, (second, "k"), start, 500).await;
    assert!(timed_out(&outcome), "{outcome:?}");
    kept(took, limits::TOOL_MS, 500);
}

/// A tool that never lets go of its thread until it is told to.
pub(super) fn stubborn(effect: EffectClass) -> (Prop, Arc<AtomicBool>, Count) {
    let (free, runs) = (Arc::new(AtomicBool::new(false)), Count::default());
    let (freed, counted) = (Arc::clone(&free), runs.clone());
    let prop = tool("hangs", effect, move |_, _| {
        let (free, runs) = (Arc::clone(&freed), counted.clone());
        async move {
            runs.up();
            while !free.load(SeqCst) {
                std::thread::yield_now();
            }
            done("at last")
        }
    });
    (prop, free, runs)
}

/// Freed whatever becomes of the test, so that a failure does not hang.
pub(super) struct Free(pub(super) Arc<AtomicBool>);

impl Drop for Free {
    fn drop(&mut self) {
        self.0.store(true, SeqCst);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 6)]
async fn a_tool_that_never_lets_go_of_its_thread_is_given_up_also_after_a_restart() {
    for (effect, dies, says) in [
        (EffectClass::Once, false, "timed out; whether its effect happened is unknown"),
        (EffectClass::Pure, true, "timed out"),
    ] {
        let (prop, free, runs) = stubborn(effect);
        let _free = Free(free);
        let mut still =
            Still::set(HANGS, |harness| harness.tool(prop).agent(agent("tool", &["hangs"], &[])))
                .await;
        let start = still.clock.now();
        let session = say(&still.runtime, "tool", "k", "go").await;
        until("it runs", || async { (runs.get() == 1).then_some(()) }).await;
        if dies {
            still = still.crash().await;
            until("it runs again", || async { (runs.get() == 2).then_some(()) }).await;
        }
        let (outcome, took) = turn_takes(&still, (session, "k"), start, 500).await;
        let TurnOutcome::Completed { text, .. } = outcome else { panic!("{outcome:?}") };
        assert_eq!(text, says);
        kept(took, limits::TOOL_MS, 500);
        assert_eq!(still.runtime.leases_out(), 1, "the slot is taken as long as the thread is");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 6)]
async fn a_cancel_does_not_wait_for_a_tool_that_ignores_it() {
    let (prop, free, runs) = stubborn(EffectClass::Once);
    let _free = Free(free);
    let still =
        Still::set(HANGS, |harness| harness.tool(prop).agent(agent("tool", &["hangs"], &[]))).await;
    let session = say(&still.runtime, "tool", "k", "go").await;
    until("it runs", || async { (runs.get() == 1).then_some(()) }).await;
    let start = still.clock.now();
    still.runtime.cancel(session, CancelTarget::Everything, "enough").await.expect("cancel");
    let (outcome, took) = turn_takes(&still, (session, "k"), start, 50).await;
    assert_eq!(outcome, TurnOutcome::Cancelled { reason: "enough".to_owned() });
    kept(took, limits::ABORT_GRACE_MS, 50);
}
