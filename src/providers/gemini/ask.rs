//! Requests: the conversation as the vendor's contents. The same request makes the same bytes.

use std::{borrow::Cow, collections::BTreeMap};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use bytes::Bytes;
use greenroom_actors::domain::{
    conversation::{Block, Message, Speaker},
    ids::ToolCallNo,
    model::ModelRequest,
    tool::ToolSpec,
};
use serde::Serialize;
use serde_json::value::RawValue;

use super::{
    is_modern,
    part::{Fields, Mark},
};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Body<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    system_instruction: Option<System<'a>>,
    contents: Vec<Content<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tools: Option<[Tools<'a>; 1]>,
    #[serde(skip_serializing_if = "Config::is_empty")]
    generation_config: Config<'a>,
}

#[derive(Serialize)]
struct System<'a> {
    parts: Vec<Text<'a>>,
}

#[derive(Serialize)]
struct Text<'a> {
    text: Cow<'a, str>,
}

#[derive(Serialize)]
struct Content<'a> {
    role: &'static str,
    parts: Vec<Part<'a>>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Part<'a> {
    Own(Own<'a>),
    /// The vendor's, as it was.
    Theirs(&'a RawValue),
}

#[derive(Serialize)]
struct Own<'a> {
    #[serde(flatten)]
    said: Said<'a>,
    /// What came with it, and goes back with it.
    #[serde(flatten)]
    beside: Fields<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
enum Said<'a> {
    Text(&'a str),
    FunctionCall(Call<'a>),
    FunctionResponse(Response<'a>),
    InlineData(Data<'a>),
}

#[derive(Serialize)]
struct Call<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    name: &'a str,
    args: Args<'a>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Args<'a> {
    Object(&'a RawValue),
    /// What the model wrote although it is no object.
    Unread {
        unread: &'a str,
    },
}

#[derive(Serialize)]
struct Response<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    name: &'a str,
    response: Outcome<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum Outcome<'a> {
    Output(&'a str),
    Error(&'a str),
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Data<'a> {
    mime_type: &'a str,
    data: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Tools<'a> {
    function_declarations: Vec<Declaration<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Declaration<'a> {
    name: &'a str,
    description: &'a str,
    parameters_json_schema: &'a RawValue,
}

#[derive(Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Config<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_output_tokens: Option<u64>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    stop_sequences: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    thinking_config: Option<Thinking>,
    #[serde(skip_serializing_if = "Option::is_none")]
    response_mime_type: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    response_json_schema: Option<Schema<'a>>,
}

impl Config<'_> {
    fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

#[derive(Serialize)]
#[serde(transparent)]
struct Schema<'a>(&'a RawValue);

impl PartialEq for Schema<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.0.get() == other.0.get()
    }
}

#[derive(PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Thinking {
    include_thoughts: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    thinking_budget: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    thinking_level: Option<&'static str>,
}

/// By this the vendor lets a call pass that another model made, and that nobody has signed.
const UNSIGNED: &str = r#""skip_thought_signature_validator""#;

pub(super) fn body(family: &str, request: &ModelRequest, ids: bool) -> Result<Bytes, String> {
    let sampling = &request.sampling;
    // Since its third generation the vendor counts thinking in levels, wants signatures back, and
    // can hold to a schema while it has tools.
    let modern = is_modern(&request.model.0);
    let schema = sampling.output_schema.as_deref().map(|schema| {
        serde_json::from_str::<&RawValue>(schema)
            .map_err(|error| format!("output_schema is no JSON: {error}"))
    });
    let schema = schema.transpose()?;
    let (held, told) =
        if modern || request.tools.is_empty() { (schema, None) } else { (None, schema) };
    let mut talk =
        Talk { family, request, ids, modern, contents: Vec::new(), names: BTreeMap::new() };
    for message in &request.messages {
        talk.message(message)?;
    }
    let tools = request.tools.iter().map(declaration).collect::<Result<Vec<_>, _>>()?;
    let body = Body {
        system_instruction: system(&request.instructions, told),
        contents: talk.contents,
        tools: (!tools.is_empty()).then_some([Tools { function_declarations: tools }]),
        generation_config: Config {
            temperature: sampling.temperature_milli.map(|milli| f64::from(milli) / 1_000.0),
            max_output_tokens: sampling.output_tokens_max,
            stop_sequences: &sampling.stop,
            thinking_config: sampling.thinking_tokens.map(|tokens| Thinking {
                include_thoughts: true,
                thinking_budget: (!modern).then_some(tokens),
                // Both models of the third generation know these two.
                thinking_level: modern.then_some(if tokens < 8_192 { "low" } else { "high" }),
            }),
            response_mime_type: held.map(|_| "application/json"),
            response_json_schema: held.map(Schema),
        },
    };
    let body = serde_json::to_vec(&body).map_err(|error| format!("write the request: {error}"))?;
    Ok(Bytes::from(body))
}

/// The instructions, and a schema that can only be asked for in words.
fn system<'a>(instructions: &'a str, told: Option<&RawValue>) -> Option<System<'a>> {
    let mut parts = Vec::new();
    if !instructions.is_empty() {
        parts.push(Text { text: Cow::Borrowed(instructions) });
    }
    if let Some(schema) = told {
        let text = format!(
            "Your final answer must be JSON alone, without any other text, and fit this JSON Schema: {schema}"
        );
        parts.push(Text { text: Cow::Owned(text) });
    }
    (!parts.is_empty()).then_some(System { parts })
}

fn declaration(tool: &ToolSpec) -> Result<Declaration<'_>, String> {
    let schema = serde_json::from_str(&tool.schema)
        .map_err(|error| format!("the schema of tool {}: {error}", tool.name.0))?;
    Ok(Declaration {
        name: &tool.name.0,
        description: &tool.description,
        parameters_json_schema: schema,
    })
}

/// The conversation as it becomes contents.
struct Talk<'a> {
    family: &'a str,
    request: &'a ModelRequest,
    ids: bool,
    modern: bool,
    contents: Vec<Content<'a>>,
    /// Which tool a call was for: a result has to name it.
    names: BTreeMap<ToolCallNo, &'a str>,
}

impl<'a> Talk<'a> {
    fn message(&mut self, message: &'a Message) -> Result<(), String> {
        let (role, parts) = match message.speaker {
            Speaker::User => ("user", self.user(message)?),
            Speaker::Assistant => ("model", self.model(message)?),
        };
        // A message without parts is refused.
        if !parts.is_empty() {
            self.contents.push(Content { role, parts });
        }
        Ok(())
    }

    fn user(&self, message: &'a Message) -> Result<Vec<Part<'a>>, String> {
        let mut parts = Vec::new();
        for block in &message.blocks {
            let said = match block {
                Block::Text { text } => Said::Text(text),
                Block::Image { media_type, blob } => {
                    let bytes = self
                        .request
                        .images
                        .get(&blob.sha256)
                        .ok_or_else(|| format!("the image {} is not at hand", blob.sha256))?;
                    let data = BASE64_STANDARD.encode(bytes);
                    Said::InlineData(Data { mime_type: media_type, data })
                }
                Block::ToolResult { call, output, is_error } => {
                    let name = *self.names.get(call).ok_or_else(|| {
                        format!("the result of call {} stands before the call", call.0)
                    })?;
                    let shown = output.shown();
                    let response =
                        if *is_error { Outcome::Error(shown) } else { Outcome::Output(shown) };
                    Said::FunctionResponse(Response { id: self.id(*call), name, response })
                }
                Block::Stored { blob, .. } => return Err(not_loaded(&blob.sha256)),
                Block::Thinking { .. } | Block::ToolUse { .. } | Block::Opaque { .. } => {
                    return Err("a user's message holds what only a model says".to_owned());
                }
            };
            parts.push(Part::Own(Own { said, beside: BTreeMap::new() }));
        }
        Ok(parts)
    }

    fn model(&mut self, message: &'a Message) -> Result<Vec<Part<'a>>, String> {
        let mut parts = Vec::new();
        let mut beside = BTreeMap::new();
        let mut calls = 0_u32;
        for block in &message.blocks {
            let said = match block {
                Block::Text { text } => Said::Text(text),
                Block::ToolUse { call, name, args } => {
                    self.names.insert(*call, &name.0);
                    if self.modern && calls == 0 && !beside.contains_key("thoughtSignature") {
                        // Of calls in one answer only the first is signed.
                        let unsigned: &RawValue =
                            serde_json::from_str(UNSIGNED).map_err(|error| error.to_string())?;
                        beside.insert(Cow::Borrowed("thoughtSignature"), unsigned);
                    }
                    calls += 1;
                    let args = object(&args.0);
                    Said::FunctionCall(Call { id: self.id(*call), name: &name.0, args })
                }
                Block::Opaque { provider, json } if provider.0 == self.family => {
                    let raw: &RawValue = serde_json::from_str(json)
                        .map_err(|error| format!("a part of the vendor's own: {error}"))?;
                    match serde_json::from_str::<Mark<'_>>(json) {
                        Ok(mark) => beside = mark.with_next,
                        Err(_no_mark) => parts.push(Part::Theirs(raw)),
                    }
                    continue;
                }
                // Another vendor's, or what was shown of thinking.
                Block::Opaque { .. } | Block::Thinking { .. } => continue,
                Block::Stored { blob, .. } => return Err(not_loaded(&blob.sha256)),
                Block::ToolResult { .. } | Block::Image { .. } => {
                    return Err("a model's message holds what only a user says".to_owned());
                }
            };
            parts.push(Part::Own(Own { said, beside: std::mem::take(&mut beside) }));
        }
        Ok(parts)
    }

    /// Our number of a call is all that the vendor sees of it, so the bytes are the same each time.
    fn id(&self, call: ToolCallNo) -> Option<String> {
        self.ids.then(|| format!("call_{}", call.0))
    }
}

/// Arguments as the object that is due.
fn object(args: &str) -> Args<'_> {
    match serde_json::from_str::<&RawValue>(args) {
        Ok(raw) if raw.get().starts_with('{') => Args::Object(raw),
        Ok(_) | Err(_) => Args::Unread { unread: args },
    }
}

fn not_loaded(sha256: &str) -> String {
    format!("the text {sha256} is not at hand")
}
