//! Lines of JSON between the roles of the crash driver, over sockets and in journals. A line has a
//! cap, so that no peer can make another grow without bound; a journal line is handed to the
//! kernel in one write before anybody is answered, so it survives the death of its writer. The last
//! line of a journal may be torn when its writer was killed in the middle; readers drop it.

use std::{
    fs::{File, OpenOptions},
    io::{self, Write},
    net::{Ipv4Addr, SocketAddr},
    path::Path,
    sync::{Mutex, PoisonError},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use futures_util::future::BoxFuture;
use greenroom_actors::{
    domain::ids::{SessionId, Timestamp},
    ports::Clock,
};
use serde::{Serialize, de::DeserializeOwned};
use tokio::{
    io::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use super::socket::Socket;

/// One line: a prompt of a long conversation, escaped once more, is below 1 MiB; 16 times that.
pub(crate) const LINE_BYTES: u64 = 16 * 1024 * 1024;

/// A connection between two roles.
#[derive(Debug)]
pub(crate) struct Wire(Socket);

impl Wire {
    /// Calls a role.
    pub(crate) async fn connect(addr: SocketAddr) -> io::Result<Self> {
        Ok(Self(Socket::connect(addr).await?))
    }

    /// Speaks over this socket.
    pub(crate) fn over(socket: TcpStream) -> Self {
        Self(Socket::over(socket))
    }

    /// The next line; `None` when the peer has closed.
    pub(crate) async fn read<T: DeserializeOwned>(&mut self) -> io::Result<Option<T>> {
        read_line(&mut self.0.reader).await
    }

    /// Writes a line.
    pub(crate) async fn write<T: Serialize>(&mut self, value: &T) -> io::Result<()> {
        write_line(&mut self.0.writer, value).await
    }

    /// See [`Socket::peer_left`].
    pub(crate) async fn peer_left(&mut self) {
        self.0.peer_left().await;
    }
}

/// Reads one JSON line of at most `LINE_BYTES`; `None` at the end.
pub(crate) async fn read_line<T: DeserializeOwned>(
    reader: &mut (impl AsyncBufRead + Unpin),
) -> io::Result<Option<T>> {
    let mut line = Vec::new();
    reader.take(LINE_BYTES).read_until(b'\n', &mut line).await?;
    if line.is_empty() {
        return Ok(None);
    }
    if line.last() != Some(&b'\n') {
        // Either the cap or the peer cut it; what was cut is not to be believed.
        return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "read a line: it has no end"));
    }
    Ok(Some(serde_json::from_slice(&line)?))
}

/// Writes one JSON line.
pub(crate) async fn write_line<T: Serialize>(
    writer: &mut (impl AsyncWrite + Unpin),
    value: &T,
) -> io::Result<()> {
    writer.write_all(&line_of(value)?).await?;
    writer.flush().await
}

fn line_of<T: Serialize>(value: &T) -> io::Result<Vec<u8>> {
    let mut line = serde_json::to_vec(value)?;
    line.push(b'\n');
    if u64::try_from(line.len()).is_ok_and(|bytes| bytes <= LINE_BYTES) {
        Ok(line)
    } else {
        Err(io::Error::new(io::ErrorKind::InvalidInput, "write a line: it is too long"))
    }
}

/// A file of JSON lines that only grows.
#[derive(Debug)]
pub(crate) struct LineJournal(Mutex<File>);

impl LineJournal {
    /// Opens it, and makes it when it is not there.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        Ok(Self(Mutex::new(OpenOptions::new().create(true).append(true).open(path)?)))
    }

    /// Appends one record. When this returns the record survives its writer's death; power loss
    /// is another test's business, so nothing is synced.
    pub(crate) fn note<T: Serialize>(&self, record: &T) -> io::Result<()> {
        let line = line_of(record)?;
        let mut file = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        file.write_all(&line)?;
        file.flush()
    }
}

/// All whole records of a journal, in order; none when there is no such file.
pub(crate) fn read_journal<T: DeserializeOwned>(path: &Path) -> io::Result<Vec<T>> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let whole = text.rsplit_once('\n').map_or("", |(whole, _torn)| whole);
    whole.lines().map(|line| Ok(serde_json::from_str(line)?)).collect()
}

/// Listens on a free port of this machine and says which on stdout, as the driver expects it.
pub(crate) async fn listen() -> io::Result<TcpListener> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let mut out = io::stdout().lock();
    writeln!(out, "listening {}", listener.local_addr()?.port())?;
    out.flush()?;
    Ok(listener)
}

/// The port in a role's first line of output.
pub(crate) fn port_of(line: &str) -> Option<u16> {
    line.trim().strip_prefix("listening ")?.parse().ok()
}

/// The address of a role on this machine.
pub(crate) fn local(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}

/// The machine's clock: the one clock that two processes share.
#[expect(clippy::disallowed_methods, reason = "the roles have no runtime to take time from")]
pub(crate) fn wall_ns() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

/// Lets so much real time pass.
#[expect(clippy::disallowed_methods, reason = "the roles have no runtime to take time from")]
pub(crate) async fn pause_ms(ms: u64) {
    tokio::time::sleep(Duration::from_millis(ms)).await;
}

/// Real time, for the pauses of the vendor's script.
#[derive(Clone, Copy, Debug)]
pub(crate) struct WallClock;

impl Clock for WallClock {
    fn now(&self) -> Timestamp {
        Timestamp(i64::try_from(wall_ns() / 1_000_000).unwrap_or(i64::MAX))
    }

    fn sleep_until(&self, at: Timestamp) -> BoxFuture<'static, ()> {
        Box::pin(pause_ms(at.since_ms(self.now())))
    }

    fn running(&self) -> Timestamp {
        self.now()
    }

    fn after(&self, ms: u64) -> BoxFuture<'static, ()> {
        Box::pin(pause_ms(ms))
    }

    fn random(&self) -> u64 {
        wall_ns()
    }

    fn new_session(&self) -> SessionId {
        SessionId(uuid::Uuid::from_u64_pair(0, self.random()))
    }
}
