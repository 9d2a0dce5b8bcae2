//! Model calls that hang, and a gate that lets nobody in.

use greenroom_actors::{
    domain::{
        event::{Event, FailureKind, ModelFailure},
        ids::{Position, SessionId, Timestamp},
        outcome::TurnOutcome,
        usage::Settlement,
    },
    limits,
    ports::Clock as _,
    testing::harness::{events, say},
};

use crate::workshop::{Still, agent, until};

use super::{
    HANGS, hanging, happened,
    held::{Holding, holdable},
    kept, struck, turn_takes,
};

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
        let given_up = || async { call_given_up(&still, waits).await };
        let (failure, at) = still.advancing("the call is given up", 200, given_up).await;
        assert!(failure.message.contains("deadline"), "{failure:?}");
        // It was never sent, and the turn has as many tries left as before.
        assert!(failure.kind == FailureKind::RateLimited && failure.unbilled, "{failure:?}");
        kept(at.since_ms(start) + 500, 60_000, 200);
    }
}

/// The failure of the call that waited at the gate, and when it was written; one that a panic took
/// is another.
async fn call_given_up(still: &Still, session: SessionId) -> Option<(ModelFailure, Timestamp)> {
    let log = still.runtime.read(session, Position(0)).await.ok()?;
    log.iter().find_map(|frame| {
        let mut events = frame.events.iter();
        let failure = events.find_map(|event| match event {
            Event::ModelCallFailed { failure, .. } if failure.kind != FailureKind::Lost => {
                Some(failure.clone())
            }
            _ => None,
        })?;
        Some((failure, frame.envelope.at))
    })
}

/// The vendor has answered in time and said what it cost; only the large reply has no place. What
/// was said of the cost is booked, not a bound.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reply_that_cannot_be_put_away_before_the_deadline_is_booked_as_delivered() {
    let long = "x".repeat(limits::EVENT_BYTES);
    let script = format!("agent long\n    usage input=10 output=5\n    say {long}\n");
    let (still, hold) = holdable(&script, |harness| {
        let mut hasty = agent("long", &[], &[]);
        (hasty.limits.model_ms, hasty.limits.retries) = (1_000, 0);
        harness.agent(hasty)
    })
    .await;
    hold.on(Holding::Blobs);
    let session = say(&still.runtime, "long", "k", "go").await;
    until("a blob is waited for", || async { (hold.held() > 0).then_some(()) }).await;
    let start = still.clock.now();
    let (outcome, took) = turn_takes(&still, (session, "k"), start, 10).await;
    assert!(matches!(outcome, TurnOutcome::Failed { .. }), "{outcome:?}");
    kept(took, 1_000 + limits::KEEP_MS, 10);
    let log = events(&still.runtime, session).await;
    let booked = log.iter().find_map(|event| match event {
        Event::UsageSettled { settlement, .. } => Some(*settlement),
        _ => None,
    });
    assert!(
        matches!(&booked, Some(Settlement::Exact { usage, .. }) if usage.tokens() == 15),
        "{booked:?}"
    );
}
