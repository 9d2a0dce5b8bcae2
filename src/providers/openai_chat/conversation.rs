//! The conversation as the vendor's messages: what is said goes with who says it, results stand alone,
//! and what another family of vendors left in an answer is skipped.

use std::borrow::Cow;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use greenroom_actors::domain::{
    conversation::{BlobRef, Block, Message as Said, Speaker},
    ids::ToolCallNo,
    model::ModelRequest,
};
use serde_json::value::RawValue;

use super::{
    Instructions, Quirks, Schemas, Thinking, ThinkingBack,
    ask::raw,
    body::{Call, Called, Content, Message, Part},
};

/// All that is said, from the instructions on.
pub(super) fn messages<'a>(
    family: &str,
    quirks: &Quirks,
    request: &'a ModelRequest,
    thinks: bool,
) -> Result<Vec<Message<'a>>, String> {
    let mut all = Vec::with_capacity(request.messages.len() + 1);
    if let Some(text) = instructions(quirks, request) {
        let role = match quirks.instructions {
            Instructions::System => "system",
            Instructions::Developer => "developer",
        };
        all.push(Message { role, content: Some(Content::Text(text)), ..Message::default() });
    }
    for message in &request.messages {
        match message.speaker {
            Speaker::User => user(message, request, &mut all)?,
            Speaker::Assistant => all.extend(assistant(family, quirks, message, thinks)?),
        }
    }
    if quirks.cache_marks && request.model.as_str().contains("anthropic/") {
        mark(&mut all);
    }
    Ok(all)
}

/// Marks the end of the instructions and of the conversation so far.
fn mark(all: &mut [Message<'_>]) {
    let first = all.first().is_some_and(|first| first.role == "system").then_some(0);
    let last = all.iter().rposition(|message| message.role != "assistant");
    for at in [first, last.filter(|last| first != Some(*last))].into_iter().flatten() {
        if let Some(message) = all.get_mut(at) {
            message.content = message.content.take().map(Content::marked);
        }
    }
}

fn instructions<'a>(quirks: &Quirks, request: &'a ModelRequest) -> Option<Cow<'a, str>> {
    let own = request.instructions.as_str();
    match (&request.sampling.output_schema, quirks.schemas) {
        (Some(schema), Schemas::Worded) => {
            let space = if own.is_empty() { "" } else { "\n\n" };
            Some(Cow::Owned(format!(
                "{own}{space}Answer with one JSON value and nothing else. \
                 It must fit this JSON Schema:\n{schema}"
            )))
        }
        (Some(_), Schemas::Strict | Schemas::Plain) | (None, _) => {
            (!own.is_empty()).then_some(Cow::Borrowed(own))
        }
    }
}

/// The results first: they must follow the calls at once.
fn user<'a>(
    message: &'a Said,
    request: &'a ModelRequest,
    all: &mut Vec<Message<'a>>,
) -> Result<(), String> {
    let mut parts = Vec::new();
    for block in &message.blocks {
        match block {
            Block::ToolResult { call, output, is_error } => {
                let shown = output.shown();
                let text = if *is_error {
                    Cow::Owned(format!("error: {shown}"))
                } else {
                    Cow::Borrowed(shown)
                };
                all.push(Message {
                    role: "tool",
                    content: Some(Content::Text(text)),
                    tool_call_id: Some(call_id(*call)),
                    ..Message::default()
                });
            }
            Block::Text { text } => parts.push(Part::text(text.as_str())),
            Block::Image { media_type, blob } => {
                parts.push(Part::image(image(media_type, blob, request)?));
            }
            Block::Stored { blob, .. } => return Err(unread(blob)),
            // What a model says stands in its own messages.
            Block::Thinking { .. } | Block::ToolUse { .. } | Block::Opaque { .. } => {}
        }
    }
    if !parts.is_empty() {
        let content = Some(joined(parts));
        all.push(Message { role: "user", content, ..Message::default() });
    }
    Ok(())
}

/// Text alone as a text: not every server takes parts.
fn joined(parts: Vec<Part<'_>>) -> Content<'_> {
    let mut texts = Vec::new();
    for part in &parts {
        match part {
            Part::Text(text) => texts.push(text.text.clone()),
            Part::Image(_) | Part::Raw(_) => return Content::Parts(parts),
        }
    }
    match texts.len() {
        1 => Content::Text(texts.swap_remove(0)),
        _several => Content::Text(Cow::Owned(texts.join("\n"))),
    }
}

fn image(media_type: &str, blob: &BlobRef, request: &ModelRequest) -> Result<String, String> {
    let bytes = request.images.get(&blob.sha256).ok_or_else(|| unread(blob))?;
    Ok(format!("data:{media_type};base64,{}", STANDARD.encode(bytes)))
}

fn unread(blob: &BlobRef) -> String {
    format!("the bytes of blob {} are missing", blob.sha256)
}

/// Derived from our number, so that it is the same each time, and of nine letters and digits, which
/// Mistral's models insist on wherever they are served.
fn call_id(call: ToolCallNo) -> String {
    format!("call{:05}", call.0)
}

/// Nothing, where nothing would be in it: an empty message is refused.
fn assistant<'a>(
    family: &str,
    quirks: &Quirks,
    message: &'a Said,
    thinks: bool,
) -> Result<Option<Message<'a>>, String> {
    let mut parts: Vec<Part<'a>> = Vec::new();
    let mut has_raw = false;
    let mut thought = String::new();
    let mut sent = Message { role: "assistant", ..Message::default() };
    for block in &message.blocks {
        match block {
            Block::Text { text } if text.is_empty() => {}
            Block::Text { text } => parts.push(Part::text(text.as_str())),
            Block::Thinking { text, signature: None } => thought.push_str(text),
            Block::ToolUse { call, name, args } => sent.tool_calls.push(Call {
                id: call_id(*call),
                kind: "function",
                function: Called { name: name.as_str(), arguments: &args.0 },
            }),
            Block::Opaque { provider, json } if provider.as_str() == family => {
                let lost = |error| format!("an opaque block of {family} is no JSON: {error}");
                if json.starts_with('[') {
                    sent.reasoning_details
                        .extend(serde_json::from_str::<Vec<&RawValue>>(json).map_err(lost)?);
                } else {
                    parts.push(Part::Raw(raw(json).map_err(lost)?));
                    has_raw = true;
                }
            }
            Block::Stored { blob, .. } => return Err(unread(blob)),
            Block::Thinking { signature: Some(_), .. }
            | Block::Opaque { .. }
            | Block::ToolResult { .. }
            | Block::Image { .. } => {}
        }
    }
    if parts.is_empty() && sent.tool_calls.is_empty() {
        return Ok(None);
    }
    if has_raw {
        sent.content = Some(Content::Parts(parts));
    } else if !parts.is_empty() {
        sent.content = Some(joined(parts));
    }
    think_back(quirks, thought, thinks, &mut sent);
    Ok(Some(sent))
}

fn think_back(quirks: &Quirks, thought: String, thinks: bool, sent: &mut Message<'_>) {
    // A vendor that was told not to think wants no thoughts.
    let off = quirks.thinking == Thinking::Switch && !thinks;
    let some = Some(thought).filter(|thought| !thought.is_empty() && !off);
    match quirks.thinking_back {
        ThinkingBack::Dropped | ThinkingBack::Details => {}
        ThinkingBack::Content => sent.reasoning_content = some,
        ThinkingBack::ContentAlways if off => {}
        ThinkingBack::ContentAlways => sent.reasoning_content = Some(some.unwrap_or_default()),
        ThinkingBack::Reasoning => sent.reasoning = some,
    }
    if quirks.thinking_back != ThinkingBack::Details {
        sent.reasoning_details.clear();
    }
}
