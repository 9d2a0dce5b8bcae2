//! Chunks of a stream, and answers that come as a whole: both are answers with parts.

use std::borrow::Cow;

use greenroom_actors::domain::{
    conversation::{Reply, Stop},
    model::ModelEvent,
    usage::Usage,
};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::net::Frame;

use super::{
    super::{
        Decoder, Said, Trouble,
        draft::{At, Draft, Piece},
        figure,
    },
    part::{Bit, Call, Fields, Mark, Part, Said as Says},
    partial::Growing,
    said,
};

/// A reader of one answer.
pub(super) struct Reader {
    family: &'static str,
    draft: Draft,
    /// The text or thinking that the next piece of its kind continues.
    open: Option<At>,
    /// The call whose arguments come bit by bit.
    growing: Option<(At, Growing)>,
    /// Why it stopped.
    reason: Option<String>,
    /// Whether the prompt was refused.
    blocked: bool,
    /// Whether the answer has a part.
    begun: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Chunk<'a> {
    #[serde(borrow, default)]
    candidates: Option<Vec<Candidate<'a>>>,
    #[serde(borrow, default)]
    prompt_feedback: Option<Feedback<'a>>,
    #[serde(borrow, default)]
    usage_metadata: Option<&'a RawValue>,
    #[serde(borrow, default)]
    model_version: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    error: Option<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Candidate<'a> {
    #[serde(default)]
    index: Option<u64>,
    #[serde(borrow, default)]
    content: Option<Content<'a>>,
    #[serde(borrow, default)]
    finish_reason: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
struct Content<'a> {
    #[serde(borrow, default)]
    parts: Option<Vec<&'a RawValue>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Feedback<'a> {
    #[serde(borrow, default)]
    block_reason: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Counted {
    #[serde(default, deserialize_with = "figure::count")]
    prompt_token_count: Option<u64>,
    #[serde(default, deserialize_with = "figure::count")]
    tool_use_prompt_token_count: Option<u64>,
    #[serde(default, deserialize_with = "figure::count")]
    cached_content_token_count: Option<u64>,
    #[serde(default, deserialize_with = "figure::count")]
    candidates_token_count: Option<u64>,
    #[serde(default, deserialize_with = "figure::count")]
    thoughts_token_count: Option<u64>,
}

impl Reader {
    pub(super) fn new(family: &'static str) -> Self {
        Self {
            family,
            draft: Draft::default(),
            open: None,
            growing: None,
            reason: None,
            blocked: false,
            begun: false,
        }
    }

    /// A chunk, or a list of them.
    fn chunks(&mut self, json: &str, out: &mut Vec<ModelEvent>) -> Result<(), Trouble> {
        if !json.starts_with('[') {
            return self.chunk(json, out);
        }
        let list: Vec<&RawValue> =
            serde_json::from_str(json).map_err(|error| Trouble::json("an answer", &error))?;
        list.into_iter().try_for_each(|chunk| self.chunk(chunk.get(), out))
    }

    fn chunk(&mut self, json: &str, out: &mut Vec<ModelEvent>) -> Result<(), Trouble> {
        let chunk: Chunk<'_> =
            serde_json::from_str(json).map_err(|error| Trouble::json("an answer", &error))?;
        if chunk.error.is_some_and(|error| error.get() != "null") {
            let unnamed = || Said { code: "error".to_owned(), ..Said::default() };
            return Err(Trouble::Said(said::in_text(json).unwrap_or_else(unnamed)));
        }
        if let Some(usage) = chunk.usage_metadata.and_then(usage) {
            self.draft.usage = Some(usage);
        }
        if let Some(model) = chunk.model_version {
            self.draft.served_by = Some(model.into_owned());
        }
        let feedback = chunk.prompt_feedback.and_then(|feedback| feedback.block_reason);
        self.blocked |= feedback.is_some_and(|why| why != "BLOCK_REASON_UNSPECIFIED");
        // Only one candidate is ever asked for.
        let candidates = chunk.candidates.unwrap_or_default();
        for candidate in candidates.into_iter().filter(|one| one.index.unwrap_or(0) == 0) {
            let parts = candidate.content.and_then(|content| content.parts).unwrap_or_default();
            for raw in parts {
                let part = Part::read(raw).map_err(|error| Trouble::json("a part", &error))?;
                self.part(part, out)?;
            }
            if let Some(reason) = candidate.finish_reason {
                self.reason = Some(reason.into_owned());
            }
        }
        Ok(())
    }

    fn part(&mut self, part: Part<'_>, out: &mut Vec<ModelEvent>) -> Result<(), Trouble> {
        let Part { raw, said, beside } = part;
        self.begun = true;
        match said {
            Says::Text(text) if beside.is_empty() => {
                self.continued(Piece::Text(String::new()), &text, out)
            }
            // An empty text carries what belongs to the answer as a whole.
            Says::Text(text) if text.is_empty() => self.opaque(raw.get().to_owned()),
            Says::Text(text) => {
                self.mark(beside)?;
                let at = self.draft.begin(Piece::Text(String::new()))?;
                self.draft.add(at, &text, out)
            }
            Says::Thought(text) => {
                let empty = Piece::Thinking { text: String::new(), signature: None };
                self.continued(empty, &text, out)?;
                if beside.is_empty() { Ok(()) } else { self.opaque(raw.get().to_owned()) }
            }
            Says::Call(call) => self.call(call, beside),
            Says::Other => self.opaque(raw.get().to_owned()),
        }
    }

    /// Text or thinking, in the piece before it where that is of its kind.
    fn continued(
        &mut self,
        empty: Piece,
        text: &str,
        out: &mut Vec<ModelEvent>,
    ) -> Result<(), Trouble> {
        if text.is_empty() {
            return Ok(());
        }
        let kind = std::mem::discriminant(&empty);
        let open = self.open.filter(|at| {
            self.draft.piece(*at).is_some_and(|piece| std::mem::discriminant(piece) == kind)
        });
        let at = match open {
            Some(at) => at,
            None => self.draft.begin(empty)?,
        };
        self.open = Some(at);
        self.draft.add(at, text, out)
    }

    fn call(&mut self, call: Call<'_>, beside: Fields<'_>) -> Result<(), Trouble> {
        let goes_on = call.will_continue == Some(true);
        let bits = call.partial_args.unwrap_or_default();
        let name = call.name.filter(|name| !name.is_empty());
        if let Some((at, growing)) = self.growing.take() {
            if name.is_none() {
                return self.grow(at, growing, bits, goes_on);
            }
            // The next call has begun, so this one is complete.
            self.complete(at, growing);
        }
        let Some(name) = name else {
            return Err(Trouble::malformed("a call without a name"));
        };
        self.mark(beside)?;
        let args = call.args.filter(|args| args.get() != "null");
        let args = args.map_or_else(String::new, |args| args.get().to_owned());
        let at = self.draft.begin(Piece::Tool { name: name.into_owned(), args })?;
        if goes_on || !bits.is_empty() {
            return self.grow(at, Growing::default(), bits, goes_on);
        }
        Ok(())
    }

    /// Adds bits to the arguments of a call.
    fn grow(
        &mut self,
        at: At,
        mut growing: Growing,
        bits: Vec<Bit>,
        goes_on: bool,
    ) -> Result<(), Trouble> {
        for bit in bits {
            let text = bit.string_value.as_ref().map_or(0, String::len);
            self.draft.grow(bit.json_path.len() + text)?;
            growing.add(bit)?;
        }
        if goes_on {
            self.growing = Some((at, growing));
        } else {
            self.complete(at, growing);
        }
        Ok(())
    }

    fn complete(&mut self, at: At, growing: Growing) {
        if let Some(Piece::Tool { args, .. }) = self.draft.piece(at) {
            *args = growing.text();
        }
    }

    fn mark(&mut self, with_next: Fields<'_>) -> Result<(), Trouble> {
        self.open = None;
        if with_next.is_empty() {
            return Ok(());
        }
        let json = serde_json::to_string(&Mark { with_next })
            .map_err(|error| Trouble::json("a mark", &error))?;
        self.opaque(json)
    }

    fn opaque(&mut self, json: String) -> Result<(), Trouble> {
        self.open = None;
        self.draft.begin(Piece::Opaque { family: self.family, json }).map(drop)
    }

    /// The answer, where it is whole.
    fn finish(&mut self) -> Result<Option<Reply>, Trouble> {
        if let Some((at, growing)) = self.growing.take() {
            self.complete(at, growing);
        }
        let Some(reason) = self.reason.take() else {
            return Ok(self.blocked.then(|| self.draft.finish(Stop::Refusal)));
        };
        let stop = match &*reason {
            "STOP" if self.draft.asks_tools() => Stop::ToolUse,
            "STOP" => Stop::EndTurn,
            "MAX_TOKENS" => Stop::MaxTokens,
            "SAFETY"
            | "RECITATION"
            | "BLOCKLIST"
            | "PROHIBITED_CONTENT"
            | "SPII"
            | "IMAGE_SAFETY"
            | "IMAGE_PROHIBITED_CONTENT"
            | "IMAGE_RECITATION" => Stop::Refusal,
            // Our own history lacks something: the same request would fail again.
            "MISSING_THOUGHT_SIGNATURE" => return Err(broken("invalid_request ", &reason)),
            "MALFORMED_FUNCTION_CALL"
            | "UNEXPECTED_TOOL_CALL"
            | "TOO_MANY_TOOL_CALLS"
            | "MALFORMED_RESPONSE" => return Err(broken("", &reason)),
            // A reason that nobody knows: an answer that has something to it was cut there, and must
            // not pass for a whole one; one without anything is none.
            _ if !self.begun => return Err(broken("", &reason)),
            _ => Stop::MaxTokens,
        };
        Ok(Some(self.draft.finish(stop)))
    }
}

impl Decoder for Reader {
    fn frame(&mut self, frame: &Frame, out: &mut Vec<ModelEvent>) -> Result<(), Trouble> {
        let data = frame.data.trim();
        if data.is_empty() || data == "[DONE]" {
            return Ok(());
        }
        self.chunks(data, out)
    }

    fn end(&mut self, out: &mut Vec<ModelEvent>) -> Result<(), Trouble> {
        if let Some(reply) = self.finish()? {
            out.push(ModelEvent::Finished { reply: Box::new(reply) });
        }
        Ok(())
    }
}

/// An answer that came as a whole: one, or a list of chunks.
pub(super) fn whole(family: &'static str, body: &[u8]) -> Result<Reply, Trouble> {
    let body = std::str::from_utf8(body)
        .map_err(|_not_text| Trouble::malformed("the answer is not UTF-8 text"))?;
    let mut reader = Reader::new(family);
    reader.chunks(body.trim(), &mut Vec::new())?;
    let cut = || Trouble::malformed("the answer does not say why it ended");
    reader.finish()?.ok_or_else(cut)
}

/// The vendor says that the model failed.
fn broken(class: &str, reason: &str) -> Trouble {
    let message = "the model's answer cannot be used".to_owned();
    Trouble::Said(Said { code: format!("{class}{reason}"), message, retry_after_ms: None })
}

/// Tokens; of a report without any nothing is known, and one that cannot be read is none.
fn usage(raw: &RawValue) -> Option<Usage> {
    let counted: Counted = serde_json::from_str::<Option<Counted>>(raw.get()).ok()??;
    let (input, output) = (counted.prompt_token_count, counted.candidates_token_count);
    let reasoning = counted.thoughts_token_count;
    input.or(output).or(reasoning)?;
    let cache_read = counted.cached_content_token_count.unwrap_or(0);
    // What the vendor's own tools fed back to the model is counted apart, and charged as input.
    let fed = counted.tool_use_prompt_token_count.unwrap_or(0);
    let reasoning = reasoning.unwrap_or(0);
    Some(Usage {
        input: input.unwrap_or(0).saturating_add(fed).saturating_sub(cache_read),
        cache_read,
        cache_write: 0,
        output: output.unwrap_or(0).saturating_add(reasoning),
        reasoning,
    })
}
