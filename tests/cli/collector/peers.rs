//! Collectors on real sockets, over HTTP and over gRPC, which keep every request as it came. The gRPC one
//! knows frames and nothing of what is in them: five bytes before each message, a status behind.

use std::{
    collections::BTreeMap,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    time::Duration,
};

use axum::http::{HeaderMap, Response};
use bytes::Bytes;
use greenroom_actors::owned::Owned;

use super::wire::{self, Span};

/// A request as it came.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub(super) path: String,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
    /// Whether it was said to be taken.
    pub(super) taken: bool,
}

/// How a collector is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    Http,
    Grpc,
}

impl Way {
    /// As the variable has it.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Http => "http/protobuf",
            Self::Grpc => "grpc",
        }
    }
}

/// What it answers.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    /// As HTTP has it.
    pub(super) status: u16,
    /// As gRPC has it.
    pub(super) code: u16,
    /// Headers over HTTP, trailers over gRPC.
    pub(super) more: Vec<(&'static str, String)>,
    /// The message, when it takes what it was sent.
    pub(super) message: Vec<u8>,
}

type Says = Arc<Mutex<Answer>>;

impl Answer {
    pub(super) fn of(status: u16) -> Self {
        // Well, or unavailable.
        let code = if status == 200 { 0 } else { 14 };
        Self { status, code, more: Vec::new(), message: Vec::new() }
    }

    pub(super) fn with(mut self, name: &'static str, value: &str) -> Self {
        self.more.push((name, value.to_owned()));
        self
    }
}

/// A collector.
pub(super) struct Collector {
    pub(super) url: String,
    asked: Receiver<Asked>,
    says: Says,
}

const PATIENCE: Duration = Duration::from_secs(30);

impl Collector {
    pub(super) fn starts(way: Way) -> Self {
        Self::listens(TcpListener::bind("127.0.0.1:0").expect("a port"), way)
    }

    pub(super) fn listens(listener: TcpListener, way: Way) -> Self {
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let (heard, asked) = sync_channel(1_024);
        let says = Says::new(Mutex::new(Answer::of(200)));
        let all = Arc::clone(&says);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (heard, says) = (heard.clone(), Arc::clone(&all));
                std::thread::spawn(move || match way {
                    Way::Http => while request(&stream, &says, &heard).is_some() {},
                    Way::Grpc => served(stream, says, heard),
                });
            }
        });
        Self { url, asked, says }
    }

    /// From now on it answers so, as HTTP has it.
    pub(super) fn says(&self, status: u16) {
        self.answers(Answer::of(status));
    }

    pub(super) fn answers(&self, answer: Answer) {
        *self.says.lock().expect("nobody panics") = answer;
    }

    /// The next request.
    #[track_caller]
    pub(super) fn next(&self) -> Asked {
        self.asked.recv_timeout(PATIENCE).expect("a request in time")
    }

    /// Everything that has come.
    pub(super) fn all(&self) -> Vec<Asked> {
        self.asked.try_iter().collect()
    }

    /// Requests until one has a span of this name, that one included.
    #[track_caller]
    pub(super) fn until(&self, name: &str) -> Vec<Asked> {
        let mut all = Vec::new();
        loop {
            all.push(self.next());
            if all.last().is_some_and(|one| one.spans().iter().any(|span| span.name == name)) {
                return all;
            }
        }
    }
}

impl Asked {
    pub(super) fn is_of_spans(&self) -> bool {
        ["/v1/traces", "/opentelemetry.proto.collector.trace.v1.TraceService/Export"]
            .contains(&self.path.as_str())
    }

    pub(super) fn is_of_metrics(&self) -> bool {
        ["/v1/metrics", "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export"]
            .contains(&self.path.as_str())
    }

    /// The spans in it, where it is about spans.
    pub(super) fn spans(&self) -> Vec<Span> {
        let body = if self.is_of_spans() { self.body.as_slice() } else { &[] };
        wire::spans(body)
    }

    /// Who sends it.
    pub(super) fn whose(&self) -> Vec<BTreeMap<String, String>> {
        wire::resources(&self.body)
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// The spans that were taken.
pub(super) fn spans(asked: &[Asked]) -> Vec<Span> {
    asked.iter().filter(|one| one.taken).flat_map(Asked::spans).collect()
}

fn request(mut stream: &TcpStream, says: &Says, heard: &SyncSender<Asked>) -> Option<()> {
    let mut reader = BufReader::new(stream);
    let mut head = Vec::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        if line == "\r\n" {
            break;
        }
        head.push(line.trim().to_owned());
    }
    let path = head.first()?.split(' ').nth(1)?.to_owned();
    let pairs = head.iter().filter_map(|line| line.split_once(": "));
    let headers: Vec<(String, String)> =
        pairs.map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned())).collect();
    let length = headers.iter().find(|(name, _)| name == "content-length")?.1.parse().ok()?;
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let answer = says.lock().expect("nobody panics").clone();
    heard.send(Asked { path, headers, body, taken: answer.status == 200 }).ok()?;
    // Nothing stands for a connection that breaks.
    let status = Some(answer.status).filter(|status| *status != 0)?;
    let more: String =
        answer.more.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let length = answer.message.len();
    write!(stream, "HTTP/1.1 {status} So\r\n{more}content-length: {length}\r\n\r\n").ok()?;
    stream.write_all(&answer.message).ok()
}

fn served(stream: TcpStream, says: Says, heard: SyncSender<Asked>) {
    let executor =
        tokio::runtime::Builder::new_current_thread().enable_all().build().expect("an executor");
    executor.block_on(async move {
        stream.set_nonblocking(true).expect("a socket");
        let stream = tokio::net::TcpStream::from_std(stream).expect("a socket");
        let Ok(mut connection) = h2::server::handshake(stream).await else { return };
        let mut calls = Vec::new();
        while let Some(Ok((request, respond))) = connection.accept().await {
            calls.push(Owned::spawn(called(request, respond, Arc::clone(&says), heard.clone())));
        }
    });
}

async fn called(
    request: axum::http::Request<h2::RecvStream>,
    mut respond: h2::server::SendResponse<Bytes>,
    says: Says,
    heard: SyncSender<Asked>,
) {
    let (head, mut body) = request.into_parts();
    let mut frame = Vec::new();
    while let Some(Ok(chunk)) = body.data().await {
        body.flow_control().release_capacity(chunk.len()).expect("it came");
        frame.extend(chunk);
    }
    // Not compressed, and as long as it says.
    let (prefix, message) = frame.split_at(5);
    assert_eq!(prefix[0], 0);
    let length = u32::from_be_bytes(prefix[1..].try_into().expect("four bytes"));
    assert_eq!(length as usize, message.len());
    let headers = head.headers.iter();
    let headers =
        headers.map(|(name, value)| (name.to_string(), value.to_str().expect("text").to_owned()));
    let says = says.lock().expect("nobody panics").clone();
    let asked = Asked {
        path: head.uri.path().to_owned(),
        headers: headers.collect(),
        body: message.to_vec(),
        taken: says.code == 0,
    };
    if heard.send(asked).is_err() {
        return;
    }
    let answer =
        Response::builder().header("content-type", "application/grpc").body(()).expect("an answer");
    let mut stream = respond.send_response(answer, false).expect("it listens");
    if says.code == 0 {
        let length = u32::try_from(says.message.len()).expect("a length").to_be_bytes();
        let frame = [&[0][..], &length, &says.message].concat();
        stream.send_data(Bytes::from(frame), false).expect("it listens");
    }
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", says.code.into());
    for (name, value) in &says.more {
        trailers.insert(*name, value.parse().expect("a value"));
    }
    stream.send_trailers(trailers).expect("it listens");
}
