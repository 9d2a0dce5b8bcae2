//! Depth, width and total: refused in words the model can act on, and free again when agents end.

use super::*;

/// Live agents as the ledger sees them.
async fn reserved(runtime: &Runtime, root: SessionId) -> u64 {
    let figures = runtime.accounts(root).await.expect("figures");
    let of = |amount: &Amount| Dimension::Agents.of(amount);
    figures.accounts.iter().map(|account| of(&account.reserved)).sum()
}

async fn all_free(stage: &Stage, root: SessionId) {
    let free = || async { (reserved(&stage.runtime, root).await == 0).then_some(()) };
    eventually(&stage.harness.deps.clock, "all places are free", free).await;
}

fn said(outcome: &ToolOutcome) -> String {
    outcome.told().0.shown().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_deeper_than_the_root_allows() {
    let script = r#"
agent *
    call spawn_agent {"agent": "NEXT", "task": "t"}
  then
    call await_agents
  then
    say {last}
"#;
    let rung = |name: &str, next: &str| script.replace('*', name).replace("NEXT", next);
    let script =
        format!("{}{}{}\nagent d\n  say bottom", rung("a", "b"), rung("b", "c"), rung("c", "d"));
    let stage = Stage::set(&script, |harness| {
        let mut a = agent("a", &[], &["b"]);
        a.limits.depth = 2;
        let harness = harness.agent(a).agent(agent("b", &[], &["c"]));
        // What it says of itself does not matter: the root's bound is the tree's.
        let mut c = agent("c", &[], &["d"]);
        c.limits.depth = 9;
        harness.agent(c).agent(agent("d", &[], &[]))
    })
    .await;
    let root = say(&stage.runtime, "a", "k", "go").await;
    ended(&stage.runtime, root, "k").await;
    let b = children(&events(&stage.runtime, root).await)[0];
    let c = children(&events(&stage.runtime, b).await)[0];
    let log = events(&stage.runtime, c).await;
    assert!(children(&log).is_empty());
    let refused = said(&closures(&log)[0]);
    assert!(refused.contains("limit reached") && refused.contains("deeper"), "{refused}");
    all_free(&stage, root).await;
}

const THREE: &str = r#"
agent lead
    call spawn_agent {"agent": "worker", "task": "1"}
    call spawn_agent {"agent": "worker", "task": "2"}
    call spawn_agent {"agent": "worker", "task": "3"}
  then
    call await_agents
  then
    call spawn_agent {"agent": "worker", "task": "4"}
    call spawn_agent {"agent": "worker", "task": "5"}
  then
    call await_agents
  then
    say {last}
agent worker
    ENDING
"#;

#[derive(Clone, Copy, Debug)]
enum Bound {
    Width,
    Total,
}

async fn two_at_once(bound: Bound, ending: &str, crash: bool) {
    let stage = Stage::set(&THREE.replace("ENDING", ending), |harness| {
        let mut lead = agent("lead", &[], &["worker"]);
        match bound {
            Bound::Width => lead.limits.width = 2,
            Bound::Total => lead.limits.total = 2,
        }
        harness.agent(lead).agent(agent("worker", &[], &[]))
    })
    .await;
    let lead = say(&stage.runtime, "lead", "k", "go").await;
    let stage = if crash {
        logged(&stage.runtime, lead, "it spawned", |events| {
            (children(events).len() == 2).then_some(())
        })
        .await;
        stage.crash().await
    } else {
        stage
    };
    let play = format!("{bound:?} {ending} {crash}");
    let outcome = ended(&stage.runtime, lead, "k").await;
    assert_eq!(outcome.word(), "completed", "{play}: {outcome:?}");
    let log = events(&stage.runtime, lead).await;
    is_whole(&log);
    assert_eq!(children(&log).len(), 4, "{play}: two, and two more when these had ended");
    let refused: Vec<String> =
        closures(&log).iter().map(said).filter(|said| said.contains("limit reached")).collect();
    assert_eq!(refused.len(), 1, "{play}: {refused:?}");
    all_free(&stage, lead).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_more_at_once_than_the_width_and_the_total_allow_however_they_end() {
    for bound in [Bound::Width, Bound::Total] {
        // They end only after the third was asked for.
        for ending in ["wait 300ms\n say done", "wait 300ms\n fail bad_request: no good"] {
            two_at_once(bound, ending, false).await;
            two_at_once(bound, ending, true).await;
        }
    }
    two_at_once(Bound::Total, "panic out of tune", false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn places_do_not_leak_over_many_agents() {
    let script = r#"
agent lead
    call spawn_agent {"agent": "worker", "task": "t"}
  then
    call await_agents
  then
    say {last}
agent worker when cancel
    hang
agent worker
    say done
"#;
    let mut stage = Stage::set(script, |harness| {
        let mut lead = agent("lead", &[], &["worker"]);
        lead.limits.total = 1;
        lead.limits.width = 1;
        harness.agent(lead).agent(agent("worker", &[], &[]))
    })
    .await;
    let lead = say(&stage.runtime, "lead", "k", "go").await;
    for round in 0..20 {
        if round % 7 == 6 {
            stage = stage.crash().await;
        }
        let key = format!("k{round}");
        let input = UserInput::text("again");
        let said = stage.runtime.run(lead, key.as_str().into(), input, PATIENCE_MS).await;
        let said = said.expect("a turn");
        assert!(said.text().contains("completed"), "round {round}: {said:?}");
    }
    assert_eq!(children(&events(&stage.runtime, lead).await).len(), 21);
    all_free(&stage, lead).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_that_cannot_be_met_are_refused_in_words_and_take_no_place() {
    let script = r#"
agent lead
    call spawn_agent {"agent": "stranger", "task": "t"}
    call spawn_agent {"task": "t"}
    call-raw spawn_agent not json
    call send_agent {"agent_id": "{session}", "task": "t"}
    call await_agents {"agent_ids": ["{session}"]}
    call cancel_agent {"agent_id": "{session}"}
  then
    say {last}
"#;
    let stage = Stage::set(script, |harness| {
        harness.agent(agent("lead", &[], &["worker"])).agent(agent("worker", &[], &[]))
    })
    .await;
    let lead = say(&stage.runtime, "lead", "k", "go").await;
    ended(&stage.runtime, lead, "k").await;
    let log = events(&stage.runtime, lead).await;
    let all: Vec<String> = closures(&log).iter().map(said).collect();
    assert!(all.iter().any(|said| said.contains("you may start: worker")), "{all:?}");
    assert_eq!(all.iter().filter(|said| said.contains("not an agent you started")).count(), 3);
    assert_eq!(count(&log, "tool_started"), 0);
    is_whole(&log);
    all_free(&stage, lead).await;
}
