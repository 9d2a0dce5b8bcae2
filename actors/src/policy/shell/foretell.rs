//! What the analysis says that a command runs and touches, as plain values, for whoever holds it
//! against what the command really does. It decides nothing; what decides is `rules`.

use super::{Access, Part, Piece, Script};

/// Stands in a path for any part of one name.
pub const ANY: char = '\u{f8ff}';

/// What a command is said to do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Foretold {
    /// Names or paths of the programs that it may run.
    pub programs: Vec<String>,
    /// Files that it may use.
    pub files: Vec<Foreseen>,
    /// Whatever is not certain, in words.
    pub doubts: Vec<String>,
}

/// How a file is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// The names in a folder are read, and nothing below it.
    Looked,
    /// It is read, or what lies below it.
    Read,
    /// It is written, made, moved or removed.
    Written,
}

/// A file that a command is said to use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Foreseen {
    /// How.
    pub how: How,
    /// Where: absolute but for `~` in front, with `ANY` for what is known only when it runs, and not
    /// resolved.
    pub path: String,
}

/// Reads a command that would be started in `cwd`.
#[must_use]
pub fn foretell(command: &str, cwd: &str) -> Foretold {
    let mut told = Foretold::default();
    for part in Script::read(command, &super::Start::At(Some(cwd.into()))).parts {
        match part {
            Part::Command(command) => {
                let program = command.words.first().and_then(super::Word::text);
                told.programs.extend(program.map(str::to_owned));
            }
            Part::File(file) => {
                let path: String = file.path.pieces().into_iter().map(shown).collect();
                let from = file.cwd.as_deref().unwrap_or(cwd);
                let path =
                    if path.starts_with(['/', '~']) { path } else { format!("{from}/{path}") };
                let how = match file.access {
                    Access::Look => How::Looked,
                    Access::Read | Access::Maybe => How::Read,
                    Access::Write => How::Written,
                };
                told.files.push(Foreseen { how, path });
            }
            Part::Doubt(doubt) => told.doubts.push(doubt.why),
        }
    }
    told
}

fn shown(piece: Piece) -> String {
    match piece {
        Piece::Text(text) => text,
        Piece::Wild(_) | Piece::Any | Piece::Split => ANY.to_string(),
    }
}
