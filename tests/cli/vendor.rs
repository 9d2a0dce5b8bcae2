//! A vendor on this machine: it speaks Chat Completions, answers what a test tells it to, and
//! remembers what it was asked.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex},
};

/// A request as it came.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    /// Method, target and version.
    pub(super) line: String,
    pub(super) head: String,
    pub(super) body: String,
}

impl Asked {
    pub(super) fn is(&self, method: &str, end: &str) -> bool {
        let mut words = self.line.split(' ');
        words.next() == Some(method) && words.next().is_some_and(|target| target.ends_with(end))
    }
}

/// What the vendor says: a status and a body, JSON.
pub(super) type Answer = (u16, String);

pub(super) struct Vendor {
    port: u16,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Vendor {
    /// Serves until the test's process ends: its thread has nothing that must be put away.
    pub(super) fn open(answer: impl Fn(&Asked) -> Answer + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&asked);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if let Some(request) = read(&stream) {
                    seen.lock().expect("a whole list").push(request.clone());
                    let (status, body) = answer(&request);
                    write(stream, status, &body);
                }
            }
        });
        Self { port, asked }
    }

    pub(super) fn url(&self) -> String {
        format!("http://127.0.0.1:{}/v1", self.port)
    }

    pub(super) fn origin(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    pub(super) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().expect("a whole list").clone()
    }
}

fn read(stream: &TcpStream) -> Option<Asked> {
    let mut reader = BufReader::new(stream);
    let (mut line, mut head, mut length) = (String::new(), String::new(), 0);
    reader.read_line(&mut line).ok()?;
    loop {
        let mut header = String::new();
        reader.read_line(&mut header).ok()?;
        if header.trim().is_empty() {
            break;
        }
        let lower = header.to_ascii_lowercase();
        if let Some(value) = lower.strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
        head.push_str(&header);
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(Asked { line, head, body: String::from_utf8(body).ok()? })
}

fn write(mut stream: TcpStream, status: u16, body: &str) {
    let length = body.len();
    let head = format!(
        "HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n"
    );
    // Who asked may have gone.
    let _sent = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body.as_bytes()));
}

/// A list of models.
pub(super) fn list(names: &[&str]) -> Answer {
    let names = names.iter().map(|name| format!(r#"{{"id":"{name}","object":"model"}}"#));
    (200, format!(r#"{{"object":"list","data":[{}]}}"#, names.collect::<Vec<_>>().join(",")))
}

/// An answer in words.
pub(super) fn words(model: &str, text: &str) -> Answer {
    let body = format!(
        r#"{{"id":"c1","object":"chat.completion","created":1,"model":"{model}","choices":[{{"index":0,"message":{{"role":"assistant","content":"{text}"}},"finish_reason":"stop"}}],"usage":{{"prompt_tokens":10,"completion_tokens":5,"total_tokens":15}}}}"#
    );
    (200, body)
}
