//! Streams of a model service read by an adapter, against a bare reqwest client that reads the same
//! bytes from the same server and throws them away: streams per second, what a chunk and a turn cost
//! more, and memory of a stream that waits in the middle. Between the two stands what no client of
//! this wire is spared: the bytes cut into events, each parsed for its text. The server is a process of
//! its own on loopback. Run it with `cargo bench --bench streams`; `--quick` runs a few.
//!
//! Memory is measured in a process for each row and reader, which lets so many streams wait and then as
//! many again: what the second half adds is memory that nothing before it has left behind.

#![allow(
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::unwrap_used,
    unreachable_pub,
    reason = "a bench measures real time, prints, and drives from tasks of its own"
)]

#[path = "support/posted.rs"]
mod posted;
mod support;

use std::{
    collections::BTreeMap,
    io::{BufRead as _, BufReader},
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use futures_util::StreamExt as _;
use greenroom::{
    clock::SystemClock,
    providers::{Kind, Patience, Setup, Vendor, Way, connect},
};
use greenroom_actors::{
    domain::{
        agent::Sampling,
        conversation::Message,
        ids::{AgentName, CallId, ModelCallNo, ModelName, SessionId, TurnId},
        model::{ModelEvent, ModelRequest},
    },
    ports::{Clock as _, ModelProvider as _},
};
use serde::Deserialize;
use sse_stream::SseByteStream;
use support::{Wanted, executor, resident, table, timed};
use tokio::{
    io::AsyncWriteExt as _,
    net::{TcpListener, TcpStream},
    sync::Notify,
    task::JoinSet,
};

/// Pieces of one answer.
const CHUNKS: usize = 200;
/// Streams at once, and all in all.
const SIZES: [(usize, usize); 3] = [(1, 400), (100, 4_000), (2_000, 8_000)];
const QUICK: [(usize, usize); 2] = [(1, 20), (100, 200)];
/// Rounds of each; the best counts, for the machine's other work only ever adds.
const ROUNDS: usize = 5;

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match words.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["serve"] => return executor().block_on(serve()),
        ["wait", who, streams, address] => {
            let who = Who::ALL.into_iter().find(|known| known.word() == *who).unwrap();
            return executor().block_on(wait(who, streams.parse().unwrap(), address));
        }
        _of_the_command_line => {}
    }
    let wanted = Wanted::of_command_line();
    let head = [
        "streams",
        "ours",
        "bare",
        "parsed",
        "ours/bare time",
        "parsed/bare",
        "more per chunk",
        "more per turn",
        "memory",
        "bare memory",
    ];
    let mut rows = Vec::new();
    for (at_once, all) in wanted.sizes(&SIZES, &QUICK) {
        let (server, address) = start();
        let mut row = executor().block_on(measure(&address, at_once, all));
        drop(server);
        row.extend([Who::Ours, Who::Bare].map(|who| memory(who, at_once)));
        rows.push(row);
    }
    let title = format!("Streams of {CHUNKS} pieces, read by the adapter and by a bare client");
    table::print(&title, &head, &rows);
}

async fn measure(address: &str, at_once: usize, all: usize) -> Vec<String> {
    let readers = Who::ALL.map(|who| Reader::new(who, &format!("{address}/go")));
    // Once before it counts: connections are made.
    for reader in &readers {
        many(at_once, at_once, reader).await;
    }
    let mut best = [Duration::MAX; Who::ALL.len()];
    for _ in 0..ROUNDS {
        for (reader, best) in readers.iter().zip(&mut best) {
            *best = timed(many(all, at_once, reader)).await.1.min(*best);
        }
    }
    let [ours, bare, parsed] = best.map(|best| best.as_secs_f64());
    let per_second = |took: f64| format!("{:.0}/s", all as f64 / took);
    // What one worker spends more on a turn, as both cores serve the streams.
    let more = (ours - bare) / all as f64 * 1e6;
    vec![
        format!("{at_once} at once"),
        per_second(ours),
        per_second(bare),
        per_second(parsed),
        format!("{:.2}", ours / bare),
        format!("{:.2}", parsed / bare),
        format!("{:.2} us", more / CHUNKS as f64),
        format!("{more:.0} us"),
    ]
}

/// Reads so many streams, so many at once.
async fn many(all: usize, at_once: usize, reader: &Reader) {
    let mut readers = JoinSet::new();
    let at_half = Arc::new(Half::new());
    for _ in 0..all {
        if readers.len() >= at_once {
            readers.join_next().await.unwrap().unwrap();
        }
        readers.spawn(reader.clone().read(Arc::clone(&at_half)));
    }
    while let Some(ended) = readers.join_next().await {
        ended.unwrap();
    }
}

/// What a stream takes while it waits in the middle of its answer, found out by another process.
fn memory(who: Who, streams: usize) -> String {
    // The pages of an allocator are larger than one stream.
    if streams == 1 {
        return "-".to_owned();
    }
    let (server, address) = start();
    let mut waiting = Command::new(std::env::current_exe().unwrap());
    waiting.args(["wait", who.word(), &streams.to_string(), &address]);
    let said = waiting.output().unwrap();
    drop(server);
    assert!(said.status.success(), "{said:?}");
    format!("{} B", String::from_utf8(said.stdout).unwrap().trim())
}

/// The other process.
async fn wait(who: Who, streams: usize, address: &str) {
    let reader = Reader::new(who, &format!("{address}/hold"));
    let half = Arc::new(Half::new());
    let mut readers = JoinSet::new();
    let mut taken = [0; 2];
    for (times, taken) in (1..).zip(&mut taken) {
        for _ in 0..streams {
            readers.spawn(reader.clone().read(Arc::clone(&half)));
        }
        half.reached_by(times * streams).await;
        *taken = resident();
    }
    println!("{}", taken[1].saturating_sub(taken[0]) / streams);
    // Before their connections go, which would be an error to them.
    readers.shutdown().await;
}

/// How many streams have come to the middle of their answers.
struct Half {
    streams: AtomicUsize,
    news: Notify,
    /// Where the middle is, for who counts no pieces.
    bytes: usize,
}

impl Half {
    fn new() -> Self {
        let bytes = (0..CHUNKS / 2).map(|no| said(&piece(no)).len()).sum();
        Self { streams: AtomicUsize::new(0), news: Notify::new(), bytes }
    }

    fn reached(&self) {
        self.streams.fetch_add(1, Relaxed);
        self.news.notify_one();
    }

    async fn reached_by(&self, streams: usize) {
        while self.streams.load(Relaxed) < streams {
            self.news.notified().await;
        }
    }
}

/// Who reads.
#[derive(Clone, Copy, PartialEq)]
enum Who {
    /// The adapter.
    Ours,
    /// A client that throws away what it reads.
    Bare,
    /// One that cuts it into events and parses each.
    Parsed,
}

impl Who {
    const ALL: [Self; 3] = [Self::Ours, Self::Bare, Self::Parsed];

    const fn word(self) -> &'static str {
        match self {
            Self::Ours => "ours",
            Self::Bare => "bare",
            Self::Parsed => "parsed",
        }
    }
}

/// A reader of streams from one address.
#[derive(Clone)]
enum Reader {
    Ours(Arc<Vendor>),
    Bare(reqwest::Client, String),
    Parsed(reqwest::Client, String),
}

impl Reader {
    fn new(who: Who, address: &str) -> Self {
        let url = format!("{address}/chat/completions");
        let client = || reqwest::Client::builder().no_proxy().tcp_nodelay(true).build().unwrap();
        match who {
            Who::Ours => {
                let way = Way::new(Arc::new(SystemClock), Patience::default(), None).unwrap();
                let setup = Setup::new("bench", Kind::OpenAiChat, address.to_owned());
                Self::Ours(Arc::new(connect(&way, setup).unwrap()))
            }
            Who::Bare => Self::Bare(client(), url),
            Who::Parsed => Self::Parsed(client(), url),
        }
    }

    async fn read(self, half: Arc<Half>) {
        match self {
            Self::Ours(vendor) => adapter(&vendor, &half).await,
            Self::Bare(client, url) => bare(&client, &url, &half).await,
            Self::Parsed(client, url) => parsed(&client, &url, &half).await,
        }
    }
}

async fn adapter(vendor: &Vendor, half: &Half) {
    let mut events = vendor.call(request());
    let mut pieces = 0;
    while let Some(event) = events.next().await {
        match event.unwrap() {
            ModelEvent::Text { .. } => {
                pieces += 1;
                if pieces == CHUNKS / 2 {
                    half.reached();
                }
            }
            ModelEvent::Thinking { .. } | ModelEvent::Limits { .. } => {}
            ModelEvent::Finished { reply } => assert!(reply.usage.is_some()),
        }
    }
    assert_eq!(pieces, CHUNKS);
}

async fn bare(client: &reqwest::Client, url: &str, half: &Half) {
    let answer = client.post(url).body("{}").send().await.unwrap();
    let (mut bytes, mut body) = (0, answer.bytes_stream());
    while let Some(chunk) = body.next().await {
        let before = bytes;
        bytes += chunk.unwrap().len();
        if (before + 1..=bytes).contains(&half.bytes) {
            half.reached();
        }
    }
    assert!(bytes > 2 * half.bytes);
}

/// What of a piece is its text.
#[derive(Deserialize)]
struct Chunk {
    choices: Vec<Choice>,
}

#[derive(Deserialize)]
struct Choice {
    delta: Delta,
}

#[derive(Deserialize)]
struct Delta {
    content: Option<String>,
}

async fn parsed(client: &reqwest::Client, url: &str, half: &Half) {
    let answer = client.post(url).body("{}").send().await.unwrap();
    let (mut pieces, mut events) = (0, SseByteStream::new(answer.bytes_stream()));
    let mut text = String::new();
    while let Some(event) = events.next().await {
        let data = event.unwrap().data.unwrap();
        if data == "[DONE]" {
            continue;
        }
        let chunk: Chunk = serde_json::from_str(&data).unwrap();
        for said in chunk.choices.into_iter().filter_map(|choice| choice.delta.content) {
            text.push_str(&said);
            pieces += 1;
            if pieces == CHUNKS / 2 {
                half.reached();
            }
        }
    }
    assert!(pieces == CHUNKS && text.len() > CHUNKS);
}

fn request() -> ModelRequest {
    ModelRequest {
        call: CallId::model(SessionId(uuid::Uuid::nil()), ModelCallNo(1)),
        agent: AgentName::from("bench"),
        turn: TurnId(1),
        deadline: SystemClock.now().plus_ms(600_000),
        model: ModelName::from("model"),
        instructions: String::new(),
        tools: Arc::default(),
        messages: vec![Arc::new(Message::user("Go on."))],
        sampling: Sampling::default(),
        images: BTreeMap::new(),
    }
}

/// The server's process; it goes with this one.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

fn start() -> (Server, String) {
    let me = std::env::current_exe().unwrap();
    let mut child = Command::new(me).arg("serve").stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    (Server(child), line.trim().to_owned())
}

async fn serve() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    println!("http://{}", listener.local_addr().unwrap());
    loop {
        let (stream, _from) = listener.accept().await.unwrap();
        tokio::spawn(async move { drop(connection(stream).await) });
    }
}

async fn connection(stream: TcpStream) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut stream = tokio::io::BufReader::new(stream);
    while let Some(asked) = posted::next(&mut stream).await? {
        assert!(!asked.body.is_empty(), "whoever calls says something");
        answer(stream.get_mut(), asked.path.starts_with("/hold")).await?;
    }
    Ok(())
}

async fn answer(stream: &mut TcpStream, holds: bool) -> std::io::Result<()> {
    let head =
        "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
    stream.write_all(head.as_bytes()).await?;
    for no in 0..CHUNKS {
        if holds && no == CHUNKS / 2 {
            // Until this server's process ends.
            std::future::pending::<()>().await;
        }
        event(stream, &piece(no)).await?;
    }
    event(stream, r#"{"id":"c","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#)
        .await?;
    event(stream, r#"{"id":"c","choices":[],"usage":{"prompt_tokens":9,"completion_tokens":200,"total_tokens":209}}"#).await?;
    event(stream, "[DONE]").await?;
    stream.write_all(b"0\r\n\r\n").await
}

fn piece(no: usize) -> String {
    format!(
        r#"{{"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":[{{"index":0,"delta":{{"content":" word {no}"}},"finish_reason":null}}]}}"#
    )
}

/// One event, in a write of its own, as vendors send them.
async fn event(stream: &mut TcpStream, data: &str) -> std::io::Result<()> {
    let event = said(data);
    stream.write_all(format!("{:x}\r\n{event}\r\n", event.len()).as_bytes()).await
}

fn said(data: &str) -> String {
    format!("data: {data}\n\n")
}
