//! `run`, as a person runs it: with a terminal and without, interrupted and killed, and what is left
//! in the store.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    path::Path,
    process::Stdio,
};

use rustix::process::{Pid, Signal, kill_process};

use super::{err, folder, greenroom, json, out, ran, terminal::Person};

const EXAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/agents.toml");
const QUESTION: &str = "Is everything ready for tonight?";

fn example(store: &str) -> std::process::Command {
    greenroom(&["run", "--agents", EXAMPLE, "--store", store, QUESTION])
}

/// An agents file with one agent, which follows this script.
fn alone(folder: &Path, script: &str) -> String {
    std::fs::write(folder.join("alone.script"), script).expect("a script");
    let file = folder.join("alone.toml");
    let text = "[models.house]\nprovider = \"scripted\"\nscript = \"alone.script\"\n\
                [agents.solo]\ninstructions = \"You are alone.\"\n";
    std::fs::write(&file, text).expect("an agents file");
    file.to_string_lossy().into_owned()
}

#[test]
fn without_a_terminal_the_answer_is_no_and_the_run_can_be_looked_at() {
    let (_folder, store) = folder();
    let run = example(&store).output().expect("the binary runs");
    assert_eq!(run.status.code(), Some(0), "{}", err(&run));
    let words = "Places, please.\nThe lamps hang. The letter goes on without its stamp.\n";
    assert_eq!(out(&run), words);
    assert!(err(&run).contains("no terminal: what would be asked is denied"), "{}", err(&run));
    assert!(err(&run).contains("headless: nobody can be asked"), "{}", err(&run));

    let sessions = json(&out(&ran(&["sessions", "--store", &store, "--json"])));
    assert_eq!(sessions.as_array().map(Vec::len), Some(3));
    let tree = out(&ran(&["tree", "--store", &store]));
    assert!(tree.contains("manager") && tree.contains("└─ "), "{tree}");
    assert!(out(&ran(&["log", "props", "--store", &store])).contains("refused"));
}

#[test]
fn an_approval_is_asked_in_the_terminal_and_a_slip_answers_nothing() {
    let (_folder, store) = folder();
    let mut command = example(&store);
    command.env("NO_COLOR", "1");
    let mut person = Person::starts(command);
    person.sees("props: may it call stamp?");
    person.types("yess");
    person.sees("is no answer");
    person.types("y");
    let (code, out, seen) = person.leaves();
    assert_eq!(code, Some(0), "{seen}");
    let words =
        "Places, please.\nThe lamps hang and the letter is stamped. House to half, curtain up.\n";
    assert_eq!(out, words, "{seen}");
    assert!(seen.contains(r#"{"act":3,"what":"the letter"}"#), "what runs is shown: {seen}");
    assert!(seen.contains("Two of them, side by side."), "thoughts are seen: {seen}");
}

#[test]
fn what_was_typed_before_a_question_never_answers_it() {
    let (_folder, store) = folder();
    let mut person = Person::starts(example(&store));
    person.types("y");
    person.sees("may it call stamp?");
    person.types("n");
    let (code, out, seen) = person.leaves();
    assert_eq!(code, Some(0), "{seen}");
    assert!(out.contains("without its stamp"), "{seen}");
}

#[test]
fn a_comment_is_a_no_that_the_model_reads_and_an_edit_runs_what_was_typed() {
    let (_folder, store) = folder();
    let mut person = Person::starts(example(&store));
    person.sees("may it call stamp?");
    person.types("c");
    person.sees("what the model should read");
    person.types("not before midnight");
    let (code, _, seen) = person.leaves();
    assert_eq!(code, Some(0), "{seen}");
    let log = out(&ran(&["log", "props", "--store", &store]));
    assert!(log.contains("The stamp was refused") && log.contains("not before midnight"), "{log}");

    let (_folder, store) = folder();
    let mut person = Person::starts(example(&store));
    person.sees("may it call stamp?");
    person.types(r#"e {"what": "the parcel"}"#);
    let (code, out_text, seen) = person.leaves();
    assert_eq!(code, Some(0), "{seen}");
    assert!(out_text.contains("the letter is stamped"), "{out_text}");
    let log = out(&ran(&["log", "props", "--store", &store]));
    assert!(log.contains("yes, with {\"what\":\"the parcel\"}"), "{log}");
}

#[test]
fn always_is_asked_once_and_never_again_in_this_store() {
    let (_folder, store) = folder();
    let mut person = Person::starts(example(&store));
    person.sees("may it call stamp?");
    person.types("always");
    let (code, _, seen) = person.leaves();
    assert_eq!(code, Some(0), "{seen}");
    let again = example(&store).output().expect("the binary runs");
    assert!(out(&again).contains("the letter is stamped"), "{}", err(&again));
}

#[test]
fn the_first_interrupt_cancels_the_turn() {
    let (folder, store) = folder();
    let file = alone(folder.path(), "agent *\n  say Working.\n  hang");
    let mut child = greenroom(&["run", "--agents", &file, "--store", &store, "Go."])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary starts");
    let mut words = BufReader::new(child.stdout.take().expect("piped"));
    let mut first = [0; 8];
    words.read_exact(&mut first).expect("words come before the answer is whole");
    assert_eq!(&first, b"Working.");
    kill_process(Pid::from_child(&child), Signal::INT).expect("it is ours");
    let run = child.wait_with_output().expect("ours");
    assert_eq!(run.status.code(), Some(130), "{}", err(&run));
    assert!(err(&run).contains("cancelling the turn (again to quit)"), "{}", err(&run));
    let log = out(&ran(&["log", "solo", "--store", &store]));
    assert!(log.contains("interrupted in the terminal") && log.contains("cancelled"), "{log}");
}

#[test]
fn an_interrupt_takes_an_open_question_back() {
    let (_folder, store) = folder();
    let mut person = Person::starts(example(&store));
    person.sees("may it call stamp?");
    kill_process(Pid::from_child(&person.child), Signal::INT).expect("it is ours");
    let (code, _, seen) = person.leaves();
    assert_eq!(code, Some(130), "{seen}");
    assert!(out(&ran(&["approvals", "--store", &store])).contains("nothing waits"), "{seen}");
}

#[test]
fn a_polite_kill_ends_in_order_and_leaves_the_work_in_the_log() {
    let (folder, store) = folder();
    let file =
        alone(folder.path(), "agent * when Go.\n  say Working.\n  hang\nagent *\n  say Done.");
    let args = ["run", "--agents", &file, "--store", &store];
    let mut child = greenroom(&args)
        .arg("Go.")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary starts");
    let mut first = [0; 8];
    child.stdout.as_mut().expect("piped").read_exact(&mut first).expect("it works");
    kill_process(Pid::from_child(&child), Signal::TERM).expect("it is ours");
    let run = child.wait_with_output().expect("ours");
    assert_eq!(run.status.code(), Some(130), "{}", err(&run));
    assert!(err(&run).contains("what was in hand is in the log"), "{}", err(&run));
    let sessions = json(&out(&ran(&["sessions", "--store", &store, "--json"])));
    assert_eq!(sessions[0]["status"], "running", "{sessions}");

    let others = example(&store).output().expect("the binary runs");
    assert_eq!(others.status.code(), Some(1), "a model of others must not answer for it");
    assert!(err(&others).contains("have work in hand there: solo"), "{}", err(&others));
    let again = greenroom(&args).arg("Stop.").output().expect("the binary runs");
    assert_eq!((again.status.code(), out(&again)), (Some(0), "Done.\n".to_owned()));
}

#[test]
fn a_run_whose_agent_is_quarantined_says_how_it_comes_back() {
    let (folder, store) = folder();
    let file = alone(folder.path(), "agent *\n  panic out of tune");
    let run = greenroom(&["run", "--agents", &file, "--store", &store, "Go."]).output();
    let run = run.expect("the binary runs");
    assert_eq!(run.status.code(), Some(1), "{}", err(&run));
    let session =
        json(&out(&ran(&["sessions", "--store", &store, "--json"])))[0]["session"].clone();
    let hint = format!("`greenroom release {} --store {store}`", session.as_str().expect("an id"));
    assert!(err(&run).contains(&hint), "{}", err(&run));
    // Nobody said what the model costs, so no bound in money is known either.
    let totals = out(&ran(&["totals", "--store", &store]));
    assert!(totals.contains("3 calls broke off: at most ") && totals.contains("of unknown price"));
}

#[test]
fn a_prompt_comes_from_stdin_and_json_is_one_event_a_line() {
    let (folder, store) = folder();
    let file = alone(folder.path(), "agent *\n  say You said: {input}");
    let mut child = greenroom(&["run", "--agents", &file, "--store", &store, "--json", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the binary starts");
    let mut stdin = child.stdin.take().expect("piped");
    stdin.write_all(b"two\nlines\n").expect("it reads");
    drop(stdin);
    let mut lines = Vec::new();
    for line in BufReader::new(child.stdout.take().expect("piped")).lines() {
        lines.push(json(&line.expect("text")));
    }
    assert_eq!(child.wait().expect("ours").code(), Some(0));
    let first = lines.first().expect("lines");
    assert_eq!((&first["type"], &first["agent"]), (&"opened".into(), &"solo".into()));
    let kinds: Vec<&str> = lines.iter().filter_map(|line| line["event"]["type"].as_str()).collect();
    assert!(kinds.starts_with(&["session_opened", "input_accepted", "turn_started"]), "{kinds:?}");
    assert_eq!(kinds.last(), Some(&"turn_finished"));
    let last = lines.last().expect("lines");
    assert_eq!(last["outcome"]["text"], "You said: two\nlines");
    let said: String = lines.iter().filter_map(|line| line["delta"].as_str()).collect();
    assert_eq!(said, "You said: two\nlines");
}

#[test]
fn a_turn_that_fails_is_code_one() {
    let (folder, store) = folder();
    let file = alone(folder.path(), "agent *\n  fail auth: no such key");
    let run = ran(&["run", "--agents", &file, "--store", &store, "Go."]);
    assert_eq!(run.status.code(), Some(1), "{}", err(&run));
    assert!(err(&run).contains("no such key") && run.stdout.is_empty(), "{}", err(&run));
}

#[test]
fn an_answer_that_its_vendor_cut_off_ends_the_turn_and_is_not_begun_again() {
    let (folder, store) = folder();
    let file = alone(
        folder.path(),
        "agent *\n  say Half an\n  until call 2 fail transport\n  say answer.",
    );
    let run = ran(&["run", "--agents", &file, "--store", &store, "Go."]);
    assert_eq!(run.status.code(), Some(1), "{}", err(&run));
    assert_eq!(out(&run), "Half an\n");
    assert!(err(&run).contains("so the call was not made again"), "{}", err(&run));
}

#[test]
fn an_answer_that_broke_off_with_its_session_is_given_again_in_full() {
    let (folder, store) = folder();
    let file =
        alone(folder.path(), "agent *\n  say Half an\n  until call 2 panic struck\n  say answer.");
    let run = ran(&["run", "--agents", &file, "--store", &store, "Go."]);
    assert_eq!(run.status.code(), Some(0), "{}", err(&run));
    assert_eq!(out(&run), "Half an\nHalf ananswer.\n");
    assert!(err(&run).contains("it broke off"), "{}", err(&run));
}
