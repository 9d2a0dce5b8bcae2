//! Sessions at work: turns, tools, subagents.

use greenroom_actors::{
    domain::{
        agent::AgentSpec, catalog::TotalsOf, event::UserInput, ids::InputKey, outcome::TurnOutcome,
    },
    testing::harness::{ended, events, say},
};

use crate::stage::Stage;

const TEAM: &str = r#"
agent lead
    say Off you go.
    call spawn_agent {"agent": "worker", "task": "part one"}
    call spawn_agent {"agent": "worker", "task": "part two"}
  then
    call await_agents {}
  then
    say All done.
agent worker
    say Did {input}.
"#;

fn team() -> (AgentSpec, AgentSpec) {
    let mut lead = AgentSpec::new("lead", "scripted");
    lead.routes.insert("worker".into());
    (lead, AgentSpec::new("worker", "scripted"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lead_and_two_workers_finish_and_everything_is_booked() {
    let stage = Stage::set(TEAM, |harness| {
        let (lead, worker) = team();
        harness.agent(lead).agent(worker)
    })
    .await;
    let lead = say(&stage.runtime, "lead", "k1", "go").await;
    let outcome = ended(&stage.runtime, lead, "k1").await;
    assert_eq!(
        outcome,
        TurnOutcome::Completed { text: "All done.".to_owned(), truncated: false },
        "{:#?}",
        events(&stage.runtime, lead).await
    );
    let totals = stage.runtime.totals(TotalsOf::Subtree(lead)).await.expect("totals");
    assert_eq!(totals.calls, 5, "three of the lead, one of each worker");
    assert_eq!(totals.unsettled_calls, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fork_goes_on_with_the_conversation_it_was_cut_from() {
    const TALK: &str = "agent talker\n  say You said {input}.\n";
    let stage =
        Stage::set(TALK, |harness| harness.agent(AgentSpec::new("talker", "scripted"))).await;
    let first = say(&stage.runtime, "talker", "k1", "one").await;
    ended(&stage.runtime, first, "k1").await;
    let row = stage.runtime.tree(first).await.expect("the session").row;
    let fork = stage.runtime.fork(first, row.position).await.expect("a fork");
    let key = InputKey::from("k2");
    stage.runtime.submit(fork, key, UserInput::text("two")).await.expect("an input");
    ended(&stage.runtime, fork, "k2").await;
    let state = stage.runtime.state(fork).await.expect("its state");
    let said: Vec<String> = state.conversation.iter().map(|message| message.text()).collect();
    assert_eq!(said, ["one", "You said one.", "two", "You said two."]);
    let stage = stage.crash().await;
    let again = stage.runtime.state(fork).await.expect("its state");
    assert_eq!(again.conversation, state.conversation, "the same after a restart");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_runtime_with_prices_starts() {
    use greenroom_actors::domain::{
        ids::Timestamp,
        usage::{DatedPrice, Price, PriceBook},
    };
    let price = Price { input: 3_000_000, output: 15_000_000, ..Price::default() };
    let entry = DatedPrice { model: "scripted".into(), since: Timestamp(0), price, long: None };
    let stage = Stage::set("agent *\n  say hello", |mut harness| {
        harness.prices = PriceBook(vec![entry]);
        harness.agent(AgentSpec::new("solo", "scripted"))
    })
    .await;
    let session = say(&stage.runtime, "solo", "k1", "go").await;
    ended(&stage.runtime, session, "k1").await;
    let totals = stage.runtime.totals(TotalsOf::Session(session)).await.expect("totals");
    assert!(totals.cost.0 > 0 && totals.unpriced_calls == 0, "{totals:?}");
}
