//! What the HTTP face costs: a message and its stream over HTTP against the embedding API in one run, a
//! thousand readers of one session, and a house of ten thousand sessions of which two hundred are at work:
//! its memory, a scrape of `/metrics`, a page of the tree; and whether the time of a refusal tells how much
//! of a guessed token was right. Run it with `cargo bench --bench http`; `--quick`
//! runs small sizes.

#![allow(
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::unwrap_used,
    unreachable_pub,
    reason = "a bench measures real time, prints, and drives from tasks of its own"
)]

mod support;

use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use greenroom::{Face, FaceOptions, Runtime, Session, Token};
use support::{Wanted, agent, executor, quantile, resident};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::TcpStream,
    task::JoinSet,
};

const TURNS: [usize; 1] = [1_000];
const QUICK_TURNS: [usize; 1] = [50];
const READERS: [usize; 1] = [1_000];
const QUICK_READERS: [usize; 1] = [50];
const HOUSE: [(usize, usize); 1] = [(10_000, 200)];
const QUICK_HOUSE: [(usize, usize); 1] = [(300, 20)];
/// Guesses of a token of each kind.
const GUESSES: [usize; 1] = [500_000];
const QUICK_GUESSES: [usize; 1] = [2_000];
/// Questions of which the middle one is shown.
const ASKED: usize = 50;

const SCRIPT: &str = "agent *\n  stream 20 every 0ms\n  say {input} and twenty pieces of it, so that there is something to stream to whoever reads.";
const BUSY: &str = "agent *\n  stream 1 every 200ms\n  say one letter after another, for as long as anybody looks at what it costs to look at all of them, and longer than that, so that nobody has to hurry with it at all.";

struct Stage {
    _folder: tempfile::TempDir,
    runtime: Arc<Runtime>,
    served: greenroom::Served,
    token: String,
    _face: Face,
}

async fn stage(script: &str) -> Stage {
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("bench.db");
    let builder = Runtime::builder().store(store).script(script).idle_ms(3_600_000);
    let runtime = Arc::new(builder.agent(agent("scripted", &[])).start().await.unwrap());
    let token = Token::fresh().unwrap();
    let options = FaceOptions { requests_per_second: 1_000_000, ..FaceOptions::default() };
    let face = Face::new(&runtime, options.token(token.admin("bench")));
    let served = face.serve("127.0.0.1:0".parse().unwrap(), false).await.unwrap();
    let token = token.reveal().to_owned();
    Stage { _folder: folder, runtime, served, token, _face: face }
}

async fn end(stage: Stage) {
    let Stage { runtime, served, _face: face, .. } = stage;
    served.end().await;
    drop(face);
    support::end(runtime).await;
}

/// A connection that is kept, as clients keep theirs.
struct Client {
    at: SocketAddr,
    token: String,
    stream: BufReader<TcpStream>,
}

impl Client {
    async fn new(stage: &Stage) -> Self {
        let at = stage.served.address();
        let stream = TcpStream::connect(at).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Self { at, token: stage.token.clone(), stream: BufReader::new(stream) }
    }

    async fn ask(&mut self, method: &str, path: &str, body: &str) -> String {
        self.send(method, path, body).await;
        let (length, is_pieces) = self.head().await;
        assert!(!is_pieces, "{path}");
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body).await.unwrap();
        String::from_utf8(body).unwrap()
    }

    async fn send(&mut self, method: &str, path: &str, body: &str) {
        let (at, token, length) = (self.at, &self.token, body.len());
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: {at}\r\nAuthorization: Bearer {token}\r\n\
             Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
        );
        self.stream.write_all(request.as_bytes()).await.unwrap();
    }

    /// Whether the answer says that the token is not known.
    async fn refusal(&mut self) -> bool {
        let mut line = String::new();
        self.stream.read_line(&mut line).await.unwrap();
        let (length, _) = self.rest_of_head().await;
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body).await.unwrap();
        line.starts_with("HTTP/1.1 401")
    }

    async fn head(&mut self) -> (usize, bool) {
        let mut line = String::new();
        self.stream.read_line(&mut line).await.unwrap();
        assert!(line.starts_with("HTTP/1.1 2"), "{line}");
        self.rest_of_head().await
    }

    async fn rest_of_head(&mut self) -> (usize, bool) {
        let (mut length, mut is_pieces) = (0, false);
        loop {
            let mut line = String::new();
            self.stream.read_line(&mut line).await.unwrap();
            let line = line.trim_end().to_ascii_lowercase();
            if let Some(told) = line.strip_prefix("content-length: ") {
                length = told.parse().unwrap();
            }
            is_pieces |= line == "transfer-encoding: chunked";
            if line.is_empty() {
                return (length, is_pieces);
            }
        }
    }

    /// Follows a session until its turn has ended.
    async fn until_the_end(&mut self) {
        loop {
            let mut line = String::new();
            self.stream.read_line(&mut line).await.unwrap();
            if line.starts_with("data:") && line.contains("\"type\":\"turn_finished\"") {
                return;
            }
        }
    }
}

/// Turns one after the other, each followed to its end: by the embedding API and over HTTP.
async fn turns(turns: usize) {
    let stage = stage(SCRIPT).await;
    let open = support::open(&stage.runtime, &agent("scripted", &[]), 2).await;
    let (own, http) = (open[0].clone(), open[1].clone());
    // The first of each finds caches cold.
    embedded(&own).await;
    let begun = Instant::now();
    for _ in 0..turns {
        embedded(&own).await;
    }
    let own = per_second(turns, begun.elapsed());
    let mut client = Client::new(&stage).await;
    let path = format!("/v1/sessions/{}", http.id());
    over_http(&stage, &mut client, &path).await;
    let begun = Instant::now();
    for _ in 0..turns {
        over_http(&stage, &mut client, &path).await;
    }
    let http = per_second(turns, begun.elapsed());
    println!(
        "message and stream, one after the other: HTTP {http:.0}/s, embedded {own:.0}/s: {:.2}",
        http / own
    );
    end(stage).await;
}

async fn embedded(session: &Session) {
    let mut turn = session.send("a line").await.unwrap();
    while turn.next().await.is_some() {}
}

/// A connection for what is said, and one for what is heard, from where the log ends.
async fn over_http(stage: &Stage, client: &mut Client, path: &str) {
    let row: serde_json::Value = serde_json::from_str(&client.ask("GET", path, "").await).unwrap();
    let after = row["position"].as_u64().unwrap();
    let mut ear = Client::new(stage).await;
    ear.send("GET", &format!("{path}/events?after={after}"), "").await;
    ear.head().await;
    client.ask("POST", &format!("{path}/messages"), r#"{"text": "a line"}"#).await;
    ear.until_the_end().await;
}

/// So many readers of one session hear one turn: until the last of them has heard its end.
async fn readers(readers: usize) {
    let stage = stage(SCRIPT).await;
    let open = support::open(&stage.runtime, &agent("scripted", &[]), 1).await;
    let session = open[0].clone();
    let path = format!("/v1/sessions/{}/events?after=1", session.id());
    let before = resident();
    let mut ears = Vec::new();
    for _ in 0..readers {
        let mut ear = Client::new(&stage).await;
        ear.send("GET", &path, "").await;
        ear.head().await;
        ears.push(ear);
    }
    let each = resident().saturating_sub(before) / readers;
    let mut heard = JoinSet::new();
    let begun = Instant::now();
    session.send("a line").await.unwrap();
    for mut ear in ears {
        heard.spawn(async move {
            ear.until_the_end().await;
            begun.elapsed()
        });
    }
    let mut lengths = heard.join_all().await;
    lengths.sort();
    let ms = |length: Duration| length.as_secs_f64() * 1e3;
    println!(
        "{readers} readers of one turn: p50 {:.0} ms, the last {:.0} ms; {each} bytes each, both ends",
        ms(quantile(&lengths, 0.5)),
        ms(quantile(&lengths, 1.0)),
    );
    end(stage).await;
}

/// A house full of sessions, some of them at work.
async fn house((sessions, busy): (usize, usize)) {
    let stage = stage(BUSY).await;
    let before = resident();
    let begun = Instant::now();
    let open = support::open(&stage.runtime, &agent("scripted", &[]), sessions).await;
    let opened = per_second(sessions, begun.elapsed());
    for session in open.iter().take(busy) {
        drop(session.send("speak").await.unwrap());
    }
    let memory = resident();
    println!(
        "{sessions} sessions, {busy} at work: opened {opened:.0}/s; {} MiB resident, {} bytes for each",
        memory / (1 << 20),
        memory.saturating_sub(before) / sessions,
    );
    let mut client = Client::new(&stage).await;
    for path in ["/metrics", "/v1/tree", "/v1/status", "/v1/tree/groups"] {
        let mut lengths = Vec::new();
        let mut bytes = 0;
        for _ in 0..ASKED {
            let begun = Instant::now();
            bytes = client.ask("GET", path, "").await.len();
            lengths.push(begun.elapsed());
        }
        lengths.sort();
        let ms = |share| quantile(&lengths, share).as_secs_f64() * 1e3;
        println!("  GET {path}: p50 {:.1} ms, p99 {:.1} ms, {bytes} bytes", ms(0.5), ms(0.99));
    }
    end(stage).await;
}

/// Whether a guess that is wrong at its end takes another time than one that is wrong at its begin: Welch's
/// t over as many of each, taken in turns; beyond 4.5 somebody could tell them apart.
async fn guesses(guesses: usize) {
    let stage = stage(SCRIPT).await;
    let wrong = |at: usize| {
        let mut letters: Vec<char> = stage.token.chars().collect();
        letters[at] = if letters[at] == 'A' { 'B' } else { 'A' };
        letters.into_iter().collect::<String>()
    };
    let last = stage.token.len() - 1;
    let mut kinds = [(wrong(0), Vec::new()), (wrong(last), Vec::new())];
    let mut client = Client::new(&stage).await;
    for round in 0..guesses * 2 {
        // Who goes first alternates too.
        let (token, lengths) = &mut kinds[(round + round / 2) % 2];
        client.token.clone_from(token);
        let begun = Instant::now();
        client.send("GET", "/v1/status", "").await;
        let refusal = client.refusal().await;
        lengths.push(begun.elapsed().as_secs_f64() * 1e6);
        assert!(refusal, "a wrong token is refused");
    }
    let [begin, end] = kinds.map(|(_token, lengths)| moments(lengths));
    let t = (begin.0 - end.0) / (begin.1 / guesses as f64 + end.1 / guesses as f64).sqrt();
    println!(
        "{guesses} guesses wrong at their first letter: {:.2} us, at their last: {:.2} us, t = {t:.2}",
        begin.0, end.0
    );
    self::end(stage).await;
}

/// Mean and variance without the slowest twentieth, which is the machine's.
fn moments(mut lengths: Vec<f64>) -> (f64, f64) {
    lengths.sort_by(f64::total_cmp);
    lengths.truncate(lengths.len() * 19 / 20);
    let many = lengths.len() as f64;
    let mean = lengths.iter().sum::<f64>() / many;
    let spread = lengths.iter().map(|length| (length - mean).powi(2)).sum::<f64>();
    (mean, spread / (many - 1.0))
}

fn per_second(many: usize, length: Duration) -> f64 {
    many as f64 / length.as_secs_f64()
}

fn main() {
    let wanted = Wanted::of_command_line();
    if wanted.has("turns") {
        for size in wanted.sizes(&TURNS, &QUICK_TURNS) {
            executor().block_on(turns(size));
        }
    }
    if wanted.has("readers") {
        for size in wanted.sizes(&READERS, &QUICK_READERS) {
            executor().block_on(readers(size));
        }
    }
    if wanted.has("guesses") {
        for size in wanted.sizes(&GUESSES, &QUICK_GUESSES) {
            executor().block_on(guesses(size));
        }
    }
    if wanted.has("house") {
        for size in wanted.sizes(&HOUSE, &QUICK_HOUSE) {
            executor().block_on(house(size));
        }
    }
}
