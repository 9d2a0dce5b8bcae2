//! The tools in a whole runtime: a model asks for them, a session runs them, a log keeps what came.

use greenroom::{AgentSpec, Event, Limits, Output, Runtime, Session, ToolOutcome, TurnOutcome};
use tempfile::TempDir;

use crate::hands::{eventually, mark, marked};

struct House {
    _folder: TempDir,
    runtime: Runtime,
    session: Session,
}

async fn house(script: &str, limits: Limits) -> House {
    let folder = tempfile::tempdir().unwrap();
    let workspace = folder.path().join("work");
    std::fs::create_dir(&workspace).unwrap();
    // In the workspace, as it is for who keeps everything in one folder.
    let store = workspace.join("green.db");
    let runtime = Runtime::builder().store(store).workspace(workspace).script(script);
    let runtime = runtime.start().await.unwrap();
    let agent = AgentSpec::new("smith", "scripted").allowed_tool("exec").allowed_tool("shell");
    let session = runtime.spawn(&AgentSpec { limits, ..agent }).await.unwrap();
    House { _folder: folder, runtime, session }
}

#[tokio::test]
async fn a_model_runs_a_command_and_reads_what_it_printed() {
    let script =
        "agent *\n  call exec {\"argv\": [\"echo\", \"hammer\"]}\n then\n  say I have a {last}.";
    let house = house(script, Limits::default()).await;
    let outcome = house.session.send("Go.").await.unwrap().outcome().await.unwrap();
    assert_eq!(outcome.text(), "I have a hammer\n.");
    house.runtime.shutdown().await;
}

#[tokio::test]
async fn a_long_output_is_kept_whole_and_shown_in_part() {
    let house = house("", Limits::default()).await;
    let args = serde_json::json!({ "command": "seq 1 20000" });
    let done = house.session.run_tool("shell", args).await.unwrap();
    let ToolOutcome::Done { output: Output::Stored { preview, blob } } = done else {
        panic!("{done:?}")
    };
    assert!(preview.starts_with("1\n2\n") && preview.ends_with("19999\n20000\n"), "{preview}");
    assert_eq!(
        blob.bytes,
        (1..=20_000).map(|no: u32| no.to_string().len() as u64 + 1).sum::<u64>()
    );
    house.runtime.shutdown().await;
}

#[tokio::test]
async fn a_sessions_own_deadline_still_brings_what_was_printed() {
    let house = house("", Limits { tool_ms: 2_000, ..Limits::default() }).await;
    let args = serde_json::json!({ "command": "echo begun; sleep 1000" });
    let done = house.session.run_tool("shell", args).await.unwrap();
    let (output, failed) = done.told();
    assert!(failed && output.shown().contains("begun"), "{done:?}");
    house.runtime.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_turn_closes_its_call_once_and_leaves_no_process() {
    let mark = mark();
    let command = format!("setsid sleep {mark} & sleep {mark}");
    let args = serde_json::json!({ "command": command });
    let script = format!("agent *\n  call shell {args}\n then\n  say Done.");
    let house = house(&script, Limits::default()).await;
    let turn = house.session.send("Go.").await.unwrap();
    tokio::task::block_in_place(|| eventually(20_000, "both run", || marked(&mark).len() >= 2));
    house.session.cancel("enough").await.unwrap();
    let outcome = turn.outcome().await.unwrap();
    assert!(matches!(outcome, TurnOutcome::Cancelled { .. }), "{outcome:?}");
    assert_eq!(marked(&mark), [0_u32; 0]);
    let log = house.session.log().await.unwrap();
    let events = log.iter().flat_map(|frame| &frame.events);
    let ends = events.filter(|event| matches!(event, Event::ToolFinished { .. }));
    assert_eq!(ends.count(), 1);
    house.runtime.shutdown().await;
}

#[tokio::test]
async fn the_store_is_nobodys_to_touch_even_in_the_workspace() {
    let house = house("", Limits::default()).await;
    let run = |command: &str| {
        let args = serde_json::json!({ "command": command });
        house.session.run_tool("shell", args)
    };
    let looked = run("cat green.db* | wc -c; ls").await.unwrap();
    assert_eq!(looked.told().0.shown(), "0\ngreen.db\ngreen.db-shm\ngreen.db-wal\ngreen.db.lock\n");
    run("echo harm >green.db; rm -f green.db*; mv green.db gone").await.unwrap();
    let again = run("echo alive; ls | wc -l").await.unwrap();
    assert_eq!(again.told().0.shown(), "alive\n4\n");
    assert!(!house.session.log().await.unwrap().is_empty());
    house.runtime.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shutdown_takes_running_commands_along() {
    let mark = mark();
    let args = serde_json::json!({ "command": format!("setsid sleep {mark} & sleep {mark}") });
    let house = house(&format!("agent *\n  call shell {args}"), Limits::default()).await;
    let _turn = house.session.send("Go.").await.unwrap();
    tokio::task::block_in_place(|| eventually(20_000, "both run", || marked(&mark).len() >= 2));
    house.runtime.shutdown().await;
    let gone = || eventually(2_000, "nobody is left", || marked(&mark).is_empty());
    tokio::task::block_in_place(gone);
}
