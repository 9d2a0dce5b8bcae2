//! A part of a message: what is in it, and what goes back with it.

use std::{borrow::Cow, collections::BTreeMap};

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// Fields as the vendor wrote them.
pub(super) type Fields<'a> = BTreeMap<Cow<'a, str>, &'a RawValue>;

/// What goes back with the next text or call, in the same part.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Mark<'a> {
    #[serde(borrow)]
    pub(super) with_next: Fields<'a>,
}

/// A part that came.
pub(super) struct Part<'a> {
    /// All of it.
    pub(super) raw: &'a RawValue,
    pub(super) said: Said<'a>,
    /// What else it holds, such as a signature.
    pub(super) beside: Fields<'a>,
}

/// What it says.
pub(super) enum Said<'a> {
    Text(Cow<'a, str>),
    Thought(Cow<'a, str>),
    Call(Call<'a>),
    /// Something that only the vendor understands.
    Other,
}

/// A call; on Vertex it may come bit by bit.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Call<'a> {
    #[serde(borrow, default)]
    pub(super) name: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    pub(super) args: Option<&'a RawValue>,
    #[serde(default)]
    pub(super) partial_args: Option<Vec<Bit>>,
    #[serde(default)]
    pub(super) will_continue: Option<bool>,
}

/// A bit of a call's arguments.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Bit {
    /// Where it belongs, such as `$.city` or `$.list[0].name`.
    pub(super) json_path: String,
    #[serde(default)]
    pub(super) string_value: Option<String>,
    #[serde(default)]
    pub(super) number_value: Option<serde_json::Number>,
    #[serde(default)]
    pub(super) bool_value: Option<bool>,
}

impl<'a> Part<'a> {
    pub(super) fn read(raw: &'a RawValue) -> Result<Self, serde_json::Error> {
        let mut fields: Fields<'a> = serde_json::from_str(raw.get())?;
        let thought = match fields.remove("thought") {
            Some(thought) => serde_json::from_str::<Option<bool>>(thought.get())? == Some(true),
            None => false,
        };
        let said = if let Some(call) = fields.remove("functionCall") {
            Said::Call(serde_json::from_str(call.get())?)
        } else {
            match fields.remove("text") {
                None => Said::Other,
                Some(text) => {
                    let text: Option<String> = serde_json::from_str(text.get())?;
                    let text = Cow::Owned(text.unwrap_or_default());
                    if thought { Said::Thought(text) } else { Said::Text(text) }
                }
            }
        };
        Ok(Self { raw, said, beside: fields })
    }
}
