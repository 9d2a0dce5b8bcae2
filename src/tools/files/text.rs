//! Files as a model reads them: text or not, lines with their numbers, nothing that a terminal
//! would obey, and never more than one answer holds.

use std::{
    fmt::Write as _,
    io::{self, BufRead},
};

use greenroom_actors::{domain::unseen, limits};

/// Whether bytes are what people write. A NUL is in no text; UTF-16, which is full of them, is not
/// read either.
pub(super) fn is_text(head: &[u8]) -> bool {
    !head.contains(&0)
}

/// A piece of text without what a terminal obeys or an eye cannot see: written out instead, so
/// that it can still be told, and repeated in an edit.
pub(super) fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if is_odd(c) {
            // Writing to a text cannot fail.
            let _written = write!(out, "\\u{{{:x}}}", u32::from(c));
        } else {
            out.push(c);
        }
    }
    out
}

/// Whether a character is written out by [`plain`].
pub(super) fn is_odd(c: char) -> bool {
    (c.is_control() && c != '\t') || unseen::has_no_shape(c)
}

/// Reads a line, and keeps no more of it than could be shown. Returns its whole length; 0 at the end.
pub(super) fn next_line(reader: &mut impl BufRead, line: &mut Vec<u8>) -> io::Result<usize> {
    // A character has up to four bytes, and one more of them tells that the line goes on.
    const KEPT: usize = 4 * (limits::FILE_LINE_CHARS + 1);
    line.clear();
    let mut length = 0;
    loop {
        let read = reader.fill_buf()?;
        let end = read.iter().position(|byte| *byte == b'\n').map(|at| at + 1);
        let taken = end.unwrap_or(read.len());
        let room = KEPT.saturating_sub(line.len());
        line.extend(read.iter().take(taken.min(room)));
        reader.consume(taken);
        length += taken;
        if end.is_some() || taken == 0 {
            return Ok(length);
        }
    }
}

/// The first characters of a line, and how many bytes it has if that is not all.
pub(super) fn short(line: &str, chars_max: usize, bytes: usize) -> String {
    match line.char_indices().nth(chars_max) {
        None => plain(line),
        Some((end, _)) => {
            let head = line.get(..end).unwrap_or_default();
            format!("{}… [the line has {bytes} bytes]", plain(head))
        }
    }
}

/// A line of a file, without its end.
pub(super) fn bare(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}

/// An answer that is put together, up to what one holds.
#[derive(Debug, Default)]
pub(super) struct Answer {
    text: String,
    is_full: bool,
}

impl Answer {
    /// Adds a line; false when it does not fit any more, and then no other one does.
    pub(super) fn line(&mut self, line: &str) -> bool {
        self.is_full |= self.text.len() + line.len() + 1 > limits::FILE_SHOWN_BYTES;
        if !self.is_full {
            self.text.push_str(line);
            self.text.push('\n');
        }
        !self.is_full
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    /// All of it, and a last word about what is not there.
    pub(super) fn end(mut self, note: Option<String>) -> String {
        match note {
            Some(note) => self.text.push_str(&format!("[{note}]")),
            None => drop(self.text.pop()),
        }
        self.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_would_obey_is_written_out() {
        assert_eq!(
            plain("a\tb\u{1b}[31m\u{202e}c\u{7}\u{9b}"),
            "a\tb\\u{1b}[31m\\u{202e}c\\u{7}\\u{9b}"
        );
        assert_eq!(plain("grüße 🎭"), "grüße 🎭");
    }

    #[test]
    fn a_long_line_is_cut_between_characters() {
        assert_eq!(short("äöü", 3, 6), "äöü");
        assert_eq!(short("äöüß", 3, 8), "äöü… [the line has 8 bytes]");
    }

    #[test]
    fn an_answer_that_is_full_takes_no_shorter_line_either() {
        let mut answer = Answer::default();
        assert!(answer.line("first"));
        assert!(!answer.line(&"x".repeat(limits::FILE_SHOWN_BYTES)));
        assert!(!answer.line("last"), "a gap would not be seen");
        assert_eq!(answer.end(Some("more".to_owned())), "first\n[more]");
    }
}
