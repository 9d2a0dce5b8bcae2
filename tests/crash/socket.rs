//! A socket between two roles of the crash driver, under whatever is spoken over it.

use std::{io, net::SocketAddr};

use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    net::{
        TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
};

/// A connection, from either side.
#[derive(Debug)]
pub(crate) struct Socket {
    pub(crate) reader: BufReader<OwnedReadHalf>,
    pub(crate) writer: OwnedWriteHalf,
}

impl Socket {
    /// Calls whoever listens there.
    pub(crate) async fn connect(addr: SocketAddr) -> io::Result<Self> {
        Ok(Self::over(TcpStream::connect(addr).await?))
    }

    /// Speaks over this socket.
    pub(crate) fn over(socket: TcpStream) -> Self {
        // Pieces are small and each is waited for; without the flag each would wait for a timer.
        // A socket on which it cannot be set is closed already, which the next read reports.
        drop(socket.set_nodelay(true));
        let (reader, writer) = socket.into_split();
        Self { reader: BufReader::new(reader), writer }
    }

    /// Returns when the peer has closed, or speaks when it should be listening. Takes nothing
    /// from the connection, so it may be dropped at any time.
    pub(crate) async fn peer_left(&mut self) {
        drop(self.reader.fill_buf().await);
    }
}
