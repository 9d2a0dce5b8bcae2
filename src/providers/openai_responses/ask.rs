//! Requests: the conversation as the vendor's items. The same request makes the same bytes.

use std::{borrow::Cow, collections::BTreeSet};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use bytes::Bytes;
use greenroom_actors::domain::{
    conversation::{Block, Message, Speaker},
    ids::ToolCallNo,
    model::ModelRequest,
    tool::ToolSpec,
};
use serde::{Deserialize, Serialize, de::IgnoredAny};
use serde_json::value::{RawValue, to_raw_value};

use super::{super::Ask, OWN};

/// What goes back with the next text or call, in the same item.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Mark<'a> {
    /// Which part of an answer a message was.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub(super) phase: Option<Cow<'a, str>>,
    /// In which group of tools the vendor found a call's.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub(super) namespace: Option<Cow<'a, str>>,
    /// Whether a call's arguments are free text.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) custom: bool,
}

#[derive(Serialize)]
struct Body<'a> {
    model: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    instructions: &'a str,
    input: Vec<Item<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tools: Vec<Tool<'a>>,
    store: bool,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    include: &'static [&'static str],
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning: Option<Reasoning>,
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_output_tokens: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<Text<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    prompt_cache_key: Option<String>,
    stream: bool,
}

#[derive(Serialize)]
struct Reasoning {
    effort: &'static str,
    summary: &'static str,
}

#[derive(Serialize)]
struct Text<'a> {
    format: Format<'a>,
}

#[derive(Serialize)]
struct Format<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    name: &'static str,
    schema: &'a RawValue,
}

#[derive(Serialize)]
struct Tool<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    name: &'a str,
    description: &'a str,
    parameters: Cow<'a, RawValue>,
    /// Left to itself the vendor makes every argument a required one.
    strict: bool,
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Own<'a> {
    Message {
        role: &'static str,
        content: Content<'a>,
        #[serde(skip_serializing_if = "Option::is_none")]
        phase: Option<Cow<'a, str>>,
    },
    FunctionCall {
        call_id: String,
        name: &'a str,
        arguments: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        namespace: Option<Cow<'a, str>>,
    },
    FunctionCallOutput {
        call_id: String,
        output: Cow<'a, str>,
    },
    CustomToolCall {
        call_id: String,
        name: &'a str,
        input: &'a str,
    },
    CustomToolCallOutput {
        call_id: String,
        output: Cow<'a, str>,
    },
}

#[derive(Serialize)]
#[serde(untagged)]
enum Item<'a> {
    Own(Own<'a>),
    /// The vendor's, as it was.
    Theirs(&'a RawValue),
}

#[derive(Serialize)]
#[serde(untagged)]
enum Content<'a> {
    Said(&'a str),
    Parts(Vec<Part<'a>>),
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Part<'a> {
    InputText { text: &'a str },
    InputImage { image_url: String },
}

/// What an item of the vendor's has to be looked at for.
#[derive(Deserialize)]
struct Head<'a> {
    #[serde(borrow, default, rename = "type")]
    kind: Option<Cow<'a, str>>,
    #[serde(default)]
    format: Option<IgnoredAny>,
}

pub(super) fn ask(
    family: &'static str,
    request: &ModelRequest,
    stream: bool,
) -> Result<Ask, String> {
    let sampling = &request.sampling;
    if !sampling.stop.is_empty() {
        return Err("the Responses format has no stop sequences: leave `stop` out".to_owned());
    }
    let mut input = Input { family, request, items: Vec::new(), custom: BTreeSet::new() };
    for message in &request.messages {
        match message.speaker {
            Speaker::User => input.user(message)?,
            Speaker::Assistant => input.assistant(message)?,
        }
    }
    let reasons = reasons(&request.model.0);
    let body = Body {
        model: &request.model.0,
        instructions: &request.instructions,
        input: input.items,
        tools: request.tools.iter().map(tool).collect::<Result<_, _>>()?,
        store: false,
        include: if reasons { &["reasoning.encrypted_content"] } else { &[] },
        reasoning: sampling
            .thinking_tokens
            .map(|tokens| Reasoning { effort: effort(tokens), summary: "auto" }),
        // Whoever reasons takes no temperature, and says so with an error.
        temperature: sampling
            .temperature_milli
            .filter(|_| sampling.thinking_tokens.is_none())
            .map(|milli| f64::from(milli) / 1_000.0),
        max_output_tokens: sampling.output_tokens_max,
        text: sampling.output_schema.as_deref().map(format).transpose()?,
        // Calls of one session begin alike, so they should meet the same cache. A compatible server
        // may refuse a field that it does not know.
        prompt_cache_key: (family == OWN).then(|| request.call.session.to_string()),
        stream,
    };
    let body = serde_json::to_vec(&body).map_err(|error| format!("write the request: {error}"))?;
    Ok(Ask { path: "/responses".to_owned(), headers: Vec::new(), body: Bytes::from(body) })
}

/// Models of before reasoning refuse a request that asks for it to be encrypted.
fn reasons(model: &str) -> bool {
    let name = model.rsplit_once('/').map_or(model, |(_, name)| name);
    !["gpt-3", "gpt-4", "chatgpt-4"].iter().any(|old| name.starts_with(old))
}

/// Tokens as the vendor's three words for them. What it spends at each it does not tell: a few
/// thousand are called low, and what others call a generous budget is high.
const fn effort(tokens: u64) -> &'static str {
    match tokens {
        ..4_096 => "low",
        4_096..16_384 => "medium",
        16_384.. => "high",
    }
}

fn format(schema: &str) -> Result<Text<'_>, String> {
    let schema = serde_json::from_str(schema)
        .map_err(|error| format!("output_schema is no JSON: {error}"))?;
    Ok(Text { format: Format { kind: "json_schema", name: "answer", schema } })
}

fn tool(tool: &ToolSpec) -> Result<Tool<'_>, String> {
    #[derive(Deserialize)]
    struct Peek<'a> {
        #[serde(borrow, default, rename = "type")]
        kind: Option<&'a RawValue>,
        #[serde(default)]
        properties: Option<IgnoredAny>,
    }
    let wrong = |error: serde_json::Error| format!("the schema of tool {}: {error}", tool.name.0);
    let schema: &RawValue = serde_json::from_str(&tool.schema).map_err(wrong)?;
    let peek: Peek<'_> = serde_json::from_str(&tool.schema).map_err(wrong)?;
    let object = peek.kind.is_none_or(|kind| kind.get() == r#""object""#);
    // An object without properties is refused, although it is a good schema of no arguments.
    let parameters = if object && peek.properties.is_none() {
        let mut schema: serde_json::Map<String, serde_json::Value> =
            serde_json::from_str(&tool.schema).map_err(wrong)?;
        schema.insert("type".to_owned(), "object".into());
        schema.insert("properties".to_owned(), serde_json::Map::new().into());
        Cow::Owned(to_raw_value(&schema).map_err(wrong)?)
    } else {
        Cow::Borrowed(schema)
    };
    Ok(Tool {
        kind: "function",
        name: &tool.name.0,
        description: &tool.description,
        parameters,
        strict: false,
    })
}

/// The conversation as it becomes items.
struct Input<'a> {
    family: &'static str,
    request: &'a ModelRequest,
    items: Vec<Item<'a>>,
    /// Calls whose arguments are free text: their results are items of another type.
    custom: BTreeSet<ToolCallNo>,
}

impl<'a> Input<'a> {
    fn user(&mut self, message: &'a Message) -> Result<(), String> {
        let mut parts = Vec::new();
        for block in &message.blocks {
            match block {
                Block::Text { text } => parts.push(Part::InputText { text }),
                Block::Image { media_type, blob } => {
                    let bytes = self
                        .request
                        .images
                        .get(&blob.sha256)
                        .ok_or_else(|| format!("the image {} is not at hand", blob.sha256))?;
                    let base64 = BASE64_STANDARD.encode(bytes);
                    let image_url = format!("data:{media_type};base64,{base64}");
                    parts.push(Part::InputImage { image_url });
                }
                Block::ToolResult { call, output, is_error } => {
                    self.said_by_user(&mut parts);
                    // The vendor has no sign for a call that failed.
                    let output = match is_error {
                        true => Cow::Owned(format!("error: {}", output.shown())),
                        false => Cow::Borrowed(output.shown()),
                    };
                    let call_id = call_id(*call);
                    self.own(match self.custom.contains(call) {
                        true => Own::CustomToolCallOutput { call_id, output },
                        false => Own::FunctionCallOutput { call_id, output },
                    });
                }
                Block::Stored { blob, .. } => return Err(not_loaded(&blob.sha256)),
                Block::Thinking { .. } | Block::ToolUse { .. } | Block::Opaque { .. } => {
                    return Err("a user's message holds what only a model says".to_owned());
                }
            }
        }
        self.said_by_user(&mut parts);
        Ok(())
    }

    fn assistant(&mut self, message: &'a Message) -> Result<(), String> {
        let mut mark = Mark::default();
        for block in &message.blocks {
            match block {
                Block::Text { text } => {
                    let phase = std::mem::take(&mut mark).phase;
                    let content = Content::Said(text);
                    self.own(Own::Message { role: "assistant", content, phase });
                }
                Block::ToolUse { call, name, args } => {
                    let Mark { namespace, custom, .. } = std::mem::take(&mut mark);
                    let (call_id, name) = (call_id(*call), name.0.as_str());
                    if custom {
                        self.custom.insert(*call);
                    }
                    self.own(match custom {
                        true => Own::CustomToolCall { call_id, name, input: &args.0 },
                        false => Own::FunctionCall { call_id, name, arguments: &args.0, namespace },
                    });
                }
                Block::Opaque { provider, json } if provider.0 == self.family => {
                    let raw: &RawValue = serde_json::from_str(json)
                        .map_err(|error| format!("an item of the vendor's own: {error}"))?;
                    match serde_json::from_str(json) {
                        Ok(found) => mark = found,
                        Err(_no_mark) => self.items.push(Item::Theirs(raw)),
                    }
                }
                // Another vendor's, or what was shown of reasoning.
                Block::Opaque { .. } | Block::Thinking { .. } => {}
                Block::Stored { blob, .. } => return Err(not_loaded(&blob.sha256)),
                Block::ToolResult { .. } | Block::Image { .. } => {
                    return Err("a model's message holds what only a user says".to_owned());
                }
            }
        }
        self.close();
        Ok(())
    }

    /// Reasoning without what it led to is refused, and an answer that was cut ends with it. Relays,
    /// which name its format, translate it for vendors that put it last.
    fn close(&mut self) {
        while let Some(Item::Theirs(raw)) = self.items.last() {
            let head = serde_json::from_str::<Head<'_>>(raw.get());
            let alone = head.is_ok_and(|head| {
                head.kind.as_deref() == Some("reasoning") && head.format.is_none()
            });
            if !alone {
                break;
            }
            self.items.pop();
        }
    }

    fn said_by_user(&mut self, parts: &mut Vec<Part<'a>>) {
        if !parts.is_empty() {
            let content = Content::Parts(std::mem::take(parts));
            self.own(Own::Message { role: "user", content, phase: None });
        }
    }

    fn own(&mut self, own: Own<'a>) {
        self.items.push(Item::Own(own));
    }
}

/// Our number of a call is all that the vendor sees of it, so the bytes are the same each time.
fn call_id(call: ToolCallNo) -> String {
    format!("call_{}", call.0)
}

fn not_loaded(sha256: &str) -> String {
    format!("the text {sha256} is not at hand")
}
