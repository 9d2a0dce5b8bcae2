//! Events of a stream, and answers that come as a whole, read into an `Answer`.

use std::borrow::Cow;

use greenroom_actors::domain::{conversation::Reply, model::ModelEvent, usage::Usage};
use serde::{Deserialize, de::IgnoredAny};
use serde_json::value::RawValue;

use crate::net::Frame;

use super::{
    super::{Decoder, Said, Trouble, figure},
    answer::{Answer, parsed},
    said,
    slots::{Kind, Place},
};

/// A reader of one stream.
pub(super) struct Reader {
    answer: Answer,
    ended: bool,
}

/// What tells events apart. The rest is read only of those that are known: an unknown one may hold
/// anything under the same names.
#[derive(Deserialize)]
struct Head<'a> {
    #[serde(borrow, default, rename = "type")]
    kind: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    error: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Item<'a> {
    #[serde(default)]
    output_index: Option<u64>,
    #[serde(borrow)]
    item: &'a RawValue,
}

#[derive(Deserialize)]
struct Delta<'a> {
    #[serde(default)]
    output_index: Option<u64>,
    #[serde(borrow, default)]
    item_id: Option<Cow<'a, str>>,
    #[serde(default)]
    content_index: Option<u64>,
    #[serde(default)]
    summary_index: Option<u64>,
    #[serde(borrow)]
    delta: Cow<'a, str>,
}

impl Delta<'_> {
    fn place(&self) -> Place<'_> {
        Place { index: self.output_index, id: self.item_id.as_deref() }
    }
}

#[derive(Deserialize)]
struct Last<'a> {
    #[serde(borrow)]
    response: &'a RawValue,
}

/// What tells an answer from an error.
#[derive(Deserialize)]
struct Shape<'a> {
    /// A word, or in an error the number of HTTP.
    #[serde(borrow, default)]
    status: Option<&'a RawValue>,
    #[serde(default)]
    output: Option<IgnoredAny>,
    #[serde(borrow, default)]
    error: Option<&'a RawValue>,
}

/// An answer as its own object.
#[derive(Deserialize)]
struct Response<'a> {
    #[serde(borrow, default)]
    model: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    status: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    output: Option<Vec<&'a RawValue>>,
    #[serde(borrow, default)]
    usage: Option<&'a RawValue>,
    #[serde(borrow, default)]
    incomplete_details: Option<Incomplete<'a>>,
    #[serde(borrow, default)]
    error: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Incomplete<'a> {
    #[serde(borrow, default)]
    reason: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
struct Counted {
    #[serde(default, deserialize_with = "figure::count")]
    input_tokens: Option<u64>,
    #[serde(default, deserialize_with = "figure::details")]
    input_tokens_details: InputDetails,
    #[serde(default, deserialize_with = "figure::count")]
    output_tokens: Option<u64>,
    #[serde(default, deserialize_with = "figure::details")]
    output_tokens_details: OutputDetails,
}

#[derive(Default, Deserialize)]
struct InputDetails {
    #[serde(default, deserialize_with = "figure::count")]
    cached_tokens: Option<u64>,
    #[serde(default, deserialize_with = "figure::count")]
    cache_write_tokens: Option<u64>,
}

#[derive(Default, Deserialize)]
struct OutputDetails {
    #[serde(default, deserialize_with = "figure::count")]
    reasoning_tokens: Option<u64>,
}

impl Reader {
    pub(super) fn new(family: &'static str) -> Self {
        Self { answer: Answer::new(family), ended: false }
    }

    fn event(&mut self, kind: &str, data: &str, out: &mut Vec<ModelEvent>) -> Result<(), Trouble> {
        let answer = &mut self.answer;
        match kind {
            "response.output_item.added" => {
                let Item { output_index, item } = event(kind, data)?;
                answer.begin(output_index, item, out)
            }
            "response.output_item.done" => {
                let Item { output_index, item } = event(kind, data)?;
                answer.settle(output_index, item, out)
            }
            "response.output_text.delta" => grow(answer, Kind::Message, event(kind, data)?, out),
            "response.refusal.delta" => {
                answer.refuse();
                grow(answer, Kind::Message, event(kind, data)?, out)
            }
            "response.function_call_arguments.delta" | "response.custom_tool_call_input.delta" => {
                grow(answer, Kind::Call, event(kind, data)?, out)
            }
            "response.reasoning_text.delta" => {
                grow(answer, Kind::Reasoning, event(kind, data)?, out)
            }
            "response.reasoning_summary_text.delta" => {
                let delta: Delta<'_> = event(kind, data)?;
                let part = delta.summary_index.unwrap_or(0);
                answer.add_summary((delta.place(), part), &delta.delta, out)
            }
            "response.completed"
            | "response.incomplete"
            | "response.failed"
            | "response.cancelled" => {
                let Last { response } = event(kind, data)?;
                let reply = last(answer, kind.trim_start_matches("response."), response, out)?;
                out.push(ModelEvent::Finished { reply: Box::new(reply) });
                self.ended = true;
                Ok(())
            }
            // Signs of life, what repeats the pieces, and what nobody knows yet. No content is lost
            // with them: items are told whole, and told again at the end.
            _ => Ok(()),
        }
    }
}

impl Decoder for Reader {
    fn frame(&mut self, frame: &Frame, out: &mut Vec<ModelEvent>) -> Result<(), Trouble> {
        let data = frame.data.trim();
        if self.ended || data.is_empty() || data == "[DONE]" {
            return Ok(());
        }
        let head: Head<'_> =
            serde_json::from_str(data).map_err(|error| Trouble::json("an event", &error))?;
        let kind = head.kind.as_deref().or(frame.name.as_deref()).unwrap_or_default();
        let erred = head.error.is_some_and(|error| error.get() != "null");
        if kind == "error" || frame.name.as_deref() == Some("error") || erred {
            let unnamed = || Said { code: "error".to_owned(), ..Said::default() };
            return Err(Trouble::Said(said::in_text(data).unwrap_or_else(unnamed)));
        }
        self.event(kind, data, out)
    }
}

/// An answer that came as a whole.
pub(super) fn whole(family: &'static str, body: &[u8]) -> Result<Reply, Trouble> {
    let raw: &RawValue =
        serde_json::from_slice(body).map_err(|error| Trouble::json("the answer", &error))?;
    let shape: Shape<'_> = parsed("the answer", raw)?;
    if shape.output.is_none() && shape.error.is_some_and(|error| error.get() != "null") {
        let unnamed = || Said { code: "error".to_owned(), ..Said::default() };
        return Err(Trouble::Said(said::in_text(raw.get()).unwrap_or_else(unnamed)));
    }
    if shape.output.is_none() && shape.status.is_none() {
        return Err(Trouble::malformed("the answer has neither a status nor an output"));
    }
    // A server that names no status gives an answer that is there.
    let word = shape.status.and_then(|status| serde_json::from_str::<&str>(status.get()).ok());
    let status = word.unwrap_or("completed");
    last(&mut Answer::new(family), status, raw, &mut Vec::new())
}

/// The whole answer as the vendor tells it at the end. Its own status counts where that is worse than
/// the event it came in.
fn last(
    answer: &mut Answer,
    told: &str,
    raw: &RawValue,
    out: &mut Vec<ModelEvent>,
) -> Result<Reply, Trouble> {
    let response: Response<'_> = parsed("the answer", raw)?;
    let own = response.status.as_deref();
    let status = match own {
        Some(own @ ("incomplete" | "failed" | "cancelled")) => own,
        Some(_) | None => told,
    };
    let failed = || {
        let said = said::in_text(raw.get());
        let said = said.unwrap_or_else(|| Said { code: status.to_owned(), ..Said::default() });
        Err(Trouble::Said(said))
    };
    match status {
        "failed" | "cancelled" => return failed(),
        "queued" | "in_progress" => {
            return Err(Trouble::malformed("the answer is still being worked on"));
        }
        _ if response.error.is_some_and(|error| !["null", "{}"].contains(&error.get())) => {
            return failed();
        }
        _ => {}
    }
    for (index, item) in (0..).zip(response.output.unwrap_or_default()) {
        answer.settle(Some(index), item, out)?;
    }
    answer.draft.usage = response.usage.and_then(usage);
    answer.draft.served_by = response.model.map(Cow::into_owned);
    let reason = response.incomplete_details.and_then(|details| details.reason);
    let cut = (status == "incomplete").then(|| reason.unwrap_or_default());
    answer.finish(cut.as_deref())
}

/// Tokens; of a report without any nothing is known, and one that cannot be read is none.
fn usage(raw: &RawValue) -> Option<Usage> {
    let counted: Counted = serde_json::from_str::<Option<Counted>>(raw.get()).ok()??;
    if counted.input_tokens.is_none() && counted.output_tokens.is_none() {
        return None;
    }
    let input = counted.input_tokens_details;
    let cache_read = input.cached_tokens.unwrap_or(0);
    let cache_write = input.cache_write_tokens.unwrap_or(0);
    let all = counted.input_tokens.unwrap_or(0);
    let output = counted.output_tokens_details;
    Some(Usage {
        input: all.saturating_sub(cache_read).saturating_sub(cache_write),
        cache_read,
        cache_write,
        output: counted.output_tokens.unwrap_or(0),
        reasoning: output.reasoning_tokens.unwrap_or(0),
    })
}

fn grow(
    answer: &mut Answer,
    kind: Kind,
    delta: Delta<'_>,
    out: &mut Vec<ModelEvent>,
) -> Result<(), Trouble> {
    let part = delta.content_index.unwrap_or(0);
    answer.add((delta.place(), part), kind, &delta.delta, out)
}

fn event<'a, T: Deserialize<'a>>(kind: &str, data: &'a str) -> Result<T, Trouble> {
    serde_json::from_str(data).map_err(|error| Trouble::json(kind, &error))
}
