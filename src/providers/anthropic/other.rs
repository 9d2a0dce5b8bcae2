//! A block that only the vendor understands and that is streamed: its fields in their order, and what
//! the deltas add to them. A field that no delta names keeps its bytes.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor},
};
use serde_json::value::{RawValue, to_raw_value};

use super::super::Trouble;

/// What was added to a block, by field.
#[derive(Default)]
pub(super) struct Other {
    added: Vec<(String, Added)>,
}

enum Added {
    /// Behind the field's text.
    Text(String),
    /// JSON in fragments, in place of the field.
    Json(String),
    /// At the end of the field's list.
    Items(Vec<Box<RawValue>>),
    /// In place of the field.
    Value(Box<RawValue>),
}

impl Other {
    /// Adds a delta: fragments of JSON go to `input`, a citation to `citations`, and every other field
    /// to the one of the same name.
    pub(super) fn add(&mut self, delta: &RawValue) -> Result<(), Trouble> {
        for (name, value) in fields(delta.get())? {
            match (name.as_str(), text(&value)) {
                ("type", _) => {}
                ("partial_json", Some(text)) => {
                    match self.field("input", Added::Json(String::new())) {
                        Added::Json(all) => all.push_str(&text),
                        other => *other = Added::Json(text),
                    }
                }
                ("citation", None) => match self.field("citations", Added::Items(Vec::new())) {
                    Added::Items(all) => all.push(value),
                    other => *other = Added::Items(vec![value]),
                },
                (_, Some(text)) => match self.field(&name, Added::Text(String::new())) {
                    Added::Text(all) => all.push_str(&text),
                    other => *other = Added::Text(text),
                },
                (_, None) if value.get() == "null" => {}
                (_, None) => {
                    let first = Added::Value(value.clone());
                    *self.field(&name, first) = Added::Value(value);
                }
            }
        }
        Ok(())
    }

    fn field(&mut self, name: &str, first: Added) -> &mut Added {
        let at = self.added.iter().position(|(known, _)| known == name);
        let at = at.unwrap_or_else(|| {
            self.added.push((name.to_owned(), first));
            self.added.len() - 1
        });
        &mut self.added[at].1
    }

    /// The whole block, where something was added to what it began with.
    pub(super) fn put_together(self, begun: &str) -> Result<Option<String>, Trouble> {
        if self.added.is_empty() {
            return Ok(None);
        }
        let mut all = fields(begun)?;
        for (name, added) in self.added {
            let at = all.iter().position(|(known, _)| *known == name);
            let before = at.and_then(|at| all.get(at)).map(|(_, value)| &**value);
            let Some(value) = added.onto(before)? else { continue };
            match at.and_then(|at| all.get_mut(at)) {
                Some((_, old)) => *old = value,
                None => all.push((name, value)),
            }
        }
        let mut json = String::from("{");
        for (name, value) in all {
            if json.len() > 1 {
                json.push(',');
            }
            json.push_str(raw(&name)?.get());
            json.push(':');
            json.push_str(value.get());
        }
        json.push('}');
        Ok(Some(json))
    }
}

impl Added {
    /// With what the field began with; nothing where that stays.
    fn onto(self, before: Option<&RawValue>) -> Result<Option<Box<RawValue>>, Trouble> {
        Ok(match self {
            Self::Text(added) => {
                let mut all = before.and_then(text).unwrap_or_default();
                all.push_str(&added);
                Some(raw(&all)?)
            }
            // Cut off amid the arguments: the tool never ran, and the vendor takes only an object.
            Self::Json(json) => RawValue::from_string(json).ok(),
            Self::Items(items) => {
                let before = before.and_then(|list| serde_json::from_str(list.get()).ok());
                let mut all: Vec<Box<RawValue>> = before.unwrap_or_default();
                all.extend(items);
                let list = RawValue::from_string(list(&all));
                Some(list.map_err(|error| Trouble::json("a block", &error))?)
            }
            Self::Value(value) => Some(value),
        })
    }
}

/// The citation in a delta that brings one.
pub(super) fn citation(delta: &RawValue) -> Option<Box<RawValue>> {
    #[derive(Deserialize)]
    struct Cites {
        citation: Option<Box<RawValue>>,
    }
    // Most deltas are text, and are not parsed twice for this.
    delta.get().contains("\"citation\"").then_some(())?;
    serde_json::from_str::<Cites>(delta.get()).ok()?.citation
}

/// Values as a JSON list, each with its bytes.
pub(super) fn list(values: &[Box<RawValue>]) -> String {
    let values: Vec<_> = values.iter().map(|value| value.get()).collect();
    format!("[{}]", values.join(","))
}

/// The text of a JSON string; nothing where it is no string.
fn text(value: &RawValue) -> Option<String> {
    value.get().starts_with('"').then(|| serde_json::from_str(value.get()).ok())?
}

fn raw(text: &str) -> Result<Box<RawValue>, Trouble> {
    to_raw_value(text).map_err(|error| Trouble::json("a block", &error))
}

fn fields(json: &str) -> Result<Vec<(String, Box<RawValue>)>, Trouble> {
    let Fields(all) =
        serde_json::from_str(json).map_err(|error| Trouble::json("a block", &error))?;
    Ok(all)
}

/// An object's fields in their order: a map would sort them.
struct Fields(Vec<(String, Box<RawValue>)>);

impl<'de> Deserialize<'de> for Fields {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder;
        impl<'de> Visitor<'de> for InOrder {
            type Value = Fields;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields, A::Error> {
                let mut all = Vec::new();
                while let Some(field) = map.next_entry()? {
                    all.push(field);
                }
                Ok(Fields(all))
            }
        }
        deserializer.deserialize_map(InOrder)
    }
}
