//! Waits for people, and of agents for agents below them.

use greenroom_actors::{
    domain::{
        event::{CancelTarget, Event},
        outcome::TurnOutcome,
        tool::EffectClass,
    },
    limits,
    ports::Clock as _,
    testing::harness::{events, say},
};

use crate::workshop::{Still, agent, done, tool, until};

use super::{
    hanging, happened, kept,
    tasks::{Free, stubborn},
    turn_takes,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_approval_that_nobody_answers_expires_also_over_a_restart() {
    let script = "agent asks\n    call press {}\n  then\n    say {results}\n";
    let still = Still::set(script, |harness| {
        let mut asks = agent("asks", &["press"], &[]);
        asks.authority = Default::default();
        harness.tool(tool("press", EffectClass::Once, |_, _| async { done("pressed") })).agent(asks)
    })
    .await;
    let start = still.clock.now();
    let session = say(&still.runtime, "asks", "k", "go").await;
    happened(&still, session, "approval_requested").await;
    still.clock.advance(limits::APPROVAL_MS / 2);
    let still = still.crash().await;
    assert_eq!(still.runtime.approvals(None).await.expect("the inbox").len(), 1);
    let (outcome, took) = turn_takes(&still, (session, "k"), start, 600_000).await;
    let TurnOutcome::Completed { text, .. } = outcome else { panic!("{outcome:?}") };
    assert!(text.contains("nobody answered in time"), "{text}");
    kept(took, limits::APPROVAL_MS, 600_000);
    assert!(still.runtime.approvals(None).await.expect("the inbox").is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_parent_waits_for_a_child_that_hangs_no_longer_than_it_said() {
    let script = r#"
agent lead
    call spawn_agent {"agent": "model", "task": "go"}
  then
    call await_agents {"timeout_ms": 60000}
  then
    say {results}
agent model
    hang
"#;
    let still =
        Still::set(script, |harness| hanging(harness).agent(agent("lead", &[], &["model"]))).await;
    let start = still.clock.now();
    let lead = say(&still.runtime, "lead", "k", "go").await;
    happened(&still, lead, "child_spawned").await;
    still.clock.advance(1_000);
    let still = still.crash().await;
    let (outcome, took) = turn_takes(&still, (lead, "k"), start, 200).await;
    let TurnOutcome::Completed { text, .. } = outcome else { panic!("{outcome:?}") };
    assert!(text.contains("\"status\":\"running\""), "{text}");
    kept(took, 60_000, 200);
}

/// "Cancelled" is said when nothing runs below any more, or what runs was left to itself.
#[tokio::test(flavor = "multi_thread", worker_threads = 6)]
async fn a_cancelled_subtree_does_not_wait_for_a_tool_that_ignores_it_also_after_a_restart() {
    let script = r#"
agent lead
    call spawn_agent {"agent": "tool", "task": "go"}
  then
    call await_agents {}
  then
    say {results}
agent tool
    call hangs {}
  then
    say {results}
"#;
    for dies in [false, true] {
        let (prop, free, runs) = stubborn(EffectClass::Pure);
        let _free = Free(free);
        let mut still = Still::set(script, |harness| {
            let harness = harness.tool(prop).agent(agent("tool", &["hangs"], &[]));
            harness.agent(agent("lead", &[], &["tool"]))
        })
        .await;
        let lead = say(&still.runtime, "lead", "k", "go").await;
        until("the tool runs", || async { (runs.get() == 1).then_some(()) }).await;
        let start = still.clock.now();
        still.runtime.cancel(lead, CancelTarget::Everything, "enough").await.expect("cancel");
        if dies {
            still = still.crash().await;
        }
        let (outcome, took) = turn_takes(&still, (lead, "k"), start, 50).await;
        assert_eq!(outcome, TurnOutcome::Cancelled { reason: "enough".to_owned() });
        // A crash may come before the wish has reached the agent, which then begins once more; or
        // after it, and then nothing runs any more.
        assert!(took <= 2 * limits::ABORT_GRACE_MS + 5_000, "{took}");
        assert!(dies || (took >= limits::ABORT_GRACE_MS && runs.get() == 1), "{took}");
        let told = events(&still.runtime, lead).await;
        let told = told.iter().filter(|event| matches!(event, Event::ChildFinished { .. }));
        assert_eq!(told.count(), 1);
    }
}
