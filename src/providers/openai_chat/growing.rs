//! An answer as it grows from what is said, in one piece or in many: one text, one thinking, calls.

use std::borrow::Cow;

use greenroom_actors::domain::{
    conversation::{Reply, Stop},
    model::ModelEvent,
};
use serde_json::value::RawValue;

use super::{
    super::{
        Said as Problem, Trouble,
        draft::{At, Draft, Piece},
    },
    answer::{Answer, Choice, Function, Part, Said, text},
    calls::{Calls, Place},
    details::Details,
};

/// The answer so far.
#[derive(Debug)]
pub(super) struct Growing {
    family: &'static str,
    draft: Draft,
    text: Option<At>,
    thinking: Option<At>,
    details: Option<(At, Details)>,
    calls: Calls,
    begun: bool,
    refused: bool,
    reason: Option<String>,
}

type Out<'a> = &'a mut Vec<ModelEvent>;

impl Growing {
    pub(super) fn new(family: &'static str) -> Self {
        Self {
            family,
            draft: Draft::default(),
            text: None,
            thinking: None,
            details: None,
            calls: Calls::default(),
            begun: false,
            refused: false,
            reason: None,
        }
    }

    /// Whether anything of an answer has come.
    pub(super) const fn has_begun(&self) -> bool {
        self.begun
    }

    /// Whether a reason to stop has come.
    pub(super) const fn has_stopped(&self) -> bool {
        self.reason.is_some()
    }

    /// Adds a chunk, or a whole answer.
    pub(super) fn add(&mut self, answer: Answer<'_>, out: Out<'_>) -> Result<(), Trouble> {
        // Assigned, never added: what comes later is the better word.
        self.draft.usage = answer.usage().or(self.draft.usage);
        // Each chunk repeats it, but for a first one that may be empty.
        if self.draft.served_by.as_ref().is_none_or(String::is_empty) {
            let model = text(answer.model).map_err(|error| Trouble::json("read the model", &error));
            self.draft.served_by = Some(model?.into_owned());
        }
        for choice in answer.choices.iter().flatten() {
            self.choice(choice, out)?;
        }
        Ok(())
    }

    fn choice(&mut self, choice: &Choice<'_>, out: Out<'_>) -> Result<(), Trouble> {
        self.begun = true;
        let no = choice.index.unwrap_or_default();
        match (&choice.delta, &choice.message) {
            // Perplexity repeats all that was said so far beside what is new.
            (Some(said), _) => self.say(no, said, false, out)?,
            (None, Some(said)) => self.say(no, said, true, out)?,
            (None, None) => {}
        }
        // Servers that do not know of `null` say "", or that it is false, as long as there is no reason.
        if let Some(reason) = choice.finish_reason.filter(|reason| reason.get().starts_with('"')) {
            let reason = text(Some(reason));
            let reason = reason.map_err(|error| Trouble::json("read finish_reason", &error))?;
            if !reason.is_empty() {
                self.reason = Some(reason.into_owned());
            }
        }
        Ok(())
    }

    fn say(&mut self, no: i64, said: &Said<'_>, whole: bool, out: Out<'_>) -> Result<(), Trouble> {
        self.reason(said, out)?;
        self.content(said.content, out)?;
        let refusal = text(said.refusal).map_err(|error| Trouble::json("read refusal", &error))?;
        if !refusal.is_empty() {
            self.refused = true;
            self.speak(&refusal, out)?;
        }
        for call in said.tool_calls.iter().flatten() {
            let index = index(call.index)?;
            let id = text(call.id).map_err(|error| Trouble::json("read an id", &error))?;
            let function = call.function.as_ref().or(call.custom.as_deref());
            let place = Place { choice: no, index };
            self.call((place, whole), Some(&id), function, out)?;
        }
        if let Some(function) = &said.function_call {
            let place = Place { choice: no, index: None };
            self.call((place, whole), None, Some(function), out)?;
        }
        Ok(())
    }

    /// The same thoughts may come under several names at once; they are shown once.
    fn reason(&mut self, said: &Said<'_>, out: Out<'_>) -> Result<(), Trouble> {
        let unread = |error| Trouble::json("read the reasoning", &error);
        let mut shown = Cow::Borrowed("");
        if let Some(raw) = said.reasoning_details.filter(|raw| !["null", "[]"].contains(&raw.get()))
        {
            self.draft.grow(raw.get().len())?;
            if self.details.is_none() {
                let piece = Piece::Opaque { family: self.family, json: String::new() };
                self.details = Some((self.draft.begin(piece)?, Details::default()));
            }
            if let Some((_, details)) = &mut self.details {
                shown = details.add(raw)?.into();
            }
        }
        for raw in [said.reasoning_content, said.reasoning, said.reasoning_text] {
            let said = text(raw).map_err(unread)?;
            if !said.is_empty() {
                shown = said;
                break;
            }
        }
        self.think(&shown, out)
    }

    fn think(&mut self, text: &str, out: Out<'_>) -> Result<(), Trouble> {
        if text.is_empty() {
            return Ok(());
        }
        let at = match self.thinking {
            Some(at) => at,
            None => self.draft.begin(Piece::Thinking { text: String::new(), signature: None })?,
        };
        self.thinking = Some(at);
        self.draft.add(at, text, out)
    }

    fn speak(&mut self, text: &str, out: Out<'_>) -> Result<(), Trouble> {
        if text.is_empty() {
            return Ok(());
        }
        let at = match self.text {
            Some(at) => at,
            None => self.draft.begin(Piece::Text(String::new()))?,
        };
        self.text = Some(at);
        self.draft.add(at, text, out)
    }

    fn content(&mut self, content: Option<&RawValue>, out: Out<'_>) -> Result<(), Trouble> {
        let unread = |error| Trouble::json("read the content", &error);
        let raws = match content {
            Some(raw) if raw.get().starts_with('[') => {
                serde_json::from_str::<Vec<&RawValue>>(raw.get()).map_err(unread)?
            }
            Some(raw) if raw.get().starts_with('{') => vec![raw],
            text_alone => return self.speak(&text(text_alone).map_err(unread)?, out),
        };
        for raw in raws {
            if raw.get().starts_with('"') {
                self.speak(&text(Some(raw)).map_err(unread)?, out)?;
                continue;
            }
            let part: Part<'_> = serde_json::from_str(raw.get()).map_err(unread)?;
            match part.kind.as_deref() {
                Some("text" | "output_text") => {
                    self.speak(&text(part.text).map_err(unread)?, out)?;
                }
                Some("thinking") => self.think(&thoughts(part.thinking).map_err(unread)?, out)?,
                Some(_) | None => {
                    let json = raw.get().to_owned();
                    self.draft.begin(Piece::Opaque { family: self.family, json })?;
                    // What follows stands behind it.
                    self.text = None;
                }
            }
        }
        Ok(())
    }

    fn call(
        &mut self,
        (place, whole): (Place, bool),
        id: Option<&str>,
        function: Option<&Function<'_>>,
        out: Out<'_>,
    ) -> Result<(), Trouble> {
        let id = id.filter(|id| !id.is_empty());
        let name = function.and_then(|function| function.name.as_deref()).unwrap_or_default();
        let args = function.and_then(|function| function.arguments);
        let args = text(args).map_err(|error| Trouble::json("read the arguments", &error))?;
        let found = match whole {
            true => None,
            false => self.calls.find(&mut self.draft, place, id, name),
        };
        let Some(at) = found else {
            let at =
                self.draft.begin(Piece::Tool { name: name.to_owned(), args: args.into_owned() })?;
            self.calls.begun(place, id.map(str::to_owned), at);
            return Ok(());
        };
        if let Some(Piece::Tool { name: begun, .. }) = self.draft.piece(at)
            && begun.is_empty()
        {
            name.clone_into(begun);
        }
        self.draft.add(at, &args, out)
    }

    /// The answer, at its end.
    pub(super) fn finish(&mut self) -> Result<Reply, Trouble> {
        if let Some((at, details)) = self.details.take()
            && let Some(Piece::Opaque { json, .. }) = self.draft.piece(at)
        {
            *json = details.json()?;
        }
        for at in self.calls.places() {
            if matches!(self.draft.piece(at), Some(Piece::Tool { name, .. }) if name.is_empty()) {
                return Err(Trouble::malformed("a call of a tool has no name"));
            }
        }
        let stop = stop(self.reason.as_deref(), self.draft.asks_tools(), self.refused)?;
        Ok(self.draft.finish(stop))
    }
}

/// An index, which some servers write as text.
fn index(raw: Option<&RawValue>) -> Result<Option<i64>, Trouble> {
    let index = text(raw).map_err(|error| Trouble::json("read an index", &error))?;
    if index.is_empty() {
        return Ok(None);
    }
    let none = |_error| Trouble::Malformed(format!("the index of a call is {index:?}"));
    index.parse().map(Some).map_err(none)
}

/// Thoughts are a text or parts with a text each.
fn thoughts(raw: Option<&RawValue>) -> Result<String, serde_json::Error> {
    let Some(raw) = raw.filter(|raw| raw.get().starts_with('[')) else {
        return text(raw).map(Cow::into_owned);
    };
    let parts: Vec<Part<'_>> = serde_json::from_str(raw.get())?;
    parts.into_iter().map(|part| text(part.text)).collect()
}

/// Vendors invent words for an ordinary end, so one that nobody knows is one; those for a cut answer
/// and for a broken one are known. Whether tools are asked for shows in the answer, not in the word:
/// many say `stop` then.
fn stop(reason: Option<&str>, asks_tools: bool, refused: bool) -> Result<Stop, Trouble> {
    let word = reason.unwrap_or_default().to_ascii_lowercase();
    Ok(match word.as_str() {
        "length"
        | "max_tokens"
        | "max_output_tokens"
        | "model_length"
        | "model_context_window_exceeded" => Stop::MaxTokens,
        "content_filter" | "refusal" | "safety" | "sensitive" | "recitation" => Stop::Refusal,
        "error" | "network_error" | "insufficient_system_resource" | "abort" => {
            let message = format!("it stopped with {word:?}");
            return Err(Trouble::Said(Problem { code: word, message, retry_after_ms: None }));
        }
        "stop_sequence" => Stop::StopSequence,
        _any_other if refused => Stop::Refusal,
        _any_other if asks_tools => Stop::ToolUse,
        _any_other => Stop::EndTurn,
    })
}
