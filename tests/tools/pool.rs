//! A tool that breaks takes nothing from its pool: who called it hears so, and all its slots are
//! there again at once.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Instant,
};

use greenroom::{AgentSpec, EffectClass, Runtime, ToolOutcome, TypedTool};
use greenroom_actors::testing::harness::bounded;
use tokio::sync::Barrier;

const SLOTS: u32 = 4;
const PANICS: usize = 40;

#[derive(schemars::JsonSchema, serde::Deserialize)]
struct How {
    /// Whether it breaks.
    broken: bool,
}

/// As many calls as there are slots meet here, or none goes on.
fn worker(meeting: Arc<Barrier>, panics: Arc<AtomicUsize>) -> TypedTool<How> {
    let work = move |_ctx, how: How| {
        let (meeting, panics) = (Arc::clone(&meeting), Arc::clone(&panics));
        async move {
            if how.broken {
                panics.fetch_add(1, SeqCst);
                panic!("a bad hammer");
            }
            meeting.wait().await;
            Ok("met")
        }
    };
    TypedTool::new("worker", "Works.", work).effect(EffectClass::Pure).pool("work")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_that_panics_is_told_to_its_caller_and_its_pool_is_whole_within_a_second() {
    let folder = tempfile::tempdir().unwrap();
    let (meeting, panics) = (Arc::new(Barrier::new(SLOTS as usize)), Arc::default());
    let builder = Runtime::builder().store(folder.path().join("green.db")).script("");
    let builder = builder.slots("work", SLOTS).tool(worker(meeting, Arc::clone(&panics)));
    let runtime = builder.start().await.unwrap();
    let mut clerk = AgentSpec::new("clerk", "scripted").allowed_tool("worker");
    // A tool that breaks is not asked about here: that is another story.
    clerk.reliability.failures = 0;
    let mut sessions = Vec::new();
    for _ in 0..SLOTS * 2 {
        sessions.push(runtime.spawn(&clerk).await.unwrap());
    }
    let call = |at: usize, broken| {
        let session = &sessions[at % sessions.len()];
        session.run_tool("worker", serde_json::json!({ "broken": broken }))
    };
    // One after the other in each session, all sessions at once.
    let broken = (0..sessions.len()).map(|at| async move {
        for _ in 0..PANICS / 8 {
            let outcome = call(at, true).await.unwrap();
            let ToolOutcome::Failed { output } = outcome else { panic!("{outcome:?}") };
            assert!(output.shown().contains("the tool panicked: a bad hammer"), "{output:?}");
        }
    });
    bounded("the panics", futures_util::future::join_all(broken)).await;
    assert_eq!(panics.load(SeqCst), PANICS);
    // They meet only if every slot is there.
    let begun = Instant::now();
    let met = (0..SLOTS as usize).map(|at| call(at, false));
    for outcome in bounded("the meeting", futures_util::future::join_all(met)).await {
        assert!(matches!(outcome.unwrap(), ToolOutcome::Done { .. }));
    }
    let took_ms = begun.elapsed().as_millis();
    println!("{PANICS} panics, {SLOTS} slots at work again within {took_ms} ms");
    assert!(took_ms <= 1_000, "{took_ms} ms");
    runtime.shutdown().await;
}
