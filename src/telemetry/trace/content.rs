//! What of an event is structure, and what is content. Structure is what `STRUCTURE` names, with the
//! tags of values, numbers and what is true or false: the types have no free numbers. Whatever else is
//! text is content, also a field that somebody adds tomorrow, and is replaced by its length and the
//! beginning of its hash: who knows a text can find it again, and the same text is the same twice.
//!
//! That is for texts that cannot be guessed. Whoever can try all that a short answer may be, finds it.

use greenroom_actors::domain::frame::hex;
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use crate::telemetry::redact::Secrets;

/// Digits of a hash that are kept.
const DIGITS: usize = 16;

/// Texts that stay, by the field that holds them and the field or the event around it.
const STRUCTURE: &[(&str, &[&str])] = &[
    ("agent", &["name", "role", "model", "provider", "engine", "routes", "input"]),
    ("fallback", &["model", "provider"]),
    ("authority", &["mode"]),
    ("tools", &["name", "effect", "pool"]),
    ("lineage", &["root"]),
    ("parent", &["session"]),
    ("accounts", &["session"]),
    ("raised", &["tool"]),
    ("fork", &["session"]),
    ("from", &["session", "model", "provider"]),
    ("to", &["model", "provider"]),
    ("overrides", &["model", "provider", "mode"]),
    ("blocks", &["name", "media_type", "provider"]),
    ("block", &["name", "media_type", "provider"]),
    ("reply", &["stop", "served_by"]),
    ("model_call_started", &["model"]),
    ("usage_settled", &["model"]),
    ("budget_warned", &["account", "dimension"]),
    ("shortage", &["account", "dimension"]),
    ("tool_requested", &["name"]),
    ("by", &["mode"]),
    ("request", &["tool"]),
    ("approval_decided", &["by"]),
    ("remember", &["decision"]),
    ("approval_closed", &["why"]),
    ("child_spawned", &["child", "agent"]),
    ("child_finished", &["child"]),
    ("child_stopped", &["child"]),
    ("timer_set", &["timer"]),
    ("timer_fired", &["timer"]),
    ("target", &["child"]),
    ("engine_state", &["engine"]),
    ("session_released", &["by"]),
];

/// What says which variant a value is.
const TAGS: [&str; 2] = ["type", "kind"];

/// An event without its content.
pub(super) fn redacted(event: Value) -> Value {
    let name = event.get("type").and_then(Value::as_str).unwrap_or_default().to_owned();
    walk(event, (&name, &name))
}

/// A value below the field `within`, at the field `key`.
fn walk(value: Value, (within, key): (&str, &str)) -> Value {
    match value {
        Value::String(text) => {
            if TAGS.contains(&key) || is_structure(within, key) {
                Value::String(text)
            } else {
                stand_in(&text)
            }
        }
        Value::Array(values) => {
            values.into_iter().map(|value| walk(value, (within, key))).collect()
        }
        // The one map: its keys are names of tools, and below them is what somebody wrote of each.
        Value::Object(tools) if (within, key) == ("agent", "tools") => {
            tools.into_iter().map(|(name, overlay)| (name, overlaid(&overlay))).collect()
        }
        Value::Object(fields) => {
            let fields = fields.into_iter();
            fields.map(|(name, value)| (name.clone(), walk(value, (key, &name)))).collect()
        }
        plain @ (Value::Null | Value::Bool(_) | Value::Number(_)) => plain,
    }
}

fn is_structure(within: &str, key: &str) -> bool {
    STRUCTURE.iter().any(|(around, fields)| *around == within && fields.contains(&key))
}

fn overlaid(overlay: &Value) -> Value {
    if overlay.as_object().is_none_or(Map::is_empty) {
        return json!({});
    }
    json!({ "redacted": stand_in(&overlay.to_string()) })
}

fn stand_in(text: &str) -> Value {
    let mut digits = hex(&Sha256::digest(text.as_bytes()));
    digits.truncate(DIGITS);
    json!({ "redacted": text.len(), "sha256": digits })
}

/// An event with a text in the place of each content that was taken out, so that it is an event again.
pub(super) fn readable(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            let stood = || {
                let bytes = fields.get("redacted")?.as_u64()?;
                let digits = fields.get("sha256")?.as_str()?;
                (fields.len() == 2).then(|| format!("[{bytes} bytes, sha256 {digits}…]"))
            };
            match stood() {
                Some(text) => Value::String(text),
                None => fields.into_iter().map(|(name, value)| (name, readable(value))).collect(),
            }
        }
        Value::Array(values) => values.into_iter().map(readable).collect(),
        plain @ (Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_)) => plain,
    }
}

/// A value whose texts hold no secret that is known.
pub(super) fn masked(value: Value, secrets: &Secrets) -> Value {
    match value {
        Value::String(text) => Value::String(secrets.clean(&text).into_owned()),
        Value::Array(values) => values.into_iter().map(|value| masked(value, secrets)).collect(),
        Value::Object(fields) => fields
            .into_iter()
            .map(|(name, value)| (secrets.clean(&name).into_owned(), masked(value, secrets)))
            .collect(),
        plain @ (Value::Null | Value::Bool(_) | Value::Number(_)) => plain,
    }
}
