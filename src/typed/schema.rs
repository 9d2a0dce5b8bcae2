//! Arguments held against a tool's schema: every mistake at once, each with its place, in words that
//! a model can mend.
//!
//! It knows the keywords that schemas derived from structs are made of, and refuses nothing for a
//! keyword it does not know (`format`, `not`, `uniqueItems`, …): those are for the struct itself, which
//! reads the arguments afterwards and has the last word. A full validator was left aside: it brings
//! some forty crates, and its messages are for people who read schemas.

mod rules;

use std::fmt::Write as _;

use greenroom_actors::domain::tool::Args;
use serde_json::Value;

use rules::Look;

/// Mistakes told at once; a model that made more has misunderstood the whole.
const TOLD: usize = 12;

/// A schema of arguments, read.
#[derive(Clone, Debug)]
pub(crate) struct Schema(Value);

/// Something in the arguments that does not fit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mistake {
    /// Where, as `items[2].name`; empty is the arguments themselves.
    pub(super) at: String,
    /// What is wrong, and what was expected.
    pub(super) what: String,
    /// What this place could have been: set where the value is of another kind altogether.
    meant: Option<Meant>,
}

/// The kinds of value a place was for.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Meant {
    /// Of a type.
    Type,
    /// One of these values.
    Values(Vec<Value>),
}

impl Schema {
    pub(crate) const fn new(schema: Value) -> Self {
        Self(schema)
    }

    /// Nothing, or everything that is wrong.
    pub(super) fn check(&self, args: &Args) -> Result<(), String> {
        self.check_text(super::ARGUMENTS, &args.0)
    }

    /// The same of any text that should be such a value; `whole` is what it is called.
    pub(crate) fn check_text(&self, whole: &str, text: &str) -> Result<(), String> {
        let value: Value = match serde_json::from_str(text) {
            Ok(value) => value,
            Err(why) => return Err(format!("{whole}: no JSON: {why}")),
        };
        let mut look = Look::new(&self.0);
        look.at("", &self.0, &value);
        if look.found.is_empty() { Ok(()) } else { Err(told(whole, &look.found)) }
    }
}

/// Mistakes as a model reads them: one on a line, several as a list.
pub(super) fn told(whole: &str, mistakes: &[Mistake]) -> String {
    let one = |mistake: &Mistake| {
        let Mistake { at, what, .. } = mistake;
        if at.is_empty() { format!("{whole}: {what}") } else { format!("at {at}: {what}") }
    };
    if let [only] = mistakes {
        return one(only);
    }
    let mut text = format!("{} mistakes in {whole}", mistakes.len());
    for mistake in mistakes.iter().take(TOLD) {
        // Writing to a text cannot fail.
        let _written = write!(text, "\n- {}", one(mistake));
    }
    if mistakes.len() > TOLD {
        let _written = write!(text, "\n- and {} more", mistakes.len() - TOLD);
    }
    text
}

#[cfg(test)]
mod tests;
