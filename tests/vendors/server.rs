//! A vendor on loopback: what it answers is a function of what it is asked, and it remembers what it
//! was asked. Written once for every row: an answer is a head and pieces, after which it
//! ends, breaks off or hangs; or it is bytes as they are, where the fault is in the HTTP itself.
//!
//! Pieces are made when they are sent, so that an answer of 100 MB takes no memory here.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicUsize, Ordering::SeqCst},
};

use bytes::Bytes;
use greenroom::clock::SystemClock;
use greenroom_actors::{owned::Owned, ports::Clock as _};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinSet,
};

/// A request as it arrived.
#[derive(Clone, Debug)]
pub struct Asked {
    /// Method, path and version.
    pub first: String,
    headers: Vec<(String, String)>,
    pub body: String,
}

impl Asked {
    /// A header's value; its name in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(told, _)| told == name).map(|(_, value)| value.as_str())
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).expect("a body is JSON")
    }
}

/// What follows the last piece.
#[derive(Clone, Debug)]
pub enum Then {
    /// The end, as HTTP says it.
    Ends,
    /// The connection is closed without one.
    Breaks,
    /// Nothing, until the client goes away.
    Hangs,
    /// The rest, once the test says so.
    Waits(watch::Receiver<bool>, Bytes),
}

type Pieces = Box<dyn Iterator<Item = Bytes> + Send>;

/// An answer.
pub struct Answer {
    status: u16,
    headers: Vec<(String, String)>,
    pieces: Pieces,
    then: Then,
    is_raw: bool,
    every_ms: u64,
}

impl Answer {
    /// With this status and type; the body is one piece.
    pub fn new(status: u16, kind: &str, body: impl Into<Bytes>) -> Self {
        let headers = vec![("content-type".to_owned(), kind.to_owned())];
        let pieces = Box::new(std::iter::once(body.into()));
        Self { status, headers, pieces, then: Then::Ends, is_raw: false, every_ms: 0 }
    }

    /// Server-sent events.
    pub fn events(body: impl Into<Bytes>) -> Self {
        Self::new(200, "text/event-stream", body)
    }

    /// Lines of JSON.
    pub fn lines(body: impl Into<Bytes>) -> Self {
        Self::new(200, "application/x-ndjson", body)
    }

    pub fn json(status: u16, body: impl Into<Bytes>) -> Self {
        Self::new(status, "application/json", body)
    }

    /// Exactly these bytes, head and all.
    pub fn raw(bytes: impl Into<Bytes>) -> Self {
        Self { is_raw: true, then: Then::Breaks, ..Self::new(0, "", bytes) }
    }

    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// More pieces behind what there is.
    pub fn pieces(mut self, more: impl Iterator<Item = Bytes> + Send + 'static) -> Self {
        self.pieces = Box::new(self.pieces.chain(more));
        self
    }

    /// So long before each piece.
    pub fn every_ms(mut self, ms: u64) -> Self {
        self.every_ms = ms;
        self
    }

    pub fn then(mut self, then: Then) -> Self {
        self.then = then;
        self
    }
}

/// Given what is asked and how many requests came before it.
type Script = dyn Fn(&Asked, usize) -> Answer + Send + Sync;

/// The server; it goes when this goes.
pub struct Server {
    pub url: String,
    seen: Arc<Seen>,
    _task: Owned,
}

#[derive(Default)]
struct Seen {
    asked: Mutex<Vec<Asked>>,
    /// Connections that are being answered.
    busy: AtomicUsize,
    pieces: AtomicUsize,
}

impl Server {
    pub async fn new(script: impl Fn(&Asked, usize) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let (seen, script): (Arc<Seen>, Arc<Script>) = (Arc::default(), Arc::new(script));
        let shared = Arc::clone(&seen);
        let task = Owned::spawn(async move {
            let mut served = JoinSet::new();
            while let Ok((stream, _from)) = listener.accept().await {
                let (seen, script) = (Arc::clone(&shared), Arc::clone(&script));
                served.spawn(async move {
                    // A client that goes away amid its answer is part of the game.
                    drop(serve(stream, &seen, &*script).await);
                });
                while served.try_join_next().is_some() {}
            }
        });
        Self { url, seen, _task: task }
    }

    /// Every request so far, in the order in which they came.
    pub fn asked(&self) -> Vec<Asked> {
        self.seen.asked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How many requests came.
    pub fn count(&self) -> usize {
        self.seen.asked.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// How many pieces of answers were sent.
    pub fn pieces(&self) -> usize {
        self.seen.pieces.load(SeqCst)
    }

    /// How many answers are under way.
    pub fn busy(&self) -> usize {
        self.seen.busy.load(SeqCst)
    }
}

/// An answer is under way until this goes.
struct Busy<'a>(&'a AtomicUsize);

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, SeqCst);
    }
}

async fn serve(stream: TcpStream, seen: &Seen, script: &Script) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut stream = BufReader::new(stream);
    while let Some(asked) = read(&mut stream).await? {
        // Before it counts as asked: whoever sees it asked and nobody busy takes it for answered.
        seen.busy.fetch_add(1, SeqCst);
        let _busy = Busy(&seen.busy);
        let no = {
            let mut all = seen.asked.lock().unwrap_or_else(PoisonError::into_inner);
            all.push(asked.clone());
            all.len() - 1
        };
        if say(stream.get_mut(), script(&asked, no), &seen.pieces).await? {
            return Ok(());
        }
    }
    Ok(())
}

/// A request, where there is another one.
async fn read(stream: &mut BufReader<TcpStream>) -> std::io::Result<Option<Asked>> {
    let mut first = String::new();
    if stream.read_line(&mut first).await? == 0 {
        return Ok(None);
    }
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).await?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let length = headers.iter().find(|(name, _)| name == "content-length");
    let mut body = vec![0; length.and_then(|(_, value)| value.parse().ok()).unwrap_or(0)];
    stream.read_exact(&mut body).await?;
    let body = String::from_utf8(body).expect("what we send is text");
    Ok(Some(Asked { first: first.trim_end().to_owned(), headers, body }))
}

/// Sends an answer; whether the connection is over with it.
async fn say(stream: &mut TcpStream, answer: Answer, sent: &AtomicUsize) -> std::io::Result<bool> {
    let Answer { status, headers, pieces, then, is_raw, every_ms } = answer;
    if is_raw {
        for piece in pieces {
            stream.write_all(&piece).await?;
        }
        if let Then::Hangs = then {
            stream.read_u8().await?;
        }
        stream.shutdown().await?;
        return Ok(true);
    }
    let mut head = format!("HTTP/1.1 {status} Said\r\ntransfer-encoding: chunked\r\n");
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str("\r\n");
    stream.write_all(head.as_bytes()).await?;
    for piece in pieces {
        if every_ms > 0 {
            SystemClock.after(every_ms).await;
        }
        chunk(stream, &piece).await?;
        sent.fetch_add(1, SeqCst);
    }
    match then {
        Then::Ends => {}
        Then::Breaks => return Ok(true),
        Then::Hangs => {
            // Until the client closes its end.
            stream.read_u8().await?;
            return Ok(true);
        }
        Then::Waits(mut told, rest) => {
            if told.wait_for(|told| *told).await.is_err() {
                return Ok(true);
            }
            chunk(stream, &rest).await?;
        }
    }
    stream.write_all(b"0\r\n\r\n").await?;
    Ok(false)
}

async fn chunk(stream: &mut TcpStream, piece: &[u8]) -> std::io::Result<()> {
    // An empty chunk would be the end.
    if piece.is_empty() {
        return Ok(());
    }
    stream.write_all(format!("{:x}\r\n", piece.len()).as_bytes()).await?;
    stream.write_all(piece).await?;
    stream.write_all(b"\r\n").await
}
