//! The way out, held against servers of a few lines on loopback, and the cutting of streams against
//! every way in which their bytes can arrive.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::SeqCst},
};

use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use greenroom_actors::{
    owned::Owned,
    testing::{
        clock::ManualClock,
        harness::{bounded, eventually},
    },
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
    task::JoinSet,
};

use super::*;

/// What a server does once it has read a request.
#[derive(Clone, Copy)]
enum Says {
    /// Sends this and hangs.
    ThenHangs(&'static str),
    /// Sends this and closes.
    ThenCloses(&'static str),
}

/// A server on loopback, its address, and how many requests it has read.
async fn server(says: Says) -> (Owned, Url, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/v1", listener.local_addr().unwrap()).parse().unwrap();
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let task = Owned::spawn(async move {
        let mut open = Vec::new();
        while let Ok((mut stream, _from)) = listener.accept().await {
            let mut read = [0; 4096];
            if stream.read(&mut read).await.unwrap_or(0) == 0 {
                continue;
            }
            count.fetch_add(1, SeqCst);
            match says {
                Says::ThenHangs(text) => {
                    stream.write_all(text.as_bytes()).await.unwrap();
                    open.push(stream);
                }
                Says::ThenCloses(text) => stream.write_all(text.as_bytes()).await.unwrap(),
            }
        }
    });
    (task, url, asked)
}

fn net(clock: &ManualClock) -> Net {
    Net::new(Arc::new(clock.clone()), Patience::default(), None).unwrap()
}

fn get(url: &Url) -> Outgoing {
    let (headers, body) = (HeaderMap::new(), Bytes::new());
    Outgoing { method: Method::GET, url: url.clone(), headers, body }
}

async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let real: Arc<dyn Clock> = Arc::new(crate::clock::SystemClock);
    eventually(&real, what, || std::future::ready(holds().then_some(()))).await;
}

/// Lets `ms` pass once somebody waits for time.
async fn passes(clock: &ManualClock, ms: u64) {
    until("somebody waits", || clock.sleepers() > 0).await;
    clock.advance(ms);
}

#[tokio::test]
async fn a_server_that_never_answers_is_given_up_at_the_first_byte_and_no_sooner() {
    let clock = ManualClock::default();
    let (_task, url, asked) = server(Says::ThenHangs("")).await;
    let net = net(&clock);
    let mut sent = JoinSet::new();
    sent.spawn(async move { net.send(get(&url)).await });
    until("it is asked", || asked.load(SeqCst) > 0).await;
    passes(&clock, limits::FIRST_BYTE_MS - 1).await;
    assert!(sent.try_join_next().is_none());
    clock.advance(1);
    let given_up = bounded("it is given up", sent.join_next()).await.unwrap();
    let broken = given_up.unwrap().unwrap_err();
    assert!(matches!(broken, Broken::SilentAtFirst { ms: limits::FIRST_BYTE_MS, .. }), "{broken}");
}

#[tokio::test]
async fn a_body_that_falls_silent_breaks_off_whatever_came_before() {
    let clock = ManualClock::default();
    let head = "HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n: ping\n\n";
    let (_task, url, _asked) = server(Says::ThenHangs(head)).await;
    let net = net(&clock);
    let answer = bounded("an answer", net.send(get(&url))).await.unwrap();
    let mut body = net.body(answer);
    assert_eq!(bounded("bytes", body.next()).await.unwrap().unwrap(), ": ping\n\n");
    let mut rest = JoinSet::new();
    rest.spawn(async move { body.next().await });
    passes(&clock, limits::STREAM_IDLE_MS).await;
    let silent = bounded("silence", rest.join_next()).await.unwrap();
    let broken = silent.unwrap().unwrap().unwrap_err();
    assert!(matches!(broken, Broken::SilentAmid { ms: limits::STREAM_IDLE_MS }), "{broken}");
}

#[tokio::test]
async fn a_body_that_is_cut_is_no_end() {
    let clock = ManualClock::default();
    let head = "HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\nhalf";
    let (_task, url, _asked) = server(Says::ThenCloses(head)).await;
    let net = net(&clock);
    let answer = bounded("an answer", net.send(get(&url))).await.unwrap();
    let broken = bounded("the body", net.body(answer).whole(1_000)).await.unwrap_err();
    assert!(matches!(broken, Broken::Cut { .. }), "{broken}");
}

#[tokio::test]
async fn a_body_larger_than_allowed_is_refused_and_of_an_error_only_the_beginning_is_read() {
    let clock = ManualClock::default();
    let head = "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 10\r\n\r\n0123456789";
    let (_task, url, _asked) = server(Says::ThenHangs(head)).await;
    let net = net(&clock);
    let answer = bounded("an answer", net.send(get(&url))).await.unwrap();
    let broken = bounded("the body", net.body(answer).whole(9)).await.unwrap_err();
    assert!(matches!(broken, Broken::TooLarge { max: 9, .. }), "{broken}");
    let answer = bounded("an answer", net.send(get(&url))).await.unwrap();
    assert_eq!(bounded("the beginning", net.body(answer).beginning(4)).await, "0123");
}

#[tokio::test]
async fn a_redirect_is_an_answer_and_not_followed() {
    let clock = ManualClock::default();
    let head = "HTTP/1.1 307 Moved\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n";
    let (_task, url, asked) = server(Says::ThenHangs(head)).await;
    let answer = bounded("an answer", net(&clock).send(get(&url))).await.unwrap();
    assert_eq!(answer.status(), 307);
    assert_eq!(asked.load(SeqCst), 1);
}

#[tokio::test]
async fn nobody_there_is_said_with_the_host_and_nothing_else_of_the_address() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let host = listener.local_addr().unwrap().to_string();
    drop(listener);
    let url = format!("http://user:secret@{host}/path?key=secret").parse().unwrap();
    let sent = net(&ManualClock::default()).send(get(&url)).await;
    let broken = sent.unwrap_err();
    assert!(matches!(broken, Broken::Unreachable { .. }), "{broken}");
    let said = broken.to_string();
    assert!(said.contains(&host) && !said.contains("secret") && !said.contains("path"), "{said}");
}

#[test]
fn a_proxy_that_is_no_address_is_refused_without_its_password() {
    let clock = Arc::new(ManualClock::default());
    let http = Some("http://me:secret@ :x".to_owned());
    let proxies = Proxies { http, ..Proxies::default() };
    let refused = Net::new(clock, Patience::default(), Some(&proxies));
    let said = refused.unwrap_err().to_string();
    assert!(said.contains("no address such as") && !said.contains("secret"), "{said}");
}

/// The frames of these bytes, as they arrive in these pieces.
async fn frames(framing: Framing, pieces: Vec<Bytes>) -> Result<Vec<Frame>, Broken> {
    let mut frames = Frames::of(framing, stream::iter(pieces.into_iter().map(Ok)));
    let mut all = Vec::new();
    while let Some(frame) = frames.next().await {
        all.push(frame?);
    }
    Ok(all)
}

fn frame(name: Option<&str>, data: &str) -> Frame {
    Frame { name: name.map(str::to_owned), data: data.to_owned() }
}

const EVENTS: &str = "\u{feff}event: first\ndata: {\"ä\":\ndata:  \"😀\"}\n\n: a comment\r\n\r\n\
    id: 7\r\nevent:second\r\ndata:no space\r\n\r\nretry: 1\rdata: lone\rdata\r\runknown: field\ndata: last\n\n\
    data: unfinished";

#[tokio::test]
async fn events_are_the_same_however_their_bytes_arrive() {
    let expected = [
        frame(Some("first"), "{\"ä\":\n \"😀\"}"),
        frame(Some("second"), "no space"),
        frame(None, "lone\n"),
        frame(None, "last"),
    ];
    let bytes = Bytes::from_static(EVENTS.as_bytes());
    for at in 0..=bytes.len() {
        let pieces = vec![bytes.slice(..at), bytes.slice(at..)];
        assert_eq!(frames(Framing::Events, pieces).await.unwrap(), expected, "cut at {at}");
    }
    for size in 1..=9 {
        let pieces = bytes.chunks(size).map(Bytes::copy_from_slice).collect();
        assert_eq!(frames(Framing::Events, pieces).await.unwrap(), expected, "pieces of {size}");
    }
}

#[tokio::test]
async fn lines_are_the_same_however_their_bytes_arrive() {
    let text = "{\"ä\":1}\n\n{\"b\":\"😀\"}\r\n{\"done\":true}\n";
    let expected =
        [frame(None, "{\"ä\":1}"), frame(None, "{\"b\":\"😀\"}"), frame(None, "{\"done\":true}")];
    let bytes = Bytes::from_static(text.as_bytes());
    for at in 0..=bytes.len() {
        let pieces = vec![bytes.slice(..at), bytes.slice(at..)];
        assert_eq!(frames(Framing::Lines, pieces).await.unwrap(), expected, "cut at {at}");
    }
}

/// How many frames come of a body that ends after so many bytes; it is never an error, also where
/// it ends within a character.
async fn ended_after(framing: Framing, text: &'static str, at: usize) -> usize {
    let pieces = vec![Bytes::from_static(text.as_bytes()).slice(..at)];
    frames(framing, pieces).await.unwrap_or_else(|broken| panic!("cut at {at}: {broken}")).len()
}

#[tokio::test]
async fn what_is_unfinished_when_a_body_ends_is_dropped_wherever_it_ends() {
    let events = "data: {\"ä\":1}\n\ndata: {\"😀\":2}\n\n";
    let first = events.find("\n\n").unwrap() + 2;
    for at in 0..=events.len() {
        // The first is whole without the blank line behind it as well.
        let expected = usize::from(at >= first - 2) + usize::from(at >= events.len() - 2);
        assert_eq!(ended_after(Framing::Events, events, at).await, expected, "cut at {at}");
    }
    let lines = "{\"ä\":1}\r\n{\"😀\":2}\n";
    let first = lines.find('\r').unwrap();
    for at in 0..=lines.len() {
        let expected = usize::from(at >= first) + usize::from(at >= lines.len() - 1);
        assert_eq!(ended_after(Framing::Lines, lines, at).await, expected, "cut at {at}");
    }
}

#[tokio::test]
async fn plain_json_under_an_event_streams_type_is_one_event_however_it_arrives() {
    let text = "\u{feff}\r\n {\"ä\":\r\n\n  [\"😀\"]}\n";
    let bytes = Bytes::from_static(text.as_bytes());
    for at in 0..=bytes.len() {
        let pieces = vec![bytes.slice(..at), bytes.slice(at..)];
        let came = frames(Framing::Events, pieces).await.unwrap();
        let [Frame { name: None, data }] = came.as_slice() else { panic!("cut at {at}: {came:?}") };
        let data: serde_json::Value = serde_json::from_str(data).unwrap();
        assert_eq!(data, serde_json::json!({"ä": ["😀"]}), "cut at {at}");
    }
    // Half of it is none.
    for at in 0..text.trim_end().len() {
        assert_eq!(ended_after(Framing::Events, text, at).await, 0, "cut at {at}");
    }
    // What only looks like an event's line is none either: it is a word that nobody knows.
    assert_eq!(frames(Framing::Events, vec!["<html>\n\n".into()]).await.unwrap(), []);
}

#[tokio::test]
async fn bytes_that_are_no_text_and_events_without_an_end_are_refused() {
    for framing in [Framing::Events, Framing::Lines] {
        let no_text = vec![Bytes::from_static(b"data: \xff\xfe\n\n")];
        let broken = frames(framing, no_text).await.unwrap_err();
        assert!(matches!(broken, Broken::NotText), "{framing:?}: {broken}");
        let piece = Bytes::from(vec![b'x'; 64 * 1024]);
        let pieces = std::iter::once(Bytes::from_static(b"data: "));
        let endless = pieces.chain(std::iter::repeat_n(piece, 200)).collect();
        let broken = frames(framing, endless).await.unwrap_err();
        assert!(matches!(broken, Broken::TooLarge { .. }), "{framing:?}: {broken}");
    }
}
