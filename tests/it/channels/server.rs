//! A server on this machine that hears what is posted and answers as it is told.

use std::sync::{Mutex, PoisonError};

use greenroom_actors::owned::Owned;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::Notify,
};

use super::*;

/// What was posted.
#[derive(Clone, Debug)]
pub struct Heard {
    pub head: String,
    pub body: String,
}

impl Heard {
    pub fn header(&self, name: &str) -> &str {
        let lines = self.head.lines().filter_map(|line| line.split_once(": "));
        let found = lines.into_iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value).unwrap_or_else(|| panic!("no {name} in {}", self.head))
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).expect("JSON")
    }
}

/// A status with a reason, and a body; made of what was heard, and of how many were before.
type Says = Arc<dyn Fn(&Heard, usize) -> (&'static str, String) + Send + Sync>;

pub struct Server {
    pub url: String,
    heard: Arc<Mutex<Vec<Heard>>>,
    /// Answers wait for it.
    gate: Option<Arc<Notify>>,
    _task: Owned,
}

impl Server {
    pub async fn that(
        says: impl Fn(&Heard, usize) -> (&'static str, String) + Send + Sync + 'static,
    ) -> Self {
        Self::start(Arc::new(says), None).await
    }

    /// The same, and it keeps its answers back until it is let.
    pub async fn held(
        says: impl Fn(&Heard, usize) -> (&'static str, String) + Send + Sync + 'static,
    ) -> Self {
        Self::start(Arc::new(says), Some(Arc::default())).await
    }

    async fn start(says: Says, gate: Option<Arc<Notify>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}/hook", listener.local_addr().expect("its address"));
        let heard: Arc<Mutex<Vec<Heard>>> = Arc::default();
        let (all, held) = (Arc::clone(&heard), gate.clone());
        let task = Owned::spawn(async move {
            let mut at_work = Vec::new();
            while let Ok((stream, _)) = listener.accept().await {
                let (all, says, held) = (Arc::clone(&all), Arc::clone(&says), held.clone());
                at_work.push(Owned::spawn(async move {
                    // Whoever hangs up is no trouble of the server's.
                    drop(serve(stream, all, says, held).await);
                }));
            }
        });
        Self { url, heard, gate, _task: task }
    }

    pub fn heard(&self) -> Vec<Heard> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub fn lets_go(&self) {
        self.gate.as_ref().expect("it holds back").notify_one();
    }
}

async fn serve(
    mut stream: TcpStream,
    all: Arc<Mutex<Vec<Heard>>>,
    says: Says,
    held: Option<Arc<Notify>>,
) -> std::io::Result<()> {
    let mut bytes = Vec::new();
    let heard = loop {
        let mut chunk = [0; 4_096];
        let many = stream.read(&mut chunk).await?;
        if many == 0 {
            return Ok(());
        }
        bytes.extend_from_slice(&chunk[..many]);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let heard = Heard { head: head.to_owned(), body: body.to_owned() };
        if body.len() >= heard.header("content-length").parse().expect("a number") {
            break heard;
        }
    };
    let before = {
        let mut all = all.lock().unwrap_or_else(PoisonError::into_inner);
        all.push(heard.clone());
        all.len() - 1
    };
    if let Some(gate) = held.filter(|_| before == 0) {
        gate.notified().await;
    }
    let (status, body) = says(&heard, before);
    let length = body.len();
    let head =
        format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n");
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(body.as_bytes()).await?;
    stream.shutdown().await
}
