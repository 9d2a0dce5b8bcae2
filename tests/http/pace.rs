//! Connections that are slow on purpose: half a head, half a body, a byte a second. They hold a place and
//! nobody up, and are closed when their time is over. It takes half a minute of real time, for the times
//! are those of the face itself.

use std::time::Duration;

use futures_util::future::join_all;
use greenroom::Timestamp;
use greenroom_actors::{Clock, testing::harness::bounded};
use serde_json::json;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use super::{
    client::Client,
    theatre::{Theatre, at},
};

/// Those that send half a head, and those that send half a body.
const HEADS: usize = 200;
const BODIES: usize = 100;
/// How long a head may take, a silent body, and a body altogether, each with a margin for a busy machine.
const HEAD_MS: u64 = 10_000;
const SILENT_MS: u64 = 10_000;
const BODY_MS: u64 = 30_000;
const MARGIN_MS: u64 = 15_000;

/// A connection that has sent this much, and when it began.
async fn begun(client: &Client, clock: &dyn Clock, bytes: &[u8]) -> (TcpStream, Timestamp) {
    let began = clock.running();
    let mut stream = TcpStream::connect(client.at).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    (stream, began)
}

/// What a connection that says nothing more is told before it is closed, and after how long that was.
async fn closed((mut stream, began): (TcpStream, Timestamp), clock: &dyn Clock) -> (String, u64) {
    let mut told = Vec::new();
    let wait = Duration::from_millis(BODY_MS + MARGIN_MS);
    let end = tokio::time::timeout(wait, stream.read_to_end(&mut told)).await;
    // A reset closes it as well.
    drop(end.expect("the connection is closed"));
    (String::from_utf8_lossy(&told).into_owned(), clock.running().since_ms(began))
}

/// A body that says it is 64 KiB and comes a byte a second, until nobody takes it any more.
async fn dripping(client: &Client, head: &str, clock: &dyn Clock) -> (String, u64) {
    let (stream, began) = begun(client, clock, head.as_bytes()).await;
    let (mut from, mut into) = stream.into_split();
    let drip = async {
        while into.write_all(b" ").await.is_ok() {
            clock.after(1_000).await;
        }
    };
    let mut told = Vec::new();
    let wait = Duration::from_millis(BODY_MS + MARGIN_MS);
    let read = tokio::time::timeout(wait, from.read_to_end(&mut told));
    tokio::select! {
        end = read => drop(end.expect("the connection is closed")),
        () = drip => panic!("it was closed without a word"),
    }
    (String::from_utf8_lossy(&told).into_owned(), clock.running().since_ms(began))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_slow_on_purpose_holds_nobody_up_and_is_closed() {
    let theatre = Theatre::open().await;
    let session = theatre.session("echo").await;
    let (admin, clock) = (&theatre.admin, greenroom::app::clock());
    let clock = &*clock;
    let kind = ("Content-Type", "application/json");
    let whole = admin.head("POST", &at(&session, "rename"), &[kind, ("Content-Length", "65536")]);
    let whole = whole + "\r\n";
    let half = admin.head("GET", "/v1/status", &[]);
    let heads = join_all((0..HEADS).map(|_| begun(admin, clock, half.as_bytes()))).await;
    let body = format!("{whole}{{\"name\": ");
    let bodies = join_all((0..BODIES).map(|_| begun(admin, clock, body.as_bytes()))).await;
    let good = async {
        for no in 0..200 {
            admin.get("/v1/status").await.is(200);
            let named = json!({ "name": format!("take {no}") });
            admin.post(&at(&session, "rename"), &named).await.is(200);
        }
    };
    let heads = join_all(heads.into_iter().map(|stream| closed(stream, clock)));
    let bodies = join_all(bodies.into_iter().map(|stream| closed(stream, clock)));
    let drops = dripping(admin, &whole, clock);
    let good = bounded("those who are not slow", good);
    let ((), heads, bodies, (told, ms)) = tokio::join!(good, heads, bodies, drops);
    for (told, ms) in heads {
        assert!(told.is_empty() || told.starts_with("HTTP/1.1 408"), "{told}");
        assert!((HEAD_MS - 500..HEAD_MS + MARGIN_MS).contains(&ms), "a head: {ms} ms");
    }
    for (told, ms) in bodies {
        assert!(told.starts_with("HTTP/1.1 408"), "{told}");
        assert!((SILENT_MS - 500..SILENT_MS + MARGIN_MS).contains(&ms), "a body: {ms} ms");
    }
    assert!(told.starts_with("HTTP/1.1 408"), "{told}");
    assert!((BODY_MS - 500..BODY_MS + MARGIN_MS).contains(&ms), "a byte a second: {ms} ms");
    let row = admin.get(&format!("/v1/sessions/{session}")).await.is(200).json();
    assert_eq!(row["name"], "take 199", "nothing of what was half said was done");
    theatre.close().await;
}
