//! A request as the vendor's body. The same request gives the same bytes: that is what a vendor's
//! prompt cache lives on.

use greenroom_actors::domain::{model::ModelRequest, tool::ToolSpec};
use serde_json::{Value, value::RawValue};

use super::{
    OutputMax, Quirks, Schemas, Thinking,
    body::{Body, Budget, Format, Function, Schema, StreamOptions, Tool, Typed},
    conversation::messages,
};

/// Up to so many tokens of thinking are little effort, up to so many are some, and more are much.
/// Vendors give no figures; these split what they allow (1,024 to 32,768) in three by doublings.
const EFFORT_TOKENS: [u64; 2] = [2_048, 8_192];

/// The body, JSON.
pub(super) fn body(
    family: &str,
    quirks: &Quirks,
    request: &ModelRequest,
    stream: bool,
) -> Result<Vec<u8>, String> {
    let sampling = &request.sampling;
    let thinking = sampling.thinking_tokens.filter(|tokens| *tokens > 0);
    let max = |called| sampling.output_tokens_max.filter(|_| quirks.output_max == called);
    let asked = |how| thinking.filter(|_| quirks.thinking == how);
    let body = Body {
        model: request.model.as_str(),
        messages: messages(family, quirks, request, thinking.is_some())?,
        tools: request.tools.iter().map(tool).collect::<Result<_, _>>()?,
        response_format: format(quirks, sampling.output_schema.as_deref())?,
        // Models that think refuse a temperature or ignore it.
        temperature: sampling
            .temperature_milli
            .filter(|_| thinking.is_none())
            .map(|milli| f64::from(milli) / 1_000.0),
        max_tokens: max(OutputMax::Tokens),
        max_completion_tokens: max(OutputMax::CompletionTokens),
        stop: &sampling.stop,
        reasoning_effort: asked(Thinking::Effort).map(effort),
        reasoning: asked(Thinking::Budget).map(|max_tokens| Budget { max_tokens }),
        thinking: switch(quirks.thinking, thinking.is_some()),
        stream,
        stream_options: (stream && quirks.usage_asked)
            .then_some(StreamOptions { include_usage: true }),
    };
    serde_json::to_vec(&body).map_err(|error| format!("write the request: {error}"))
}

const fn effort(tokens: u64) -> &'static str {
    let [little, some] = EFFORT_TOKENS;
    if tokens <= little {
        return "low";
    }
    if tokens <= some { "medium" } else { "high" }
}

const fn switch(how: Thinking, on: bool) -> Option<Typed> {
    match (how, on) {
        (Thinking::Switch | Thinking::SwitchOn, true) => Some(Typed { kind: "enabled" }),
        (Thinking::Switch, false) => Some(Typed { kind: "disabled" }),
        (Thinking::SwitchOn, false)
        | (Thinking::Unasked | Thinking::Effort | Thinking::Budget, _) => None,
    }
}

fn tool(spec: &ToolSpec) -> Result<Tool<'_>, String> {
    let parameters = raw(&spec.schema)
        .map_err(|error| format!("the schema of tool {:?} is no JSON: {error}", spec.name.0))?;
    let function =
        Function { name: spec.name.as_str(), description: &spec.description, parameters };
    Ok(Tool::Function { function })
}

/// A text that is JSON, to be sent as it is.
pub(super) fn raw(text: &str) -> Result<&RawValue, serde_json::Error> {
    serde_json::from_str(text)
}

fn format<'a>(quirks: &Quirks, schema: Option<&'a str>) -> Result<Option<Format<'a>>, String> {
    let Some(text) = schema else { return Ok(None) };
    let bad = |error| format!("the schema of the answer is no JSON: {error}");
    let schema = raw(text).map_err(bad)?;
    let strict = match quirks.schemas {
        Schemas::Worded => return Ok(Some(Format::JsonObject)),
        Schemas::Plain => None,
        Schemas::Strict => Some(allows_strict(&serde_json::from_str(text).map_err(bad)?)),
    };
    let json_schema = Schema { name: "answer", strict, schema };
    Ok(Some(Format::JsonSchema { json_schema }))
}

/// Strict decoding takes only schemas whose objects name all that they hold and require it all; any
/// other is refused, so it is asked for without.
fn allows_strict(schema: &Value) -> bool {
    match schema {
        Value::Object(map) => {
            let closed = map.get("additionalProperties") == Some(&Value::Bool(false));
            let all_required = match (map.get("properties"), map.get("required")) {
                (Some(Value::Object(named)), Some(Value::Array(required))) => {
                    named.keys().all(|name| required.iter().any(|one| one == name))
                }
                (Some(Value::Object(named)), _) => named.is_empty(),
                (_, _) => true,
            };
            let is_object = map.get("type").is_some_and(|kind| {
                kind == "object"
                    || kind.as_array().is_some_and(|kinds| kinds.contains(&"object".into()))
            });
            (!is_object || (closed && all_required)) && map.values().all(allows_strict)
        }
        Value::Array(all) => all.iter().all(allows_strict),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => true,
    }
}
