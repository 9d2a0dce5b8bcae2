//! One call of a model, from the request to the answer's end: a stream that ends with exactly one
//! `Finished` or one failure. A body that ends before the answer does is a failure, never a short
//! answer. Nothing here is tried again.

use std::collections::VecDeque;

use futures_util::{Stream, StreamExt as _, stream};
use greenroom_actors::{
    domain::event::{FailureKind, ModelFailure},
    limits,
    ports::{ModelEvent, ModelRequest},
};
use reqwest::{Method, Response, header::CONTENT_TYPE};
use serde::de::IgnoredAny;

use crate::net::{Frames, Framing};

use super::{Decoder, Vendor, failure};

/// The events of one call.
pub(super) fn answer(
    vendor: Vendor,
    request: ModelRequest,
) -> impl Stream<Item = Result<ModelEvent, ModelFailure>> + Send {
    let call = Call { vendor, stage: Stage::Asking(Box::new(request)), ready: VecDeque::new() };
    stream::unfold(call, |mut call| async move {
        let event = call.next().await?;
        Some((event, call))
    })
}

/// A call under way.
struct Call {
    vendor: Vendor,
    stage: Stage,
    /// What was read and not yet given out.
    ready: VecDeque<ModelEvent>,
}

/// How far it is.
enum Stage {
    /// Nothing is sent.
    Asking(Box<ModelRequest>),
    /// The answer comes.
    Reading { frames: Frames, decoder: Box<dyn Decoder> },
    /// It has failed; what came before is given out first.
    Failed(ModelFailure),
    /// Nothing more comes.
    Over,
}

impl Call {
    async fn next(&mut self) -> Option<Result<ModelEvent, ModelFailure>> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Some(Ok(event));
            }
            let mut out = Vec::new();
            self.stage = match std::mem::replace(&mut self.stage, Stage::Over) {
                Stage::Asking(request) => ask(&self.vendor, &request, &mut out).await,
                Stage::Reading { frames, decoder } => {
                    read(&self.vendor, frames, decoder, &mut out).await
                }
                Stage::Failed(failure) => return Some(Err(failure)),
                Stage::Over => return None,
            };
            self.ready.extend(out);
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
        Ok(body) => match wire.whole(&body) {
            Ok(reply) => {
                out.push(ModelEvent::Finished { reply: Box::new(reply) });
                Stage::Over
            }
            Err(_short) if is_cut(&body) => Stage::Failed(ended_early(vendor)),
            Err(trouble) => Stage::Failed(vendor.troubled(trouble)),
        },
        Err(broken) => Stage::Failed(failure::of_broken(&broken)),
    }
}

async fn read(
    vendor: &Vendor,
    mut frames: Frames,
    mut decoder: Box<dyn Decoder>,
    out: &mut Vec<ModelEvent>,
) -> Stage {
    let read = match frames.next().await {
        Some(Ok(frame)) => decoder.frame(&frame, out),
        Some(Err(broken)) => return Stage::Failed(failure::of_broken(&broken)),
        None => match decoder.end(out) {
            Ok(()) if is_whole(out) => return Stage::Over,
            Ok(()) => {
                return Stage::Failed(ended_early(vendor));
            }
            Err(trouble) => Err(trouble),
        },
    };
    match read {
        Ok(()) if is_whole(out) => {
            rest(vendor, frames).await;
            Stage::Over
        }
        Ok(()) => Stage::Reading { frames, decoder },
        Err(trouble) => Stage::Failed(vendor.troubled(trouble)),
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

/// Reads the closing bytes, so that the connection can serve again; whatever they say.
async fn rest(vendor: &Vendor, mut frames: Frames) {
    let rest = async { while let Some(Ok(_frame)) = frames.next().await {} };
    tokio::select! {
        biased;
        () = rest => {}
        () = vendor.net.clock().after(limits::STREAM_REST_MS) => {}
    }
}

fn is_whole(out: &[ModelEvent]) -> bool {
    matches!(out.last(), Some(ModelEvent::Finished { .. }))
}

/// How the body is cut, by what the vendor says it is; as a whole where it is plain JSON and no
/// stream was asked for.
fn framing(answer: &Response, asked: bool, own: Framing) -> Option<Framing> {
    let kind = answer.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    let kind = kind.unwrap_or_default().to_ascii_lowercase();
    if kind.starts_with("text/event-stream") {
        return Some(Framing::Events);
    }
    if kind.starts_with("application/x-ndjson") || kind.starts_with("application/jsonl") {
        return Some(Framing::Lines);
    }
    (asked && !kind.starts_with("application/json")).then_some(own)
}
