//! What the tests of several vendors' formats begin with: a request without anything in it, and a
//! stream from text, in whatever chunks.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::{FutureExt as _, StreamExt as _, stream};
use greenroom_actors::domain::{
    agent::Sampling,
    conversation::{Block, Message, Reply, ReplyBlock, Speaker},
    ids::{AgentName, CallId, ModelCallNo, ModelName, SessionId, Timestamp, ToolCallNo, TurnId},
    model::{ModelEvent, ModelRequest},
};

use crate::net::{Broken, Frames};

use super::{Trouble, Wire};

/// A request of this model with this conversation.
pub(super) fn request(model: &str, messages: Vec<Message>) -> ModelRequest {
    ModelRequest {
        call: CallId::model(SessionId(uuid::Uuid::nil()), ModelCallNo(1)),
        agent: AgentName("clerk".to_owned()),
        turn: TurnId(1),
        deadline: Timestamp(0),
        model: ModelName(model.to_owned()),
        instructions: String::new(),
        tools: Arc::default(),
        messages: messages.into_iter().map(Arc::new).collect(),
        sampling: Sampling { output_tokens_max: Some(100), ..Sampling::default() },
        images: std::collections::BTreeMap::new(),
    }
}

/// A message of the model's.
pub(super) fn assistant(blocks: Vec<Block>) -> Message {
    Message { speaker: Speaker::Assistant, blocks }
}

/// A message of the user's.
pub(super) fn user(blocks: Vec<Block>) -> Message {
    Message { speaker: Speaker::User, blocks }
}

/// An answer's blocks as the conversation keeps them, its calls numbered from 1.
pub(super) fn kept(reply: &Reply) -> Vec<Block> {
    let mut call = ToolCallNo(0);
    let keep = |block: &ReplyBlock| match block {
        ReplyBlock::Said { block } => block.clone(),
        ReplyBlock::ToolUse { name, args } => {
            call = call.next();
            Block::ToolUse { call, name: name.clone(), args: args.clone() }
        }
    };
    reply.blocks.iter().map(keep).collect()
}

/// The body that is sent for a request.
pub(super) fn body(wire: &dyn Wire, request: &ModelRequest) -> String {
    let ask = wire.ask(request, true).unwrap();
    String::from_utf8(ask.body.to_vec()).unwrap()
}

/// The events of a streamed answer that comes in chunks of this size.
pub(super) fn events(
    wire: &dyn Wire,
    text: impl AsRef<[u8]>,
    size: usize,
) -> Result<Vec<ModelEvent>, Trouble> {
    let chunks: Vec<Result<Bytes, Broken>> =
        text.as_ref().chunks(size).map(|chunk| Ok(Bytes::copy_from_slice(chunk))).collect();
    let mut frames = Frames::of(wire.framing(), stream::iter(chunks));
    let mut decoder = wire.decoder();
    let mut out = Vec::new();
    let reading = async {
        while let Some(frame) = frames.next().await {
            let frame = frame.map_err(|broken| Trouble::Malformed(broken.to_string()))?;
            decoder.frame(&frame, &mut out)?;
        }
        decoder.end(&mut out)
    };
    reading.now_or_never().unwrap()?;
    Ok(out)
}

/// The answer at a stream's end.
pub(super) fn answer(wire: &dyn Wire, text: impl AsRef<[u8]>) -> Result<Reply, Trouble> {
    match events(wire, text, usize::MAX)?.pop() {
        Some(ModelEvent::Finished { reply }) => Ok(*reply),
        other => Err(Trouble::Malformed(format!("no end, but {other:?}"))),
    }
}
