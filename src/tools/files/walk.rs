//! Walking a tree: folder by folder through descriptors, in the order of names, without what
//! `.gitignore` leaves out, and never through a link. A folder that is swapped for a link while a
//! walk is on its way is not entered: its name is opened beneath the folder it was read in.

use std::{
    ffi::{CStr, CString},
    io::Read as _,
    os::fd::{AsFd, OwnedFd},
};

use greenroom_actors::{limits, ports::Sight};
use ignore::{
    Match,
    gitignore::{Gitignore, GitignoreBuilder},
};
use rustix::fs::{AtFlags, Dir, FileType, statat};

use super::{
    opener::Opener, place::Place, protect, refusal::Refusal, save::TEMPORARY, text, work::Brake,
};

/// Something in a folder.
#[derive(Debug)]
pub(super) struct Entry<'a> {
    /// Its path as tools name it; of a name that is not UTF-8 what can be shown.
    pub(super) path: String,
    /// Where it is, with what can be shown of a name that is not UTF-8.
    at: Place,
    /// The same; none for a name that is not UTF-8, which no path in a call can mean.
    pub(super) place: Option<Place>,
    pub(super) kind: FileType,
    /// The folder it is in.
    pub(super) folder: &'a OwnedFd,
    pub(super) name: &'a CStr,
}

impl Entry<'_> {
    /// Its path from where the walk began: what a glob is held against.
    pub(super) fn below(&self, start: &Place) -> String {
        let parts = self.place.as_ref().map_or(&[] as &[String], |place| place.parts.as_slice());
        parts.get(start.parts.len()..).unwrap_or_default().join("/")
    }
}

/// Whether a walk goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Go {
    On,
    /// What was looked for is found.
    End,
}

/// How a walk goes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Manner<'a> {
    /// What rules keep from it.
    pub(super) sight: &'a Sight,
    /// Whether it looks at what `.gitignore` leaves out.
    pub(super) all: bool,
    /// Folders in folders that it descends.
    pub(super) depth: usize,
}

/// What a walk passed by without being asked to.
#[derive(Debug, Default)]
pub(super) struct Missed {
    /// Folders that could not be opened, or lie too deep.
    pub(super) folders: usize,
    /// Entries that rules keep.
    pub(super) kept: usize,
    /// It ended before everything was seen.
    pub(super) cut: bool,
}

/// One folder of the way.
struct Level {
    place: Place,
    folder: OwnedFd,
    /// What is not looked at yet, last first.
    names: Vec<(CString, FileType)>,
    ignored: Vec<Gitignore>,
}

/// A walk at work.
struct Walk<'a> {
    opener: &'a Opener,
    manner: Manner<'a>,
    /// Whether rules are asked. Who was permitted to start in a place that they keep was permitted
    /// it by a person, who meant what is in it.
    asks: bool,
    seen: usize,
    missed: Missed,
}

/// Visits all that is beneath a folder.
pub(super) fn walk(
    opener: &Opener,
    start: &Place,
    manner: Manner<'_>,
    brake: &Brake,
    visit: &mut dyn FnMut(&Entry<'_>) -> Result<Go, Refusal>,
) -> Result<Missed, Refusal> {
    let asks = !opener.names(start).iter().any(|path| manner.sight.hides(path));
    let mut walk = Walk { opener, manner, asks, seen: 0, missed: Missed::default() };
    let folder = opener.folder(start)?;
    let above = walk.ignored_above(start);
    let mut way = vec![walk.level(start.clone(), folder, above)?];
    while let Some(level) = way.last_mut() {
        brake.check()?;
        let Some((name, kind)) = level.names.pop() else {
            way.pop();
            continue;
        };
        walk.seen += 1;
        if walk.seen > limits::WALK_ENTRIES {
            walk.missed.cut = true;
            break;
        }
        let Some((entry, enters)) = walk.entry(level, &name, kind) else { continue };
        if walk.asks && opener.names(&entry.at).iter().any(|path| manner.sight.hides(path)) {
            walk.missed.kept += 1;
            continue;
        }
        if visit(&entry)? == Go::End {
            break;
        }
        let place = entry.place;
        if let (true, Some(place)) = (enters, place) {
            let depth = place.parts.len() - start.parts.len();
            if depth >= manner.depth.min(limits::WALK_DEPTH) {
                walk.missed.folders += usize::from(manner.depth > limits::WALK_DEPTH);
                continue;
            }
            let ignored = level.ignored.clone();
            match opener.folder_in(&level.folder, &name) {
                Ok(folder) => way.push(walk.level(place, folder, ignored)?),
                // Gone, swapped, another file system or not ours to read: all is one to a walk.
                Err(_closed) => walk.missed.folders += 1,
            }
        }
    }
    Ok(walk.missed)
}

impl Walk<'_> {
    /// An entry that is to be looked at, and whether the walk goes into it.
    fn entry<'a>(
        &self,
        level: &'a Level,
        name: &'a CStr,
        kind: FileType,
    ) -> Option<(Entry<'a>, bool)> {
        let is_folder = kind == FileType::Directory;
        let shown = name.to_string_lossy();
        if (is_folder && protect::is_git(&shown)) || shown.ends_with(TEMPORARY) {
            return None;
        }
        let place = name.to_str().ok().map(|name| level.place.with(name));
        let as_path = level.place.with(&shown);
        if !self.manner.all && is_ignored(&level.ignored, &as_path, is_folder) {
            return None;
        }
        let path = text::plain(&self.opener.shown(&as_path));
        let enters = is_folder && place.is_some();
        Some((Entry { path, at: as_path, place, kind, folder: &level.folder, name }, enters))
    }

    fn level(
        &mut self,
        place: Place,
        folder: OwnedFd,
        mut ignored: Vec<Gitignore>,
    ) -> Result<Level, Refusal> {
        if !self.manner.all {
            ignored.extend(self.ignored_in(&place, &folder));
        }
        let (mut names, cut) =
            entries(&folder).map_err(|why| Refusal::io("list", self.opener.shown(&place), why))?;
        self.missed.cut |= cut;
        names.sort_unstable_by(|a, b| b.0.cmp(&a.0));
        Ok(Level { place, folder, names, ignored })
    }

    /// What the folders above the first one leave out: their words hold below them as well.
    fn ignored_above(&self, start: &Place) -> Vec<Gitignore> {
        if self.manner.all {
            return Vec::new();
        }
        let mut ignored = Vec::new();
        let mut here = Place { root: start.root, parts: Vec::new() };
        for part in &start.parts {
            let Ok(folder) = self.opener.open_folder(&here) else { break };
            ignored.extend(self.ignored_in(&here, &folder));
            here = here.with(part);
        }
        ignored
    }

    fn ignored_in(&self, place: &Place, folder: &OwnedFd) -> Option<Gitignore> {
        let mut builder = GitignoreBuilder::new(absolute(place));
        let mut any = false;
        for name in [c".gitignore", c".ignore"] {
            let Some((file, _)) = self.opener.file_in(folder, name) else { continue };
            let mut text = Vec::new();
            if file.take(limits::IGNORE_BYTES).read_to_end(&mut text).is_err() {
                continue;
            }
            for line in String::from_utf8_lossy(&text).lines() {
                // A line that is no pattern leaves nothing out, as git has it.
                any |= builder.add_line(None, line).is_ok();
            }
        }
        any.then(|| builder.build().ok()).flatten()
    }
}

/// A place as its root were the whole file system: what patterns are held against.
fn absolute(place: &Place) -> String {
    format!("/{}", place.parts.join("/"))
}

/// Whether the innermost file with a word on it leaves it out.
fn is_ignored(ignored: &[Gitignore], place: &Place, is_folder: bool) -> bool {
    let path = absolute(place);
    for patterns in ignored.iter().rev() {
        match patterns.matched(&path, is_folder) {
            Match::Ignore(_) => return true,
            Match::Whitelist(_) => return false,
            Match::None => {}
        }
    }
    false
}

/// What is in a folder, and whether there is more than is held.
fn entries(folder: &OwnedFd) -> Result<(Vec<(CString, FileType)>, bool), rustix::io::Errno> {
    let mut found = Vec::new();
    for entry in Dir::read_from(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        if name == c"." || name == c".." {
            continue;
        }
        if found.len() == limits::WALK_FOLDER {
            return Ok((found, true));
        }
        // Not every file system says in its lists what an entry is.
        let kind = match entry.file_type() {
            FileType::Unknown => match statat(folder, name, AtFlags::SYMLINK_NOFOLLOW) {
                Ok(stat) => FileType::from_raw_mode(stat.st_mode),
                Err(_gone) => continue,
            },
            known => known,
        };
        found.push((name.to_owned(), kind));
    }
    Ok((found, false))
}

/// Names in a folder that a path in a call can mean.
pub(super) fn names_in(folder: impl AsFd) -> Vec<String> {
    let Ok(entries) = Dir::read_from(folder) else { return Vec::new() };
    let names = entries.take(limits::WALK_FOLDER).filter_map(|entry| {
        let entry = entry.ok()?;
        entry.file_name().to_str().ok().map(str::to_owned)
    });
    names.filter(|name| name != "." && name != "..").collect()
}
