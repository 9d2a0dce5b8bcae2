//! Runs taken again: of a store and of traces, whole and redacted, killed in the middle, and altered.

use std::{
    fs,
    path::{Path, PathBuf},
};

use greenroom::{
    AgentSpec, EffectClass, Position, Runtime, SessionId, TypedTool, telemetry::trace::Level,
};
use greenroom_actors::testing::harness::bounded;
use rusqlite::Connection;
use serde_json::Value;

use super::{demo_until, err, folder, greenroom, json, out, ran};

/// What nobody may read in a redacted trace.
const CANARIES: [&str; 9] = [
    "canary-instructions",
    "canary-prompt",
    "canary-thinking",
    "canary-argument",
    "canary-result",
    "canary-answer",
    "canary-file",
    "canary-comment",
    "canary-rename",
];

const SCRIPT: &str = r#"
agent *
    think canary-thinking
    call read {"path": "/home/canary-file", "why": "canary-argument"}
    call pay {"cents": 9}
  then
    say canary-answer {last}
"#;

#[derive(schemars::JsonSchema, serde::Deserialize)]
#[expect(dead_code, reason = "only its schema is used")]
struct Read {
    path: String,
    why: String,
}

#[derive(schemars::JsonSchema, serde::Deserialize)]
#[expect(dead_code, reason = "only its schema is used")]
struct Pay {
    cents: u64,
}

fn builder(store: &str) -> greenroom::Builder {
    let read = TypedTool::new("read", "Reads.", |_ctx, _args: Read| async {
        Ok("canary-result".to_owned())
    });
    let pay = TypedTool::new("pay", "Pays.", |_ctx, _args: Pay| async { Ok("paid".to_owned()) });
    let pay = pay.effect(EffectClass::Once);
    Runtime::builder().store(store).script(SCRIPT).tool(read).tool(pay).on_question(
        |_question| async {
            Some(greenroom::Answer::Comment { text: "canary-comment".to_owned() })
        },
    )
}

fn clerk() -> AgentSpec {
    let clerk = AgentSpec::new("clerk", "scripted").instructions("canary-instructions");
    clerk.allowed_tool("read").tool("pay")
}

/// Two turns of a session under a traced runtime, and a fork of it.
async fn played(store: &str, traces: &Path, level: Level) -> (SessionId, SessionId) {
    let runtime = builder(store).trace_dir(traces, level).start().await.expect("a runtime");
    let session = runtime.spawn(&clerk()).await.expect("a session");
    for prompt in ["canary-prompt", "canary-prompt again"] {
        let turn = session.send(prompt).await.expect("said");
        bounded("the turn's end", turn.outcome()).await.expect("an outcome");
    }
    session.rename("canary-rename").await.expect("renamed");
    let fork = session.fork_at(Position(3)).await.expect("a fork");
    let turn = fork.send("canary-prompt of a fork").await.expect("said");
    bounded("the turn's end", turn.outcome()).await.expect("an outcome");
    let ids = (session.id(), fork.id());
    runtime.shutdown().await;
    ids
}

fn executor() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("an executor")
}

fn staged(level: Level) -> (tempfile::TempDir, String, PathBuf, (SessionId, SessionId)) {
    let (folder, store) = folder();
    let traces = folder.path().join("traces");
    let ids = executor().block_on(played(&store, &traces, level));
    (folder, store, traces, ids)
}

fn replayed(args: &[&str]) -> (Option<i32>, Value) {
    let output = ran(&[&["replay", "--json"], args].concat());
    assert!(!output.stdout.is_empty(), "{}", err(&output));
    (output.status.code(), json(&out(&output)))
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a path of text")
}

#[test]
fn a_redacted_trace_has_the_whole_run_and_nothing_of_its_content() {
    let (_folder, store, traces, (session, fork)) = staged(Level::Redacted);
    let full = out(&ran(&["trace", &session.to_string(), "--full", "--store", &store]));
    for canary in CANARIES {
        assert!(full.contains(canary), "the run has no {canary}:\n{full}");
    }
    for id in [session, fork] {
        let path = traces.join(format!("{id}.jsonl"));
        let trace = fs::read_to_string(&path).expect("a trace");
        assert!(!trace.contains("canary"), "{trace}");
        // The one a runtime writes as it goes, and the one that is made of the store.
        assert_eq!(trace, out(&ran(&["trace", &id.to_string(), "--store", &store])));
        let (code, verdict) = replayed(&["--trace", text(&path)]);
        assert_eq!((code, &verdict["checked"]), (Some(0), &Value::from("order")), "{verdict}");
        let (code, stored) = replayed(&[&id.to_string(), "--store", &store]);
        assert_eq!((code, &stored["checked"]), (Some(0), &Value::from("steps")), "{stored}");
        assert_eq!(stored["sums"], verdict["sums"]);
        assert!(stored["sums"]["usage"]["output"].as_u64() > Some(0), "{stored}");
    }
    let said = out(&ran(&["replay", &session.to_string(), "--store", &store]));
    assert!(said.contains("each of them what the machine would have written"), "{said}");
    assert!(said.contains("2 turns, 4 model calls, 2 tool calls"), "{said}");
}

/// Changes a full trace and makes its links anew, as somebody would who knows how.
fn forged(path: &Path, change: impl Fn(&mut Vec<Value>)) -> PathBuf {
    use sha2::{Digest as _, Sha256};
    let trace = fs::read_to_string(path).expect("a trace");
    let mut lines: Vec<Value> = trace.lines().map(json).collect();
    change(&mut lines);
    let (mut link, mut text) = (String::new(), String::new());
    for mut line in lines {
        line.as_object_mut().expect("an object").remove("chain");
        let line = line.to_string();
        let body = line.strip_suffix('}').expect("an object");
        let digest = Sha256::digest(format!("{link}\n{body}").as_bytes());
        link = digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
        text += &format!("{body},\"chain\":\"{link}\"}}\n");
    }
    let path = path.with_extension("forged");
    fs::write(&path, text).expect("a forged trace");
    path
}

fn event<'l>(lines: &'l mut [Value], name: &str) -> &'l mut Value {
    let events =
        lines.iter_mut().filter_map(|line| line.get_mut("events")?.as_array_mut()).flatten();
    events.into_iter().find(|event| event["type"] == name).expect("such an event")
}

#[test]
fn an_altered_step_changes_the_exit_code_and_the_first_frame_that_differs_is_named() {
    let (_folder, store, traces, (session, fork)) = staged(Level::Full);
    let path = traces.join(format!("{session}.full.jsonl"));
    let (code, whole) = replayed(&["--trace", text(&path)]);
    assert_eq!((code, &whole["checked"]), (Some(0), &Value::from("steps")), "{whole}");
    assert_eq!(replayed(&["--trace", text(&forged(&path, |_| ()))]).1, whole);
    // The fork goes on from the trace beside its own.
    let of_fork = traces.join(format!("{fork}.full.jsonl"));
    assert_eq!(replayed(&["--trace", text(&of_fork)]).0, Some(0));

    // A line of which one word was changed, and no more.
    let trace = fs::read_to_string(&path).expect("a trace");
    let clumsy = path.with_extension("clumsy");
    fs::write(&clumsy, trace.replacen("canary-result", "canary-rumour", 1)).expect("a trace");
    let ran_again = ran(&["replay", "--trace", text(&clumsy)]);
    assert_eq!(ran_again.status.code(), Some(1), "{}", out(&ran_again));
    assert!(err(&ran_again).contains("was changed, or a line before it is missing"));

    let check = |what: &str, change: &dyn Fn(&mut Vec<Value>)| {
        let (code, verdict) = replayed(&["--trace", text(&forged(&path, change))]);
        assert_eq!((code, &verdict["holds"]), (Some(1), &Value::from(false)), "{verdict}");
        assert!(verdict["why"].as_str().is_some_and(|why| why.contains(what)), "{verdict}");
        verdict["frame"].as_u64().expect("a frame")
    };
    let missing = check("found frame 4 in its place", &|lines| drop(lines.remove(3)));
    assert_eq!(missing, 3);
    check("the machine writes another outcome", &|lines| {
        event(lines, "turn_finished")["outcome"]["text"] = Value::from("something else");
    });
    check("the machine writes another args", &|lines| {
        event(lines, "tool_requested")["args"] = Value::from("{\"path\":\"/etc/shadow\"}");
    });
    check("the machine writes another settlement.usage", &|lines| {
        event(lines, "usage_settled")["settlement"]["usage"]["output"] = Value::from(1);
    });
    let (frame, last) = (Value::from(3), trace.lines().count() - 1);
    let renumbered = check("cannot follow", &|lines| {
        lines.remove(3);
        for (no, line) in lines.iter_mut().enumerate().skip(1) {
            line["position"] = Value::from(no);
        }
    });
    assert!(frame.as_u64() <= Some(renumbered) && renumbered < last as u64);

    // In a store a changed row does not even fit its hash.
    let row = "UPDATE frame SET body = replace(body, 'canary-result', 'canary-rumour')";
    let changed = Connection::open(&store).expect("the store").execute(row, []).expect("a change");
    assert!(changed > 0);
    let damaged = ran(&["replay", &session.to_string(), "--store", &store]);
    assert_eq!(damaged.status.code(), Some(1));
    assert!(err(&damaged).contains("its hash does not match"), "{}", err(&damaged));
}

#[test]
fn a_traced_run_that_was_killed_goes_on_without_a_gap_or_a_double() {
    let (folder, store) = folder();
    let traces = folder.path().join("traces");
    let (mut demo, _lines) = demo_until(&store, "calls prompt_book");
    demo.kill().expect("killed");
    demo.wait().expect("reaped");
    // A line that the kill cut off, and a session of which nothing was written.
    let ids = |store: &str| -> Vec<String> {
        let sessions = json(&out(&ran(&["sessions", "--store", store, "--json"])));
        let rows = sessions.as_array().expect("rows").clone();
        rows.iter().map(|row| row["session"].as_str().expect("an id").to_owned()).collect()
    };
    let before = ids(&store);
    assert!(!before.is_empty());
    fs::create_dir(&traces).expect("a folder");
    let first = before.first().expect("a session");
    let half = out(&ran(&["trace", first, "--store", &store]));
    let half = half.get(..half.len() - 7).expect("longer");
    fs::write(traces.join(format!("{first}.jsonl")), half).expect("half a trace");
    executor().block_on(async {
        let runtime = builder(&store).trace_dir(&traces, Level::Redacted).start().await;
        runtime.expect("a runtime").shutdown().await;
    });
    for id in ids(&store) {
        let trace = fs::read_to_string(traces.join(format!("{id}.jsonl"))).expect("a trace");
        assert_eq!(trace, out(&ran(&["trace", &id, "--store", &store])), "{id}");
        let (code, verdict) = replayed(&[&id, "--store", &store]);
        assert_eq!(code, Some(0), "{verdict}");
    }
}

/// One turn of a session there is.
async fn spoken_to(runtime: &Runtime, session: SessionId) {
    let turn = runtime.session(session).send("canary-prompt").await.expect("said");
    let outcome = bounded("the turn's end", turn.outcome()).await.expect("an outcome");
    assert_eq!(outcome.word(), "completed");
}

#[test]
fn a_disk_that_takes_no_trace_stops_no_session_and_what_it_lost_is_made_up_for() {
    let (folder, store) = folder();
    let traces = folder.path().join("traces");
    executor().block_on(async {
        let runtime = builder(&store).start().await.expect("a runtime");
        let session = runtime.spawn(&clerk()).await.expect("a session").id();
        runtime.shutdown().await;

        fs::create_dir(&traces).expect("a folder");
        let path = traces.join(format!("{session}.jsonl"));
        std::os::unix::fs::symlink("/dev/full", &path).expect("a full disk");
        let runtime = builder(&store).trace_dir(&traces, Level::Redacted).start().await;
        let runtime = runtime.expect("a runtime");
        spoken_to(&runtime, session).await;
        fs::remove_file(&path).expect("room again");
        spoken_to(&runtime, session).await;
        runtime.shutdown().await;
        let trace = fs::read_to_string(&path).expect("a trace");
        assert_eq!(trace, out(&ran(&["trace", &session.to_string(), "--store", &store])));
        assert!(trace.lines().count() > 10, "{trace}");
    });
}

#[test]
fn a_trace_folder_that_cannot_be_is_a_refusal_to_start_and_a_command_line_says_what_it_needs() {
    let (folder, store) = folder();
    let file = folder.path().join("file");
    fs::write(&file, "").expect("a file");
    let refused = executor().block_on(builder(&store).trace_dir(&file, Level::Full).start());
    assert!(refused.expect_err("no folder").to_string().starts_with("write the trace "));
    let lonely = greenroom(&["replay"]).output().expect("it runs");
    assert_eq!(lonely.status.code(), Some(2), "{}", err(&lonely));
    let alone = greenroom(&["run", "x", "--trace-full"]).output().expect("it runs");
    assert_eq!(alone.status.code(), Some(2), "{}", err(&alone));
}
