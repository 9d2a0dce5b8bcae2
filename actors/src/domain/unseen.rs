//! Characters that no eye sees: the one list of them, for whoever shows a text, compares names, or asks
//! a person whether a command may run. What the page shows in boxes is the same list, which a test of the
//! page holds to this one.
//!
//! What has no shape is what Unicode says of characters, and a test here asks its tables: nobody keeps such a
//! list by hand. The ranges stand written out, because a decision must not change with a library.

/// Whether a character changes the direction of reading, so that a text is not read as it stands.
#[must_use]
pub const fn turns_around(c: char) -> bool {
    matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Whether it has no width or shape of its own, or turns the direction: what may be left out in drawing
/// (joiners, marks, soft hyphens, fillers, selectors of variants, tags), what only formats, and ends of
/// lines and paragraphs that are no characters of ASCII. Signs that are drawn around digits do have one.
#[must_use]
pub const fn has_no_shape(c: char) -> bool {
    matches!(
        c,
        '\u{ad}'
            | '\u{34f}'
            | '\u{61c}'
            | '\u{115f}'..='\u{1160}'
            | '\u{17b4}'..='\u{17b5}'
            | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{3164}'
            | '\u{fe00}'..='\u{fe0f}'
            | '\u{feff}'
            | '\u{ffa0}'
            | '\u{fff0}'..='\u{fffb}'
            | '\u{13430}'..='\u{1343f}'
            | '\u{1bca0}'..='\u{1bca3}'
            | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{e0fff}'
    )
}

/// Whether a person who must read a text exactly cannot see what stands there: all of the above, control
/// characters, and blanks that are no space. A tab and the end of a line are what they look like.
#[must_use]
pub fn is_unseen(c: char) -> bool {
    (c.is_control() && !matches!(c, '\n' | '\t'))
        || (c.is_whitespace() && !c.is_ascii())
        // A pattern of Braille without a dot: a blank that is none.
        || c == '\u{2800}'
        || has_no_shape(c)
}

/// JSON in which each such character within a text stands as an escape: the same value, to be read.
#[must_use]
pub fn in_json(json: &str) -> String {
    let mut shown = String::with_capacity(json.len());
    for c in json.chars() {
        if is_unseen(c) {
            for unit in c.encode_utf16(&mut [0; 2]) {
                shown.push_str(&format!("\\u{unit:04x}"));
            }
        } else {
            shown.push(c);
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use regex_automata::nfa::thompson::pikevm::PikeVM;

    use super::*;

    /// Whether a class of Unicode's tables is the same as ours, over every character.
    #[track_caller]
    fn same(class: &str, ours: fn(char) -> bool) {
        let theirs = PikeVM::new(class).unwrap();
        let mut cache = theirs.create_cache();
        for c in '\0'..=char::MAX {
            let is_theirs = theirs.is_match(&mut cache, c.encode_utf8(&mut [0; 4]).as_bytes());
            assert_eq!(ours(c), is_theirs, "{}", c.escape_unicode());
        }
    }

    #[test]
    fn what_has_no_shape_is_what_unicode_says() {
        same(
            r"[[\p{Default_Ignorable_Code_Point}\p{Cf}\p{Zl}\p{Zp}]--\p{Prepended_Concatenation_Mark}]",
            has_no_shape,
        );
        same(r"\p{Bidi_Control}", turns_around);
    }

    #[test]
    fn what_cannot_be_seen_is_that_and_controls_and_blanks() {
        same(
            r"[[\p{Default_Ignorable_Code_Point}\p{Cf}\p{Cc}\p{White_Space}\x{2800}]--[\p{Prepended_Concatenation_Mark} \t\n]]",
            is_unseen,
        );
    }

    #[test]
    fn json_says_the_same_with_what_is_hidden_written_out() {
        let hidden = "a\u{202e}b\u{200b}\u{e0041}\u{fe0f}\u{a0}\u{7f} \"ä😀\"";
        let json = serde_json::json!({ "command": hidden }).to_string();
        let shown = in_json(&json);
        assert!(!shown.contains(is_unseen), "{shown}");
        assert!(shown.contains(r"a\u202eb\u200b\udb40\udc41\ufe0f\u00a0\u007f"), "{shown}");
        let said: serde_json::Value = serde_json::from_str(&shown).unwrap();
        assert_eq!(said["command"], hidden);
    }
}
