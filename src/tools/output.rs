//! What a tool wrote, as it may be shown: the head and the tail of it, however much it was, and
//! nothing that a terminal or a reader's eye would obey. It is data; what it says decides nothing.

use std::collections::VecDeque;

use greenroom_actors::{domain::unseen, limits};

/// Head and tail of a stream of bytes, in a bounded room.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Capture {
    head: Vec<u8>,
    tail: VecDeque<u8>,
    all: u64,
}

impl Capture {
    /// Takes the next bytes.
    pub fn take(&mut self, bytes: &[u8]) {
        self.all += bytes.len() as u64;
        let room = limits::TOOL_OUTPUT_BYTES - self.head.len();
        let (head, rest) = bytes.split_at(room.min(bytes.len()));
        self.head.extend_from_slice(head);
        // Of a piece longer than the tail only its end can stay.
        let rest = rest.get(rest.len().saturating_sub(limits::TOOL_OUTPUT_BYTES)..);
        let rest = rest.unwrap_or_default();
        let over = (self.tail.len() + rest.len()).saturating_sub(limits::TOOL_OUTPUT_BYTES);
        self.tail.drain(..over.min(self.tail.len()));
        self.tail.extend(rest);
    }

    /// How many bytes there were.
    #[must_use]
    pub const fn all(&self) -> u64 {
        self.all
    }

    /// How many of them were left out.
    #[must_use]
    pub fn missing(&self) -> u64 {
        self.all - (self.head.len() + self.tail.len()) as u64
    }

    /// How many more bytes it takes before it leaves some out.
    pub(super) fn room(&self) -> usize {
        2 * limits::TOOL_OUTPUT_BYTES - self.head.len() - self.tail.len()
    }

    /// What it holds: all of it, while nothing is left out.
    pub(super) fn so_far(&self) -> Vec<u8> {
        let (front, back) = self.tail.as_slices();
        [&self.head[..], front, back].concat()
    }

    /// So much of the end as is wanted and there, without what stands in the head.
    pub(super) fn tail(&self, wanted: u64) -> Vec<u8> {
        let wanted = usize::try_from(wanted).unwrap_or(usize::MAX).min(self.tail.len());
        self.tail.range(self.tail.len() - wanted..).copied().collect()
    }

    /// As text that can be shown.
    #[must_use]
    pub fn shown(&self) -> String {
        let tail: Vec<u8> = self.tail.iter().copied().collect();
        let missing = self.missing();
        if missing == 0 {
            return plain(&String::from_utf8_lossy(&[&self.head[..], &tail].concat()));
        }
        let head = plain(&String::from_utf8_lossy(&self.head));
        let tail = plain(&String::from_utf8_lossy(&tail));
        format!("{head}\n[… {missing} bytes left out …]\n{tail}")
    }
}

/// The same text with everything visible: control characters as their pictures, those that turn
/// the direction of reading or have no width as their numbers. Ends of lines become one character.
#[must_use]
pub fn plain(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\n' | '\t' => shown.push(c),
            '\r' if chars.peek() == Some(&'\n') => {}
            '\u{0}'..='\u{1f}' => {
                shown.push(char::from_u32(0x2400 + u32::from(c)).unwrap_or('\u{fffd}'));
            }
            '\u{7f}' => shown.push('\u{2421}'),
            '\u{80}'..='\u{9f}' => shown.extend(c.escape_unicode()),
            _ if unseen::has_no_shape(c) => shown.extend(c.escape_unicode()),
            _ => shown.push(c),
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_a_terminal_would_obey_is_only_shown() {
        let table = [
            ("plain\ttext\n", "plain\ttext\n"),
            ("\u{1b}[31mred\u{1b}[0m", "␛[31mred␛[0m"),
            ("\u{1b}]0;title\u{7}", "␛]0;title␇"),
            ("one\r\ntwo\rthree", "one\ntwo␍three"),
            ("a\u{8}b\u{7f}", "a␈b␡"),
            ("\u{9b}2J", "\\u{9b}2J"),
            ("abc\u{202e}fed", "abc\\u{202e}fed"),
            ("\u{e0041}", "\\u{e0041}"),
            ("Grüße, 日本 🎭", "Grüße, 日本 🎭"),
        ];
        for (written, shown) in table {
            assert_eq!(plain(written), shown, "{written:?}");
        }
    }

    proptest! {
        #[test]
        fn head_and_tail_are_kept_however_it_came(
            pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..90_000), 0..6)
        ) {
            let mut capture = Capture::default();
            pieces.iter().for_each(|piece| capture.take(piece));
            let whole = pieces.concat();
            let head = whole.len().min(limits::TOOL_OUTPUT_BYTES);
            let tail = (whole.len() - head).min(limits::TOOL_OUTPUT_BYTES);
            prop_assert_eq!(&capture.head, &whole[..head]);
            prop_assert!(capture.tail.iter().eq(&whole[whole.len() - tail..]));
            prop_assert_eq!(capture.missing() as usize, whole.len() - head - tail);
        }
    }
}
