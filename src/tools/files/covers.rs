//! What the processes of a call must not see or change although it lies in their trees: what rules deny
//! at that moment, names that are kept from tools, what belongs to the runtime. It is found by going
//! through the trees when the call starts; custody lays something over each before the program runs.
//!
//! ```text
//!  denied to read, or a secret by its name    hidden: it is there and cannot be opened
//!  denied to write, or run by other programs  kept: it can be read, nothing of it changes
//!  what those lie in, where that matters      pinned: it cannot be moved out of a rule's way
//! ```
//!
//! Names count as they were when the call started. What a process makes itself under such a name is
//! its own: it knows what is in it. A walk that cannot see everything finds nothing: then there is no
//! process, for half a cover hides nothing.

use std::{
    collections::BTreeMap,
    fs::{self, DirEntry, FileType},
    io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use greenroom_actors::{
    limits,
    ports::{Sight, ToolCtx},
};

use crate::{
    tools::custody::{Cover, How},
    typed::ToolError,
};

use super::{
    protect::{self, Use},
    refusal::Refusal,
    work::{Brake, Work},
};

/// What is covered for every call, and where the rest is looked for.
#[derive(Clone, Debug)]
pub(in crate::tools) struct Covers {
    work: Work,
    fixed: BTreeMap<PathBuf, How>,
}

/// The trees of one call.
#[derive(Clone, Debug)]
pub(in crate::tools) struct Trees {
    pub(in crate::tools) write: Vec<PathBuf>,
    pub(in crate::tools) read: Vec<PathBuf>,
}

impl Covers {
    pub(in crate::tools) fn new() -> Self {
        Self { work: Work::new(), fixed: BTreeMap::new() }
    }

    /// Covers a file or folder for every call.
    pub(in crate::tools) fn with(mut self, path: PathBuf, how: How) -> Self {
        self.fixed.insert(path, how);
        self
    }

    /// What is to be covered for a call.
    pub(in crate::tools) async fn find(
        &self,
        ctx: &ToolCtx,
        trees: Trees,
    ) -> Result<Vec<Cover>, ToolError> {
        let fixed = self.fixed.clone();
        let job = move |ctx: &ToolCtx, brake: &Brake| {
            let mut found = Found { trees, covers: BTreeMap::new(), twice: BTreeMap::new() };
            fixed.iter().for_each(|(path, how)| found.cover(path, *how, ALL));
            let mut walk = Walk { sight: &ctx.sight, brake, seen: 0 };
            walk.all(&mut found)?;
            found.finish()
        };
        self.work.run(ctx.clone(), job).await
    }
}

/// Every folder up to the root.
const ALL: usize = usize::MAX;

/// What was found so far.
struct Found {
    trees: Trees,
    covers: BTreeMap<PathBuf, How>,
    /// Covered files that have further names, by what they are.
    twice: BTreeMap<(u64, u64), How>,
}

impl Found {
    /// Covers what really lies there, and holds so many of the folders above it in place.
    fn cover(&mut self, path: &Path, how: How, pins: usize) {
        // A link leads to what is meant. What is not there needs no cover; what lies in none of the
        // trees is out of reach, or the system's for everybody to read.
        let Ok(path) = path.canonicalize() else { return };
        let all = || self.trees.write.iter().chain(&self.trees.read);
        let roots = all().filter(|tree| path.starts_with(tree));
        let Some(root) = roots.max_by_key(|tree| tree.as_os_str().len()) else { return };
        let above = path.ancestors().skip(1).take_while(|folder| folder != root).take(pins);
        let above: Vec<PathBuf> = above.map(Path::to_owned).collect();
        above.into_iter().for_each(|folder| self.lay(folder, How::Pinned));
        if let Ok(about) = path.symlink_metadata()
            && about.is_file()
            && about.nlink() > 1
        {
            let own = self.twice.entry((about.dev(), about.ino())).or_insert(how);
            *own = how.max(*own);
        }
        self.lay(path, how);
    }

    /// Of two ways the stricter.
    fn lay(&mut self, path: PathBuf, how: How) {
        let own = self.covers.entry(path).or_insert(how);
        *own = how.max(*own);
    }

    /// In the order of paths, which puts each folder before what is in it.
    fn finish(self) -> Result<Vec<Cover>, Refusal> {
        if self.covers.len() > limits::TOOL_COVERS {
            return Err(Refusal::Misfit(format!(
                "nothing was started: {} files and folders would have to be covered for its \
                 processes, {} are the most; deny their folder as a whole",
                self.covers.len(),
                limits::TOOL_COVERS
            )));
        }
        Ok(self.covers.into_iter().map(|(path, how)| Cover { path, how }).collect())
    }
}

/// Going through the trees.
struct Walk<'a> {
    sight: &'a Sight,
    brake: &'a Brake,
    seen: usize,
}

/// A folder on the way.
struct Folder {
    path: PathBuf,
    /// Whether processes may write there.
    writable: bool,
    /// The root's length in names.
    root: usize,
    /// Whether nothing in it changes anyway.
    kept: bool,
    /// Whether programs fetched what is in it, which was published.
    fetched: bool,
}

impl Folder {
    /// Where something is covered by its place, so much above it must stay in its own.
    const fn pins(&self) -> usize {
        if self.writable { ALL } else { 0 }
    }
}

impl Walk<'_> {
    fn all(&mut self, found: &mut Found) -> Result<(), Refusal> {
        let Trees { write, read } = found.trees.clone();
        let trees = write.into_iter().map(|tree| (tree, true));
        for (tree, writable) in trees.chain(read.into_iter().map(|tree| (tree, false))) {
            let root = tree.components().count();
            let top = Folder { path: tree, writable, root, kept: false, fetched: false };
            let way = self.enters(top, found).into_iter().collect();
            self.below(way, found)?;
        }
        if found.twice.is_empty() {
            return Ok(());
        }
        for tree in [found.trees.write.clone(), found.trees.read.clone()].concat() {
            self.names_of(tree, found)?;
        }
        Ok(())
    }

    fn below(&mut self, mut way: Vec<Folder>, found: &mut Found) -> Result<(), Refusal> {
        while let Some(folder) = way.pop() {
            let Some(entries) = entries(&folder.path)? else {
                // What this program may not read, its owner could make readable.
                found.cover(&folder.path, How::Hidden, folder.pins());
                continue;
            };
            for entry in entries {
                let (entry, kind) = entry?;
                self.count()?;
                let path = entry.path();
                let next = Folder { path, ..folder };
                if kind.is_dir() {
                    way.extend(self.enters(next, found));
                } else if !self.meets(&next, false, found) && kind.is_symlink() {
                    // A rule may mean a folder by the name of a link to it.
                    self.covers_whole(&next, found);
                }
            }
        }
        Ok(())
    }

    fn count(&mut self) -> Result<(), Refusal> {
        self.seen += 1;
        self.brake.check()?;
        if self.seen > limits::WALK_ENTRIES {
            return Err(Refusal::Misfit(format!(
                "nothing was started: its folders hold more than {} entries, too many to look \
                 for what its processes must not see; `roots` can name fewer folders",
                limits::WALK_ENTRIES
            )));
        }
        Ok(())
    }

    /// What is to be done with something; whether it is hidden as a whole.
    fn meets(&self, at: &Folder, is_folder: bool, found: &mut Found) -> bool {
        let shown = at.path.to_string_lossy();
        if self.sight.hides(&shown) {
            found.cover(&at.path, How::Hidden, at.pins());
            return true;
        }
        let names: Vec<&str> = shown.split('/').skip(at.root).collect();
        let named = if at.fetched { None } else { protect::from_processes(&names, is_folder) };
        if matches!(named, Some((Use::Read, _))) {
            found.cover(&at.path, How::Hidden, at.pins());
            return true;
        }
        if at.kept || !at.writable {
            return false;
        }
        if self.sight.keeps(&shown) {
            found.cover(&at.path, How::Kept, ALL);
        } else if let Some((Use::Write, pins)) = named {
            found.cover(&at.path, How::Kept, pins);
        }
        false
    }

    /// A folder that is to be looked into.
    fn enters(&self, mut at: Folder, found: &mut Found) -> Option<Folder> {
        if self.meets(&at, true, found) {
            return None;
        }
        if self.covers_whole(&at, found) {
            return None;
        }
        at.kept |= found.covers.get(&at.path) == Some(&How::Kept);
        at.fetched |= at
            .path
            .file_name()
            .is_some_and(|name| name == "node_modules" || name == "site-packages");
        Some(at)
    }

    /// Where a rule means whatever lies in a folder, the folder is covered; whether it is hidden.
    fn covers_whole(&self, at: &Folder, found: &mut Found) -> bool {
        let any = |means: &dyn Fn(&str) -> bool| {
            let names = ["\u{e000}\u{e001}", "\u{e002}\u{e003}\u{e004}"];
            names.iter().all(|name| means(&at.path.join(name).to_string_lossy()))
        };
        if any(&|path| self.sight.hides(path)) {
            found.cover(&at.path, How::Hidden, at.pins());
            return true;
        }
        if at.writable && !at.kept && any(&|path| self.sight.keeps(path)) {
            found.cover(&at.path, How::Kept, ALL);
        }
        false
    }

    /// Covers every other name of what is covered: it is the same file.
    fn names_of(&mut self, tree: PathBuf, found: &mut Found) -> Result<(), Refusal> {
        let mut way = vec![tree];
        while let Some(folder) = way.pop() {
            if found.covers.get(&folder) == Some(&How::Hidden) {
                continue;
            }
            for entry in entries(&folder)?.into_iter().flatten() {
                let (entry, kind) = entry?;
                self.count()?;
                if kind.is_dir() {
                    way.push(entry.path());
                } else if let Ok(about) = entry.metadata()
                    && let Some(how) = found.twice.get(&(about.dev(), about.ino())).copied()
                {
                    found.lay(entry.path(), how);
                }
            }
        }
        Ok(())
    }
}

/// Something in a folder, and what it is.
type Entry = Result<(DirEntry, FileType), Refusal>;

/// What is in a folder; nothing where it may not be read. Who goes away meanwhile is nothing to a
/// process either; after anything else nobody knows what is in it.
fn entries(folder: &Path) -> Result<Option<impl Iterator<Item = Entry>>, Refusal> {
    let is_gone = |error: &io::Error| {
        matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
    };
    let path = folder.to_owned();
    let unseen = move |error: io::Error| {
        let shown = path.display();
        Refusal::Misfit(format!("nothing was started: {shown} cannot be looked through: {error}"))
    };
    let list = match fs::read_dir(folder) {
        Ok(list) => Some(list),
        Err(error) if is_gone(&error) => None,
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => return Ok(None),
        Err(error) => return Err(unseen(error)),
    };
    Ok(Some(list.into_iter().flatten().filter_map(move |entry| {
        match entry.and_then(|entry| entry.file_type().map(|kind| (entry, kind))) {
            Err(error) if is_gone(&error) => None,
            known => Some(known.map_err(&unseen)),
        }
    })))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_walk_that_cannot_see_everything_covers_nothing_and_says_what_helps() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("a"), "").unwrap();
        let found = |seen| {
            let trees = Trees { write: vec![folder.path().to_owned()], read: Vec::new() };
            let mut found = Found { trees, covers: BTreeMap::new(), twice: BTreeMap::new() };
            let (sight, brake) = (Sight::default(), Brake::default());
            Walk { sight: &sight, brake: &brake, seen }.all(&mut found)
        };
        assert!(found(limits::WALK_ENTRIES - 1).is_ok());
        let said = found(limits::WALK_ENTRIES).unwrap_err().to_string();
        assert!(said.contains("500000 entries") && said.contains("`roots`"), "{said}");
    }
}
