//! What an init changes of the tree of files before its program sees it: mounts of its own, a
//! `/proc` that shows its own processes, and an empty bounded `/tmp` with only those trees below it
//! that the order may use. Files that lie in these and are nobody's to touch, the runtime's own
//! store above all, are hidden.
//!
//! Runs in inits: nothing is allocated.

use std::{
    ffi::CStr,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
};

use rustix::{
    fs::{CWD, Mode, OFlags, mkdir, open},
    io::{Errno, Result},
    mount::{
        MountFlags, MountPropagationFlags, MoveMountFlags, OpenTreeFlags, mount, mount_bind,
        mount_change, move_mount, open_tree,
    },
};

use super::{
    pages::{Pages, Word, switch},
    record::Step,
    sys,
};

/// Trees below `/tmp` that one order may keep.
pub(super) const KEPT: usize = 8;
/// What is covered.
pub(super) const TMP: &CStr = c"/tmp";
/// What hides a file: it reads as empty, and what is written there is gone.
const NOTHING: &CStr = c"/dev/null";

pub(super) fn arrange(
    pages: &Pages,
    rules: Option<BorrowedFd<'_>>,
) -> std::result::Result<(), (Step, Errno)> {
    let own = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
    mount_change(c"/", own).map_err(|errno| (Step::Mount, errno))?;
    if pages.has(switch::PROC) {
        let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
        mount(c"proc", c"/proc", c"proc", flags, None::<&CStr>)
            .and_then(|()| allow(rules, c"/proc", pages.word(Word::AccessRead)))
            .map_err(|errno| (Step::Proc, errno))?;
    }
    if pages.has(switch::SCRATCH) {
        scratch(pages)
            .and_then(|()| allow(rules, TMP, pages.word(Word::AccessAll)))
            .map_err(|errno| (Step::Scratch, errno))?;
    }
    for no in 0..pages.word(Word::HiddenLen) {
        match mount_bind(NOTHING, pages.listed(Word::Hidden, no)) {
            // What is not there needs no hiding, or what it stands in is covered already.
            Ok(()) | Err(Errno::NOENT | Errno::NOTDIR) => {}
            Err(errno) => return Err((Step::Mount, errno)),
        }
    }
    Ok(())
}

fn allow(rules: Option<BorrowedFd<'_>>, path: &CStr, access: u64) -> Result<()> {
    let Some(rules) = rules else { return Ok(()) };
    let tree = open(path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?;
    sys::also_beneath(rules, tree.as_fd(), access)
}

fn scratch(pages: &Pages) -> Result<()> {
    let mut trees: [Option<OwnedFd>; KEPT] = [const { None }; KEPT];
    let kept = || 0..pages.word(Word::KeptLen);
    for (no, tree) in kept().zip(&mut trees) {
        let flags = OpenTreeFlags::OPEN_TREE_CLONE
            | OpenTreeFlags::OPEN_TREE_CLOEXEC
            | OpenTreeFlags::AT_RECURSIVE;
        *tree = Some(open_tree(CWD, pages.listed(Word::Kept, no), flags)?);
    }
    let flags = MountFlags::NOSUID | MountFlags::NODEV;
    mount(c"tmpfs", TMP, c"tmpfs", flags, Some(pages.text(Word::Scratch)))?;
    for (no, tree) in kept().zip(trees.iter().flatten()) {
        let path = pages.listed(Word::Kept, no);
        folders(path)?;
        move_mount(tree, c"", CWD, path, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)?;
    }
    Ok(())
}

/// Makes a folder and those above it.
fn folders(path: &CStr) -> Result<()> {
    let mut buffer = [0_u8; 4096];
    let bytes = path.to_bytes();
    let Some(copy) = buffer.get_mut(..bytes.len()) else { return Err(Errno::NAMETOOLONG) };
    copy.copy_from_slice(bytes);
    for end in (1..=bytes.len()).filter(|end| matches!(bytes.get(*end), None | Some(b'/'))) {
        let Some(place) = buffer.get_mut(end) else { return Err(Errno::NAMETOOLONG) };
        let was = std::mem::replace(place, 0);
        let above = CStr::from_bytes_until_nul(&buffer).map_err(|_no_null| Errno::INVAL)?;
        match mkdir(above, Mode::from_raw_mode(0o755)) {
            Ok(()) | Err(Errno::EXIST) => {}
            // Above what was covered nothing is ours to make, and nothing has to be.
            Err(Errno::ROFS | Errno::ACCESS | Errno::PERM) if end < TMP.to_bytes().len() => {}
            Err(errno) => return Err(errno),
        }
        if let Some(place) = buffer.get_mut(end) {
            *place = was;
        }
    }
    Ok(())
}
