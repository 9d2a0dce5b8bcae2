//! A request in Ollama's words. Whether it thinks is always said, because models that can do it
//! otherwise do it unasked.

use std::{borrow::Cow, collections::BTreeMap};

use bytes::Bytes;
use greenroom_actors::{
    domain::{
        conversation::{Block, Message, Speaker},
        ids::ToolCallNo,
        model::ModelRequest,
    },
    limits,
};
use serde::Serialize;
use serde_json::value::RawValue;

use super::super::parts;

#[derive(Serialize)]
struct Body<'a> {
    model: &'a str,
    messages: Vec<Said<'a>>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    tools: Vec<Tool<'a>>,
    think: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    format: Option<&'a RawValue>,
    options: Options<'a>,
    stream: bool,
}

#[derive(Default, Serialize)]
struct Said<'a> {
    role: &'static str,
    content: Cow<'a, str>,
    #[serde(skip_serializing_if = "str::is_empty")]
    thinking: Cow<'a, str>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    images: Vec<String>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    tool_calls: Vec<Call<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_name: Option<&'a str>,
}

#[derive(Serialize)]
#[serde(tag = "type", content = "function", rename_all = "snake_case")]
enum Call<'a> {
    Function { name: &'a str, arguments: Cow<'a, RawValue> },
}

#[derive(Serialize)]
#[serde(tag = "type", content = "function", rename_all = "snake_case")]
enum Tool<'a> {
    Function { name: &'a str, description: &'a str, parameters: &'a RawValue },
}

#[derive(Serialize)]
struct Options<'a> {
    num_predict: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<f64>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    stop: &'a [String],
}

/// The request's bytes.
pub(super) fn body(request: &ModelRequest, stream: bool) -> Result<Bytes, String> {
    let ModelRequest { sampling, .. } = request;
    let answer = sampling.output_tokens_max.unwrap_or(limits::OUTPUT_TOKENS);
    let format = sampling.output_schema.as_deref().map(|text| parts::schema("the answer", text));
    let mut tools = Vec::with_capacity(request.tools.len());
    for tool in request.tools.iter() {
        tools.push(Tool::Function {
            name: &tool.name.0,
            description: &tool.description,
            parameters: parts::schema(&tool.name.0, &tool.schema)?,
        });
    }
    let body = Body {
        model: &request.model.0,
        messages: conversation(request)?,
        tools,
        think: sampling.thinking_tokens.is_some(),
        format: format.transpose()?,
        options: Options {
            num_predict: answer.saturating_add(sampling.thinking_tokens.unwrap_or(0)),
            temperature: sampling.temperature_milli.map(|milli| f64::from(milli) / 1_000.0),
            stop: &sampling.stop,
        },
        stream,
    };
    serde_json::to_vec(&body)
        .map(Bytes::from)
        .map_err(|error| format!("write the request: {error}"))
}

fn conversation(request: &ModelRequest) -> Result<Vec<Said<'_>>, String> {
    let mut all = Vec::with_capacity(request.messages.len() + 1);
    if !request.instructions.trim().is_empty() {
        let content = Cow::Borrowed(request.instructions.as_str());
        all.push(Said { role: "system", content, ..Said::default() });
    }
    let mut tools = BTreeMap::new();
    for message in &request.messages {
        let role = match message.speaker {
            Speaker::User => "user",
            Speaker::Assistant => "assistant",
        };
        let mut said = Said { role, ..Said::default() };
        for block in &message.blocks {
            if let Some(result) = result(block, &tools) {
                all.push(result);
            }
            add(&mut said, request, block)?;
        }
        tools.extend(names(message));
        if !(said.content.is_empty() && said.images.is_empty() && said.tool_calls.is_empty()) {
            all.push(said);
        }
    }
    Ok(all)
}

/// Adds a block to its message; results are messages of their own.
fn add<'a>(said: &mut Said<'a>, request: &ModelRequest, block: &'a Block) -> Result<(), String> {
    match block {
        Block::Text { text } => {
            // What a user says comes in pieces that are complete, a model's text may be cut anywhere.
            let between = if said.role == "user" { "\n" } else { "" };
            join(&mut said.content, text, between);
        }
        Block::Stored { blob, .. } => return Err(parts::put_aside(blob)),
        // With a signature it is another vendor's.
        Block::Thinking { text, signature: None } => join(&mut said.thinking, text, ""),
        Block::ToolUse { call: _, name, args } => said
            .tool_calls
            .push(Call::Function { name: &name.0, arguments: parts::arguments(args)? }),
        Block::Image { media_type: _, blob } => said.images.push(parts::image(request, blob)?),
        Block::Thinking { .. } | Block::ToolResult { .. } | Block::Opaque { .. } => {}
    }
    Ok(())
}

fn join<'a>(all: &mut Cow<'a, str>, text: &'a str, between: &str) {
    if all.is_empty() {
        *all = Cow::Borrowed(text);
    } else if !text.is_empty() {
        let all = all.to_mut();
        all.push_str(between);
        all.push_str(text);
    }
}

fn result<'a>(block: &'a Block, tools: &BTreeMap<ToolCallNo, &'a str>) -> Option<Said<'a>> {
    let Block::ToolResult { call, output, is_error: _ } = block else { return None };
    let content = Cow::Borrowed(output.shown());
    let tool_name = tools.get(call).copied();
    Some(Said { role: "tool", content, tool_name, ..Said::default() })
}

/// The tools that a message asks for, by call.
fn names(message: &Message) -> impl Iterator<Item = (ToolCallNo, &str)> {
    message.blocks.iter().filter_map(|block| match block {
        Block::ToolUse { call, name, .. } => Some((*call, name.0.as_str())),
        Block::Text { .. }
        | Block::Stored { .. }
        | Block::Thinking { .. }
        | Block::ToolResult { .. }
        | Block::Image { .. }
        | Block::Opaque { .. } => None,
    })
}
