//! Recorded exchanges with real model services, replayed through the adapters over real sockets:
//! every answer is served by a process of its own, at once and in pieces of 64, 7 and 1 bytes, and what
//! the adapter makes of it is held against what the vendor's SDK made of it, or against a second,
//! naive reading. A record without either must still be read without an error, and a recorded error
//! must become a failure of the right class.
//!
//! `cargo run --release --example replay_cases -- FILE.jsonl.gz`
//!
//! A line of the file is one exchange: `id`, `provider`, `family`, `api`, `path`, `model`, `status`,
//! `headers`, `request_body`, `response_b64` (the exact bytes), `tags` and, where it is known,
//! `expected`; of a chat `expected.reasoning` is what a person can read of it, and `tags.failure` is the
//! kind that an error must become. `replay_cases shapes FILE FOLDER` writes down which fields accepted requests have, a file
//! for each format. It ends with `N passed, N failed`, and fails where one did.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "it shows what it found")]
#![allow(unreachable_pub, reason = "its parts are shared with a test")]

mod case;
mod check;
mod oracle;
#[path = "../../benches/support/posted.rs"]
mod posted;
mod server;
mod shape;

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, ExitCode, Stdio},
    sync::Arc,
};

use futures_util::{StreamExt as _, stream};
use greenroom::{
    clock::SystemClock,
    providers::{Kind, Patience, Setup, Way, connect},
};
use greenroom_actors::{
    domain::{
        agent::Sampling,
        conversation::{Message, Reply},
        event::ModelFailure,
        ids::{AgentName, CallId, ModelCallNo, ModelName, SessionId, TurnId},
        model::{ModelEvent, ModelRequest},
    },
    ports::{Clock as _, ModelProvider as _},
};

use case::Case;

/// Bytes at a time; 0 is all at once.
const CHUNKS: [usize; 4] = [0, 64, 7, 1];
/// Exchanges at a time.
const AT_ONCE: usize = 16;

#[tokio::main]
async fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let done = match args.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["serve", file] => server::serve(Path::new(file)).await.map(|()| true),
        ["shapes", file, folder] => shapes(Path::new(file), Path::new(folder)).map(|()| true),
        [file] => replay(PathBuf::from(file)).await,
        _other => Err("expected one argument: replay_cases FILE.jsonl[.gz]".to_owned()),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(why) => {
            eprintln!("replay_cases: {why}");
            ExitCode::from(2)
        }
    }
}

/// Writes the shape of all accepted requests of each format.
fn shapes(file: &Path, folder: &Path) -> Result<(), String> {
    let mut all: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for case in case::read(file)?.iter().filter(|case| case.status == 200) {
        let body = case.request_body.as_deref().and_then(|body| serde_json::from_str(body).ok());
        if let (Some(kind), Some(body)) = (case.kind(), body) {
            all.entry(shape::file(kind)).or_default().extend(shape::of(&body));
        }
    }
    for (name, lines) in all {
        let path = folder.join(name);
        let text: String = lines.into_iter().map(|line| line + "\n").collect();
        std::fs::write(&path, text).map_err(|error| format!("{}: {error}", path.display()))?;
    }
    Ok(())
}

/// The server's process; it goes with this one.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself; then there is nothing to stop.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

fn start(file: &Path) -> Result<(Server, String), String> {
    let me = std::env::current_exe().map_err(|error| error.to_string())?;
    let spawned = Command::new(me).arg("serve").arg(file).stdout(Stdio::piped()).spawn();
    let mut child = spawned.map_err(|error| format!("start the server: {error}"))?;
    let out = child.stdout.take().ok_or("the server has no output")?;
    let mut line = String::new();
    BufReader::new(out).read_line(&mut line).map_err(|error| error.to_string())?;
    let address = line.trim().strip_prefix("listening on ").map(str::to_owned);
    Ok((Server(child), address.ok_or("the server did not say where it listens")?))
}

/// How the exchanges of one vendor went.
#[derive(Default)]
struct Tally {
    passed: u32,
    failed: u32,
    without: u32,
}

async fn replay(file: PathBuf) -> Result<bool, String> {
    let cases = case::read(&file)?;
    let (_server, address) = start(&file)?;
    let way = Way::new(Arc::new(SystemClock), Patience::default(), None);
    let way = way.map_err(|error| error.to_string())?;
    let mut skipped = 0;
    let mut tallies: BTreeMap<String, Tally> = BTreeMap::new();
    let replayed = stream::iter(cases.iter().enumerate())
        .map(|(no, case)| {
            let (way, address) = (way.clone(), address.clone());
            async move { (case, one(&way, &address, no, case).await) }
        })
        .buffered(AT_ONCE);
    let mut replayed = std::pin::pin!(replayed);
    while let Some((case, outcome)) = replayed.next().await {
        let tally = tallies.entry(format!("{} {}", case.provider, case.api)).or_default();
        tally.without += u32::from(case.expected.is_none());
        match outcome {
            None => skipped += 1,
            Some(Ok(())) => tally.passed += 1,
            Some(Err(why)) => {
                tally.failed += 1;
                let why: String = why.chars().take(600).collect();
                println!("FAILED {}: {why}", case.id);
            }
        }
    }
    println!("{:<34} {:>7} {:>7}   of them without `expected`", "vendor", "passed", "failed");
    for (vendor, tally) in &tallies {
        println!("{vendor:<34} {:>7} {:>7} {:>12}", tally.passed, tally.failed, tally.without);
    }
    if skipped > 0 {
        println!("{skipped} are no calls of a model and were left out");
    }
    let passed: u32 = tallies.values().map(|tally| tally.passed).sum();
    let failed: u32 = tallies.values().map(|tally| tally.failed).sum();
    println!("{passed} passed, {failed} failed");
    Ok(failed == 0)
}

/// One exchange in all chunkings: each must be right, and all alike.
async fn one(way: &Way, address: &str, no: usize, case: &Case) -> Option<Result<(), String>> {
    let kind = case.kind()?;
    for chunk in CHUNKS {
        let came = call(way, &format!("{address}/{no}/{chunk}/-"), kind, case).await;
        let checked = came.and_then(|came| check::check(case, kind, &came));
        if let Err(why) = checked {
            return Some(Err(format!("in pieces of {chunk}: {why}")));
        }
    }
    Some(Ok(()))
}

async fn call(
    way: &Way,
    base_url: &str,
    kind: Kind,
    case: &Case,
) -> Result<Result<Reply, ModelFailure>, String> {
    let mut setup = Setup::new("recorded", kind, base_url);
    setup.stream = case.is_stream();
    let vendor = connect(way, setup).map_err(|error| error.to_string())?;
    let mut events = vendor.call(request(case));
    while let Some(event) = events.next().await {
        match event {
            Ok(ModelEvent::Finished { reply }) => {
                return match events.next().await {
                    None => Ok(Ok(*reply)),
                    Some(more) => Err(format!("after its end came {more:?}")),
                };
            }
            Ok(_piece) => {}
            Err(failure) => return Ok(Err(failure)),
        }
    }
    Err("the stream had no end".to_owned())
}

fn request(case: &Case) -> ModelRequest {
    ModelRequest {
        call: CallId::model(SessionId(uuid::Uuid::nil()), ModelCallNo(1)),
        agent: AgentName::from("replay"),
        turn: TurnId(1),
        deadline: SystemClock.now().plus_ms(60_000),
        model: ModelName(case.model.clone().unwrap_or_else(|| "model".to_owned())),
        instructions: String::new(),
        tools: Arc::default(),
        messages: vec![Arc::new(Message::user("Go on."))],
        sampling: Sampling::default(),
        images: BTreeMap::new(),
    }
}
