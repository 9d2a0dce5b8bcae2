//! What comes, as types. Servers leave out, null or retype almost anything, so what a server may say
//! in several ways is kept as its text and looked at by whoever needs it.

use std::borrow::Cow;

use greenroom_actors::domain::usage::Usage;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::super::figure;

/// A chunk of a stream, or a whole answer.
#[derive(Debug, Deserialize)]
pub(super) struct Answer<'a> {
    #[serde(borrow)]
    pub(super) error: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) object: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) message: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) detail: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) choices: Option<Vec<Choice<'a>>>,
    #[serde(borrow)]
    pub(super) usage: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) x_groq: Option<Groq<'a>>,
    #[serde(borrow)]
    pub(super) model: Option<&'a RawValue>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Groq<'a> {
    #[serde(borrow)]
    pub(super) usage: Option<&'a RawValue>,
    /// Why a stream was ended early.
    #[serde(borrow)]
    pub(super) error: Option<&'a RawValue>,
}

/// A stream's chunk is one of these and little else, and is moved as it is read: so what chunks do not
/// have takes no room in it.
#[derive(Debug, Deserialize)]
pub(super) struct Choice<'a> {
    pub(super) index: Option<i64>,
    #[serde(borrow)]
    pub(super) delta: Option<Said<'a>>,
    #[serde(borrow)]
    pub(super) message: Option<Box<Said<'a>>>,
    #[serde(borrow)]
    pub(super) finish_reason: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) error: Option<&'a RawValue>,
    /// Where Moonshot puts it.
    #[serde(borrow)]
    pub(super) usage: Option<&'a RawValue>,
}

/// What is said, in full or as what is new.
#[derive(Debug, Deserialize)]
pub(super) struct Said<'a> {
    #[serde(borrow)]
    pub(super) content: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) refusal: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) reasoning_content: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) reasoning: Option<&'a RawValue>,
    /// Copilot's word.
    #[serde(borrow)]
    pub(super) reasoning_text: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) reasoning_details: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) tool_calls: Option<Vec<Call<'a>>>,
    /// How one call was said before there could be several.
    #[serde(borrow)]
    pub(super) function_call: Option<Box<Function<'a>>>,
}

/// A call, or a fragment of one.
#[derive(Debug, Deserialize)]
pub(super) struct Call<'a> {
    #[serde(borrow)]
    pub(super) index: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) id: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) function: Option<Function<'a>>,
    /// A tool whose arguments are a text of its own.
    #[serde(borrow)]
    pub(super) custom: Option<Box<Function<'a>>>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Function<'a> {
    pub(super) name: Option<String>,
    #[serde(borrow, alias = "input")]
    pub(super) arguments: Option<&'a RawValue>,
}

/// A part of a content that comes in parts.
#[derive(Debug, Deserialize)]
pub(super) struct Part<'a> {
    #[serde(rename = "type")]
    pub(super) kind: Option<String>,
    #[serde(borrow)]
    pub(super) text: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) thinking: Option<&'a RawValue>,
}

impl Answer<'_> {
    /// The error it is, where it is one in an answer's clothes, as its text.
    pub(super) fn error(&self) -> Option<&str> {
        let in_choice = || self.choices.iter().flatten().find_map(|choice| choice.error);
        let groq = || self.x_groq.as_ref().and_then(|groq| groq.error);
        self.error
            .or_else(in_choice)
            .or_else(groq)
            .map(RawValue::get)
            .filter(|text| !says_nothing(text))
    }

    /// Whether the whole of it is an error.
    pub(super) fn is_error(&self) -> bool {
        let word = self.object.map(RawValue::get) == Some("\"error\"");
        self.choices.is_none() && (word || self.message.is_some() || self.detail.is_some())
    }

    /// What it says of its usage, or nothing.
    pub(super) fn usage(&self) -> Option<Usage> {
        let groq = || self.x_groq.as_ref().and_then(|groq| groq.usage);
        let in_choice = || self.choices.iter().flatten().find_map(|choice| choice.usage);
        let said = self.usage.and_then(usage).or_else(|| groq().and_then(usage));
        said.or_else(|| in_choice().and_then(usage))
    }
}

fn says_nothing(text: &str) -> bool {
    ["null", "false", "0", "\"\"", "{}", "[]"].contains(&text)
}

/// A text; of what should be one and is something else, its JSON.
pub(super) fn text(raw: Option<&RawValue>) -> Result<Cow<'_, str>, serde_json::Error> {
    let Some(json) = raw.map(RawValue::get).filter(|json| *json != "null") else {
        return Ok(Cow::Borrowed(""));
    };
    match json.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
        // It is JSON, so without an escape it is what it says.
        Some(text) if !text.contains('\\') => Ok(Cow::Borrowed(text)),
        Some(_escaped) => serde_json::from_str(json).map(Cow::Owned),
        None => Ok(Cow::Borrowed(json)),
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Counted {
    #[serde(deserialize_with = "figure::count")]
    prompt_tokens: Option<u64>,
    #[serde(deserialize_with = "figure::count")]
    completion_tokens: Option<u64>,
    #[serde(deserialize_with = "figure::count")]
    total_tokens: Option<u64>,
    #[serde(deserialize_with = "figure::details")]
    prompt_tokens_details: Prompt,
    #[serde(deserialize_with = "figure::details")]
    completion_tokens_details: Completion,
    /// DeepSeek's word for what its cache served.
    #[serde(deserialize_with = "figure::count")]
    prompt_cache_hit_tokens: Option<u64>,
    /// Moonshot's.
    #[serde(deserialize_with = "figure::count")]
    cached_tokens: Option<u64>,
    #[serde(deserialize_with = "figure::count")]
    reasoning_tokens: Option<u64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Prompt {
    #[serde(deserialize_with = "figure::count")]
    cached_tokens: Option<u64>,
    #[serde(deserialize_with = "figure::count")]
    cache_write_tokens: Option<u64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Completion {
    #[serde(deserialize_with = "figure::count")]
    reasoning_tokens: Option<u64>,
}

/// What is unreadable or says nothing is no report: the call is then booked as unknown.
fn usage(raw: &RawValue) -> Option<Usage> {
    let counted: Counted = serde_json::from_str(raw.get()).ok()?;
    if counted.prompt_tokens.is_none() && counted.completion_tokens.is_none() {
        return None;
    }
    let prompt = counted.prompt_tokens.unwrap_or_default();
    let details = counted.prompt_tokens_details;
    let cached = [details.cached_tokens, counted.prompt_cache_hit_tokens, counted.cached_tokens];
    let cache_read = cached.into_iter().flatten().next().unwrap_or_default();
    let cache_write = details.cache_write_tokens.unwrap_or_default();
    let completion = counted.completion_tokens.unwrap_or_default();
    let of_completion = counted.completion_tokens_details.reasoning_tokens;
    let reasoning = of_completion.or(counted.reasoning_tokens).unwrap_or_default();
    // Reasoning is part of the completion; at xAI it is not, and the total shows it.
    let apart = reasoning > 0 && counted.total_tokens == Some(prompt + completion + reasoning);
    let output = completion + if apart { reasoning } else { 0 };
    Some(Usage {
        input: prompt.saturating_sub(cache_read).saturating_sub(cache_write),
        cache_read,
        cache_write,
        output,
        reasoning: reasoning.min(output),
    })
}
