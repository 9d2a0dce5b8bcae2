//! Model calls that hang, and a gate that lets nobody in.

use greenroom_actors::{
    domain::outcome::TurnOutcome, limits, ports::Clock as _, testing::harness::say,
};

use crate::workshop::{Still, agent};

use super::{HANGS, hanging, happened, kept, struck, turn_takes};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_model_that_hangs_is_given_up_also_after_a_restart() {
    let still = Still::set(HANGS, hanging).await;
    let start = still.clock.now();
    let first = say(&still.runtime, "model", "k", "go").await;
    let (outcome, took) = turn_takes(&still, (first, "k"), start, 1_000).await;
    assert!(matches!(&outcome, TurnOutcome::Failed { reason } if reason.contains("time ran out")));
    kept(took, limits::MODEL_MS, 1_000);

    let second = say(&still.runtime, "model", "k", "go").await;
    happened(&still, second, "model_call_started").await;
    let still = still.crash().await;
    happened(&still, second, "session_restarted").await;
    let start = still.clock.now();
    let (outcome, took) = turn_takes(&still, (second, "k"), start, 1_000).await;
    assert!(matches!(&outcome, TurnOutcome::Failed { reason } if reason.contains("time ran out")));
    kept(took, limits::MODEL_MS, 1_000);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gate_that_is_full_or_paused_holds_a_call_no_longer_than_its_deadline() {
    let script = format!(
        "{HANGS}agent waits\n    say Never.\nagent limited\n    \
         first 1 fail rate_limited after 40s unbilled\n    say There.\n"
    );
    let still = Still::set(&script, |mut harness| {
        let mut waits = agent("waits", &[], &[]);
        waits.limits.model_ms = 60_000;
        waits.limits.retries = 0;
        harness.options.gates.insert("scripted".into(), 1);
        hanging(harness).agent(waits).agent(agent("limited", &[], &[]))
    })
    .await;
    // Paused by the vendor: everybody waits, and then goes on.
    let start = still.clock.now();
    let limited = say(&still.runtime, "limited", "k", "go").await;
    let (outcome, took) = turn_takes(&still, (limited, "k"), start, 200).await;
    assert!(matches!(outcome, TurnOutcome::Completed { .. }), "{outcome:?}");
    kept(took, 40_000, 200);
    // Full, with somebody inside who does not come out.
    let holder = say(&still.runtime, "model", "k", "go").await;
    happened(&still, holder, "model_call_started").await;
    // After a pause calls are let in one by one.
    let taken = || async { (still.runtime.leases_out() == 1).then_some(()) };
    still.advancing("the place is taken", 200, taken).await;
    for dies in [false, true] {
        let mut start = still.clock.now();
        let waits = say(&still.runtime, "waits", "k", "go").await;
        happened(&still, waits, "model_call_started").await;
        if dies {
            // Made again, under a deadline of its own.
            struck(&still, waits).await;
            start = still.clock.now();
        }
        let (outcome, took) = turn_takes(&still, (waits, "k"), start, 200).await;
        let TurnOutcome::Failed { reason } = outcome else { panic!("{outcome:?}") };
        assert!(reason.contains("deadline") || reason.contains("time ran out"), "{reason}");
        kept(took + 500, 60_000, 200);
    }
}
