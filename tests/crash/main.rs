//! The kill driver. One program plays four roles, by its first argument: the runtime that is
//! killed, the vendor and the sink that live on, and, without one, the driver.
//!
//! ```text
//!            orders, acknowledgements
//!   driver ◄──────────────────────────► runtime ◄── kill -9, abort at a named point
//!     │ notes      calls, over the adapter │ │ effects
//!   client.jsonl            model.jsonl ◄──╯ ╰──► sink.jsonl
//! ```
//!
//! Models are called as real ones are: the runtime's own adapter reads a stream of events over
//! HTTP from the vendor, and a kill may fall anywhere in it.
//!
//! `cargo test --test crash -- --kills 3000 --seed 7`; without arguments 150 kills from a fresh
//! seed, which is printed, and each abort point three times. The last line is
//! `N kills, N violations`. The self-test comes first: a run without kills must be clean, and each
//! checker must flag what is planted into its facts.
#![expect(clippy::print_stdout, reason = "the report is what this program is for")]
#![expect(clippy::wildcard_enum_match_arm, reason = "a checker looks at the events it is about")]

mod chance;
mod check;
mod chunks;
mod client;
mod control;
mod coverage;
mod driver;
mod facts;
mod http;
mod load;
#[allow(dead_code, reason = "its own test uses more of it than the driver")]
mod model;
mod planted;
mod remote;
mod rounds;
mod runtime;
#[allow(dead_code, reason = "its own test uses more of it than the driver")]
mod sink;
mod socket;
mod vendor;
#[allow(dead_code, reason = "its own test uses more of it than the driver")]
mod wire;

use std::{path::Path, process::exit};

/// Kills without an argument.
const KILLS: u64 = 150;

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    let code = match words.as_slice() {
        ["runtime", store, model, sink, rest @ ..] => play(store, (model, sink), rest),
        ["model", script, journal] => helper(async {
            let script = std::fs::read_to_string(script)?;
            vendor::serve(&script, Path::new(journal)).await
        }),
        ["sink", journal] => helper(sink::serve(Path::new(journal))),
        words => drive(words),
    };
    exit(code);
}

fn play(store: &str, (model, sink): (&str, &str), rest: &[&str]) -> i32 {
    let abort = match rest {
        ["--abort-at", point, "--nth", nth] => {
            Some(((*point).to_owned(), nth.parse().unwrap_or(1)))
        }
        _ => None,
    };
    let (Ok(model), Ok(sink)) = (model.parse(), sink.parse()) else { return 2 };
    runtime::play(&runtime::Args { store: store.into(), model, sink, abort })
}

fn helper(role: impl Future<Output = std::io::Result<()>>) -> i32 {
    let tokio = tokio::runtime::Builder::new_current_thread().enable_all().build();
    match tokio.and_then(|tokio| tokio.block_on(role)) {
        Ok(()) => 0,
        Err(error) => {
            eprintln!("{error}");
            2
        }
    }
}

fn drive(words: &[&str]) -> i32 {
    let mut plan = rounds::Plan { kills: KILLS, seed: wire::wall_ns(), aborts: true, keep: false };
    let mut words = words.iter();
    while let Some(word) = words.next() {
        match *word {
            "--kills" => match words.next().and_then(|text| text.parse().ok()) {
                Some(kills) => plan.kills = kills,
                None => return usage(),
            },
            "--seed" => match words.next().and_then(|text| text.parse().ok()) {
                Some(seed) => plan.seed = seed,
                None => return usage(),
            },
            "--no-aborts" => plan.aborts = false,
            "--keep" => plan.keep = true,
            "--list" => return 0,
            // What cargo passes on to every test program; some of it with a value.
            "--test-threads" | "--format" | "--color" | "--logfile" | "-Z" => drop(words.next()),
            "--skip" => match words.next() {
                Some(filter) if "crash".contains(filter) => return 0,
                _ => {}
            },
            flag if flag.starts_with('-') => {}
            filter if "crash".contains(filter) => {}
            filter => {
                println!("crash: {filter:?} does not name this test; nothing was run");
                return 0;
            }
        }
    }
    match rounds::run(&plan) {
        Ok(violations) => i32::from(violations > 0),
        Err(error) => {
            println!("the driver itself failed: {error}");
            2
        }
    }
}

fn usage() -> i32 {
    println!("crash [--kills N] [--seed S] [--no-aborts] [--keep]");
    2
}
