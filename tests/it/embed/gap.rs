//! A stream whose own beginning is among what it missed.

use greenroom::{AgentSpec, EffectClass, Runtime, TurnEvent, TypedTool};
use greenroom_actors::{
    domain::{event::Event, permission::RulePattern},
    limits,
    testing::harness::bounded,
};
use tokio::sync::watch;

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
