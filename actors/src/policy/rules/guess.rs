//! Commands that the analyser does not wholly understand, for rules that tighten: what it cannot read
//! must not hide from a deny. It understands nothing and is suspicious of everything; it allows
//! nothing.
//!
//! - A spec is compared with every part that could be a command, under several readings of the
//!   quotes. Each reading maps characters one by one and cuts at every operator, quoted or not, so
//!   chaining or quoting can only add parts, never take one away.
//! - Where a program's name is computed at run time, what runs is unclear.

use crate::{
    limits,
    policy::shell::{self, basename},
};

use super::{Match, shell::Spec};

/// A command, prepared for many questions.
#[derive(Debug)]
pub(super) struct Command {
    /// The command on one line.
    whole: Vec<char>,
    /// Everything that could be a command, as characters with single blanks.
    starts: Vec<Vec<char>>,
    /// Every part from its first word, for programs whose words are computed.
    computed: Vec<Vec<char>>,
    /// Why what runs is not certain.
    unclear: Option<&'static str>,
}

impl Command {
    /// Prepares a command.
    pub(super) fn new(text: &str) -> Self {
        let (text, cut) = shell::beginning(text);
        let mut command = Self {
            whole: one_line(text).chars().collect(),
            starts: Vec::new(),
            computed: Vec::new(),
            unclear: None,
        };
        if cut {
            command.unclear = Some("the command is longer than what is analysed");
        }
        for reading in READINGS {
            command.read(reading(text).split(is_operator));
        }
        // Whole items of a list too: a `*` may stand for an expansion in the middle.
        command.read(text.split(is_list_operator));
        command.read(without_quotes(text).split(is_list_operator));
        command.note_computed(text);
        command.starts.sort_unstable();
        command.starts.dedup();
        command
    }

    /// Characters that a spec is compared with.
    #[cfg(test)]
    pub(super) fn weight(&self) -> usize {
        let all = self.starts.iter().chain(&self.computed).chain([&self.whole]);
        all.map(Vec::len).sum()
    }

    /// Whether a spec that tightens means it or any part of it.
    pub(super) fn is_caught_by(&self, spec: &Spec) -> Match {
        let hit = |text: &Vec<char>| {
            spec.whole.matches(text) || spec.more.as_ref().is_some_and(|more| more.matches(text))
        };
        if self.starts.iter().any(hit) {
            return Match::Yes;
        }
        if spec.inside.as_ref().is_some_and(|inside| inside.matches(&self.whole)) {
            return Match::Yes;
        }
        if let Some(why) = self.unclear {
            return Match::Unclear(why);
        }
        let program = spec.whole.literal_start();
        let program = program.split(' ').next().unwrap_or_default();
        let same_program = |text: &Vec<char>| {
            let word: String = text.iter().take_while(|c| **c != ' ').collect();
            program.is_empty() || basename(&word) == program || word == program
        };
        if self.computed.iter().any(same_program) {
            return Match::Unclear("words of the command are computed when it runs");
        }
        Match::No
    }

    fn read<'a>(&mut self, parts: impl Iterator<Item = &'a str>) {
        for part in parts {
            let words: Vec<&str> = part.split_whitespace().collect();
            self.add_start(&words);
            let mut wrapped = false;
            for (at, word) in words.iter().enumerate() {
                if at > limits::COMMAND_WORDS {
                    self.unclear = Some("the command has more words than what is analysed");
                    break;
                }
                if wrapped && let Some(rest) = words.get(at..) {
                    self.add_start(rest);
                }
                wrapped |= wraps(word);
            }
            if let [only] = words.as_slice()
                && shell::reads_commands(basename(only))
            {
                self.unclear = Some("a shell reads what it runs from its input");
            }
        }
    }

    /// Adds a possible command, also under its program's bare name.
    fn add_start(&mut self, words: &[&str]) {
        let Some((program, rest)) = words.split_first() else { return };
        let mut push = |program: &str| {
            let mut text: Vec<char> = program.chars().collect();
            for word in rest {
                text.push(' ');
                text.extend(word.chars());
            }
            self.starts.push(text);
        };
        push(program);
        let bare = basename(program);
        if bare != *program && !bare.is_empty() {
            push(bare);
        }
    }

    /// Looks for words that only the running shell knows.
    fn note_computed(&mut self, text: &str) {
        if text.contains("$'") {
            self.unclear = Some("the command holds escapes that the shell decodes");
        }
        let expands = |word: &str| word.contains(['$', '`', '*', '?', '[', '{', '~']);
        let cut = |c: char| matches!(c, ';' | '&' | '|' | '(' | ')' | '<' | '>' | '\n' | '\r');
        for part in text.split(cut) {
            let bare = without_quotes(part);
            let words: Vec<&str> = bare.split_whitespace().collect();
            let wrapped = words.iter().any(|word| wraps(word));
            let program = words.iter().find(|word| !is_assignment(word));
            if program.is_some_and(|word| expands(word))
                || (wrapped && words.iter().any(|word| expands(word)))
                || words.iter().any(|word| word.contains('`'))
            {
                self.unclear = Some("which program runs is computed when the command runs");
            }
            if words.iter().any(|word| expands(word)) {
                self.computed.push(words.join(" ").chars().collect());
            }
        }
    }
}

/// A way to read quotes and blanks, one character at a time.
type Reading = fn(&str) -> String;

const READINGS: &[Reading] = &[
    without_quotes,
    |text| without_quotes(&text.replace(['\'', '"'], ";")),
    |text| without_quotes(&text.replace(',', " ")),
    |text| without_quotes(&text.replace('#', ";")),
    |text| text.replace('\\', ";"),
    |text| without_redirects(&without_quotes(text)),
];

/// Quotes and backslashes vanish, as the shell removes them; a joined line is one line.
fn without_quotes(text: &str) -> String {
    text.replace("\\\r\n", "").replace("\\\n", "").replace(['\'', '"', '\\'], "")
}

/// Redirections may stand before, within and after a command and are no words of it.
fn without_redirects(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        if !matches!(c, '<' | '>') {
            out.push(c);
            continue;
        }
        // A number that stands alone before it is a descriptor.
        let kept = out.trim_end_matches(|c: char| c.is_ascii_digit());
        if kept.is_empty() || kept.ends_with(char::is_whitespace) {
            out.truncate(kept.len());
        }
        while chars.next_if(|c| matches!(c, '<' | '>' | '&' | '|')).is_some() {}
        while chars.next_if(|c| matches!(c, ' ' | '\t')).is_some() {}
        while chars.next_if(|c| !c.is_whitespace() && !is_operator(*c)).is_some() {}
        out.push(' ');
    }
    out
}

pub(super) const fn is_operator(c: char) -> bool {
    matches!(
        c,
        ';' | '&' | '|' | '<' | '>' | '`' | '$' | '(' | ')' | '{' | '}' | '\n' | '\r' | '\0'
    )
}

const fn is_list_operator(c: char) -> bool {
    matches!(c, ';' | '&' | '|' | '\n' | '\r')
}

/// The command as one line with single blanks.
pub(super) fn one_line(text: &str) -> String {
    let text = text.replace(['\n', '\r'], " ; ");
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn wraps(word: &str) -> bool {
    is_assignment(word) || word.starts_with('-') || shell::may_run_another(basename(word))
}

fn is_assignment(word: &str) -> bool {
    word.split_once('=').is_some_and(|(name, _)| {
        let name = name.strip_suffix('+').unwrap_or(name);
        !name.is_empty()
            && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '[' | ']'))
    })
}
