//! The embedding API, as a program that embeds the runtime uses it.

use greenroom::{AgentSpec, EffectClass, Runtime, TurnEvent, TypedTool};
use greenroom_actors::domain::{event::Event, permission::RulePattern, tool::ToolOutcome};

#[derive(schemars::JsonSchema, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Add {
    a: i64,
    b: i64,
}

const SCRIPT: &str = r#"
agent clerk
    call add {"a": 2, "b": "three"}
  then
    call add {"a": 2, "b": 3}
  then
    stream 4 every 1ms
    say The sum is {results}.
"#;

fn clerk() -> AgentSpec {
    let mut clerk = AgentSpec::new("clerk", "scripted");
    clerk.tools.insert("add".into(), Default::default());
    clerk.authority.rules.allow.push(RulePattern("add".to_owned()));
    clerk
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_turn_streams_and_wrong_arguments_are_mended_before_anything_starts() {
    let folder = tempfile::tempdir().unwrap();
    let add = TypedTool::new("add", "Adds.", |_ctx, args: Add| async move {
        Ok((args.a + args.b).to_string())
    })
    .effect(EffectClass::Pure);
    let runtime = Runtime::builder()
        .store(folder.path().join("green.db"))
        .script(SCRIPT)
        .tool(add)
        .start()
        .await
        .unwrap();
    let session = runtime.spawn(&clerk()).await.unwrap();
    let mut turn = session.send("what is 2 and 3?").await.unwrap();
    let (mut said, mut closed, mut started) = (String::new(), Vec::new(), 0);
    while let Some(event) = turn.next().await {
        match event {
            TurnEvent::Text(text) => said.push_str(&text),
            TurnEvent::Happened(_, event) => match *event {
                Event::ToolFinished { outcome, .. } => closed.push(outcome),
                Event::ToolStarted { .. } => started += 1,
                _ => {}
            },
            TurnEvent::Thinking(_) | TurnEvent::Progress(_) | TurnEvent::Lagged(_) => {}
        }
    }
    assert_eq!(turn.outcome().await.unwrap().text(), said, "what was streamed is what was said");
    assert_eq!(started, 1, "the call with wrong arguments never started");
    let [ToolOutcome::Failed { output: wrong }, ToolOutcome::Done { output: right }] =
        closed.as_slice()
    else {
        panic!("{closed:?}")
    };
    let mend = "add: at b: expected a whole number, found the text \"three\"";
    assert_eq!(wrong.shown(), mend, "in words that a model can mend");
    assert_eq!(right.shown(), "5");
    assert_eq!(runtime.tools().len(), 1);
    let order = runtime.shutdown().await;
    assert_eq!(order.last().map(String::as_str), Some("store"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_is_found_again_by_its_id_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let start = || {
        let path = folder.path().join("green.db");
        Runtime::builder().store(path).script("agent *\n  say {input}").start()
    };
    let runtime = start().await.unwrap();
    let session = runtime.spawn(&AgentSpec::new("echo", "scripted")).await.unwrap();
    let key = session.send("one").await.unwrap().key().clone();
    runtime.session(session.id()).send("two").await.unwrap().outcome().await.unwrap();
    let id = session.id();
    runtime.shutdown().await;
    let runtime = start().await.unwrap();
    let (_, outcome) = runtime.outcome(id, key, 30_000).await.unwrap();
    assert_eq!(outcome.text(), "one", "an old turn is still known by its key");
    let outcome = runtime.session(id).send("three").await.unwrap().outcome().await.unwrap();
    assert_eq!(outcome.text(), "three");
}
