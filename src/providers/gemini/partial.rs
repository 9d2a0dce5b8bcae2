//! The arguments of a call that come bit by bit, each with the path where it belongs. Bits of one
//! text follow each other and are joined; whatever is between them on the path is made as needed.

use serde_json::{Map, Value};

use super::{super::Trouble, part::Bit};

/// Deepest path: what is read as a whole may be no deeper either, and a value is written and dropped
/// on the stack.
const STEPS_MAX: usize = 128;

/// Arguments that grow.
#[derive(Debug, Default)]
pub(super) struct Growing {
    args: Map<String, Value>,
}

enum Step<'a> {
    Field(&'a str),
    Index(usize),
}

impl Growing {
    /// Adds a bit.
    pub(super) fn add(&mut self, bit: Bit) -> Result<(), Trouble> {
        let wrong = || Trouble::malformed(format!("the path of an argument: {:?}", bit.json_path));
        let steps = steps(&bit.json_path).ok_or_else(wrong)?;
        let (first, rest) = match steps.split_first() {
            Some((Step::Field(first), rest)) => (*first, rest),
            Some((Step::Index(_), _)) | None => return Err(wrong()),
        };
        let mut place = self.args.entry(first).or_insert(Value::Null);
        for step in rest {
            place = within(place, step).ok_or_else(wrong)?;
        }
        match (bit.string_value, bit.number_value, bit.bool_value) {
            (Some(more), _, _) => match place {
                Value::String(text) => text.push_str(&more),
                other => *other = Value::String(more),
            },
            (None, Some(number), _) => *place = Value::Number(number),
            (None, None, Some(yes)) => *place = Value::Bool(yes),
            (None, None, None) => *place = Value::Null,
        }
        Ok(())
    }

    /// The arguments as text.
    pub(super) fn text(self) -> String {
        Value::Object(self.args).to_string()
    }
}

fn within<'v>(place: &'v mut Value, step: &Step<'_>) -> Option<&'v mut Value> {
    match step {
        Step::Field(name) => {
            if place.is_null() {
                *place = Value::Object(Map::new());
            }
            Some(place.as_object_mut()?.entry(*name).or_insert(Value::Null))
        }
        Step::Index(index) => {
            if place.is_null() {
                *place = Value::Array(Vec::new());
            }
            let list = place.as_array_mut()?;
            // A list grows by one: a number that the vendor chose makes no room here.
            if list.len() == *index {
                list.push(Value::Null);
            }
            list.get_mut(*index)
        }
    }
}

/// `$.a.b[0]['c d']` as its steps.
fn steps(path: &str) -> Option<Vec<Step<'_>>> {
    let mut rest = path.strip_prefix('$')?;
    let mut steps = Vec::new();
    while !rest.is_empty() {
        if steps.len() == STEPS_MAX {
            return None;
        }
        if let Some(after) = rest.strip_prefix('.') {
            let end = after.find(['.', '[']).unwrap_or(after.len());
            let (name, tail) = after.split_at_checked(end)?;
            steps.push(Step::Field(name));
            rest = tail;
        } else {
            let (inner, tail) = bracket(rest.strip_prefix('[')?)?;
            steps.push(inner);
            rest = tail;
        }
    }
    Some(steps)
}

fn bracket(rest: &str) -> Option<(Step<'_>, &str)> {
    let quote = rest.chars().next().filter(|first| matches!(first, '\'' | '"'));
    if let Some(quote) = quote {
        let (name, tail) = rest.strip_prefix(quote)?.split_once(quote)?;
        return Some((Step::Field(name), tail.strip_prefix(']')?));
    }
    let (index, tail) = rest.split_once(']')?;
    Some((Step::Index(index.parse().ok()?), tail))
}
