//! Connections: they are accepted here, and not by the framework, because its own loop sets no timer,
//! so that a head that never ends would hold a connection for ever. It owns how many there are, how long
//! a head may take, and how long a peer may take nothing of an answer; requests it does not read.

use std::{
    io,
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use axum::{Router, body::Body, extract::Request};
use futures_util::future::BoxFuture;
use greenroom_actors::{Clock, Owned};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
    sync::{Semaphore, watch},
    task::JoinSet,
};
use tower::ServiceExt as _;

use super::{Face, peers::Peers, routes};

/// A head that is not there by then is not waited for.
const HEAD_MS: u64 = 10_000;
/// A peer that takes no byte of an answer for so long is gone, or means no good. Whoever followed a
/// session comes back with the last id that it saw.
const WRITE_MS: u64 = 15_000;
/// Connections at once: thousands may be slow on purpose while others are served, and each costs some
/// 20 KB. Who comes above that waits in the system's own queue.
const CONNECTIONS: usize = 8_192;
/// Of the files that this process may have open, so many are for others than connections: the store,
/// vendors, tools and their pipes.
const FILES_KEPT: u64 = 256;
/// Lines of a head, and its size with what is read at once of a body.
const HEADERS: usize = 100;
const HEAD_BYTES: usize = 32 * 1_024;
/// How long those who are being answered have when the face ends.
const END_MS: u64 = 5_000;

/// Why nothing is served.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// Everybody could call it.
    #[error(
        "listen on {at}: it is not an address of this machine alone; expected a loopback address, or --openly with a token of your own"
    )]
    NotLoopback {
        /// The address.
        at: SocketAddr,
    },
    /// Nobody could call it.
    #[error("listen on {at}: no token was declared, so nobody could call it")]
    NoToken {
        /// The address.
        at: SocketAddr,
    },
    /// The address cannot be had.
    #[error("listen on {at}; --listen names another address, and its port 0 any that is free")]
    Bind {
        /// The address.
        at: SocketAddr,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// Who a connection comes from.
#[derive(Clone, Copy, Debug)]
pub(super) struct Peer(pub(super) SocketAddr);

/// A face that is being served; dropping it ends that at once.
#[derive(Debug)]
pub struct Served {
    address: SocketAddr,
    stop: watch::Sender<bool>,
    over: watch::Receiver<bool>,
    _loop: Owned,
}

impl Served {
    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Ends it: nobody new is let in, streams say that they end, and what is being answered has a moment.
    pub async fn end(mut self) {
        self.stop.send_replace(true);
        drop(self.over.wait_for(|over| *over).await);
    }
}

pub(super) async fn serve(face: &Face, at: SocketAddr, openly: bool) -> Result<Served, ServeError> {
    if face.ctx.options.tokens.is_empty() {
        return Err(ServeError::NoToken { at });
    }
    if !at.ip().is_loopback() && !openly {
        return Err(ServeError::NotLoopback { at });
    }
    let bound = |source| ServeError::Bind { at, source };
    let listener = TcpListener::bind(at).await.map_err(bound)?;
    let address = listener.local_addr().map_err(bound)?;
    let (stop, stopped) = watch::channel(false);
    let (over, is_over) = watch::channel(false);
    face.ctx.halt.ends_with(stopped.clone());
    let router = routes::router_at(&face.ctx, Some(address));
    let clock = Arc::clone(&face.ctx.clock);
    let accepting = accept(listener, router, clock, stopped);
    let accepting = async move {
        accepting.await;
        over.send_replace(true);
    };
    Ok(Served { address, stop, over: is_over, _loop: Owned::spawn(accepting) })
}

async fn accept(
    listener: TcpListener,
    router: Router,
    clock: Arc<dyn Clock>,
    mut stopped: watch::Receiver<bool>,
) {
    let many = places();
    let (places, peers) = (Arc::new(Semaphore::new(many)), Peers::new(many));
    // It owns the connections: they end with this loop.
    let mut open = JoinSet::new();
    loop {
        let next = async {
            let place = Arc::clone(&places).acquire_owned().await;
            (listener.accept().await, place)
        };
        let (accepted, place) = tokio::select! {
            biased;
            () = over(&mut stopped) => break,
            Some(_ended) = open.join_next() => continue,
            next = next => next,
        };
        match accepted {
            Ok((stream, peer)) => {
                let Some(entered) = peers.enter(peer.ip()) else {
                    tracing::debug!(%peer, "an address that holds its share was sent away");
                    continue;
                };
                let (router, clock) = (router.clone(), Arc::clone(&clock));
                let connection = Connection { peer, stream, router, clock };
                let stopped = stopped.clone();
                open.spawn(async move {
                    connection.served_until(stopped).await;
                    drop((place, entered));
                });
            }
            // Too many open files, most of all: it passes when others end.
            Err(error) => {
                tracing::warn!(%error, "a connection was not accepted");
                clock.after(100).await;
            }
        }
    }
    drop(listener);
    tokio::select! {
        () = async { while open.join_next().await.is_some() {} } => {}
        () = clock.after(END_MS) => {}
    }
}

/// As many connections as there are files for: what the system lets this process have is asked for first.
fn places() -> usize {
    let files = getrlimit(Resource::Nofile);
    let wanted = Rlimit { current: files.maximum, maximum: files.maximum };
    // Where it is refused, there are fewer places.
    let _raised = setrlimit(Resource::Nofile, wanted);
    let files = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    let left = files.saturating_sub(FILES_KEPT).max(files / 4);
    usize::try_from(left).unwrap_or(usize::MAX).clamp(1, CONNECTIONS)
}

/// Returns when the server ends.
pub(super) async fn over(stopped: &mut watch::Receiver<bool>) {
    if stopped.wait_for(|stopped| *stopped).await.is_err() {
        // Nobody serves it any more, so it ends with its connection.
        std::future::pending::<()>().await;
    }
}

/// A connection, not yet polled.
struct Connection {
    peer: SocketAddr,
    stream: TcpStream,
    router: Router,
    clock: Arc<dyn Clock>,
}

impl Connection {
    /// Serves it until its peer or the face ends it.
    async fn served_until(self, mut stopped: watch::Receiver<bool>) {
        let Self { peer, stream, router, clock } = self;
        // Events of a stream are small and are to be there at once.
        let _fine = stream.set_nodelay(true);
        let io = TokioIo::new(Paced { stream, clock, stalled: None });
        let service = service_fn(move |request: Request<Incoming>| {
            let mut request = request.map(Body::new);
            request.extensions_mut().insert(Peer(peer));
            router.clone().oneshot(request)
        });
        let mut http = http1::Builder::new();
        http.timer(TokioTimer::new())
            .header_read_timeout(Duration::from_millis(HEAD_MS))
            .max_headers(HEADERS)
            .max_buf_size(HEAD_BYTES)
            .half_close(false);
        let served = http.serve_connection(io, service);
        tokio::pin!(served);
        let ended = tokio::select! {
            ended = &mut served => Some(ended),
            () = over(&mut stopped) => None,
        };
        let ended = match ended {
            Some(ended) => ended,
            None => {
                served.as_mut().graceful_shutdown();
                served.await
            }
        };
        if let Err(error) = ended {
            tracing::trace!(%error, %peer, "a connection broke off");
        }
    }
}

/// A connection whose peer must take what it is given.
struct Paced {
    stream: TcpStream,
    clock: Arc<dyn Clock>,
    /// Runs while the peer takes nothing.
    stalled: Option<BoxFuture<'static, ()>>,
}

impl Paced {
    /// What a write came to, given up where nothing was taken for too long.
    fn paced<T>(
        &mut self,
        cx: &mut Context<'_>,
        written: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.stalled = None;
            return written;
        }
        let stalled = self.stalled.get_or_insert_with(|| self.clock.after(WRITE_MS));
        stalled.as_mut().poll(cx).map(|()| Err(io::ErrorKind::TimedOut.into()))
    }
}

impl AsyncRead for Paced {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, into)
    }
}

impl AsyncWrite for Paced {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.paced(cx, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, bytes);
        self.paced(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(cx);
        self.paced(cx, flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
