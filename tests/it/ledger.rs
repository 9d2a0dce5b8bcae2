//! Money and tokens through the whole runtime: no budget is overrun whatever dies, every figure is
//! what the models reported, and an end of budget is an outcome of its own.

use std::{
    collections::BTreeMap,
    sync::{Arc, OnceLock},
};

use greenroom_actors::{
    Runtime,
    domain::{
        budget::{Account, Amount, Budget, Dimension},
        catalog::{Totals, TotalsOf},
        event::{Event, UserInput},
        frame::{LogId, LogKind},
        grant::GrantEvent,
        ids::{Position, SessionId, Timestamp},
        outcome::{ChildOutcome, TurnOutcome},
        tool::EffectClass,
        usage::{DatedPrice, NanoUsd, Price, PriceBook, Settlement, Usage},
    },
    log,
    policy::budget::Tree,
    ports::Journal,
    runtime::Victim,
    testing::harness::{Harness, PATIENCE_MS, bounded, ended, events, say},
};

use crate::{
    stage::Stage,
    workshop::{Count, Watched, agent, done, tool, until},
};

/// What the ledger holds of a tree, after each of its frames: no account above its limit.
async fn never_above(journal: &Arc<dyn Journal>, root: SessionId) -> (Tree, usize) {
    let frames = log::read_all::<GrantEvent>(journal, LogId::ledger(root)).await.expect("grants");
    let (mut tree, mut prefixes) = (Tree::default(), 0);
    for frame in &frames {
        for event in &frame.events {
            tree.apply(event);
        }
        prefixes += 1;
        for (account, balance) in tree.balances() {
            for dimension in Dimension::ALL {
                let Some(limit) = dimension.limit(&balance.limit) else { continue };
                let sum = balance.spent.plus(balance.reserved);
                let weight = dimension.of(&sum);
                assert!(weight <= limit, "{account}: {weight} of {limit} {dimension:?}");
            }
        }
    }
    (tree, prefixes)
}

/// All sessions of a tree.
async fn tree_of(runtime: &Runtime, root: SessionId) -> Vec<SessionId> {
    let mut rest = vec![runtime.tree(root).await.expect("the tree")];
    let mut all = Vec::new();
    while let Some(node) = rest.pop() {
        all.push(node.row.session);
        rest.extend(node.children);
    }
    all
}

/// What the sessions' own logs say was used: the last word on each call.
async fn booked(runtime: &Runtime, sessions: &[SessionId]) -> Totals {
    let mut totals = Totals::default();
    for session in sessions {
        let mut last = BTreeMap::new();
        for event in events(runtime, *session).await {
            if let Event::UsageSettled { call, settlement, .. } = event {
                last.insert(call, settlement);
            }
        }
        last.values().for_each(|settlement: &Settlement| totals.add(settlement));
    }
    totals
}

fn fan_script(mids: usize, leaves: usize) -> String {
    let spawn = |agent: &str, times: usize| {
        format!("    call spawn_agent {{\"agent\": \"{agent}\", \"task\": \"work\"}}\n")
            .repeat(times)
    };
    format!(
        "agent lead\n    usage input=900 output=40\n{}  then\n    usage input=900 output=40\n    \
         call await_agents {{}}\n  then\n    usage input=900 output=40\n    say Done.\n\
         agent mid\n    usage input=900 output=40\n{}  then\n    usage input=900 output=40\n    \
         call await_agents {{}}\n  then\n    usage input=900 output=40\n    say Done.\n\
         agent leaf\n    usage input=900 output=40\n    call step {{}}\n  again\n",
        spawn("mid", mids),
        spawn("leaf", leaves)
    )
}

/// A tree of agents that would go on for ever, under one budget, with the ledger killed between
/// grants that are durable and the calls they are for.
async fn fan_out((mids, leaves): (usize, usize), limit: u64) {
    let (seat, grants) = (Arc::new(OnceLock::<Runtime>::new()), Count::default());
    let (kills, struck) = (Count::default(), Arc::clone(&seat));
    let killed = kills.clone();
    let stage = Stage::set(&fan_script(mids, leaves), |mut harness| {
        Watched::on(&mut harness.deps, move |envelope| {
            if envelope.log.kind != LogKind::Ledger {
                return;
            }
            // The grant is durable, and its session has not heard of it.
            let at = grants.up();
            if [2, 7, 15, 31].contains(&at)
                && struck.get().is_some_and(|runtime| runtime.kill(&Victim::Ledger))
            {
                killed.up();
            }
        });
        let step = tool("step", EffectClass::Pure, |_, _| async { done("ok") });
        let mut agents = [
            agent("lead", &[], &["mid"]),
            agent("mid", &[], &["leaf"]),
            agent("leaf", &["step"], &[]),
        ];
        for agent in &mut agents {
            agent.instructions = "x".repeat(1_000);
            agent.sampling.output_tokens_max = Some(40);
        }
        agents[0].budget = Budget { tokens: Some(limit), ..Budget::default() };
        let [lead, mid, leaf] = agents;
        harness.tool(step).agent(lead).agent(mid).agent(leaf)
    })
    .await;
    assert!(seat.set(stage.runtime.clone()).is_ok());
    let runtime = &stage.runtime;
    let lead = say(runtime, "lead", "k", "go").await;
    let outcome = bounded("the tree ends", ended(runtime, lead, "k")).await;
    // What is too little for a leaf's long conversation may be enough for its parent's short one.
    assert!(matches!(outcome.word(), "budget_exhausted" | "completed"), "{outcome:?}");
    assert!(kills.get() >= 3, "killed {} times only", kills.get());

    let journal: Arc<dyn Journal> = Arc::clone(&stage.store) as _;
    let sessions = tree_of(runtime, lead).await;
    assert_eq!(sessions.len(), 1 + mids + mids * leaves);
    let totals = booked(runtime, &sessions).await;
    let spent = totals.usage.tokens() + totals.unsettled_tokens_max;
    println!("{} leaves: {spent} of {limit} spent, {} kills", mids * leaves, kills.get());
    assert!(limit / 2 <= spent && spent <= limit, "{spent} of {limit}");
    // The last settlements may have been lost with a ledger; being asked, it finds them.
    let same = || async {
        let figures = runtime.accounts(lead).await?;
        let account = figures.accounts.iter().find(|one| one.account == lead)?;
        let settled = (account.spent.tokens, account.reserved) == (spent, Amount::default());
        settled.then_some(())
    };
    until("the ledger agrees with the sessions", same).await;
    let (tree, prefixes) = never_above(&journal, lead).await;
    assert!(prefixes > 10, "{prefixes} prefixes");
    assert_eq!(tree.balance(&lead).expect("its account").spent.tokens, spent);
    for node in runtime.tree(lead).await.expect("the tree").children {
        let told = events(runtime, node.row.session).await.into_iter().filter(|event| {
            matches!(event, Event::ChildFinished { report, .. } if matches!(
                &report.outcome,
                ChildOutcome::Turn { outcome: TurnOutcome::BudgetExhausted { .. } }
            ))
        });
        assert_eq!(told.count(), leaves, "every parent is told that it was the budget");
    }
    assert_eq!(runtime.totals(TotalsOf::Subtree(lead)).await.expect("totals"), totals);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_leaf_spends_its_budget_and_no_more_while_the_ledger_dies() {
    fan_out((1, 1), 40_000).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn eight_leaves_spend_their_budget_and_no_more_while_the_ledger_dies() {
    fan_out((2, 4), 100_000).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sixty_four_leaves_spend_their_budget_and_no_more_while_the_ledger_dies() {
    fan_out((8, 8), 300_000).await;
}

const LOOP: &str = r#"
agent loops
    usage input=100 output=10
    call step {}
  again
agent three
    usage input=100 output=10
    call step {"n": 1}
    call step {"n": 2}
    call step {"n": 3}
  then
    usage input=100 output=10
    say {results}
agent parent
    usage input=100 output=10
    call spawn_agent {"agent": "loops", "task": "go"}
  then
    usage input=100 output=10
    call await_agents {}
  then
    usage input=100 output=10
    say {results}
agent once
    usage input=70 cache_read=20 cache_write=10 output=30 reasoning=12
    say Once.
"#;

fn steps(harness: Harness) -> Harness {
    harness.tool(tool("step", EffectClass::Pure, |_, _| async { done("ok") }))
}

fn capped(
    name: &str,
    tools: &[&str],
    routes: &[&str],
    budget: Budget,
) -> greenroom_actors::domain::agent::AgentSpec {
    let mut agent = agent(name, tools, routes);
    agent.budget = budget;
    agent.sampling.output_tokens_max = Some(50);
    agent
}

fn calls_of(log: &[Event]) -> usize {
    log.iter().filter(|event| event.name() == "model_call_started").count()
}

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
        harness.prices = PriceBook(vec![DatedPrice { model, since, price }]);
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
async fn a_budget_warns_once_when_most_of_it_is_spent() {
    let stage = Stage::set(LOOP, |harness| {
        let budget = Budget { model_calls: Some(10), ..Budget::default() };
        steps(harness).agent(capped("loops", &["step"], &[], budget))
    })
    .await;
    let session = say(&stage.runtime, "loops", "k", "go").await;
    ended(&stage.runtime, session, "k").await;
    let warned = |log: Vec<Event>| -> Vec<Event> {
        log.into_iter().filter(|event| matches!(event, Event::BudgetWarned { .. })).collect()
    };
    let warning = Event::BudgetWarned { account: session, percent: 80 };
    until("the warning", || async {
        let found = warned(events(&stage.runtime, session).await);
        (!found.is_empty()).then_some(())
    })
    .await;
    let stage = stage.crash().await;
    // Another turn, refused at once, has the ledger read its tree again.
    let again = stage.runtime.run(session, "k2".into(), UserInput::text("more"), PATIENCE_MS).await;
    assert!(matches!(again, Ok(TurnOutcome::BudgetExhausted { .. })), "{again:?}");
    assert_eq!(warned(events(&stage.runtime, session).await), [warning]);
}

/// Everything that was reported is in the sums, to the token, each kind apart; a crash changes
/// nothing about that.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn totals_are_the_sums_of_what_the_models_reported() {
    let script = format!(
        "{LOOP}
agent twice
    usage input=5 cache_read=4 cache_write=3 output=20 reasoning=1
    call spawn_agent {{\"agent\": \"once\", \"task\": \"a\"}}
    call spawn_agent {{\"agent\": \"once\", \"task\": \"b\"}}
  then
    usage input=5 cache_read=4 cache_write=3 output=20 reasoning=1
    call await_agents {{}}
  then
    usage input=5 cache_read=4 cache_write=3 output=20 reasoning=1
    say Twice.
"
    );
    let stage = Stage::set(&script, |harness| {
        let mut once = agent("once", &[], &[]);
        once.model = "small".into();
        let mut twice = agent("twice", &[], &["once"]);
        twice.model = "large".into();
        harness.agent(once).agent(twice)
    })
    .await;
    let small = Usage { input: 70, cache_read: 20, cache_write: 10, output: 30, reasoning: 12 };
    let large = Usage { input: 5, cache_read: 4, cache_write: 3, output: 20, reasoning: 1 };
    let times = |usage: Usage, n: u64| Usage {
        input: usage.input * n,
        cache_read: usage.cache_read * n,
        cache_write: usage.cache_write * n,
        output: usage.output * n,
        reasoning: usage.reasoning * n,
    };
    let first = say(&stage.runtime, "twice", "k", "go").await;
    ended(&stage.runtime, first, "k").await;
    let second = say(&stage.runtime, "once", "k", "go").await;
    ended(&stage.runtime, second, "k").await;
    let stage = stage.crash().await;
    let runtime = &stage.runtime;
    let mut subtree = times(small, 2);
    subtree += times(large, 3);
    let mut all = times(small, 3);
    all += times(large, 3);
    let expected = [
        (TotalsOf::Session(first), 3, times(large, 3)),
        (TotalsOf::Subtree(first), 5, subtree),
        (TotalsOf::Session(second), 1, small),
        (TotalsOf::Model("small".into()), 3, times(small, 3)),
        (TotalsOf::Model("large".into()), 3, times(large, 3)),
        (TotalsOf::Agent("once".into()), 3, times(small, 3)),
        (TotalsOf::Agent("twice".into()), 3, times(large, 3)),
        (TotalsOf::Runtime, 6, all),
    ];
    for (of, calls, usage) in expected {
        let totals = runtime.totals(of.clone()).await.expect("totals");
        assert_eq!((totals.calls, totals.usage), (calls, usage), "{of:?}");
        assert_eq!((totals.unsettled_calls, totals.unpriced_calls), (0, calls), "{of:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crash_leaves_each_lost_call_settled_at_its_bound_and_no_room_taken() {
    let script =
        "agent hangs\n    usage input=100 output=10\n    until call 2 hang\n    say Done.\n";
    let budget = Budget { tokens: Some(10_000), ..Budget::default() };
    let stage =
        Stage::set(script, |harness| harness.agent(capped("hangs", &[], &[], budget))).await;
    let session = say(&stage.runtime, "hangs", "k", "go").await;
    until("its model hangs", || async {
        (calls_of(&events(&stage.runtime, session).await) == 1).then_some(())
    })
    .await;
    let stage = stage.crash().await;
    ended(&stage.runtime, session, "k").await;
    let totals = stage.runtime.totals(TotalsOf::Session(session)).await.expect("totals");
    assert_eq!((totals.calls, totals.unsettled_calls), (1, 1));
    assert_eq!(totals.usage.tokens(), 110);
    let started = events(&stage.runtime, session).await;
    let bound = started.iter().find_map(|event| match event {
        Event::ModelCallStarted { bound, .. } => Some(bound.tokens),
        _ => None,
    });
    assert_eq!(Some(totals.unsettled_tokens_max), bound);
    until("the ledger agrees", || async {
        let figures = stage.runtime.accounts(session).await?;
        let account = figures.accounts.into_iter().find(|one| one.account == session)?;
        let spent = totals.usage.tokens() + totals.unsettled_tokens_max;
        let right = account.spent.tokens == spent && account.reserved == Amount::default();
        right.then_some(())
    })
    .await;
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
