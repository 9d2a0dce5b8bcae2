//! A runtime of its own, in a process of its own, that can be killed like one: this test binary,
//! started again to play one part.

use std::{
    io::{BufRead as _, BufReader},
    process::{Child, Command, Stdio},
    time::Instant,
};

use greenroom::tools::custody::{Layer, Options};
use rustix::process::{Pid, Signal, kill_process};

use crate::hands::{Hands, eventually, mark, marked};

const PART: &str = "GREENROOM_TEST_PART";
const MARK: &str = "GREENROOM_TEST_MARK";

/// What each runtime has its tools do: leave, hide, refuse.
fn ways(mark: &str) -> [String; 4] {
    [
        format!("sleep {mark}"),
        format!("setsid sleep {mark} & sleep {mark}"),
        format!(
            "(setsid bash -c 'trap \"\" TERM HUP; (sleep {mark} &); sleep {mark}' &); sleep {mark}"
        ),
        format!(
            "nohup setsid env -i bash -c '(exec sleep {mark} &) ; exec sleep {mark}' >&- 2>&- & wait"
        ),
    ]
}

/// Processes of them all, once all run.
const PROCESSES: usize = 8;

/// The part: it does nothing unless it is asked to by the variable.
#[tokio::test(flavor = "multi_thread")]
async fn plays_a_runtime() {
    let (Ok(part), Ok(mark)) = (std::env::var(PART), std::env::var(MARK)) else { return };
    let without = if part == "bare" { vec![Layer::Processes] } else { vec![] };
    let hands = Hands::with(Options { without, ..Options::default() });
    println!("ready");
    let ways = ways(&mark);
    let calls = ways.iter().map(|way| hands.shell_for(600_000, way));
    futures_util::future::join_all(calls).await;
}

fn start(part: &str, mark: &str) -> Child {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "roles::plays_a_runtime", "--nocapture"])
        .envs([(PART, part), (MARK, mark)])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(lines.map_while(Result::ok).any(|line| line.contains("ready")), "it did not start");
    child
}

/// The host that this process started last.
fn hosts_of(runtime: u32) -> Vec<Pid> {
    let tasks = std::fs::read_dir(format!("/proc/{runtime}/task")).unwrap().flatten();
    let lists = tasks.filter_map(|task| std::fs::read_to_string(task.path().join("children")).ok());
    let all: Vec<i32> = lists
        .flat_map(|list| {
            list.split_whitespace().map(|pid| pid.parse().unwrap()).collect::<Vec<_>>()
        })
        .collect();
    let is_host = |pid: &i32| {
        let name = std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
        name.trim() == "greenroom-host"
    };
    all.into_iter().filter(is_host).filter_map(Pid::from_raw).collect()
}

/// Kills a runtime at work; how long its tools outlived it.
fn kill_one(part: &str) -> u64 {
    let mark = mark();
    let mut runtime = start(part, &mark);
    // Its shells name the mark too.
    eventually(20_000, "all run", || marked(&mark).len() >= PROCESSES);
    runtime.kill().unwrap();
    runtime.wait().unwrap();
    eventually(2_000, "nobody is left", || marked(&mark).is_empty())
}

fn kill_many(runs: usize) {
    for part in ["full", "bare"] {
        let mut took: Vec<u64> = (0..runs).map(|_| kill_one(part)).collect();
        took.sort_unstable();
        println!("{part}: {runs} runs, nobody left after {took:?} ms");
    }
}

#[test]
fn nobody_outlives_a_killed_runtime_by_two_seconds() {
    kill_many(3);
}

/// The long version: `GREENROOM_KILL_RUNS=100 cargo test --test tools outlives_a_killed`.
#[test]
fn nobody_outlives_a_killed_runtime_in_many_runs() {
    if let Ok(runs) = std::env::var("GREENROOM_KILL_RUNS") {
        kill_many(runs.parse().unwrap());
    }
}

#[test]
fn a_killed_host_takes_everybody_along_and_so_does_a_killed_init_that_had_no_namespace() {
    for part in ["full", "bare"] {
        let mark = mark();
        let mut runtime = start(part, &mark);
        eventually(20_000, "all run", || marked(&mark).len() >= PROCESSES);
        for host in hosts_of(runtime.id()) {
            kill_process(host, Signal::KILL).unwrap();
        }
        eventually(2_000, "nobody is left", || marked(&mark).is_empty());
        runtime.kill().unwrap();
        runtime.wait().unwrap();
    }
}

#[test]
fn what_a_dead_runtime_left_is_swept_by_the_next() {
    // Nobody comes through custody, so the left-over is made by hand: a process that says it belongs
    // to a runtime that never was.
    let mark = mark();
    let space: String = std::fs::read_link("/proc/self/ns/pid")
        .unwrap()
        .to_string_lossy()
        .chars()
        .filter(char::is_ascii_digit)
        .collect();
    let sleeper = |pid: u32, start: &str| {
        let tag = format!("{space}.{pid}.{start}");
        Command::new("sleep").arg(&mark).env("GREENROOM_CUSTODY", tag).spawn().unwrap()
    };
    let mut left = sleeper(4_194_999, "77");
    let begun = Instant::now();
    let hands = Hands::new();
    assert!(hands.custody.swept() >= 1, "in {:?}", begun.elapsed());
    assert!(!left.wait().unwrap().success());
    assert_eq!(marked(&mark), [0_u32; 0]);
}

#[tokio::test]
async fn a_host_that_was_killed_is_replaced() {
    if std::env::var(PART).is_err() {
        // Alone in a process, for the hosts of other tests look the same.
        let status = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "roles::a_host_that_was_killed_is_replaced"])
            .envs([(PART, "killer")])
            .stdout(Stdio::null())
            .status()
            .unwrap();
        assert!(status.success());
        return;
    }
    let hands = Hands::new();
    hands.exec(&["true"]).await.fine();
    let hosts = hosts_of(std::process::id());
    assert_eq!(hosts.len(), 1);
    let mark = mark();
    let command = format!("sleep {mark}");
    let tool = hands.shell_for(20_000, &command);
    let killer = async {
        // With the order in its hands, not before.
        while marked(&mark).is_empty() {
            tokio::task::yield_now().await;
        }
        hosts.into_iter().for_each(|host| kill_process(host, Signal::KILL).unwrap());
    };
    let (told, ()) = tokio::join!(tool, killer);
    assert!(told.took_ms < 3_000, "{told:?}");
    assert!(told.bad().contains("its host died"));
    assert_eq!(hands.exec(&["echo", "again"]).await.fine(), "again\n");
    // One that was stopped cannot answer: the call ends by its deadline, custody ends all the same.
    for host in hosts_of(std::process::id()) {
        kill_process(host, Signal::STOP).unwrap();
    }
    let told = hands.shell_for(200, "echo never").await;
    assert!(told.took_ms < 3_200, "{told:?}");
    told.bad();
    drop(hands);
    assert_eq!(hosts_of(std::process::id()), [], "it ends with custody");
}
