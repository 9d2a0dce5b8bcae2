//! Short texts in, what they mean out. All of them are made by hand, after the shapes that servers
//! were seen to send.

mod asking;
mod cuts;
mod errors;
mod streams;

use greenroom_actors::domain::{
    conversation::{Block, Reply, ReplyBlock},
    model::ModelEvent,
};

use super::{super::Trouble, *};
use crate::net::Frame;

/// A stream of these chunks, `[DONE]` included where it is there.
fn read(closes: bool, chunks: &[&str]) -> (Vec<ModelEvent>, Result<(), Trouble>) {
    let wire = OpenAiChat::new("own", Quirks { closes, ..Quirks::COMPATIBLE });
    let mut decoder = wire.decoder();
    let mut out = Vec::new();
    for chunk in chunks {
        let frame = Frame { name: None, data: (*chunk).to_owned() };
        if let Err(trouble) = decoder.frame(&frame, &mut out) {
            return (out, Err(trouble));
        }
    }
    let ended = decoder.end(&mut out);
    (out, ended)
}

/// The answer that a closed stream of these deltas is, with this reason at its end.
fn answer(deltas: &[&str], reason: &str) -> Result<Reply, Trouble> {
    let mut chunks: Vec<String> = deltas
        .iter()
        .map(|delta| {
            format!(r#"{{"choices":[{{"index":0,"delta":{delta},"finish_reason":null}}]}}"#)
        })
        .collect();
    let reason = serde_json::to_string(reason).unwrap();
    chunks.push(format!(r#"{{"choices":[{{"index":0,"delta":{{}},"finish_reason":{reason}}}]}}"#));
    chunks.push("[DONE]".to_owned());
    let chunks: Vec<&str> = chunks.iter().map(String::as_str).collect();
    let (out, ended) = read(true, &chunks);
    ended?;
    Ok(finished(&out).expect("an answer").clone())
}

fn finished(out: &[ModelEvent]) -> Option<&Reply> {
    match out.last() {
        Some(ModelEvent::Finished { reply }) => Some(reply),
        Some(_) | None => None,
    }
}

/// The blocks in short: `text`, `(thinking)`, `name{args}`, `<opaque>`.
fn short(reply: &Reply) -> Vec<String> {
    let block = |block: &ReplyBlock| match block {
        ReplyBlock::ToolUse { name, args } => format!("{name}{}", args.0),
        ReplyBlock::Said { block: Block::Text { text } } => text.clone(),
        ReplyBlock::Said { block: Block::Thinking { text, .. } } => format!("({text})"),
        ReplyBlock::Said { block: Block::Opaque { json, .. } } => format!("<{json}>"),
        ReplyBlock::Said { block } => format!("{block:?}"),
    };
    reply.blocks.iter().map(block).collect()
}
