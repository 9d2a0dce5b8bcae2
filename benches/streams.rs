//! Streams of a model service read by an adapter, against a bare reqwest client that reads the same
//! bytes from the same server and throws them away: streams per second, what a chunk and a turn cost
//! more, and memory of a stream that waits in the middle. The server is a process of its own on
//! loopback. Run it with `cargo bench --bench streams`; `--quick` runs a few.

#![allow(
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::unwrap_used,
    unreachable_pub,
    reason = "a bench measures real time, prints, and drives from tasks of its own"
)]

mod support;

use std::{
    collections::BTreeMap,
    io::{BufRead as _, BufReader},
    process::{Child, Command, Stdio},
    sync::Arc,
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
use support::{Wanted, executor, resident, table, timed};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::watch,
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
    if std::env::args().any(|arg| arg == "serve") {
        return executor().block_on(serve());
    }
    let wanted = Wanted::of_command_line();
    let head = [
        "streams",
        "ours",
        "bare",
        "ours/bare time",
        "more per chunk",
        "more per turn",
        "memory",
        "bare memory",
    ];
    let mut rows = Vec::new();
    for (at_once, all) in wanted.sizes(&SIZES, &QUICK) {
        let (server, address) = start();
        rows.push(executor().block_on(measure(&address, at_once, all)));
        drop(server);
    }
    let title = format!("Streams of {CHUNKS} pieces, read by the adapter and by a bare client");
    table::print(&title, &head, &rows);
}

async fn measure(address: &str, at_once: usize, all: usize) -> Vec<String> {
    let way = Way::new(Arc::new(SystemClock), Patience::default(), None).unwrap();
    let setup = |path: &str| Setup::new("bench", Kind::OpenAiChat, format!("{address}/{path}"));
    let ours = Arc::new(connect(&way, setup("go")).unwrap());
    let bare = reqwest::Client::builder().no_proxy().tcp_nodelay(true).build().unwrap();
    let url = format!("{address}/go/chat/completions");
    // Once before it counts: connections are made, both ways.
    many(at_once, at_once, || adapter(Arc::clone(&ours))).await;
    many(at_once, at_once, || client(bare.clone(), url.clone())).await;
    let (mut best_ours, mut best_bare) = (Duration::MAX, Duration::MAX);
    for _ in 0..ROUNDS {
        best_ours = best_ours.min(timed(many(all, at_once, || adapter(Arc::clone(&ours)))).await.1);
        best_bare =
            best_bare.min(timed(many(all, at_once, || client(bare.clone(), url.clone()))).await.1);
    }
    let held = Arc::new(connect(&way, setup("hold")).unwrap());
    let hold_url = format!("{address}/hold/chat/completions");
    let ours_memory = waiting(at_once, || adapter(Arc::clone(&held)), address).await;
    let bare_memory = waiting(at_once, || client(bare.clone(), hold_url.clone()), address).await;
    let per_second = |took: Duration| format!("{:.0}/s", all as f64 / took.as_secs_f64());
    let (ours_s, bare_s) = (best_ours.as_secs_f64(), best_bare.as_secs_f64());
    // What one worker spends more on a turn, as both cores serve the streams.
    let more = (ours_s - bare_s) / all as f64 * 1e6;
    vec![
        format!("{at_once} at once"),
        per_second(best_ours),
        per_second(best_bare),
        format!("{:.2}", ours_s / bare_s),
        format!("{:.2} us", more / CHUNKS as f64),
        format!("{more:.0} us"),
        format!("{} B", ours_memory / at_once),
        format!("{} B", bare_memory / at_once),
    ]
}

/// Reads so many streams, so many at once.
async fn many<F: Future<Output = ()> + Send + 'static>(
    all: usize,
    at_once: usize,
    one: impl Fn() -> F,
) {
    let mut readers = JoinSet::new();
    for _ in 0..all {
        if readers.len() >= at_once {
            readers.join_next().await.unwrap().unwrap();
        }
        readers.spawn(one());
    }
    while let Some(ended) = readers.join_next().await {
        ended.unwrap();
    }
}

/// Memory that so many streams take while they wait in the middle of their answers.
async fn waiting<F: Future<Output = ()> + Send + 'static>(
    streams: usize,
    one: impl Fn() -> F,
    address: &str,
) -> usize {
    let before = resident();
    let mut readers = JoinSet::new();
    for _ in 0..streams {
        readers.spawn(one());
    }
    ask(address, &format!("/held/{streams}")).await;
    let taken = resident().saturating_sub(before);
    ask(address, "/release").await;
    while let Some(ended) = readers.join_next().await {
        ended.unwrap();
    }
    taken
}

async fn adapter(vendor: Arc<Vendor>) {
    let mut events = vendor.call(request());
    let mut pieces = 0;
    while let Some(event) = events.next().await {
        match event.unwrap() {
            ModelEvent::Text { .. } => pieces += 1,
            ModelEvent::Thinking { .. } | ModelEvent::Limits { .. } => {}
            ModelEvent::Finished { reply } => assert!(reply.usage.is_some()),
        }
    }
    assert_eq!(pieces, CHUNKS);
}

async fn client(client: reqwest::Client, url: String) {
    let answer = client.post(url).body("{}").send().await.unwrap();
    let mut bytes = 0;
    let mut body = answer.bytes_stream();
    while let Some(chunk) = body.next().await {
        bytes += chunk.unwrap().len();
    }
    assert!(bytes > CHUNKS * 10);
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

/// Asks the server for something and waits until it answers.
async fn ask(address: &str, path: &str) {
    let host = address.trim_start_matches("http://");
    let mut stream = TcpStream::connect(host).await.unwrap();
    let request = format!("POST {path} HTTP/1.1\r\nconnection: close\r\ncontent-length: 0\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
}

/// How many streams wait, and how often they were released.
#[derive(Clone, Copy, Default)]
struct Held {
    waiting: usize,
    released: usize,
}

async fn serve() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    println!("http://{}", listener.local_addr().unwrap());
    let held = watch::Sender::new(Held::default());
    loop {
        let (stream, _from) = listener.accept().await.unwrap();
        let held = held.clone();
        tokio::spawn(async move { drop(connection(stream, held).await) });
    }
}

async fn connection(stream: TcpStream, held: watch::Sender<Held>) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut stream = tokio::io::BufReader::new(stream);
    loop {
        let mut first = String::new();
        if stream.read_line(&mut first).await? == 0 {
            return Ok(());
        }
        let mut length = 0;
        loop {
            let mut line = String::new();
            stream.read_line(&mut line).await?;
            let line = line.trim_end().to_ascii_lowercase();
            if line.is_empty() {
                break;
            }
            if let Some(said) = line.strip_prefix("content-length:") {
                length = said.trim().parse().unwrap_or(0);
            }
        }
        let mut body = vec![0; length];
        stream.read_exact(&mut body).await?;
        let path = first.split_whitespace().nth(1).unwrap_or_default().to_owned();
        let mut watched = held.subscribe();
        if let Some(count) = path.strip_prefix("/held/") {
            let count: usize = count.parse().unwrap_or(0);
            watched.wait_for(|held| held.waiting >= count).await.ok();
        } else if path == "/release" {
            held.send_modify(|held| *held = Held { waiting: 0, released: held.released + 1 });
        } else {
            answer(stream.get_mut(), path.starts_with("/hold"), &held).await?;
            continue;
        }
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await?;
        return Ok(());
    }
}

async fn answer(
    stream: &mut TcpStream,
    holds: bool,
    held: &watch::Sender<Held>,
) -> std::io::Result<()> {
    let head =
        "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
    stream.write_all(head.as_bytes()).await?;
    for no in 0..CHUNKS {
        if holds && no == CHUNKS / 2 {
            let mut watched = held.subscribe();
            let before = watched.borrow_and_update().released;
            held.send_modify(|held| held.waiting += 1);
            watched.wait_for(|held| held.released > before).await.ok();
        }
        event(stream, &format!(r#"{{"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":[{{"index":0,"delta":{{"content":" word {no}"}},"finish_reason":null}}]}}"#)).await?;
    }
    event(stream, r#"{"id":"c","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#)
        .await?;
    event(stream, r#"{"id":"c","choices":[],"usage":{"prompt_tokens":9,"completion_tokens":200,"total_tokens":209}}"#).await?;
    event(stream, "[DONE]").await?;
    stream.write_all(b"0\r\n\r\n").await
}

/// One event, in a write of its own, as vendors send them.
async fn event(stream: &mut TcpStream, data: &str) -> std::io::Result<()> {
    let event = format!("data: {data}\n\n");
    stream.write_all(format!("{:x}\r\n{event}\r\n", event.len()).as_bytes()).await
}
