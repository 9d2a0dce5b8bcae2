//! What each keyword of a schema says of a value.

use regex_automata::nfa::thompson::pikevm::PikeVM;
use serde_json::{Map, Value};

use super::{Meant, Mistake};
use crate::document::{listed, near};

/// How often a schema may point on without a value getting smaller: those we read are shallow, and
/// one that points at itself must end.
const DEPTH_MAX: usize = 64;
/// How many values are looked at, choices counted each: nested choices multiply, and a look must be
/// quick whatever a model wrote. Arguments of 64 KiB are some 20,000 values.
const STEPS_MAX: usize = 100_000;
/// So much of a wrong text is repeated to whoever wrote it.
const QUOTED_CHARS: usize = 40;

/// A look at a value; collects what is wrong.
pub(super) struct Look<'s> {
    root: &'s Value,
    depth: usize,
    steps: usize,
    pub(super) found: Vec<Mistake>,
}

impl<'s> Look<'s> {
    pub(super) const fn new(root: &'s Value) -> Self {
        Self { root, depth: 0, steps: 0, found: Vec::new() }
    }

    fn note(&mut self, at: &str, what: String, meant: Option<Meant>) {
        self.found.push(Mistake { at: at.to_owned(), what, meant });
    }

    /// Looks at a value at a place.
    pub(super) fn at(&mut self, at: &str, schema: &'s Value, value: &Value) {
        let Value::Object(rules) = schema else {
            if *schema == Value::Bool(false) {
                self.note(at, "nothing is expected here; leave it out".to_owned(), None);
            }
            return;
        };
        // What is beyond is for the struct.
        if self.depth >= DEPTH_MAX || self.steps >= STEPS_MAX {
            return;
        }
        self.depth += 1;
        self.steps += 1;
        if let Some(target) = rules.get("$ref").and_then(Value::as_str)
            && let Some(pointer) = target.strip_prefix('#')
            && let Some(schema) = self.root.pointer(pointer)
        {
            self.at(at, schema, value);
        }
        // What is of another kind altogether breaks no further rule worth telling.
        if self.is_of_type(at, rules, value) && self.is_one_of(at, rules, value) {
            match value {
                Value::String(text) => self.text(at, rules, text),
                Value::Number(_) => self.number(at, rules, value),
                Value::Array(items) => self.array(at, rules, items),
                Value::Object(fields) => self.object(at, rules, fields),
                Value::Null | Value::Bool(_) => {}
            }
            self.several(at, rules, value);
        }
        self.depth -= 1;
    }

    fn is_of_type(&mut self, at: &str, rules: &'s Map<String, Value>, value: &Value) -> bool {
        let names: Vec<&str> = match rules.get("type") {
            Some(Value::String(name)) => vec![name],
            Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).collect(),
            _ => return true,
        };
        if names.iter().any(|name| is_of(name, value)) {
            return true;
        }
        let expected: Vec<&str> = names.iter().map(|name| spoken(name)).collect();
        let what = format!("expected {}, found {}", expected.join(" or "), shown(value));
        self.note(at, what, Some(Meant::Type));
        false
    }

    fn is_one_of(&mut self, at: &str, rules: &'s Map<String, Value>, value: &Value) -> bool {
        let values: &[Value] = match (rules.get("const"), rules.get("enum")) {
            (Some(only), _) => std::slice::from_ref(only),
            (None, Some(Value::Array(values))) => values,
            (None, _) => return true,
        };
        if values.contains(value) {
            return true;
        }
        self.note(at, choice(values, value), Some(Meant::Values(values.to_vec())));
        false
    }

    fn text(&mut self, at: &str, rules: &'s Map<String, Value>, text: &str) {
        self.length(at, rules, ("minLength", "maxLength", "characters"), text.chars().count());
        let Some(pattern) = rules.get("pattern").and_then(Value::as_str) else { return };
        let what = match PikeVM::new(pattern) {
            Ok(vm) if vm.is_match(&mut vm.create_cache(), text) => return,
            Ok(_) => format!("expected text that matches {pattern}, found {}", quoted(text)),
            Err(why) => format!("the tool's own pattern {pattern} cannot be read: {why}"),
        };
        self.note(at, what, None);
    }

    fn number(&mut self, at: &str, rules: &'s Map<String, Value>, value: &Value) {
        let Some(number) = value.as_f64() else { return };
        type Broken = fn(f64, f64) -> bool;
        let bounds: [(&str, &str, Broken); 4] = [
            ("minimum", "at least", |number, bound| number < bound),
            ("maximum", "at most", |number, bound| number > bound),
            ("exclusiveMinimum", "more than", |number, bound| number <= bound),
            ("exclusiveMaximum", "less than", |number, bound| number >= bound),
        ];
        for (rule, words, broken) in bounds {
            if let Some(bound) = rules.get(rule)
                && bound.as_f64().is_some_and(|bound| broken(number, bound))
            {
                self.note(at, format!("expected {words} {bound}, found {value}"), None);
            }
        }
    }

    fn array(&mut self, at: &str, rules: &'s Map<String, Value>, items: &[Value]) {
        self.length(at, rules, ("minItems", "maxItems", "items"), items.len());
        let first = rules.get("prefixItems").and_then(Value::as_array);
        for (no, item) in items.iter().enumerate() {
            let own = first.and_then(|first| first.get(no)).or_else(|| rules.get("items"));
            if let Some(schema) = own {
                self.at(&format!("{at}[{no}]"), schema, item);
            }
        }
    }

    fn object(&mut self, at: &str, rules: &'s Map<String, Value>, fields: &Map<String, Value>) {
        let none = Map::new();
        let known = rules.get("properties").and_then(Value::as_object);
        let inside = |name: &str| {
            if at.is_empty() { name.to_owned() } else { format!("{at}.{name}") }
        };
        let required = rules.get("required").and_then(Value::as_array);
        let required = required.into_iter().flatten().filter_map(Value::as_str);
        for name in required.filter(|name| !fields.contains_key(*name)) {
            let what = self.missing(known.and_then(|known| known.get(name)));
            self.note(&inside(name), what, None);
        }
        for (name, value) in fields {
            let own = known.and_then(|known| known.get(name));
            match (own, rules.get("additionalProperties")) {
                (Some(schema), _) => self.at(&inside(name), schema, value),
                // Their names follow a pattern; the struct knows which.
                _ if rules.contains_key("patternProperties") => {}
                (None, Some(Value::Bool(false))) => {
                    let names = || known.unwrap_or(&none).keys().map(String::as_str);
                    let meant = near(name, names().filter(|name| !fields.contains_key(*name)));
                    let meant =
                        meant.map_or_else(String::new, |meant| format!("; did you mean {meant}?"));
                    let what = format!("unknown; expected {}{meant}", listed(names()));
                    self.note(&inside(name), what, None);
                }
                (None, Some(schema)) => self.at(&inside(name), schema, value),
                (None, None) => {}
            }
        }
    }

    /// What a field is that is not there.
    fn missing(&self, schema: Option<&Value>) -> String {
        let target = schema.and_then(|schema| schema.get("$ref")?.as_str()?.strip_prefix('#'));
        let target = target.and_then(|pointer| self.root.pointer(pointer)).or(schema);
        let kind = target.and_then(|schema| schema.get("type")?.as_str());
        let about = [schema, target].into_iter().flatten();
        let about = about.filter_map(|schema| schema.get("description")?.as_str()).next();
        let kind = kind.map_or_else(String::new, |kind| format!("; expected {}", spoken(kind)));
        let about = about.map_or_else(String::new, |about| format!(": {about}"));
        format!("missing{kind}{about}")
    }

    fn length(
        &mut self,
        at: &str,
        rules: &Map<String, Value>,
        (least, most, of): (&str, &str, &str),
        found: usize,
    ) {
        let bound = |rule: &str| rules.get(rule).and_then(Value::as_u64);
        let found = found as u64;
        if let Some(least) = bound(least).filter(|least| found < *least) {
            self.note(at, format!("expected at least {least} {of}, found {found}"), None);
        }
        if let Some(most) = bound(most).filter(|most| found > *most) {
            self.note(at, format!("expected at most {most} {of}, found {found}"), None);
        }
    }

    /// Schemas of which all or some must fit. That no two fit is left to the struct.
    fn several(&mut self, at: &str, rules: &'s Map<String, Value>, value: &Value) {
        let list = |rule: &str| rules.get(rule).and_then(Value::as_array);
        for schema in list("allOf").into_iter().flatten() {
            self.at(at, schema, value);
        }
        for choices in [list("anyOf"), list("oneOf")].into_iter().flatten() {
            let tried: Vec<Vec<Mistake>> =
                choices.iter().map(|schema| self.alone(at, schema, value)).collect();
            if !tried.iter().any(Vec::is_empty) {
                self.found.extend(nearest(tried, value, at));
            }
        }
    }

    fn alone(&mut self, at: &str, schema: &'s Value, value: &Value) -> Vec<Mistake> {
        let before = std::mem::take(&mut self.found);
        self.at(at, schema, value);
        std::mem::replace(&mut self.found, before)
    }
}

/// Of several choices none of which fits: the mistakes in the one that was probably meant.
fn nearest(tried: Vec<Vec<Mistake>>, value: &Value, at: &str) -> Vec<Mistake> {
    // All want another word at one place: the words of all are the choice.
    let tag = |mistakes: &[Mistake]| {
        let tag =
            mistakes.iter().find(|mistake| matches!(mistake.meant, Some(Meant::Values(_))))?;
        Some((tag.at.clone(), tag.what.clone()))
    };
    let tags: Vec<_> = tried.iter().filter_map(|mistakes| tag(mistakes)).collect();
    let place = tags.first().map(|(place, _)| place.clone());
    if let Some(place) = place
        && tags.iter().filter(|(other, _)| *other == place).count() == tried.len()
    {
        let words = tried.iter().flatten().filter(|mistake| mistake.at == place);
        let words = words.filter_map(|mistake| match &mistake.meant {
            Some(Meant::Values(values)) => Some(values.clone()),
            Some(Meant::Type) | None => None,
        });
        let inner = place.strip_prefix(at).unwrap_or_default().trim_start_matches('.');
        let found = if inner.is_empty() { value } else { value.get(inner).unwrap_or(value) };
        let values: Vec<Value> = words.flatten().collect();
        let what = choice(&values, found);
        return vec![Mistake { at: place, what, meant: Some(Meant::Values(values)) }];
    }
    // A wrong kind here or a wrong tag says that this choice was not meant at all.
    let far = |mistakes: &Vec<Mistake>| {
        let off = mistakes.iter().filter(|mistake| match &mistake.meant {
            Some(Meant::Values(_)) => true,
            Some(Meant::Type) => mistake.at == at,
            None => false,
        });
        (off.count(), mistakes.len())
    };
    tried.into_iter().min_by_key(far).unwrap_or_default()
}

fn choice(values: &[Value], found: &Value) -> String {
    let words: Vec<String> = values.iter().map(Value::to_string).collect();
    let one_of = if words.len() == 1 { "" } else { "one of " };
    format!("expected {one_of}{}, found {}", words.join(", "), shown(found))
}

fn is_of(name: &str, value: &Value) -> bool {
    match name {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        // As the structs read them: 1.0 is no whole number.
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        _ => true,
    }
}

fn spoken(name: &str) -> &str {
    match name {
        "boolean" => "true or false",
        "integer" => "a whole number",
        "number" => "a number",
        "string" => "a text",
        "array" => "a list",
        "object" => "an object",
        other => other,
    }
}

fn shown(value: &Value) -> String {
    match value {
        Value::Null | Value::Bool(_) => value.to_string(),
        Value::Number(number) => format!("the number {number}"),
        Value::String(text) => format!("the text {}", quoted(text)),
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "an object".to_owned(),
    }
}

fn quoted(text: &str) -> String {
    let begin: String = text.chars().take(QUOTED_CHARS).collect();
    let more = if begin.len() < text.len() { "…" } else { "" };
    format!("{begin:?}{more}")
}
