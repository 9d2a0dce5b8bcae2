//! A block of an answer while it grows. Text, thinking and our tools grow in the draft; everything
//! else is kept as the vendor's own JSON.

use serde::Deserialize;
use serde_json::value::RawValue;

use greenroom_actors::domain::model::ModelEvent;

use super::{
    super::{
        Trouble,
        draft::{At, Draft, Piece},
    },
    FAMILY,
    other::{self, Other},
};

/// A block while it grows.
pub(super) enum Growing {
    /// Text, and the citations that belong to it.
    Text { at: At, cited: Vec<Box<RawValue>>, kept: Option<At> },
    /// Thinking.
    Thinking { at: At },
    /// A call of one of our tools; the arguments it began with count if none are added.
    Tool { at: At, whole: Option<String> },
    /// The vendor's own.
    Other { at: At, other: Other },
}

#[derive(Deserialize)]
struct Typed {
    #[serde(rename = "type")]
    kind: String,
}

/// The deltas of the blocks that are known; fields of others are not looked at.
#[derive(Deserialize)]
#[serde(tag = "type")]
enum Delta {
    #[serde(rename = "text_delta")]
    Text { text: String },
    #[serde(rename = "thinking_delta")]
    Thinking { thinking: String },
    #[serde(rename = "signature_delta")]
    Signature { signature: String },
    #[serde(rename = "input_json_delta")]
    Input { partial_json: String },
    #[serde(other)]
    Unknown,
}

impl Growing {
    /// A block that begins, with what it has already.
    pub(super) fn begin(
        draft: &mut Draft,
        raw: &RawValue,
        out: &mut Vec<ModelEvent>,
    ) -> Result<Self, Trouble> {
        let typed: Typed = read(raw)?;
        match typed.kind.as_str() {
            "text" => Self::text(draft, raw, out),
            "thinking" => Self::thinking(draft, raw, out),
            "tool_use" => Self::tool(draft, raw),
            _own => {
                let json = raw.get().to_owned();
                let at = draft.begin(Piece::Opaque { family: FAMILY, json })?;
                Ok(Self::Other { at, other: Other::default() })
            }
        }
    }

    fn text(draft: &mut Draft, raw: &RawValue, out: &mut Vec<ModelEvent>) -> Result<Self, Trouble> {
        #[derive(Deserialize)]
        struct Text {
            text: Option<String>,
            citations: Option<Vec<Box<RawValue>>>,
        }
        let Text { text, citations } = read(raw)?;
        let at = draft.begin(Piece::Text(String::new()))?;
        draft.add(at, &text.unwrap_or_default(), out)?;
        let mut block = Self::Text { at, cited: Vec::new(), kept: None };
        for citation in citations.unwrap_or_default() {
            block.cite(draft, citation)?;
        }
        Ok(block)
    }

    fn thinking(
        draft: &mut Draft,
        raw: &RawValue,
        out: &mut Vec<ModelEvent>,
    ) -> Result<Self, Trouble> {
        #[derive(Deserialize)]
        struct Thinking {
            thinking: Option<String>,
            signature: Option<String>,
        }
        let Thinking { thinking, signature } = read(raw)?;
        let signature = signature.filter(|signature| !signature.is_empty());
        let at = draft.begin(Piece::Thinking { text: String::new(), signature })?;
        draft.add(at, &thinking.unwrap_or_default(), out)?;
        Ok(Self::Thinking { at })
    }

    fn tool(draft: &mut Draft, raw: &RawValue) -> Result<Self, Trouble> {
        #[derive(Deserialize)]
        struct Tool<'a> {
            name: String,
            #[serde(borrow)]
            input: Option<&'a RawValue>,
        }
        let Tool { name, input } = read(raw)?;
        let whole = input.map(|input| input.get().to_owned());
        draft.grow(whole.as_ref().map_or(0, String::len))?;
        let at = draft.begin(Piece::Tool { name, args: String::new() })?;
        Ok(Self::Tool { at, whole })
    }

    /// Adds a delta. One that does not fit its block is passed over, as the vendor's own clients do.
    pub(super) fn add(
        &mut self,
        draft: &mut Draft,
        raw: &RawValue,
        out: &mut Vec<ModelEvent>,
    ) -> Result<(), Trouble> {
        if let Self::Other { other, .. } = self {
            draft.grow(raw.get().len())?;
            return other.add(raw);
        }
        if let Self::Text { .. } = self
            && let Some(citation) = other::citation(raw)
        {
            return self.cite(draft, citation);
        }
        match (self, read(raw)?) {
            (Self::Text { at, .. }, Delta::Text { text }) => draft.add(*at, &text, out),
            (Self::Thinking { at }, Delta::Thinking { thinking }) => draft.add(*at, &thinking, out),
            (Self::Thinking { at }, Delta::Signature { signature }) => sign(draft, *at, signature),
            (Self::Tool { at, .. }, Delta::Input { partial_json }) => {
                draft.add(*at, &partial_json, out)
            }
            (
                Self::Text { .. } | Self::Thinking { .. } | Self::Tool { .. } | Self::Other { .. },
                Delta::Text { .. }
                | Delta::Thinking { .. }
                | Delta::Signature { .. }
                | Delta::Input { .. }
                | Delta::Unknown,
            ) => Ok(()),
        }
    }

    /// Keeps a citation in the opaque block behind the text, which begins with the first of them.
    fn cite(&mut self, draft: &mut Draft, citation: Box<RawValue>) -> Result<(), Trouble> {
        let Self::Text { at, cited, kept } = self else { return Ok(()) };
        draft.grow(citation.get().len())?;
        cited.push(citation);
        if kept.is_none() {
            let begun = draft.begin(Piece::Opaque { family: FAMILY, json: String::new() })?;
            if !begun.follows(*at) {
                let what = "a text was given a citation after the next block had begun";
                return Err(Trouble::malformed(what));
            }
            *kept = Some(begun);
        }
        Ok(())
    }

    /// The block is whole.
    pub(super) fn finish(self, draft: &mut Draft) -> Result<(), Trouble> {
        match self {
            Self::Thinking { .. } | Self::Text { kept: None, .. } => {}
            Self::Text { cited, kept: Some(kept), .. } => {
                set_own(draft, kept, format!("{{\"citations\":{}}}", other::list(&cited)));
            }
            Self::Tool { at, whole } => {
                if let (Some(Piece::Tool { args, .. }), Some(whole)) = (draft.piece(at), whole)
                    && args.trim().is_empty()
                {
                    *args = whole;
                }
            }
            Self::Other { at, other } => {
                if let Some(Piece::Opaque { json, .. }) = draft.piece(at)
                    && let Some(grown) = other.put_together(json)?
                {
                    *json = grown;
                }
            }
        }
        Ok(())
    }
}

/// The signature that comes last is the whole one.
fn sign(draft: &mut Draft, at: At, signed: String) -> Result<(), Trouble> {
    draft.grow(signed.len())?;
    if let Some(Piece::Thinking { signature, .. }) = draft.piece(at) {
        *signature = Some(signed);
    }
    Ok(())
}

fn set_own(draft: &mut Draft, at: At, text: String) {
    if let Some(Piece::Opaque { json, .. }) = draft.piece(at) {
        *json = text;
    }
}

fn read<'a, T: Deserialize<'a>>(raw: &'a RawValue) -> Result<T, Trouble> {
    serde_json::from_str(raw.get()).map_err(|error| Trouble::json("a block", &error))
}
