//! Cancel: it goes down the tree, and when it is done nothing of the tree is left running, at
//! whatever point of its work it struck.

use futures_util::{FutureExt as _, future::BoxFuture};
use greenroom_actors::{
    Runtime,
    domain::{
        event::{CancelTarget, Event},
        ids::SessionId,
        outcome::{ChildOutcome, TurnOutcome},
        permission::Answer,
        tool::{EffectClass, ToolOutcome},
    },
    runtime::CallError,
    testing::harness::{Harness, PATIENCE_MS, bounded, ended, events, say},
};

use crate::{
    killed::{self, numbered},
    props::{Prop, agent, allow, asked, children, closures, count, is_whole, logged, seen},
    stage::{Folder, Stage},
};

mod below;
pub mod halted;
mod inputs;
mod reach;

async fn cancel(runtime: &Runtime, session: SessionId) {
    runtime.cancel(session, CancelTarget::Everything, "enough").await.expect("cancel");
}

/// No slot is lent, none is waited for, and no model is being called.
async fn nothing_is_held(runtime: &Runtime) {
    seen("no slot is held", || {
        let figures = runtime.figures();
        figures.pools.values().chain(figures.gates.values()).all(|one| one.taken + one.waiting == 0)
    })
    .await;
}

const TREE: &str = r#"
agent root
    call spawn_agent {"agent": "mid", "task": "1"}
    call spawn_agent {"agent": "mid", "task": "2"}
  then
    call await_agents
  then
    say {last}
agent mid
    call spawn_agent {"agent": "leaf", "task": "tool"}
    call spawn_agent {"agent": "leaf", "task": "model"}
    call spawn_agent {"agent": "leaf", "task": "ask"}
  then
    call await_agents
  then
    say {last}
agent leaf when tool
    call work
  then
    say done
agent leaf when ask
    call beg
  then
    say done
agent leaf
    hang
"#;

fn tree(work: &Prop, beg: &Prop) -> impl FnOnce(Harness) -> Harness {
    let (work, beg) = (work.clone(), beg.clone());
    move |harness| {
        let harness = harness.agent(agent("root", &[], &["mid"]));
        let harness = harness.agent(agent("mid", &[], &["leaf"]));
        let harness = harness.agent(agent("leaf", &["work", "beg"], &[]));
        allow(harness.tool(work).tool(beg), &["work"])
    }
}

/// Everybody below a session, as the logs say.
async fn below(runtime: &Runtime, session: SessionId) -> Vec<SessionId> {
    let mut all = vec![session];
    let mut at = 0;
    while at < all.len() {
        all.extend(children(&events(runtime, all[at]).await));
        at += 1;
    }
    all.remove(0);
    all
}

/// Waits until all three levels are at their work.
async fn at_work(stage: &Stage, work: &Prop) {
    seen("two tools run", || work.at_work() == 2).await;
    asked(&stage.runtime, 2).await;
    // Two leaves hang at their model; everybody else waits for somebody below.
    seen("two models are called", || {
        stage.runtime.figures().gates.values().map(|gate| gate.taken).sum::<usize>() == 2
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cancel_unwinds_three_levels_and_when_it_is_done_nothing_is_left() {
    let (work, beg) =
        (Prop::new("work", EffectClass::Once).hold(), Prop::new("beg", EffectClass::Once));
    let stage = Stage::set(TREE, tree(&work, &beg)).await;
    let root = say(&stage.runtime, "root", "k", "go").await;
    at_work(&stage, &work).await;
    cancel(&stage.runtime, root).await;
    let outcome = ended(&stage.runtime, root, "k").await;
    assert_eq!(outcome, TurnOutcome::Cancelled { reason: "enough".to_owned() });
    // Done means done: asked at once, without waiting for anything.
    let all = below(&stage.runtime, root).await;
    assert_eq!(all.len(), 8);
    for session in &all {
        let events = events(&stage.runtime, *session).await;
        is_whole(&events);
        assert_eq!(count(&events, "turn_finished"), 1, "{events:#?}");
    }
    assert_eq!(work.at_work(), 0, "no task of theirs runs");
    assert!(stage.runtime.approvals(None).await.expect("the inbox").is_empty());
    nothing_is_held(&stage.runtime).await;
    assert!(beg.keys().is_empty());
    let before = stage.runtime.read(root, greenroom_actors::domain::ids::Position(0)).await;
    cancel(&stage.runtime, root).await;
    let after = stage.runtime.read(root, greenroom_actors::domain::ids::Position(0)).await;
    assert_eq!(before.expect("log").len(), after.expect("log").len(), "twice is once");
}

/// The first half of the play that is killed.
pub const FIRST_HALF: &str = "a tree is cancelled";

/// Everybody is at work, below the first session.
async fn all_at_work(folder: Folder) -> Stage {
    let (work, beg) =
        (Prop::new("work", EffectClass::Once).hold(), Prop::new("beg", EffectClass::Once));
    let stage = Stage::on(folder, TREE, numbered(tree(&work, &beg))).await;
    let root = say(&stage.runtime, "root", "k", "go").await;
    assert_eq!(root, killed::FIRST, "it is the first");
    at_work(&stage, &work).await;
    stage
}

/// Everybody is at work, and all of it is cancelled.
pub fn first_half(folder: Folder, _more: String) -> BoxFuture<'static, Stage> {
    async {
        let stage = all_at_work(folder).await;
        cancel(&stage.runtime, killed::FIRST).await;
        stage
    }
    .boxed()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cancel_that_a_kill_cuts_off_is_finished_afterwards() {
    let (work, beg) =
        (Prop::new("work", EffectClass::Once).hold(), Prop::new("beg", EffectClass::Once));
    // Acknowledged, so it holds, however little of it has happened yet.
    let stage = Stage::on(killed::after(FIRST_HALF, ""), TREE, numbered(tree(&work, &beg))).await;
    let root = killed::FIRST;
    let outcome = ended(&stage.runtime, root, "k").await;
    assert_eq!(outcome.word(), "cancelled", "{outcome:?}");
    for session in below(&stage.runtime, root).await {
        let events = events(&stage.runtime, session).await;
        is_whole(&events);
        assert_eq!(count(&events, "turn_finished"), 1, "{events:#?}");
    }
    nothing_is_held(&stage.runtime).await;
    assert!(work.keys().is_empty(), "a once call is not run again to be cancelled");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_child_is_cancelled_and_its_sibling_goes_on() {
    let (work, beg) =
        (Prop::new("work", EffectClass::Once).hold(), Prop::new("beg", EffectClass::Once));
    let stage = Stage::set(TREE, tree(&work, &beg)).await;
    let root = say(&stage.runtime, "root", "k", "go").await;
    at_work(&stage, &work).await;
    let mids = children(&events(&stage.runtime, root).await);
    let target = CancelTarget::Child { child: mids[0] };
    stage.runtime.cancel(root, target, "not this one").await.expect("cancel");
    let told = logged(&stage.runtime, root, "its end is told", |events| {
        events.iter().find_map(|event| match event {
            Event::ChildFinished { child, report, .. } => Some((*child, report.outcome.clone())),
            _ => None,
        })
    })
    .await;
    assert_eq!(told.0, mids[0]);
    assert!(
        matches!(&told.1, ChildOutcome::Turn { outcome: TurnOutcome::Cancelled { reason } } if reason == "not this one")
    );
    assert_eq!(work.at_work(), 1, "the sibling's tool runs on");
    let stranger = stage.runtime.cancel(root, CancelTarget::Child { child: root }, "x").await;
    assert!(matches!(stranger, Err(CallError::Rejected(_))), "{stranger:?}");
    cancel(&stage.runtime, root).await;
    ended(&stage.runtime, root, "k").await;
    nothing_is_held(&stage.runtime).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cancel_in_the_middle_of_spawning_leaves_nobody_behind() {
    // The cancel comes at once, so that children are asked for, half made, or just made.
    for round in 0..12 {
        let (work, beg) =
            (Prop::new("work", EffectClass::Once).hold(), Prop::new("beg", EffectClass::Once));
        let stage = Stage::set(TREE, tree(&work, &beg)).await;
        let root = say(&stage.runtime, "root", "k", "go").await;
        logged(&stage.runtime, root, "so far", |events| (events.len() >= 2 + round).then_some(()))
            .await;
        cancel(&stage.runtime, root).await;
        let outcome = ended(&stage.runtime, root, "k").await;
        assert_eq!(outcome.word(), "cancelled", "round {round}: {outcome:?}");
        for session in below(&stage.runtime, root).await {
            is_whole(&events(&stage.runtime, session).await);
        }
        assert_eq!(work.at_work(), 0, "round {round}");
        nothing_is_held(&stage.runtime).await;
    }
}

const ONE: &str = "
agent one
    call work {\"n\": 1}
  then
    say {last}
";

/// Cancels a call at one point, and says how it closed.
async fn cancelled_at(point: &str, effect: EffectClass, crash: bool) -> (ToolOutcome, usize) {
    let work = Prop::new("work", effect).hold();
    let blocker = Prop::new("block", EffectClass::Pure).hold();
    let script = format!("{ONE}\nagent blocker\n  call block\n  then\n  say Gone.");
    let mut stage = Stage::set(&script, |mut harness| {
        let rules: &[&str] = if point == "asking" { &["block"] } else { &["work", "block"] };
        harness.options.pools.insert("props".into(), 1);
        let harness = harness.agent(agent("one", &["work"], &[]));
        let harness = harness.agent(agent("blocker", &["block"], &[]));
        allow(harness.tool(work.clone()).tool(blocker.clone()), rules)
    })
    .await;
    if point == "waiting for a slot" {
        say(&stage.runtime, "blocker", "b", "go").await;
        seen("the slot is taken", || blocker.at_work() == 1).await;
    }
    let session = say(&stage.runtime, "one", "k", "go").await;
    match point {
        "asking" => drop(asked(&stage.runtime, 1).await),
        "waiting for a slot" => {
            logged(&stage.runtime, session, "it waits", |events| {
                (count(events, "tool_requested") == 1).then_some(())
            })
            .await;
        }
        _ => seen("it runs", || work.at_work() == 1).await,
    }
    if point == "just done" {
        work.cue();
    }
    cancel(&stage.runtime, session).await;
    if crash {
        stage = stage.crash().await;
    }
    let outcome = ended(&stage.runtime, session, "k").await;
    let events = events(&stage.runtime, session).await;
    is_whole(&events);
    if point != "just done" {
        assert_eq!(outcome.word(), "cancelled", "{point}: {outcome:?}");
    }
    // The slot of the blocker is not ours to free.
    blocker.cue();
    nothing_is_held(&stage.runtime).await;
    let mut closed = closures(&events);
    assert_eq!(closed.len(), 1, "{point}: closed once");
    (closed.remove(0), work.keys().len())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cancel_at_any_point_of_a_tool_call_closes_it_exactly_once() {
    for crash in [false, true] {
        for point in ["asking", "waiting for a slot"] {
            let (closed, runs) = cancelled_at(point, EffectClass::Once, crash).await;
            let expected = ToolOutcome::Cancelled { effect_unknown: false };
            assert_eq!((closed, runs), (expected, 0), "{point}, crash: {crash}");
        }
        for effect in [EffectClass::Once, EffectClass::Idempotent, EffectClass::Pure] {
            let (closed, runs) = cancelled_at("running", effect, crash).await;
            let unknown = effect != EffectClass::Pure;
            let expected = ToolOutcome::Cancelled { effect_unknown: unknown };
            assert_eq!((closed, runs), (expected, 1), "{effect:?}, crash: {crash}");
        }
        let (closed, runs) = cancelled_at("just done", EffectClass::Once, crash).await;
        assert!(matches!(closed.word(), "done" | "cancelled" | "outcome_unknown"), "{closed:?}");
        assert_eq!(runs, 1, "crash: {crash}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_model_of_a_parent_cancels_its_agent_and_reads_that_it_ended() {
    let script = r#"
agent lead
    call spawn_agent {"agent": "idler", "task": "t"}
  then
    call cancel_agent {"agent_id": "{child:1}"}
  then
    call list_agents
  then
    say {last}
agent idler
    hang
"#;
    let stage = Stage::set(script, |harness| {
        harness.agent(agent("lead", &[], &["idler"])).agent(agent("idler", &[], &[]))
    })
    .await;
    let lead = say(&stage.runtime, "lead", "k", "go").await;
    let outcome = ended(&stage.runtime, lead, "k").await;
    assert!(outcome.text().contains(r#""status":"cancelled""#), "{outcome:?}");
    is_whole(&events(&stage.runtime, lead).await);
    nothing_is_held(&stage.runtime).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_comes_after_the_cancel_starts_nothing() {
    let work = Prop::new("work", EffectClass::Once);
    let stage =
        Stage::set(ONE, |harness| harness.agent(agent("one", &["work"], &[])).tool(work.clone()))
            .await;
    let session = say(&stage.runtime, "one", "k", "go").await;
    let open = asked(&stage.runtime, 1).await;
    cancel(&stage.runtime, session).await;
    let late = stage.runtime.decide(open[0], Answer::Once).await;
    assert!(late.is_err(), "{late:?}");
    ended(&stage.runtime, session, "k").await;
    assert!(work.keys().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_that_has_said_its_last_word_still_answers_for_those_below_it() {
    let script = r#"
agent root
    call spawn_agent {"agent": "mid", "task": "t"}
  then
    call await_agents
  then
    say {last}
agent mid
    call spawn_agent {"agent": "leaf", "task": "t"}
  then
    say I am done.
agent leaf
    hang
"#;
    for crash in [false, true] {
        let mut stage = Stage::set(script, |harness| {
            let harness = harness.agent(agent("root", &[], &["mid"]));
            harness.agent(agent("mid", &[], &["leaf"])).agent(agent("leaf", &[], &[]))
        })
        .await;
        let root = say(&stage.runtime, "root", "k", "go").await;
        let mid = logged(&stage.runtime, root, "the middle is there", |events| {
            children(events).first().copied()
        })
        .await;
        let leaf = logged(&stage.runtime, mid, "it has said its last word", |events| {
            (count(events, "model_call_finished") == 2).then(|| children(events)[0])
        })
        .await;
        logged(&stage.runtime, leaf, "the leaf hangs", |events| {
            (count(events, "model_call_started") == 1).then_some(())
        })
        .await;
        assert_eq!(count(&events(&stage.runtime, mid).await, "turn_finished"), 0);
        cancel(&stage.runtime, root).await;
        if crash {
            stage = stage.crash().await;
        }
        ended(&stage.runtime, root, "k").await;
        for session in [mid, leaf] {
            let events = events(&stage.runtime, session).await;
            is_whole(&events);
            assert_eq!(count(&events, "turn_finished"), 1, "{events:#?}");
        }
        nothing_is_held(&stage.runtime).await;
    }
}

const BROKEN_MIDDLE: &str = r#"
agent root
    call spawn_agent {"agent": "mid", "task": "break"}
  then
    call await_agents
  then
    say {last}
agent mid
    call spawn_agent {"agent": "leaf", "task": "hang"}
  then
    panic
agent leaf
    hang
"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cancel_passes_through_a_quarantined_agent_to_those_below_it() {
    let stage = Stage::set(BROKEN_MIDDLE, |harness: Harness| {
        let mut mid = agent("mid", &[], &["leaf"]);
        mid.restart.panics_max = 1;
        harness.agent(agent("root", &[], &["mid"])).agent(mid).agent(agent("leaf", &[], &[]))
    })
    .await;
    let root = say(&stage.runtime, "root", "k1", "go").await;
    let outcome = ended(&stage.runtime, root, "k1").await;
    assert!(outcome.text().contains("quarantined"), "{outcome:?}");
    let mid = children(&events(&stage.runtime, root).await)[0];
    let leaf = children(&events(&stage.runtime, mid).await)[0];
    let hanging = stage.runtime.state(leaf).await.expect("its state");
    assert!(hanging.turn.is_some(), "the leaf is still at work below the quarantined one");
    cancel(&stage.runtime, root).await;
    logged(&stage.runtime, leaf, "the leaf is cancelled", |events| {
        let cancelled = |event: &Event| {
            matches!(event, Event::TurnFinished { outcome: TurnOutcome::Cancelled { .. }, .. })
        };
        events.iter().any(cancelled).then_some(())
    })
    .await;
    nothing_is_held(&stage.runtime).await;
}
