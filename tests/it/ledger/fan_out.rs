//! Trees of agents that would go on for ever, under one budget, while the ledger dies between grants
//! and the calls they are for: the budget is used, and never overrun.

use std::{
    collections::BTreeMap,
    sync::{Arc, OnceLock},
};

use greenroom_actors::{
    Runtime,
    domain::{
        budget::{Amount, Budget},
        catalog::{Totals, TotalsOf},
        event::Event,
        frame::LogKind,
        ids::SessionId,
        outcome::ChildOutcome,
        tool::EffectClass,
        usage::Settlement,
    },
    ports::Journal,
    runtime::Victim,
    testing::harness::{bounded, ended, events, say},
};

use super::{never_above, tree_of};
use crate::{
    stage::Stage,
    workshop::{Count, Watched, agent, done, tool, until},
};

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
        Watched::on_append(&mut harness.deps, move |append| {
            let grants_a_call = append.body.contains(r#""type":"granted""#);
            if append.envelope.log.kind != LogKind::Ledger || !grants_a_call {
                return;
            }
            // The grant is durable, and its session has not heard of it.
            let at = grants.up();
            if [2, 5, 9, 15].contains(&at)
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
    // Its figures run ahead of its log by the frame in flight.
    let durable = || async {
        let (tree, prefixes) = never_above(&journal, lead).await;
        let agrees = tree.balance(&lead).is_some_and(|account| account.spent.tokens == spent);
        (agrees && tree.open_grants().count() == 0).then_some(prefixes)
    };
    let prefixes = until("the ledger's log agrees as well", durable).await;
    assert!(prefixes > 10, "{prefixes} prefixes");
    for node in runtime.tree(lead).await.expect("the tree").children {
        let log = events(runtime, node.row.session).await;
        let own = log.iter().rev().find_map(|event| match event {
            Event::TurnFinished { outcome, .. } => Some(outcome.word()),
            _ => None,
        });
        let mut told = BTreeMap::<&str, usize>::new();
        for event in &log {
            if let Event::ChildFinished { report, .. } = event {
                let ChildOutcome::Turn { outcome } = &report.outcome else {
                    panic!("{report:?}");
                };
                *told.entry(outcome.word()).or_default() += 1;
            }
        }
        // One whose own next call found no room ended at once, and took those below it along.
        let cut = told.remove("cancelled").unwrap_or_default();
        assert!(cut == 0 || own == Some("budget_exhausted"), "{own:?} {told:?} {cut} cancelled");
        let budget = told.remove("budget_exhausted").unwrap_or_default();
        assert_eq!(budget + cut, leaves, "every parent is told that it was the budget");
        assert!(told.is_empty(), "{told:?}");
        println!("mid {own:?}: {budget} told, {cut} cut");
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
