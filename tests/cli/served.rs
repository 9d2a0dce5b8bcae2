//! The commands beside a server, and beside what a killed one left: they find a running one by the ticket
//! at its store, and where none runs they work on the store itself, whatever the ticket says.

use std::{
    io::{BufReader, Read as _, Write as _},
    net::TcpStream,
    process::{Child, ChildStdout, Stdio},
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use super::{err, folder, greenroom, json as parsed, out, ran, terminal::Person};

/// The company of the kill driver.
const AGENTS: &str = "tests/http/killed/agents.toml";

/// A process and its lines; killed with the test.
struct Running {
    child: Child,
    lines: BufReader<ChildStdout>,
}

impl Drop for Running {
    fn drop(&mut self) {
        let _gone = self.child.kill();
        let _reaped = self.child.wait();
    }
}

impl Running {
    fn starts(args: &[&str]) -> Self {
        let mut command = greenroom(args);
        let command = command.stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().expect("the binary starts");
        let lines = BufReader::new(child.stdout.take().expect("piped"));
        Self { child, lines }
    }

    /// The next line that has this.
    fn says(&mut self, what: &str) -> String {
        said(&mut self.lines, what)
    }
}

/// The next line that has this.
#[track_caller]
fn said(lines: &mut impl std::io::BufRead, what: &str) -> String {
    let mut seen = String::new();
    loop {
        let mut line = String::new();
        let bytes = lines.read_line(&mut line).expect("text");
        assert!(bytes > 0, "it ended without {what:?}:\n{seen}");
        if line.contains(what) {
            return line;
        }
        seen += &line;
    }
}

/// A server on a store; it listens when this returns.
fn serves(store: &str) -> Running {
    let mut server = Running::starts(&[
        "serve",
        "--agents",
        AGENTS,
        "--listen",
        "127.0.0.1:0",
        "--store",
        store,
    ]);
    server.says("page http");
    server
}

fn ticket(store: &str) -> Value {
    parsed(&std::fs::read_to_string(format!("{store}.serve")).expect("a ticket"))
}

/// Says something in the server's API as any program may.
fn post(store: &str, path: &str, body: &Value) -> Value {
    let ticket = ticket(store);
    let at =
        ticket["url"].as_str().and_then(|url| url.strip_prefix("http://")).expect("an address");
    let (token, body) = (ticket["token"].as_str().expect("a token"), body.to_string());
    let mut stream = TcpStream::connect(at).expect("it listens");
    write!(
        stream,
        "POST {path} HTTP/1.1\r\nHost: {at}\r\nAuthorization: Bearer {token}\r\nConnection: close\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .expect("it reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("it answers");
    assert!(answer.starts_with("HTTP/1.1 20"), "{answer}");
    parsed(answer.split_once("\r\n\r\n").expect("a body").1)
}

/// A session of an agent.
fn opened(store: &str, agent: &str) -> String {
    let line = post(store, "/v1/sessions", &json!({ "agent": agent }));
    line["session"].as_str().expect("an id").to_owned()
}

fn say(store: &str, session: &str, text: &str) {
    post(store, &format!("/v1/sessions/{session}/messages"), &json!({ "text": text }));
}

#[test]
fn what_a_killed_server_left_is_answered_on_its_store_and_a_followed_log_goes_on() {
    let (_folder, store) = folder();
    let server = serves(&store);
    let session = opened(&store, "clerk");
    let mut log = Running::starts(&["log", &session, "-f", "--json", "--store", &store]);
    log.says("session_opened");
    say(&store, &session, "the letter");
    log.says("approval_requested");
    drop(server);
    // Its ticket names nobody; and as if the system had given its number to somebody else.
    let left = ticket(&store);
    let beside = format!("{store}.serve");
    let mut another = left.clone();
    another["pid"] = json!(std::process::id());
    let id = format!("{session}/a1");
    for (ticket, args) in [(&left, ["approve", &id]), (&another, ["cancel", &session])] {
        std::fs::write(&beside, ticket.to_string()).expect("written");
        let told = ran(&[&args[..], &["--store", &store]].concat());
        assert_eq!(told.status.code(), Some(0), "{args:?}: {}", err(&told));
        assert!(out(&told).contains("the next runtime on this store"), "{}", out(&told));
    }
    log.says("approval_decided");
    let attach = ran(&["attach", &session, "--store", &store]);
    assert_eq!(attach.status.code(), Some(1));
    assert!(err(&attach).contains("no server runs on"), "{}", err(&attach));
    let _again = serves(&store);
    assert!(log.says("turn_finished").contains("cancelled"));
}

#[test]
fn a_running_server_is_told_to_cancel_and_ends_what_does_not_end_by_itself() {
    let (_folder, store) = folder();
    let _server = serves(&store);
    let session = opened(&store, "endless");
    let mut log = Running::starts(&["log", &session, "-f", "--json", "--store", &store]);
    say(&store, &session, "go on");
    log.says("model_call_started");
    let cancel = ran(&["cancel", &session, "--reason", "enough", "--store", &store]);
    assert_eq!(cancel.status.code(), Some(0), "{}", err(&cancel));
    assert!(out(&cancel).contains("the server carries it out"), "{}", out(&cancel));
    assert!(log.says("cancel_requested").contains("enough"));
    assert!(log.says("turn_finished").contains("cancelled"));
}

#[test]
fn who_attaches_says_something_reads_the_answer_and_leaves_without_stopping_it() {
    let (_folder, store) = folder();
    let _server = serves(&store);
    let session = opened(&store, "poet");
    let mut person = Person::starts(greenroom(&["attach", &session, "--store", &store]));
    let mut lines = BufReader::new(person.child.stdout.take().expect("piped"));
    person.sees("Ctrl-C leaves");
    person.types("break a leg");
    let answer = said(&mut lines, "You said");
    assert!(answer.contains("break a leg; it was a dark and stormy night."), "{answer}");
    said(&mut lines, "turn_finished");
    kill_process(Pid::from_child(&person.child), Signal::INT).expect("it is ours");
    assert_eq!(person.child.wait().expect("ours").code(), Some(0), "leaving is no failure");
    // It goes on without whoever left.
    say(&store, &session, "once more");
    let mut log = Running::starts(&["log", &session, "-f", "--json", "--store", &store]);
    log.says("turn_finished");
    log.says("turn_finished");
    // And when it has ended it can be deleted, by the server too.
    let deleted = ran(&["delete", &session, "--yes", "--store", &store, "--json"]);
    assert_eq!(deleted.status.code(), Some(0), "{}", err(&deleted));
    assert_eq!(parsed(&out(&deleted)), json!({ "session": session, "sessions": 1 }));
    let again = ran(&["delete", &session, "--yes", "--store", &store]);
    assert!(err(&again).contains("no session fits"), "{}", err(&again));
}

#[test]
fn what_was_stopped_stays_so_over_a_killed_server_until_somebody_lifts_it() {
    let (folder, store) = folder();
    let server = serves(&store);
    let session = opened(&store, "endless");
    let mut log = Running::starts(&["log", &session, "-f", "--json", "--store", &store]);
    say(&store, &session, "go on");
    log.says("model_call_started");
    let halt = ran(&["halt", "--reason", "drill", "--store", &store]);
    assert_eq!(halt.status.code(), Some(0), "{}", err(&halt));
    assert!(out(&halt).contains("stopped: 1 session cancelled"), "{}", out(&halt));
    assert!(log.says("cancel_requested").contains("drill"));
    assert!(log.says("turn_finished").contains("cancelled"));
    drop(server);
    let doctor = ran(&["doctor", "--store", &store]);
    assert!(out(&doctor).contains("stopped by operator: drill"), "{}", out(&doctor));
    let fork = ran(&["fork", &session, "--store", &store]);
    assert_eq!(fork.status.code(), Some(1));
    assert!(err(&fork).contains("everything was stopped: drill; unhalt"), "{}", err(&fork));
    // Whoever starts on it is told.
    let told = folder.path().join("told.txt");
    let mut command = greenroom(&["serve", "--agents", AGENTS, "--listen", "127.0.0.1:0"]);
    let errors = std::fs::File::create(&told).expect("a file");
    let command = command.args(["--store", &store]).stdout(Stdio::piped()).stderr(errors);
    let mut child = command.spawn().expect("the binary starts");
    let lines = BufReader::new(child.stdout.take().expect("piped"));
    let mut server = Running { child, lines };
    server.says("page http");
    let told = std::fs::read_to_string(&told).expect("what it said");
    assert!(told.contains("everything was stopped by operator: drill"), "{told}");
    let unhalt = ran(&["unhalt", "--store", &store]);
    assert_eq!(unhalt.status.code(), Some(0), "{}", err(&unhalt));
    drop(server);
    // The same words to a store that nobody works on.
    let halt = ran(&["halt", "--store", &store, "--json"]);
    assert_eq!(parsed(&out(&halt)), json!({ "halted": true, "cancelled": 0, "failed": 0 }));
    assert_eq!(ran(&["fork", &session, "--store", &store]).status.code(), Some(1));
    assert_eq!(ran(&["unhalt", "--store", &store]).status.code(), Some(0));
    assert_eq!(ran(&["fork", &session, "--store", &store]).status.code(), Some(0));
}

#[test]
fn the_last_step_is_made_again_beside_a_server_and_written_nowhere() {
    let (_folder, store) = folder();
    let _server = serves(&store);
    let session = opened(&store, "poet");
    let mut log = Running::starts(&["log", &session, "-f", "--json", "--store", &store]);
    say(&store, &session, "break a leg");
    log.says("turn_finished");
    let frames = || out(&ran(&["log", &session, "--json", "--store", &store]));
    let (before, spent) = (frames(), out(&ran(&["totals", "--store", &store, "--json"])));
    let last = ["replay", &session, "--final", "--agents", AGENTS, "--store", &store];
    let again = ran(&last);
    assert_eq!(again.status.code(), Some(0), "{}", err(&again));
    let said = out(&again);
    assert_eq!(said.matches("You said").count(), 2, "then and now: {said}");
    assert!(said.contains("it cost $") && said.contains("is not booked"), "{said}");
    let other = ran(&[&last[..], &["--model", "other", "--json"]].concat());
    let other = parsed(&out(&other));
    assert_eq!((&other["model"], &other["booked"]), (&json!("other"), &json!(false)));
    assert_eq!(other["then"]["text"], other["now"]["text"]);
    assert_eq!(other["cost"], Value::Null, "nobody has said what that one costs");
    let nobody = ran(&[&last[..], &["--model", "m", "--provider", "nobody"]].concat());
    assert_eq!(nobody.status.code(), Some(1));
    assert!(err(&nobody).contains("no provider of the agents file serves m at nobody"));
    assert_eq!(frames(), before, "nothing was written");
    assert_eq!(out(&ran(&["totals", "--store", &store, "--json"])), spent, "or booked");
    let fresh = opened(&store, "poet");
    let none = ran(&["replay", &fresh, "--final", "--agents", AGENTS, "--store", &store]);
    assert!(err(&none).contains("no model has answered in"), "{}", err(&none));
    // It asks a model, and so it is stopped with all that does.
    assert_eq!(ran(&["halt", "--reason", "drill", "--store", &store]).status.code(), Some(0));
    let stopped = ran(&last);
    assert_eq!(stopped.status.code(), Some(1), "{}", out(&stopped));
    assert!(err(&stopped).contains("everything was stopped: drill; unhalt"), "{}", err(&stopped));
}
