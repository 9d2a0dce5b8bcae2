//! Words: from nodes to what the shell would hand to a program. Quotes and escapes are undone here
//! and not taken from the tree, so that a leaf with a character that has no business in it is
//! noticed. What a word runs on the way (substitutions) is walked.

use tree_sitter::Node;

use crate::{domain::unseen, limits};

use super::{
    Access, Piece, Word,
    statements::{Walk, children},
    word::CLASS,
};

impl Walk<'_> {
    /// The word of a node.
    pub(super) fn word(&mut self, src: &str, node: Node<'_>) -> Word {
        let raw = raw(src, node);
        if matches!(raw, "[" | "[[") {
            // The program of a test; no class, for it has no end.
            return Word::Text(raw.to_owned());
        }
        let mut pieces = Vec::new();
        self.pieces(src, node, &mut pieces);
        let loose = without_escapes(&unquoted(src, node));
        if loose.contains('{')
            && loose.contains('}')
            && (loose.contains(',') || loose.contains(".."))
        {
            self.script.unread(format!("{raw:?} stands for several words"));
            pieces.push(Piece::Split);
        }
        let word = Word::of(pieces);
        let listed = word.listed();
        if listed.len() > limits::WORD_WILDS {
            self.script.unread("a word has more wildcards than are looked at");
        }
        for folder in listed.into_iter().take(limits::WORD_WILDS) {
            if !folder.is_files() {
                self.script.doubt("which folder is looked through is known only when it runs");
            }
            self.uses(Access::Look, &folder);
        }
        word
    }

    fn pieces(&mut self, src: &str, node: Node<'_>, out: &mut Vec<Piece>) {
        let text = raw(src, node);
        match node.kind() {
            "word" | "test_operator" | "variable_name" => self.loose(text, out),
            "number" if node.child_count() == 0 => out.push(Piece::Text(text.to_owned())),
            "raw_string" => match text.strip_prefix('\'').and_then(|t| t.strip_suffix('\'')) {
                Some(inside) if !inside.contains('\'') => {
                    out.push(Piece::Text(inside.to_owned()));
                }
                Some(_) | None => self.odd(node, out),
            },
            "string" => self.string(src, node, out),
            "ansi_c_string" => match decoded(text) {
                Some(inside) => out.push(Piece::Text(inside)),
                None => self.odd(node, out),
            },
            "concatenation" | "command_name" => self.joined(src, node, out),
            "simple_expansion" | "expansion" => self.expansion(src, node, false, out),
            "command_substitution" => {
                self.substitution(src, node);
                out.push(Piece::Split);
            }
            "process_substitution" => {
                self.substitution(src, node);
                out.push(Piece::Any);
            }
            "arithmetic_expansion" => {
                self.arithmetic(src, node);
                out.push(Piece::Any);
            }
            "brace_expression" => out.push(Piece::Split),
            "$" | "==" | "=~" => out.push(Piece::Text(text.to_owned())),
            _ => {
                self.anything(src, node);
                self.odd(node, out);
            }
        }
    }

    fn odd(&mut self, node: Node<'_>, out: &mut Vec<Piece>) {
        self.script.unread(format!("a word of the kind {} is not understood", node.kind()));
        out.push(Piece::Split);
    }

    /// Parts that stand together without a gap.
    fn joined(&mut self, src: &str, node: Node<'_>, out: &mut Vec<Piece>) {
        let mut at = None;
        for part in children(node) {
            let start = start(src, part);
            if at.is_some_and(|at| at != start) {
                self.script.unread("the parts of a word do not stand together");
            }
            at = Some(part.end_byte());
            if part.kind() == "$" {
                self.script.unread("a `$` stands before what it may mean");
            }
            self.pieces(src, part, out);
        }
    }

    /// Text outside quotes: backslashes, wildcards.
    fn loose(&mut self, text: &str, out: &mut Vec<Piece>) {
        let mut chars = text.chars();
        let mut plain = String::new();
        while let Some(c) = chars.next() {
            match c {
                '\\' => match chars.next() {
                    Some('\n') => {}
                    Some(next) => plain.push(next),
                    None => self.script.unread("a backslash ends a word"),
                },
                '*' | '?' => {
                    out.push(Piece::Text(std::mem::take(&mut plain)));
                    out.push(Piece::Wild(c.to_string()));
                }
                '[' => {
                    // A class ends in the same name, or it is none: `Word::of` sees the whole.
                    out.push(Piece::Text(std::mem::take(&mut plain)));
                    out.push(Piece::Wild(CLASS.to_owned()));
                }
                ' ' | '\t' | '\n' | '\r' | '\'' | '"' | '$' | '`' | ';' | '&' | '|' | '<' | '>'
                | '(' | ')' => {
                    self.script.unread(format!("{c:?} stands in a word"));
                    out.push(Piece::Split);
                }
                c if unseen::is_unseen(c) => {
                    self.script.unread("the command has characters that are not seen");
                    plain.push(c);
                }
                c => plain.push(c),
            }
        }
        out.push(Piece::Text(plain));
    }

    /// A double-quoted string: expansions as the tree has them, everything else from the text.
    fn string(&mut self, src: &str, node: Node<'_>, out: &mut Vec<Piece>) {
        let (mut at, end) = (start(src, node) + 1, node.end_byte().saturating_sub(1));
        for part in children(node) {
            match part.kind() {
                "\"" | "string_content" => continue,
                "simple_expansion"
                | "expansion"
                | "command_substitution"
                | "arithmetic_expansion" => {}
                _ => self.script.unread("a string holds what is not understood"),
            }
            let from = start(src, part);
            self.quoted(src.get(at..from).unwrap_or_default(), out);
            at = part.end_byte();
            match part.kind() {
                "command_substitution" => {
                    self.substitution(src, part);
                    out.push(Piece::Any);
                }
                "arithmetic_expansion" => {
                    self.arithmetic(src, part);
                    out.push(Piece::Any);
                }
                _ => self.expansion(src, part, true, out),
            }
        }
        self.quoted(src.get(at..end).unwrap_or_default(), out);
    }

    /// Text within double quotes, or in a here-document: a backslash means itself but before five.
    pub(super) fn quoted(&mut self, text: &str, out: &mut Vec<Piece>) {
        let mut plain = String::new();
        let mut chars = text.chars().peekable();
        while let Some(c) = chars.next() {
            match c {
                '\\' => match chars.peek() {
                    Some('\n') => drop(chars.next()),
                    Some('$' | '`' | '"' | '\\') => plain.extend(chars.next()),
                    Some(_) | None => plain.push(c),
                },
                '`' | '"' => self.script.unread("a quote stands within quotes"),
                // A dollar that begins nothing is a character, as at the end of a pattern.
                '$' if chars.peek().is_some_and(|next| {
                    next.is_alphanumeric() || matches!(next, '_' | '{' | '(' | '[')
                }) =>
                {
                    self.script.unread("an expansion within quotes is not understood");
                }
                c => plain.push(c),
            }
        }
        if !plain.is_empty() {
            out.push(Piece::Text(plain));
        }
    }

    /// `$x` and `${…}`.
    fn expansion(&mut self, src: &str, node: Node<'_>, quoted: bool, out: &mut Vec<Piece>) {
        let whole = raw(src, node);
        let inside = whole.strip_prefix("${").and_then(|rest| rest.strip_suffix('}'));
        let name = inside.or_else(|| whole.strip_prefix('$')).unwrap_or_default();
        if is_name(name) || name.len() == 1 {
            return self.value(name, quoted, out);
        }
        // `${x:=…}` gives the variable the value, whatever has the word.
        let set = inside.and_then(|inside| inside.split_once('=')).map(|(name, _)| name);
        if let Some(set) =
            set.map(|set| set.strip_suffix(':').unwrap_or(set)).filter(|n| is_name(n))
        {
            self.judge_name(set);
        }
        let mut parts = children(node).into_iter();
        let harmless = parts.all(|part| {
            let safe = match part.kind() {
                "${"
                | "}"
                | "variable_name"
                | "special_variable_name"
                | "word"
                | "string"
                | "raw_string"
                | "simple_expansion"
                | "number"
                | "regex"
                | "command_substitution"
                | "concatenation" => true,
                kind => matches!(
                    kind.trim(),
                    "${" | ":-"
                        | "-"
                        | ":+"
                        | "+"
                        | "#"
                        | "##"
                        | "%"
                        | "%%"
                        | "/"
                        | "//"
                        | "^"
                        | "^^"
                        | ","
                        | ",,"
                ),
            };
            safe && !raw(src, part).contains('@')
        });
        if !harmless || !is_plain_value(whole, start(src, node), node) {
            self.script.unread(format!("the expansion {whole:?} is not understood"));
        }
        self.anything(src, node);
        out.push(if quoted { Piece::Any } else { Piece::Split });
    }

    /// The value of a variable, as far as it is known.
    fn value(&mut self, name: &str, quoted: bool, out: &mut Vec<Piece>) {
        match (name, self.bound(name)) {
            (_, Some(word))
                if quoted || word.text().is_some_and(is_single) || *word == Word::unknown() =>
            {
                let pieces = word.pieces();
                self.used(name);
                out.extend(pieces);
            }
            // The folder that it names is asked about where a folder is needed.
            ("HOME", None) if out.is_empty() && !self.is_assigned("HOME") => {
                out.push(Piece::Text("~".to_owned()));
            }
            ("?" | "#" | "$", None) => out.push(Piece::Any),
            (_, _) => out.push(if quoted { Piece::Any } else { Piece::Split }),
        }
    }

    /// Arithmetic runs what its names hold, so only numbers are certain.
    pub(super) fn arithmetic(&mut self, src: &str, node: Node<'_>) {
        let text = raw(src, node);
        let text = text.strip_prefix('$').filter(|rest| rest.starts_with("((")).unwrap_or(text);
        if text.contains(|c: char| c.is_alphabetic() || matches!(c, '_' | '$' | '`' | '[' | '\'')) {
            self.script.unread("arithmetic with names may run what they hold");
        }
        self.anything(src, node);
    }
}

/// Whether an expansion holds only characters that mean themselves, besides substitutions that the walk
/// enters. The grammar takes patterns and quotes in it for plain text, and a shell does not.
fn is_plain_value(whole: &str, begin: usize, node: Node<'_>) -> bool {
    let mut entered = Vec::new();
    substitutions(node, &mut entered);
    let inside = whole.char_indices().skip(2).take(whole.chars().count().saturating_sub(3));
    let outside = |at: usize| !entered.iter().any(|range| range.contains(&(begin + at)));
    inside.filter(|(at, _)| outside(*at)).all(|(at, c)| {
        let next = whole.get(at + 1..).and_then(|rest| rest.chars().next());
        match c {
            '$' => next.is_some_and(|next| next.is_ascii_alphanumeric() || next == '_'),
            c => {
                c.is_alphanumeric()
                    || matches!(c, ' ' | '_' | '-' | '.' | '/' | '*' | '?' | ',' | ':' | '=' | '+')
                    || matches!(c, '#' | '%' | '^' | '~')
            }
        }
    })
}

/// Where the substitutions of a node are that are walked as such.
fn substitutions(node: Node<'_>, out: &mut Vec<std::ops::Range<usize>>) {
    for part in children(node) {
        match part.kind() {
            "command_substitution" => out.push(part.byte_range()),
            "raw_string" | "ansi_c_string" => {}
            _ => substitutions(part, out),
        }
    }
}

fn is_single(text: &str) -> bool {
    !text.is_empty() && !text.contains(|c: char| c.is_whitespace() || matches!(c, '*' | '?' | '['))
}

/// Whether a text can name a variable.
pub(super) fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// The text of a node. Some tokens begin with the blanks before them.
pub(super) fn raw<'s>(src: &'s str, node: Node<'_>) -> &'s str {
    src.get(start(src, node)..node.end_byte()).unwrap_or_default()
}

fn start(src: &str, node: Node<'_>) -> usize {
    let text = src.get(node.byte_range()).unwrap_or_default();
    let quiet = !matches!(node.kind(), "heredoc_content" | "heredoc_body" | "string_content");
    let blanks = if quiet { text.len() - text.trim_start_matches([' ', '\t']).len() } else { 0 };
    node.start_byte() + blanks
}

/// What of a word stands outside quotes.
fn unquoted<'s>(src: &'s str, node: Node<'_>) -> std::borrow::Cow<'s, str> {
    match node.kind() {
        "word" => raw(src, node).into(),
        "concatenation" => {
            let parts = children(node);
            let loose = parts.iter().map(|part| match part.kind() {
                "word" => raw(src, *part),
                // A string between braces may well be one of several.
                _ => ".",
            });
            loose.collect::<String>().into()
        }
        _ => "".into(),
    }
}

/// The same with another character for each that stands behind a backslash, which is only itself.
fn without_escapes(loose: &str) -> String {
    let mut chars = loose.chars();
    let mut out = String::with_capacity(loose.len());
    while let Some(c) = chars.next() {
        let escaped = c == '\\' && chars.next().is_some();
        out.push(if escaped { '_' } else { c });
    }
    out
}

/// The text of `$'…'`.
fn decoded(text: &str) -> Option<String> {
    let inside = text.strip_prefix("$'")?.strip_suffix('\'')?;
    let mut out = String::new();
    let mut chars = inside.chars().peekable();
    while let Some(c) = chars.next() {
        if c != '\\' {
            out.push(c);
            continue;
        }
        let escape = chars.next()?;
        let (radix, most) = match escape {
            'n' | 't' | 'r' | 'a' | 'b' | 'e' | 'E' | 'f' | 'v' | '\\' | '\'' | '"' | '?' => {
                out.push(control(escape));
                continue;
            }
            '0'..='7' => (8, 2),
            'x' => (16, 2),
            'u' => (16, 4),
            'U' => (16, 8),
            _ => return None,
        };
        // The first digit of an octal number stands for the kind as well.
        let first = escape.to_digit(8);
        let (mut code, mut digits) = (first.unwrap_or(0), u32::from(first.is_some()));
        let most = most + digits;
        while digits < most
            && let Some(digit) = chars.peek().and_then(|c| c.to_digit(radix))
        {
            chars.next();
            code = code * radix + digit;
            digits += 1;
        }
        // A byte above 127 is only part of a character.
        let c = char::from_u32(code).filter(|c| digits > 0 && c.is_ascii() && *c != '\0')?;
        out.push(c);
    }
    Some(out)
}

/// The character that a letter behind a backslash names in `$'…'`.
const fn control(letter: char) -> char {
    match letter {
        'n' => '\n',
        't' => '\t',
        'r' => '\r',
        'a' => '\u{7}',
        'b' => '\u{8}',
        'e' | 'E' => '\u{1b}',
        'f' => '\u{c}',
        'v' => '\u{b}',
        itself => itself,
    }
}
