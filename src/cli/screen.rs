//! What a person sees: width, colours, columns, times. Colours only where somebody looks: on a
//! terminal, and without `NO_COLOR`.

use std::{
    borrow::Cow,
    error::Error,
    fmt::Write as _,
    io::{self, IsTerminal as _, Write as _},
    sync::OnceLock,
};

use greenroom_actors::domain::{ids::Timestamp, unseen};

use crate::{
    config::Environment,
    telemetry::redact::{Secrets, by_name},
};

/// Narrower than this, lines are not cut any more.
const WIDTH_MIN: usize = 40;

/// Where results and remarks go.
#[derive(Clone, Copy, Debug)]
pub(super) struct Screen {
    /// Columns of stdout; `None` where it is no terminal and nothing needs to fit.
    pub(super) width: Option<usize>,
    /// The same of stderr.
    pub(super) remarks_width: Option<usize>,
    colours: bool,
    remarks_colours: bool,
}

/// What a piece of text means; its colour follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tone {
    Good,
    Bad,
    Busy,
    Faint,
    Plain,
}

/// What no screen shows: this process's, for it has one screen.
static SECRETS: OnceLock<Secrets> = OnceLock::new();

/// A text for a screen.
fn clean(text: &str) -> Cow<'_, str> {
    SECRETS.get().map_or(Cow::Borrowed(text), |secrets| secrets.clean(text))
}

impl Screen {
    pub(super) fn new(environment: &Environment) -> Self {
        // The first one stays: a process has one environment.
        let _kept = SECRETS.set(environment.secrets.clone());
        let (out, err) = (io::stdout(), io::stderr());
        let width = |terminal: bool, size: Option<usize>| {
            let columns = if terminal { size } else { None };
            columns.or(environment.columns).map(|columns| columns.max(WIDTH_MIN))
        };
        let columns = |size: rustix::io::Result<rustix::termios::Winsize>| {
            size.ok().map(|size| usize::from(size.ws_col)).filter(|columns| *columns > 0)
        };
        Self {
            width: width(out.is_terminal(), columns(rustix::termios::tcgetwinsize(&out))),
            remarks_width: width(err.is_terminal(), columns(rustix::termios::tcgetwinsize(&err))),
            colours: out.is_terminal() && !environment.is_plain,
            remarks_colours: err.is_terminal() && !environment.is_plain,
        }
    }

    /// A piece for stdout.
    pub(super) fn paint(&self, tone: Tone, text: &str) -> String {
        paint(self.colours, tone, text)
    }

    /// A piece for stderr.
    pub(super) fn paint_remark(&self, tone: Tone, text: &str) -> String {
        paint(self.remarks_colours, tone, text)
    }

    /// Prints a result.
    pub(super) fn print(text: &str) -> io::Result<()> {
        let mut out = io::stdout().lock();
        writeln!(out, "{}", clean(text))?;
        out.flush()
    }

    /// Prints what only its owner may read, as it is: the one secret that this program shows, to whoever
    /// started it, is the token that it made.
    pub(super) fn reveal(text: &str) -> io::Result<()> {
        let mut out = io::stdout().lock();
        writeln!(out, "{text}")?;
        out.flush()
    }

    /// Prints a remark. That nobody reads remarks is no failure.
    pub(super) fn remark(text: &str) {
        let _written = writeln!(io::stderr().lock(), "{}", clean(text));
    }

    /// Prints a remark that does not end its line.
    pub(super) fn prompt(text: &str) {
        let mut err = io::stderr().lock();
        let _written = err.write_all(clean(text).as_bytes()).and_then(|()| err.flush());
    }

    /// Prints an error with what caused it.
    pub(super) fn complain(&self, error: &dyn Error) {
        let mut text = format!("{} {error}", self.paint_remark(Tone::Bad, "error:"));
        let (mut cause, mut said) = (error.source(), error.to_string());
        while let Some(error) = cause {
            let why = error.to_string();
            // SQLite's says itself twice, the second time with a number.
            if !why.ends_with(&said) {
                // Writing to a text cannot fail.
                let _written = write!(text, "\n  because: {why}");
            }
            (cause, said) = (error.source(), why);
        }
        // An error may repeat what it could not read, such as an address with a password.
        Self::remark(&by_name(&text));
    }
}

fn paint(on: bool, tone: Tone, text: &str) -> String {
    let code = match tone {
        Tone::Good => "32",
        Tone::Bad => "31",
        Tone::Busy => "33",
        Tone::Faint => "2",
        Tone::Plain => return text.to_owned(),
    };
    if on { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
}

/// Whether a terminal shows a character instead of obeying it.
fn is_plain(c: char) -> bool {
    match c {
        '\n' | '\t' => true,
        other => !other.is_control() && !unseen::turns_around(other),
    }
}

/// A text that a terminal shows instead of obeying: control characters, and those that change the
/// direction of writing, stand as their codes.
pub(super) fn escaped(text: &str) -> String {
    coded(text, is_plain)
}

/// A text that somebody must read as it is, such as a rule: all that nobody sees stands as its code. What
/// models say is prose and full of joiners, so it is [`escaped`] alone.
pub(super) fn exactly(text: &str) -> String {
    coded(text, |c| !unseen::is_unseen(c))
}

fn coded(text: &str, is_fine: impl Fn(char) -> bool) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if is_fine(c) {
            shown.push(c);
        } else {
            shown.extend(c.escape_unicode());
        }
    }
    shown
}

/// One line of at most `width` characters, without control characters; what is cut shows.
pub(super) fn cut(text: &str, width: usize) -> String {
    let mut words = text.split_whitespace();
    let mut line = words.next().unwrap_or_default().to_owned();
    for word in words {
        line.push(' ');
        line.push_str(word);
    }
    line.retain(is_plain);
    if line.chars().count() <= width {
        return line;
    }
    let mut short: String = line.chars().take(width.saturating_sub(1)).collect();
    short.push('…');
    short
}

/// A text in lines that fit the screen, each but the first behind so many blanks.
pub(super) fn wrapped(text: &str, width: Option<usize>, indent: usize) -> String {
    let room = width.map_or(usize::MAX, |width| width.saturating_sub(indent).max(WIDTH_MIN / 2));
    let (mut lines, mut used) = (String::new(), 0);
    for word in text.split_whitespace() {
        let long = word.chars().count();
        if used > 0 && used + 1 + long > room {
            lines.push('\n');
            lines.extend(std::iter::repeat_n(' ', indent));
            used = 0;
        } else if used > 0 {
            lines.push(' ');
            used += 1;
        }
        lines.push_str(word);
        used += long;
    }
    lines
}

/// A cell: its text, its tone.
pub(super) type Cell = (String, Tone);

/// A table's column.
#[derive(Clone, Copy, Debug)]
pub(super) struct Column {
    pub(super) title: &'static str,
    /// Numbers stand to the right.
    pub(super) is_number: bool,
}

/// Lays a table out: columns as wide as their widest cell, the last one cut to what is left of the
/// screen.
pub(super) fn table(screen: &Screen, columns: &[Column], rows: &[Vec<Cell>]) -> String {
    let header = columns.iter().map(|column| (column.title.to_owned(), Tone::Faint)).collect();
    let all: Vec<&Vec<Cell>> = std::iter::once(&header).chain(rows).collect();
    let widest = |at: usize| {
        let cells = all.iter().filter_map(|row| row.get(at));
        cells.map(|(text, _)| text.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns.len()).map(widest).collect();
    let mut lines = Vec::new();
    for row in all {
        let (mut line, mut used) = (String::new(), 0);
        for (at, ((text, tone), column)) in row.iter().zip(columns).enumerate() {
            let wide = widths.get(at).copied().unwrap_or(0);
            let is_last = at + 1 == columns.len();
            let room = screen.width.map_or(usize::MAX, |width| width.saturating_sub(used));
            let text = if is_last { cut(text, room) } else { text.clone() };
            let gap = " ".repeat(wide.saturating_sub(text.chars().count()));
            let painted = screen.paint(*tone, &text);
            if column.is_number {
                line += &gap;
                line += &painted;
            } else {
                line += &painted;
                line += if is_last { "" } else { &gap };
            }
            line += if is_last { "" } else { "  " };
            used += wide + 2;
        }
        lines.push(line.trim_end().to_owned());
    }
    lines.join("\n")
}

/// A number with its thousands apart.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// So many of something.
pub(super) fn counted(number: u64, what: &str) -> String {
    format!("{} {what}{}", grouped(number), if number == 1 { "" } else { "s" })
}

/// A moment as people read it.
pub(super) fn moment(at: Timestamp) -> String {
    at.utc()
}

/// A length of time in the largest unit that leaves more than one of it.
pub(super) fn lasted(ms: u64) -> String {
    let seconds = ms / 1_000;
    let unit = [(86_400, "d"), (3_600, "h"), (60, "min")];
    let unit = unit.into_iter().find(|(length, _)| seconds >= 2 * length);
    let (length, word) = unit.unwrap_or((1, "s"));
    format!("{} {word}", seconds / length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_have_the_largest_unit_that_leaves_more_than_one() {
        for (seconds, text) in [
            (0, "0 s"),
            (119, "119 s"),
            (120, "2 min"),
            (7_199, "119 min"),
            (7_200, "2 h"),
            (172_799, "47 h"),
            (172_800, "2 d"),
        ] {
            assert_eq!(lasted(seconds * 1_000 + 999), text);
        }
    }

    #[test]
    fn moments_are_dates_of_the_calendar() {
        let check = |ms: i64, text: &str| assert_eq!(moment(Timestamp(ms)), text);
        check(0, "1970-01-01 00:00:00.000");
        check(951_782_400_000, "2000-02-29 00:00:00.000");
        check(1_795_256_430_123, "2026-11-21 10:20:30.123");
        check(-1, "1969-12-31 23:59:59.999");
    }

    #[test]
    fn a_cut_shows_and_a_control_character_does_not() {
        assert_eq!(cut("abc", 3), "abc");
        assert_eq!(cut("abcd", 3), "ab…");
        assert_eq!(cut("a\n\u{1b}[31m  b", 20), "a [31m b");
        assert_eq!(cut("rm \u{202e}fdp.x", 20), "rm fdp.x");
    }

    #[test]
    fn what_a_terminal_would_obey_is_shown_as_its_code() {
        assert_eq!(escaped("a\tb\nä"), "a\tb\nä");
        assert_eq!(escaped("\u{1b}[2Jx\r"), "\\u{1b}[2Jx\\u{d}");
        assert_eq!(escaped("rm \u{202e}fdp.x"), "rm \\u{202e}fdp.x");
        assert_eq!(escaped("⚠\u{fe0f}"), "⚠\u{fe0f}", "prose is left as it is");
        assert_eq!(exactly("rm\u{a0}\u{200b}x⚠\u{fe0f}"), "rm\\u{a0}\\u{200b}x⚠\\u{fe0f}");
    }

    #[test]
    fn thousands_stand_apart() {
        assert_eq!(grouped(0), "0");
        assert_eq!(grouped(999), "999");
        assert_eq!(grouped(1_234_567), "1,234,567");
        assert_eq!(
            [0, 1, 1_000].map(|no| counted(no, "call")),
            ["0 calls", "1 call", "1,000 calls"]
        );
    }

    #[test]
    fn a_long_text_stands_in_lines_that_fit() {
        let text = "one two three four five six seven";
        assert_eq!(wrapped(text, None, 4), text);
        assert_eq!(wrapped(text, Some(24), 4), "one two three four\n    five six seven");
        assert_eq!(wrapped(&"x".repeat(90), Some(40), 4), "x".repeat(90));
    }

    #[test]
    fn the_last_column_is_cut_to_the_screen_and_numbers_stand_right() {
        let screen =
            Screen { width: Some(16), remarks_width: None, colours: false, remarks_colours: false };
        let columns = [("NAME", false), ("NO", true), ("WORDS", false)]
            .map(|(title, is_number)| Column { title, is_number });
        let cell = |text: &str| (text.to_owned(), Tone::Good);
        let rows = vec![vec![cell("a"), cell("7"), cell("many words")]];
        assert_eq!(table(&screen, &columns, &rows), "NAME  NO  WORDS\na      7  many …");
    }
}
