//! What a shell command would run and touch, read from its text. It owns the way from a string and a
//! folder to a list of parts: commands with their words, files that are read or written, and doubts.
//! `rules` judges each part; here nobody is allowed or denied anything.
//!
//! ```text
//! text ─ tree ─▶ nodes of a closed set ─ walk ─▶ statements, folders ─ words ─▶ simple commands
//!                     │ any other node                                             │ wrappers, builtins,
//!                     ▼                                                            ▼ option tables
//!                   doubt ◀──────────────────────────────────────────────────── parts
//! ```
//!
//! It refuses to guess in the direction that allows:
//!
//! - A node, a character between nodes or a word that is not understood is a doubt, and its text is
//!   also read by `guess`, which looks for commands under several readings of the quotes. So what
//!   the grammar misreads is at least asked, and what a rule forbids is found all the same.
//! - The walk enters everything that could run: substitutions, functions, here-documents, branches.
//! - What a limit cuts off is a doubt; what was found before it stays found.

mod awk;
mod builtins;
mod environment;
mod files;
mod find;
#[cfg(feature = "testing")]
mod foretell;
mod loops;
mod options;
mod programs;
mod runners;
mod runs;
mod scripts;
mod sed;
mod simple;
mod statements;
mod tree;
mod word;
mod words;
mod wrappers;

#[cfg(test)]
mod tests;

pub(in crate::policy) use files::SOME_NAME;
#[cfg(feature = "testing")]
pub use foretell::{ANY, Foreseen, Foretold, How, foretell};
pub(in crate::policy) use runners::{basename, may_run_another, reads_commands};
pub(in crate::policy) use tree::beginning;
pub(in crate::policy) use word::{Piece, Word};

use std::borrow::Cow;

use crate::{domain::unseen, limits};

/// A shell command, read.
#[derive(Debug, Default)]
pub(in crate::policy) struct Script {
    /// Everything it would do, as far as that can be told.
    pub(in crate::policy) parts: Vec<Part>,
    /// Whether some of the text was not understood, so that `guess` has to look as well.
    pub(in crate::policy) murky: bool,
    /// Files whose content decides what it does, where it is known where they are.
    pub(in crate::policy) runs: Vec<String>,
    /// Commands so far, the same one again counted again.
    commands: usize,
    /// Files so far.
    files: usize,
    /// Whether there was no room for a part.
    cut: bool,
}

/// One thing that a script does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::policy) enum Part {
    /// It runs a program.
    Command(Command),
    /// It uses a file.
    File(FileUse),
    /// It does something that no rule about commands or files speaks of.
    Doubt(Doubt),
}

/// A program and its words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::policy) struct Command {
    /// The program first.
    pub(in crate::policy) words: Vec<Word>,
    /// What a rule has to say before it may run.
    pub(in crate::policy) cover: Cover,
}

/// How much a rule has to say about a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::policy) enum Cover {
    /// It only leads to other parts, or may be one; rules can forbid it and need not allow it.
    Shadow,
    /// Its words are known to be harmless: any rule about the program allows it.
    Known,
    /// Nothing is known of its words: a rule allows it when every word stands in the text.
    Unknown,
    /// Others of this program are known to be harmless and this is none of them: a rule allows it that
    /// names more of it than the program.
    Unlisted(String),
    /// Something speaks against it: only a rule that names it word for word allows it.
    Against(String),
}

/// What is done with a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::policy) enum Access {
    /// Its content or its entry is read.
    Read,
    /// The names in it are read, by the shell that puts them in the place of a wildcard.
    Look,
    /// It is written, made, moved or removed.
    Write,
    /// The word may be a file: rules may forbid it, and need not allow it.
    Maybe,
}

/// A file that is used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::policy) struct FileUse {
    /// How.
    pub(in crate::policy) access: Access,
    /// Which; `~` at the start of a text is the home.
    pub(in crate::policy) path: Word,
    /// What a relative path begins at, where that is known.
    pub(in crate::policy) cwd: Option<String>,
}

/// Why a script is not simply allowed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::policy) struct Doubt {
    /// Whether it is refused and not only asked.
    pub(in crate::policy) refused: bool,
    /// In words.
    pub(in crate::policy) why: String,
}

/// Where a command is started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::policy) enum Start<'a> {
    /// In this folder; nobody may have said which.
    At(Option<Cow<'a, str>>),
    /// In a folder that its call names in a way that is not understood.
    Lost,
}

impl Script {
    /// Reads a command that would be started by a shell.
    pub(in crate::policy) fn read(text: &str, start: &Start<'_>) -> Self {
        let mut script = Self::default();
        if let Some(words) = tree::plain_words(text) {
            // Without quotes, operators and expansions a shell splits at blanks and does no more.
            let words = words.map(|word| Word::Text(word.to_owned())).collect();
            let mut walk = statements::Walk::new(&mut script, start);
            walk.simple(simple::Simple::of(words));
        } else {
            statements::Walk::new(&mut script, start).script(text, 0);
        }
        script.ended()
    }

    /// Reads a command that would be started without a shell: its words are what they are, and what a
    /// program makes of them is the same.
    pub(in crate::policy) fn of_words(words: &[&str], start: &Start<'_>) -> Self {
        let mut script = Self::default();
        let mut room = limits::COMMAND_BYTES;
        let fits = |word: &&&str| {
            let fits = word.len() < room;
            room -= (word.len() + 1).min(room);
            fits
        };
        let read: Vec<Word> =
            words.iter().take_while(fits).map(|word| Word::Text((*word).to_owned())).collect();
        if read.len() < words.len() {
            script.unread("the command is longer than what is analysed");
        }
        if words.iter().any(|word| word.contains(unseen::is_unseen)) {
            script.unread("the command has characters that are not seen");
        }
        statements::Walk::new(&mut script, start).simple(simple::Simple::of(read));
        script.ended()
    }

    fn ended(mut self) -> Self {
        if !self.parts.iter().any(|part| matches!(part, Part::Command(_))) {
            self.doubt("there is no command in it");
        }
        self
    }

    /// Notes that a person should look.
    fn doubt(&mut self, why: impl Into<String>) {
        self.note(false, why.into());
    }

    /// Notes that it should not run at all.
    fn refuse(&mut self, why: impl Into<String>) {
        self.note(true, why.into());
    }

    /// Notes that some of the text was not understood.
    fn unread(&mut self, why: impl Into<String>) {
        self.murky = true;
        self.note(false, why.into());
    }

    fn note(&mut self, refused: bool, why: String) {
        self.push(Part::Doubt(Doubt { refused, why }));
    }

    /// Adds a part once. A part for which there is no room might be one that rules forbid: that it is
    /// missing is itself a part, whatever else is full, and the walk goes no deeper.
    fn push(&mut self, part: Part) {
        if self.parts.contains(&part) {
            return;
        }
        let is_file = matches!(part, Part::File(_));
        let refused = matches!(&part, Part::Doubt(doubt) if doubt.refused);
        let room = !is_file || self.files < limits::SCRIPT_NAMED;
        if refused || (room && self.parts.len() < limits::SCRIPT_PARTS) {
            self.files += usize::from(is_file);
            self.parts.push(part);
        } else if !self.cut {
            (self.cut, self.murky) = (true, true);
            let why = "it has more parts than are analysed".to_owned();
            self.parts.push(Part::Doubt(Doubt { refused: false, why }));
        }
    }

    const fn is_full(&self) -> bool {
        self.cut
    }
}
