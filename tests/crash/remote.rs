//! The runtime's side of the vendor: the real adapter, and around each of its streams a hand that
//! announces the call to the vendor's process before, and lets the runtime go on behind an end only
//! when the vendor has noted that it was read. The answer itself passes untouched.

use std::{error::Error, io, net::SocketAddr, sync::Arc};

use futures_util::{
    StreamExt,
    future::BoxFuture,
    stream::{self, BoxStream},
};
use greenroom::{
    clock::SystemClock,
    providers::{Kind, Patience, Quirks, Setup, ThinkingBack, Vendor, Way, connect},
};
use greenroom_actors::{
    domain::{
        event::{FailureKind, ModelFailure},
        ids::{CredentialName, ModelName, ProviderName},
    },
    ports::{ModelEvent, ModelProvider, ModelRequest},
};

use super::{
    http::Http,
    model::{Announced, Noted},
    vendor,
};

/// The vendor as the runtime calls it.
#[derive(Clone, Debug)]
pub(crate) struct RemoteModel {
    addr: SocketAddr,
    adapter: Vendor,
}

impl RemoteModel {
    /// The vendor at this address.
    pub(crate) fn new(addr: SocketAddr) -> Result<Self, Box<dyn Error>> {
        Ok(Self { addr, adapter: adapter(addr)? })
    }
}

/// The adapter alone. Thoughts go back, so that they are in the bodies that are compared, and a
/// stream without its last word has broken off.
pub(crate) fn adapter(addr: SocketAddr) -> Result<Vendor, Box<dyn Error>> {
    let way = Way::new(Arc::new(SystemClock), Patience::default(), None)?;
    let base = format!("http://{addr}{}", vendor::BASE);
    let mut setup = Setup::new("remote", Kind::OpenAiChat, base);
    let thinking_back = ThinkingBack::Content;
    setup.quirks = Quirks { thinking_back, closes: true, ..Quirks::COMPATIBLE };
    Ok(connect(&way, setup)?)
}

/// Where a call is.
enum Call {
    Begin(Box<(RemoteModel, ModelRequest)>),
    Streaming(Http, BoxStream<'static, Result<ModelEvent, ModelFailure>>),
    Over,
}

impl Call {
    async fn next(self) -> Option<(Result<ModelEvent, ModelFailure>, Self)> {
        let (mut beside, mut events) = match self {
            Self::Begin(begin) => {
                let (RemoteModel { addr, adapter }, request) = *begin;
                match announce(addr, &Announced::of(&request)).await {
                    Ok(beside) => (beside, adapter.call(request)),
                    Err(error) => return Some((Err(broken(&error)), Self::Over)),
                }
            }
            Self::Streaming(beside, events) => (beside, events),
            Self::Over => return None,
        };
        let next = events.next().await;
        if let Some(Ok(
            ModelEvent::Text { .. } | ModelEvent::Thinking { .. } | ModelEvent::Limits { .. },
        )) = next
        {
            return next.map(|next| (next, Self::Streaming(beside, events)));
        }
        acknowledge(&mut beside).await;
        next.map(|end| (end, Self::Over))
    }
}

/// Tells the vendor who is about to call. What comes back is held for as long as the call is
/// wanted: by its end the vendor knows that nobody waits any more.
pub(crate) async fn announce(addr: SocketAddr, call: &Announced) -> io::Result<Http> {
    let mut http = Http::connect(addr).await?;
    http.post(vendor::EXPECT, &serde_json::to_vec(call)?).await?;
    match http.read().await? {
        Some(_heard) => Ok(http),
        None => Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the vendor closed")),
    }
}

/// Tells the vendor that the end was read and waits for its note, so that whatever the runtime
/// knows to have ended is in the vendor's journal. A vendor that dies now has answered all the same.
async fn acknowledge(beside: &mut Http) {
    if beside.post(vendor::ACK, b"").await.is_err() {
        return;
    }
    let Ok(Some(said)) = beside.read().await else { return };
    if let Ok(Noted { panic: Some(text) }) = serde_json::from_slice(&said.body) {
        panic!("{text}");
    }
}

fn broken(why: &io::Error) -> ModelFailure {
    ModelFailure::new(FailureKind::Transport, format!("announce a call: {why}"), true)
}

impl ModelProvider for RemoteModel {
    fn name(&self) -> ProviderName {
        self.adapter.name()
    }

    fn credential(&self) -> CredentialName {
        self.adapter.credential()
    }

    fn call(&self, request: ModelRequest) -> BoxStream<'static, Result<ModelEvent, ModelFailure>> {
        stream::unfold(Call::Begin(Box::new((self.clone(), request))), Call::next).boxed()
    }

    fn list_models(
        &self,
        prefix: String,
    ) -> BoxFuture<'static, Result<Vec<ModelName>, ModelFailure>> {
        self.adapter.list_models(prefix)
    }

    fn verify_auth(&self) -> BoxFuture<'static, Result<(), ModelFailure>> {
        self.adapter.verify_auth()
    }
}
