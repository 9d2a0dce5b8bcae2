//! OpenAI's Chat Completions, and everything that speaks it. What vendors do differently is data
//! (`Quirks`), never a vendor's name in the code.
//!
//! What the format has no place for is kept like this:
//!
//! - One text, one thinking and one list of calls to an answer, as in the vendors' own clients. We
//!   ask for one choice; a vendor that splits its answer over several gets them put together.
//! - `reasoning_details` go back as they came: as an opaque block of the vendor's family that holds
//!   their array. A part of the content that nobody here knows is an opaque block that holds the
//!   part's object. Blocks of other families are skipped.
//! - Reasoning that is plain text is `Thinking` without a signature; where the vendor wants it back,
//!   it is sent from there. Signed thinking is another vendor's and is skipped.
//! - A tool's result has no mark for an error, so the text says it.
//!
//! A stream is whole when its end has been said: by `[DONE]`, or, for servers that do not send that,
//! by a reason to stop and then the end of the body. A stream that breaks off before is no answer.

mod answer;
mod ask;
mod body;
mod calls;
mod conversation;
mod details;
mod error;
mod growing;
mod read;
#[cfg(test)]
mod tests;

use greenroom_actors::domain::{
    conversation::Reply,
    ids::Timestamp,
    model::{ModelRequest, RateLimits},
};
use reqwest::header::HeaderMap;

use super::{Ask, Auth, Decoder, ModelPage, Trouble, Wire, limits};
use crate::net::Framing;

/// In what a server differs from the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quirks {
    /// Who speaks the instructions.
    pub instructions: Instructions,
    /// How the longest answer is called.
    pub output_max: OutputMax,
    /// How thinking is asked for.
    pub thinking: Thinking,
    /// How thinking goes back in the conversation.
    pub thinking_back: ThinkingBack,
    /// How an answer is made to fit a schema.
    pub schemas: Schemas,
    /// Whether a stream must be asked to tell its usage.
    pub usage_asked: bool,
    /// Whether prompts of Anthropic's models get marks for the cache.
    pub cache_marks: bool,
    /// Whether a stream without `[DONE]` has broken off.
    pub closes: bool,
    /// The header of the key; none is `authorization: Bearer`.
    pub key_header: Option<&'static str>,
    /// Where its models are listed.
    pub models_path: &'static str,
}

/// Who speaks the instructions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Instructions {
    /// The `system`.
    System,
    /// The `developer`.
    Developer,
}

/// How the longest answer is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutputMax {
    /// `max_tokens`.
    Tokens,
    /// `max_completion_tokens`.
    CompletionTokens,
}

/// How thinking is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Thinking {
    /// Not at all.
    Unasked,
    /// `reasoning_effort`, in words.
    Effort,
    /// `reasoning.max_tokens`.
    Budget,
    /// `thinking.type`, on or off: such models think when nothing is said.
    Switch,
    /// `thinking.type`, only to switch it on.
    SwitchOn,
}

/// How thinking goes back in the conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ThinkingBack {
    /// Not at all: some servers refuse what they do not know.
    Dropped,
    /// As `reasoning_content`, where there was any.
    Content,
    /// As `reasoning_content` on every answer, empty where there was none: what is missing is
    /// refused.
    ContentAlways,
    /// As `reasoning`, where there was any.
    Reasoning,
    /// As the `reasoning_details` that came.
    Details,
}

/// How an answer is made to fit a schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Schemas {
    /// `json_schema`, strict for schemas that allow it.
    Strict,
    /// `json_schema` without a word on strictness.
    Plain,
    /// `json_object`, with the schema in the instructions.
    Worded,
}

impl Quirks {
    /// A server of which nothing is known but that it is compatible.
    pub const COMPATIBLE: Self = Self {
        instructions: Instructions::System,
        output_max: OutputMax::Tokens,
        thinking: Thinking::Unasked,
        thinking_back: ThinkingBack::Dropped,
        schemas: Schemas::Plain,
        usage_asked: true,
        cache_marks: false,
        closes: false,
        key_header: None,
        models_path: "/models",
    };
}

impl Default for Quirks {
    fn default() -> Self {
        Self::COMPATIBLE
    }
}

/// The format, as one server speaks it.
#[derive(Clone, Copy, Debug)]
pub(super) struct OpenAiChat {
    family: &'static str,
    quirks: Quirks,
}

impl OpenAiChat {
    /// For this family of opaque blocks.
    pub(super) const fn new(family: &'static str, quirks: Quirks) -> Self {
        Self { family, quirks }
    }
}

impl Wire for OpenAiChat {
    fn family(&self) -> &'static str {
        self.family
    }

    fn auth(&self) -> Auth {
        self.quirks.key_header.map_or(Auth::Bearer, Auth::Header)
    }

    fn ask(&self, request: &ModelRequest, stream: bool) -> Result<Ask, String> {
        let body = ask::body(self.family, &self.quirks, request, stream)?;
        let headers = vec![("idempotency-key", request.call.to_string())];
        Ok(Ask { path: "/chat/completions".to_owned(), headers, body: body.into() })
    }

    fn framing(&self) -> Framing {
        Framing::Events
    }

    fn decoder(&self) -> Box<dyn Decoder> {
        Box::new(read::Reader::new(self.family, self.quirks.closes))
    }

    fn whole(&self, body: &[u8]) -> Result<Reply, Trouble> {
        read::whole(self.family, body)
    }

    fn trouble(&self, body: &[u8]) -> Option<Trouble> {
        error::said(std::str::from_utf8(body).ok()?).map(Trouble::Said)
    }

    fn limits(&self, headers: &HeaderMap, now: Timestamp) -> Option<RateLimits> {
        limits::x_ratelimit(headers, now)
    }

    fn models_path(&self, _after: Option<&str>) -> String {
        self.quirks.models_path.to_owned()
    }

    fn models(&self, body: &[u8]) -> Result<ModelPage, Trouble> {
        read::models(body)
    }
}
