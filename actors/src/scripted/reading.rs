//! What a script may know of a request: everything here is derived from the request alone, so a
//! call made again, after a crash or in another process, is read the same way.

use std::collections::BTreeSet;

use serde::Deserialize;

use crate::{
    domain::{
        conversation::{Block, Message, Speaker},
        ids::{SessionId, ToolCallNo, TurnId},
    },
    ports::ModelRequest,
};

/// The tool whose results name children.
const SPAWN: &str = "spawn_agent";

/// A request as a script sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reading {
    pub(crate) session: SessionId,
    pub(crate) turn: TurnId,
    /// How many times the model has answered since the turn's input: the index of the step.
    pub(crate) step: usize,
    /// The text of the turn's input.
    pub(crate) input: String,
    /// The text of the last message: the input, or tool results.
    pub(crate) last: String,
    /// All tool results since the input, in order.
    pub(crate) results: Vec<String>,
    /// The children that were spawned, in order.
    pub(crate) children: Vec<String>,
    /// The images of the conversation, in order, by what came of them with the request.
    pub(crate) images: Vec<String>,
}

/// A placeholder that stands for nothing yet.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("fill in {{child:{wanted}}}: the conversation holds {found} spawned children")]
pub(crate) struct NoSuchChild {
    wanted: usize,
    found: usize,
}

impl Reading {
    pub(crate) fn of(request: &ModelRequest) -> Self {
        let messages = &request.messages;
        let begin = messages.iter().rposition(|message| is_input(message));
        let since: Vec<_> = messages.iter().skip(begin.unwrap_or(0)).collect();
        let step = since.iter().filter(|message| message.speaker == Speaker::Assistant).count();
        // Results in the input message itself belong to the turn before.
        let after = since.iter().skip(usize::from(begin.is_some()));
        Self {
            session: request.call.session,
            turn: request.turn,
            step,
            input: begin.and_then(|at| messages.get(at)).map_or_else(String::new, |m| m.text()),
            last: since
                .iter()
                .rev()
                .find(|message| message.speaker == Speaker::User)
                .map_or_else(String::new, |message| shown(message)),
            results: after.flat_map(|message| results(message)).collect(),
            children: children(messages.iter().map(AsRef::as_ref)),
            images: images(request),
        }
    }

    /// The text with its placeholders filled in; unknown ones stay as they are.
    pub(crate) fn fill(&self, text: &str, json: bool) -> Result<String, NoSuchChild> {
        let mut filled = String::with_capacity(text.len());
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('{') {
            filled.push_str(before);
            let known = match after.split_once('}') {
                Some((name, next)) => self.value(name)?.map(|value| (value, next)),
                None => None,
            };
            if let Some((value, next)) = known {
                if json {
                    filled.push_str(&escaped(&value));
                } else {
                    filled.push_str(&value);
                }
                rest = next;
            } else {
                filled.push('{');
                rest = after;
            }
        }
        filled.push_str(rest);
        Ok(filled)
    }

    fn value(&self, name: &str) -> Result<Option<String>, NoSuchChild> {
        Ok(match name {
            "input" => Some(self.input.clone()),
            "last" => Some(self.last.clone()),
            "results" => Some(self.results.join("\n")),
            "session" => Some(self.session.to_string()),
            "turn" => Some(self.turn.to_string()),
            "images" => Some(self.images.join("\n")),
            _ => match name.strip_prefix("child:").and_then(|number| number.parse().ok()) {
                Some(wanted) => Some(self.child(wanted)?),
                None => None,
            },
        })
    }

    fn child(&self, wanted: usize) -> Result<String, NoSuchChild> {
        let child = wanted.checked_sub(1).and_then(|index| self.children.get(index));
        child.cloned().ok_or(NoSuchChild { wanted, found: self.children.len() })
    }
}

/// A turn begins with a user's message that ends in something other than a tool's report: the
/// reports of calls that a cancelled turn left open may stand before the next input.
fn is_input(message: &Message) -> bool {
    message.speaker == Speaker::User
        && message.blocks.last().is_none_or(|block| !matches!(block, Block::ToolResult { .. }))
}

fn results(message: &Message) -> impl Iterator<Item = String> {
    message.blocks.iter().filter_map(|block| match block {
        Block::ToolResult { output, .. } => Some(output.shown().to_owned()),
        Block::Text { .. }
        | Block::Stored { .. }
        | Block::Thinking { .. }
        | Block::ToolUse { .. }
        | Block::Image { .. }
        | Block::Opaque { .. } => None,
    })
}

/// What can be read in a message: its text, or else its tool results, a line each.
fn shown(message: &Message) -> String {
    if is_input(message) { message.text() } else { results(message).collect::<Vec<_>>().join("\n") }
}

/// What `spawn_agent` answers when it worked.
#[derive(Deserialize)]
struct Spawned {
    agent_id: String,
}

fn children<'a>(messages: impl Iterator<Item = &'a Message>) -> Vec<String> {
    let mut spawns: BTreeSet<ToolCallNo> = BTreeSet::new();
    let mut children = Vec::new();
    for block in messages.flat_map(|message| &message.blocks) {
        match block {
            Block::ToolUse { call, name, .. } if name.as_str() == SPAWN => {
                spawns.insert(*call);
            }
            Block::ToolResult { call, output, is_error: false } if spawns.contains(call) => {
                if let Ok(spawned) = serde_json::from_str::<Spawned>(output.shown()) {
                    children.push(spawned.agent_id);
                }
            }
            Block::Text { .. }
            | Block::Stored { .. }
            | Block::Thinking { .. }
            | Block::ToolUse { .. }
            | Block::ToolResult { .. }
            | Block::Image { .. }
            | Block::Opaque { .. } => {}
        }
    }
    children
}

fn images(request: &ModelRequest) -> Vec<String> {
    let blocks = request.messages.iter().flat_map(|message| &message.blocks);
    let images = blocks.filter_map(|block| match block {
        Block::Image { media_type, blob } => {
            let bytes = request.images.get(&blob.sha256);
            let came = bytes.map_or_else(|| "no".to_owned(), |bytes| bytes.len().to_string());
            Some(format!("{media_type}, {came} bytes"))
        }
        Block::Text { .. }
        | Block::Stored { .. }
        | Block::Thinking { .. }
        | Block::ToolUse { .. }
        | Block::ToolResult { .. }
        | Block::Opaque { .. } => None,
    });
    images.collect()
}

/// The inside of a JSON string.
fn escaped(text: &str) -> String {
    let quoted = serde_json::Value::from(text).to_string();
    quoted
        .strip_prefix('"')
        .and_then(|text| text.strip_suffix('"'))
        .map_or_else(String::new, str::to_owned)
}
