//! Where an order's process finds what: which trees stay what they are while all else is made read-only,
//! what is covered by an empty place of its own, and what in its trees is hidden or kept. Here it is
//! written down, in the order in which nothing hides another; `mounts` and `covers` do it.

use std::{
    os::unix::ffi::OsStrExt as _,
    path::{Path, PathBuf},
};

use greenroom_actors::limits;

use super::{
    level::Layer,
    make::{Bounds, How, Maker, NotMade, Order},
    pages::{Draft, Null, Word, switch},
};

/// What becomes of a tree when all else is frozen or covered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Tree {
    /// It stays writable where it is.
    InPlace,
    /// It stays writable, on top of what covers its place.
    Scratch,
    /// The same, to read.
    Read,
}

impl Tree {
    /// What stands before the path in an order.
    const fn letter(self) -> u8 {
        match self {
            Self::InPlace => b'i',
            Self::Scratch => b's',
            Self::Read => b'r',
        }
    }
}

impl Maker {
    /// What is covered, where that can be.
    pub(super) fn cover(&self, draft: &mut Draft, order: &Order) -> Result<(), Null> {
        let covers = order.covers.iter().filter(|_| self.level.has(Layer::Mounts));
        // Nothing can be kept as it is by a kernel that cannot freeze; it stays in its place.
        let most = if self.level.has(Layer::Frozen) { How::Hidden } else { How::Pinned };
        let how = |how: How| if how == How::Kept { how.min(most) } else { how };
        let covers = covers.map(|cover| (cover.path.as_path(), how(cover.how).letter()));
        lettered(draft, (Word::Covers, Word::CoversLen), covers)
    }

    /// Which trees stay what they are while all else is made read-only, and `/tmp` and the home are
    /// covered; what of this is to be done by a switch.
    pub(super) fn trees(&self, draft: &mut Draft, order: &Order) -> Result<u64, NotMade> {
        if !self.level.has(Layer::Mounts) {
            return Ok(0);
        }
        let scratches = self.scratches(order);
        let is_frozen =
            self.level.has(Layer::Frozen) && !order.write.iter().any(|tree| tree == Path::new("/"));
        let is_below = |tree: &Path| scratches.iter().any(|(place, _)| tree.starts_with(place));
        let writes = order.write.iter().filter_map(|tree| match is_below(tree) {
            true => Some((tree, Tree::Scratch)),
            false => is_frozen.then_some((tree, Tree::InPlace)),
        });
        let reads = order.read.iter().filter(|tree| is_below(tree)).map(|tree| (tree, Tree::Read));
        let mut trees: Vec<(&PathBuf, Tree)> = writes.chain(reads).collect();
        // Folders before what is in them, so that nothing covers a tree that was laid before.
        trees.sort();
        trees.dedup_by(|next, last| next.0 == last.0);
        if trees.len() > limits::TOOL_TREES {
            return Err(NotMade::Trees);
        }
        let trees = trees.iter().map(|(path, tree)| (path.as_path(), tree.letter()));
        lettered(draft, (Word::Trees, Word::TreesLen), trees)?;
        let places = scratches.iter().map(|(path, letter)| (path.as_path(), *letter));
        lettered(draft, (Word::Scratches, Word::ScratchesLen), places)?;
        let Bounds { scratch_bytes, scratch_files, .. } = self.bounds;
        let bounds = format!("size={scratch_bytes},nr_inodes={scratch_files},mode=1777");
        draft.text_at(Word::Scratch, bounds.as_bytes())?;
        Ok(if is_frozen { switch::FROZEN } else { 0 })
    }

    /// `/tmp` and the home, unless the order is to have the real one. The second may lie in the first.
    fn scratches(&self, order: &Order) -> Vec<(PathBuf, u8)> {
        let mut scratches: Vec<(PathBuf, u8)> = Vec::new();
        for place in [Some(PathBuf::from("/tmp")), self.home.clone()].into_iter().flatten() {
            let mut used = order.write.iter().chain(&order.read);
            let is_meant = used.any(|tree| place.starts_with(tree));
            let is_system = self.system.iter().any(|tree| tree.starts_with(&place));
            if is_meant || is_system {
                continue;
            }
            let is_covered = scratches.iter().any(|(other, _)| place.starts_with(other));
            scratches.push((place, if is_covered { b'f' } else { b'm' }));
        }
        scratches
    }
}

/// A list of paths, each with a letter in front.
fn lettered<'a>(
    draft: &mut Draft,
    (list, count): (Word, Word),
    paths: impl Iterator<Item = (&'a Path, u8)>,
) -> Result<(), Null> {
    let texts: Vec<Vec<u8>> =
        paths.map(|(path, letter)| [&[letter], path.as_os_str().as_bytes()].concat()).collect();
    let (at, len) = draft.list(texts.iter().map(Vec::as_slice))?;
    draft.set(list, at);
    draft.set(count, len);
    Ok(())
}
