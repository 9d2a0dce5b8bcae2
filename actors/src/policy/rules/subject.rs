//! What is asked about a request: the request as a whole, or each thing that a command does.

use crate::policy::shell::{Access, Cover, Doubt, FileUse, Part, Piece, Script, Word};

use super::{
    fence::Ground,
    guess,
    place::{ANY_NAME, Names, Target},
    shell::{self, Prepared},
};

/// One thing that is asked about; a request is allowed when all of them are.
#[derive(Debug)]
pub(super) enum Subject {
    /// The request as a whole.
    Whole,
    /// The text of a shell command, which rules can only forbid. Where it was not understood, with what
    /// it may hold.
    Text(Option<guess::Command>),
    /// A command of it, and how a rule would name it.
    Command(Prepared, Option<String>, Option<String>),
    /// A file that it uses.
    File(File),
    /// What no rule speaks of.
    Doubt(Doubt),
}

#[cfg(test)]
impl Subject {
    /// What a text that was not understood may hold.
    pub(super) const fn guess(&self) -> Option<&guess::Command> {
        match self {
            Self::Text(guess) => guess.as_ref(),
            Self::Whole | Self::Command(..) | Self::File(_) | Self::Doubt(_) => None,
        }
    }
}

/// A file that a command uses, prepared.
#[derive(Debug)]
pub(super) struct File {
    pub(super) usage: FileUse,
    /// Its path, with a character for each wildcard.
    pub(super) path: String,
    /// Where rules look for it: what begins nowhere in particular begins at the request's folder.
    pub(super) target: Target,
    /// The names that it ends in, whatever it begins with.
    pub(super) end: Option<Names>,
    /// Where it may be, when that is elsewhere.
    pub(super) elsewhere: Option<Target>,
}

impl File {
    fn new(usage: FileUse, cwd: Option<&str>, ground: &Ground) -> Self {
        let path = path_of(&usage.path);
        let target = match &usage.cwd {
            // No name at all is none in any folder.
            _ if path.is_empty() => ground.target(&path, cwd),
            Some(from) => ground.target(&path, Some(from)),
            None => ground.target(&path, cwd),
        };
        let floats = usage.cwd.is_none() && cwd.is_some() && !path.starts_with(['/', '~']);
        let elsewhere = floats.then(|| ground.target(&path, None));
        let end = end_of(&usage.path);
        Self { usage, path, target, end, elsewhere }
    }

    /// A word that may be a file and does not say where: it is not asked about for that.
    pub(super) fn is_plain_word(&self) -> bool {
        self.usage.access == Access::Maybe
            && !self.path.starts_with(['/', '~'])
            && !self.path.split('/').any(|part| part == "..")
    }
}

/// Everything that a shell command does.
pub(super) fn all(
    script: Script,
    text: &str,
    (cwd, ground): (Option<&str>, &Ground),
) -> Vec<Subject> {
    let guess = script.murky.then(|| guess::Command::new(text));
    let mut subjects = vec![Subject::Text(guess)];
    subjects.extend(script.parts.into_iter().map(|part| match part {
        Part::File(file) => Subject::File(File::new(file, cwd, ground)),
        Part::Doubt(doubt) => Subject::Doubt(doubt),
        Part::Command(command) => {
            let prepared = Prepared::new(&command);
            let spelled = shell::spelling(&command.words);
            match command.cover {
                Cover::Shadow => Subject::Command(prepared, None, None),
                Cover::Known | Cover::Unknown => {
                    let rule = rule_of(&command.words, command.cover == Cover::Known);
                    let name = rule.clone().or(spelled).unwrap_or_else(|| "a command".to_owned());
                    Subject::Command(prepared, Some(format!("no rule allows {name}")), rule)
                }
                Cover::Unlisted(why) | Cover::Against(why) => {
                    Subject::Command(prepared, Some(why), spelled)
                }
            }
        }
    }));
    subjects
}

/// The rule that allows commands like this one: with any words where those are known to be harmless,
/// else with these alone.
fn rule_of(words: &[Word], known: bool) -> Option<String> {
    let program = words.first()?.text()?;
    let plain = |word: &str| {
        word.starts_with(|c: char| c.is_ascii_alphabetic())
            && word.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'))
    };
    if !known || !plain(program) {
        return shell::spelling(words);
    }
    let command = words.get(1).and_then(Word::text).filter(|word| plain(word));
    Some(match command {
        Some(command) if matches!(program, "git" | "cargo") => format!("{program} {command} *"),
        Some(_) | None => format!("{program} *"),
    })
}

/// A word as a path, with a character for each wildcard.
fn path_of(word: &Word) -> String {
    let piece = |piece: Piece| match piece {
        Piece::Text(text) => text,
        Piece::Wild(_) | Piece::Any | Piece::Split => ANY_NAME.to_string(),
    };
    word.pieces().into_iter().map(piece).collect()
}

/// The names behind the last part of a word that is known only when it runs.
fn end_of(word: &Word) -> Option<Names> {
    let Some(Piece::Text(text)) = word.pieces().pop() else { return None };
    let (_, names) = text.split_once('/')?;
    let climbs = names.split('/').any(|name| name == "..");
    (!climbs && !names.is_empty()).then(|| Names::of(names))
}
