//! Google's Gemini, with an API key or on Vertex with a bearer token.
//!
//! An answer is a list of parts, and every chunk of a stream is an answer of its own with the parts
//! that are new. What is kept of them:
//!
//! ```text
//! text                 text; pieces that follow each other are one
//! text, thought:true   thinking, shown and never returned; with a signature also opaque
//! functionCall         a tool call
//! anything else        opaque: executableCode, codeExecutionResult, inlineData, what is yet to come
//! ```
//!
//! An opaque block is a part of the vendor's, and goes back as one, byte for byte. One kind of it is
//! ours: a mark (`part::Mark`, an object with the one field `with_next`) stands directly before a text
//! or a call and holds what must go back with it in the same part, as a `thoughtSignature`. So a text
//! with a signature is never joined with the text around it. Citations and ratings are not kept.
//!
//! No event ends a stream: it has ended whole when its body ends after a candidate named the reason
//! why it stopped, or when the prompt itself was refused.

mod ask;
mod part;
mod partial;
mod read;
mod said;

use greenroom_actors::domain::{conversation::Reply, model::ModelRequest};
use reqwest::Url;
use serde::Deserialize;

use crate::net::Framing;

use super::{Ask, Auth, Decoder, ModelPage, Trouble, Wire};

/// The format, at one of the two places where it is spoken.
#[derive(Clone, Debug)]
pub(super) struct Gemini {
    place: Place,
}

/// Where it is served.
#[derive(Clone, Debug)]
enum Place {
    /// Google's own API: an address such as `https://generativelanguage.googleapis.com`.
    Api,
    /// Vertex, for a project at a location: the address has no version in its path.
    Vertex { project: String, location: String },
}

impl Gemini {
    /// With an API key.
    pub(super) const fn new() -> Self {
        Self { place: Place::Api }
    }

    /// On Vertex, for this project at this location.
    pub(super) const fn vertex(project: String, location: String) -> Self {
        Self { place: Place::Vertex { project, location } }
    }

    /// The path of a model.
    fn model(&self, name: &str) -> Result<String, String> {
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_.@/".contains(c);
        if name.is_empty() || !name.chars().all(plain) || name.contains("..") {
            return Err(format!("{name:?} is no name of a model"));
        }
        Ok(match &self.place {
            Place::Api if name.contains('/') => format!("/v1beta/{name}"),
            Place::Api => format!("/v1beta/models/{name}"),
            Place::Vertex { project, location } => {
                let within = format!("/v1/projects/{project}/locations/{location}");
                if name.contains('/') {
                    format!("{within}/{name}")
                } else {
                    format!("{within}/publishers/google/models/{name}")
                }
            }
        })
    }
}

impl Wire for Gemini {
    fn family(&self) -> &'static str {
        // What one place has signed the other need not know.
        match self.place {
            Place::Api => "gemini",
            Place::Vertex { .. } => "vertex",
        }
    }

    fn auth(&self) -> Auth {
        match self.place {
            Place::Api => Auth::Header("x-goog-api-key"),
            Place::Vertex { .. } => Auth::Bearer,
        }
    }

    fn ask(&self, request: &ModelRequest, stream: bool) -> Result<Ask, String> {
        let verb = if stream { "streamGenerateContent?alt=sse" } else { "generateContent" };
        let path = format!("{}:{verb}", self.model(&request.model.0)?);
        // Vertex pairs results with calls by their order and name.
        let ids = matches!(self.place, Place::Api);
        let body = ask::body(self.family(), request, ids)?;
        Ok(Ask { path, headers: Vec::new(), body })
    }

    fn framing(&self) -> Framing {
        Framing::Events
    }

    fn decoder(&self) -> Box<dyn Decoder> {
        Box::new(read::Reader::new(self.family()))
    }

    fn whole(&self, body: &[u8]) -> Result<Reply, Trouble> {
        read::whole(self.family(), body)
    }

    fn trouble(&self, body: &[u8]) -> Option<Trouble> {
        said::in_body(body).map(Trouble::Said)
    }

    fn models_path(&self, after: Option<&str>) -> String {
        let path = match self.place {
            Place::Api => "/v1beta/models?pageSize=1000",
            Place::Vertex { .. } => "/v1beta1/publishers/google/models?pageSize=200",
        };
        let Some(after) = after else { return path.to_owned() };
        // Only an address knows how to escape its query; the host is never asked for.
        let page = Url::parse_with_params(&format!("http://page{path}"), [("pageToken", after)]);
        page.map_or_else(
            |_unparsable| path.to_owned(),
            |page| format!("{}?{}", page.path(), page.query().unwrap_or_default()),
        )
    }

    fn models(&self, body: &[u8]) -> Result<ModelPage, Trouble> {
        let list: Models = serde_json::from_slice(body)
            .map_err(|error| Trouble::json("the list of models", &error))?;
        let models = list.models.or(list.publisher_models).unwrap_or_default();
        let names = models.into_iter().filter(Model::answers).map(Model::short).collect();
        Ok(ModelPage { names, after: list.next_page_token.filter(|token| !token.is_empty()) })
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Models {
    #[serde(default)]
    models: Option<Vec<Model>>,
    #[serde(default)]
    publisher_models: Option<Vec<Model>>,
    #[serde(default)]
    next_page_token: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Model {
    name: String,
    #[serde(default)]
    supported_generation_methods: Option<Vec<String>>,
}

impl Model {
    /// The vendor lists what cannot be talked to as well, and says so.
    fn answers(&self) -> bool {
        let methods = self.supported_generation_methods.as_deref();
        methods.is_none_or(|methods| methods.iter().any(|method| method == "generateContent"))
    }

    fn short(self) -> String {
        match self.name.rsplit_once("models/") {
            Some((_, short)) if !self.name.starts_with("tunedModels/") => short.to_owned(),
            Some(_) | None => self.name,
        }
    }
}

/// Whether a model is of the third generation or later, which may be told what those before it
/// refuse. The number stands in its name; a name that follows the latest is one of them.
fn is_modern(model: &str) -> bool {
    let Some((_, rest)) = model.split_once("gemini-") else { return false };
    let number = rest.split(|c: char| !c.is_ascii_digit()).next().unwrap_or_default();
    number.parse().map_or(rest.ends_with("-latest"), |number: u32| number >= 3)
}

#[cfg(test)]
mod tests;
