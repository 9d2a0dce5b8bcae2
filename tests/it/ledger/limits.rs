//! What each limit counts, and what its end looks like.

use std::sync::Arc;

use greenroom_actors::{
    domain::{
        budget::{Account, Amount, Budget, Dimension},
        catalog::TotalsOf,
        event::Event,
        frame::LogId,
        grant::GrantEvent,
        ids::{Position, Timestamp},
        outcome::TurnOutcome,
        usage::{DatedPrice, NanoUsd, Price, PriceBook},
    },
    log,
    policy::budget::Tree,
    ports::Journal,
    testing::harness::{ended, events, say},
};

use super::{LOOP, calls_of, capped, never_above, steps, tree_of};
use crate::{
    stage::Stage,
    workshop::{agent, until},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn model_calls_are_counted_per_session_and_per_subtree() {
    let stage = Stage::set(LOOP, |harness| {
        let calls = |n| Budget { model_calls: Some(n), ..Budget::default() };
        steps(harness).agent(capped("loops", &["step"], &[], calls(3))).agent(capped(
            "parent",
            &[],
            &["loops"],
            calls(4),
        ))
    })
    .await;
    let runtime = &stage.runtime;
    let alone = say(runtime, "loops", "k", "go").await;
    let outcome = ended(runtime, alone, "k").await;
    assert!(matches!(outcome, TurnOutcome::BudgetExhausted { .. }), "{outcome:?}");
    assert_eq!(calls_of(&events(runtime, alone).await), 3, "its own budget");

    let parent = say(runtime, "parent", "k", "go").await;
    let outcome = ended(runtime, parent, "k").await;
    assert!(matches!(outcome, TurnOutcome::BudgetExhausted { .. }), "{outcome:?}");
    let sessions = tree_of(runtime, parent).await;
    let mut calls = 0;
    for session in sessions {
        calls += calls_of(&events(runtime, session).await);
    }
    assert_eq!(calls, 4, "the parent's budget holds for the whole subtree");
    let journal: Arc<dyn Journal> = Arc::clone(&stage.store) as _;
    never_above(&journal, parent).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tool_call_above_the_budget_is_refused_and_the_turn_goes_on() {
    let stage = Stage::set(LOOP, |harness| {
        let budget = Budget { tool_calls: Some(2), ..Budget::default() };
        steps(harness).agent(capped("three", &["step"], &[], budget))
    })
    .await;
    let session = say(&stage.runtime, "three", "k", "go").await;
    let outcome = ended(&stage.runtime, session, "k").await;
    let TurnOutcome::Completed { text, .. } = outcome else { panic!("{outcome:?}") };
    assert_eq!(text.matches("ok").count(), 2, "{text}");
    assert_eq!(text.matches("limit reached").count(), 1, "{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn money_is_a_budget_where_the_price_is_known_and_a_refusal_where_it_is_not() {
    let price = Price { input: 1_000_000, cache_read: 0, cache_write: 0, output: 5_000_000 };
    let budget = Budget { nano_usd: Some(NanoUsd(3_000_000)), ..Budget::default() };
    let stage = Stage::set(LOOP, |harness| {
        let mut unknown = capped("once", &[], &[], budget);
        unknown.model = "never-priced".into();
        let mut harness =
            steps(harness).agent(capped("loops", &["step"], &[], budget)).agent(unknown);
        let (model, since) = ("scripted".into(), Timestamp(0));
        harness.prices = PriceBook(vec![DatedPrice { model, since, price, long: None }]);
        harness
    })
    .await;
    let runtime = &stage.runtime;
    let loops = say(runtime, "loops", "k", "go").await;
    let outcome = ended(runtime, loops, "k").await;
    assert!(matches!(outcome, TurnOutcome::BudgetExhausted { .. }), "{outcome:?}");
    let totals = runtime.totals(TotalsOf::Session(loops)).await.expect("totals");
    // 100 input tokens at 1,000 and 10 output tokens at 5,000 nano-dollars each.
    assert_eq!(totals.cost, NanoUsd(totals.calls * 150_000));
    assert!(totals.calls >= 2 && totals.cost <= NanoUsd(3_000_000), "{totals:?}");
    let unknown = say(runtime, "once", "k", "go").await;
    let outcome = ended(runtime, unknown, "k").await;
    let TurnOutcome::BudgetExhausted { reason } = outcome else { panic!("{outcome:?}") };
    assert!(reason.contains("price is unknown"), "{reason}");
    assert_eq!(calls_of(&events(runtime, unknown).await), 0, "nothing was sent");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_dearer_model_served_is_paid_in_full_said_and_the_end_of_the_budget() {
    // Asked for a model at 1,000 nano-dollars a token; one at a hundred times that answered.
    let script = "
agent lead
    usage input=100 output=10
    served-by grand
    call step {}
  then
    usage input=100 output=10
    say Done.
";
    let of = |model: &str, pico: u64| DatedPrice {
        long: None,
        model: model.into(),
        since: Timestamp(0),
        price: Price { input: pico, cache_read: 0, cache_write: 0, output: pico },
    };
    let stage = Stage::set(script, |harness| {
        let budget = Budget { nano_usd: Some(NanoUsd(5_000_000)), ..Budget::default() };
        let mut harness = steps(harness).agent(capped("lead", &["step"], &[], budget));
        harness.prices = PriceBook(vec![of("scripted", 1_000_000), of("grand", 100_000_000)]);
        harness
    })
    .await;
    let runtime = &stage.runtime;
    let lead = say(runtime, "lead", "k", "go").await;
    let outcome = ended(runtime, lead, "k").await;
    assert!(matches!(outcome, TurnOutcome::BudgetExhausted { .. }), "{outcome:?}");
    assert_eq!(calls_of(&events(runtime, lead).await), 1, "nothing more was sent");
    let totals = runtime.totals(TotalsOf::Session(lead)).await.expect("totals");
    assert_eq!(totals.cost, NanoUsd(11_000_000), "110 tokens at the price of who served them");
    let overrun =
        Event::BudgetWarned { account: lead, percent: 220, dimension: Some(Dimension::Money) };
    until("it is said", || async { events(runtime, lead).await.contains(&overrun).then_some(()) })
        .await;
    let journal: Arc<dyn Journal> = Arc::clone(&stage.store) as _;
    let frames = log::read_all::<GrantEvent>(&journal, LogId::ledger(lead)).await.expect("grants");
    let mut tree = Tree::default();
    for event in frames.iter().flat_map(|frame| &frame.events) {
        tree.apply(event);
    }
    let stood = tree.balance(&lead).expect("its account");
    assert_eq!((stood.spent.nano_usd, stood.reserved), (totals.cost, Amount::default()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_budget_no_ledger_log_is_begun() {
    let stage = Stage::set(LOOP, |harness| {
        let harness = steps(harness).agent(agent("once", &[], &[]));
        harness.agent(agent("three", &["step"], &[]))
    })
    .await;
    let journal: Arc<dyn Journal> = Arc::clone(&stage.store) as _;
    for name in ["once", "three"] {
        let session = say(&stage.runtime, name, "k", "go").await;
        ended(&stage.runtime, session, "k").await;
        let tail = journal.tail(LogId::ledger(session)).await.expect("the tail");
        assert_eq!(tail.0, Position(0), "{name}");
    }
}

/// An account of the tree is named with the limits that its agent had.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn grants_name_every_account_of_the_path_root_first() {
    let stage = Stage::set(LOOP, |harness| {
        let calls = |n| Budget { model_calls: Some(n), ..Budget::default() };
        steps(harness).agent(capped("loops", &["step"], &[], calls(2))).agent(capped(
            "parent",
            &[],
            &["loops"],
            calls(20),
        ))
    })
    .await;
    let parent = say(&stage.runtime, "parent", "k", "go").await;
    let outcome = ended(&stage.runtime, parent, "k").await;
    assert!(matches!(outcome, TurnOutcome::Completed { .. }), "{outcome:?}");
    let journal: Arc<dyn Journal> = Arc::clone(&stage.store) as _;
    let child = tree_of(&stage.runtime, parent).await.into_iter().find(|one| *one != parent);
    let child = child.expect("a child");
    let frames =
        log::read_all::<GrantEvent>(&journal, LogId::ledger(parent)).await.expect("grants");
    let paths = frames.iter().flat_map(|frame| &frame.events).filter_map(|event| match event {
        GrantEvent::Granted { call, accounts, bound } if bound.model_calls > 0 => Some((
            call.session,
            accounts.iter().map(|one: &Account| one.session).collect::<Vec<_>>(),
        )),
        _ => None,
    });
    let mut of_child = 0;
    for (session, path) in paths {
        if session == child {
            of_child += 1;
            assert_eq!(path, [parent, child]);
        } else {
            assert_eq!(path, [parent]);
        }
    }
    assert_eq!(of_child, 2);
}
