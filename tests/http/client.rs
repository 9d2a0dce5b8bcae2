//! A client that sends what it is told to, byte by byte: a well-behaved one could not send half of what
//! is tested. It reads whole answers, and streams event by event.

use std::{collections::HashMap, net::SocketAddr};

use greenroom_actors::testing::harness::bounded;
use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::TcpStream,
};

/// Who asks where.
#[derive(Clone)]
pub struct Client {
    pub at: SocketAddr,
    pub token: String,
}

/// An answer.
#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    pub headers: HashMap<String, String>,
    pub body: Vec<u8>,
}

impl Reply {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The stable code of a problem.
    pub fn code(&self) -> String {
        let kind = self.headers.get("content-type").map(String::as_str);
        assert_eq!(kind, Some("application/problem+json"), "{}", self.text());
        let told = self.json();
        assert_eq!(told["status"], self.status, "the body says the status");
        told["code"].as_str().unwrap().to_owned()
    }

    #[track_caller]
    pub fn is(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", self.text());
        self
    }
}

impl Client {
    /// A head with this host, this token and a connection that ends with the answer.
    pub fn head(&self, method: &str, path: &str, more: &[(&str, &str)]) -> String {
        let mut head = format!("{method} {path} HTTP/1.1\r\nHost: {}\r\n", self.at);
        if !self.token.is_empty() {
            head += &format!("Authorization: Bearer {}\r\n", self.token);
        }
        for (name, value) in more {
            head += &format!("{name}: {value}\r\n");
        }
        head + "Connection: close\r\n"
    }

    /// Sends these very bytes and reads one answer; nothing where the connection was closed instead.
    pub async fn raw(&self, bytes: &[u8]) -> Option<Reply> {
        exchange(TcpStream::connect(self.at).await.unwrap(), bytes).await
    }

    fn request(&self, method: &str, path: &str, more: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
        let mut bytes = self.head(method, path, more);
        if !body.is_empty() || method != "GET" {
            bytes += &format!("Content-Length: {}\r\n", body.len());
        }
        let mut bytes = (bytes + "\r\n").into_bytes();
        bytes.extend_from_slice(body);
        bytes
    }

    pub async fn ask(&self, method: &str, path: &str, more: &[(&str, &str)], body: &[u8]) -> Reply {
        let reply = self.raw(&self.request(method, path, more, body)).await;
        reply.unwrap_or_else(|| panic!("no answer to {method} {path}"))
    }

    /// The same where the server may be gone, or go amid the answer: then there is none.
    pub async fn attempt(
        &self,
        method: &str,
        path: &str,
        more: &[(&str, &str)],
        body: &[u8],
    ) -> Option<Reply> {
        let stream = TcpStream::connect(self.at).await.ok()?;
        exchange(stream, &self.request(method, path, more, body)).await
    }

    pub async fn get(&self, path: &str) -> Reply {
        self.ask("GET", path, &[], b"").await
    }

    pub async fn post(&self, path: &str, body: &Value) -> Reply {
        self.with("POST", path, &[], body).await
    }

    pub async fn with(
        &self,
        method: &str,
        path: &str,
        more: &[(&str, &str)],
        body: &Value,
    ) -> Reply {
        let mut headers = vec![("Content-Type", "application/json")];
        headers.extend(more);
        self.ask(method, path, &headers, body.to_string().as_bytes()).await
    }

    /// A stream of events from here on.
    pub async fn follow(&self, path: &str, more: &[(&str, &str)]) -> Stream {
        self.attempt_to_follow(path, more).await.unwrap_or_else(|| panic!("no stream of {path}"))
    }

    /// The same where the server may be gone.
    pub async fn attempt_to_follow(&self, path: &str, more: &[(&str, &str)]) -> Option<Stream> {
        let mut stream = TcpStream::connect(self.at).await.ok()?;
        let head = self.head("GET", path, more) + "\r\n";
        stream.write_all(head.as_bytes()).await.ok()?;
        let mut reader = BufReader::new(stream);
        let (status, headers) = bounded("the head of a stream", head_of(&mut reader)).await?;
        assert_eq!(status, 200, "{path}");
        assert_eq!(headers["content-type"], "text/event-stream");
        Some(Stream { reader, text: String::new() })
    }
}

/// Events as they come.
pub struct Stream {
    reader: BufReader<TcpStream>,
    text: String,
}

/// One event.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    pub name: String,
    pub id: Option<u64>,
    pub data: Value,
}

impl Stream {
    /// The next event; nothing when the stream has ended.
    pub async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some((event, rest)) = self.text.split_once("\n\n") {
                let event = parse(event);
                self.text = rest.to_owned();
                match event {
                    Some(event) => return Some(event),
                    None => continue,
                }
            }
            let piece = bounded("the next event", chunk(&mut self.reader)).await?;
            self.text += &String::from_utf8_lossy(&piece);
        }
    }

    /// Everything up to an event for which this is true, that one too.
    pub async fn upto(&mut self, is_last: impl Fn(&Event) -> bool) -> Vec<Event> {
        let mut all = Vec::new();
        loop {
            // A heartbeat is no event, and would be waited with for ever.
            let next = bounded("an event", self.next()).await;
            let event = next.unwrap_or_else(|| panic!("it ended before: {all:?}"));
            let is_last = is_last(&event);
            all.push(event);
            if is_last {
                return all;
            }
        }
    }
}

/// Whether a frame has an event of this type.
pub fn has(event: &Event, kind: &str) -> bool {
    let events = event.data["events"].as_array();
    events.is_some_and(|events| events.iter().any(|event| event["type"] == kind))
}

fn parse(text: &str) -> Option<Event> {
    let field = |name: &str| {
        let mut lines = text.lines().filter_map(|line| line.strip_prefix(name));
        lines.next().map(|value| value.trim_start_matches(' ').to_owned())
    };
    let name = field("event:")?;
    let data = serde_json::from_str(&field("data:")?).unwrap();
    Some(Event { name, id: field("id:").map(|id| id.parse().unwrap()), data })
}

/// A line without its end; nothing where the connection ended or was reset before that.
async fn line_of(reader: &mut BufReader<TcpStream>) -> Option<String> {
    let mut line = String::new();
    reader.read_line(&mut line).await.ok()?;
    line.strip_suffix("\r\n").map(str::to_owned)
}

async fn head_of(reader: &mut BufReader<TcpStream>) -> Option<(u16, HashMap<String, String>)> {
    let line = line_of(reader).await?;
    let status = line.split(' ').nth(1).unwrap().parse().unwrap();
    let mut headers = HashMap::new();
    loop {
        let line = line_of(reader).await?;
        if line.is_empty() {
            return Some((status, headers));
        }
        let (name, value) = line.split_once(": ").unwrap();
        headers.insert(name.to_ascii_lowercase(), value.to_owned());
    }
}

async fn chunk(reader: &mut BufReader<TcpStream>) -> Option<Vec<u8>> {
    let size = usize::from_str_radix(&line_of(reader).await?, 16).unwrap();
    if size == 0 {
        return None;
    }
    let mut bytes = vec![0; size + 2];
    reader.read_exact(&mut bytes).await.ok()?;
    bytes.truncate(size);
    Some(bytes)
}

async fn exchange(mut stream: TcpStream, bytes: &[u8]) -> Option<Reply> {
    // It may be refused before all of it was taken.
    let _taken = stream.write_all(bytes).await;
    bounded("an answer", read(&mut BufReader::new(stream))).await
}

async fn read(reader: &mut BufReader<TcpStream>) -> Option<Reply> {
    let (status, headers) = head_of(reader).await?;
    let mut body = Vec::new();
    if headers.contains_key("transfer-encoding") {
        while let Some(piece) = chunk(reader).await {
            body.extend(piece);
        }
    } else {
        let length = headers.get("content-length").map_or(0, |length| length.parse().unwrap());
        body.resize(length, 0);
        reader.read_exact(&mut body).await.ok()?;
    }
    Some(Reply { status, headers, body })
}
