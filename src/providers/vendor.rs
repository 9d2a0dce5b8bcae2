//! A configured vendor: a wire, an address, a credential. It is what the runtime sees as a provider.
//! Several of one kind stand side by side, each under its own name; those that share a credential
//! share its gate.

use std::{fmt, sync::Arc};

use futures_util::{
    future::BoxFuture,
    stream::{BoxStream, StreamExt as _},
};
use greenroom_actors::{
    domain::{
        event::{FailureKind, ModelFailure},
        ids::{CredentialName, ModelName, ProviderName},
    },
    limits,
    ports::{ModelEvent, ModelProvider, ModelRequest},
};
use reqwest::{
    Method, Response, Url,
    header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue},
};
use secrecy::ExposeSecret as _;

use crate::{
    net::{Broken, Net, Outgoing, wait_ms, without_password},
    telemetry::chain,
};

use super::{Ask, Key, Said, Trouble, Wire, call, failure};

/// How a vendor is set up.
#[derive(Clone)]
pub struct Options {
    /// Its name here.
    pub name: ProviderName,
    /// Where its paths begin, such as `https://api.example.com/v1`.
    pub base_url: String,
    /// Its credential.
    pub key: Key,
    /// Headers sent along with every request.
    pub headers: Vec<(String, String)>,
    /// Whether answers are streamed.
    pub stream: bool,
}

/// Without what its headers hold: that may be a secret.
impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("name", &self.name)
            .field("base_url", &without_password(&self.base_url))
            .field("key", &self.key)
            .field("stream", &self.stream)
            .finish_non_exhaustive()
    }
}

/// Why a vendor cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// Its address.
    #[error("set up provider {name}: base_url {url:?} is no address such as https://HOST/PATH")]
    Address {
        /// Whose.
        name: ProviderName,
        /// What was said, without a password.
        url: String,
    },
    /// One of its headers.
    #[error("set up provider {name}: {header:?} is no header that can be sent")]
    Header {
        /// Whose.
        name: ProviderName,
        /// Which.
        header: String,
    },
    /// Where on Vertex it is.
    #[error(
        "set up provider {name}: say its project and location, as GOOGLE_CLOUD_PROJECT and \
         GOOGLE_CLOUD_LOCATION do"
    )]
    NoPlace {
        /// Whose.
        name: ProviderName,
    },
    /// A project or a location that would lead elsewhere: both become part of an address.
    #[error(
        "set up provider {name}: {word:?} is no name of a project or a location, which are small \
         letters, digits and `-`"
    )]
    Place {
        /// Whose.
        name: ProviderName,
        /// Which.
        word: String,
    },
}

/// A configured vendor.
#[derive(Clone)]
pub struct Vendor {
    pub(super) name: ProviderName,
    pub(super) net: Net,
    pub(super) wire: Arc<dyn Wire>,
    pub(super) stream: bool,
    base: Url,
    key: Key,
    headers: HeaderMap,
}

impl Vendor {
    pub(crate) fn new(net: Net, wire: Arc<dyn Wire>, options: Options) -> Result<Self, SetupError> {
        let Options { name, base_url, key, headers: wanted, stream } = options;
        let base = address(&base_url).ok_or_else(|| SetupError::Address {
            name: name.clone(),
            url: without_password(&base_url),
        })?;
        let mut headers = HeaderMap::new();
        for (header, value) in wanted {
            let pair = (HeaderName::try_from(header.as_str()), HeaderValue::try_from(value));
            let (Ok(key), Ok(value)) = pair else {
                return Err(SetupError::Header { name, header });
            };
            headers.insert(key, value);
        }
        Ok(Self { name, net, wire, stream, base, key, headers })
    }

    /// Sends a request; what is no answer is a failure already.
    pub(super) async fn send(
        &self,
        method: Method,
        ask: Ask,
        out: &mut Vec<ModelEvent>,
    ) -> Result<Response, ModelFailure> {
        let outgoing = self.outgoing(method, ask)?;
        let answer = self.net.send(outgoing).await.map_err(|broken| self.broken(&broken))?;
        let now = self.net.clock().now();
        if let Some(limits) = self.wire.limits(answer.headers(), now) {
            out.push(ModelEvent::Limits { limits: Box::new(limits) });
        }
        if answer.status().is_success() {
            return Ok(answer);
        }
        Err(self.refused(answer).await)
    }

    fn outgoing(&self, method: Method, ask: Ask) -> Result<Outgoing, ModelFailure> {
        let unsent =
            |why: String| ModelFailure::new(FailureKind::BadRequest, why, false).unbilled();
        let auth = |why: String| ModelFailure::new(FailureKind::Auth, why, false).unbilled();
        let address = format!("{}{}", self.base.as_str().trim_end_matches('/'), ask.path);
        let url = Url::parse(&address).map_err(|_bad| {
            unsent(format!("{}: the model's name makes no address: {:?}", self.name, ask.path))
        })?;
        let mut headers = self.headers.clone();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.entry(ACCEPT).or_insert(HeaderValue::from_static("*/*"));
        for (name, value) in ask.headers {
            let value = HeaderValue::try_from(value)
                .map_err(|_bad| unsent(format!("{}: header {name} cannot be sent", self.name)))?;
            headers.entry(name).or_insert(value);
        }
        let key =
            self.key.find().map_err(|error| auth(format!("{}: {}", self.name, chain(&error))))?;
        if let Some(key) = key {
            let header = self.wire.auth().header(key.expose_secret());
            let (name, value) = header.ok_or_else(|| {
                auth(format!(
                    "{}: the credential in {} has characters that no header may have",
                    self.name,
                    self.key.place()
                ))
            })?;
            headers.insert(name, value);
        }
        Ok(Outgoing { method, url, headers, body: ask.body })
    }

    /// The failure that an answer with an error status means.
    async fn refused(&self, answer: Response) -> ModelFailure {
        let status = answer.status().as_u16();
        let headers = answer.headers().clone();
        let body = self.net.body(answer).beginning(limits::WIRE_ERROR_BYTES).await;
        let said = match self.wire.trouble(&body) {
            Some(Trouble::Said(said)) => Some(said),
            Some(Trouble::Malformed(_)) | None => None,
        };
        let asked = wait_ms(&headers, self.net.clock().now());
        let mut failed = self.failed(status, said.as_ref());
        if failed.retryable {
            failed.retry_after_ms = asked.or(failed.retry_after_ms);
        }
        // The vendor's own word on whether to ask again, where it has one.
        match headers.get("x-should-retry").map(HeaderValue::as_bytes) {
            Some(b"false") if failed.kind != FailureKind::RateLimited => failed.retryable = false,
            Some(b"true") if failed.kind == FailureKind::Overloaded => failed.retryable = true,
            Some(_) | None => {}
        }
        failed
    }

    /// The failure that the vendor's words under this status mean.
    pub(super) fn failed(&self, status: u16, said: Option<&Said>) -> ModelFailure {
        let row = failure::of_status(status, said);
        let words = said.map_or_else(String::new, |said| self.told(said));
        let hint = match row.kind {
            FailureKind::Auth => format!("; the credential is {}", self.key.place()),
            _other => String::new(),
        };
        let message = match status {
            200..=299 => format!("{} broke off its answer{words}{hint}", self.name),
            300..=399 => format!(
                "{} answered {status}: redirects are not followed, put the address itself into base_url",
                self.name
            ),
            _status => format!("{} answered {status}{words}{hint}", self.name),
        };
        let mut failed = ModelFailure::new(row.kind, message, row.retryable);
        failed.unbilled = row.unbilled;
        failed.retry_after_ms = said.and_then(|said| said.retry_after_ms).filter(|_| row.retryable);
        failed
    }

    /// A trouble amid an answer as a failure.
    pub(super) fn troubled(&self, trouble: Trouble) -> ModelFailure {
        match trouble {
            Trouble::Said(said) => self.failed(200, Some(&said)),
            Trouble::Malformed(what) => {
                let message =
                    format!("{} sent what its protocol does not allow: {what}", self.name);
                ModelFailure::new(FailureKind::Malformed, self.tellable(&message), false)
            }
        }
    }

    /// A connection that broke, by whose it was: a tree has several vendors.
    pub(super) fn broken(&self, broken: &Broken) -> ModelFailure {
        let failed = failure::of_broken(broken);
        ModelFailure { message: format!("{}: {}", self.name, failed.message), ..failed }
    }

    /// The vendor's words, short, without the credential.
    fn told(&self, said: &Said) -> String {
        let mut words = String::new();
        for word in [&said.code, &said.message] {
            if !word.is_empty() && !words.contains(word.as_str()) {
                words.push_str(": ");
                words.push_str(word);
            }
        }
        self.tellable(&words)
    }

    /// Short, and without the credential: some vendors repeat what they were sent. It is taken out
    /// before the text is cut, for half of it would not be found.
    fn tellable(&self, text: &str) -> String {
        let mut text = match self.key.find() {
            Ok(Some(key)) => text.replace(key.expose_secret(), "…"),
            Ok(None) | Err(_) => text.to_owned(),
        };
        let max = limits::WIRE_WORDS_BYTES.min(text.len());
        let end = (0..=max).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
        text.truncate(end);
        text
    }

    /// What is asked of a list of models, within its time: a list that comes byte by byte is never
    /// silent, and no deadline of a call stands behind it.
    async fn in_time<T>(
        &self,
        asked: impl Future<Output = Result<T, ModelFailure>>,
    ) -> Result<T, ModelFailure> {
        tokio::select! {
            biased;
            answer = asked => answer,
            () = self.net.clock().after(limits::LIST_MS) => {
                let seconds = limits::LIST_MS / 1_000;
                let message = format!("{}: its list of models took longer than {seconds} s", self.name);
                Err(ModelFailure::new(FailureKind::TimedOut, message, true))
            }
        }
    }

    async fn page(&self, after: Option<String>) -> Result<super::ModelPage, ModelFailure> {
        let path = self.wire.models_path(after.as_deref());
        let ask = Ask { path, headers: self.wire.headers(), body: bytes::Bytes::new() };
        let answer = self.send(Method::GET, ask, &mut Vec::new()).await?;
        let body = self.net.body(answer).whole(limits::WIRE_REPLY_BYTES).await;
        let body = body.map_err(|broken| self.broken(&broken))?;
        self.wire.models(&body).map_err(|trouble| self.troubled(trouble))
    }

    async fn all_models(&self, prefix: String) -> Result<Vec<ModelName>, ModelFailure> {
        let mut names = Vec::new();
        let mut after = None;
        // A vendor whose pages never end is not followed for ever.
        for _page in 0..limits::MODEL_PAGES {
            let page = self.page(after).await?;
            names.extend(page.names.into_iter().filter(|name| name.starts_with(&prefix)));
            after = page.after;
            if after.is_none() {
                break;
            }
        }
        names.sort();
        names.dedup();
        Ok(names.into_iter().map(ModelName).collect())
    }
}

impl ModelProvider for Vendor {
    fn name(&self) -> ProviderName {
        self.name.clone()
    }

    fn credential(&self) -> CredentialName {
        // Who share a key share its rate, whatever formats they speak; without one each is alone.
        if self.key.is_none() {
            return CredentialName(self.name.0.clone());
        }
        CredentialName(self.key.place())
    }

    fn call(&self, request: ModelRequest) -> BoxStream<'static, Result<ModelEvent, ModelFailure>> {
        call::answer(self.clone(), request).boxed()
    }

    fn list_models(
        &self,
        prefix: String,
    ) -> BoxFuture<'static, Result<Vec<ModelName>, ModelFailure>> {
        let this = self.clone();
        Box::pin(async move { this.in_time(this.all_models(prefix)).await })
    }

    fn verify_auth(&self) -> BoxFuture<'static, Result<(), ModelFailure>> {
        let this = self.clone();
        Box::pin(async move { this.in_time(this.page(None)).await.map(drop) })
    }
}

impl fmt::Debug for Vendor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Vendor")
            .field("name", &self.name)
            .field("wire", &self.wire)
            .field("key", &self.key)
            .finish_non_exhaustive()
    }
}

/// An address that requests can be sent to.
fn address(url: &str) -> Option<Url> {
    let base = Url::parse(url).ok()?;
    let fits = matches!(base.scheme(), "http" | "https") && base.has_host();
    (fits && base.query().is_none() && base.fragment().is_none()).then_some(base)
}
