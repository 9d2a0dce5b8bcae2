//! A cancel arrives below agents that cannot pass it on by themselves any more: those that failed,
//! those off the stage, those whose log cannot be read. And who says that it is done says so only
//! when nothing below is at work.

use greenroom_actors::{
    domain::{
        agent::AgentSpec, event::Event, ids::SessionId, outcome::TurnOutcome, tool::EffectClass,
    },
    testing::harness::{Harness, bounded, ended, events, say},
};

use super::{BROKEN_MIDDLE, cancel, nothing_is_held};
use crate::{
    props::{Prop, agent, allow, children, count, is_whole, logged, seen},
    stage::{Stage, file_in},
};

/// One whose first panic takes it off the stage.
fn frail(name: &str, routes: &[&str]) -> AgentSpec {
    let mut frail = agent(name, &[], routes);
    frail.restart.panics_max = 1;
    frail
}

/// A leaf with a tool that does not end by itself, only by being aborted.
fn working(work: &Prop, harness: Harness) -> Harness {
    allow(harness.agent(agent("leaf", &["work"], &[])).tool(work.clone()), &["work"])
}

fn held() -> Prop {
    Prop::new("work", EffectClass::Once).hold()
}

/// The first agent that a session started.
async fn first_child(stage: &Stage, session: SessionId) -> SessionId {
    logged(&stage.runtime, session, "it has an agent", |events| children(events).first().copied())
        .await
}

/// Waits until a session's log has one of these.
async fn has(stage: &Stage, session: SessionId, name: &str) {
    logged(&stage.runtime, session, name, |events| (count(events, name) == 1).then_some(())).await;
}

/// Asked at once: who was told that all is over may rely on it.
async fn was_cancelled(stage: &Stage, session: SessionId) {
    let log = events(&stage.runtime, session).await;
    let cancelled = |event: &Event| {
        matches!(event, Event::TurnFinished { outcome: TurnOutcome::Cancelled { .. }, .. })
    };
    assert!(log.iter().any(cancelled), "{session} is at work: {log:#?}");
    is_whole(&log);
}

const FAILING_MIDDLE: &str = r#"
agent root
    call spawn_agent {"agent": "mid", "task": "t"}
  then
    call await_agents
  then
    say {last}
agent mid
    call spawn_agent {"agent": "leaf", "task": "t"}
  then
    fail bad_request final: no good
agent leaf
    call work
  then
    say done
"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_that_failed_is_told_as_failed_when_those_below_it_have_ended() {
    for crash in [false, true] {
        let work = held();
        let mut stage = Stage::set(FAILING_MIDDLE, |harness| {
            let harness = harness.agent(agent("root", &[], &["mid"]));
            working(&work, harness.agent(agent("mid", &[], &["leaf"])))
        })
        .await;
        let root = say(&stage.runtime, "root", "k", "go").await;
        let mid = first_child(&stage, root).await;
        let leaf = first_child(&stage, mid).await;
        has(&stage, mid, "model_call_failed").await;
        if crash {
            stage = stage.crash().await;
        }
        has(&stage, root, "child_finished").await;
        was_cancelled(&stage, leaf).await;
        assert_eq!(work.at_work(), 0, "crash: {crash}");
        let outcome = ended(&stage.runtime, root, "k").await;
        assert!(outcome.text().contains(r#""status":"failed""#), "{outcome:?}");
        is_whole(&events(&stage.runtime, mid).await);
        nothing_is_held(&stage.runtime).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cancel_of_one_that_failed_is_done_when_those_below_it_have_ended() {
    let work = held();
    let stage = Stage::set(FAILING_MIDDLE, |harness| {
        let harness = harness.agent(agent("root", &[], &["mid"]));
        working(&work, harness.agent(agent("mid", &[], &["leaf"])))
    })
    .await;
    let root = say(&stage.runtime, "root", "k", "go").await;
    let mid = first_child(&stage, root).await;
    let leaf = first_child(&stage, mid).await;
    has(&stage, mid, "model_call_failed").await;
    cancel(&stage.runtime, root).await;
    ended(&stage.runtime, root, "k").await;
    was_cancelled(&stage, leaf).await;
    assert_eq!(work.at_work(), 0);
    nothing_is_held(&stage.runtime).await;
}

fn broken_middle(harness: Harness) -> Harness {
    let harness = harness.agent(agent("root", &[], &["mid"])).agent(frail("mid", &["leaf"]));
    harness.agent(agent("leaf", &[], &[]))
}

/// Cancels a session in a dark house and lights it again. So the cancel stands in its log, and all
/// of the process was gone before anybody heard of it.
async fn cancelled_and_killed(mut stage: Stage, session: SessionId) -> Stage {
    stage.harness.options.dark = true;
    stage = stage.crash().await;
    cancel(&stage.runtime, session).await;
    stage.harness.options.dark = false;
    stage.crash().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cancel_through_a_quarantined_agent_outlives_a_kill_before_its_mail() {
    let stage = Stage::set(BROKEN_MIDDLE, broken_middle).await;
    let root = say(&stage.runtime, "root", "k", "go").await;
    ended(&stage.runtime, root, "k").await;
    let mid = first_child(&stage, root).await;
    let leaf = first_child(&stage, mid).await;
    let stage = cancelled_and_killed(stage, root).await;
    // Nobody is spoken to: the house finds it by itself.
    has(&stage, root, "child_stopped").await;
    was_cancelled(&stage, leaf).await;
    nothing_is_held(&stage.runtime).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cancel_of_a_quarantined_root_outlives_a_kill_before_its_mail() {
    let script = r#"
agent root
    call spawn_agent {"agent": "leaf", "task": "t"}
  then
    panic
agent leaf
    hang
"#;
    let stage = Stage::set(script, |harness| {
        harness.agent(frail("root", &["leaf"])).agent(agent("leaf", &[], &[]))
    })
    .await;
    let root = say(&stage.runtime, "root", "k", "go").await;
    let leaf = first_child(&stage, root).await;
    has(&stage, root, "session_quarantined").await;
    let stage = cancelled_and_killed(stage, root).await;
    has(&stage, root, "child_finished").await;
    was_cancelled(&stage, leaf).await;
    nothing_is_held(&stage.runtime).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cancelled_turn_ends_behind_what_is_below_a_quarantined_agent() {
    let script = r#"
agent root
    call spawn_agent {"agent": "mid", "task": "t"}
  then
    call await_agents
  then
    hang
agent mid
    call spawn_agent {"agent": "leaf", "task": "t"}
  then
    panic
agent leaf
    call work
  then
    say done
"#;
    let work = held();
    let stage = Stage::set(script, |harness| {
        let harness = harness.agent(agent("root", &[], &["mid"]));
        working(&work, harness.agent(frail("mid", &["leaf"])))
    })
    .await;
    let root = say(&stage.runtime, "root", "k", "go").await;
    let mid = first_child(&stage, root).await;
    let leaf = first_child(&stage, mid).await;
    has(&stage, root, "child_finished").await;
    seen("the leaf works on", || work.at_work() == 1).await;
    cancel(&stage.runtime, root).await;
    ended(&stage.runtime, root, "k").await;
    was_cancelled(&stage, leaf).await;
    assert_eq!(work.at_work(), 0);
    nothing_is_held(&stage.runtime).await;
}

const DEEP: &str = r#"
agent top
    call spawn_agent {"agent": "root", "task": "t"}
  then
    call await_agents
  then
    say {last}
agent root
    call spawn_agent {"agent": "mid", "task": "t"}
  then
    call await_agents
  then
    say {last}
agent mid
    call spawn_agent {"agent": "leaf", "task": "t"}
  then
    panic
agent leaf
    call work
  then
    say done
"#;

/// Nobody above would know what its quarantined agent left at work once the assignment is over.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_assignment_ends_behind_what_is_below_a_quarantined_agent() {
    let work = held();
    let stage = Stage::set(DEEP, |harness| {
        let harness = harness.agent(agent("top", &[], &["root"]));
        let harness = harness.agent(agent("root", &[], &["mid"]));
        working(&work, harness.agent(frail("mid", &["leaf"])))
    })
    .await;
    let top = say(&stage.runtime, "top", "k", "go").await;
    let root = first_child(&stage, top).await;
    let mid = first_child(&stage, root).await;
    let leaf = first_child(&stage, mid).await;
    has(&stage, top, "child_finished").await;
    was_cancelled(&stage, leaf).await;
    assert_eq!(work.at_work(), 0);
    let outcome = ended(&stage.runtime, top, "k").await;
    assert!(outcome.text().contains("quarantined"), "it reads how its agent ended: {outcome:?}");
    nothing_is_held(&stage.runtime).await;
}

/// Changes a session's log in the file while nobody has it open.
fn damage(stage: &Stage, session: SessionId) {
    let file = rusqlite::Connection::open(file_in(stage.folder.path())).expect("the file");
    let changed = file
        .execute(
            "UPDATE frame SET body = replace(body, 'leaf', 'loaf') WHERE log = \
             (SELECT num FROM log WHERE kind = 'session' AND id = ?1)",
            [session.to_string()],
        )
        .expect("the rows");
    assert!(changed > 0, "something was changed");
}

/// Only the log that was changed knew the leaf.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cancel_passes_below_an_agent_whose_log_cannot_be_read() {
    let script = r#"
agent root
    call spawn_agent {"agent": "mid", "task": "t"}
  then
    hang
agent mid
    call spawn_agent {"agent": "leaf", "task": "t"}
  then
    hang
agent leaf
    hang
"#;
    let stage = Stage::set(script, |harness| {
        let harness = harness.agent(agent("root", &[], &["mid"]));
        harness.agent(agent("mid", &[], &["leaf"])).agent(agent("leaf", &[], &[]))
    })
    .await;
    let root = say(&stage.runtime, "root", "k", "go").await;
    let mid = first_child(&stage, root).await;
    let leaf = first_child(&stage, mid).await;
    has(&stage, leaf, "model_call_started").await;
    bounded("shutdown", stage.runtime.shutdown()).await;
    stage.store.close();
    damage(&stage, mid);
    let stage = stage.crash().await;
    has(&stage, root, "child_finished").await;
    let at_work = stage.runtime.state(leaf).await.expect("its state");
    assert!(at_work.turn.is_some(), "the leaf is at work below the one that cannot be read");
    cancel(&stage.runtime, root).await;
    ended(&stage.runtime, root, "k").await;
    was_cancelled(&stage, leaf).await;
    nothing_is_held(&stage.runtime).await;
}
