//! `reasoning_details` as they grow: fragments of one entry follow each other and are put together;
//! what came in one piece stays as it came, byte for byte.

use std::collections::BTreeMap;

use greenroom_actors::limits;
use serde_json::value::{RawValue, to_raw_value};

use super::super::Trouble;

/// Where the text of an entry stands; only these come in fragments.
const TEXTS: [&str; 2] = ["text", "summary"];

/// The entries so far.
#[derive(Debug, Default)]
pub(super) struct Details(Vec<Entry>);

#[derive(Debug)]
struct Entry {
    /// As it came, as long as it is of one piece.
    whole: Option<Box<str>>,
    fields: BTreeMap<String, Box<RawValue>>,
    /// Its growing text, and under which name.
    text: Option<(&'static str, String)>,
}

impl Details {
    /// Adds what came and says what of it a person can read.
    pub(super) fn add(&mut self, raw: &RawValue) -> Result<String, Trouble> {
        let unread = |error| Trouble::json("read reasoning_details", &error);
        let mut shown = String::new();
        let entries: Vec<&RawValue> = serde_json::from_str(raw.get()).map_err(unread)?;
        for entry in entries {
            let mut fields: BTreeMap<String, Box<RawValue>> =
                serde_json::from_str(entry.get()).map_err(unread)?;
            let mut text = None;
            for name in TEXTS {
                let json = fields.get(name).filter(|json| json.get().starts_with('"'));
                if let Some(json) = json {
                    let said: String = serde_json::from_str(json.get()).map_err(unread)?;
                    text = Some((name, said));
                    fields.remove(name);
                    break;
                }
            }
            if let Some((_, text)) = &text {
                shown.push_str(text);
            }
            self.put(Entry { whole: Some(entry.get().into()), fields, text })?;
        }
        Ok(shown)
    }

    fn put(&mut self, new: Entry) -> Result<(), Trouble> {
        if let Some(last) = self.0.last_mut().filter(|last| last.goes_on(&new)) {
            last.whole = None;
            for (name, value) in new.fields {
                if value.get() != "null" || !last.fields.contains_key(&name) {
                    last.fields.insert(name, value);
                }
            }
            match (&mut last.text, new.text) {
                (Some((_, text)), Some((_, more))) => text.push_str(&more),
                (none @ None, more) => *none = more,
                (Some(_), None) => {}
            }
            return Ok(());
        }
        if self.0.len() >= 4 * limits::CALLS_READ {
            return Err(Trouble::malformed("the answer has too many reasoning_details"));
        }
        self.0.push(new);
        Ok(())
    }

    /// All of it as the vendor's array.
    pub(super) fn json(self) -> Result<String, Trouble> {
        let entries: Result<Vec<String>, serde_json::Error> =
            self.0.into_iter().map(Entry::json).collect();
        let entries = entries.map_err(|error| Trouble::json("keep reasoning_details", &error))?;
        Ok(format!("[{}]", entries.join(",")))
    }
}

impl Entry {
    /// Whether the other is the next fragment of this: the same kind at the same place, and a kind
    /// that comes in fragments.
    fn goes_on(&self, new: &Self) -> bool {
        let field = |entry: &Self, name: &str| -> Option<String> {
            entry.fields.get(name).map(|raw| raw.get().to_owned())
        };
        let kind = field(self, "type");
        let grows = kind.as_deref().is_some_and(|kind| {
            TEXTS.iter().any(|text| kind.trim_matches('"').ends_with(&format!(".{text}")))
        });
        grows && kind == field(new, "type") && field(self, "index") == field(new, "index")
    }

    fn json(mut self) -> Result<String, serde_json::Error> {
        if let Some(whole) = self.whole {
            return Ok(whole.into());
        }
        if let Some((name, text)) = self.text {
            self.fields.insert(name.to_owned(), to_raw_value(&text)?);
        }
        serde_json::to_string(&self.fields)
    }
}
