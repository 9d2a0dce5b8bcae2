//! A text without what may stand amid a secret and is no part of it: commands to a terminal, as they are
//! and as the tools show them so that none obeys, and the ends of lines with the blanks that a next line
//! begins with, also where they are written as `\\n`. A secret that a colour or the width of a page
//! has broken is whole in it.

/// How a terminal's command begins: itself, and as the tools show it.
const COMMANDS: [&str; 4] = ["\u{1b}", "\u{241b}", "\\u{1b}", "\\u001b"];
/// How a line ends: itself, as text in JSON, and where a mail's lines are soft.
const ENDS: [&str; 6] = ["\n", "\r", "\\n", "\\r", "=\n", "=\r\n"];

/// The text, and where each piece of it stood.
#[derive(Debug)]
pub(super) struct Joined {
    text: String,
    /// Where a piece begins, here and in the text as it came; in order.
    pieces: Vec<(usize, usize)>,
}

impl Joined {
    /// Nothing where there is nothing to leave out.
    pub(super) fn of(text: &str) -> Option<Self> {
        Self::read(text, false)
    }

    /// Of a text that goes on: what its end may become is left out as well.
    pub(super) fn of_beginning(text: &str) -> Option<Self> {
        Self::read(text, true)
    }

    fn read(text: &str, goes_on: bool) -> Option<Self> {
        let mut joined = Self { text: String::new(), pieces: Vec::new() };
        let mut from = 0;
        while let Some((begin, after)) = next(text, from, goes_on) {
            joined.take(text, from, begin);
            from = after;
        }
        if from == 0 {
            return None;
        }
        joined.take(text, from, text.len());
        Some(joined)
    }

    fn take(&mut self, text: &str, from: usize, to: usize) {
        if let Some(piece) = text.get(from..to).filter(|piece| !piece.is_empty()) {
            self.pieces.push((self.text.len(), from));
            self.text.push_str(piece);
        }
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// Where in the text as it came this byte is.
    pub(super) fn at(&self, place: usize) -> usize {
        let next = self.pieces.partition_point(|(here, _there)| *here <= place);
        let piece = next.checked_sub(1).and_then(|no| self.pieces.get(no));
        piece.map_or(place, |(here, there)| there + (place - here))
    }
}

/// The next thing to leave out: where it begins and where the text goes on.
fn next(text: &str, from: usize, goes_on: bool) -> Option<(usize, usize)> {
    let bytes = text.as_bytes();
    let may_begin = |byte: &u8| matches!(byte, b'\n' | b'\r' | b'\x1b' | b'\\' | b'=' | 0xe2);
    let mut at = from;
    loop {
        at += bytes.get(at..)?.iter().position(may_begin)?;
        // Each of those bytes begins a character.
        let rest = text.get(at..)?;
        if let Some(after) = COMMANDS.iter().find_map(|begin| rest.strip_prefix(begin)) {
            return Some((at, text.len() - after_command(after).len()));
        }
        if let Some(after) = ENDS.iter().find_map(|end| rest.strip_prefix(end)) {
            return Some((at, text.len() - line(after, goes_on).len()));
        }
        if goes_on && COMMANDS.iter().chain(&ENDS).any(|mark| mark.starts_with(rest)) {
            return Some((at, text.len()));
        }
        at += 1;
    }
}

/// A line without the blanks that it begins with, and without its number, behind which is a tab.
fn line(text: &str, goes_on: bool) -> &str {
    let text = text.trim_start_matches([' ', '\t']);
    match text.trim_start_matches(|c: char| c.is_ascii_digit()) {
        // What a number at the end is will be seen.
        "" if goes_on => "",
        rest if rest.len() < text.len() => rest.strip_prefix('\t').unwrap_or(text),
        _ => text,
    }
}

/// What stands behind a command, of which this is the text behind its first character.
fn after_command(text: &str) -> &str {
    let Some(parameters) = text.strip_prefix('[') else {
        let mut rest = text.chars();
        rest.next();
        return rest.as_str();
    };
    // Parameters, until a letter ends the command.
    let end = parameters.trim_start_matches(|c| matches!(c, ' '..='?'));
    end.strip_prefix(|c| matches!(c, '@'..='~')).unwrap_or(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_out_is_known_by_its_place() {
        let check = |text: &str, left: &str| {
            let joined = Joined::of(text).unwrap();
            assert_eq!(joined.text(), left, "{text:?}");
            for (at, byte) in joined.text().bytes().enumerate() {
                assert_eq!(text.as_bytes()[joined.at(at)], byte, "{at} of {text:?}");
            }
        };
        check("a\nb", "ab");
        check("\u{1b}[31ma\u{1b}[0mb\r\n \t c", "abc");
        check("a\\n  b\\r\\nc=\r\nd=e", "abcd=e");
        check("\n", "");
        check("   1\tab\n   2\tcd\n 34 e\n5:f", "   1\tabcd34 e5:f");
        check("Ω␛[1mΩ…", "ΩΩ…");
        check("\\u001b[2Kx \\u0041", "x \\u0041");
        assert!(Joined::of("a b=c \\t … Ω").is_none());
    }
}
