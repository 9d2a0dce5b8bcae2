//! One call of a model, from the request to the answer's end: a stream that ends with exactly one
//! `Finished` or one failure. A body that ends before the answer does is a failure, never a short
//! answer. Nothing here is tried again.

use std::{
    collections::VecDeque,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use futures_util::{FutureExt as _, Stream, StreamExt as _, future::BoxFuture, stream};
use greenroom_actors::{
    domain::event::{FailureKind, ModelFailure},
    limits,
    ports::{Clock, ModelEvent, ModelRequest},
};
use reqwest::{Method, Response, header::CONTENT_TYPE};
use serde::de::IgnoredAny;

use crate::net::{Broken, Frame, Frames, Framing};

use super::{Decoder, Vendor};

/// The events of one call. Asking is a future of its own, and large; reading is none, for it is gone
/// through once for every piece.
pub(super) fn answer(
    vendor: Vendor,
    request: ModelRequest,
) -> impl Stream<Item = Result<ModelEvent, ModelFailure>> + Send {
    let asking = async move {
        let mut out = Vec::new();
        let stage = ask(&vendor, &request, &mut out).await;
        Answer { vendor, stage, ready: out.into(), out: Vec::new() }
    };
    stream::once(Box::pin(asking)).flatten()
}

/// An answer as it is read.
struct Answer {
    vendor: Vendor,
    stage: Stage,
    /// What was read and not yet given out.
    ready: VecDeque<ModelEvent>,
    /// Where a frame's events are put; empty between two frames.
    out: Vec<ModelEvent>,
}

/// How far it is.
enum Stage {
    /// The answer comes.
    Reading { frames: Frames, decoder: Box<dyn Decoder> },
    /// It has come, and what closes its body is waited for.
    Closing(BoxFuture<'static, ()>),
    /// It has failed; what came before is given out first.
    Failed(ModelFailure),
    /// Nothing more comes.
    Over,
}

impl Stream for Answer {
    type Item = Result<ModelEvent, ModelFailure>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            // Before its end is given out: who has heard it drops this, and the connection with it.
            if let Stage::Closing(closing) = &mut self.stage {
                ready!(closing.poll_unpin(cx));
                self.stage = Stage::Over;
            }
            if let Some(event) = self.ready.pop_front() {
                return Poll::Ready(Some(Ok(event)));
            }
            if let Stage::Reading { frames, .. } = &mut self.stage {
                let frame = ready!(frames.poll_next_unpin(cx));
                self.read(frame);
                continue;
            }
            return Poll::Ready(match std::mem::replace(&mut self.stage, Stage::Over) {
                Stage::Failed(failure) => Some(Err(failure)),
                Stage::Reading { .. } | Stage::Closing(_) | Stage::Over => None,
            });
        }
    }
}

impl Answer {
    /// Takes in a frame, or the body's end.
    fn read(&mut self, frame: Option<Result<Frame, Broken>>) {
        let Stage::Reading { decoder, .. } = &mut self.stage else { return };
        let out = &mut self.out;
        let read = match frame {
            Some(Ok(frame)) => decoder.frame(&frame, out).map(|()| true),
            Some(Err(broken)) => return self.fail(self.vendor.broken(&broken)),
            None => decoder.end(out).map(|()| false),
        };
        let is_whole = matches!(out.last(), Some(ModelEvent::Finished { .. }));
        self.ready.extend(out.drain(..));
        match read {
            Ok(true) if is_whole => self.close(),
            Ok(true) => {}
            Ok(false) if is_whole => self.stage = Stage::Over,
            Ok(false) => self.fail(ended_early(&self.vendor)),
            Err(trouble) => self.fail(self.vendor.troubled(trouble)),
        }
    }

    fn fail(&mut self, failure: ModelFailure) {
        self.stage = Stage::Failed(failure);
    }

    fn close(&mut self) {
        if let Stage::Reading { frames, .. } = std::mem::replace(&mut self.stage, Stage::Over) {
            let clock = Arc::clone(self.vendor.net.clock());
            self.stage = Stage::Closing(Box::pin(rest(clock, frames)));
        }
    }
}

/// Says which call it is, to every vendor alike. Each call has its own number, also one that is made
/// again, so the key never stands in for our retries: a vendor that remembers keys would answer a
/// second try with the failure of the first. It is for what happens below us, such as a proxy that
/// sends a request twice: that is one call, and billed once.
const CALL_KEY: &str = "idempotency-key";

async fn ask(vendor: &Vendor, request: &ModelRequest, out: &mut Vec<ModelEvent>) -> Stage {
    let ask = match vendor.wire.ask(request, vendor.stream) {
        Ok(mut ask) => {
            ask.headers.push((CALL_KEY, request.call.to_string()));
            ask
        }
        Err(why) => {
            let message = format!("{}: {why}", vendor.name);
            let failure = ModelFailure::new(FailureKind::BadRequest, message, false);
            return Stage::Failed(failure.unbilled());
        }
    };
    match vendor.send(Method::POST, ask, out).await {
        Ok(answer) => begin(vendor, answer, out).await,
        Err(failure) => Stage::Failed(failure),
    }
}

/// A vendor may answer as a whole although a stream was asked for, so its word decides.
async fn begin(vendor: &Vendor, answer: Response, out: &mut Vec<ModelEvent>) -> Stage {
    let wire = &vendor.wire;
    if let Some(framing) = framing(&answer, vendor.stream, wire.framing()) {
        let frames = Frames::new(framing, vendor.net.body(answer));
        return Stage::Reading { frames, decoder: wire.decoder() };
    }
    let body = vendor.net.body(answer).whole(limits::WIRE_REPLY_BYTES).await;
    match body {
        Ok(body) if vendor.stream && is_stream(&body) => {
            let frames = Frames::of(Framing::Events, stream::iter([Ok(body)]));
            Stage::Reading { frames, decoder: wire.decoder() }
        }
        Ok(body) => match wire.whole(&body) {
            Ok(reply) => {
                out.push(ModelEvent::Finished { reply: Box::new(reply) });
                Stage::Over
            }
            Err(_short) if is_cut(&body) => Stage::Failed(ended_early(vendor)),
            Err(trouble) => Stage::Failed(vendor.troubled(trouble)),
        },
        Err(broken) => Stage::Failed(vendor.broken(&broken)),
    }
}

fn ended_early(vendor: &Vendor) -> ModelFailure {
    let message = format!("{} ended before its answer did", vendor.name);
    ModelFailure::new(FailureKind::EndedEarly, message, true)
}

/// Whether a body ends amid its JSON: where no length was told, one that broke off looks whole. The
/// cut may lie within a character.
fn is_cut(body: &[u8]) -> bool {
    let text = match std::str::from_utf8(body) {
        Ok(_) => body,
        Err(error) if error.error_len().is_none() => {
            body.get(..error.valid_up_to()).unwrap_or_default()
        }
        Err(_no_text) => return false,
    };
    serde_json::from_slice::<IgnoredAny>(text).is_err_and(|error| error.is_eof())
}

/// Whether a body that says it is JSON is the stream that was asked for: no JSON begins like this.
fn is_stream(body: &[u8]) -> bool {
    let begins = body.trim_ascii_start();
    [&b"data:"[..], b"event:", b"id:", b"retry:", b":"]
        .iter()
        .any(|field| begins.starts_with(field))
}

/// Reads the closing bytes, so that the connection can serve again; whatever they say.
async fn rest(clock: Arc<dyn Clock>, mut frames: Frames) {
    let rest = async { while let Some(Ok(_frame)) = frames.next().await {} };
    tokio::select! {
        biased;
        () = rest => {}
        () = clock.after(limits::STREAM_REST_MS) => {}
    }
}

/// How the body is cut, by what the vendor says it is; as a whole where it is plain JSON or no stream
/// was asked for. Lines of JSON are often called plain JSON, and one object is a line as well.
fn framing(answer: &Response, asked: bool, own: Framing) -> Option<Framing> {
    let kind = answer.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    let kind = kind.unwrap_or_default().to_ascii_lowercase();
    if kind.starts_with("text/event-stream") {
        return Some(Framing::Events);
    }
    if kind.starts_with("application/x-ndjson") || kind.starts_with("application/jsonl") {
        return Some(Framing::Lines);
    }
    let is_plain = kind.starts_with("application/json") && own != Framing::Lines;
    (asked && !is_plain).then_some(own)
}
