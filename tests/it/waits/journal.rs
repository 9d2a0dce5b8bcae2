//! A journal that hangs: sessions are suspended, starts are refused, the house's own log is read
//! again. Nothing is acknowledged, and no panic is counted.

use std::sync::Arc;

use futures_util::{StreamExt as _, stream::FuturesUnordered};
use greenroom_actors::{
    Runtime,
    domain::{
        event::UserInput,
        frame::{LogId, LogKind},
        house::HouseEvent,
        ids::{Position, Timestamp},
        outcome::TurnOutcome,
        permission::{Mode, RulePattern},
        tool::EffectClass,
        usage::{DatedPrice, Price, PriceBook},
    },
    limits, log,
    policy::turn::Rejected,
    ports::{Clock as _, JournalError},
    runtime::{CallError, Setup, StartError, Victim},
    testing::harness::{bounded, ended, events, say},
};

use crate::workshop::{Still, agent, done, tool, until};

use super::{
    ECHO, LIVES, count, echo,
    held::{Holding, holdable},
    kept,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_journal_that_hangs_suspends_a_session_and_counts_no_panic() {
    let mut still = Still::set(ECHO, echo).await;
    let session = say(&still.runtime, "echo", "k", "one").await;
    ended(&still.runtime, session, "k").await;
    for life in LIVES {
        let runtime = &still.runtime;
        still.store.hold_appends();
        let appends = still.store.counts().appends;
        let submit = runtime.submit(session, life.into(), UserInput::text("two"));
        let start = still.clock.now();
        let running = still.runs(50);
        let refused = bounded("the caller's wait ends", submit).await;
        assert!(refused.is_err(), "nothing is acknowledged: {refused:?}");
        kept(still.clock.now().since_ms(start), limits::CALL_MS, 50);
        until("the session's own wait ends", || async {
            let waited = still.clock.now().since_ms(start);
            (waited > limits::APPEND_MS + 2_000).then_some(())
        })
        .await;
        assert_eq!(still.store.counts().appends, appends, "nothing was written");
        still.store.release_appends();
        drop(running);
        let running = still.runs(50);
        runtime.submit(session, life.into(), UserInput::text("two")).await.expect("it is back");
        let outcome = ended(runtime, session, life).await;
        assert!(matches!(outcome, TurnOutcome::Completed { .. }), "{outcome:?}");
        assert_eq!(runtime.tree(session).await.expect("its row").row.restarts, 0);
        drop(running);
        still = still.crash().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_journal_that_is_away_for_a_while_suspends_and_resumes_without_a_restart() {
    let still = Still::set(ECHO, echo).await;
    let runtime = &still.runtime;
    let session = say(runtime, "echo", "k", "one").await;
    ended(runtime, session, "k").await;
    let away = JournalError::Unavailable { why: "out for lunch".to_owned() };
    // More often than a session may panic.
    still.store.fail_appends(2 * limits::PANICS_MAX as usize, &away);
    still.store.fail_claims(2, &away);
    let _running = still.runs(50);
    for key in ["k2", "k3"] {
        let submitted = until("it takes inputs again", || async {
            runtime.submit(session, key.into(), UserInput::text("again")).await.ok()
        });
        submitted.await;
        let outcome = ended(runtime, session, key).await;
        assert!(matches!(outcome, TurnOutcome::Completed { .. }), "{outcome:?}");
    }
    assert_eq!(runtime.tree(session).await.expect("its row").row.restarts, 0);
    let log = events(runtime, session).await;
    assert!(log.iter().all(|event| event.name() != "session_restarted"));
}

/// Whoever loads a log is always somebody new: after the death of a runtime, and of a session.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_claim_that_hangs_holds_nobody_for_ever() {
    let (mut still, hold) = holdable(ECHO, echo).await;
    let session = say(&still.runtime, "echo", "k", "one").await;
    ended(&still.runtime, session, "k").await;
    for death in ["crash", "panic"] {
        if death == "crash" {
            still = still.crash().await;
            hold.on(Holding::Claims(LogKind::Session));
        } else {
            hold.on(Holding::Claims(LogKind::Session));
            let panic = || async { still.runtime.panic_session(session, "struck").then_some(()) };
            until("it is awake", panic).await;
            until("it is gone", || async { (still.runtime.awake() == 0).then_some(()) }).await;
        }
        let start = still.clock.now();
        let submit = still.runtime.submit(session, death.into(), UserInput::text("two"));
        let running = still.runs(50);
        assert!(bounded("the caller's wait ends", submit).await.is_err());
        kept(still.clock.now().since_ms(start), limits::CALL_MS, 50);
        until("the load is given up and made again", || async {
            let waited = still.clock.now().since_ms(start);
            (waited > limits::LOAD_MS + 5_000 && hold.held() >= 2).then_some(())
        })
        .await;
        hold.off();
        let again = || async {
            let input = UserInput::text("two");
            still.runtime.submit(session, death.into(), input).await.ok()
        };
        until("it is back", again).await;
        ended(&still.runtime, session, death).await;
        drop(running);
    }
    assert_eq!(count(&still, session, "session_quarantined").await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_start_on_a_journal_that_hangs_says_so() {
    let (mut still, hold) = holdable(ECHO, echo).await;
    for _life in LIVES {
        for (what, waits_ms) in [
            (Holding::Claims(LogKind::House), limits::APPEND_MS),
            (Holding::Reads(LogKind::House), limits::CALL_MS),
            (Holding::Appends(LogKind::House), limits::CALL_MS),
        ] {
            hold.on(what);
            let mut setup = Setup::new(still.harness.deps.clone());
            setup.providers.clone_from(&still.harness.providers);
            let start = still.clock.now();
            let _running = still.runs(200);
            let refused = bounded("start", Runtime::start(setup)).await;
            assert!(matches!(refused, Err(StartError::HouseLog { .. })), "{what:?}: {refused:?}");
            kept(still.clock.now().since_ms(start), waits_ms, 200);
        }
        hold.off();
        still = still.crash().await;
    }
}

/// Prices that are not those of the start.
fn prices(no: u64) -> PriceBook {
    let price = Price { input: no, ..Price::default() };
    PriceBook(vec![DatedPrice { model: "scripted".into(), since: Timestamp(0), price, long: None }])
}

async fn recorded(still: &Still, what: impl Fn(&HouseEvent) -> bool) -> usize {
    let journal = Arc::clone(&still.harness.deps.journal);
    let log = log::read_all::<HouseEvent>(&journal, LogId::HOUSE).await.expect("the house log");
    let events = log.iter().flat_map(|frame| &frame.events);
    events.filter(|event| what(event)).count()
}

/// Each wait of permission for the house log is given up and made again; meanwhile what a rule
/// allowed stays allowed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_house_log_that_hangs_leaves_the_rules_in_force_and_is_read_again() {
    let script = "agent presses\n    call press {}\n  then\n    say {results}\n";
    let (mut still, hold) = holdable(script, |mut harness| {
        let mut presses = agent("presses", &["press"], &[]);
        presses.authority.mode = Mode::Default;
        harness.options.layers.user.allow.push(RulePattern("press".to_owned()));
        let press = tool("press", EffectClass::Once, |_, _| async { done("pressed") });
        harness.tool(press).agent(presses)
    })
    .await;
    let priced = |event: &HouseEvent| matches!(event, HouseEvent::PricesSet { .. });
    let mut sets = 0;
    for life in LIVES {
        for what in [
            Holding::Appends(LogKind::House),
            Holding::Claims(LogKind::House),
            Holding::Reads(LogKind::House),
        ] {
            hold.on(what);
            let running = still.runs(100);
            let held = hold.held();
            let reads = !matches!(what, Holding::Appends(_));
            if reads {
                // Its next incarnation has to read the log before it can write.
                until("killed", || async { still.runtime.kill(&Victim::Permission).then_some(()) })
                    .await;
            }
            let waits = || async {
                if !reads && hold.held() == held {
                    still.runtime.set_prices(prices(sets + 1));
                }
                (hold.held() >= held + 3).then_some(())
            };
            until("it waits, gives up and waits again", waits).await;
            let session = say(&still.runtime, "presses", "k", "go").await;
            let outcome = ended(&still.runtime, session, "k").await;
            let TurnOutcome::Completed { text, .. } = outcome else { panic!("{outcome:?}") };
            assert_eq!(text, "pressed", "{life}, {what:?}");
            drop(running);
            let before = {
                hold.off();
                recorded(&still, priced).await
            };
            sets += 1;
            still.runtime.set_prices(prices(sets + 100));
            let written = || async { (recorded(&still, priced).await > before).then_some(()) };
            still.advancing("it is written", 100, written).await;
        }
        still = still.crash().await;
    }
}

/// While a session cannot be loaded, so much waits for it in its wing and no more.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_comes_when_too_much_waits_for_a_session_to_wake_is_refused() {
    let (mut still, hold) = holdable(ECHO, echo).await;
    let session = say(&still.runtime, "echo", "k", "one").await;
    ended(&still.runtime, session, "k").await;
    still = still.crash().await;
    hold.on(Holding::Claims(LogKind::Session));
    let runtime = &still.runtime;
    let above = 50;
    let submit = |no: usize| {
        let key = format!("w{no}").into();
        runtime.submit(session, key, UserInput::text("two"))
    };
    let mut waiting: FuturesUnordered<_> = (0..limits::WAKE_QUEUE + above).map(submit).collect();
    for _ in 0..above {
        let answer = bounded("those above are refused", waiting.next()).await.expect("an answer");
        assert!(matches!(answer, Err(CallError::Rejected(Rejected::Busy))), "{answer:?}");
    }
    hold.off();
    let _running = still.runs(10);
    let mut taken = 0;
    while let Some(answer) = bounded("the rest is answered", waiting.next()).await {
        taken += usize::from(answer.is_ok());
    }
    assert!(taken > 0, "it woke");
}

/// While the house log cannot be written, so many records wait for it and no more.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_comes_when_too_many_records_wait_for_the_house_log_is_not_kept() {
    let (still, hold) = holdable(ECHO, echo).await;
    let priced = |event: &HouseEvent| matches!(event, HouseEvent::PricesSet { .. });
    let before = recorded(&still, priced).await;
    hold.on(Holding::Appends(LogKind::House));
    let held = hold.held();
    still.runtime.set_prices(prices(1));
    until("the first is on its way", || async { (hold.held() > held).then_some(()) }).await;
    for no in 0..limits::HOUSE_QUEUE as u64 + 50 {
        still.runtime.set_prices(prices(2 + no));
    }
    hold.off();
    let full = before + 1 + limits::HOUSE_QUEUE;
    let written = || async { (recorded(&still, priced).await >= full).then_some(()) };
    still.advancing("what waits is written", 100, written).await;
    still.runtime.set_prices(prices(9_999));
    let later = || async { (recorded(&still, priced).await > full).then_some(()) };
    still.advancing("there is room again", 100, later).await;
    assert_eq!(recorded(&still, priced).await, full + 1);
}

/// A record that a caller waits for: the release of a session whose own log cannot say so.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_record_that_cannot_be_written_is_waited_for_no_longer_than_a_call() {
    let (mut still, hold) = holdable(ECHO, echo).await;
    // One for each life: the record that nobody waited for may still be written.
    let mut sessions = Vec::new();
    for _life in LIVES {
        let session = say(&still.runtime, "echo", "k", "one").await;
        ended(&still.runtime, session, "k").await;
        assert!(still.store.damage(LogId::session(session), Position(1)));
        sessions.push(session);
    }
    still = still.crash().await;
    for session in &sessions {
        let refused = still.runtime.submit(*session, "k2".into(), UserInput::text("two")).await;
        assert!(refused.is_err(), "{refused:?}");
    }
    for session in &sessions {
        let of_it = |event: &HouseEvent| matches!(event, HouseEvent::Quarantined { session: off, .. } if off == session);
        let known = || async { (recorded(&still, of_it).await == 1).then_some(()) };
        until("the house knows", known).await;
    }
    for session in sessions {
        still = still.crash().await;
        hold.on(Holding::Appends(LogKind::House));
        let start = still.clock.now();
        let _running = still.runs(50);
        let released = bounded("release", still.runtime.release(session, false)).await;
        assert!(matches!(released, Err(CallError::TimedOut { .. })), "{released:?}");
        kept(still.clock.now().since_ms(start), limits::CALL_MS, 50);
        hold.off();
    }
}
