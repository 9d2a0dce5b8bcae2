//! Streams of model services as they go wrong: served by a process of its own over real sockets, cut
//! at every byte, in two ways, and read by the adapters. Whatever is cut, an answer is either whole
//! or a failure: never a short answer, never half a tool call.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[allow(dead_code, unreachable_pub, reason = "the example uses the rest")]
#[path = "../examples/replay_cases/case.rs"]
mod case;

use std::{
    collections::BTreeMap,
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::Arc,
};

use futures_util::{StreamExt as _, stream};
use greenroom::{
    clock::SystemClock,
    providers::{Patience, Setup, Way, connect, preset},
};
use greenroom_actors::{
    domain::{
        agent::Sampling,
        conversation::{Message, Reply},
        event::{FailureKind, ModelFailure},
        ids::{CallId, ModelCallNo, SessionId, TurnId},
        model::{ModelEvent, ModelRequest},
    },
    ports::{Clock as _, ModelProvider as _},
};

use case::Case;

/// Made by hand: what recordings lack.
const SYNTHETIC: &str = "tests/fixtures/providers/synthetic.jsonl";
/// Answers as services give them that keep to a protocol in their own way.
const ODD: &str = "tests/fixtures/providers/odd.jsonl";
/// Calls at a time.
const AT_ONCE: usize = 32;

/// The example's binary, beside the folder of the tests.
fn replayer() -> PathBuf {
    let me = std::env::current_exe().expect("a test has a path");
    let profile = me.parent().and_then(Path::parent).expect("target/PROFILE/deps/…");
    profile.join("examples/replay_cases")
}

struct Server(Child, String);

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

fn server() -> Server {
    let spawned =
        Command::new(replayer()).args(["serve", SYNTHETIC]).stdout(Stdio::piped()).spawn();
    let mut child = spawned.expect("cargo builds examples with the tests");
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let address = line.trim().strip_prefix("listening on ").expect("it listens").to_owned();
    Server(child, address)
}

fn request() -> ModelRequest {
    ModelRequest {
        call: CallId::model(SessionId(uuid::Uuid::nil()), ModelCallNo(1)),
        agent: "reader".into(),
        turn: TurnId(1),
        deadline: SystemClock.now().plus_ms(60_000),
        model: "model".into(),
        instructions: String::new(),
        tools: Arc::default(),
        messages: vec![Arc::new(Message::user("Go on."))],
        sampling: Sampling::default(),
        images: BTreeMap::new(),
    }
}

/// What comes of a case that is served this way, in pieces of 64 bytes.
async fn call(
    way: &Way,
    server: &str,
    (no, case): (usize, &Case),
    cut: &str,
) -> Result<Reply, ModelFailure> {
    let kind = case.kind().expect("a call of a model");
    let mut setup = Setup::new("cut", kind, format!("{server}/{no}/64/{cut}"));
    setup.stream = case.is_stream();
    // As OpenAI is set up: its streams have a closing word. Of a server without one, an end of the body
    // behind a reason to stop is the end, and then the usage may be missing.
    setup.quirks = preset("openai_chat").unwrap().quirks;
    let events: Vec<_> = connect(way, setup).unwrap().call(request()).collect().await;
    let ends = |event: &Result<ModelEvent, ModelFailure>| {
        matches!(event, Err(_) | Ok(ModelEvent::Finished { .. }))
    };
    assert_eq!(events.iter().filter(|event| ends(event)).count(), 1, "{}: {events:?}", case.id);
    match events.into_iter().next_back().expect("it ends") {
        Ok(ModelEvent::Finished { reply }) => Ok(*reply),
        Err(failure) => Err(failure),
        Ok(other) => panic!("{}: the last event is {other:?}", case.id),
    }
}

fn way() -> Way {
    Way::new(Arc::new(SystemClock), Patience::default(), None).unwrap()
}

#[test]
fn the_synthetic_exchanges_are_read_right_in_pieces_of_every_size() {
    all_are_read_right(SYNTHETIC);
}

#[test]
fn what_services_do_in_their_own_way_is_read_as_the_vendors_clients_read_it() {
    all_are_read_right(ODD);
}

fn all_are_read_right(file: &str) {
    let ran = Command::new(replayer()).arg(file).output().unwrap();
    let said = String::from_utf8_lossy(&ran.stdout);
    let cases = case::read(Path::new(file)).unwrap().len();
    assert!(ran.status.success(), "{said}");
    assert!(said.ends_with(&format!("\n{cases} passed, 0 failed\n")), "{said}");
}

#[test]
fn a_file_that_cannot_be_read_is_said_with_its_line() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("broken.jsonl");
    std::fs::write(&path, "\n{\"id\": 1}\n").unwrap();
    let ran = Command::new(replayer()).arg(&path).output().unwrap();
    assert_eq!(ran.status.code(), Some(2));
    let said = String::from_utf8_lossy(&ran.stderr);
    assert!(said.contains("broken.jsonl:2:"), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_cut_at_any_byte_is_whole_or_a_failure_and_never_a_short_answer() {
    let server = server();
    let way = way();
    let cases = case::read(Path::new(SYNTHETIC)).unwrap();
    let streams: Vec<_> =
        cases.iter().enumerate().filter(|(_, case)| !case.is_error() && case.is_stream()).collect();
    assert!(streams.len() >= 10, "{} streams", streams.len());
    let mut failed = 0_usize;
    for (no, case) in streams {
        let whole = call(&way, &server.1, (no, case), "-").await.unwrap();
        let bytes = case.body().unwrap().len();
        let cuts = (0..bytes).flat_map(|at| [format!("e{at}"), format!("x{at}")]);
        let came = stream::iter(cuts).map(|cut| {
            let (way, address) = (way.clone(), server.1.clone());
            async move { (call(&way, &address, (no, case), &cut).await, cut) }
        });
        let mut came = std::pin::pin!(came.buffer_unordered(AT_ONCE));
        while let Some((came, cut)) = came.next().await {
            match came {
                Ok(reply) => assert_eq!(reply, whole, "{} cut at {cut}", case.id),
                Err(failure) => {
                    failed += 1;
                    let kinds = [FailureKind::EndedEarly, FailureKind::Transport];
                    assert!(kinds.contains(&failure.kind), "{} cut at {cut}: {failure:?}", case.id);
                    assert!(failure.retryable && !failure.unbilled, "{failure:?}");
                }
            }
        }
    }
    // Nearly every cut loses the end.
    assert!(failed > 10_000, "{failed} failed");
}
