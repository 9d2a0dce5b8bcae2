//! Agents that agents started: each assignment's end is told exactly once whoever dies meanwhile,
//! limits refuse in words and leak nothing.

use std::sync::Arc;

use futures_util::{FutureExt as _, future::BoxFuture};
use greenroom_actors::{
    Runtime,
    domain::{
        budget::{Amount, Dimension},
        event::{CancelTarget, Event, UserInput},
        ids::{Assignment, SessionId},
        tool::{Args, EffectClass, ToolOutcome},
    },
    testing::harness::{Harness, PATIENCE_MS, ended, events, eventually, say},
};

use crate::{
    killed,
    props::{
        Numbering, Prop, Recorder, agent, allow, children, closures, count, is_whole, logged, seen,
    },
    stage::{Folder, Stage},
};

mod bounds;
mod old_ends;

/// A stage whose prompts are kept.
async fn stage(script: &str, arrange: impl FnOnce(Harness) -> Harness) -> (Stage, Recorder) {
    stage_in(Folder::new(), script, arrange).await
}

async fn stage_in(
    folder: Folder,
    script: &str,
    arrange: impl FnOnce(Harness) -> Harness,
) -> (Stage, Recorder) {
    let mut kept = None;
    let stage = Stage::on(folder, script, |harness| {
        let mut harness = arrange(harness);
        kept = Some(Recorder::in_place(&mut harness));
        harness.deps.clock = Arc::new(Numbering::default());
        harness
    })
    .await;
    (stage, kept.expect("arranged"))
}

/// How an assignment was told to have ended, by the parent's log.
fn told(events: &[Event]) -> Vec<(SessionId, Assignment, &'static str)> {
    let told = events.iter().filter_map(|event| match event {
        Event::ChildFinished { child, assignment, report } => {
            Some((*child, *assignment, report.outcome.word()))
        }
        _ => None,
    });
    told.collect()
}

/// How many times a text stands in another.
fn times(text: &str, part: &str) -> usize {
    text.matches(part).count()
}

/// One more turn; its prompt.
async fn next_prompt(
    runtime: &Runtime,
    recorder: &Recorder,
    (session, key): (SessionId, &str),
) -> String {
    let input = UserInput::text(format!("encore {key}"));
    runtime.run(session, key.into(), input, PATIENCE_MS).await.expect("a turn");
    recorder.prompts(session).pop().expect("a prompt")
}

/// How a worker ends, and how that is called.
#[derive(Clone, Copy, Debug)]
struct Ending {
    word: &'static str,
    script: &'static str,
}

const ENDINGS: [Ending; 5] = [
    Ending { word: "completed", script: "say Worked." },
    Ending { word: "failed", script: "fail bad_request final: no good" },
    Ending { word: "cancelled", script: "hang" },
    Ending { word: "budget_exhausted", script: "say too much" },
    Ending { word: "quarantined", script: "panic out of tune" },
];

/// Who dies, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Blow {
    None,
    ParentBefore,
    ChildBefore,
    KillBefore,
    ParentAfter,
    KillAfter,
}

async fn panics(runtime: &Runtime, session: SessionId) {
    seen("the session is awake", || runtime.panic_session(session, "struck")).await;
}

/// The first half of the plays that are killed.
pub const FIRST_HALF: &str = "a worker ends";
const LEAD: SessionId = killed::FIRST;

fn script_of(ending: Ending) -> String {
    format!(
        "
agent * when encore
    say As I said.
agent lead
    call spawn_agent {{\"agent\": \"worker\", \"task\": \"t\"}}
  then
    call await_agents
  then
    say {{last}}
agent worker
    call work
  then
    {}
",
        ending.script
    )
}

fn house_of(ending: Ending, work: &Prop) -> impl FnOnce(Harness) -> Harness + use<> {
    let work = work.clone();
    move |harness| {
        let mut worker = agent("worker", &["work"], &[]);
        if ending.word == "budget_exhausted" {
            // A call that a crash took counts as well, so there is none to spare for it.
            worker.budget.model_calls = Some(1);
        }
        let harness = harness.agent(agent("lead", &[], &["worker"])).agent(worker);
        allow(harness.tool(work), &["work"])
    }
}

async fn worker_works(stage: &Stage, work: &Prop) -> SessionId {
    let lead = say(&stage.runtime, "lead", "k", "go").await;
    assert_eq!(lead, LEAD, "it is the first");
    seen("the worker works", || work.at_work() == 1).await;
    children(&events(&stage.runtime, lead).await)[0]
}

async fn is_stopped(runtime: &Runtime, child: SessionId, ending: Ending) {
    if ending.word == "cancelled" {
        let target = CancelTarget::Child { child };
        runtime.cancel(LEAD, target, "enough").await.expect("cancel");
    }
}

async fn worker_has_ended(runtime: &Runtime, child: SessionId) {
    logged(runtime, child, "the worker has ended", |events| {
        let over = count(events, "turn_finished") + count(events, "session_quarantined");
        (over == 1).then_some(())
    })
    .await;
}

/// The worker works, or, if the text says so, has ended.
pub fn first_half(folder: Folder, more: String) -> BoxFuture<'static, Stage> {
    async move {
        let (word, ends) = more.split_once(' ').expect("how it ends, and whether it has");
        let ending = ENDINGS.into_iter().find(|ending| ending.word == word).expect("an ending");
        let work = Prop::new("work", EffectClass::Idempotent).hold();
        let (stage, _) = stage_in(folder, &script_of(ending), house_of(ending, &work)).await;
        let child = worker_works(&stage, &work).await;
        if ends == "true" {
            is_stopped(&stage.runtime, child, ending).await;
            work.cue();
            worker_has_ended(&stage.runtime, child).await;
        }
        stage
    }
    .boxed()
}

/// Plays a lead and a worker that ends like this, under this blow.
async fn is_told_once(ending: Ending, blow: Blow) {
    let work = Prop::new("work", EffectClass::Idempotent).hold();
    let killed = matches!(blow, Blow::KillBefore | Blow::KillAfter);
    let folder = if killed {
        killed::after(FIRST_HALF, &format!("{} {}", ending.word, blow == Blow::KillAfter))
    } else {
        Folder::new()
    };
    let (stage, recorder) = stage_in(folder, &script_of(ending), house_of(ending, &work)).await;
    let lead = LEAD;
    let child = if killed {
        children(&events(&stage.runtime, lead).await)[0]
    } else {
        worker_works(&stage, &work).await
    };
    match blow {
        Blow::ParentBefore => panics(&stage.runtime, lead).await,
        Blow::ChildBefore => panics(&stage.runtime, child).await,
        Blow::None | Blow::ParentAfter | Blow::KillBefore | Blow::KillAfter => {}
    }
    if blow != Blow::KillAfter {
        is_stopped(&stage.runtime, child, ending).await;
    }
    work.cue();
    if blow == Blow::ParentAfter {
        worker_has_ended(&stage.runtime, child).await;
        panics(&stage.runtime, lead).await;
    }
    let play = format!("{ending:?} {blow:?}");
    let outcome = ended(&stage.runtime, lead, "k").await;
    let status = format!(r#""status":"{}""#, ending.word);
    assert_eq!(times(outcome.text(), &status), 1, "{play}: {outcome:?}");
    let log = events(&stage.runtime, lead).await;
    assert_eq!(told(&log), [(child, Assignment(1), ending.word)], "{play}");
    is_whole(&log);
    // What was read as a result is not told again, and nothing more comes.
    let next = next_prompt(&stage.runtime, &recorder, (lead, "x")).await;
    assert!(!next.contains("[agent worker"), "{play}: {next}");
    assert_eq!(told(&events(&stage.runtime, lead).await).len(), 1, "{play}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_ending_is_told_once_when_nobody_dies() {
    for ending in ENDINGS {
        is_told_once(ending, Blow::None).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_ending_is_told_once_when_the_parent_panics() {
    for ending in ENDINGS {
        is_told_once(ending, Blow::ParentBefore).await;
        is_told_once(ending, Blow::ParentAfter).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_ending_is_told_once_when_the_child_panics() {
    for ending in ENDINGS {
        is_told_once(ending, Blow::ChildBefore).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_ending_is_told_once_when_the_process_dies() {
    for ending in ENDINGS {
        is_told_once(ending, Blow::KillBefore).await;
        is_told_once(ending, Blow::KillAfter).await;
    }
}

const LEAVES_EARLY: &str = r#"
agent lead when encore
    say As I said.
agent lead
    call spawn_agent {"agent": "worker", "task": "t"}
  then
    say I leave.
agent worker
    call work
  then
    say Worked.
"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_ends_after_its_parent_stands_in_the_next_prompt_once() {
    for crash in [false, true] {
        let work = Prop::new("work", EffectClass::Idempotent).hold();
        let (mut stage, recorder) = stage(LEAVES_EARLY, |harness| {
            let harness = harness.agent(agent("lead", &[], &["worker"]));
            let harness = harness.agent(agent("worker", &["work"], &[])).tool(work.clone());
            allow(harness, &["work"])
        })
        .await;
        let lead = say(&stage.runtime, "lead", "k", "go").await;
        assert_eq!(ended(&stage.runtime, lead, "k").await.text(), "I leave.");
        seen("the worker works", || work.at_work() == 1).await;
        let early = next_prompt(&stage.runtime, &recorder, (lead, "early")).await;
        assert!(!early.contains("[agent worker"), "{early}");
        if crash {
            stage = stage.crash().await;
        }
        work.cue();
        logged(&stage.runtime, lead, "it is told", |events| {
            (told(events).len() == 1).then_some(())
        })
        .await;
        let report = "completed] Worked.";
        let next = next_prompt(&stage.runtime, &recorder, (lead, "x")).await;
        assert_eq!(times(&next, report), 1, "{next}");
        let after = next_prompt(&stage.runtime, &recorder, (lead, "y")).await;
        assert_eq!(times(&after, report), 1, "told once, and still in the conversation: {after}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_that_is_sent_more_gets_a_new_assignment() {
    let script = r#"
agent lead
    call spawn_agent {"agent": "worker", "task": "one"}
  then
    call send_agent {"agent_id": "{child:1}", "task": "two"}
  then
    call await_agents
  then
    call send_agent {"agent_id": "{child:1}", "task": "three"}
  then
    call await_agents
  then
    say {last}
agent worker
    until call 2 hang
    say Did {input}.
"#;
    let (stage, recorder) = stage(script, |harness| {
        harness.agent(agent("lead", &[], &["worker"])).agent(agent("worker", &[], &[]))
    })
    .await;
    let lead = say(&stage.runtime, "lead", "k", "go").await;
    let child = logged(&stage.runtime, lead, "two assignments", |events| {
        (count(events, "child_spawned") == 2).then(|| children(events)[0])
    })
    .await;
    // Its first call is the one that hangs: a kill before it would let it hang after the kill.
    logged(&stage.runtime, child, "the first hangs", |events| {
        (count(events, "model_call_started") == 1).then_some(())
    })
    .await;
    // The second one waits in the child while the first hangs; both outlive the process.
    let stage = stage.crash().await;
    let outcome = ended(&stage.runtime, lead, "k").await;
    assert!(outcome.text().contains("Did three."), "{outcome:?}");
    let log = events(&stage.runtime, lead).await;
    let all: Vec<_> = (1..=3).map(|no| (child, Assignment(no), "completed")).collect();
    assert_eq!(told(&log), all);
    is_whole(&log);
    is_whole(&events(&stage.runtime, child).await);
    let last = recorder.prompts(child).pop().expect("a prompt");
    let remembers = ["one", "Did one.", "two", "Did two.", "three"];
    assert!(remembers.iter().all(|said| last.contains(said)), "one conversation: {last}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_host_starts_an_agent_without_a_model() {
    let (stage, recorder) = stage(LEAVES_EARLY, |harness| {
        let harness = harness.agent(agent("lead", &[], &["worker"]));
        let work = Prop::new("work", EffectClass::Pure);
        allow(harness.agent(agent("worker", &["work"], &[])).tool(work), &["work"])
    })
    .await;
    let runtime = &stage.runtime;
    let lead = runtime.open(&"lead".into(), "t".into()).await.expect("open");
    let args = Args(r#"{"agent": "worker", "task": "from the host"}"#.to_owned());
    let spawn = || ("spawn_agent".into(), args.clone());
    for _ in 0..2 {
        // The same key twice is one agent.
        let outcome = runtime.invoke_tool(lead, "s".into(), spawn(), (None, None)).await;
        let outcome = outcome.expect("spawned");
        assert!(outcome.told().0.shown().contains("agent_id"), "{outcome:?}");
    }
    let child = children(&events(runtime, lead).await);
    assert_eq!(child.len(), 1);
    logged(runtime, lead, "it is told", |events| (told(events).len() == 1).then_some(())).await;
    is_whole(&events(runtime, child[0]).await);
    let next = next_prompt(runtime, &recorder, (lead, "x")).await;
    assert_eq!(times(&next, &format!("[agent worker {} completed] Worked.", child[0])), 1);
    let list = ("list_agents".into(), Args("{}".to_owned()));
    let listed = runtime.invoke_tool(lead, "l".into(), list, (None, None)).await.expect("listed");
    assert!(listed.told().0.shown().contains("completed"), "{listed:?}");
}
