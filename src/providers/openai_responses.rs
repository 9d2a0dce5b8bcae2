//! OpenAI's Responses, and servers that are compatible with it.
//!
//! Nothing is stored with the vendor: every request carries the whole conversation, and reasoning
//! comes back encrypted. What is kept of an answer:
//!
//! ```text
//! message          its text and refusals as text; what else it holds, opaque
//! reasoning        what is readable of it as thinking, shown and never returned; the item, opaque
//! function_call    a tool call (custom_tool_call too)
//! anything else    opaque
//! ```
//!
//! An opaque block is an item of the vendor's, and goes back as one, byte for byte. One kind of it is
//! ours: a mark (`ask::Mark`, an object without a `type`) stands directly before a text or a call and
//! holds what must go back with it in the same item. Reasoning that cannot be restored by the vendor
//! (neither encrypted nor in full) is only shown: its id names something that was never stored.
//!
//! An answer has ended with `response.completed` or `response.incomplete`. The items of that last
//! event are the vendor's final word and replace what was put together from pieces; a server that
//! leaves them out there has said them before.

mod answer;
mod ask;
mod read;
mod said;
mod slots;

use greenroom_actors::domain::{
    conversation::Reply,
    ids::Timestamp,
    model::{ModelRequest, RateLimits},
};
use reqwest::header::HeaderMap;
use serde::Deserialize;

use crate::net::Framing;

use super::{Ask, Auth, Decoder, ModelPage, Trouble, Wire, limits};

/// The format, as one vendor speaks it.
#[derive(Clone, Copy, Debug)]
pub(super) struct OpenAiResponses {
    family: &'static str,
}

impl OpenAiResponses {
    /// The family of OpenAI's own.
    pub(super) const OWN: &'static str = OWN;

    /// OpenAI's own.
    pub(super) const fn new() -> Self {
        Self { family: OWN }
    }

    /// A compatible vendor's: encrypted reasoning of one vendor means nothing to another, so each has
    /// a family of its own.
    pub(super) const fn compatible(family: &'static str) -> Self {
        Self { family }
    }
}

const OWN: &str = "openai_responses";

impl Wire for OpenAiResponses {
    fn family(&self) -> &'static str {
        self.family
    }

    fn auth(&self) -> Auth {
        Auth::Bearer
    }

    fn ask(&self, request: &ModelRequest, stream: bool) -> Result<Ask, String> {
        ask::ask(self.family, request, stream)
    }

    fn framing(&self) -> Framing {
        Framing::Events
    }

    fn decoder(&self) -> Box<dyn Decoder> {
        Box::new(read::Reader::new(self.family))
    }

    fn whole(&self, body: &[u8]) -> Result<Reply, Trouble> {
        read::whole(self.family, body)
    }

    fn trouble(&self, body: &[u8]) -> Option<Trouble> {
        said::in_body(body).map(Trouble::Said)
    }

    fn limits(&self, headers: &HeaderMap, now: Timestamp) -> Option<RateLimits> {
        limits::x_ratelimit(headers, now)
    }

    fn models_path(&self, _after: Option<&str>) -> String {
        "/models".to_owned()
    }

    fn models(&self, body: &[u8]) -> Result<ModelPage, Trouble> {
        let list: Models = serde_json::from_slice(body)
            .map_err(|error| Trouble::json("the list of models", &error))?;
        Ok(ModelPage { names: list.data.into_iter().map(|model| model.id).collect(), after: None })
    }
}

#[derive(Deserialize)]
struct Models {
    data: Vec<Model>,
}

#[derive(Deserialize)]
struct Model {
    id: String,
}

#[cfg(test)]
mod tests;
