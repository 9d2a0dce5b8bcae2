//! The oracle of the shell analyser: commands that a policy allows are run for real on a throw-away
//! stage, the kernel tells which programs they execute and which files they open or change, and all of
//! it must be among what the analyser foresaw. Whatever a rule denies to be read must never be read.
//!
//! ```text
//!   generator ─▶ decide: allowed? ─▶ starter ─▶ bash -c … ─▶ programs
//!                       │               ▲ stops at calls        │
//!                    foresight ─▶ judge ◀── deeds ◀── tracer ◀──╯
//! ```
//!
//! `cargo test --test oracle -- --commands 100000 --seed 7`; without arguments 5,000 commands from a
//! fixed seed. The last line is `N commands, N surprises`. Before it begins it looks whether a wrong
//! prediction is found out.
//!
//! `-- --cases FILE` runs nothing: each recorded case is decided in every disguise.
#![expect(clippy::print_stdout, reason = "the report is what this program is for")]

#[cfg(target_os = "linux")]
mod calls;
#[cfg(target_os = "linux")]
#[path = "../crash/chance.rs"]
mod chance;
mod disguised;
#[cfg(target_os = "linux")]
mod generate;
#[cfg(target_os = "linux")]
mod judge;
#[cfg(target_os = "linux")]
mod rounds;
#[cfg(target_os = "linux")]
mod stage;
#[cfg(target_os = "linux")]
mod starter;
#[cfg(target_os = "linux")]
mod trace;
#[cfg(target_os = "linux")]
mod words;

use std::process::exit;

/// Commands without an argument.
const COMMANDS: usize = 5_000;
/// The seed without an argument: what fails once fails again.
const SEED: u64 = 45;

/// What is to be tried.
#[derive(Clone, Copy, Debug)]
struct Plan {
    commands: usize,
    seed: u64,
}

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    exit(match words.as_slice() {
        #[cfg(target_os = "linux")]
        ["starter", stage] => match starter::run(stage.as_ref()) {
            Ok(()) => 0,
            Err(error) => {
                eprintln!("the starter: {error}");
                2
            }
        },
        ["--cases", file] => count(disguised::run(file.as_ref())),
        words => try_all(words),
    });
}

fn try_all(words: &[&str]) -> i32 {
    let mut plan = Plan { commands: COMMANDS, seed: SEED };
    let mut words = words.iter();
    while let Some(word) = words.next() {
        match *word {
            "--commands" | "--seed" => match words.next().and_then(|text| text.parse().ok()) {
                Some(number) if *word == "--seed" => plan.seed = number,
                Some(number) => plan.commands = usize::try_from(number).unwrap_or(COMMANDS),
                None => {
                    println!("oracle [--commands N] [--seed S]");
                    return 2;
                }
            },
            "--list" => return 0,
            // What cargo passes on to every test program; some of it with a value.
            "--test-threads" | "--format" | "--color" | "--logfile" | "-Z" => drop(words.next()),
            "--skip" => match words.next() {
                Some(filter) if "oracle".contains(filter) => return 0,
                _ => {}
            },
            flag if flag.starts_with('-') => {}
            filter if "oracle".contains(filter) => {}
            filter => {
                println!("oracle: {filter:?} does not name this test; nothing was run");
                return 0;
            }
        }
    }
    run(plan)
}

#[cfg(target_os = "linux")]
fn run(plan: Plan) -> i32 {
    count(rounds::run(plan))
}

fn count(found: std::io::Result<usize>) -> i32 {
    match found {
        Ok(found) => i32::from(found > 0),
        Err(error) => {
            println!("the oracle itself failed: {error}");
            2
        }
    }
}

#[cfg(not(target_os = "linux"))]
fn run(_plan: Plan) -> i32 {
    println!("oracle: commands run on Linux only; nothing was run");
    0
}
