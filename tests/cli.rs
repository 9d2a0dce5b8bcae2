//! The built binary, run as a person runs it: the demo whole, killed and gone on with; what reads a
//! store beside it; and every wrong input a newcomer meets, by what it prints.

#[path = "cli/agents.rs"]
mod agents;
#[path = "cli/canaries.rs"]
mod canaries;
#[path = "cli/channels.rs"]
mod channels;
#[path = "cli/collector.rs"]
mod collector;
#[path = "cli/hijacked.rs"]
mod hijacked;
#[path = "cli/jobs.rs"]
mod jobs;
#[path = "cli/newcomer.rs"]
mod newcomer;
#[path = "cli/orders.rs"]
mod orders;
#[path = "cli/output.rs"]
mod output;
#[path = "cli/permissions.rs"]
mod permissions;
#[path = "cli/run.rs"]
mod run;
#[path = "cli/served.rs"]
mod served;
#[path = "cli/terminal.rs"]
mod terminal;
#[path = "cli/traces.rs"]
mod traces;
#[path = "cli/vendor.rs"]
mod vendor;
#[path = "cli/vendors.rs"]
mod vendors;
#[path = "cli/workspace.rs"]
mod workspace;

use std::{
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Child, Command, Output, Stdio},
};

use rusqlite::Connection;
use serde_json::Value;
use tempfile::TempDir;

fn greenroom(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_greenroom"));
    let surroundings = [
        "OTEL_EXPORTER_OTLP_ENDPOINT",
        "GREENROOM_STORE",
        "GREENROOM_AGENTS",
        "NO_COLOR",
        "RUST_LOG",
        "COLUMNS",
    ];
    surroundings.iter().for_each(|name| {
        command.env_remove(name);
    });
    // Settings of whoever runs the tests are not part of them.
    command.env("GREENROOM_HOME", "/nowhere/at/all");
    command.args(args).stdin(Stdio::null());
    command
}

fn ran(args: &[&str]) -> Output {
    greenroom(args).output().expect("the binary runs")
}

fn out(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn err(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn folder() -> (TempDir, String) {
    let folder = tempfile::tempdir().expect("a folder");
    let store = folder.path().join("green.db").to_string_lossy().into_owned();
    (folder, store)
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error} in:\n{text}"))
}

/// Restarts and whether everybody completed, over a demo's tree.
fn walk(node: &Value, restarts: &mut u64, agents: &mut u64) {
    assert_eq!(node["outcome"]["kind"], "completed", "{node}");
    *restarts += node["restarts"].as_u64().expect("a number");
    *agents += 1;
    for child in node["children"].as_array().expect("children") {
        walk(child, restarts, agents);
    }
}

#[expect(clippy::zombie_processes, reason = "the caller waits for it")]
/// Starts a demo and returns once its stderr has said this.
fn demo_until(store: &str, what: &str) -> (Child, BufReader<std::process::ChildStderr>) {
    let mut child = greenroom(&["demo", "--seed", "5", "--store", store])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary starts");
    let mut lines = BufReader::new(child.stderr.take().expect("piped"));
    let mut line = String::new();
    while lines.read_line(&mut line).expect("its stderr") > 0 {
        if line.contains(what) {
            return (child, lines);
        }
        line.clear();
    }
    panic!("the demo ended without saying {what:?}");
}

#[test]
fn a_demo_that_an_observer_kills_keeps_its_promises() {
    let (_folder, store) = folder();
    let crash = ran(&["demo", "--crash", "--seed", "3", "--store", &store, "--json"]);
    assert_eq!(crash.status.code(), Some(0), "{}{}", out(&crash), err(&crash));
    let checks = json(&out(&crash))["checks"].as_array().expect("checks").clone();
    assert_eq!(checks.len(), 6);
    assert!(checks.iter().all(|check| check["holds"] == true), "{checks:?}");
    let told = err(&crash);
    assert!(told.contains("observer: kill -9") && told.contains("had work in hand"), "{told}");
    assert!(told.contains("an unfinished demo is in this store"), "{told}");
    let again = ran(&["demo", "--crash", "--store", &store]);
    assert_eq!(again.status.code(), Some(1));
    assert!(err(&again).contains("name one that does not"), "{}", err(&again));
}

#[test]
fn the_demo_ends_well_with_two_restarts_and_a_bill() {
    let (_folder, store) = folder();
    let demo = ran(&["demo", "--seed", "1", "--store", &store, "--json"]);
    assert_eq!(demo.status.code(), Some(0), "{}", err(&demo));
    let report = json(&out(&demo));
    let (mut restarts, mut agents) = (0, 0);
    walk(&report["tree"], &mut restarts, &mut agents);
    assert_eq!((restarts, agents), (2, 9));
    assert!(report["tree"]["subtree"]["cost"].as_u64() > Some(0));
    assert!(err(&demo).contains("started again from its log"), "{}", err(&demo));

    let tree = ran(&["tree", "--store", &store]);
    // They start at once and open in any order; they stand in the one they were sent to work in.
    let drawn: Vec<String> = out(&tree)
        .lines()
        .filter_map(|line| line.strip_prefix("├─ ").or_else(|| line.strip_prefix("└─ ")))
        .filter_map(|line| line.split_whitespace().next().map(str::to_owned))
        .collect();
    let sent = ["lights", "sound", "costumes", "props", "scenery", "music", "prompter", "front"];
    assert_eq!(drawn, sent);
    assert_eq!(
        json(&out(&ran(&["sessions", "--store", &store, "--json"]))).as_array().map(Vec::len),
        Some(9)
    );
    let log = out(&ran(&["log", "lights", "--store", &store]));
    assert!(log.contains("session_opened") && log.contains("turn_finished"), "{log}");
    let lines = out(&ran(&["log", "lights", "--store", &store, "--json"]));
    assert!(lines.lines().all(|line| json(line)["events"].is_array()));
    assert!(out(&ran(&["totals", "--store", &store])).contains("model calls"));
    assert!(out(&ran(&["approvals", "--store", &store])).contains("nothing waits"));
}

#[test]
fn a_demo_that_was_killed_goes_on_where_it_was() {
    let (_folder, store) = folder();
    let (mut child, _lines) = demo_until(&store, "calls prompt_book");
    child.kill().expect("it is ours");
    child.wait().expect("it is ours");
    let before = json(&out(&ran(&["tree", "--store", &store, "--json"])));
    // As it says itself how to go on: without the seed, which the store knows.
    let demo = ran(&["demo", "--store", &store, "--json"]);
    assert_eq!(demo.status.code(), Some(0), "{}", err(&demo));
    assert!(err(&demo).contains("goes on where it was"), "{}", err(&demo));
    let report = json(&out(&demo));
    assert_eq!(report["seed"], 5, "the script it was begun with");
    assert_eq!(report["tree"]["session"], before[0]["session"], "the same root");
    let (mut restarts, mut agents) = (0, 0);
    walk(&report["tree"], &mut restarts, &mut agents);
    assert_eq!(agents, 9, "nobody was forgotten, nobody came twice");
    let roots = json(&out(&ran(&["tree", "--store", &store, "--json"])));
    assert_eq!(roots.as_array().map(Vec::len), Some(1));
}

#[test]
fn an_interrupt_ends_in_order_and_says_how_to_go_on() {
    let (_folder, store) = folder();
    let (mut child, mut lines) = demo_until(&store, "calls prompt_book");
    let second = ran(&["demo", "--store", &store]);
    assert_eq!(second.status.code(), Some(1));
    assert!(err(&second).contains(&format!("process {} holds it", child.id())), "{}", err(&second));
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).expect("it is ours");
    let mut rest = String::new();
    std::io::Read::read_to_string(&mut lines, &mut rest).expect("its stderr");
    assert_eq!(child.wait().expect("it is ours").code(), Some(130), "{rest}");
    assert!(rest.contains(&format!("greenroom demo --store {store}")), "{rest}");
    let demo = ran(&["demo", "--seed", "5", "--store", &store]);
    assert_eq!(demo.status.code(), Some(0), "{}", err(&demo));
}

/// A refusal: exit code 1, nothing on stdout, and these words on stderr.
#[track_caller]
fn refused(args: &[&str], words: &[&str]) {
    let output = ran(args);
    let text = err(&output);
    assert_eq!(output.status.code(), Some(1), "{args:?}: {text}");
    assert!(output.stdout.is_empty(), "{args:?}: {}", out(&output));
    for word in words {
        assert!(text.contains(word), "{args:?}: {word:?} is not in:\n{text}");
    }
    assert!(!text.contains("panicked"), "{text}");
}

#[test]
fn wrong_input_is_refused_in_words_that_help() {
    let (folder, store) = folder();
    refused(&["tree", "--store", &store], &["no such file", "check the path"]);
    assert!(!Path::new(&store).exists(), "reading makes nothing");
    let place = folder.path().to_string_lossy().into_owned();
    refused(&["tree", "--store", &place], &["it is a folder", "name a file in it"]);
    refused(&["demo", "--store", &place], &["it is a folder", "name a file in it"]);
    refused(&["demo", "--store", "/nowhere/at/all.db"], &["folder does not exist", "create it"]);
    let diary = folder.path().join("diary.txt").to_string_lossy().into_owned();
    std::fs::write(&diary, "Dear diary. ".repeat(200)).expect("a text");
    refused(&["tree", "--store", &diary], &["not a Greenroom database"]);
    refused(&["demo", "--store", &diary], &["not a Greenroom database"]);

    let demo = ran(&["demo", "--seed", "2", "--store", &store]);
    assert_eq!(demo.status.code(), Some(0), "{}", err(&demo));
    refused(&["log", "nobody", "--store", &store], &["no session fits \"nobody\"", "sessions"]);
    refused(&["totals", "zz", "--store", &store], &["no session fits"]);
    refused(&["log", "-", "--store", &store], &["no session fits"]);
    let form = |sql: &str| {
        Connection::open(&store).and_then(|conn| conn.execute_batch(sql)).expect("the store");
    };
    form("UPDATE session SET tenant = 'somebody'");
    refused(&["demo", "--store", &store], &["not the demo's", "choose another file"]);
    form("PRAGMA user_version = 99");
    refused(&["tree", "--store", &store], &["form 99", "newer"]);
    refused(&["demo", "--store", &store], &["form 99", "newer"]);
}

#[test]
fn a_command_line_that_is_not_understood_is_code_two() {
    // The figures have one form only: a flag for another one would be a lie.
    let other_form = &["metrics", "--json"];
    for args in [&["frobnicate"][..], &["log"], &["demo", "--seed", "many"], &[], other_form] {
        assert_eq!(ran(args).status.code(), Some(2), "{args:?}");
    }
    let help = ran(&["--help"]);
    assert_eq!(help.status.code(), Some(0));
    assert!(out(&help).contains("GREENROOM_STORE"), "{}", out(&help));
    assert!(out(&ran(&["--version"])).starts_with("greenroom 0."));
}
