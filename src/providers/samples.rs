//! What the tests of several vendors' formats begin with: a request without anything in it, and a
//! stream from text, in whatever chunks.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::{FutureExt as _, StreamExt as _, stream};
use greenroom_actors::domain::{
    agent::Sampling,
    conversation::{Block, Message, Reply, ReplyBlock, Speaker},
    ids::{
        AgentName, CallId, ModelCallNo, ModelName, ProviderName, SessionId, Timestamp, ToolCallNo,
        ToolName, TurnId,
    },
    model::{ModelEvent, ModelRequest},
    tool::{Args, Output},
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

/// A call of a tool, as the conversation keeps it.
pub(super) fn asked(no: u32, name: &str, args: &str) -> Block {
    let (name, args) = (ToolName(name.to_owned()), Args(args.to_owned()));
    Block::ToolUse { call: ToolCallNo(no), name, args }
}

/// What came of it.
pub(super) fn done(no: u32, text: &str, is_error: bool) -> Block {
    Block::ToolResult { call: ToolCallNo(no), output: Output::text(text), is_error }
}

/// What only this family of vendors understands.
pub(super) fn own(family: &str, json: &str) -> Block {
    Block::Opaque { provider: ProviderName(family.to_owned()), json: json.to_owned() }
}

/// A block of an answer.
pub(super) fn said(block: Block) -> ReplyBlock {
    ReplyBlock::Said { block }
}

/// A text in an answer.
pub(super) fn text(text: &str) -> ReplyBlock {
    said(Block::Text { text: text.to_owned() })
}

/// Thinking that nobody signed.
pub(super) fn thinking(text: &str) -> ReplyBlock {
    said(Block::Thinking { text: text.to_owned(), signature: None })
}

/// What an answer has that only this family understands.
pub(super) fn opaque(family: &str, json: &str) -> ReplyBlock {
    said(own(family, json))
}

/// A tool that an answer asks for.
pub(super) fn call(name: &str, args: &str) -> ReplyBlock {
    ReplyBlock::ToolUse { name: ToolName(name.to_owned()), args: Args(args.to_owned()) }
}

/// The codes of an error that a vendor said.
pub(super) fn code(trouble: Trouble) -> String {
    match trouble {
        Trouble::Said(said) => said.code,
        Trouble::Malformed(what) => panic!("malformed: {what}"),
    }
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
    assert_eq!(ask, wire.ask(request, true).unwrap(), "the same request makes the same bytes");
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
