//! The runtime's side of the vendor: a provider whose every call goes to its process, and which
//! goes on behind an end only when the vendor has noted that it was delivered.

use std::{io, net::SocketAddr};

use futures_util::{
    StreamExt,
    future::BoxFuture,
    stream::{self, BoxStream},
};
use greenroom_actors::{
    domain::{
        event::{FailureKind, ModelFailure},
        ids::{CredentialName, ModelName, ProviderName},
    },
    ports::{ModelEvent, ModelProvider, ModelRequest},
};

use super::{
    model::{WireAck, WireAnswer, WireRequest},
    wire::Wire,
};

/// The runtime's side: a provider whose every call goes to the vendor's process.
#[derive(Clone, Debug)]
pub(crate) struct RemoteModel {
    addr: SocketAddr,
}

impl RemoteModel {
    /// The vendor at this address.
    pub(crate) const fn new(addr: SocketAddr) -> Self {
        Self { addr }
    }
}

/// Where a call is.
enum Call {
    Begin(SocketAddr, Box<WireRequest>),
    Streaming(Box<Wire>),
    Over,
}

impl Call {
    async fn next(self) -> Option<(Result<ModelEvent, ModelFailure>, Self)> {
        let wire = match self {
            Self::Begin(addr, request) => begin(addr, &request).await,
            Self::Streaming(wire) => Ok(wire),
            Self::Over => return None,
        };
        let (mut wire, answer) = match wire {
            Ok(mut wire) => match wire.read::<WireAnswer>().await {
                Ok(Some(answer)) => (wire, answer),
                Ok(None) => return Some((Err(broken("the vendor closed")), Self::Over)),
                Err(error) => return Some((Err(broken(error)), Self::Over)),
            },
            Err(error) => return Some((Err(broken(error)), Self::Over)),
        };
        match answer {
            WireAnswer::Event(event @ ModelEvent::Finished { .. }) => {
                acknowledge(&mut wire).await;
                Some((Ok(event), Self::Over))
            }
            WireAnswer::Event(event) => Some((Ok(event), Self::Streaming(wire))),
            WireAnswer::Failed(failure) => {
                acknowledge(&mut wire).await;
                Some((Err(failure), Self::Over))
            }
            WireAnswer::EndedEarly => {
                acknowledge(&mut wire).await;
                None
            }
            WireAnswer::Panicked(text) => {
                acknowledge(&mut wire).await;
                panic!("{text}");
            }
            WireAnswer::Noted => {
                Some((Err(broken("the vendor answered out of order")), Self::Over))
            }
        }
    }
}

async fn begin(addr: SocketAddr, request: &WireRequest) -> io::Result<Box<Wire>> {
    let mut wire = Wire::connect(addr).await?;
    wire.write(request).await?;
    Ok(Box::new(wire))
}

/// Tells the vendor that the end was read and waits for its note, so that whatever the runtime
/// knows to have ended is in the vendor's journal. A vendor that dies now has answered all the same.
async fn acknowledge(wire: &mut Wire) {
    if wire.write(&WireAck::Ack).await.is_ok() {
        drop(wire.read::<WireAnswer>().await);
    }
}

fn broken(why: impl ToString) -> ModelFailure {
    ModelFailure::new(FailureKind::Transport, format!("call the vendor: {}", why.to_string()), true)
}

impl ModelProvider for RemoteModel {
    fn name(&self) -> ProviderName {
        "remote".into()
    }

    fn credential(&self) -> CredentialName {
        "remote".into()
    }

    fn call(&self, request: ModelRequest) -> BoxStream<'static, Result<ModelEvent, ModelFailure>> {
        let call = Call::Begin(self.addr, Box::new(WireRequest::of(&request)));
        stream::unfold(call, Call::next).boxed()
    }

    fn list_models(
        &self,
        prefix: String,
    ) -> BoxFuture<'static, Result<Vec<ModelName>, ModelFailure>> {
        let name = "remote";
        let names = if name.starts_with(&prefix) { vec![name.into()] } else { Vec::new() };
        Box::pin(std::future::ready(Ok(names)))
    }

    fn verify_auth(&self) -> BoxFuture<'static, Result<(), ModelFailure>> {
        Box::pin(std::future::ready(Ok(())))
    }
}
