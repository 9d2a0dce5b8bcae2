//! Where models are served: one port for every vendor. A vendor's format is a `Wire`: a pure
//! translation of requests into its bytes and of its bytes into our events. Everything that is the
//! same for all (sending, waiting, errors, limits, credentials) is done once, by `Vendor`.
//!
//! A vendor's JSON ends here. What only the vendor understands is kept as its own text in an opaque
//! block and goes back to it unchanged, and to no other.
//!
//! ```text
//! ModelRequest ─ Wire::ask ─▶ Ask ─ net ─▶ frames ─ Decoder ─▶ ModelEvent … Finished
//!                                   └─ whole body ─ Wire::whole ─▶ Finished
//!                                   └─ error status ─ Wire::trouble ─ failure table ─▶ ModelFailure
//! ```

mod anthropic;
mod call;
mod connect;
mod draft;
mod failure;
mod figure;
mod gemini;
mod key;
mod limits;
mod ollama;
mod openai_chat;
mod openai_responses;
mod parts;
mod presets;
#[cfg(test)]
mod samples;
mod vendor;

use std::fmt;

use bytes::Bytes;
use greenroom_actors::domain::ids::Timestamp;
use greenroom_actors::domain::{
    conversation::Reply,
    model::{ModelEvent, ModelRequest, RateLimits},
};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};

use crate::net::{Frame, Framing};

pub use crate::net::{NetError, Patience, Proxies};
pub use connect::{Place, Setup, Way, connect};
pub use key::{Key, KeyError};
pub use openai_chat::{Instructions, OutputMax, Quirks, Schemas, Thinking, ThinkingBack};
pub use presets::{KeyNeed, Preset, UnknownProvider, preset, presets};
pub use vendor::{Options, SetupError, Vendor};

/// The formats that there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Anthropic's Messages.
    Anthropic,
    /// OpenAI's Chat Completions, and everything compatible with it.
    OpenAiChat,
    /// OpenAI's Responses.
    OpenAiResponses,
    /// Google's Gemini with an API key.
    Gemini,
    /// Google's Gemini on Vertex, with a bearer token.
    Vertex,
    /// Ollama's own.
    Ollama,
}

/// A vendor's format.
pub(crate) trait Wire: fmt::Debug + Send + Sync + 'static {
    /// What its opaque blocks and its errors are signed with.
    fn family(&self) -> &'static str;

    /// In which header the credential goes.
    fn auth(&self) -> Auth;

    /// What every request of its carries beside the credential, also one for its models.
    fn headers(&self) -> Vec<(&'static str, String)> {
        Vec::new()
    }

    /// What to send.
    ///
    /// # Errors
    /// When the request holds something that this vendor cannot be told, in words for a person.
    fn ask(&self, request: &ModelRequest, stream: bool) -> Result<Ask, String>;

    /// How its streams are cut.
    fn framing(&self) -> Framing;

    /// A reader of one stream.
    fn decoder(&self) -> Box<dyn Decoder>;

    /// An answer that came as a whole.
    ///
    /// # Errors
    /// When it is no answer, or an error in an answer's clothes.
    fn whole(&self, body: &[u8]) -> Result<Reply, Trouble>;

    /// The vendor's words in the body of an error; nothing where it is none of its own.
    fn trouble(&self, body: &[u8]) -> Option<Trouble>;

    /// What its headers say about its limits.
    fn limits(&self, _headers: &HeaderMap, _now: Timestamp) -> Option<RateLimits> {
        None
    }

    /// The path and query of a page of its models, from where the page before said to go on.
    fn models_path(&self, after: Option<&str>) -> String;

    /// A page of models.
    ///
    /// # Errors
    /// When it is none.
    fn models(&self, body: &[u8]) -> Result<ModelPage, Trouble>;
}

/// A reader of one stream.
pub(crate) trait Decoder: Send {
    /// Reads a frame; what it says is added to `out`. After the answer's end has been added, frames
    /// may still come and are to be ignored.
    ///
    /// # Errors
    /// When it is an error of the vendor's, or not what its protocol allows.
    fn frame(&mut self, frame: &Frame, out: &mut Vec<ModelEvent>) -> Result<(), Trouble>;

    /// The body has ended. A decoder whose vendor has no closing frame adds the answer's end here, if
    /// what came is a whole answer; a stream that broke off never is.
    ///
    /// # Errors
    /// As for a frame.
    fn end(&mut self, _out: &mut Vec<ModelEvent>) -> Result<(), Trouble> {
        Ok(())
    }
}

/// In which header a credential goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Auth {
    /// `authorization: Bearer …`.
    Bearer,
    /// A header of its own.
    Header(&'static str),
}

impl Auth {
    /// The header for this credential, marked so that nobody prints it.
    pub(crate) fn header(self, key: &str) -> Option<(HeaderName, HeaderValue)> {
        let (name, value) = match self {
            Self::Bearer => ("authorization", HeaderValue::from_str(&format!("Bearer {key}"))),
            Self::Header(name) => (name, HeaderValue::from_str(key)),
        };
        let mut value = value.ok()?;
        value.set_sensitive(true);
        Some((HeaderName::from_static(name), value))
    }
}

/// A request in a vendor's format.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ask {
    /// Below the vendor's base address, with its query.
    pub(crate) path: String,
    /// What it wants beside the credential and the content type.
    pub(crate) headers: Vec<(&'static str, String)>,
    /// The body, JSON.
    pub(crate) body: Bytes,
}

/// A page of a vendor's models.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ModelPage {
    pub(crate) names: Vec<String>,
    /// Where the next page begins.
    pub(crate) after: Option<String>,
}

/// Something other than an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// The vendor says so.
    Said(Said),
    /// It is not what the vendor's protocol allows; in words for a person.
    Malformed(String),
}

/// A vendor's error, as it said it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Said {
    /// Its word for it, or several with spaces between, the most exact first.
    pub(crate) code: String,
    /// What it tells a person.
    pub(crate) message: String,
    /// How long it asks to wait, where its body says so.
    pub(crate) retry_after_ms: Option<u64>,
}

impl Trouble {
    /// What does not fit the protocol.
    pub(crate) fn malformed(what: impl Into<String>) -> Self {
        Self::Malformed(what.into())
    }

    /// Text that is not the JSON that was expected.
    pub(crate) fn json(what: &str, error: &serde_json::Error) -> Self {
        Self::Malformed(format!("{what}: {error}"))
    }
}
