//! A request in Anthropic's words. The vendor wants the speakers in turn, the results of all calls
//! first in the message behind them, no blank text, and a limit on output that includes thinking.

use bytes::Bytes;
use greenroom_actors::domain::{
    conversation::{Block, Speaker},
    model::ModelRequest,
    tool::ToolSpec,
};
use serde::{Deserialize, de::IgnoredAny};
use serde_json::value::RawValue;

use super::{
    super::parts,
    FAMILY,
    body::{Body, Format, Known, Mark, OutputConfig, Part, Said, Source, Tool},
    thinking::{output, takes_temperature},
};

/// The request's bytes.
pub(super) fn body(request: &ModelRequest, stream: bool, cache: bool) -> Result<Bytes, String> {
    let ModelRequest { sampling, .. } = request;
    let mark = cache.then_some(Mark::Ephemeral);
    let mut messages = conversation(request)?;
    if cache {
        mark_newest(&mut messages);
    }
    let model = &request.model.0;
    let (max_tokens, thinking) = output(model, sampling, may_think(&messages))?;
    let temperature = sampling.temperature_milli.map(|milli| f64::from(milli) / 1_000.0);
    let said = !request.instructions.trim().is_empty();
    let format = sampling.output_schema.as_deref().map(|text| parts::schema("the answer", text));
    let body = Body {
        model,
        max_tokens,
        tools: tools(&request.tools, mark)?,
        system: said.then(|| [Part::Known(text(&request.instructions, mark))]),
        messages,
        // With thinking no model takes a temperature but its own.
        temperature: temperature.filter(|_| thinking.is_none() && takes_temperature(model)),
        thinking,
        stop_sequences: &sampling.stop,
        output_config: format
            .transpose()?
            .map(|schema| OutputConfig { format: Format::JsonSchema { schema } }),
        stream,
    };
    serde_json::to_vec(&body)
        .map(Bytes::from)
        .map_err(|error| format!("write the request: {error}"))
}

fn tools(specs: &[ToolSpec], mark: Option<Mark>) -> Result<Vec<Tool<'_>>, String> {
    let mut tools = Vec::with_capacity(specs.len());
    for spec in specs {
        tools.push(Tool {
            name: &spec.name.0,
            description: &spec.description,
            input_schema: parts::schema(&spec.name.0, &spec.schema)?,
            cache_control: None,
        });
    }
    // What is stored at the last tool is all of them.
    if let Some(last) = tools.last_mut() {
        last.cache_control = mark;
    }
    Ok(tools)
}

fn conversation(request: &ModelRequest) -> Result<Vec<Said<'_>>, String> {
    let mut all: Vec<Said<'_>> = Vec::with_capacity(request.messages.len());
    for message in &request.messages {
        let role = match message.speaker {
            Speaker::User => "user",
            Speaker::Assistant => "assistant",
        };
        let mut before = None;
        for block in &message.blocks {
            let cited = before.replace(block).filter(|before| is_text(before));
            let cited = cited.and_then(|_| citations(block));
            let last = all.last_mut().filter(|said| said.role == role);
            match (cited, last) {
                (Some(found), Some(said)) => cite(said, found),
                (Some(_) | None, last) => {
                    let Some(part) = part(request, block)? else { continue };
                    match last {
                        Some(said) => said.content.push(part),
                        None => all.push(Said { role, content: vec![part] }),
                    }
                }
            }
        }
    }
    let is_result = |part: &Part<'_>| matches!(part, Part::Known(Known::ToolResult { .. }));
    for said in &mut all {
        said.content.sort_by_key(|part| !is_result(part));
    }
    Ok(all)
}

/// Where another vendor's model asked for tools, a model that is told how much to think wants the
/// thinking before them, which is not there.
fn may_think(messages: &[Said<'_>]) -> bool {
    let last = messages.iter().rfind(|said| said.role == "assistant");
    last.is_none_or(|last| {
        let asks = |part: &Part<'_>| matches!(part, Part::Known(Known::ToolUse { .. }));
        let thinks =
            |part: &Part<'_>| matches!(part, Part::Own(_) | Part::Known(Known::Thinking { .. }));
        !last.content.iter().any(asks) || last.content.first().is_some_and(thinks)
    })
}

/// A block in the vendor's words; nothing where it is another vendor's own, or blank.
fn part<'a>(request: &'a ModelRequest, block: &'a Block) -> Result<Option<Part<'a>>, String> {
    let known = match block {
        Block::Text { text: said } => {
            return Ok(is_text(block).then(|| Part::Known(text(said, None))));
        }
        Block::Stored { blob, .. } => return Err(parts::put_aside(blob)),
        Block::Thinking { signature: None, .. } => return Ok(None),
        Block::Thinking { text, signature: Some(signature) } => {
            Known::Thinking { thinking: text, signature }
        }
        Block::ToolUse { call, name, args } => Known::ToolUse {
            id: parts::call_id(*call),
            name: &name.0,
            input: parts::arguments(args)?,
        },
        Block::ToolResult { call, output, is_error } => Known::ToolResult {
            tool_use_id: parts::call_id(*call),
            content: output.shown(),
            is_error: *is_error,
            cache_control: None,
        },
        Block::Image { media_type, blob } => {
            let data = parts::image(request, blob)?;
            Known::Image { source: Source::Base64 { media_type, data }, cache_control: None }
        }
        Block::Opaque { provider, json } => return own(&provider.0, json),
    };
    Ok(Some(Part::Known(known)))
}

/// An opaque block, where it is the vendor's. Citations alone, without a text before them, are none.
fn own<'a>(family: &str, json: &'a str) -> Result<Option<Part<'a>>, String> {
    #[derive(Deserialize)]
    struct Typed {
        #[serde(rename = "type")]
        kind: Option<IgnoredAny>,
    }
    if family != FAMILY {
        return Ok(None);
    }
    let bad = |error: serde_json::Error| format!("an opaque block of an earlier answer: {error}");
    let typed: Typed = serde_json::from_str(json).map_err(bad)?;
    let own = serde_json::from_str(json).map_err(bad)?;
    Ok(typed.kind.map(|_| Part::Own(own)))
}

/// The citations in a block that holds nothing else.
fn citations(block: &Block) -> Option<&RawValue> {
    #[derive(Deserialize)]
    struct Cited<'a> {
        #[serde(rename = "type")]
        kind: Option<IgnoredAny>,
        #[serde(borrow)]
        citations: Option<&'a RawValue>,
    }
    let Block::Opaque { provider, json } = block else { return None };
    let cited: Cited<'_> = serde_json::from_str(json).ok().filter(|_| provider.0 == FAMILY)?;
    cited.citations.filter(|_| cited.kind.is_none())
}

fn cite<'a>(said: &mut Said<'a>, found: &'a RawValue) {
    if let Some(Part::Known(Known::Text { citations, .. })) = said.content.last_mut() {
        *citations = Some(found);
    }
}

/// Text that the vendor takes: a blank one it refuses.
fn is_text(block: &Block) -> bool {
    matches!(block, Block::Text { text } if !text.trim().is_empty())
}

const fn text(text: &str, cache_control: Option<Mark>) -> Known<'_> {
    Known::Text { text, citations: None, cache_control }
}

/// Marks the user's last two messages: the last is read by the next request, the one before was
/// stored by the last, however many blocks lie between.
fn mark_newest(messages: &mut [Said<'_>]) {
    for said in messages.iter_mut().rev().filter(|said| said.role == "user").take(2) {
        let mark = match said.content.last_mut() {
            Some(Part::Known(
                Known::Text { cache_control, .. }
                | Known::Image { cache_control, .. }
                | Known::ToolResult { cache_control, .. },
            )) => cache_control,
            Some(Part::Known(Known::Thinking { .. } | Known::ToolUse { .. }) | Part::Own(_))
            | None => continue,
        };
        *mark = Some(Mark::Ephemeral);
    }
}
