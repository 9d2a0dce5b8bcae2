//! Characters that no eye sees: the one list of them, for whoever shows a text, compares names, or asks
//! a person whether a command may run. Control characters are not among them; each place has its own
//! word on those.

/// Whether a character changes the direction of reading, so that a text is not read as it stands.
#[must_use]
pub const fn turns_around(c: char) -> bool {
    matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Whether it has no width or shape of its own, or turns the direction: joiners, marks, soft hyphens,
/// tags, ends of lines and paragraphs that are no characters of ASCII.
#[must_use]
pub const fn has_no_shape(c: char) -> bool {
    turns_around(c)
        || matches!(
            c,
            '\u{ad}'
                | '\u{200b}'..='\u{200d}'
                | '\u{2028}'..='\u{2029}'
                | '\u{2060}'..='\u{206f}'
                | '\u{feff}'
                | '\u{fff9}'..='\u{fffb}'
                | '\u{e0000}'..='\u{e007f}'
        )
}
