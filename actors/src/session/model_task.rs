//! One model call, in a task that the session owns: through the gate, to the provider, and back
//! as a whole reply or a failure. What is large goes into blobs before anybody hears of it.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use futures_util::StreamExt as _;

use crate::{
    bus::Note,
    domain::{
        conversation::{BlobRef, Block, Message, Reply, ReplyBlock},
        event::{FailureKind, ModelFailure},
    },
    fault, limits,
    policy::gate::{Claim, End},
    ports::{Blobs, ModelEvent, ModelProvider, ModelRequest},
    protocol::gate::{GateRefused, Pass},
};

use super::house::House;

/// Replies above this do not fit into a frame beside the events they cause.
const REPLY_INLINE: usize = limits::EVENT_BYTES / 2;

/// Calls a model, within the request's deadline.
pub(super) async fn call(
    house: Arc<House>,
    (request, claim): (ModelRequest, Claim),
    provider: Result<Option<Arc<dyn ModelProvider>>, String>,
) -> Result<Reply, ModelFailure> {
    let provider = match provider {
        Ok(Some(provider)) => provider,
        Ok(None) => return Err(refused("the session has no agent".to_owned())),
        Err(why) => return Err(refused(why)),
    };
    let deadline = request.deadline;
    // Pieces count as given out when somebody was there to be told: what nobody can have read may
    // be said again. So an answer that breaks off costs a turn only where it would be read twice.
    let given_out = AtomicBool::new(false);
    let reply = through_gate(&house, (request, claim), provider, &given_out).await;
    let emitted = given_out.load(Ordering::Relaxed);
    let reply = reply.map_err(|failure| ModelFailure { emitted, ..failure })?;
    // The vendor has said what it cost: that is kept whatever becomes of the reply here, and also
    // when the call's time is up meanwhile.
    let usage = reply.usage;
    let late = deadline.max(house.clock.now()).plus_ms(limits::KEEP_MS);
    let kept = tokio::select! {
        biased;
        kept = pack(&house, reply) => kept,
        () = house.clock.sleep_until(late) => {
            let message = "the reply could not be put away in time".to_owned();
            Err(failure(FailureKind::Transport, message, true))
        }
    };
    kept.map_err(|failure| ModelFailure { usage, emitted, ..failure })
}

/// The call's time ran out.
pub(super) fn timed_out() -> ModelFailure {
    failure(FailureKind::TimedOut, "the model call's time ran out".to_owned(), true)
}

async fn through_gate(
    house: &Arc<House>,
    (mut request, claim): (ModelRequest, Claim),
    provider: Arc<dyn ModelProvider>,
    given_out: &AtomicBool,
) -> Result<Reply, ModelFailure> {
    let gate = house.tables.borrow().gates.get(&provider.credential()).cloned();
    let deadline = request.deadline;
    let pass = match &gate {
        Some(gate) => Some(gate.acquire(claim, request.call, deadline).await.map_err(waited)?),
        None => None,
    };
    let in_time = house.clock.sleep_until(deadline);
    tokio::pin!(in_time);
    tokio::select! {
        biased;
        whole = unpacked(&house.blobs, &mut request) => whole?,
        () = &mut in_time => return Err(timed_out()),
    }
    let (result, end) = tokio::select! {
        biased;
        result = talk(house, request, (provider, pass.as_ref()), given_out) => {
            let end = result.as_ref().map_or_else(End::of, |_| End::Answered);
            (result, end)
        }
        () = &mut in_time => (Err(timed_out()), End::Late),
    };
    if let Some(pass) = pass {
        pass.ended(end);
    }
    result
}

/// One call and its stream, and a word to the gate about each thing that it can learn from.
async fn talk(
    house: &House,
    request: ModelRequest,
    (provider, pass): (Arc<dyn ModelProvider>, Option<&Pass>),
    given_out: &AtomicBool,
) -> Result<Reply, ModelFailure> {
    let id = request.call;
    // It may have waited at its gate while everything was stopped, and its cancel not be written yet.
    if let Some(halt) = house.halt.borrow().as_deref() {
        let why = format!("everything was stopped: {}", halt.reason);
        return Err(failure(FailureKind::Aborted, why, true).unbilled());
    }
    fault::point("model.before_call");
    let mut stream = provider.call(request);
    let mut began = false;
    while let Some(event) = stream.next().await {
        match event? {
            ModelEvent::Finished { reply } => {
                fault::point("model.answered");
                return Ok(*reply);
            }
            ModelEvent::Limits { limits } => {
                if let Some(pass) = pass {
                    pass.heard(&limits);
                }
            }
            event @ (ModelEvent::Text { .. } | ModelEvent::Thinking { .. }) => {
                if let Some(pass) = pass.filter(|_| !std::mem::replace(&mut began, true)) {
                    pass.began();
                }
                if house.bus.pieces_are_heard(id.session) {
                    given_out.store(true, Ordering::Relaxed);
                    house.bus.publish(Note::Delta { call: id, event });
                }
            }
        }
    }
    let message = "the stream ended before the model had finished".to_owned();
    Err(failure(FailureKind::EndedEarly, message, true))
}

/// Puts what is large into blobs, so that the reply fits into an event: what is large by itself,
/// and where many pieces make the reply large, those too. What is too long for a model's name is
/// none, and no reason to lose an answer: it then counts as the model's that was asked.
async fn pack(house: &House, mut reply: Reply) -> Result<Reply, ModelFailure> {
    reply.served_by.take_if(|model| model.0.len() > limits::MODEL_NAME_BYTES);
    for above in [limits::INLINE_BYTES, limits::PREVIEW_BYTES] {
        if length(&reply) <= REPLY_INLINE {
            return Ok(reply);
        }
        for block in &mut reply.blocks {
            if let ReplyBlock::Said { block } = block
                && let Some((bytes, whole)) = large(block, above)
            {
                let blob = house.blobs.put(bytes).await.map_err(|error| store(&error))?;
                *block = Block::Stored { blob, whole };
            }
        }
    }
    let bytes = length(&reply);
    if bytes <= REPLY_INLINE {
        return Ok(reply);
    }
    let message = format!(
        "the reply has {bytes} bytes that cannot be kept apart, at most {REPLY_INLINE} fit"
    );
    Err(failure(FailureKind::Malformed, message, false))
}

fn length(reply: &Reply) -> usize {
    serde_json::to_vec(reply).map_or(usize::MAX, |bytes| bytes.len())
}

/// What of a block goes into a blob: a text by itself, so that whoever reads the blob reads text;
/// anything else with all that belongs to it, for its vendor wants back every byte.
fn large(block: &Block, above: usize) -> Option<(Vec<u8>, bool)> {
    match block {
        Block::Text { text } if text.len() > above => Some((text.clone().into_bytes(), false)),
        Block::Thinking { .. } | Block::Opaque { .. } => {
            let bytes = serde_json::to_vec(block).ok()?;
            (bytes.len() > above).then_some((bytes, true))
        }
        Block::Text { .. }
        | Block::Stored { .. }
        | Block::ToolUse { .. }
        | Block::ToolResult { .. }
        | Block::Image { .. } => None,
    }
}

/// What was put away of a block, as it was.
fn whole_again(blob: &BlobRef, bytes: Vec<u8>, whole: bool) -> Result<Block, ModelFailure> {
    if !whole {
        return String::from_utf8(bytes)
            .map(|text| Block::Text { text })
            .map_err(|_not_text| refused(format!("blob {} is no text", blob.sha256)));
    }
    match serde_json::from_slice(&bytes) {
        Ok(block @ (Block::Thinking { .. } | Block::Opaque { .. })) => Ok(block),
        Ok(_) | Err(_) => {
            Err(refused(format!("blob {} is no block of a model's answer", blob.sha256)))
        }
    }
}

/// Puts back in its place what was put away of a block.
pub(crate) async fn restored(
    blobs: &Arc<dyn Blobs>,
    block: &mut Block,
) -> Result<(), ModelFailure> {
    if let Block::Stored { blob, whole } = block {
        let bytes = fetched(blobs, blob).await?;
        *block = whole_again(blob, bytes, *whole)?;
    }
    Ok(())
}

/// Puts the text of blobs back in its place, and the bytes of images beside the messages.
pub(crate) async fn unpacked(
    blobs: &Arc<dyn Blobs>,
    request: &mut ModelRequest,
) -> Result<(), ModelFailure> {
    for message in &mut request.messages {
        let kept = |block: &Block| matches!(block, Block::Stored { .. } | Block::Image { .. });
        if !message.blocks.iter().any(kept) {
            continue;
        }
        let mut whole = Message::clone(message);
        for block in &mut whole.blocks {
            match block {
                Block::Stored { .. } => restored(blobs, block).await?,
                Block::Image { blob, .. } if !request.images.contains_key(&blob.sha256) => {
                    let bytes = fetched(blobs, blob).await?;
                    request.images.insert(blob.sha256.clone(), bytes.into());
                }
                Block::Image { .. }
                | Block::Text { .. }
                | Block::Thinking { .. }
                | Block::ToolUse { .. }
                | Block::ToolResult { .. }
                | Block::Opaque { .. } => {}
            }
        }
        *message = Arc::new(whole);
    }
    Ok(())
}

async fn fetched(blobs: &Arc<dyn Blobs>, blob: &BlobRef) -> Result<Vec<u8>, ModelFailure> {
    let bytes = blobs.get(blob.clone()).await.map_err(|error| store(&error))?;
    bytes.ok_or_else(|| refused(format!("blob {} is not kept any more", blob.sha256)))
}

fn failure(kind: FailureKind, message: String, retryable: bool) -> ModelFailure {
    ModelFailure::new(kind, message, retryable)
}

/// Nothing was sent.
fn refused(message: String) -> ModelFailure {
    let mut failure = failure(FailureKind::BadRequest, message, false);
    failure.unbilled = true;
    failure
}

/// Nothing was sent, and nothing is wrong with the call: it was held up behind its siblings, so it
/// uses up no try of its turn.
fn waited(refused: GateRefused) -> ModelFailure {
    failure(FailureKind::RateLimited, refused.to_string(), true).unbilled()
}

fn store(error: &crate::ports::JournalError) -> ModelFailure {
    failure(FailureKind::Transport, error.to_string(), true)
}
