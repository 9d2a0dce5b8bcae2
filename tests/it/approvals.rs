//! Questions to people: they surface from any depth, outlive everything, are answered once, and no
//! answer opens more than the rules leave open.

use std::collections::BTreeSet;

use futures_util::{
    FutureExt as _,
    future::{BoxFuture, join_all},
};
use greenroom_actors::{
    Runtime,
    domain::{
        event::{Event, UserInput},
        ids::{ApprovalId, SessionId, TenantId},
        permission::{Answer, Mode, Request, RulePattern, RuleSet},
        tool::{Args, EffectClass, ToolOutcome},
    },
    policy::rules::{Desk, Layers},
    runtime::CallError,
    testing::harness::{Harness, PATIENCE_MS, ended, events, eventually, say},
};

use crate::{
    killed::{self, numbered},
    props::{Prop, agent, allow, asked, closures, count, is_whole, logged, seen},
    stage::{Folder, Stage},
};

mod authority;
pub mod failing;
mod words;

/// One agent that calls its tool once for each input.
const CALLER: &str = r#"
agent caller
    call look {"at": "{input}"}
  then
    say {last}
"#;

fn caller(prop: &Prop) -> impl FnOnce(Harness) -> Harness {
    let prop = prop.clone();
    move |harness| harness.agent(agent("caller", &["look"], &[])).tool(prop)
}

fn rules(allow: &[&str], ask: &[&str], deny: &[&str]) -> RuleSet {
    let list = |rules: &[&str]| rules.iter().map(|rule| RulePattern((*rule).to_owned())).collect();
    RuleSet { allow: list(allow), ask: list(ask), deny: list(deny) }
}

async fn tighten(runtime: &Runtime, user: RuleSet) {
    runtime.set_rules(Layers { user, ..Layers::default() }).await.expect("rules");
}

/// Answers, and returns how the session's turn `k` ended.
async fn answered(stage: &Stage, session: SessionId, answer: Answer) -> ToolOutcome {
    let open = asked(&stage.runtime, 1).await;
    stage.runtime.decide(open[0], answer).await.expect("the answer");
    ended(&stage.runtime, session, "k").await;
    let events = events(&stage.runtime, session).await;
    is_whole(&events);
    assert!(stage.runtime.approvals(None).await.expect("the inbox").is_empty());
    closures(&events).remove(0)
}

/// What the model was told of a refused call.
fn refusal(outcome: &ToolOutcome) -> &str {
    match outcome {
        ToolOutcome::Refused { reason } => reason,
        other => panic!("not refused: {other:?}"),
    }
}

const DEEP: &str = r#"
agent root
    call spawn_agent {"agent": "a", "task": "t"}
  then
    call await_agents
  then
    say {last}
agent a
    call spawn_agent {"agent": "b", "task": "t"}
    call spawn_agent {"agent": "b", "task": "t"}
  then
    call await_agents
  then
    say {last}
agent b
    call spawn_agent {"agent": "c", "task": "t"}
    call spawn_agent {"agent": "c", "task": "t"}
  then
    call await_agents
  then
    say {last}
agent c
    call look {"n": 1}
    call look {"n": 2}
  then
    say seen {last}
"#;

fn deep(prop: &Prop) -> impl FnOnce(Harness) -> Harness {
    let prop = prop.clone();
    move |harness| {
        let harness = harness.agent(agent("root", &[], &["a"])).agent(agent("a", &[], &["b"]));
        let harness = harness.agent(agent("b", &[], &["c"])).agent(agent("c", &["look"], &[]));
        harness.tool(prop)
    }
}

async fn allow_all(runtime: &Runtime, open: &[ApprovalId]) {
    let answers = open.iter().map(|id| runtime.decide(*id, Answer::Once));
    for answer in join_all(answers).await {
        answer.expect("an answer");
    }
}

/// What is played before each of the kills.
pub const FIRST_HALF: &str = "questions from depth three";
const ASKS: &str = "eight are asked";
const ANSWERS: &str = "four are answered";

/// Eight ask; or, once they have, the first four of them are answered and run.
pub fn first_half(folder: Folder, more: String) -> BoxFuture<'static, Stage> {
    async move {
        let prop = Prop::new("look", EffectClass::Once);
        let stage = Stage::on(folder, DEEP, numbered(deep(&prop))).await;
        if more == ASKS {
            assert_eq!(say(&stage.runtime, "root", "k", "go").await, killed::FIRST);
        }
        let open: BTreeSet<_> = asked(&stage.runtime, 8).await.into_iter().collect();
        if more == ANSWERS {
            let first: Vec<_> = open.into_iter().take(4).collect();
            allow_all(&stage.runtime, &first).await;
            seen("four calls have run", || prop.keys().len() == 4).await;
        }
        stage
    }
    .boxed()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn eight_questions_at_once_from_depth_three_all_surface_and_are_answered_across_kills() {
    let prop = Prop::new("look", EffectClass::Once);
    let folder = killed::after(FIRST_HALF, ASKS);
    let stage = Stage::on(folder, DEEP, numbered(deep(&prop))).await;
    let root = killed::FIRST;
    let before: BTreeSet<_> = asked(&stage.runtime, 8).await.into_iter().collect();
    assert_eq!(before.len(), 8, "none replaced another");
    let askers: BTreeSet<_> = before.iter().map(|id| id.session).collect();
    assert_eq!(askers.len(), 4);
    for asker in &askers {
        let first = events(&stage.runtime, *asker).await.remove(0);
        let depth = match first {
            Event::SessionOpened { lineage, .. } => lineage.depth,
            other => panic!("{other:?}"),
        };
        assert_eq!(depth, 3);
    }

    let folder = killed::after_more(stage.leaves(), FIRST_HALF, ANSWERS);
    let stage = Stage::on(folder, DEEP, numbered(deep(&prop))).await;
    let open = asked(&stage.runtime, 4).await;
    let second: BTreeSet<_> = before.iter().copied().skip(4).collect();
    assert_eq!(open.iter().copied().collect::<BTreeSet<_>>(), second, "the very other four");
    allow_all(&stage.runtime, &open).await;
    let outcome = ended(&stage.runtime, root, "k").await;
    assert_eq!(outcome.word(), "completed", "{outcome:?}");
    let keys = prop.keys();
    assert_eq!(keys.len(), 4, "those that were answered before the kill are not run again");
    assert_eq!(keys.into_iter().collect::<BTreeSet<_>>().len(), 4, "each call once");
    for asker in askers {
        let events = events(&stage.runtime, asker).await;
        is_whole(&events);
        assert_eq!(count(&events, "tool_started"), 2, "each call once: {events:#?}");
    }
    assert!(stage.runtime.approvals(None).await.expect("the inbox").is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_approval_never_starts_two_calls() {
    let prop = Prop::new("look", EffectClass::Once);
    let mut stage = Stage::set(CALLER, caller(&prop)).await;
    for round in 1..=4 {
        let session = say(&stage.runtime, "caller", "k", "the sky").await;
        let open = asked(&stage.runtime, 1).await;
        let race = |who: usize| {
            let runtime = &stage.runtime;
            let question = open[0];
            async move {
                let person = runtime.on_behalf_of(format!("person {who}").into());
                person.decide(question, Answer::Once).await
            }
        };
        let answers = join_all((0..4).map(race)).await;
        let accepted = answers.iter().filter(|answer| answer.is_ok()).count();
        assert_eq!(accepted, 1, "{answers:?}");
        let first = answers.iter().position(Result::is_ok).expect("one of them");
        if round % 2 == 0 {
            stage = stage.crash().await;
            let late = stage.runtime.decide(open[0], Answer::Once).await;
            assert!(late.is_err(), "used up, also after a crash");
            // Whoever was first and did not hear it hears it now, and nothing starts again.
            let again = stage.runtime.on_behalf_of(format!("person {first}").into());
            again.decide(open[0], Answer::Once).await.expect("the same answer of the same person");
        }
        ended(&stage.runtime, session, "k").await;
        let events = events(&stage.runtime, session).await;
        is_whole(&events);
        let key = format!("{session}/t1");
        let runs = prop.keys().into_iter().filter(|run| *run == key).count();
        assert!(count(&events, "tool_started") <= 1 && runs <= 1, "{runs}: {events:#?}");
        let uncrashed = round % 2 == 1;
        assert!(!uncrashed || runs == 1, "{events:#?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rule_tightened_between_question_and_answer_wins() {
    let prop = Prop::new("look", EffectClass::Once);
    let stage = Stage::set(CALLER, caller(&prop)).await;
    let session = say(&stage.runtime, "caller", "k", "the sky").await;
    asked(&stage.runtime, 1).await;
    tighten(&stage.runtime, rules(&[], &[], &["look"])).await;
    let outcome = answered(&stage, session, Answer::Always).await;
    assert!(refusal(&outcome).contains("deny look"), "{outcome:?}");
    assert!(prop.keys().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rule_tightened_between_answer_and_slot_wins() {
    let prop = Prop::new("look", EffectClass::Once);
    let blocker = Prop::new("block", EffectClass::Pure).hold();
    let script = format!("{CALLER}\nagent blocker\n  call block\n  then\n  say Gone.");
    let stage = Stage::set(&script, |harness| {
        let mut harness = caller(&prop)(harness);
        harness.options.pools.insert("props".into(), 1);
        let harness = harness.agent(agent("blocker", &["block"], &[]));
        allow(harness.tool(blocker.clone()), &["block"])
    })
    .await;
    say(&stage.runtime, "blocker", "b", "go").await;
    seen("the slot is taken", || blocker.at_work() == 1).await;
    // One is approved and one is allowed by rule; both wait for the slot.
    let approved = say(&stage.runtime, "caller", "k", "the sky").await;
    let open = asked(&stage.runtime, 1).await;
    stage.runtime.decide(open[0], Answer::Once).await.expect("the answer");
    tighten(&stage.runtime, rules(&["block", "look"], &[], &[])).await;
    let allowed = say(&stage.runtime, "caller", "k", "the sea").await;
    logged(&stage.runtime, allowed, "a call waits", |events| {
        (count(events, "tool_requested") == 1).then_some(())
    })
    .await;
    tighten(&stage.runtime, rules(&["block"], &[], &["look"])).await;
    blocker.cue();
    for session in [approved, allowed] {
        ended(&stage.runtime, session, "k").await;
        let outcome = closures(&events(&stage.runtime, session).await).remove(0);
        assert!(refusal(&outcome).contains("deny look"), "{outcome:?}");
    }
    assert!(prop.keys().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_question_nobody_answers_in_time_is_a_no_also_while_its_session_sleeps() {
    let prop = Prop::new("look", EffectClass::Once);
    let stage = Stage::set(CALLER, |mut harness| {
        harness.options.idle_ms = 5;
        let mut harness = caller(&prop)(harness);
        harness.agents[0].limits.approval_ms = 300;
        harness
    })
    .await;
    let session = say(&stage.runtime, "caller", "k", "the sky").await;
    let open = asked(&stage.runtime, 1).await;
    seen("it sleeps", || stage.runtime.awake() == 0).await;
    asked(&stage.runtime, 0).await;
    ended(&stage.runtime, session, "k").await;
    let outcome = closures(&events(&stage.runtime, session).await).remove(0);
    assert!(refusal(&outcome).contains("nobody answered in time"), "{outcome:?}");
    let late = stage.runtime.decide(open[0], Answer::Once).await;
    assert!(matches!(late, Err(CallError::Rejected(_))), "{late:?}");
    assert!(prop.keys().is_empty());
}

/// Whether a new session of this agent is asked for its call; the question is answered with no.
async fn is_asked(stage: &Stage) -> bool {
    let session = say(&stage.runtime, "caller", "k", "the sky").await;
    let asks = logged(&stage.runtime, session, "it asks or it ends", |events| {
        let over = count(events, "turn_finished") == 1;
        (over || count(events, "approval_requested") == 1).then_some(!over)
    })
    .await;
    if asks {
        answered(stage, session, Answer::Reject).await;
    }
    asks
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn always_holds_for_other_sessions_and_after_a_kill() {
    let prop = Prop::new("look", EffectClass::Once);
    let stage = Stage::set(CALLER, caller(&prop)).await;
    let session = say(&stage.runtime, "caller", "k", "the sky").await;
    let done = answered(&stage, session, Answer::Always).await;
    assert_eq!(done.word(), "done");
    // It stands once the house has written it down.
    let stands = || async { (!is_asked(&stage).await).then_some(()) };
    eventually(&stage.harness.deps.clock, "the rule stands", stands).await;
    let stage = stage.crash().await;
    assert!(!is_asked(&stage).await, "it stands from the first moment");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn always_is_kept_even_if_the_process_dies_with_the_answer() {
    for _ in 0..3 {
        let prop = Prop::new("look", EffectClass::Once).hold();
        let stage = Stage::set(CALLER, caller(&prop)).await;
        say(&stage.runtime, "caller", "k", "the sky").await;
        let open = asked(&stage.runtime, 1).await;
        stage.runtime.decide(open[0], Answer::Always).await.expect("the answer");
        let stage = stage.crash().await;
        prop.cue();
        let stands = || async { (!is_asked(&stage).await).then_some(()) };
        eventually(&stage.harness.deps.clock, "the rule stands", stands).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn never_holds_for_the_session_and_no_other() {
    let prop = Prop::new("look", EffectClass::Once);
    let stage = Stage::set(CALLER, caller(&prop)).await;
    let session = say(&stage.runtime, "caller", "k", "the sky").await;
    let outcome = answered(&stage, session, Answer::Never).await;
    assert!(refusal(&outcome).contains("Permission denied by host"), "{outcome:?}");
    let stage = stage.crash().await;
    let input = UserInput::text("the sea");
    stage.runtime.run(session, "again".into(), input, PATIENCE_MS).await.expect("a turn");
    let events = events(&stage.runtime, session).await;
    assert_eq!(count(&events, "approval_requested"), 1, "not asked a second time");
    assert!(refusal(&closures(&events)[1]).contains("deny"), "{events:#?}");
    assert!(is_asked(&stage).await, "others are asked");
    assert!(prop.keys().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_nobody_there_a_question_is_a_no() {
    let prop = Prop::new("look", EffectClass::Once);
    let stage = Stage::set(CALLER, |mut harness| {
        harness.options.desk = Desk::Headless;
        caller(&prop)(harness)
    })
    .await;
    let session = say(&stage.runtime, "caller", "k", "the sky").await;
    ended(&stage.runtime, session, "k").await;
    let events = events(&stage.runtime, session).await;
    assert!(refusal(&closures(&events)[0]).contains("headless"), "{events:#?}");
    assert_eq!(count(&events, "approval_requested"), 0);
    assert!(prop.keys().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_to_a_question_that_was_never_asked_changes_nothing() {
    let prop = Prop::new("look", EffectClass::Once);
    let stage = Stage::set(CALLER, caller(&prop)).await;
    let session = stage.runtime.open(&"caller".into(), TenantId::from("t")).await.expect("open");
    let before = events(&stage.runtime, session).await.len();
    let no = greenroom_actors::domain::ids::ApprovalNo(7);
    let answer = stage.runtime.decide(ApprovalId { session, no }, Answer::All).await;
    assert!(matches!(answer, Err(CallError::Rejected(_))), "{answer:?}");
    assert_eq!(events(&stage.runtime, session).await.len(), before);
}

/// All modes.
const MODES: [Mode; 5] =
    [Mode::Plan, Mode::DontAsk, Mode::Default, Mode::AcceptEdits, Mode::BypassPermissions];
