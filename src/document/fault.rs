//! A mistake in a text, and how it is shown: the line as it stands, a mark below the place, and what
//! was expected there.

use std::fmt::{self, Write as _};

use super::Span;

/// Characters of a line that are shown; a longer one is cut around the place.
const SHOWN: usize = 110;

/// One mistake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    /// Where, in bytes.
    pub(super) span: Span,
    /// What is wrong.
    pub(super) what: String,
    /// What would have been right.
    pub(super) expected: String,
    /// What was probably meant.
    pub(super) meant: Option<String>,
}

/// Everything that is wrong with a text, ready to be read by a person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistakes(String);

impl Mistakes {
    pub(super) fn new(name: &str, text: &str, faults: &[Fault]) -> Self {
        let mut shown = match faults.len() {
            1 => format!("{name} has a mistake"),
            count => format!("{name} has {count} mistakes"),
        };
        for fault in faults {
            shown.push('\n');
            show(&mut shown, name, text, fault);
        }
        Self(shown)
    }

    /// A text that cannot even be read.
    pub(crate) fn unreadable(name: &str, why: &str) -> Self {
        Self(format!("read {name}: {why}"))
    }
}

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Mistakes {}

fn show(shown: &mut String, name: &str, text: &str, fault: &Fault) {
    let place = Place::of(text, &fault.span);
    let number = place.line.to_string();
    let margin = " ".repeat(number.len());
    let marks = "^".repeat(place.marks);
    let gap = " ".repeat(place.before);
    let Fault { what, expected, meant, .. } = fault;
    // Writing to a text cannot fail.
    let _written = write!(
        shown,
        "{name}:{number}:{column}: {what}\n  {number} | {line}\n  {margin} | {gap}{marks} expected {expected}",
        column = place.column,
        line = place.shown,
    );
    if let Some(meant) = meant {
        let _written = write!(shown, "\n  {margin} = did you mean {meant:?}?");
    }
}

/// Where a span stands, and its line as it is shown.
struct Place {
    /// From 1.
    line: usize,
    /// In characters, from 1.
    column: usize,
    /// The line, without control characters, cut to what can be shown.
    shown: String,
    /// Characters shown before the marks.
    before: usize,
    marks: usize,
}

impl Place {
    fn of(text: &str, span: &Span) -> Self {
        let start = span.start.min(text.len());
        let before = text.get(..start).unwrap_or(text);
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        let line = text.get(line_start..).unwrap_or_default().lines().next().unwrap_or_default();
        let column = text.get(line_start..start).unwrap_or_default().chars().count();
        let marked = text.get(start..span.end).unwrap_or_default();
        let marked = marked.lines().next().unwrap_or_default().chars().count().max(1);
        // A long line is cut so that the place is seen.
        let skipped = if column + marked.min(SHOWN / 2) > SHOWN { column - SHOWN / 4 } else { 0 };
        let plain = |c: char| if c.is_control() { ' ' } else { c };
        let shown: String = line.chars().skip(skipped).take(SHOWN).map(plain).collect();
        let room = shown.chars().count().saturating_sub(column - skipped).max(1);
        Self {
            line: before.matches('\n').count() + 1,
            column: column + 1,
            shown: shown.trim_end().to_owned(),
            before: column - skipped,
            marks: marked.min(room),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str, span: Span) -> String {
        let (what, expected) = ("wrong".to_owned(), "right".to_owned());
        let fault = Fault { span, what, expected, meant: Some("it".to_owned()) };
        Mistakes::new("f", text, &[fault]).to_string()
    }

    #[test]
    fn the_mark_stands_below_the_place_whatever_stands_before_it() {
        assert_eq!(
            shown("a = 1\n\tä = \"x\"\n", 12..15),
            "f has a mistake\nf:2:6: wrong\n  2 |  ä = \"x\"\n    |      ^^^ expected right\n    \
             = did you mean \"it\"?"
        );
    }

    #[test]
    fn a_place_at_the_end_or_over_lines_or_in_a_long_line_is_shown() {
        assert!(shown("a", 1..1).contains("f:1:2: wrong\n  1 | a\n    |  ^ expected"));
        assert!(shown("a = \"\"\"x\ny\"\"\"", 4..13).contains("\n    |     ^^^^ expected"));
        let long = format!("{}!{}", "x".repeat(300), "y".repeat(300));
        let text = shown(&long, 300..301);
        let lines: Vec<&str> = text.lines().collect();
        let at = lines.get(3).and_then(|line| line.find('^'));
        assert_eq!(lines.get(2).and_then(|line| line.find('!')), at, "{text}");
    }
}
