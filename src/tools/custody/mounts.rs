//! What an init changes of the tree of files before its program sees it: mounts of its own, a
//! `/proc` that shows its own processes, an empty bounded `/tmp` and home with only those trees below
//! them that the order may use, and all beyond those trees read-only: rules of files know nothing of modes, times
//! and attributes, which a file's owner could change wherever it lies.
//!
//! Runs in inits: nothing is allocated.

use std::{
    ffi::CStr,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
};

use greenroom_actors::limits;
use rustix::{
    fs::{CWD, FileType, Mode, OFlags, fstat, mkdir, open},
    io::{Errno, Result},
    mount::{
        MountFlags, MountPropagationFlags, MoveMountFlags, OpenTreeFlags, mount, mount_change,
        move_mount, open_tree,
    },
};

use super::{
    covers,
    pages::{Pages, Word, switch},
    record::Step,
    sys,
};

/// Trees that one order may have.
const MOST: usize = limits::TOOL_TREES;

pub(super) fn arrange(
    pages: &Pages,
    rules: Option<BorrowedFd<'_>>,
) -> std::result::Result<(), (Step, Errno)> {
    let own = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
    mount_change(c"/", own).map_err(|errno| (Step::Mount, errno))?;
    let mut trees = Trees { pages, mounts: [const { None }; MOST] };
    // What may be written is taken aside before everything is frozen, what may be read after it.
    trees.take(|tree| tree != b'r').map_err(|errno| (Step::Scratch, errno))?;
    if pages.has(switch::FROZEN) {
        sys::freeze(c"/").map_err(|errno| (Step::Freeze, errno))?;
    }
    trees.take(|tree| tree == b'r').map_err(|errno| (Step::Scratch, errno))?;
    if pages.has(switch::PROC) {
        let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
        mount(c"proc", c"/proc", c"proc", flags, None::<&CStr>)
            .and_then(|()| allow(rules, c"/proc", pages.word(Word::AccessRead)))
            .map_err(|errno| (Step::Proc, errno))?;
    }
    scratches(pages, rules).map_err(|errno| (Step::Scratch, errno))?;
    trees.put().map_err(|errno| (Step::Scratch, errno))?;
    covers::lay(pages).map_err(|errno| (Step::Cover, errno))
}

fn allow(rules: Option<BorrowedFd<'_>>, path: &CStr, access: u64) -> Result<()> {
    let Some(rules) = rules else { return Ok(()) };
    let tree = open(path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?;
    sys::also_beneath(rules, tree.as_fd(), access)
}

/// Covers what is to be empty.
fn scratches(pages: &Pages, rules: Option<BorrowedFd<'_>>) -> Result<()> {
    let each = || (0..pages.word(Word::ScratchesLen)).map(|no| pages.lettered(Word::Scratches, no));
    let flags = MountFlags::NOSUID | MountFlags::NODEV;
    for (letter, place) in each() {
        if letter == b'm' {
            mount(c"tmpfs", place, c"tmpfs", flags, Some(pages.text(Word::Scratch)))?;
            allow(rules, place, pages.word(Word::AccessAll))?;
        } else {
            folders(place, Mode::from_raw_mode(0o755))?;
        }
    }
    // Where it begins need not be where it may read; there is nothing there then.
    let cwd = pages.text(Word::Cwd);
    let is_below = |place: &CStr| {
        let rest = cwd.to_bytes().strip_prefix(place.to_bytes());
        rest.is_some_and(|rest| rest.starts_with(b"/"))
    };
    if each().any(|(_, place)| is_below(place)) { folders(cwd, CLOSED) } else { Ok(()) }
}

/// The trees of an order, as mounts that are nowhere for a while.
struct Trees<'a> {
    pages: &'a Pages,
    mounts: [Option<OwnedFd>; MOST],
}

impl<'a> Trees<'a> {
    fn each(pages: &'a Pages) -> impl Iterator<Item = (u8, &'a CStr)> {
        (0..pages.word(Word::TreesLen)).map(|no| pages.lettered(Word::Trees, no))
    }

    /// Takes aside those that are meant, with whatever is mounted in them.
    fn take(&mut self, is_meant: impl Fn(u8) -> bool) -> Result<()> {
        let flags = OpenTreeFlags::OPEN_TREE_CLONE
            | OpenTreeFlags::OPEN_TREE_CLOEXEC
            | OpenTreeFlags::AT_RECURSIVE;
        for ((letter, path), place) in Self::each(self.pages).zip(&mut self.mounts) {
            if is_meant(letter) {
                *place = Some(open_tree(CWD, path, flags)?);
            }
        }
        Ok(())
    }

    /// Puts all of them back, in the order in which nothing hides another.
    fn put(&self) -> Result<()> {
        for ((letter, path), tree) in Self::each(self.pages).zip(self.mounts.iter().flatten()) {
            if letter != b'i' {
                stand(path, tree)?;
            }
            move_mount(tree, c"", CWD, path, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)?;
            // Rules of files let everything be done below what covers.
            if letter == b'r' {
                sys::freeze(path)?;
            }
        }
        Ok(())
    }
}

/// Something of the tree's kind in its place.
fn stand(path: &CStr, tree: &OwnedFd) -> Result<()> {
    if FileType::from_raw_mode(fstat(tree)?.st_mode) == FileType::Directory {
        return folders(path, CLOSED);
    }
    let bytes = path.to_bytes();
    let end = bytes.iter().rposition(|byte| *byte == b'/').unwrap_or_default();
    let mut above = [0_u8; 4096];
    let copy = above.get_mut(..end).ok_or(Errno::NAMETOOLONG)?;
    copy.copy_from_slice(bytes.get(..end).unwrap_or_default());
    let above = CStr::from_bytes_until_nul(&above).map_err(|_no_null| Errno::INVAL)?;
    folders(above, CLOSED)?;
    let flags = OFlags::CREATE | OFlags::RDONLY | OFlags::CLOEXEC;
    open(path, flags, Mode::from_raw_mode(0o600)).map(drop)
}

/// Of folders in which nothing is written, for it would be lost in silence.
const CLOSED: Mode = Mode::from_raw_mode(0o555);

/// Makes a folder and those above it.
fn folders(path: &CStr, last: Mode) -> Result<()> {
    let mut buffer = [0_u8; 4096];
    let bytes = path.to_bytes();
    let Some(copy) = buffer.get_mut(..bytes.len()) else { return Err(Errno::NAMETOOLONG) };
    copy.copy_from_slice(bytes);
    for end in (1..=bytes.len()).filter(|end| matches!(bytes.get(*end), None | Some(b'/'))) {
        let Some(place) = buffer.get_mut(end) else { return Err(Errno::NAMETOOLONG) };
        let was = std::mem::replace(place, 0);
        let above = CStr::from_bytes_until_nul(&buffer).map_err(|_no_null| Errno::INVAL)?;
        match mkdir(above, if end == bytes.len() { last } else { CLOSED }) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(errno) => return Err(errno),
        }
        if let Some(place) = buffer.get_mut(end) {
            *place = was;
        }
    }
    Ok(())
}
