//! Ollama's own format. The base address is the server's, such as `http://localhost:11434`; one on
//! this machine takes no credential, the service in the cloud a bearer token.
//!
//! It has no blocks: a message is one text, its thinking, its images and its calls. So what stood
//! between them in a conversation is put together in that order, and blocks that only another vendor
//! understands stay here. A result names its tool, not its call; results therefore stand in the order
//! of the calls. Tokens for thinking cannot be set: it is on or off, and counts as output.

mod ask;
mod read;

use greenroom_actors::domain::{conversation::Reply, model::ModelRequest};
use serde::Deserialize;

use crate::net::Framing;

use super::{Ask, Auth, Decoder, ModelPage, Trouble, Wire};

/// The format.
#[derive(Debug)]
pub(super) struct Ollama;

impl Ollama {
    pub(super) const fn new() -> Self {
        Self
    }
}

impl Wire for Ollama {
    fn family(&self) -> &'static str {
        "ollama"
    }

    fn auth(&self) -> Auth {
        Auth::Bearer
    }

    fn ask(&self, request: &ModelRequest, stream: bool) -> Result<Ask, String> {
        let body = ask::body(request, stream)?;
        Ok(Ask { path: "/api/chat".to_owned(), headers: self.headers(), body })
    }

    fn framing(&self) -> Framing {
        Framing::Lines
    }

    fn decoder(&self) -> Box<dyn Decoder> {
        Box::new(read::Reader::default())
    }

    fn whole(&self, body: &[u8]) -> Result<Reply, Trouble> {
        read::whole(body)
    }

    fn trouble(&self, body: &[u8]) -> Option<Trouble> {
        read::trouble(body)
    }

    fn models_path(&self, _after: Option<&str>) -> String {
        "/api/tags".to_owned()
    }

    fn models(&self, body: &[u8]) -> Result<ModelPage, Trouble> {
        #[derive(Deserialize)]
        struct Tags {
            models: Vec<Tag>,
        }
        #[derive(Deserialize)]
        struct Tag {
            name: String,
        }
        let tags: Tags =
            serde_json::from_slice(body).map_err(|error| Trouble::json("models", &error))?;
        let names = tags.models.into_iter().map(|tag| tag.name).collect();
        Ok(ModelPage { names, after: None })
    }
}

#[cfg(test)]
mod tests;
