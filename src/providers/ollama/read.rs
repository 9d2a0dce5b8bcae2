//! An answer of Ollama's: objects of one shape, a line each, of which the last says `done`; or that
//! last one alone. Calls come whole, with or without an id, which is not kept.

use greenroom_actors::domain::{
    conversation::{Reply, Stop},
    model::ModelEvent,
    usage::Usage,
};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::net::Frame;

use super::super::{
    Decoder, Said, Trouble,
    draft::{At, Draft, Piece},
    figure,
};

/// A reader of one stream.
#[derive(Default)]
pub(super) struct Reader {
    draft: Draft,
    growing: Option<(Growing, At)>,
    over: bool,
}

/// What the last piece is, so that the next delta of its kind is added to it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Growing {
    Thinking,
    Text,
}

#[derive(Deserialize)]
struct Line<'a> {
    model: Option<String>,
    message: Option<Message<'a>>,
    #[serde(default)]
    done: bool,
    done_reason: Option<String>,
    #[serde(borrow)]
    prompt_eval_count: Option<&'a RawValue>,
    #[serde(borrow)]
    eval_count: Option<&'a RawValue>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Message<'a> {
    content: Option<String>,
    thinking: Option<String>,
    #[serde(borrow)]
    tool_calls: Option<Vec<Call<'a>>>,
}

#[derive(Deserialize)]
struct Call<'a> {
    #[serde(borrow)]
    function: Function<'a>,
}

#[derive(Deserialize)]
struct Function<'a> {
    name: String,
    #[serde(borrow)]
    arguments: Option<&'a RawValue>,
}

impl Decoder for Reader {
    fn frame(&mut self, frame: &Frame, out: &mut Vec<ModelEvent>) -> Result<(), Trouble> {
        if self.over {
            return Ok(());
        }
        let line: Line<'_> =
            serde_json::from_str(&frame.data).map_err(|error| Trouble::json("a line", &error))?;
        if let Some(error) = line.error {
            return Err(Trouble::Said(said(error)));
        }
        self.add(&line, out)?;
        if line.done {
            self.over = true;
            let reply = self.finish(line);
            out.push(ModelEvent::Finished { reply: Box::new(reply) });
        }
        Ok(())
    }
}

impl Reader {
    fn add(&mut self, line: &Line<'_>, out: &mut Vec<ModelEvent>) -> Result<(), Trouble> {
        let Some(message) = &line.message else { return Ok(()) };
        if let Some(thinking) = &message.thinking {
            self.grow(Growing::Thinking, thinking, out)?;
        }
        if let Some(content) = &message.content {
            self.grow(Growing::Text, content, out)?;
        }
        for Call { function } in message.tool_calls.iter().flatten() {
            let args = function.arguments.map(arguments).unwrap_or_default();
            self.draft.begin(Piece::Tool { name: function.name.clone(), args })?;
            self.growing = None;
        }
        Ok(())
    }

    fn grow(
        &mut self,
        kind: Growing,
        delta: &str,
        out: &mut Vec<ModelEvent>,
    ) -> Result<(), Trouble> {
        if delta.is_empty() {
            return Ok(());
        }
        let at = match self.growing {
            Some((same, at)) if same == kind => at,
            Some(_) | None => self.draft.begin(match kind {
                Growing::Thinking => Piece::Thinking { text: String::new(), signature: None },
                Growing::Text => Piece::Text(String::new()),
            })?,
        };
        self.growing = Some((kind, at));
        self.draft.add(at, delta, out)
    }

    fn finish(&mut self, line: Line<'_>) -> Reply {
        self.draft.served_by = line.model;
        self.draft.usage = usage(line.prompt_eval_count, line.eval_count);
        let stop = stop(line.done_reason.as_deref(), self.draft.asks_tools());
        self.draft.finish(stop)
    }
}

/// An answer that came as a whole.
pub(super) fn whole(body: &[u8]) -> Result<Reply, Trouble> {
    let line: Line<'_> =
        serde_json::from_slice(body).map_err(|error| Trouble::json("an answer", &error))?;
    if let Some(error) = line.error {
        return Err(Trouble::Said(said(error)));
    }
    if !line.done {
        return Err(Trouble::malformed("an answer that is not done"));
    }
    let mut reader = Reader::default();
    reader.add(&line, &mut Vec::new())?;
    Ok(reader.finish(line))
}

/// The vendor's error in a body.
pub(super) fn trouble(body: &[u8]) -> Option<Trouble> {
    #[derive(Deserialize)]
    struct Failed<'a> {
        #[serde(borrow)]
        error: &'a RawValue,
    }
    let failed: Failed<'_> = serde_json::from_slice(body).ok()?;
    Some(Trouble::Said(said(failed.error)))
}

/// It says what went wrong in words alone; services in front of it have objects.
fn said(error: &RawValue) -> Said {
    #[derive(Deserialize)]
    struct Error {
        message: String,
        #[serde(rename = "type")]
        kind: Option<String>,
    }
    if let Ok(message) = serde_json::from_str::<String>(error.get()) {
        return Said { message, ..Said::default() };
    }
    match serde_json::from_str::<Error>(error.get()) {
        Ok(Error { message, kind }) => {
            Said { code: kind.unwrap_or_default(), message, retry_after_ms: None }
        }
        Err(_) => Said { message: error.get().to_owned(), ..Said::default() },
    }
}

/// A call's arguments as text; some servers send the text itself.
fn arguments(raw: &RawValue) -> String {
    match raw.get() {
        "null" => String::new(),
        json => serde_json::from_str(json).unwrap_or_else(|_no_text| json.to_owned()),
    }
}

/// Older servers leave the input out where all of it was in their cache.
fn usage(input: Option<&RawValue>, output: Option<&RawValue>) -> Option<Usage> {
    let count = |raw: Option<&RawValue>| raw.and_then(|raw| figure::read(raw.get()));
    let (input, output) = (count(input).unwrap_or(0), count(output)?);
    Some(Usage { input, output, ..Usage::default() })
}

/// Why it stopped: `stop` also where it asks for tools, nothing at all on old servers. An end that
/// nobody knows, as when the model was unloaded, is told as one that was cut off, so that half an
/// answer never passes for a whole one.
fn stop(reason: Option<&str>, asks_tools: bool) -> Stop {
    match reason {
        Some("length") => Stop::MaxTokens,
        Some(_) | None if asks_tools => Stop::ToolUse,
        Some("stop") | None => Stop::EndTurn,
        Some(_) => Stop::MaxTokens,
    }
}
