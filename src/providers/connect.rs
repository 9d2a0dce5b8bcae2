//! From what a user says of a provider to one that answers: the one place that knows which format
//! belongs to which kind. The environment is not read here: whoever sets up says what it held.

#[cfg(test)]
mod tests;

use std::{fmt, sync::Arc};

use greenroom_actors::{domain::ids::ProviderName, ports::Clock};

use super::{
    Key, Kind, NetError, Options, Patience, Preset, Proxies, Quirks, SetupError, Vendor, Wire,
    anthropic::Anthropic, gemini::Gemini, ollama::Ollama, openai_chat::OpenAiChat,
    openai_responses::OpenAiResponses,
};
use crate::{net::Net, telemetry::redact::by_name};

/// The way out to all providers: one client with one set of connections. Clones share it.
#[derive(Clone, Debug)]
pub struct Way(Net);

impl Way {
    /// A way that waits this long, through these proxies where there are any.
    ///
    /// # Errors
    /// When the client cannot be built, or the proxy is no address.
    pub fn new(
        clock: Arc<dyn Clock>,
        patience: Patience,
        proxies: Option<&Proxies>,
    ) -> Result<Self, NetError> {
        Net::new(clock, patience, proxies).map(Self)
    }
}

/// What a user says of a provider.
#[derive(Clone)]
pub struct Setup {
    /// Its name here.
    pub name: ProviderName,
    /// Its format.
    pub kind: Kind,
    /// Where its paths begin.
    pub base_url: String,
    /// Its credential.
    pub key: Key,
    /// Headers sent along with every request.
    pub headers: Vec<(String, String)>,
    /// Whether answers are streamed.
    pub stream: bool,
    /// In what it differs, where it speaks Chat Completions.
    pub quirks: Quirks,
    /// What its opaque blocks are signed with, where it speaks Chat Completions: blocks go back to
    /// providers of the same family alone.
    pub family: &'static str,
    /// Project and location, where it is Vertex.
    pub place: Option<Place>,
}

/// Where on Vertex models are served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The project that pays.
    pub project: String,
    /// The region, or `global`.
    pub location: String,
}

impl Setup {
    /// A provider of this kind at this address.
    #[must_use]
    pub fn new(name: impl Into<ProviderName>, kind: Kind, base_url: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            kind,
            base_url: base_url.into(),
            key: Key::None,
            headers: Vec::new(),
            stream: true,
            quirks: Quirks::COMPATIBLE,
            family: match kind {
                Kind::OpenAiResponses => OpenAiResponses::OWN,
                Kind::Anthropic | Kind::OpenAiChat | Kind::Gemini | Kind::Vertex | Kind::Ollama => {
                    "openai_chat"
                }
            },
            place: None,
        }
    }

    /// A provider that is known, under its own name, at this address or its own.
    ///
    /// # Errors
    /// When it has no address of its own and none is said.
    pub fn preset(preset: &Preset, base_url: Option<&str>) -> Result<Self, SetupError> {
        let name = ProviderName(preset.name.to_owned());
        let Some(url) =
            base_url.map(|url| address(preset, url)).or(preset.base_url.map(Into::into))
        else {
            let variable = preset.base_variables.first().unwrap_or(&"base_url");
            let url = format!("(none: set {variable})");
            return Err(SetupError::Address { name, url });
        };
        let mut setup = Self::new(name, preset.kind, url);
        setup.quirks = preset.quirks;
        if preset.kind == Kind::OpenAiChat {
            setup.family = preset.name;
        }
        Ok(setup)
    }

    /// With its credential.
    #[must_use]
    pub fn key(mut self, key: Key) -> Self {
        self.key = key;
        self
    }
}

/// Without what its headers hold: that may be a secret.
impl fmt::Debug for Setup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Setup")
            .field("name", &self.name)
            .field("kind", &self.kind)
            .field("base_url", &by_name(&self.base_url))
            .field("key", &self.key)
            .field("stream", &self.stream)
            .finish_non_exhaustive()
    }
}

/// What a variable says, as an address: some hold `HOST:PORT` alone, or a server without its path.
/// A server that listens everywhere is reached at this machine.
fn address(preset: &Preset, said: &str) -> String {
    let said = said.trim().trim_end_matches('/');
    let url = if said.contains("://") { said.to_owned() } else { format!("http://{said}") };
    let url = url.replacen("://0.0.0.0", "://127.0.0.1", 1);
    let is_bare = url.split_once("://").is_some_and(|(_, rest)| !rest.contains('/'));
    if is_bare { format!("{url}{}", preset.base_path) } else { url }
}

/// The provider, ready to be called. Nothing is sent yet.
///
/// # Errors
/// When an address or a header is none, or a place is missing.
pub fn connect(way: &Way, setup: Setup) -> Result<Vendor, SetupError> {
    let wire = wire(&setup)?;
    let Setup { name, base_url, key, headers, stream, place, .. } = setup;
    let base_url = match place {
        Some(place) => placed(&base_url, &place),
        None => base_url,
    };
    Vendor::new(way.0.clone(), wire, Options { name, base_url, key, headers, stream })
}

/// The region `global` has no address of its own.
fn placed(base_url: &str, place: &Place) -> String {
    let location = match place.location.as_str() {
        "global" => String::new(),
        region => format!("{region}-"),
    };
    base_url.replace("{location}-", &location).replace("{project}", &place.project)
}

/// The format of a kind.
fn wire(setup: &Setup) -> Result<Arc<dyn Wire>, SetupError> {
    Ok(match setup.kind {
        Kind::Anthropic => Arc::new(Anthropic::new(true)),
        Kind::OpenAiChat => Arc::new(OpenAiChat::new(setup.family, setup.quirks)),
        Kind::OpenAiResponses if setup.family == OpenAiResponses::OWN => {
            Arc::new(OpenAiResponses::new())
        }
        Kind::OpenAiResponses => Arc::new(OpenAiResponses::compatible(setup.family)),
        Kind::Gemini => Arc::new(Gemini::new()),
        Kind::Vertex => match &setup.place {
            Some(Place { project, location }) => {
                Arc::new(Gemini::vertex(project.clone(), location.clone()))
            }
            None => return Err(SetupError::NoPlace { name: setup.name.clone() }),
        },
        Kind::Ollama => Arc::new(Ollama::new()),
    })
}
