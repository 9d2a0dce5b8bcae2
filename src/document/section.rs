//! One table of a document, read by type. A table may stand on others: a key that it does not have
//! is looked for in them, in order, so that one agent can extend another. Each look-up notes what
//! is wrong and gives nothing; who asks goes on without.

use std::ops::{Range, RangeInclusive};

use toml::de::{DeArray, DeTable, DeValue};

use super::{Sheet, listed, near};

/// A place in a text, in bytes.
pub(crate) type Span = Range<usize>;

/// A value with its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Placed<T> {
    pub(crate) value: T,
    pub(crate) span: Span,
}

type Value<'t> = toml::Spanned<DeValue<'t>>;

/// A table, and those that it stands on.
#[derive(Clone, Debug)]
pub(crate) struct Section<'s, 't> {
    pub(crate) sheet: &'s Sheet<'t>,
    /// Itself first.
    tables: Vec<&'s DeTable<'t>>,
    /// Where it begins: what is missing is missing there.
    pub(crate) span: Span,
}

impl<'s, 't> Section<'s, 't> {
    /// The outermost table.
    pub(crate) fn outermost(sheet: &'s Sheet<'t>, table: &'s DeTable<'t>) -> Self {
        Self { sheet, tables: vec![table], span: 0..0 }
    }

    /// The same on top of others.
    pub(crate) fn upon(mut self, other: &Self) -> Self {
        self.tables.extend(&other.tables);
        self
    }

    /// Notes every key of this table that is not among the known ones.
    pub(crate) fn only(&self, known: &[&str]) {
        let Some(table) = self.tables.first() else { return };
        for key in table.keys() {
            let name = key.get_ref().as_ref();
            if !known.contains(&name) {
                let meant = near(name, known.iter().copied());
                let expected = listed(known.iter().copied());
                self.sheet.note_near(key.span(), format!("unknown key {name:?}"), expected, meant);
            }
        }
    }

    fn find(&self, key: &str) -> Option<&'s Value<'t>> {
        self.tables.iter().find_map(|table| table.get(key))
    }

    fn wrong(&self, key: &str, value: &Value<'t>, expected: &str) {
        let what = format!("`{key}` is {}", kind(value.get_ref()));
        self.sheet.note(value.span(), what, expected.to_owned());
    }

    /// Where a key's value stands; where the table begins when it has none.
    pub(crate) fn place(&self, key: &str) -> Span {
        self.find(key).map_or_else(|| self.span.clone(), toml::Spanned::span)
    }

    /// Whether the key is there, whatever its value.
    pub(crate) fn has(&self, key: &str) -> bool {
        self.find(key).is_some()
    }

    /// The nearest of its tables that has one of these keys, alone.
    pub(crate) fn nearest(&self, keys: &[&str]) -> Option<Self> {
        let has = |table: &&&DeTable<'t>| keys.iter().any(|key| table.contains_key(*key));
        let table = self.tables.iter().find(has)?;
        Some(Self { tables: vec![*table], ..self.clone() })
    }

    /// A text.
    pub(crate) fn text(&self, key: &str) -> Option<Placed<String>> {
        let value = self.find(key)?;
        self.as_text(key, value)
    }

    fn as_text(&self, key: &str, value: &Value<'t>) -> Option<Placed<String>> {
        let Some(text) = value.get_ref().as_str() else {
            self.wrong(key, value, "a text in quotes");
            return None;
        };
        Some(Placed { value: text.to_owned(), span: value.span() })
    }

    /// A text that says something.
    pub(crate) fn words(&self, key: &str) -> Option<Placed<String>> {
        let text = self.text(key)?;
        if text.value.trim().is_empty() {
            self.sheet.note(text.span, format!("`{key}` is empty"), "a text".to_owned());
            return None;
        }
        Some(text)
    }

    /// True or false.
    pub(crate) fn flag(&self, key: &str) -> Option<bool> {
        let value = self.find(key)?;
        let flag = value.get_ref().as_bool();
        if flag.is_none() {
            self.wrong(key, value, "true or false");
        }
        flag
    }

    /// A list of texts, none of them twice.
    pub(crate) fn texts(&self, key: &str) -> Vec<Placed<String>> {
        let Some(value) = self.find(key) else { return Vec::new() };
        let Some(list) = value.get_ref().as_array() else {
            self.wrong(key, value, "a list of texts, such as [\"one\", \"two\"]");
            return Vec::new();
        };
        self.elements(key, list)
    }

    fn elements(&self, key: &str, list: &DeArray<'t>) -> Vec<Placed<String>> {
        let mut texts: Vec<Placed<String>> = Vec::new();
        for value in list.iter() {
            let Some(text) = self.as_text(key, value) else { continue };
            if texts.iter().any(|other| other.value == text.value) {
                let what = format!("`{key}` names {:?} twice", text.value);
                self.sheet.note(text.span, what, "each once".to_owned());
                continue;
            }
            texts.push(text);
        }
        texts
    }

    /// The lists of this table and of those it stands on, together.
    pub(crate) fn all_texts(&self, key: &str) -> Vec<Placed<String>> {
        let alone = |table: &&'s DeTable<'t>| Self { tables: vec![*table], ..self.clone() };
        self.tables.iter().map(alone).flat_map(|table| table.texts(key)).collect()
    }

    /// A whole number within a range.
    pub(crate) fn number(&self, key: &str, range: RangeInclusive<u64>) -> Option<u64> {
        let value = self.find(key)?;
        let expected = if *range.end() == u64::MAX {
            format!("a whole number from {}", range.start())
        } else {
            format!("a whole number from {} to {}", range.start(), range.end())
        };
        let Some(number) = value.get_ref().as_integer() else {
            self.wrong(key, value, &expected);
            return None;
        };
        let found = u64::from_str_radix(number.as_str(), number.radix()).ok();
        let found = found.filter(|number| range.contains(number));
        if found.is_none() {
            self.sheet.note(value.span(), format!("`{key}` is {number}"), expected);
        }
        found
    }

    /// The same as a smaller number.
    pub(crate) fn small(&self, key: &str, range: RangeInclusive<u32>) -> Option<u32> {
        let range = u64::from(*range.start())..=u64::from(*range.end());
        self.number(key, range).and_then(|number| u32::try_from(number).ok())
    }

    /// A decimal number, exact, in units of its last place: with 3 places `0.7` is 700.
    pub(crate) fn decimal(
        &self,
        key: &str,
        places: usize,
        range: RangeInclusive<u64>,
        expected: &str,
    ) -> Option<u64> {
        let value = self.find(key)?;
        let text = match value.get_ref() {
            DeValue::Integer(number) if number.radix() == 10 => number.as_str(),
            DeValue::Float(number) => number.as_str(),
            DeValue::Integer(_)
            | DeValue::String(_)
            | DeValue::Boolean(_)
            | DeValue::Datetime(_)
            | DeValue::Array(_)
            | DeValue::Table(_) => {
                self.wrong(key, value, expected);
                return None;
            }
        };
        let found = shifted(text, places).filter(|number| range.contains(number));
        if found.is_none() {
            self.sheet.note(value.span(), format!("`{key}` is {text}"), expected.to_owned());
        }
        found
    }

    /// A list of whole numbers within a range.
    pub(crate) fn numbers(&self, key: &str, range: RangeInclusive<u64>) -> Vec<u64> {
        let Some(value) = self.find(key) else { return Vec::new() };
        let (from, to) = (range.start(), range.end());
        let expected = format!("a list of whole numbers from {from} to {to}");
        let read = |value: &Value<'t>| {
            let number = value.get_ref().as_integer()?;
            let found = u64::from_str_radix(number.as_str(), number.radix()).ok();
            found.filter(|number| range.contains(number))
        };
        let list = value.get_ref().as_array();
        let found = list.and_then(|list| list.iter().map(read).collect::<Option<Vec<_>>>());
        if found.is_none() {
            self.wrong(key, value, &expected);
        }
        found.unwrap_or_default()
    }

    /// One of several words.
    pub(crate) fn choice<T: Copy>(&self, key: &str, words: &[(&str, T)]) -> Option<T> {
        let text = self.text(key)?;
        let found = words.iter().find(|(word, _)| *word == text.value);
        if found.is_none() {
            let known = || words.iter().map(|(word, _)| *word);
            let what = format!("`{key}` is {:?}", text.value);
            self.sheet.note_near(text.span, what, listed(known()), near(&text.value, known()));
        }
        found.map(|(_, value)| *value)
    }

    /// A table below this one, standing on those of the same name below the others.
    pub(crate) fn section(&self, key: &str) -> Option<Self> {
        let mut below: Option<Self> = None;
        for value in self.tables.iter().filter_map(|table| table.get(key)) {
            let Some(table) = value.get_ref().as_table() else {
                self.wrong(key, value, &format!("a table, such as [{key}]"));
                continue;
            };
            let next = Self { sheet: self.sheet, tables: vec![table], span: value.span() };
            below = Some(match below {
                None => next,
                Some(nearer) => nearer.upon(&next),
            });
        }
        below
    }

    /// Whether the key's nearest value is a table.
    pub(crate) fn is_table(&self, key: &str) -> bool {
        self.find(key).is_some_and(|value| value.get_ref().is_table())
    }

    /// Tables by name in this table; anything else in it is a mistake.
    pub(crate) fn named(&self) -> Vec<(Placed<String>, Self)> {
        let mut found = Vec::new();
        for (key, value) in self.tables.first().into_iter().flat_map(|table| table.iter()) {
            let name = Placed { value: key.get_ref().to_string(), span: key.span() };
            match value.get_ref().as_table() {
                None => self.wrong(&name.value, value, "a table"),
                Some(table) => {
                    // A table written as `[a.b]` begins at its name: that is the place to show.
                    let span = key.span();
                    found.push((name, Self { sheet: self.sheet, tables: vec![table], span }));
                }
            }
        }
        found
    }

    /// Simple values by name, as texts.
    pub(crate) fn settings(&self, except: &[&str]) -> Vec<(Placed<String>, String)> {
        let mut found = Vec::new();
        for (key, value) in self.tables.first().into_iter().flat_map(|table| table.iter()) {
            let name = Placed { value: key.get_ref().to_string(), span: key.span() };
            let text = match value.get_ref() {
                _ if except.contains(&name.value.as_str()) => continue,
                DeValue::String(text) => text.to_string(),
                DeValue::Integer(number) => number.to_string(),
                DeValue::Float(number) => number.to_string(),
                DeValue::Boolean(flag) => flag.to_string(),
                DeValue::Datetime(_) | DeValue::Array(_) | DeValue::Table(_) => {
                    self.wrong(&name.value, value, "a text, a number, true or false");
                    continue;
                }
            };
            found.push((name, text));
        }
        found
    }
}

/// What a value is, in words.
const fn kind(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a number with a point",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

/// A decimal number with the point moved to the right by so many places; nothing when it has more.
fn shifted(text: &str, places: usize) -> Option<u64> {
    let text = text.strip_prefix('+').unwrap_or(text);
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let fraction = fraction.trim_end_matches('0');
    if fraction.len() > places {
        return None;
    }
    format!("{whole}{fraction:0<places$}").parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_are_exact_and_what_is_too_fine_is_refused() {
        let check = |text: &str, places: usize, found: Option<u64>| {
            assert_eq!(shifted(text, places), found, "{text}");
        };
        check("0.7", 3, Some(700));
        check("3", 6, Some(3_000_000));
        check("+0.000000001", 9, Some(1));
        check("0.50000", 1, Some(5));
        check("0.0001", 3, None);
        check("-1", 3, None);
        check("1e3", 3, None);
        check("inf", 3, None);
        check("99999999999999999999", 3, None);
    }
}
