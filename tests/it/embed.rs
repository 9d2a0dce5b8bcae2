//! The embedding API, as a program that embeds the runtime uses it.

use greenroom::{AgentSpec, EffectClass, Runtime, TurnEvent, TypedTool};
use greenroom_actors::{
    domain::{event::Event, permission::RulePattern, tool::ToolOutcome},
    limits,
    testing::harness::bounded,
};
use tokio::sync::watch;

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
    assert!(wrong.shown().contains("at b: invalid type: string"), "{}", wrong.shown());
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

#[derive(schemars::JsonSchema, serde::Deserialize)]
struct Nothing {}

/// Waits until the test says so, then says how far it is, as often as it is told to.
fn held(name: &str, until: u32, reports: usize, stage: &watch::Sender<u32>) -> TypedTool<Nothing> {
    let stage = stage.subscribe();
    TypedTool::new(name, "Waits.", move |ctx, _: Nothing| {
        let mut stage = stage.clone();
        async move {
            stage.wait_for(|stage| *stage >= until).await.expect("the test holds it");
            (0..reports).for_each(|no| ctx.progress.report(no.to_string()));
            Ok("let go".to_owned())
        }
    })
    .effect(EffectClass::Pure)
}

/// A stream that nobody reads while an earlier turn floods it misses the start of its own turn. It
/// takes the turn from the log, so that it still knows the end when it comes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_that_missed_the_start_of_its_turn_still_ends_with_it() {
    let script = "agent clerk turn 1\n  call flood {}\n  then\n  say One.\n\
                  agent clerk turn 2\n  call hold {}\n  then\n  say Two.\n";
    let folder = tempfile::tempdir().unwrap();
    let stage = watch::Sender::new(0);
    let runtime = Runtime::builder()
        .store(folder.path().join("green.db"))
        .script(script)
        .tool(held("flood", 1, 2 * limits::FOLLOWER_EVENTS, &stage))
        .tool(held("hold", 2, 0, &stage))
        .start()
        .await
        .unwrap();
    let mut clerk = AgentSpec::new("clerk", "scripted");
    for tool in ["flood", "hold"] {
        clerk.tools.insert(tool.into(), Default::default());
        clerk.authority.rules.allow.push(RulePattern(tool.to_owned()));
    }
    let session = runtime.spawn(&clerk).await.unwrap();
    let first = session.send("one").await.unwrap();
    let mut second = session.send("two").await.unwrap();
    stage.send_replace(1);
    assert_eq!(bounded("the first turn", first.outcome()).await.unwrap().text(), "One.");
    let mut watch = runtime.follow(session.id());
    bounded("the second turn waits for the test", async {
        while !started(&runtime, &session, "hold").await {
            watch.next().await.expect("the house stands");
        }
    })
    .await;
    let mut lagged = false;
    let mut ended = 0;
    let read = async {
        while let Some(event) = second.next().await {
            match event {
                TurnEvent::Lagged(_) => {
                    lagged = true;
                    // Only now does it end: the gap does not hold the end.
                    stage.send_replace(2);
                }
                TurnEvent::Happened(_, event) => {
                    ended += usize::from(matches!(*event, Event::TurnFinished { .. }));
                }
                TurnEvent::Text(_) | TurnEvent::Thinking(_) | TurnEvent::Progress(_) => {}
            }
        }
    };
    bounded("the stream ends with its turn", read).await;
    assert!(lagged, "it was flooded");
    assert_eq!(ended, 1, "the end was heard");
    assert_eq!(second.outcome().await.unwrap().text(), "Two.");
    runtime.shutdown().await;
}

/// Whether a tool of this name has started in a session.
async fn started(runtime: &Runtime, session: &greenroom::Session, name: &str) -> bool {
    let log = runtime.read(session.id(), Default::default()).await.unwrap();
    let events: Vec<&Event> = log.iter().flat_map(|frame| &frame.events).collect();
    let called = events.iter().find_map(|event| match event {
        Event::ToolRequested { call, name: of, .. } if of.as_str() == name => Some(*call),
        _ => None,
    });
    events
        .iter()
        .any(|event| matches!(event, Event::ToolStarted { call, .. } if Some(*call) == called))
}
