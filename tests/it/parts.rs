//! Processes that tests start: this program once more, told by its environment which part to play.
//! Owns the one way in. The test harness owns `main`, so a process enters as the run of a single
//! test; nothing else in this program may look for a part.

use std::{env, future::Future, process::Command};

use crate::{jobs, killed, leaks, restart, store};

/// The part to play.
const PART: &str = "GREENROOM_PART";

/// All parts, by the names under which tests ask for them.
const PARTS: [(&str, fn()); 6] = [
    (jobs::killed::PART, jobs::killed::play),
    (killed::PART, killed::play),
    (leaks::PART, leaks::play),
    (leaks::parent::PART, leaks::parent::play),
    (restart::PART, restart::play),
    (store::PART, store::play),
];

/// A process that will play this part; what the part needs besides is for the caller to add.
pub fn process(part: &str) -> Command {
    let mut command = Command::new(env::current_exe().expect("this very program"));
    command.args(["--exact", "parts::a_process_plays_the_part_it_is_told_or_fails", "--nocapture"]);
    command.env(PART, part);
    command
}

/// Plays as most tests do: on a runtime of two threads.
pub fn on_two_threads(part: impl Future<Output = ()>) {
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    runtime.worker_threads(2).enable_all().build().expect("a runtime").block_on(part);
}

/// The way in. Without a part it tests itself: a part that nobody plays must fail, or a test whose
/// process does nothing would believe what it sees.
#[test]
fn a_process_plays_the_part_it_is_told_or_fails() {
    let Ok(told) = env::var(PART) else {
        let output = process("nobody's").output().expect("it runs");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success(), "a part that nobody plays");
        assert!(said.contains("no part is called \"nobody's\""), "{said}");
        return;
    };
    // The test harness leaves its line open, and parents read line by line.
    println!();
    let play = PARTS.iter().find(|(part, _)| *part == told);
    let (_, play) = play.unwrap_or_else(|| panic!("no part is called {told:?}"));
    play();
}
