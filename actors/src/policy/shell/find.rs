//! `find`: where it looks, what it runs, what it removes and writes.

use super::{Cover, Piece, Word, files::Folders, statements::Walk};

/// Tests and actions without a word behind them that change nothing.
const FLAGS: &[&str] = &[
    "-H",
    "-L",
    "-P",
    "-a",
    "-and",
    "-o",
    "-or",
    "-not",
    "!",
    "(",
    ")",
    ",",
    "-true",
    "-false",
    "-empty",
    "-print",
    "-print0",
    "-prune",
    "-quit",
    "-ls",
    "-depth",
    "-d",
    "-mount",
    "-xdev",
    "-follow",
    "-readable",
    "-writable",
    "-executable",
    "-nouser",
    "-nogroup",
    "-daystart",
    "-noleaf",
    "-nowarn",
    "-warn",
    "-ignore_readdir_race",
];
/// The same with one word behind them that is data.
const VALUES: &[&str] = &[
    "-name",
    "-iname",
    "-path",
    "-ipath",
    "-wholename",
    "-iwholename",
    "-regex",
    "-iregex",
    "-lname",
    "-ilname",
    "-type",
    "-xtype",
    "-size",
    "-mtime",
    "-atime",
    "-ctime",
    "-mmin",
    "-amin",
    "-cmin",
    "-maxdepth",
    "-mindepth",
    "-perm",
    "-user",
    "-group",
    "-uid",
    "-gid",
    "-links",
    "-inum",
    "-fstype",
    "-used",
    "-printf",
    "-regextype",
    "-newermt",
];
/// The same with a file behind them that is looked at.
const FILES: &[&str] = &["-newer", "-anewer", "-cnewer", "-samefile"];
const RUNS: &[&str] = &["-exec", "-execdir", "-ok", "-okdir"];

impl Walk<'_> {
    pub(super) fn find(&mut self, program: &str, words: &[Word]) {
        let mut against = (program != "find").then(|| "it is not the system's own find".to_owned());
        let mut at = 1;
        let mut roots = 0;
        while let Some(word) = words.get(at) {
            at += 1;
            let Some(text) = word.text() else {
                if roots > 0 && word.is_files() && !word.start().is_empty() {
                    self.reads(word);
                } else {
                    against = Some("words of find are not written out".to_owned());
                }
                continue;
            };
            let next = words.get(at);
            if RUNS.contains(&text) {
                let command = words.get(at..).unwrap_or_default();
                let mut end = 0;
                self.aside(|walk| {
                    if text.ends_with("dir") {
                        walk.folders = Folders::lost();
                    }
                    end = walk.executed(command);
                });
                at += end;
            } else if FLAGS.contains(&text) {
            } else if VALUES.contains(&text) && next.is_some_and(|word| word.text().is_some()) {
                at += 1;
            } else if FILES.contains(&text) && next.is_some() {
                if let Some(file) = next {
                    self.reads(file);
                }
                at += 1;
            } else if text.starts_with("-fprint") || text == "-fls" {
                if let Some(file) = next {
                    self.writes(file);
                }
                against = Some(format!("find {text} writes a file"));
            } else if text.starts_with('-') {
                against = Some(format!("find {text} is not known to be harmless"));
            } else {
                self.reads(word);
                roots += 1;
            }
        }
        self.runs(words.to_vec(), against.map_or(Cover::Known, Cover::Against));
    }

    /// The command of an action, up to `;` or `+`; how many words it took.
    fn executed(&mut self, words: &[Word]) -> usize {
        let ends = |at: &usize| match words.get(*at).and_then(Word::text) {
            Some(";") => true,
            Some("+") => *at > 0 && words.get(at - 1).and_then(Word::text) == Some("{}"),
            Some(_) | None => false,
        };
        let end = (0..words.len()).find(ends).unwrap_or(words.len());
        let command: Vec<Word> = words.get(..end).unwrap_or_default().iter().map(filled).collect();
        if command.is_empty() {
            self.script.doubt("find has an action without a command");
        } else {
            self.inner(command);
        }
        end + 1
    }
}

/// A word with `{}` replaced by a path that is not known.
fn filled(word: &Word) -> Word {
    let mut pieces = Vec::new();
    for piece in word.pieces() {
        match piece {
            Piece::Text(text) => {
                for (nth, part) in text.split("{}").enumerate() {
                    if nth > 0 {
                        pieces.push(Piece::Any);
                    }
                    pieces.push(Piece::Text(part.to_owned()));
                }
            }
            other @ (Piece::Wild(_) | Piece::Any | Piece::Split) => pieces.push(other),
        }
    }
    Word::of(pieces)
}
