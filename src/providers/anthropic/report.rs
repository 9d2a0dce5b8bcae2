//! What the vendor says about an answer rather than in it: what it used, why it stopped, what went
//! wrong. A report is read leniently, because an answer is worth more than its figures; figures that
//! are not there stay unknown.

use greenroom_actors::domain::{conversation::Stop, usage::Usage};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::super::{Said, Trouble, figure};

/// Tokens, each kind where it was reported. The later report is the whole truth so far.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Report {
    #[serde(deserialize_with = "figure::count")]
    input_tokens: Option<u64>,
    #[serde(deserialize_with = "figure::count")]
    cache_creation_input_tokens: Option<u64>,
    #[serde(deserialize_with = "figure::count")]
    cache_read_input_tokens: Option<u64>,
    #[serde(deserialize_with = "figure::details")]
    cache_creation: Option<Written>,
    #[serde(deserialize_with = "figure::count")]
    output_tokens: Option<u64>,
    #[serde(deserialize_with = "figure::details")]
    output_tokens_details: Option<Details>,
}

/// What was written to the cache, by how long it is kept.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default)]
struct Written {
    #[serde(deserialize_with = "figure::count")]
    ephemeral_5m_input_tokens: Option<u64>,
    #[serde(deserialize_with = "figure::count")]
    ephemeral_1h_input_tokens: Option<u64>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default)]
struct Details {
    #[serde(deserialize_with = "figure::count")]
    thinking_tokens: Option<u64>,
}

impl Report {
    pub(super) fn read(usage: Option<&RawValue>) -> Self {
        usage.and_then(|usage| serde_json::from_str(usage.get()).ok()).unwrap_or_default()
    }

    /// The report at an answer's beginning: its output is what the first token took, not the end.
    pub(super) fn begun(usage: Option<&RawValue>) -> Self {
        Self { output_tokens: None, output_tokens_details: None, ..Self::read(usage) }
    }

    /// Puts a later report in the place of this one, where it says something.
    pub(super) fn replace(&mut self, later: Self) {
        *self = Self {
            input_tokens: later.input_tokens.or(self.input_tokens),
            cache_creation_input_tokens: later
                .cache_creation_input_tokens
                .or(self.cache_creation_input_tokens),
            cache_read_input_tokens: later.cache_read_input_tokens.or(self.cache_read_input_tokens),
            cache_creation: later.cache_creation.or(self.cache_creation),
            output_tokens: later.output_tokens.or(self.output_tokens),
            output_tokens_details: later.output_tokens_details.or(self.output_tokens_details),
        };
    }

    /// The usage, where the two figures that every call has are known.
    pub(super) fn usage(&self) -> Option<Usage> {
        let output = self.output_tokens?;
        let written = self.cache_creation.map_or(0, |written| {
            let [short, long] =
                [written.ephemeral_5m_input_tokens, written.ephemeral_1h_input_tokens];
            short.unwrap_or(0).saturating_add(long.unwrap_or(0))
        });
        let reasoning = self.output_tokens_details.and_then(|details| details.thinking_tokens);
        Some(Usage {
            input: self.input_tokens?,
            cache_read: self.cache_read_input_tokens.unwrap_or(0),
            cache_write: self.cache_creation_input_tokens.unwrap_or(written),
            output,
            reasoning: reasoning.unwrap_or(0).min(output),
        })
    }
}

/// Why it stopped. An end that nobody knows is told as one that was cut off, so that half an answer
/// never passes for a whole one; tools that are asked for are run in any case.
pub(super) fn stop(reason: Option<&str>, asks_tools: bool) -> Stop {
    match reason {
        Some("end_turn") => Stop::EndTurn,
        Some("tool_use") => Stop::ToolUse,
        Some("max_tokens" | "model_context_window_exceeded") => Stop::MaxTokens,
        Some("stop_sequence") => Stop::StopSequence,
        Some("pause_turn") => Stop::Paused,
        Some("refusal") => Stop::Refusal,
        Some(_) | None if asks_tools => Stop::ToolUse,
        Some(_) | None => Stop::MaxTokens,
    }
}

/// The vendor's error in a body, also in one of a whole answer's status.
pub(super) fn trouble(text: &str) -> Option<Trouble> {
    #[derive(Deserialize)]
    struct Failed<'a> {
        #[serde(borrow)]
        error: Option<&'a RawValue>,
        #[serde(borrow)]
        request_id: Option<&'a RawValue>,
    }
    let failed: Failed<'_> = serde_json::from_str(text).ok()?;
    let request = failed.request_id.and_then(|id| serde_json::from_str(id.get()).ok());
    Some(Trouble::Said(said(failed.error?, request)))
}

fn said(error: &RawValue, request: Option<String>) -> Said {
    #[derive(Default, Deserialize)]
    struct Error<'a> {
        #[serde(rename = "type")]
        kind: Option<String>,
        message: Option<String>,
        #[serde(borrow)]
        details: Option<&'a RawValue>,
    }
    #[derive(Deserialize)]
    struct Details {
        error_code: String,
    }
    // Services in front of the vendor say it in a shape of their own: then the whole is told.
    let told: Error<'_> = serde_json::from_str(error.get()).unwrap_or_default();
    let details = told.details.and_then(|raw| serde_json::from_str::<Details>(raw.get()).ok());
    let mut message = told.message.unwrap_or_else(|| error.get().to_owned());
    let mut codes: Vec<String> = details.map(|details| details.error_code).into_iter().collect();
    codes.extend(told.kind);
    if let Some(request) = request {
        message.push_str(&format!(" (request {request})"));
    }
    Said { code: codes.join(" "), message, retry_after_ms: None }
}
