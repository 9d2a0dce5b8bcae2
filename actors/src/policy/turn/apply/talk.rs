//! What the model reads: the fold's conversation. It alone adds messages and counts their bytes.

use std::sync::Arc;

use crate::{
    domain::{
        conversation::{Block, Message, Reply, ReplyBlock, Speaker, Stop},
        ids::ToolCallNo,
        tool::ToolOutcome,
    },
    limits,
};

use super::{
    super::state::{LastWord, State},
    children,
};

pub(super) fn say(state: &mut State, message: Message) {
    state.conversation_bytes += bytes_of(&message);
    state.conversation.push(Arc::new(message));
}

pub(super) fn answered(state: &mut State, reply: &Reply) {
    let mut no = state.next.tool;
    let mut batch = Vec::new();
    let mut text = String::new();
    let blocks = reply
        .blocks
        .iter()
        .map(|block| match block {
            ReplyBlock::Said { block } => {
                match block {
                    Block::Text { text: said } => text.push_str(said),
                    Block::Stored { blob, whole: false } => {
                        text.push_str(&format!("[{} bytes in blob {}]", blob.bytes, blob.sha256));
                    }
                    Block::Stored { whole: true, .. }
                    | Block::Thinking { .. }
                    | Block::ToolUse { .. }
                    | Block::ToolResult { .. }
                    | Block::Image { .. }
                    | Block::Opaque { .. } => {}
                }
                block.clone()
            }
            ReplyBlock::ToolUse { name, args } => {
                let call = no;
                no = no.next();
                batch.push((call, None));
                Block::ToolUse { call, name: name.clone(), args: args.clone() }
            }
        })
        .collect::<Vec<_>>();
    if !blocks.is_empty() {
        say(state, Message { speaker: Speaker::Assistant, blocks });
    }
    if let Some(turn) = &mut state.turn {
        let before = std::mem::take(&mut turn.said);
        turn.batch = batch;
        turn.last_word = None;
        if turn.batch.is_empty() {
            let text = before + &text;
            if reply.stop == Stop::Paused {
                // A pause is no end: the model goes on from what it has said so far, and its
                // answer is all of it. What it says before it asks for tools is none.
                turn.said = text;
            } else {
                turn.last_word = Some(LastWord { text, stop: reply.stop });
            }
        }
    }
}

/// Once every call of a batch has closed, the model reads all results in one message, in the
/// order of the calls, however they came in.
pub(super) fn report_to_model(state: &mut State, no: ToolCallNo, outcome: &ToolOutcome) {
    let (output, is_error) = outcome.told();
    let Some(turn) = &mut state.turn else { return };
    for (call, result) in &mut turn.batch {
        if *call == no {
            *result = Some(Block::ToolResult { call: no, output: output.clone(), is_error });
        }
    }
    if turn.batch.iter().all(|(_, result)| result.is_some()) {
        let blocks = turn.batch.iter().filter_map(|(_, result)| result.clone()).collect();
        say(state, Message { speaker: Speaker::User, blocks });
    }
}

pub(super) fn news_of_children(state: &mut State) -> Vec<Block> {
    let (mut news, mut of) = (Vec::new(), Vec::new());
    for (id, child) in &state.children {
        for task in child.assignments.values() {
            if let Some(report) = &task.report
                && !task.told
            {
                let (word, text) = (report.outcome.word(), report.outcome.text());
                let text = format!("[agent {} {id} {word}] {text}", child.agent);
                news.push(Block::Text { text });
                of.push(*id);
            }
        }
    }
    children::read(state, of);
    news
}

/// Replaces the oldest messages by a summary of them.
pub(super) fn compacted(state: &mut State, messages: u64, summary: &str) {
    let gone = usize::try_from(messages).unwrap_or(usize::MAX);
    let rest = state.conversation.split_off(gone.min(state.conversation.len()));
    state.conversation.clear();
    state.conversation_bytes = 0;
    say(state, Message::user(summary.to_owned()));
    for message in rest {
        state.conversation_bytes += bytes_of(&message);
        state.conversation.push(message);
    }
}

fn bytes_of(message: &Message) -> u64 {
    // The stored form is never shorter than the text in it, so this is an upper bound of its
    // tokens: no tokenizer makes more tokens than bytes. An image is no text: its bytes say
    // nothing of its tokens, but no vendor counts more than so many.
    let stored: u64 = message
        .blocks
        .iter()
        .map(|block| match block {
            Block::Stored { blob, .. } => blob.bytes,
            Block::Image { .. } => limits::IMAGE_TOKENS,
            Block::Text { .. }
            | Block::Thinking { .. }
            | Block::ToolUse { .. }
            | Block::ToolResult { .. }
            | Block::Opaque { .. } => 0,
        })
        .sum();
    stored + serde_json::to_vec(message).map_or(0, |bytes| bytes.len() as u64)
}
