//! What tool calls wait for: a place for a large output, and a slot of a pool that is never freed.

use greenroom_actors::{
    domain::{
        agent::AgentSpec,
        outcome::TurnOutcome,
        tool::{Args, EffectClass, ToolOutcome},
    },
    limits,
    ports::Clock as _,
    testing::harness::{bounded, say},
};

use crate::workshop::{Still, agent, done, tool, until};

use super::{
    HANGS, count, happened,
    held::{Holding, holdable},
    kept, never_ends, struck, turn_takes,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_blob_store_that_hangs_holds_a_tool_call_no_longer_than_an_append() {
    let (mut still, hold) =
        holdable("agent big\n    call big {}\n  then\n    say Read.\n", |harness| {
            let big = "x".repeat(2 * limits::INLINE_BYTES);
            let big = tool("big", EffectClass::Pure, move |_, _| {
                let big = big.clone();
                async move { done(big) }
            });
            harness.tool(big).agent(agent("big", &["big"], &[]))
        })
        .await;
    hold.on(Holding::Blobs);
    for dies in [false, true] {
        let held = hold.held();
        let session = say(&still.runtime, "big", "k", "go").await;
        until("a blob is waited for", || async { (hold.held() > held).then_some(()) }).await;
        if dies {
            still = still.crash().await;
            until("again", || async { (hold.held() > held + 1).then_some(()) }).await;
        }
        let start = still.clock.now();
        let (outcome, took) = turn_takes(&still, (session, "k"), start, 200).await;
        assert!(matches!(outcome, TurnOutcome::Completed { .. }), "{outcome:?}");
        kept(took, limits::APPEND_MS, 200);
    }
}

/// The tool has ended in time and only its large output has no place: that it ended is not given up.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_result_that_cannot_be_put_away_before_the_deadline_is_cut_and_not_lost() {
    let (still, hold) =
        holdable("agent big\n    call big {}\n  then\n    say {results}\n", |harness| {
            let big = "x".repeat(2 * limits::INLINE_BYTES);
            let big = tool("big", EffectClass::Once, move |_, _| {
                let big = big.clone();
                async move { done(big) }
            });
            let mut hasty = agent("big", &["big"], &[]);
            hasty.limits.tool_ms = 1_000;
            harness.tool(big).agent(hasty)
        })
        .await;
    hold.on(Holding::Blobs);
    let session = say(&still.runtime, "big", "k", "go").await;
    until("a blob is waited for", || async { (hold.held() > 0).then_some(()) }).await;
    let start = still.clock.now();
    let (outcome, took) = turn_takes(&still, (session, "k"), start, 10).await;
    let TurnOutcome::Completed { text, .. } = outcome else { panic!("{outcome:?}") };
    assert!(text.contains("not kept") && !text.contains("timed out"), "{text}");
    kept(took, 1_000 + limits::KEEP_MS, 10);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pool_that_is_never_freed_holds_nobody_for_ever() {
    let still = Still::set(HANGS, |mut harness| {
        let mut holder = agent("tool", &["hangs"], &[]);
        holder.limits.tool_ms = limits::TURN_MS;
        let mut waits = AgentSpec { name: "waits".into(), ..holder.clone() };
        waits.limits.turn_ms = 600_000;
        harness.options.pools.insert("work".into(), 1);
        harness.tool(never_ends()).agent(holder).agent(waits)
    })
    .await;
    let holder = say(&still.runtime, "tool", "k", "go").await;
    happened(&still, holder, "tool_started").await;
    // A call of the host has no turn whose end would end it.
    let host = still.runtime.open(&"waits".into(), "test".into()).await.expect("open");
    for dies in [false, true] {
        let start = still.clock.now();
        let call = still.runtime.invoke_tool(
            host,
            format!("dies {dies}").into(),
            ("hangs".into(), Args("{}".to_owned())),
            (None, None),
        );
        let dying = async {
            if dies {
                let asked =
                    || async { (count(&still, host, "tool_requested").await == 2).then_some(()) };
                until("it is asked for", asked).await;
                struck(&still, host).await;
            }
            still.runs(500)
        };
        let (outcome, _running) =
            bounded("the host's call", futures_util::future::join(call, dying)).await;
        let ToolOutcome::Refused { reason } = outcome.expect("an outcome") else { panic!() };
        assert!(reason.contains("no slot came free"), "{reason}");
        kept(still.clock.now().since_ms(start), limits::TOOL_MS, 500);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_turn_that_waits_for_a_slot_ends_with_its_own_time_also_after_a_restart() {
    let script = format!("{HANGS}agent waits\n    call hangs {{}}\n  then\n    say {{results}}\n");
    let still = Still::set(&script, |mut harness| {
        let mut holder = agent("tool", &["hangs"], &[]);
        holder.limits.tool_ms = limits::TURN_MS;
        let mut waits = AgentSpec { name: "waits".into(), ..holder.clone() };
        waits.limits.turn_ms = 600_000;
        harness.options.pools.insert("work".into(), 1);
        harness.tool(never_ends()).agent(holder).agent(waits)
    })
    .await;
    let holder = say(&still.runtime, "tool", "k", "go").await;
    happened(&still, holder, "tool_started").await;
    let start = still.clock.now();
    let waits = say(&still.runtime, "waits", "k", "go").await;
    happened(&still, waits, "tool_requested").await;
    still.clock.advance(100_000);
    let still = still.crash().await;
    let (outcome, took) = turn_takes(&still, (waits, "k"), start, 500).await;
    assert!(matches!(outcome, TurnOutcome::Cancelled { .. } | TurnOutcome::Completed { .. }));
    kept(took, 600_000, 500);
}

/// A started call whose slot went with the process: after the start it needs one again, and here
/// there are fewer than before.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_started_call_waits_for_a_slot_again_no_longer_than_it_may_take() {
    let mut still = Still::set(HANGS, |mut harness| {
        harness.options.pools.insert("work".into(), 2);
        harness.tool(never_ends()).agent(agent("tool", &["hangs"], &[]))
    })
    .await;
    let start = still.clock.now();
    let mut sessions = Vec::new();
    for _ in 0..2 {
        let session = say(&still.runtime, "tool", "k", "go").await;
        happened(&still, session, "tool_started").await;
        sessions.push(session);
    }
    still.harness.options.pools.insert("work".into(), 1);
    for life in 1..3 {
        still = still.crash().await;
        for session in &sessions {
            let back = || async {
                (count(&still, *session, "session_restarted").await == life).then_some(())
            };
            until("it is back", back).await;
        }
        until("one slot is taken", || async { (still.runtime.leases_out() == 1).then_some(()) })
            .await;
    }
    for session in sessions {
        let (outcome, took) = turn_takes(&still, (session, "k"), start, 500).await;
        let TurnOutcome::Completed { text, .. } = outcome else { panic!("{outcome:?}") };
        assert!(text.contains("timed out"), "{text}");
        kept(took, limits::TOOL_MS, 500);
    }
}
