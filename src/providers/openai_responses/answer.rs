//! An answer put together from items: begun when it is announced, grown by its
//! pieces, settled by its whole text. Settling twice is settling once, so the items of the last event
//! may repeat all that came before.

use std::{borrow::Cow, collections::BTreeMap};

use greenroom_actors::domain::{
    conversation::{Reply, Stop},
    model::ModelEvent,
};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{
    super::{
        Trouble,
        draft::{At, Draft, Piece},
    },
    ask::Mark,
    slots::{Kind, Place, Slot, Slots},
};

/// A growing answer.
#[derive(Debug)]
pub(super) struct Answer {
    family: &'static str,
    pub(super) draft: Draft,
    slots: Slots,
    refused: bool,
}

/// What every item has.
#[derive(Deserialize)]
struct Head<'a> {
    #[serde(borrow, rename = "type")]
    kind: Cow<'a, str>,
    #[serde(borrow, default)]
    id: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow, default)]
    content: Option<Vec<&'a RawValue>>,
    #[serde(borrow, default)]
    phase: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
struct Part<'a> {
    #[serde(borrow, default, rename = "type")]
    kind: Cow<'a, str>,
    #[serde(borrow, default)]
    text: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    refusal: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
struct Reasoning<'a> {
    #[serde(borrow, default)]
    summary: Option<Vec<Part<'a>>>,
    #[serde(borrow, default)]
    content: Option<Vec<Part<'a>>>,
    #[serde(borrow, default)]
    encrypted_content: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
struct Call<'a> {
    #[serde(borrow)]
    name: Cow<'a, str>,
    #[serde(borrow, default)]
    arguments: Option<&'a RawValue>,
    #[serde(borrow, default)]
    input: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    namespace: Option<Cow<'a, str>>,
}

type Out<'a> = &'a mut Vec<ModelEvent>;

impl Answer {
    pub(super) fn new(family: &'static str) -> Self {
        Self { family, draft: Draft::default(), slots: Slots::default(), refused: false }
    }

    /// An item is announced; what is already in it counts.
    pub(super) fn begin(
        &mut self,
        index: Option<u64>,
        item: &RawValue,
        out: Out<'_>,
    ) -> Result<(), Trouble> {
        let head: Head<'_> = parsed("an item", item)?;
        let kind = Kind::of(&head.kind);
        let place = Place { index, id: head.id.as_deref() };
        let slot = match self.slots.announced(kind, place) {
            Some(slot) => slot,
            None => self.open(kind, place)?,
        };
        match kind {
            // An encrypted text at the beginning is not yet the one that goes back.
            Kind::Reasoning | Kind::Other => Ok(()),
            Kind::Message | Kind::Call => self.fill(slot, &head, item, out),
        }
    }

    /// An item is told whole.
    pub(super) fn settle(
        &mut self,
        index: Option<u64>,
        item: &RawValue,
        out: Out<'_>,
    ) -> Result<(), Trouble> {
        let head: Head<'_> = parsed("an item", item)?;
        let kind = Kind::of(&head.kind);
        let place = Place { index, id: head.id.as_deref() };
        let found = match index {
            Some(_) => self.slots.find(kind, place),
            // Without an index an item that nobody announced is a new one.
            None => self.slots.announced(kind, place),
        };
        let index = match found {
            Some(slot) => slot,
            None => self.open(kind, place)?,
        };
        if let Some(slot) = self.slots.get_mut(index) {
            slot.done = true;
            if slot.id.is_none() {
                slot.id = place.id().map(str::to_owned);
            }
        }
        self.fill(index, &head, item, out)
    }

    /// What an item says of itself.
    fn fill(
        &mut self,
        index: u64,
        head: &Head<'_>,
        item: &RawValue,
        out: Out<'_>,
    ) -> Result<(), Trouble> {
        match Kind::of(&head.kind) {
            Kind::Message => self.message(index, item, out),
            Kind::Reasoning => self.reasoning(index, item, out),
            Kind::Call => self.call(index, head, item, out),
            Kind::Other => self.keep(index, item.get().to_owned()),
        }
    }

    /// A piece of an item's text, thinking or arguments.
    pub(super) fn add(
        &mut self,
        (place, part): (Place<'_>, u64),
        kind: Kind,
        delta: &str,
        out: Out<'_>,
    ) -> Result<(), Trouble> {
        let index = self.expect(kind, place)?;
        let at = self.piece(index, part)?;
        self.draft.add(at, delta, out)
    }

    /// A piece of a summary; its parts are paragraphs.
    pub(super) fn add_summary(
        &mut self,
        (place, part): (Place<'_>, u64),
        delta: &str,
        out: Out<'_>,
    ) -> Result<(), Trouble> {
        let index = self.expect(Kind::Reasoning, place)?;
        let at = self.piece(index, 0)?;
        let begun =
            matches!(self.draft.piece(at), Some(Piece::Thinking { text, .. }) if !text.is_empty());
        let slot = self.slots.get_mut(index);
        let last = slot.map_or(part, |slot| std::mem::replace(&mut slot.summary, part));
        if begun && last != part {
            self.draft.add(at, "\n\n", out)?;
        }
        self.draft.add(at, delta, out)
    }

    pub(super) const fn refuse(&mut self) {
        self.refused = true;
    }

    /// The answer, which the vendor says is complete, or was cut for this reason.
    pub(super) fn finish(&mut self, cut: Option<&str>) -> Result<Reply, Trouble> {
        for slot in self.slots.all() {
            let at = slot.pieces.get(&0).copied();
            if let Some(Piece::Tool { name, .. }) = at.and_then(|at| self.draft.piece(at))
                && name.is_empty()
            {
                return Err(Trouble::malformed("a call without a name"));
            }
        }
        let stop = match cut {
            Some("content_filter") => Stop::Refusal,
            // A reason that nobody knows: an answer that was cut must not pass for a whole one, and
            // asking the vendor to go on could go on for ever.
            Some(_) => Stop::MaxTokens,
            None if self.refused => Stop::Refusal,
            None if self.draft.asks_tools() => Stop::ToolUse,
            None => Stop::EndTurn,
        };
        Ok(self.draft.finish(stop))
    }

    fn message(&mut self, index: u64, item: &RawValue, out: Out<'_>) -> Result<(), Trouble> {
        let message: Message<'_> = parsed("a message", item)?;
        self.mark(index, Mark { phase: message.phase, ..Mark::default() })?;
        for (number, raw) in (0_u64..).zip(message.content.unwrap_or_default()) {
            let part: Part<'_> = parsed("a part of a message", raw)?;
            let text = match &*part.kind {
                "output_text" | "text" => part.text,
                "refusal" => {
                    self.refused = true;
                    part.refusal
                }
                // Kept as a message that holds it alone, so that what goes back is an item again.
                _ => {
                    let at = self.piece(index, number)?;
                    let json = format!(
                        r#"{{"type":"message","role":"assistant","content":[{}]}}"#,
                        raw.get()
                    );
                    self.opaque(at, json)?;
                    continue;
                }
            };
            let at = self.piece(index, number)?;
            self.assign(at, &text.unwrap_or_default(), out)?;
        }
        Ok(())
    }

    fn reasoning(&mut self, index: u64, item: &RawValue, out: Out<'_>) -> Result<(), Trouble> {
        let reasoning: Reasoning<'_> = parsed("reasoning", item)?;
        let readable = |parts: &Option<Vec<Part<'_>>>| {
            let parts = parts.iter().flatten().filter_map(|part| part.text.as_deref());
            parts.filter(|text| !text.is_empty()).collect::<Vec<_>>().join("\n\n")
        };
        let full = readable(&reasoning.content);
        let mut shown = readable(&reasoning.summary);
        if shown.is_empty() {
            shown.clone_from(&full);
        }
        let at = self.piece(index, 0)?;
        self.assign(at, &shown, out)?;
        let sealed = reasoning.encrypted_content.is_some_and(|sealed| !sealed.is_empty());
        if sealed || !full.is_empty() {
            self.keep(index, item.get().to_owned())?;
        }
        Ok(())
    }

    fn call(
        &mut self,
        index: u64,
        head: &Head<'_>,
        item: &RawValue,
        out: Out<'_>,
    ) -> Result<(), Trouble> {
        let call: Call<'_> = parsed("a call", item)?;
        let custom = head.kind == "custom_tool_call";
        self.mark(index, Mark { custom, namespace: call.namespace, phase: None })?;
        let at = self.piece(index, 0)?;
        if let Some(Piece::Tool { name, .. }) = self.draft.piece(at) {
            *name = call.name.into_owned();
        }
        // Some servers send an object where its text is due.
        let args = match call.arguments.map(RawValue::get) {
            Some(text) if text.starts_with('"') => serde_json::from_str(text)
                .map_err(|error| Trouble::json("the arguments of a call", &error))?,
            Some("null") | None => call.input.unwrap_or_default().into_owned(),
            Some(object) => object.to_owned(),
        };
        self.assign(at, &args, out)
    }

    /// The final word on a piece. What continues what was said is told to whoever listens; what
    /// contradicts it replaces it; nothing at all takes nothing back.
    fn assign(&mut self, at: At, text: &str, out: Out<'_>) -> Result<(), Trouble> {
        let Some(
            Piece::Text(known)
            | Piece::Thinking { text: known, .. }
            | Piece::Tool { args: known, .. },
        ) = self.draft.piece(at)
        else {
            return Ok(());
        };
        if let Some(rest) = text.strip_prefix(known.as_str()) {
            return self.draft.add(at, rest, out);
        }
        if !text.is_empty() {
            text.clone_into(known);
            self.draft.grow(text.len())?;
        }
        Ok(())
    }

    /// The item as it is, in its place.
    fn keep(&mut self, index: u64, json: String) -> Result<(), Trouble> {
        match self.slots.get(index).map(|slot| slot.place) {
            Some(at) => self.opaque(at, json),
            None => Ok(()),
        }
    }

    fn mark(&mut self, index: u64, mark: Mark<'_>) -> Result<(), Trouble> {
        if mark == Mark::default() {
            return Ok(());
        }
        let json = serde_json::to_string(&mark).map_err(|error| Trouble::json("a mark", &error))?;
        self.keep(index, json)
    }

    fn opaque(&mut self, at: At, json: String) -> Result<(), Trouble> {
        self.draft.grow(json.len())?;
        if let Some(piece) = self.draft.piece(at) {
            *piece = Piece::Opaque { family: self.family, json };
        }
        Ok(())
    }

    /// The item that a piece of this kind belongs to, begun where it is not.
    fn expect(&mut self, kind: Kind, place: Place<'_>) -> Result<u64, Trouble> {
        match self.slots.find(kind, place) {
            Some(index) => Ok(index),
            None => self.open(kind, place),
        }
    }

    fn open(&mut self, kind: Kind, named: Place<'_>) -> Result<u64, Trouble> {
        // Nothing is seen of an empty text: it keeps the place.
        let empty = || Piece::Text(String::new());
        let mut pieces = BTreeMap::new();
        let place = match kind {
            Kind::Reasoning => {
                let thinking = Piece::Thinking { text: String::new(), signature: None };
                pieces.insert(0, self.draft.begin(thinking)?);
                self.draft.begin(empty())?
            }
            Kind::Call => {
                let place = self.draft.begin(empty())?;
                let tool = Piece::Tool { name: String::new(), args: String::new() };
                pieces.insert(0, self.draft.begin(tool)?);
                place
            }
            Kind::Message | Kind::Other => self.draft.begin(empty())?,
        };
        let id = named.id().map(str::to_owned);
        let slot = Slot { id, kind, index: named.index, place, pieces, summary: 0, done: false };
        Ok(self.slots.begin(slot))
    }

    /// A piece of an item; thinking and calls are one, whatever part is named.
    fn piece(&mut self, index: u64, part: u64) -> Result<At, Trouble> {
        let Some(slot) = self.slots.get_mut(index) else {
            return Err(Trouble::malformed("a part of an item that was never begun"));
        };
        let part = if slot.kind == Kind::Message { part } else { 0 };
        if let Some(at) = slot.pieces.get(&part) {
            return Ok(*at);
        }
        let at = self.draft.begin(Piece::Text(String::new()))?;
        slot.pieces.insert(part, at);
        Ok(at)
    }
}

/// A part of the vendor's JSON.
pub(super) fn parsed<'a, T: Deserialize<'a>>(what: &str, raw: &'a RawValue) -> Result<T, Trouble> {
    serde_json::from_str(raw.get()).map_err(|error| Trouble::json(what, &error))
}
