//! The way out: the one HTTP client, what it waits for and how long, and how a body is read. It
//! knows no vendor. It never tries again (the session does, through its gate), never follows a
//! redirect (the credential would go along), and never reads more than it was told to.
//!
//! Invariants: a body that is silent for longer than allowed breaks off, whatever its parser makes
//! of it; one event, one line and one whole body have a longest size; time is the clock port's, but
//! for the connection's own, which the client measures.

mod body;
mod events;
mod frames;
mod guard;
mod proxy;
#[cfg(test)]
mod tests;
mod wait;

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use greenroom_actors::{limits, ports::Clock};
use reqwest::{Method, Response, Url, header::HeaderMap, redirect, retry};

pub(crate) use body::Body;
pub(crate) use frames::{Frame, Frames, Framing};
pub(crate) use guard::Guard;
#[cfg(test)]
pub(crate) use guard::Lookup;
pub use proxy::Proxies;
pub(crate) use proxy::without_password;
pub(crate) use wait::{until_ms, wait_ms};

/// How long is waited for what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// For a connection.
    pub connect_ms: u64,
    /// For the head of the answer.
    pub first_byte_ms: u64,
    /// For the next bytes of the answer.
    pub idle_ms: u64,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            connect_ms: limits::CONNECT_MS,
            first_byte_ms: limits::FIRST_BYTE_MS,
            idle_ms: limits::STREAM_IDLE_MS,
        }
    }
}

/// Why nothing came, or nothing more.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Broken {
    #[error("reach {host}: {why}")]
    Unreachable { host: String, why: String },
    #[error("wait for {host} to answer: {why}")]
    NoAnswer { host: String, why: String },
    #[error("connect to {host}: no connection within {ms} ms")]
    ConnectTimedOut { host: String, ms: u64 },
    #[error("wait for {host} to answer: nothing within {ms} ms")]
    SilentAtFirst { host: String, ms: u64 },
    #[error("read the answer: silent for {ms} ms")]
    SilentAmid { ms: u64 },
    #[error("read the answer: {why}")]
    Cut { why: String },
    #[error("read the answer: {what} is larger than {max} bytes")]
    TooLarge { what: &'static str, max: usize },
    #[error("read the answer: it is not UTF-8 text")]
    NotText,
    #[error("reach {host}: {why}")]
    Forbidden { host: String, why: String },
}

/// The client. Clones share its connections.
#[derive(Clone)]
pub(crate) struct Net {
    http: reqwest::Client,
    clock: Arc<dyn Clock>,
    patience: Patience,
    /// Whom it must not reach, where somebody else names the addresses.
    guard: Option<Guard>,
}

/// Why there is no client.
#[derive(Debug, thiserror::Error)]
pub enum NetError {
    /// Its parts do not fit this machine, for example without root certificates.
    #[error("set up the HTTP client")]
    Client(#[source] reqwest::Error),
    /// The proxy's address.
    #[error("set up the HTTP client: the proxy {url:?} is no address such as http://HOST:PORT")]
    Proxy {
        /// What was said, without a password.
        url: String,
        /// What the client says.
        #[source]
        source: reqwest::Error,
    },
}

/// What is to be sent.
#[derive(Debug)]
pub(crate) struct Outgoing {
    pub(crate) method: Method,
    pub(crate) url: Url,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Net {
    /// A client that waits this long, through these proxies where there are any.
    pub(crate) fn new(
        clock: Arc<dyn Clock>,
        patience: Patience,
        proxies: Option<&Proxies>,
    ) -> Result<Self, NetError> {
        let mut builder = builder(patience);
        for proxy in proxies.map_or_else(|| Ok(Vec::new()), Proxies::build)? {
            builder = builder.proxy(proxy);
        }
        let http = builder.build().map_err(NetError::Client)?;
        Ok(Self { http, clock, patience, guard: None })
    }

    /// A client for addresses that somebody else names: it reaches only what the guard lets it, each
    /// time by a connection of its own, and never through a proxy, which would look names up itself.
    pub(crate) fn guarded(
        clock: Arc<dyn Clock>,
        patience: Patience,
        guard: Guard,
    ) -> Result<Self, NetError> {
        let builder = builder(patience).dns_resolver(guard.clone()).pool_max_idle_per_host(0);
        let http = builder.build().map_err(NetError::Client)?;
        Ok(Self { http, clock, patience, guard: Some(guard) })
    }

    pub(crate) fn clock(&self) -> &Arc<dyn Clock> {
        &self.clock
    }

    /// Sends and waits for the head of the answer.
    pub(crate) async fn send(&self, outgoing: Outgoing) -> Result<Response, Broken> {
        let host = host(&outgoing.url);
        if let Some(guard) = &self.guard {
            // An address in place of a name is looked up by nobody.
            let literal = guard.literal(&outgoing.url);
            literal.map_err(|why| Broken::Forbidden { host: host.clone(), why })?;
        }
        let Outgoing { method, url, headers, body } = outgoing;
        let sent = self.http.request(method, url).headers(headers).body(body).send();
        let ms = self.patience.first_byte_ms;
        tokio::select! {
            biased;
            answer = sent => answer.map_err(|error| self.unsent(&host, &error)),
            () = self.clock.after(ms) => Err(Broken::SilentAtFirst { host, ms }),
        }
    }

    /// The body of an answer, as it comes.
    pub(crate) fn body(&self, answer: Response) -> Body {
        Body::new(answer.bytes_stream(), Arc::clone(&self.clock), self.patience.idle_ms)
    }

    fn unsent(&self, host: &str, error: &reqwest::Error) -> Broken {
        let host = host.to_owned();
        if error.is_connect() && error.is_timeout() {
            return Broken::ConnectTimedOut { host, ms: self.patience.connect_ms };
        }
        if error.is_connect() {
            return Broken::Unreachable { host, why: innermost(error) };
        }
        Broken::NoAnswer { host, why: innermost(error) }
    }
}

/// What every client has.
fn builder(patience: Patience) -> reqwest::ClientBuilder {
    #[expect(clippy::disallowed_methods, reason = "the one place that builds a client")]
    let builder = reqwest::Client::builder();
    builder
        .user_agent(concat!("greenroom/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(Duration::from_millis(patience.connect_ms))
        .redirect(redirect::Policy::none())
        .retry(retry::never())
        .tcp_nodelay(true)
        .no_proxy()
}

impl std::fmt::Debug for Net {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Net").field("patience", &self.patience).finish_non_exhaustive()
    }
}

/// Whom a person would say is asked: never a path or a query, which may hold what is nobody's
/// business.
fn host(url: &Url) -> String {
    let host = url.host_str().unwrap_or("?");
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

/// The cause at the bottom: what wraps it only says that a request failed, and may show its address.
fn innermost(error: &(dyn std::error::Error + 'static)) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}
