//! The clock on the wall is set by an hour, forwards and back. Waits of the house, which nobody was
//! promised by the wall, last as long as they would have; what is in a log as a moment comes by the
//! wall: at once when that is past now, and never before it.

use greenroom_actors::{
    domain::{
        event::{CancelTarget, Event, UserInput},
        frame::LogKind,
        ids::{Position, SessionId, Timestamp},
        outcome::TurnOutcome,
        tool::EffectClass,
    },
    limits,
    ports::Clock as _,
    testing::harness::{Harness, bounded, ended, say},
};

use crate::workshop::{Count, Still, agent, done, tool, until};

use super::{
    ECHO, HANGS, count, echo, happened,
    held::{Holding, holdable},
    kept,
};

const HOUR_MS: i64 = 3_600_000;

const JUMPS: [i64; 2] = [HOUR_MS, -HOUR_MS];

fn jump(still: &Still, by_ms: i64) {
    still.clock.set(Timestamp(still.clock.now().0 + by_ms));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_append_that_hangs_is_given_up_in_time_although_the_clock_is_set() {
    for by_ms in JUMPS {
        let (still, hold) = holdable(ECHO, echo).await;
        let runtime = &still.runtime;
        let session = say(runtime, "echo", "k", "one").await;
        ended(runtime, session, "k").await;
        hold.on(Holding::Appends(LogKind::Session));
        let start = still.clock.running();
        let submit = runtime.submit(session, "k2".into(), UserInput::text("two"));
        let given_up = async {
            assert!(bounded("the caller's wait ends", submit).await.is_err());
            kept(still.clock.running().since_ms(start), limits::CALL_MS, 50);
        };
        let running = async {
            until("the append hangs", || async { (hold.held() > 0).then_some(()) }).await;
            jump(&still, by_ms);
            still.runs(50)
        };
        let ((), running) = futures_util::future::join(given_up, running).await;
        until("it is suspended", || async { (runtime.awake() == 0).then_some(()) }).await;
        kept(still.clock.running().since_ms(start), limits::APPEND_MS, 50);
        hold.off();
        let again =
            || async { runtime.submit(session, "k3".into(), UserInput::text("two")).await.ok() };
        until("it is back", again).await;
        ended(runtime, session, "k3").await;
        drop(running);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_pause_of_a_gate_lasts_as_long_although_the_clock_is_set() {
    const PAUSE_MS: u64 = 20_000;
    let script = format!("{ECHO}agent limited\n    fail rate_limited final after 20s: wait\n");
    for by_ms in JUMPS {
        let still = Still::set(&script, |harness| {
            // The call's own deadline is in its log, so it goes by the wall.
            let mut echo = agent("echo", &[], &[]);
            echo.limits.model_ms = 3 * HOUR_MS.unsigned_abs();
            harness.agent(echo).agent(agent("limited", &[], &[]))
        })
        .await;
        let runtime = &still.runtime;
        let limited = say(runtime, "limited", "k", "go").await;
        ended(runtime, limited, "k").await;
        let start = still.clock.running();
        let waits = say(runtime, "echo", "k", "one").await;
        let at_the_gate = || async {
            let gates = runtime.figures().gates;
            gates.iter().any(|(_, gate)| gate.waiting == 1).then_some(())
        };
        until("it waits at the gate", at_the_gate).await;
        jump(&still, by_ms);
        let _running = still.runs(50);
        let outcome = ended(runtime, waits, "k").await;
        assert!(matches!(outcome, TurnOutcome::Completed { .. }), "{outcome:?}");
        kept(still.clock.running().since_ms(start), PAUSE_MS, 50);
    }
}

/// A tool that hears of a cancel and does not care.
fn ignoring(heard: &Count) -> impl FnOnce(Harness) -> Harness {
    let heard = heard.clone();
    let hangs = tool("hangs", EffectClass::Pure, move |mut ctx, _| {
        let heard = heard.clone();
        async move {
            ctx.cancel.requested().await;
            heard.up();
            std::future::pending().await
        }
    });
    |harness| harness.tool(hangs).agent(agent("tool", &["hangs"], &[]))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cancel_and_a_backoff_last_as_long_although_the_clock_is_set() {
    for by_ms in JUMPS {
        let heard = Count::default();
        let still = Still::set(HANGS, ignoring(&heard)).await;
        let runtime = &still.runtime;
        let session = say(runtime, "tool", "k", "go").await;
        happened(&still, session, "tool_started").await;
        bounded("cancel", runtime.cancel(session, CancelTarget::Everything, "enough"))
            .await
            .expect("cancelled");
        until("the grace has begun", || async { (heard.get() > 0).then_some(()) }).await;
        let start = still.clock.running();
        jump(&still, by_ms);
        let running = still.runs(20);
        happened(&still, session, "turn_finished").await;
        let took = still.clock.running().since_ms(start);
        assert!(took <= 2 * limits::ABORT_GRACE_MS + 2_000, "the cancel took {took} ms");
        drop(running);

        assert!(runtime.panic_session(session, "struck"));
        until("it is gone", || async { (runtime.awake() == 0).then_some(()) }).await;
        let start = still.clock.running();
        jump(&still, -by_ms);
        let back =
            || async { (count(&still, session, "session_restarted").await > 0).then_some(()) };
        still.advancing("it is started again", 10, back).await;
        let took = still.clock.running().since_ms(start);
        assert!(took <= limits::BACKOFF_MS + 1_000, "the backoff took {took} ms");
    }
}

const ASKS: &str = "agent asks\n    call press {}\n  then\n    say {results}\n";

/// One that asks a person; nobody answers. It sleeps meanwhile, or is kept awake.
fn asking(approval_ms: u64, sleeps: bool) -> impl FnOnce(Harness) -> Harness {
    move |mut harness| {
        let mut asks = agent("asks", &["press"], &[]);
        asks.authority = Default::default();
        asks.limits.approval_ms = approval_ms;
        harness.options.idle_ms = if sleeps { 1_000 } else { limits::TIME_MAX_MS };
        let press = tool("press", EffectClass::Once, |_, _| async { done("pressed") });
        harness.tool(press).agent(asks)
    }
}

async fn asked(still: &Still, sleeps: bool) -> SessionId {
    let session = say(&still.runtime, "asks", "k", "go").await;
    happened(still, session, "approval_requested").await;
    if sleeps {
        let asleep = || async { (still.runtime.awake() == 0).then_some(()) };
        still.advancing("it sleeps", 100, asleep).await;
    }
    session
}

/// By the wall: when it was asked, and when that was closed.
async fn expired(still: &Still, session: SessionId) -> Option<(Timestamp, Timestamp)> {
    let log = still.runtime.read(session, Position(0)).await.expect("its log");
    let at = |is: fn(&Event) -> bool| {
        log.iter().find(|frame| frame.events.iter().any(is)).map(|frame| frame.envelope.at)
    };
    let asked = at(|event| matches!(event, Event::ApprovalRequested { .. }))?;
    Some((asked, at(|event| matches!(event, Event::ApprovalClosed { .. }))?))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clock_set_forwards_ends_at_once_what_was_promised_by_the_wall() {
    const WAIT_MS: u64 = 600_000;
    for sleeps in [false, true] {
        let still = Still::set(ASKS, asking(WAIT_MS, sleeps)).await;
        let session = asked(&still, sleeps).await;
        let start = still.clock.running();
        jump(&still, HOUR_MS);
        still.advancing("it expires", 50, || expired(&still, session)).await;
        let took = still.clock.running().since_ms(start);
        assert!(took < WAIT_MS / 60, "sleeps: {sleeps}; it took {took} ms to be seen");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clock_set_back_lengthens_what_was_promised_by_the_wall_and_ends_it_then() {
    const WAIT_MS: u64 = 600_000;
    const STEP_MS: u64 = 2_000;
    for sleeps in [false, true] {
        let still = Still::set(ASKS, asking(WAIT_MS, sleeps)).await;
        let session = asked(&still, sleeps).await;
        let start = still.clock.running();
        jump(&still, -HOUR_MS);
        let (asked, closed) =
            still.advancing("it expires", STEP_MS, || expired(&still, session)).await;
        kept(closed.since_ms(asked), WAIT_MS, STEP_MS);
        let took = still.clock.running().since_ms(start);
        assert!(took >= HOUR_MS.unsigned_abs(), "sleeps: {sleeps}; it took {took} ms only");
    }
}

/// What is asked after the clock was set is due by the new wall, and the root looks as often as ever.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_root_looks_for_sleepers_as_often_although_the_clock_is_set() {
    const WAIT_MS: u64 = 10_000;
    for by_ms in JUMPS {
        let still = Still::set(ASKS, asking(WAIT_MS, true)).await;
        jump(&still, by_ms);
        let start = still.clock.running();
        let session = asked(&still, true).await;
        still.advancing("it is woken", 50, || expired(&still, session)).await;
        kept(still.clock.running().since_ms(start), WAIT_MS, 50);
    }
}
