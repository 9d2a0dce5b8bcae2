//! Rules about shell commands: what a spec such as `git *` means for one command that the analyser
//! found. A rule that allows is read narrowly and one that tightens widely: where a word is known only
//! when the command runs, the first does not match and the second may.

use crate::policy::shell::{Command, Cover, Piece, Word};

use super::{Match, Side, glob::Glob};

/// A spec about commands.
#[derive(Clone, Debug)]
pub(super) struct Spec {
    /// The whole command.
    pub(super) whole: Glob,
    /// Where the form is open: the same with words after it.
    pub(super) more: Option<Glob>,
    /// Where it holds operators, which no part of a command does: the same inside any text.
    pub(super) inside: Option<Glob>,
    /// The text that it names word for word, where it has no wildcard.
    exact: Option<String>,
    /// The program, where the spec has it without a wildcard.
    program: Option<String>,
    /// Whether it has a word behind the program without a wildcard.
    names_command: bool,
}

impl Spec {
    /// `head`, and where the form is `open` also with words after it; `raw` is the spec as written.
    pub(super) fn new(head: &str, open: bool, raw: &str) -> Self {
        let whole = Glob::text(head);
        let more = open.then(|| whole.followed_by_more());
        let inside =
            head.contains(super::guess::is_operator).then(|| Glob::text(&format!("*{head}*")));
        let exact = (!open).then(|| Glob::text(raw).literal()).flatten();
        let start = whole.literal_start();
        let program = match start.split_once(' ') {
            Some((program, _)) => Some(program.to_owned()),
            None => whole.literal(),
        };
        let second = whole.literal_start();
        let second = second.split_once(' ').map(|(_, rest)| rest.to_owned()).unwrap_or_default();
        let names_command =
            second.contains(' ') || (!second.is_empty() && whole.literal().is_some());
        // A program in quotes is compared as part of the whole.
        let program = program.filter(|program| !program.contains('\''));
        Self { whole, more, inside, exact, program, names_command }
    }

    /// Whether it names this text, every character of it.
    pub(super) fn names(&self, text: &str) -> bool {
        self.exact.as_deref() == Some(text)
    }

    /// Whether the spec means a command.
    pub(super) fn fits(&self, command: &Prepared, side: Side) -> Match {
        match side {
            Side::Allow => Match::when(self.allows(command)),
            Side::Tighten => self.catches(command),
        }
    }

    fn allows(&self, command: &Prepared) -> bool {
        if self.program.as_ref().is_some_and(|program| command.program.as_ref() != Some(program)) {
            return false;
        }
        let Some(text) = &command.quoted else {
            // Words that are known to be harmless whatever they are need only the words before them.
            return command.known && self.more.is_some() && self.covers_start(command);
        };
        if command.unlisted && self.exact.is_none() && !self.names_command {
            return false;
        }
        if command.against {
            return self.exact.is_some() && self.whole.matches(text);
        }
        self.hits(text)
    }

    /// Whether any words behind those that are written out would do.
    fn covers_start(&self, command: &Prepared) -> bool {
        let Some(head) = self.whole.literal() else { return false };
        let head: Vec<&str> = head.split(' ').collect();
        let words = command.words.iter().map(Word::text);
        head.len() <= command.words.len()
            && words.zip(&head).all(|(word, wanted)| word == Some(*wanted))
    }

    fn hits(&self, text: &[char]) -> bool {
        self.whole.matches(text) || self.more.as_ref().is_some_and(|more| more.matches(text))
    }

    fn catches(&self, command: &Prepared) -> Match {
        let named = |program: &String| {
            command.program.as_ref().is_none_or(|own| own == program || base(own) == program)
        };
        if !self.program.as_ref().is_none_or(named) {
            return Match::No;
        }
        if command.texts().any(|text| self.hits(text)) {
            return Match::Yes;
        }
        let meets = |shape: &Glob| {
            self.whole.meets(shape) || self.more.as_ref().is_some_and(|more| more.meets(shape))
        };
        if command.shapes().any(meets) {
            return Match::Unclear("words of the command are computed when it runs");
        }
        Match::No
    }
}

fn base(program: &str) -> &str {
    program.rsplit('/').next().unwrap_or(program)
}

/// A command, prepared for many questions.
#[derive(Debug)]
pub(super) struct Prepared {
    words: Vec<Word>,
    program: Option<String>,
    /// Its words with single blanks, each in quotes where it needs them; when all are written out.
    quoted: Option<Vec<char>>,
    /// The same without quotes, with a character that nobody writes for what is not known.
    bare: Option<Vec<char>>,
    /// The same under the bare name of a program that is named by its path.
    based: Option<Vec<char>>,
    /// Every text that it could be, when not all words are written out.
    shape: Option<Glob>,
    based_shape: Option<Glob>,
    pub(super) known: bool,
    unlisted: bool,
    pub(super) against: bool,
}

/// Stands for what is not known.
const UNKNOWN: char = '\u{fffc}';

impl Prepared {
    pub(super) fn new(command: &Command) -> Self {
        let words = command.words.clone();
        let all: Option<Vec<&str>> = words.iter().map(Word::text).collect();
        let program = words.first().and_then(Word::text).map(str::to_owned);
        let quoted = all.as_ref().map(|words| spelled(words));
        let plain = all.as_ref().map(|words| words.join(" ").chars().collect::<Vec<_>>());
        let bare = match plain {
            Some(plain) => (quoted.as_ref() != Some(&plain)).then_some(plain),
            None => Some(placeheld(&words)),
        };
        let shape = all.is_none().then(|| shape_of(&words));
        let short = program
            .as_deref()
            .map(base)
            .filter(|s| !s.is_empty() && Some(*s) != program.as_deref());
        let renamed = short.map(|short| {
            let mut words = words.clone();
            if let Some(first) = words.first_mut() {
                *first = Word::Text(short.to_owned());
            }
            words
        });
        let based = renamed.as_ref().map(|words| placeheld(words));
        let based_shape = renamed.as_ref().filter(|_| all.is_none()).map(|words| shape_of(words));
        let known = command.cover == Cover::Known;
        let against = matches!(command.cover, Cover::Against(_));
        let unlisted = matches!(command.cover, Cover::Unlisted(_));
        Self { program, quoted, bare, based, shape, based_shape, known, unlisted, against, words }
    }

    fn texts(&self) -> impl Iterator<Item = &Vec<char>> {
        [&self.quoted, &self.bare, &self.based].into_iter().flatten()
    }

    fn shapes(&self) -> impl Iterator<Item = &Glob> {
        [&self.shape, &self.based_shape].into_iter().flatten()
    }
}

/// Words as one text that a shell reads as these words again.
pub(super) fn line_of(words: &[&str]) -> String {
    spelled(words).into_iter().collect()
}

fn spelled(words: &[&str]) -> Vec<char> {
    let mut out = Vec::new();
    for word in words {
        if !out.is_empty() {
            out.push(' ');
        }
        if is_bare(word) {
            out.extend(word.chars());
        } else {
            out.push('\'');
            for c in word.chars() {
                match c {
                    '\'' => out.extend("'\\''".chars()),
                    c => out.push(c),
                }
            }
            out.push('\'');
        }
    }
    out
}

/// The command as a rule names it word for word.
pub(super) fn spelling(words: &[Word]) -> Option<String> {
    let all: Option<Vec<&str>> = words.iter().map(Word::text).collect();
    Some(spelled(&all?).into_iter().collect())
}

fn is_bare(word: &str) -> bool {
    let plain = |c: char| {
        c.is_ascii_alphanumeric()
            || matches!(
                c,
                '_' | '-'
                    | '.'
                    | '/'
                    | ':'
                    | ','
                    | '@'
                    | '%'
                    | '+'
                    | '='
                    | '^'
                    | '~'
                    | '['
                    | ']'
                    | '!'
            )
    };
    !word.is_empty() && word.chars().all(plain)
}

fn placeheld(words: &[Word]) -> Vec<char> {
    let mut out = Vec::new();
    for word in words {
        if !out.is_empty() {
            out.push(' ');
        }
        for piece in word.pieces() {
            match piece {
                Piece::Text(text) => out.extend(text.chars()),
                Piece::Wild(_) | Piece::Any | Piece::Split => out.push(UNKNOWN),
            }
        }
    }
    out
}

fn shape_of(words: &[Word]) -> Glob {
    let mut text = String::new();
    for word in words {
        let splits = matches!(word, Word::Shape(pieces) if pieces.contains(&Piece::Split));
        // A word that may be none takes the blank before it along.
        if !text.is_empty() {
            text.push_str(if splits { "*" } else { " " });
        }
        for piece in word.pieces() {
            match piece {
                Piece::Text(part) => text.push_str(&super::glob::escape(&part)),
                Piece::Wild(_) | Piece::Any | Piece::Split => text.push('*'),
            }
        }
    }
    Glob::text(&text)
}
