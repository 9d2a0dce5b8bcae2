//! From text to a tree, and whether the tree can be believed. The grammar is an editor's: it skips
//! what it does not expect and goes on. So each character must stand in a token, or be a blank
//! between two; a tree for which that is not so is walked all the same, but as one that is not
//! understood.
//!
//! The grammar's own scanner is C and looks characters up in tables of a byte: one beyond that makes it
//! read where nothing is. So it is given one letter for each byte that is not a plain character, which
//! to a shell is part of a word as well; words are then cut from the true text, at the same places.

use std::{cell::RefCell, ops::ControlFlow};

use tree_sitter::{Node, ParseOptions, Parser, Tree, TreeCursor};

use crate::limits;

thread_local! {
    /// A parser is a buffer: it is kept because making one costs more than reading most commands.
    static PARSER: RefCell<Option<Parser>> = RefCell::new(fresh());
}

fn fresh() -> Option<Parser> {
    let mut parser = Parser::new();
    parser.set_language(&tree_sitter_bash::LANGUAGE.into()).ok()?;
    Some(parser)
}

/// The tree of a text; `None` when it takes longer than a command may take. The work is counted in
/// steps and not in time, so that the same text always has the same answer.
pub(super) fn parse(text: &str) -> Option<Tree> {
    let chained = |token| text.matches(token).count() > limits::COMMAND_PIPES;
    if text.matches("<<").count() > limits::HERE_DOCUMENTS || chained("|") || chained("[[") {
        return None;
    }
    let bytes: Vec<u8> = text.bytes().map(|b| if is_plain_byte(b) { b } else { b'x' }).collect();
    PARSER.with(|slot| {
        let mut slot = slot.borrow_mut();
        let parser = slot.as_mut()?;
        parser.reset();
        let mut left = limits::PARSE_STEPS;
        let mut count = |_: &tree_sitter::ParseState| {
            left = left.saturating_sub(1);
            if left == 0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        };
        let options = ParseOptions::new().progress_callback(&mut count);
        let mut chunk = |at: usize, _| bytes.get(at..).unwrap_or_default();
        parser.parse_with_options(&mut chunk, None, Some(options))
    })
}

const fn is_plain_byte(byte: u8) -> bool {
    matches!(byte, b'\n' | b'\t' | b' '..=b'~')
}

/// Why a tree cannot be believed.
pub(super) fn mistake(root: Node<'_>, text: &str) -> Option<&'static str> {
    if root.has_error() {
        return Some("the command cannot be read as bash");
    }
    let ends = text.get(..root.start_byte()).is_none_or(is_blank)
        && text.get(root.end_byte()..).is_none_or(is_blank);
    if ends { gap(&mut root.walk(), text, 0) } else { Some("an end of the command cannot be read") }
}

/// Whether characters within the cursor's node stand in none of its tokens. One cursor walks the whole
/// tree, for making one costs more than looking at a node.
fn gap(cursor: &mut TreeCursor<'_>, text: &str, depth: usize) -> Option<&'static str> {
    if depth > limits::TREE_DEPTH {
        return Some("the command is nested deeper than is analysed");
    }
    let node = cursor.node();
    if node.kind() == "comment" && !begins_comment(text, node.start_byte()) {
        return Some("a `#` stands where it may not begin a comment");
    }
    if !cursor.goto_first_child() {
        return None;
    }
    // Their text is read from the source and not from the tokens.
    let own_text = matches!(node.kind(), "string" | "heredoc_body");
    let mut at = node.start_byte();
    let one_line = is_one_line(node);
    let mut is_open = false;
    loop {
        let part = cursor.node();
        let between = text.get(at..part.start_byte());
        if !own_text && !between.is_none_or(is_blank) {
            return Some(GAP);
        }
        if one_line && !is_open && between.is_some_and(|gap| new_line(gap).is_some()) {
            return Some(NEW_LINE);
        }
        is_open = matches!(part.kind(), "|" | "|&");
        at = at.max(part.end_byte());
        if let Some(why) = gap(cursor, text, depth + 1) {
            return Some(why);
        }
        if !cursor.goto_next_sibling() {
            break;
        }
    }
    cursor.goto_parent();
    let rest = !own_text && !text.get(at..node.end_byte()).is_none_or(is_blank);
    rest.then_some(GAP)
}

/// Whether a new line ends it, but for what stands open before it.
fn is_one_line(node: Node<'_>) -> bool {
    matches!(
        node.kind(),
        "command"
            | "redirected_statement"
            | "pipeline"
            | "test_command"
            | "negated_command"
            | "declaration_command"
            | "unset_command"
            | "variable_assignments"
            | "file_redirect"
            | "herestring_redirect"
    )
}

/// Where in what stands between two tokens a line ends.
fn new_line(gap: &str) -> Option<usize> {
    let mut ends = gap.match_indices('\n').map(|(at, _)| at);
    ends.find(|at| !gap.get(..*at).is_some_and(|before| before.ends_with('\\')))
}

/// The text with a `;` for each new line that the grammar reads over within a command: what follows it
/// is another one.
pub(super) fn with_ends(root: Node<'_>, text: &str) -> Option<String> {
    let mut ended = text.as_bytes().to_vec();
    put_ends(&mut root.walk(), text, (&mut ended, 0));
    String::from_utf8(ended).ok()
}

fn put_ends(cursor: &mut TreeCursor<'_>, text: &str, (ended, depth): (&mut Vec<u8>, usize)) {
    let node = cursor.node();
    if depth > limits::TREE_DEPTH || !cursor.goto_first_child() {
        return;
    }
    let (mut at, mut is_open) = (node.start_byte(), false);
    loop {
        let part = cursor.node();
        let end = text.get(at..part.start_byte()).and_then(new_line).map(|end| at + end);
        if let Some(end) = end.filter(|_| is_one_line(node) && !is_open)
            && let Some(end) = ended.get_mut(end)
        {
            *end = b';';
        }
        is_open = matches!(part.kind(), "|" | "|&");
        at = at.max(part.end_byte());
        put_ends(cursor, text, (&mut *ended, depth + 1));
        if !cursor.goto_next_sibling() {
            break;
        }
    }
    cursor.goto_parent();
}

/// What the grammar does behind a long pipe.
pub(super) const NEW_LINE: &str = "a new line stands within a command";
const GAP: &str = "some characters of the command have no place in its reading";

fn is_blank(gap: &str) -> bool {
    let blank = |text: &str| text.chars().all(|c| matches!(c, ' ' | '\t' | '\n'));
    if !gap.contains('\\') {
        return blank(gap);
    }
    let joined = gap.replace("\\\n", "");
    // A joined line without a blank at the joint is one word, which the grammar takes for two.
    !joined.is_empty() && blank(&joined)
}

fn begins_comment(text: &str, at: usize) -> bool {
    let before = text.get(..at).and_then(|before| before.chars().next_back());
    before.is_none_or(|c| matches!(c, ' ' | '\t' | '\n' | ';' | '&' | '|' | '(' | ')'))
        && !text.get(..at).is_some_and(|before| before.ends_with("\\\n"))
}

/// The part of a text that is analysed, and whether there is more.
pub(in crate::policy) fn beginning(text: &str) -> (&str, bool) {
    let mut end = limits::COMMAND_BYTES;
    if text.len() <= end {
        return (text, false);
    }
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    (text.get(..end).unwrap_or_default(), true)
}

/// The words of a command that has nothing to interpret: one program, no quotes, no operators. The
/// tree of such a text is one command with these words, which a law of the tests holds against it.
pub(super) fn plain_words(text: &str) -> Option<impl Iterator<Item = &str>> {
    let plain = |c: char| {
        c.is_ascii_alphanumeric()
            || matches!(c, ' ' | '_' | '-' | '.' | '/' | ':' | ',' | '@' | '%' | '+' | '=')
    };
    let words = || text.split(' ').filter(|word| !word.is_empty());
    let first = words().next()?;
    let simple = text.len() <= limits::COMMAND_BYTES
        && text.chars().all(plain)
        && !first.contains('=')
        && !KEYWORDS.contains(&first);
    simple.then(words)
}

/// Whether a word is the shell's where a command may begin, so that it is no program.
pub(super) fn is_keyword(word: &str) -> bool {
    KEYWORDS.contains(&word) || matches!(word, "!" | "{" | "}" | "[[")
}

/// The same commands with less before them, where the grammar reads them otherwise than a shell does: it
/// takes what follows a `!` or a `time` for a simple command, stumbles over a backslash that begins a line,
/// and does not know `<>`, which writes as `>` does, nor a descriptor before `<`. `None` where there is
/// nothing of that. Within quotes this changes words and no commands, so it is read beside the text and
/// not in its place.
pub(super) fn bared(text: &str) -> Option<String> {
    let mut bare = text.as_bytes().to_vec();
    let mut at = 0;
    while let Some(found) = bare.get(at..).and_then(|rest| rest.iter().position(may_hide)) {
        at += found;
        let end = match bare.get(at..).unwrap_or_default() {
            [b'\\', after, ..] => {
                let begins = at > 0 && bare.get(at - 1) == Some(&b'\n');
                at + usize::from(begins && (after.is_ascii_alphanumeric() || is_a_blank(after)))
            }
            [b'<', after, ..] => {
                let writes = *after == b'>';
                let number = at - descriptor(bare.get(..at).unwrap_or_default());
                let end = at + usize::from(writes);
                at = number;
                end
            }
            rest => at + prefix(rest),
        };
        if let Some(hidden) = bare.get_mut(at..end) {
            hidden.fill(b' ');
        }
        at = end.max(at + 1);
    }
    let bare = String::from_utf8(bare).ok()?;
    (bare != text).then_some(bare)
}

/// How long the number is that ends a text and is a word: before `<` it is a descriptor.
fn descriptor(before: &[u8]) -> usize {
    let digits = before.iter().rev().take_while(|byte| byte.is_ascii_digit()).count();
    let ahead = before.len().checked_sub(digits + 1).and_then(|at| before.get(at));
    let is_word =
        ahead.is_some_and(|byte| matches!(byte, b' ' | b'\t' | b';' | b'&' | b'|' | b'('));
    if is_word { digits } else { 0 }
}

const fn may_hide(byte: &u8) -> bool {
    matches!(byte, b'!' | b't' | b'\\' | b'<')
}

const fn is_a_blank(byte: &u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

/// How long a `!` or a `time` is that stands before a word of the shell's.
fn prefix(rest: &[u8]) -> usize {
    let length = match rest {
        [b'!', ..] => 1,
        [b't', b'i', b'm', b'e', b' ', b'-', b'p', ..] => 7,
        [b't', b'i', b'm', b'e', ..] => 4,
        _ => return 0,
    };
    let after = rest.get(length..).unwrap_or_default();
    let Some(blanks) = after.iter().position(|byte| !is_a_blank(byte)).filter(|many| *many > 0)
    else {
        return 0;
    };
    // No word of the shell's is longer.
    let word = after.get(blanks..).unwrap_or_default();
    let word = word.get(..word.len().min(KEYWORD_BYTES + 1)).unwrap_or_default();
    let goes_on = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'!' | b'{' | b'[');
    let long = word.iter().position(|byte| !goes_on(byte)).unwrap_or(word.len());
    let is_shells = match std::str::from_utf8(word.get(..long).unwrap_or_default()) {
        Ok("") => word.first() == Some(&b'('),
        Ok(word) => is_keyword(word),
        Err(_cut) => false,
    };
    if is_shells { length } else { 0 }
}

/// The longest word of the shell's.
const KEYWORD_BYTES: usize = 8;

/// Words that begin more than a simple command. Those that declare variables have their own nodes.
const KEYWORDS: &[&str] = &[
    "if", "then", "elif", "else", "fi", "for", "while", "until", "do", "done", "case", "esac",
    "in", "function", "select", "time", "coproc", "declare", "typeset", "export", "readonly",
    "local", "unset", "unsetenv",
];
