//! A running server as the other commands speak to it: found by the ticket beside its store, spoken to
//! in its own API. Where no server runs on a store there is none here, and a command does its work on
//! the store itself.

use std::path::Path;

use futures_util::StreamExt as _;
use reqwest::{
    Method, Url,
    header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue},
};
use serde_json::Value;

use crate::{
    app,
    net::{Frames, Framing, Net, NetError, Outgoing, Patience},
    telemetry::chain,
};

use super::serve::Ticket;

/// The largest answer that is read.
const ANSWER_BYTES: usize = 4 * 1_024 * 1_024;

/// Why a server did not do what it was told.
#[derive(Debug, thiserror::Error)]
pub(super) enum RemoteError {
    /// There is no client.
    #[error(transparent)]
    Net(#[from] NetError),
    /// Nothing that is an address.
    #[error("speak to the server on {}: its ticket names no address", store.display())]
    Ticket { store: std::path::PathBuf },
    /// It does not answer.
    #[error("speak to the server at {url}: {why}")]
    Silent { url: Url, why: String },
    /// It said no.
    #[error("{detail}")]
    Refused { detail: String },
    /// There is none.
    #[error("no server runs on {}; `greenroom serve` starts one", store.display())]
    None { store: std::path::PathBuf },
}

/// A running server.
#[derive(Debug)]
pub(super) struct Remote {
    net: Net,
    url: Url,
    headers: HeaderMap,
}

impl Remote {
    /// The server on a store, where one runs.
    pub(super) fn on(store: &Path) -> Result<Option<Self>, RemoteError> {
        let holder = app::holder(store);
        let Some(ticket) = Ticket::read(store, holder) else { return Ok(None) };
        let bad = || RemoteError::Ticket { store: store.to_owned() };
        let url = ticket.url.parse().map_err(|_odd| bad())?;
        let bearer = format!("Bearer {}", ticket.token);
        let mut bearer = HeaderValue::try_from(bearer).map_err(|_odd| bad())?;
        bearer.set_sensitive(true);
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, bearer);
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        // It is on this machine, so it is near, and no proxy stands between.
        let net = Net::new(app::clock(), Patience::default(), None)?;
        Ok(Some(Self { net, url, headers }))
    }

    /// The same where there must be one.
    pub(super) fn at(store: &Path) -> Result<Self, RemoteError> {
        Self::on(store)?.ok_or_else(|| RemoteError::None { store: store.to_owned() })
    }

    /// Tells it something; returns what it answers.
    pub(super) async fn post(&self, path: &str, body: &Value) -> Result<Value, RemoteError> {
        self.told(Method::POST, path, body.to_string()).await
    }

    /// Tells it to take something away.
    pub(super) async fn delete(&self, path: &str) -> Result<Value, RemoteError> {
        self.told(Method::DELETE, path, String::new()).await
    }

    async fn told(&self, method: Method, path: &str, body: String) -> Result<Value, RemoteError> {
        let answer = self.send(method, path, body).await?;
        let (status, silent) = (answer.status(), |why: String| self.silent(why));
        let body = self.net.body(answer).whole(ANSWER_BYTES).await;
        let body = body.map_err(|broken| silent(chain(&broken)))?;
        let told: Value = serde_json::from_slice(&body).unwrap_or_default();
        if status.is_success() {
            return Ok(told);
        }
        let detail = told["detail"].as_str().map_or_else(|| status.to_string(), str::to_owned);
        Err(RemoteError::Refused { detail })
    }

    /// Hears a stream of its events: each with its name.
    pub(super) async fn follow(&self, path: &str) -> Result<Events, RemoteError> {
        let answer = self.send(Method::GET, path, String::new()).await?;
        if !answer.status().is_success() {
            return Err(RemoteError::Refused { detail: answer.status().to_string() });
        }
        Ok(Events(Frames::new(Framing::Events, self.net.body(answer))))
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        body: String,
    ) -> Result<reqwest::Response, RemoteError> {
        let mut url = self.url.clone();
        let (path, query) = path.split_once('?').map_or((path, None), |(p, q)| (p, Some(q)));
        url.set_path(path);
        url.set_query(query);
        let outgoing = Outgoing { method, url, headers: self.headers.clone(), body: body.into() };
        self.net.send(outgoing).await.map_err(|broken| self.silent(chain(&broken)))
    }

    fn silent(&self, why: String) -> RemoteError {
        RemoteError::Silent { url: self.url.clone(), why }
    }
}

/// Events as they come.
pub(super) struct Events(Frames);

impl Events {
    /// The next one; nothing when the stream has ended, however it did.
    pub(super) async fn next(&mut self) -> Option<(String, Value)> {
        let frame = self.0.next().await?.ok()?;
        let data = serde_json::from_str(&frame.data).unwrap_or_default();
        Some((frame.name.unwrap_or_default(), data))
    }
}
