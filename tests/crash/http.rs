//! As much of HTTP/1.1 as the vendor's process needs: requests with a body of a known length come
//! in, answers go out whole or in chunks; and as much of the other side as announces a call and
//! acknowledges its end. Model calls themselves come from the runtime's own client, not from here.
//!
//! A head and a body have a longest size, so that no peer can make the other grow without bound.

use std::{io, net::SocketAddr};

use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use super::{socket::Socket, wire::LINE_BYTES};

/// A head: a dozen lines of some tens of bytes; many times that.
const HEAD_BYTES: u64 = 64 * 1024;

/// A connection, from either side.
#[derive(Debug)]
pub(crate) struct Http(Socket);

/// What came in: a request or an answer, by its first line.
#[derive(Debug)]
pub(crate) struct Message {
    /// `POST /path HTTP/1.1`, or `HTTP/1.1 200 OK`.
    first: String,
    headers: Vec<(String, String)>,
    /// The body.
    pub(crate) body: Vec<u8>,
}

impl Message {
    /// The second word of its first line: the path of a request, the status of an answer.
    pub(crate) fn about(&self) -> &str {
        self.first.split_whitespace().nth(1).unwrap_or_default()
    }

    /// A header, by its name in small letters.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(other, _)| other == name);
        found.map(|(_, value)| value.as_str())
    }
}

impl Http {
    /// Calls a server.
    pub(crate) async fn connect(addr: SocketAddr) -> io::Result<Self> {
        Ok(Self(Socket::connect(addr).await?))
    }

    /// Speaks over this socket.
    pub(crate) fn over(socket: TcpStream) -> Self {
        Self(Socket::over(socket))
    }

    /// The next message; `None` when the peer has closed before it began one.
    pub(crate) async fn read(&mut self) -> io::Result<Option<Message>> {
        let mut head = (&mut self.0.reader).take(HEAD_BYTES);
        let mut lines = Vec::new();
        loop {
            let mut line = String::new();
            if head.read_line(&mut line).await? == 0 && lines.is_empty() {
                return Ok(None);
            }
            if !line.ends_with('\n') {
                // Either the cap or the peer cut it; what was cut is not to be believed.
                return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "read a head: no end"));
            }
            let line = line.trim_end();
            if line.is_empty() {
                break;
            }
            lines.push(line.to_owned());
        }
        let mut lines = lines.into_iter();
        let first = lines.next().unwrap_or_default();
        let headers = lines.filter_map(|line| {
            let (name, value) = line.split_once(':')?;
            Some((name.to_ascii_lowercase(), value.trim().to_owned()))
        });
        let mut message = Message { first, headers: headers.collect(), body: Vec::new() };
        let bytes = message.header("content-length").map_or(Ok(0), str::parse::<u64>);
        let bytes = bytes.ok().filter(|bytes| *bytes <= LINE_BYTES);
        let long = || io::Error::new(io::ErrorKind::InvalidData, "read a body: no length or long");
        message.body = vec![0; usize::try_from(bytes.ok_or_else(long)?).unwrap_or(0)];
        self.0.reader.read_exact(&mut message.body).await?;
        Ok(Some(message))
    }

    /// Asks with a body.
    pub(crate) async fn post(&mut self, path: &str, body: &[u8]) -> io::Result<()> {
        self.send(&format!("POST {path} HTTP/1.1\r\nhost: localhost"), body).await
    }

    /// Answers with a whole body; `headers` are lines, each with its end.
    pub(crate) async fn answer(
        &mut self,
        status: u16,
        headers: &str,
        body: &[u8],
    ) -> io::Result<()> {
        let head = format!("HTTP/1.1 {status} Said\r\n{headers}content-type: application/json");
        self.send(&head, body).await
    }

    async fn send(&mut self, head: &str, body: &[u8]) -> io::Result<()> {
        let mut bytes = format!("{head}\r\ncontent-length: {}\r\n\r\n", body.len()).into_bytes();
        bytes.extend_from_slice(body);
        self.0.writer.write_all(&bytes).await
    }

    /// Begins an answer that is a stream of events.
    pub(crate) async fn begin_events(&mut self) -> io::Result<()> {
        let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\
                    transfer-encoding: chunked\r\n\r\n";
        self.0.writer.write_all(head.as_bytes()).await
    }

    /// One event, cut in its middle into two chunks, wherever that falls: networks do no better.
    pub(crate) async fn event(&mut self, data: &str) -> io::Result<()> {
        let event = format!("data: {data}\n\n").into_bytes();
        let (one, other) = event.split_at(event.len() / 2);
        self.chunk(one).await?;
        self.chunk(other).await
    }

    /// A piece of the body; none where it is empty, for that would be its end.
    pub(crate) async fn chunk(&mut self, piece: &[u8]) -> io::Result<()> {
        if piece.is_empty() {
            return Ok(());
        }
        let mut bytes = format!("{:x}\r\n", piece.len()).into_bytes();
        bytes.extend_from_slice(piece);
        bytes.extend_from_slice(b"\r\n");
        self.0.writer.write_all(&bytes).await
    }

    /// Ends the body.
    pub(crate) async fn end(&mut self) -> io::Result<()> {
        self.0.writer.write_all(b"0\r\n\r\n").await
    }

    /// See [`Socket::peer_left`].
    pub(crate) async fn peer_left(&mut self) {
        self.0.peer_left().await;
    }
}
