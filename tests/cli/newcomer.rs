//! What a newcomer stumbles over: printed commands that must work when they are pasted, files that are
//! almost a store, a disk that stands still, and papers that show what is printed.

use std::{fs, io::Read as _, process::Command};

use rusqlite::Connection;

use super::{demo_until, err, folder, greenroom, json, out, ran};

#[test]
fn the_commands_a_demo_prints_work_when_they_are_pasted() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = folder.path().join("the king's demo.db").to_string_lossy().into_owned();
    // The second one's agents have the names of the first one's.
    for _demo in ["first", "second"] {
        let demo = ran(&["demo", "--seed", "2", "--store", &store]);
        assert_eq!(demo.status.code(), Some(0), "{}", err(&demo));
        let said = out(&demo);
        let commands: Vec<&str> = said.lines().filter_map(|line| line.strip_prefix("  ")).collect();
        let commands: Vec<&&str> =
            commands.iter().filter(|line| line.contains("--store")).collect();
        assert_eq!(commands.len(), 3, "{said}");
        for command in commands.iter().take(2) {
            let pasted = Command::new("sh").arg("-c").arg(command).output().expect("a shell");
            assert_eq!(pasted.status.code(), Some(0), "{command}: {}", err(&pasted));
        }
    }
    let tree = out(&ran(&["tree", "--store", &store]));
    assert_eq!(tree.matches("total: ").count(), 1, "one sum over both:\n{tree}");
    let sessions = json(&out(&ran(&["sessions", "--store", &store, "--json"])));
    let agents: Vec<&str> = sessions
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|row| row["agent"].as_str())
        .collect();
    assert_eq!(agents.len(), 18);
    assert_eq!((agents[0], agents[9]), ("director", "director"), "tree by tree: {agents:?}");
}

#[test]
fn a_file_without_anything_in_it_is_one_to_begin_with() {
    let (_folder, store) = folder();
    fs::write(&store, "").expect("a file");
    let tree = ran(&["tree", "--store", &store]);
    assert_eq!(tree.status.code(), Some(1));
    assert!(err(&tree).contains("nothing is in it yet"), "{}", err(&tree));
    // As a demo leaves it that is killed before its first commit.
    let demo = ran(&["demo", "--seed", "2", "--store", &store]);
    assert_eq!(demo.status.code(), Some(0), "{}", err(&demo));
}

#[test]
fn a_store_that_cannot_be_written_for_now_is_said_to_be_one() {
    let (_folder, store) = folder();
    let (mut child, mut lines) = demo_until(&store, "calls prompt_book");
    let other = Connection::open(&store).expect("the store");
    other.execute_batch("BEGIN IMMEDIATE").expect("within SQLite's own patience");
    let mut line = String::new();
    while !line.contains("nothing can be written: another program holds the database") {
        line.clear();
        assert!(std::io::BufRead::read_line(&mut lines, &mut line).expect("its stderr") > 0);
    }
    other.execute_batch("ROLLBACK").expect("let go");
    let mut rest = String::new();
    lines.read_to_string(&mut rest).expect("its stderr");
    assert_eq!(child.wait().expect("it is ours").code(), Some(0), "{rest}");
}

#[test]
fn what_is_not_there_is_a_remark_and_no_result() {
    let (_folder, store) = folder();
    let demo = ran(&["demo", "--seed", "2", "--store", &store]);
    assert_eq!(demo.status.code(), Some(0), "{}", err(&demo));
    let log = ran(&["log", "lights", "--after", "99", "--store", &store]);
    assert_eq!((log.status.code(), out(&log)), (Some(0), String::new()));
    assert!(err(&log).contains("no frames after 99"), "{}", err(&log));
    let totals = greenroom(&["totals", "--store", &store]).env("RUST_LOG", "((").output();
    let totals = totals.expect("it runs");
    assert!(err(&totals).contains("log filter \"((\" is not understood"), "{}", err(&totals));
    assert!(out(&totals).starts_with("total: 19 model calls"), "{}", out(&totals));
}

/// What a tree shows apart from what a change of a prompt changes: agent, state, calls, restarts.
fn shape(line: &str) -> Option<Vec<String>> {
    let line = line.trim_start_matches(['├', '└', '─', ' ']);
    let words: Vec<&str> = line.split_whitespace().collect();
    let [agent, state, calls, _tokens, _money, restarts, _session] = words.as_slice() else {
        return None;
    };
    Some([agent, state, calls, restarts].map(|word| (*word).to_owned()).to_vec())
}

#[test]
fn the_readme_shows_the_tree_that_its_seed_prints() {
    let readme = include_str!("../../README.md");
    let shown = readme.split("AGENT        STATE").nth(1).expect("a tree in the README");
    let shown: Vec<_> = shown.split("```").next().unwrap_or_default().lines().collect();
    let (_folder, store) = folder();
    let demo = greenroom(&["demo", "--seed", "1", "--store", &store]).env("COLUMNS", "80").output();
    let printed = out(&demo.expect("it runs"));
    let drawn: Vec<_> = printed.lines().filter_map(shape).collect();
    let lines: Vec<_> = shown.iter().filter_map(|line| shape(line)).collect();
    assert!(lines.len() > 3, "{shown:?}");
    for line in lines.iter().skip(1) {
        assert!(drawn.contains(line), "{line:?} is not in:\n{printed}");
    }
    for line in ["total: 19 model calls, ", "       2 calls broke off: at most "] {
        assert!(
            printed.contains(line) && shown.iter().any(|shown| shown.starts_with(line)),
            "{line}"
        );
    }
}
