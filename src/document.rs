//! A TOML text with the place of every value. What is wrong with it is noted with its line, what was
//! expected there and what was probably meant, and reading goes on: a person mends a file once, not
//! once for each mistake. It owns the reading of values by type and range; what they mean is said by
//! whoever reads them. It refuses what it does not know: a key nobody asked for is a mistake.
//!
//! Serde is not used here because it ends at the first mistake.

mod fault;
mod section;

pub use fault::Mistakes;
pub(crate) use section::{Placed, Section, Span};

use std::cell::RefCell;

use toml::de::DeTable;

use fault::Fault;

/// A text that is being read, and what was found wrong with it.
#[derive(Debug)]
pub(crate) struct Sheet<'t> {
    name: &'t str,
    text: &'t str,
    faults: RefCell<Vec<Fault>>,
    /// What no error may show.
    secrets: RefCell<Vec<Span>>,
}

impl<'t> Sheet<'t> {
    /// A text and what to call it: its path as the person wrote it.
    pub(crate) fn new(name: &'t str, text: &'t str) -> Self {
        let (faults, secrets) = (RefCell::new(Vec::new()), RefCell::new(Vec::new()));
        Self { name, text, faults, secrets }
    }

    /// The document's outermost table. Where the text is not TOML that is noted, and nothing else
    /// is read: what the parser makes of the rest would be mistakes about mistakes.
    pub(crate) fn parse(&self) -> Option<DeTable<'t>> {
        let (table, errors) = DeTable::parse_recoverable(self.text);
        if !errors.is_empty() {
            self.hide_keys();
        }
        let mut twice = Vec::new();
        for error in &errors {
            let span = error.span().unwrap_or(0..0);
            if error.message() == "duplicate key" {
                // A table that stands twice repeats its keys as well: that is one mistake.
                let before = self.text.get(..span.start).unwrap_or_default();
                let header = before.rfind("\n[").map_or(0, |at| at + 1);
                if !twice.contains(&header) {
                    let name = self.text.get(span.clone()).unwrap_or_default();
                    let what = format!("{name} stands here a second time");
                    self.note(span, what, "each name once".to_owned());
                    twice.push(header);
                }
                continue;
            }
            let (what, expected) = match error.message().split_once(", expected ") {
                Some((what, expected)) => (what, expected),
                None => (error.message(), "TOML"),
            };
            self.note(span, format!("not TOML: {what}"), expected.to_owned());
        }
        errors.is_empty().then(|| table.into_inner())
    }

    /// Notes a mistake.
    pub(crate) fn note(&self, span: Span, what: String, expected: String) {
        self.note_near(span, what, expected, None);
    }

    /// Notes a mistake, and what was probably meant.
    pub(crate) fn note_near(
        &self,
        span: Span,
        what: String,
        expected: String,
        meant: Option<&str>,
    ) {
        let meant = meant.map(str::to_owned);
        self.faults.borrow_mut().push(Fault { span, what, expected, meant });
    }

    /// Notes a mistake at a text that must not be shown: errors end in terminals and in logs.
    pub(crate) fn note_secret(&self, span: Span, what: String, expected: String) {
        self.secrets.borrow_mut().push(span.clone());
        self.note(span, what, expected);
    }

    /// Where the text is not TOML, nobody can say where a secret begins: lines that seem to set one
    /// are hidden behind their `=`.
    fn hide_keys(&self) {
        let mut at = 0;
        for line in self.text.split_inclusive('\n') {
            let lower = line.to_ascii_lowercase();
            let named = ["key", "token", "secret", "authorization"].iter();
            let first = named.filter_map(|word| lower.find(word)).min();
            let value = first.and_then(|word| Some(word + lower.get(word..)?.find('=')? + 1));
            self.secrets.borrow_mut().extend(value.map(|value| at + value..at + line.len()));
            at += line.len();
        }
    }

    /// The text as errors show it: as long as itself, so that every place stays.
    fn shown(&self) -> String {
        let mut bytes = self.text.as_bytes().to_vec();
        for span in self.secrets.borrow().iter() {
            for byte in bytes.get_mut(span.clone()).into_iter().flatten() {
                *byte = if byte.is_ascii_whitespace() { *byte } else { b'*' };
            }
        }
        String::from_utf8(bytes).unwrap_or_default()
    }

    /// The mistakes, if there are any, in the order of their places.
    pub(crate) fn finish(self) -> Result<(), Mistakes> {
        let shown = self.shown();
        let mut faults = self.faults.into_inner();
        faults.sort_by_key(|fault| (fault.span.start, fault.span.end));
        // What several agents inherit is wrong once.
        faults.dedup_by(|a, b| a.span == b.span && a.expected == b.expected);
        if faults.is_empty() { Ok(()) } else { Err(Mistakes::new(self.name, &shown, &faults)) }
    }
}

/// The known name that a text is probably meant to be.
pub(crate) fn near<'k>(text: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    let lower = text.to_lowercase();
    let far = |name: &str| {
        let name = name.to_lowercase();
        let is_begun = lower.len() > 2 && (name.starts_with(&lower) || lower.starts_with(&name));
        if is_begun { 1 } else { strsim::damerau_levenshtein(&lower, &name) }
    };
    let best = known.into_iter().map(|name| (far(name), name)).min()?;
    // A third of the letters may be wrong; more is another word.
    (best.0 <= text.chars().count().max(3) / 3).then_some(best.1)
}

/// Names as a person reads them: `"a", "b"`, or a word for none.
pub(crate) fn listed<'k>(names: impl IntoIterator<Item = &'k str>) -> String {
    let names: Vec<String> = names.into_iter().map(|name| format!("{name:?}")).collect();
    match names.as_slice() {
        [] => "nothing, there is none".to_owned(),
        [one] => one.clone(),
        several => format!("one of {}", several.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_finger_is_near_and_another_word_is_not() {
        let known = ["instructions", "model", "role", "routes"];
        let check =
            |text: &str, meant: Option<&str>| assert_eq!(near(text, known), meant, "{text}");
        check("instrutcions", Some("instructions"));
        check("Model", Some("model"));
        check("route", Some("routes"));
        check("instr", Some("instructions"));
        check("banana", None);
        check("", None);
    }

    #[test]
    fn every_mistake_is_reported_in_the_order_of_the_text() {
        let sheet = Sheet::new("a.toml", "x = 1\ny = 2\n");
        sheet.note(10..11, "second".into(), "b".into());
        sheet.note(4..5, "first".into(), "a".into());
        sheet.note(4..5, "first again".into(), "a".into());
        let mistakes = sheet.finish().unwrap_err();
        assert_eq!(
            mistakes.to_string(),
            "a.toml has 2 mistakes\n\
             a.toml:1:5: first\n  1 | x = 1\n    |     ^ expected a\n\
             a.toml:2:5: second\n  2 | y = 2\n    |     ^ expected b"
        );
    }

    #[test]
    fn a_secret_is_shown_by_no_error_whatever_the_mistake() {
        let text = "x = { api_key = \"hush hush\", y = 1 }\n";
        let sheet = Sheet::new("a.toml", text);
        sheet.note_secret(16..27, "a key".into(), "none".into());
        sheet.note(33..34, "also here".into(), "2".into());
        let shown = sheet.finish().unwrap_err().to_string();
        assert!(shown.contains("  1 | x = { api_key = ***** *****, y = 1 }"), "{shown}");
        assert!(!shown.contains("hush"), "{shown}");
        let sheet = Sheet::new("a.toml", "x = 1\nAPI_Key = hush\"\n");
        assert!(sheet.parse().is_none());
        let shown = sheet.finish().unwrap_err().to_string();
        assert!(shown.contains("API_Key =") && !shown.contains("hush"), "{shown}");
    }

    #[test]
    fn what_is_not_toml_is_said_with_its_place() {
        let sheet = Sheet::new("a.toml", "x = \n\n[agents.a]\n[agents.a]\n");
        assert!(sheet.parse().is_none());
        let text = sheet.finish().unwrap_err().to_string();
        assert!(
            text.contains("a.toml:1:") && text.contains("a.toml:4:9: a stands here a second"),
            "{text}"
        );
    }
}
