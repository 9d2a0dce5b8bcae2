//! The shape of a body: which fields stand where, and of what type, without a word of what they say.
//! A field's place is its path; of the items of a list, and of what has a `type` or a `role`, the word
//! for it belongs to the path, because fields differ by it. What a user or a model makes up (schemas,
//! arguments, metadata) is a value and has no shape.

use std::collections::BTreeSet;

use greenroom::providers::Kind;
use serde_json::Value;

/// In which file the shape of a format's requests stands.
pub const fn file(kind: Kind) -> &'static str {
    match kind {
        Kind::Anthropic => "anthropic.txt",
        Kind::OpenAiChat => "chat.txt",
        Kind::OpenAiResponses => "responses.txt",
        Kind::Gemini | Kind::Vertex => "gemini.txt",
        Kind::Ollama => "ollama.txt",
    }
}

/// Fields whose own fields somebody made up.
const MADE_UP: [&str; 14] = [
    "args",
    "arguments",
    "input_schema",
    "logit_bias",
    "metadata",
    "output",
    "parameters",
    "parametersJsonSchema",
    "parameters_json_schema",
    "properties",
    "response",
    "responseJsonSchema",
    "responseSchema",
    "schema",
];
/// `input` is arguments in one format and the conversation in another, which is a list; `format` at the
/// top is a schema, and elsewhere says what kind of format.
const ARGUMENTS: &str = "input";
const SCHEMA: &str = "format";

/// Lines such as `messages[]<user>.content[]<text>.text: string`.
pub fn of(body: &Value) -> BTreeSet<String> {
    let mut lines = BTreeSet::new();
    add(body, "", &mut lines);
    lines
}

fn add(value: &Value, path: &str, lines: &mut BTreeSet<String>) {
    let mut line = |kind: &str| {
        lines.insert(format!("{path}: {kind}"));
    };
    match value {
        Value::Null => line("null"),
        Value::Bool(_) => line("bool"),
        Value::Number(_) => line("number"),
        Value::String(_) => line("string"),
        Value::Array(items) => {
            line("list");
            for item in items {
                add(item, &format!("{path}[]{}", word(item)), lines);
            }
        }
        Value::Object(fields) => {
            line("object");
            let below = path.rsplit('.').next().unwrap_or_default();
            if MADE_UP.contains(&below) || below == ARGUMENTS || path == SCHEMA {
                return;
            }
            for (name, value) in fields {
                let dot = if path.is_empty() { "" } else { "." };
                add(value, &format!("{path}{dot}{name}"), lines);
            }
        }
    }
}

/// What an item is, where it says so.
fn word(item: &Value) -> String {
    let word = item["type"].as_str().or(item["role"].as_str());
    word.map(|word| format!("<{word}>")).unwrap_or_default()
}
