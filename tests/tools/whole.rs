//! The tools in a whole runtime: a model asks for them, a session runs them, a log keeps what came.

use greenroom::{AgentSpec, Event, Limits, Output, Runtime, Session, ToolOutcome, TurnOutcome};
use tempfile::TempDir;

use crate::hands::{alone, eventually, mark, marked, resident_kib};

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
    let looked = run("cat green.db* 2>/dev/null | wc -c; ls").await.unwrap();
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

/// What a session's command printed, as a person gets it back.
async fn kept(house: &House, command: &str) -> (String, String) {
    let args = serde_json::json!({ "command": command });
    let done = house.session.run_tool("shell", args).await.unwrap();
    let ToolOutcome::Done { output: Output::Stored { preview, blob } } = done else {
        panic!("{done:?}")
    };
    let bytes = house.runtime.blob(blob).await.unwrap().unwrap();
    (preview, String::from_utf8(bytes).unwrap())
}

#[tokio::test]
async fn of_a_very_long_output_nothing_is_lost_and_memory_stays_small() {
    if !alone("whole::of_a_very_long_output_nothing_is_lost_and_memory_stays_small") {
        return;
    }
    let house = house("", Limits::default()).await;
    kept(&house, "seq 1 40000; seq 1 40000 >&2").await;
    let before = resident_kib();
    let command = "seq 1 4000000; printf '\\033[31mred\\r\\n' >&2; seq 1 2000000 >&2";
    let args = serde_json::json!({ "command": command });
    let done = house.session.run_tool("shell", args).await.unwrap();
    let grown = resident_kib().saturating_sub(before);
    let ToolOutcome::Done { output: Output::Stored { preview, blob } } = done else {
        panic!("{done:?}")
    };
    // The store's own cache is most of it, and that is bounded.
    assert!(blob.bytes > 45_000_000 && grown <= 24 * 1024, "{grown} KiB for {}", blob.bytes);
    assert!(preview.starts_with("1\n2\n") && preview.ends_with("1999999\n2000000\n"), "{preview}");
    assert!(preview.contains("bytes in all; the whole is kept"), "{preview}");
    let bytes = house.runtime.blob(blob).await.unwrap().unwrap();
    let lines = |most: u32| (1..=most).map(|no| format!("{no}\n")).collect::<String>();
    let whole = format!("{}\n[stderr]\n␛[31mred\n{}", lines(4_000_000), lines(2_000_000));
    assert!(bytes == whole.as_bytes(), "{} bytes for {}", bytes.len(), whole.len());
    let names = std::fs::read_dir(house._folder.path().join("work")).unwrap();
    let names: Vec<_> = names.map(|entry| entry.unwrap().file_name()).collect();
    assert!(names.iter().all(|name| name.to_str().unwrap().starts_with("green.db")), "{names:?}");
    house.runtime.shutdown().await;
}

#[tokio::test]
async fn no_part_of_a_long_output_holds_a_secret() {
    const CANARY: &str = "sk-canary-7Qx9/Zp+04";
    let folder = tempfile::tempdir().unwrap();
    let builder = Runtime::builder().store(folder.path().join("green.db")).secret(CANARY);
    let runtime = builder.workspace(folder.path()).script("").start().await.unwrap();
    let agent = AgentSpec::new("smith", "scripted").allowed_tool("shell");
    let session = runtime.spawn(&agent).await.unwrap();
    let house = House { _folder: folder, runtime, session };
    // In the head, the middle, the tail and over both cuts; written in two halves with a pause.
    let command =
        "a='sk-canary-7Q'; b='x9/Zp+04'; say() { printf %s \"$a\"; printf '%s\\n' \"$b\"; }
         for i in {1..9000}; do say; done; head -c 65528 /dev/zero | tr '\\0' x; printf %s $a$b
         seq 1 20000; say | base64; say | xxd -p 2>/dev/null; say";
    let (preview, whole) = kept(&house, command).await;
    assert!(whole.matches("[redacted]").count() >= 9_002, "{}", whole.len());
    for text in [preview, whole] {
        for part in ["sk-canary", "x9/Zp+04", "c2stY2FuYXJ5", "736b2d63616e617279"] {
            assert!(!text.contains(part), "{part}");
        }
    }
    house.runtime.shutdown().await;
}
