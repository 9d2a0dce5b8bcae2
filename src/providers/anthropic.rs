//! Anthropic's Messages. The base address is the host's, without a version, as its own SDKs have it.
//!
//! What goes back to the vendor, and how it is kept meanwhile:
//!
//! - Thinking is kept with its signature and goes back as it came. Thinking without a signature is
//!   another vendor's and stays here.
//! - A block that is neither text, thinking nor one of our tools (redacted thinking, the vendor's own
//!   tools and their results, whatever comes next) is an opaque block: its own bytes if it came in one
//!   piece. If it was streamed in deltas no such bytes exist; then its fields are put together as the
//!   deltas say, all others unchanged and in their order.
//! - Citations of a text stand in an opaque block `{"citations":[…]}` directly behind it. It has no
//!   `type`, so it is no block of the vendor's; a request puts the two together again.
//! - The vendor's ids of our calls are dropped: ids are derived from our own numbers.
//!
//! Cache marks, if they are wanted, go to what stays the same for longest: tools, instructions, and
//! the last two messages of the user, so that the next request finds what this one stored.

mod ask;
mod block;
mod body;
mod other;
mod read;
mod report;
mod thinking;

use greenroom_actors::domain::{
    conversation::Reply,
    ids::Timestamp,
    model::{Allowance, ModelRequest, RateLimits},
};
use reqwest::{Url, header::HeaderMap};
use serde::Deserialize;

use crate::net::{Framing, until_ms};

use super::{Ask, Auth, Decoder, ModelPage, Trouble, Wire};

/// What this family's opaque blocks are signed with.
const FAMILY: &str = "anthropic";
/// The protocol's version, which does not change with the models.
const VERSION: &str = "2023-06-01";

/// The format.
#[derive(Debug)]
pub(super) struct Anthropic {
    cache: bool,
}

impl Anthropic {
    /// With marks for the prompt cache, or without for services that know none.
    pub(super) const fn new(cache: bool) -> Self {
        Self { cache }
    }
}

impl Wire for Anthropic {
    fn family(&self) -> &'static str {
        FAMILY
    }

    fn auth(&self) -> Auth {
        Auth::Header("x-api-key")
    }

    fn headers(&self) -> Vec<(&'static str, String)> {
        vec![("anthropic-version", VERSION.to_owned())]
    }

    fn ask(&self, request: &ModelRequest, stream: bool) -> Result<Ask, String> {
        let body = ask::body(request, stream, self.cache)?;
        Ok(Ask { path: "/v1/messages".to_owned(), headers: self.headers(), body })
    }

    fn framing(&self) -> Framing {
        Framing::Events
    }

    fn decoder(&self) -> Box<dyn Decoder> {
        Box::new(read::Reader::default())
    }

    fn whole(&self, body: &[u8]) -> Result<Reply, Trouble> {
        read::whole(body)
    }

    fn trouble(&self, body: &[u8]) -> Option<Trouble> {
        report::trouble(std::str::from_utf8(body).ok()?)
    }

    fn limits(&self, headers: &HeaderMap, now: Timestamp) -> Option<RateLimits> {
        let of = |kind| allowance(headers, kind, now);
        let limits = RateLimits {
            requests: of("requests"),
            tokens: of("tokens"),
            input_tokens: of("input-tokens"),
            output_tokens: of("output-tokens"),
        };
        (limits != RateLimits::default()).then_some(limits)
    }

    fn models_path(&self, after: Option<&str>) -> String {
        let page = "/v1/models?limit=1000";
        let next = after.and_then(|after| {
            let url = Url::parse_with_params("http://x/", [("after_id", after)]).ok()?;
            Some(format!("{page}&{}", url.query()?))
        });
        next.unwrap_or_else(|| page.to_owned())
    }

    fn models(&self, body: &[u8]) -> Result<ModelPage, Trouble> {
        #[derive(Deserialize)]
        struct Page {
            data: Vec<Model>,
            #[serde(default)]
            has_more: bool,
            last_id: Option<String>,
        }
        #[derive(Deserialize)]
        struct Model {
            id: String,
        }
        let page: Page =
            serde_json::from_slice(body).map_err(|error| Trouble::json("models", &error))?;
        let names: Vec<_> = page.data.into_iter().map(|model| model.id).collect();
        // A page that says there is more and brings nothing would be asked for for ever.
        let last = page.last_id.or_else(|| names.last().cloned());
        let after = last.filter(|_| page.has_more && !names.is_empty());
        Ok(ModelPage { names, after })
    }
}

/// One kind of limit, where all three parts of it are said.
fn allowance(headers: &HeaderMap, kind: &str, now: Timestamp) -> Option<Allowance> {
    let text = |part| {
        let value = headers.get(format!("anthropic-ratelimit-{kind}-{part}"))?;
        value.to_str().ok()
    };
    Some(Allowance {
        limit: text("limit")?.trim().parse().ok()?,
        remaining: text("remaining")?.trim().parse().ok()?,
        reset_ms: until_ms(text("reset")?, now)?,
    })
}

#[cfg(test)]
mod tests;
