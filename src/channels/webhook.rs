//! Each question as a POST to one address, signed, and its answer in the response or, when that is
//! empty, later through the API. What is heard there is believed because of the address, which must
//! be one of TLS or of this machine, and because it names the question and the request's digest.
//!
//! A server that is away is tried again, with pauses that grow to a most, for as long as the question
//! is open: it carries the same id each time, so hearing it twice is hearing it once. A server that
//! refuses, or says what is no answer, is not asked again. The end of a question is told the same way,
//! but a bounded number of times: nobody waits for it to be heard.
//!
//! The signature is HMAC-SHA256 over `v1:TIME:BODY`, in hexadecimal, with TIME from its own header,
//! so that a server can refuse what was recorded long ago.

use std::{fmt, sync::Arc};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use greenroom_actors::{
    domain::{catalog::ApprovalRow, ids::Timestamp, permission::Answer},
    limits,
    ports::Clock,
};
use hmac::{Hmac, Mac as _};
use reqwest::{
    Method, StatusCode, Url,
    header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue},
};
use secrecy::{ExposeSecret as _, SecretString};
use sha2::Sha256;

use crate::net::{Broken, Net, NetError, Patience, Proxies, wait_ms};

use super::{Asked, Channel, NoAnswer, wire};

mod ends;

const TIME: HeaderName = HeaderName::from_static("x-greenroom-time");
const SIGNATURE: HeaderName = HeaderName::from_static("x-greenroom-signature");

/// Where the signing key is found, each time anew; or why it is not.
pub type SignedBy = Arc<dyn Fn() -> Result<SecretString, String> + Send + Sync>;

/// Why an address is not used.
#[derive(Debug, thiserror::Error)]
pub enum WebhookError {
    /// It is none.
    #[error("use the webhook {url:?}: an address such as https://HOST/PATH was expected")]
    NoAddress {
        /// What was said.
        url: String,
    },
    /// Anybody on the way could allow anything.
    #[error("use the webhook at {host}: https was expected, or an address of this machine")]
    Open {
        /// Where.
        host: String,
    },
    /// The client.
    #[error(transparent)]
    Net(#[from] NetError),
}

/// An address that is asked.
pub struct Webhook(Arc<Inner>);

struct Inner {
    net: Net,
    url: Url,
    key: SignedBy,
}

/// Why a request has no answer.
enum Missed {
    /// Perhaps the next one has; the server may say when.
    Again {
        why: String,
        after_ms: Option<u64>,
    },
    Never(NoAnswer),
}

impl Webhook {
    /// An address, and the key that questions are signed with.
    ///
    /// # Errors
    /// When it is no address, or one that others could answer for.
    pub fn new(
        url: &str,
        key: SignedBy,
        clock: Arc<dyn Clock>,
        proxies: Option<&Proxies>,
    ) -> Result<Self, WebhookError> {
        // What was said may hold a token, so of a real address only the host is told.
        let url = Url::parse(url).map_err(|_| WebhookError::NoAddress { url: url.to_owned() })?;
        let host = url.host_str().unwrap_or_default().to_owned();
        let own = host == "localhost"
            || host
                .trim_matches(['[', ']'])
                .parse()
                .is_ok_and(|ip: std::net::IpAddr| ip.is_loopback());
        match url.scheme() {
            "https" => {}
            "http" if own => {}
            "http" => return Err(WebhookError::Open { host }),
            _ => return Err(WebhookError::NoAddress { url: url.scheme().to_owned() }),
        }
        let net = Net::new(clock, Patience::default(), proxies.filter(|_| !own))?;
        Ok(Self(Arc::new(Inner { net, url, key })))
    }
}

impl fmt::Debug for Webhook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Webhook").field(&self.0.url.host_str()).finish()
    }
}

/// What is sent as the signature.
fn signature(key: &SecretString, time: Timestamp, body: &[u8]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(key.expose_secret().as_bytes())
        .expect("a key of any length will do");
    mac.update(format!("v1:{}:", time.0).as_bytes());
    mac.update(body);
    let hex: String =
        mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("v1={hex}")
}

impl Inner {
    /// Sends it once; the status and the body of what came back.
    async fn post(&self, body: &[u8]) -> Result<(StatusCode, Bytes), Missed> {
        let never = |why: String| Missed::Never(NoAnswer::because(why));
        let again = |why: String| Missed::Again { why, after_ms: None };
        let key = (self.key)().map_err(never)?;
        let now = self.net.clock().now();
        let signed = HeaderValue::from_str(&signature(&key, now, body));
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(TIME, HeaderValue::from(now.0));
        headers.insert(SIGNATURE, signed.map_err(|error| never(error.to_string()))?);
        let (url, body) = (self.url.clone(), Bytes::copy_from_slice(body));
        let outgoing = crate::net::Outgoing { method: Method::POST, url, headers, body };
        let answer = self.net.send(outgoing).await.map_err(|broken| again(broken.to_string()))?;
        let status = answer.status();
        let passes = status.is_server_error()
            || matches!(status, StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS);
        if passes {
            let after_ms = wait_ms(answer.headers(), now);
            return Err(Missed::Again { why: format!("it says {status}"), after_ms });
        }
        if !status.is_success() {
            return Err(never(format!("it says {status}")));
        }
        match self.net.body(answer).whole(limits::ANSWER_BYTES).await {
            Ok(body) => Ok((status, body)),
            Err(broken @ Broken::TooLarge { .. }) => Err(never(broken.to_string())),
            Err(broken) => Err(again(broken.to_string())),
        }
    }

    /// The answer, or nothing when it comes later and not from here.
    async fn once(&self, row: &ApprovalRow, body: &[u8]) -> Result<Option<Answer>, Missed> {
        let (status, said) = self.post(body).await?;
        if matches!(status, StatusCode::ACCEPTED | StatusCode::NO_CONTENT) || said.is_empty() {
            return Ok(None);
        }
        wire::answer(row, &said).map(Some).map_err(Missed::Never)
    }

    async fn ask(&self, row: &ApprovalRow) -> Result<Answer, NoAnswer> {
        let body = wire::question(row);
        let mut pause_ms = limits::WEBHOOK_PAUSE_MS;
        loop {
            match self.once(row, &body).await {
                Ok(Some(answer)) => return Ok(answer),
                Ok(None) => return std::future::pending().await,
                Err(Missed::Never(none)) => return Err(none),
                Err(Missed::Again { why, after_ms }) => {
                    tracing::warn!(approval = %row.id, %why, pause_ms, "the webhook is away");
                    self.pause(&mut pause_ms, after_ms).await;
                }
            }
        }
    }

    async fn tell(&self, row: &ApprovalRow, how: &str) {
        let body = wire::closed(row, how);
        let mut pause_ms = limits::WEBHOOK_PAUSE_MS;
        for tries_left in (0..limits::WEBHOOK_TELLS).rev() {
            let (why, after_ms) = match self.post(&body).await {
                Ok(_heard) => return,
                Err(Missed::Again { why, after_ms }) if tries_left > 0 => (why, after_ms),
                Err(Missed::Never(NoAnswer { why }) | Missed::Again { why, .. }) => {
                    tracing::warn!(approval = %row.id, %why, "the webhook did not hear the end");
                    return;
                }
            };
            tracing::debug!(approval = %row.id, %why, pause_ms, "the webhook has not heard the end");
            self.pause(&mut pause_ms, after_ms).await;
        }
    }

    /// Waits before another try, at least as long as the server said, and longer each time.
    async fn pause(&self, pause_ms: &mut u64, said_ms: Option<u64>) {
        let most = limits::WEBHOOK_PAUSE_MAX_MS;
        let wait_ms = said_ms.map_or(*pause_ms, |ms| ms.max(*pause_ms).min(most));
        self.net.clock().after(wait_ms).await;
        *pause_ms = pause_ms.saturating_mul(2).min(most);
    }
}

impl Channel for Webhook {
    fn name(&self) -> &str {
        "webhook"
    }

    fn ask(&self, question: Arc<ApprovalRow>) -> Asked {
        let inner = Arc::clone(&self.0);
        Box::pin(async move { inner.ask(&question).await })
    }

    /// Told until it is heard, a few times: who misses all of them finds out when it answers.
    fn closed(&self, question: Arc<ApprovalRow>, how: String) -> BoxFuture<'static, ()> {
        let inner = Arc::clone(&self.0);
        Box::pin(async move { inner.tell(&question, &how).await })
    }
}
