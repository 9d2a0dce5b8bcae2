//! Files that a script uses and folders it may be in. Paths stay as they are written: what they mean is
//! for the rules, which know the roots; here they only get the folder that they begin at.

use super::{Access, FileUse, Part, Piece, Script, Word};

use crate::limits;

/// Stands for a name in a folder of which nothing is known; nobody gives a file such a one.
pub(in crate::policy) const SOME_NAME: char = '\u{fffc}';

/// Where a shell may be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Folders {
    /// Each is possible. None of them: nobody said where it starts.
    known: Vec<String>,
    /// It may also be anywhere else.
    lost: bool,
    /// It has gone somewhere, so that the way up may be another than the way there.
    moved: bool,
}

impl Folders {
    pub(super) fn at(cwd: Option<&str>) -> Self {
        Self { known: cwd.map(str::to_owned).into_iter().collect(), lost: false, moved: false }
    }

    pub(super) const fn lost() -> Self {
        Self { known: Vec::new(), lost: true, moved: true }
    }

    /// Those that are known.
    pub(super) fn known(&self) -> &[String] {
        &self.known
    }

    pub(super) const fn is_lost(&self) -> bool {
        self.lost
    }

    /// The same for who goes up by names.
    pub(super) fn by_name(&self) -> Self {
        Self { moved: false, ..self.clone() }
    }

    /// Here or there.
    pub(super) fn or(mut self, other: Self) -> Self {
        for folder in other.known {
            if !self.known.contains(&folder) {
                self.known.push(folder);
            }
        }
        if self.known.len() > limits::SCRIPT_FOLDERS {
            return Self::lost();
        }
        let (lost, moved) = (self.lost || other.lost, self.moved || other.moved);
        Self { known: self.known, lost, moved }
    }

    /// After a change to a folder that is written out.
    pub(super) fn moved(&self, to: &str) -> Self {
        if to.starts_with('/') {
            return Self { known: vec![resolved(to)], lost: false, moved: true };
        }
        if self.lost || self.known.is_empty() || to.starts_with(['~', '-']) {
            return Self::lost();
        }
        let known = self.known.iter().map(|from| resolved(&format!("{from}/{to}"))).collect();
        Self { known, lost: false, moved: true }
    }
}

/// Whether a path goes up from somewhere that may be a link.
fn climbs(path: &Word, moved: bool) -> bool {
    let text: String = path
        .pieces()
        .iter()
        .map(|piece| match piece {
            Piece::Text(text) => text.as_str(),
            Piece::Wild(_) | Piece::Any | Piece::Split => "*",
        })
        .collect();
    let mut below = moved && !text.starts_with(['/', '~']);
    text.split('/').filter(|part| !part.is_empty() && *part != ".").any(|part| {
        let up = part == "..";
        let climbs = up && below;
        below |= !up;
        climbs
    })
}

/// A path with `.` and `..` resolved as text; a link in it is for whoever opens it.
fn resolved(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/').filter(|part| !part.is_empty() && *part != ".") {
        if part == ".." {
            parts.pop();
        } else {
            parts.push(part);
        }
    }
    format!("/{}", parts.join("/"))
}

impl Script {
    /// Notes that a file is used, from each folder that the script may be in.
    pub(super) fn file(&mut self, access: Access, path: &Word, folders: &Folders) {
        if access == Access::Maybe && path.text() == Some("") {
            return;
        }
        let whole = path.start().starts_with('/');
        if folders.lost && !whole && access != Access::Maybe {
            self.doubt("a file is named from a folder that is not known");
        }
        let device = path.text().is_some_and(|text| {
            ["/dev/tcp/", "/dev/udp/"].iter().any(|start| text.starts_with(start))
        });
        if device {
            self.refuse("a file of the name /dev/tcp or /dev/udp is a connection to the network");
        }
        if access == Access::Read && path.text() == Some("-") {
            return;
        }
        if access != Access::Maybe && climbs(path, folders.moved) {
            self.doubt("a `..` behind a name leads elsewhere where the name is a link");
        }
        let one = |cwd: Option<String>| Part::File(FileUse { access, path: path.clone(), cwd });
        if folders.known.is_empty() || folders.lost {
            self.push(one(None));
        }
        for folder in &folders.known {
            self.push(one(Some(folder.clone())));
        }
    }

    /// Notes that it starts in another folder than its call.
    pub(in crate::policy) fn enters(&mut self, folder: &str) {
        self.file(Access::Read, &Word::Text(folder.to_owned()), &Folders::at(Some("/")));
    }

    /// The same, and for a word that may name a folder what lies in it: who moves or copies something to
    /// a folder writes there.
    pub(super) fn maybe_within(&mut self, word: &Word, folders: &Folders) {
        self.maybe_file(word, folders);
        let is_flag = |text: &&str| text.starts_with('-') && !text.contains('=');
        if let Some(folder) = word.text().filter(|text| !text.is_empty() && !is_flag(text)) {
            let within = format!("{}/{SOME_NAME}", folder.trim_end_matches('/'));
            self.maybe_file(&Word::Text(within), folders);
        }
    }

    /// Notes every reading of a word that may name a file: itself, what follows `=`, and what follows
    /// the letter of an option. Rules may forbid each.
    pub(super) fn maybe_file(&mut self, word: &Word, folders: &Folders) {
        if word.pieces().iter().any(|piece| matches!(piece, Piece::Split)) {
            return;
        }
        self.file(Access::Maybe, word, folders);
        let mut rest = word.clone();
        for _ in 0..3 {
            let start = rest.start().to_owned();
            let Some((before, _)) = start.split_once(['=', ':', '@']) else { break };
            let skipped = start.get(..=before.len()).unwrap_or_default();
            let Some(tail) = rest.without(skipped) else { break };
            // What stands behind a scheme is a host.
            if !(skipped.ends_with(':') && tail.start().starts_with("//")) {
                self.file(Access::Maybe, &tail, folders);
            }
            rest = tail;
        }
        let glued = word.start().get(..2).filter(|o| o.starts_with('-') && *o != "--");
        if let Some(tail) = glued.and_then(|option| word.without(option)) {
            self.file(Access::Maybe, &tail, folders);
        }
    }
}
