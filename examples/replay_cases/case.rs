//! A file of recorded exchanges, one JSON object a line, compressed or not.

use std::{collections::BTreeMap, fs::File, io::Read as _, path::Path};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use flate2::read::GzDecoder;
use greenroom::providers::Kind;
use serde::Deserialize;
use serde_json::Value;

/// One exchange.
#[derive(Clone, Debug, Deserialize)]
pub struct Case {
    pub id: String,
    pub provider: String,
    pub api: String,
    pub path: String,
    #[serde(default)]
    pub model: Option<String>,
    pub status: u16,
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    #[serde(default)]
    pub request_body: Option<String>,
    pub response_b64: String,
    #[serde(default)]
    pub tags: Value,
    #[serde(default)]
    pub expected: Option<Value>,
}

impl Case {
    /// The exact bytes of the answer.
    pub fn body(&self) -> Result<Vec<u8>, String> {
        STANDARD.decode(&self.response_b64).map_err(|error| format!("response_b64: {error}"))
    }

    /// In which format it is; nothing where it is no call of a model.
    pub fn kind(&self) -> Option<Kind> {
        let path = self.path.as_str();
        // What stands beside the calls: tokens that are counted, batches, an answer made shorter.
        let beside = ["/count_tokens", "/input_tokens", "/batches", "/responses/compact"];
        if beside.iter().any(|word| path.contains(word)) {
            return None;
        }
        if path.contains("/chat/completions") {
            Some(Kind::OpenAiChat)
        } else if path.contains("/responses") {
            Some(Kind::OpenAiResponses)
        } else if path.contains("/messages") {
            Some(Kind::Anthropic)
        } else if path.contains("enerateContent") && path.contains("/publishers/") {
            Some(Kind::Vertex)
        } else if path.contains("enerateContent") {
            Some(Kind::Gemini)
        } else if path.contains("/api/chat") {
            Some(Kind::Ollama)
        } else {
            None
        }
    }

    /// Whether the answer is an error, by its status or by what whoever recorded it says.
    pub fn is_error(&self) -> bool {
        self.status != 200
            || self.tags.get("error").is_some_and(|error| *error == Value::Bool(true))
    }

    /// Whether a stream was asked for.
    pub fn is_stream(&self) -> bool {
        let asked = self.request_body.as_deref().and_then(|body| serde_json::from_str(body).ok());
        let asked = asked.is_some_and(|body: Value| body["stream"] == Value::Bool(true));
        asked
            || self.path.contains("streamGenerateContent")
            || self.tags.get("stream").is_some_and(|stream| *stream == Value::Bool(true))
    }
}

/// All exchanges of a file.
pub fn read(path: &Path) -> Result<Vec<Case>, String> {
    let at = |error: std::io::Error| format!("read {}: {error}", path.display());
    let mut file = File::open(path).map_err(at)?;
    let mut text = String::new();
    if path.extension().is_some_and(|kind| kind == "gz") {
        GzDecoder::new(file).read_to_string(&mut text).map_err(at)?;
    } else {
        file.read_to_string(&mut text).map_err(at)?;
    }
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    lines
        .map(|(no, line)| {
            serde_json::from_str(line)
                .map_err(|error| format!("{}:{}: {error}", path.display(), no + 1))
        })
        .collect()
}
