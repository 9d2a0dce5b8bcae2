//! V6: answers without an end. Each is cut at its limit with a reason, and what is held of it meanwhile
//! is bounded: measured in a process of its own, in which the vendor makes its answers as it sends them.

use std::{env, fs, process::Command};

use bytes::Bytes;
use greenroom::providers::Kind;
use greenroom_actors::{domain::event::FailureKind, limits};

use crate::{
    house::{call, name, text, vendor, way},
    server::Server,
    speech::{self, Call, KINDS, begins, called, ends, piece, streams},
};

/// Set in the process that is measured.
const PART: &str = "GREENROOM_VENDORS_PART";
/// What the answers may add to the process, all of them one after the other.
const RSS_BYTES: usize = 32 << 20;

/// The most that this process ever had in memory.
fn peak() -> usize {
    let status = fs::read_to_string("/proc/self/status").expect("this machine has /proc");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("VmHWM");
    let kib: usize = line.trim().trim_end_matches(" kB").parse().expect("a number");
    kib * 1024
}

#[test]
fn answers_without_an_end_are_cut_and_held_in_bounded_memory() {
    if env::var(PART).is_ok() {
        println!();
        let mut runtime = tokio::runtime::Builder::new_multi_thread();
        return runtime.worker_threads(2).enable_all().build().unwrap().block_on(play());
    }
    let me = env::current_exe().expect("this very program");
    let test = "caps::answers_without_an_end_are_cut_and_held_in_bounded_memory";
    let played = Command::new(me).args(["--exact", test, "--nocapture"]).env(PART, "").output();
    let played = played.expect("it runs");
    let said = String::from_utf8_lossy(&played.stdout);
    println!("{said}");
    assert!(played.status.success(), "{said}{}", String::from_utf8_lossy(&played.stderr));
    let grown = said.lines().find_map(|line| line.strip_prefix("grown by ")).expect("it measured");
    let grown: usize = grown.parse().expect("a number");
    assert!(grown <= RSS_BYTES, "{grown} bytes more than before");
}

async fn play() {
    for kind in KINDS {
        let server = Server::new(move |_asked, _no| speech::says(kind, "Warm.")).await;
        call(&vendor(&way(), kind, &server.url)).await.unwrap();
    }
    let before = peak();
    for kind in KINDS {
        hundred_megabytes_of_text(kind).await;
        a_line_of_ten_megabytes(kind).await;
        ten_thousand_calls(kind).await;
        println!("{}: {} bytes more", name(kind), peak() - before);
    }
    a_million_tiny_pieces().await;
    println!("grown by {}", peak() - before);
}

/// The failure of a call, whose reason must be this.
async fn refused(kind: Kind, server: &Server, reason: &str) {
    let failure = call(&vendor(&way(), kind, &server.url)).await.unwrap_err();
    let told = (failure.kind, failure.retryable, failure.unbilled);
    assert_eq!(told, (FailureKind::Malformed, false, false), "{kind:?}: {failure:?}");
    assert!(failure.message.contains(reason), "{kind:?}: {failure:?}");
    crate::props::seen("the connection is let go", || server.busy() == 0).await;
}

async fn hundred_megabytes_of_text(kind: Kind) {
    let frame = Bytes::from(piece(kind, &"All work and no play. ".repeat(3_000)));
    let many = 100_000_000 / frame.len();
    let server = Server::new(move |_asked, _no| {
        let frames = std::iter::repeat_n(frame.clone(), many);
        streams(kind, begins(kind)).pieces(frames)
    })
    .await;
    let reason = format!("the answer is larger than {} bytes", limits::WIRE_REPLY_BYTES);
    refused(kind, &server, &reason).await;
    assert!(server.pieces() < many / 4, "{kind:?}: {} pieces were read", server.pieces());
}

async fn a_line_of_ten_megabytes(kind: Kind) {
    let server = Server::new(move |_asked, _no| {
        let begin = if kind == Kind::Ollama { "{\"model\":\"" } else { "data: {\"type\":\"" };
        let more = std::iter::repeat_n(Bytes::from(vec![b'x'; 64 * 1024]), 160);
        streams(kind, begin.to_owned()).pieces(more)
    })
    .await;
    let reason = format!("one event is larger than {} bytes", limits::WIRE_EVENT_BYTES);
    refused(kind, &server, &reason).await;
}

async fn ten_thousand_calls(kind: Kind) {
    let server = Server::new(move |_asked, _no| {
        let calls = (0..10_000).map(move |no| {
            let call = Call { id: "same", name: "look", args: "{\"at\":\"the sky\"}" };
            Bytes::from(called(kind, no, &call))
        });
        streams(kind, begins(kind)).pieces(calls)
    })
    .await;
    refused(kind, &server, "the answer has more than").await;
}

/// A million of them are one answer of a megabyte: odd, and no reason to refuse it.
async fn a_million_tiny_pieces() {
    let kind = Kind::OpenAiChat;
    let tiny = Bytes::from(piece(kind, "x").repeat(1_000));
    let server = Server::new(move |_asked, _no| {
        let tiny = std::iter::repeat_n(tiny.clone(), 1_000);
        streams(kind, begins(kind)).pieces(tiny.chain(std::iter::once(ends(kind).into())))
    })
    .await;
    let reply = call(&vendor(&way(), kind, &server.url)).await.unwrap();
    assert_eq!(text(&reply), "x".repeat(1_000_000));
}
