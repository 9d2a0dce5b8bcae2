//! Sessions at work: turns, tools, subagents.

use greenroom_actors::{
    domain::{agent::AgentSpec, catalog::TotalsOf, outcome::TurnOutcome},
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
