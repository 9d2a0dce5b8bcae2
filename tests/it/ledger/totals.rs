//! Sums: what the models reported, to the token, also after a crash.

use greenroom_actors::{
    domain::{
        budget::{Amount, Budget},
        catalog::TotalsOf,
        event::Event,
        ids::SessionId,
        usage::Usage,
    },
    testing::harness::{ended, events, say},
};

use super::{LOOP, calls_of, capped};
use crate::{
    stage::Stage,
    workshop::{Still, agent, until},
};

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
async fn looking_at_the_accounts_of_nobody_begins_no_log() {
    let still = Still::set("agent echo\n    say Hello.\n", |harness| harness).await;
    let before = still.store.logs();
    let nobody = SessionId(uuid::Uuid::from_u128(9));
    let figures = until("figures", || still.runtime.accounts(nobody)).await;
    assert!(figures.accounts.is_empty(), "{figures:?}");
    assert_eq!(still.store.logs(), before);
}
