//! Tools: what they are called, what they may do to the world, and what came of a call.

mod canonical;
mod object;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize, de::Error as _};
use serde_json::value::RawValue;

use super::{
    conversation::BlobRef,
    ids::{PoolKind, ToolName},
    unseen,
};
use crate::limits;

/// A tool call's arguments: JSON text exactly as the model wrote it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Args(pub String);

impl Args {
    /// The text parsed as a JSON object.
    ///
    /// # Errors
    /// When it is not JSON, not an object, or an object in it says a key twice.
    pub fn object(&self) -> Result<serde_json::Map<String, serde_json::Value>, BadArgs> {
        match serde_json::from_str::<object::Single>(&self.0) {
            Ok(object::Single(serde_json::Value::Object(map))) => Ok(map),
            Ok(object::Single(other)) => Err(BadArgs::NotAnObject { found: json_kind(&other) }),
            Err(source) => Err(BadArgs::NotJson { source }),
        }
    }

    /// The same arguments with sorted keys and no spaces: what digests are made of. Text that is
    /// not JSON stands for itself.
    #[must_use]
    pub fn canonical(&self) -> String {
        canonical::canonical(&self.0).unwrap_or_else(|| self.0.clone())
    }

    /// The same as people are shown it: what a terminal obeys or nobody sees stands as an escape.
    #[must_use]
    pub fn shown(&self) -> String {
        unseen::in_json(&self.canonical())
    }
}

/// Arguments that stand as an object within other JSON, with the text that they have there: read into a
/// value, a large number would become another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArgsObject(pub Args);

impl<'de> Deserialize<'de> for ArgsObject {
    fn deserialize<D: serde::Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        let text = Box::<RawValue>::deserialize(json)?;
        let args = Args(text.get().to_owned());
        match args.object() {
            Ok(_object) => Ok(Self(args)),
            Err(BadArgs::NotJson { source }) => Err(D::Error::custom(source)),
            Err(error @ BadArgs::NotAnObject { .. }) => Err(D::Error::custom(error)),
        }
    }
}

/// Arguments that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum BadArgs {
    /// Not JSON at all.
    #[error("parse tool arguments: expected a JSON object")]
    NotJson {
        /// What the parser said.
        #[source]
        source: serde_json::Error,
    },
    /// JSON of another kind.
    #[error("parse tool arguments: expected a JSON object, found {found}")]
    NotAnObject {
        /// What it was.
        found: &'static str,
    },
}

const fn json_kind(value: &serde_json::Value) -> &'static str {
    match value {
        serde_json::Value::Null => "null",
        serde_json::Value::Bool(_) => "a boolean",
        serde_json::Value::Number(_) => "a number",
        serde_json::Value::String(_) => "a string",
        serde_json::Value::Array(_) => "an array",
        serde_json::Value::Object(_) => "an object",
    }
}

/// What running a tool twice would do. It decides what recovery may do with a call that was
/// started and has no result.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EffectClass {
    /// Changes nothing: run it again freely.
    Pure,
    /// The same key twice is once: run it again with the same key.
    Idempotent,
    /// The world can be asked whether it happened.
    Verifiable,
    /// Never run it again; say that the outcome is unknown.
    #[default]
    Once,
}

/// A tool as the model and the runtime see it; pinned in the session's first event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ToolSpec {
    /// Its name.
    pub name: ToolName,
    /// For the model.
    pub description: String,
    /// JSON Schema of the arguments, as text.
    pub schema: String,
    /// What running it twice would do.
    pub effect: EffectClass,
    /// Whose slots it takes.
    pub pool: PoolKind,
}

/// A value laid over a tool's configuration for one session: passed with each call, never a
/// change of anything shared.
pub type Overlay = BTreeMap<String, String>;

/// What a tool gave back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum Output {
    /// Text, within the size cap of an event.
    Text {
        /// The text.
        text: String,
    },
    /// Larger than the cap: head and tail as text, the whole as a blob.
    Stored {
        /// Head and tail, with a line that says what is missing.
        preview: String,
        /// The whole.
        blob: BlobRef,
    },
}

impl Output {
    /// A text output.
    #[must_use]
    pub fn text(text: impl Into<String>) -> Self {
        Self::Text { text: text.into() }
    }

    /// Beginning and end of a long text, and what is said of what lies between.
    #[must_use]
    pub fn ends(text: &str, between: &str) -> String {
        let most = limits::PREVIEW_BYTES;
        let head = (0..=most).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
        let from = text.len().saturating_sub(most);
        let tail = (from..=text.len()).find(|at| text.is_char_boundary(*at)).unwrap_or(from);
        let part = |range| text.get(range).unwrap_or_default();
        format!("{}\n[… {between} …]\n{}", part(0..head), part(tail..text.len()))
    }

    /// What the model reads.
    #[must_use]
    pub fn shown(&self) -> &str {
        match self {
            Self::Text { text } => text,
            Self::Stored { preview, .. } => preview,
        }
    }
}

/// How a tool call closed. Every call closes exactly once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum ToolOutcome {
    /// It worked.
    Done {
        /// Its output.
        output: Output,
    },
    /// It failed, and says so.
    Failed {
        /// What the model should read.
        output: Output,
    },
    /// Permission, schema, limits or the closed tool set refused it; it never started.
    Refused {
        /// Why, for the model.
        reason: String,
    },
    /// It was cancelled.
    Cancelled {
        /// Whether it had started, so that its effect may have happened.
        effect_unknown: bool,
    },
    /// It was started, and a crash took its result. It is not started again.
    OutcomeUnknown,
    /// It was open at the frame where a fork was cut.
    NotCarried,
}

impl ToolOutcome {
    /// What the model reads, and whether it is an error.
    #[must_use]
    pub fn told(&self) -> (Output, bool) {
        match self {
            Self::Done { output } => (output.clone(), false),
            Self::Failed { output } => (output.clone(), true),
            Self::Refused { reason } => (Output::text(reason.clone()), true),
            Self::Cancelled { effect_unknown: false } => {
                (Output::text("cancelled before it started"), true)
            }
            Self::Cancelled { effect_unknown: true } => (
                Output::text("cancelled after it started; whether its effect happened is unknown"),
                true,
            ),
            Self::OutcomeUnknown => (
                Output::text(
                    "outcome_unknown: the call was started and its result was lost in a crash; \
                     it was not started again. Check the world before you repeat it.",
                ),
                true,
            ),
            Self::NotCarried => {
                (Output::text("not carried over: this conversation was forked while it ran"), true)
            }
        }
    }

    /// One word for it.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Done { .. } => "done",
            Self::Failed { .. } => "failed",
            Self::Refused { .. } => "refused",
            Self::Cancelled { .. } => "cancelled",
            Self::OutcomeUnknown => "outcome_unknown",
            Self::NotCarried => "not_carried",
        }
    }
}
