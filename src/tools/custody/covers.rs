//! Laying something over files and folders in the trees of one order: what is hidden lies below an
//! empty file or folder that nobody may open, what is kept below itself and cannot be written, what is
//! pinned below itself. The name of what something lies upon can be neither moved nor removed.
//!
//! Runs in inits: nothing is allocated. What cannot be covered ends the order before its program
//! begins.

use std::ffi::CStr;

use rustix::{
    fs::{CWD, FileType, Mode, OFlags, fstat, mkdirat, open, openat},
    io::{Errno, Result},
    mount::{
        MountFlags, UnmountFlags, mount, mount_bind, mount_bind_recursive, mount_remount, unmount,
    },
};

use super::{
    pages::{Pages, Word},
    sys,
};

/// Where what covers lies for a moment. Nothing in it is covered.
const STAND: &CStr = c"/proc";
const FILE: &CStr = c"/proc/file";
const FOLDER: &CStr = c"/proc/folder";

/// Covers everything of an order.
pub(super) fn lay(pages: &Pages) -> Result<()> {
    let count = pages.word(Word::CoversLen);
    let each = || (0..count).map(|no| pages.lettered(Word::Covers, no));
    let hides = each().any(|(how, _)| how == b'h');
    if hides {
        prepare()?;
    }
    for (how, path) in each() {
        match cover(how, path) {
            // It went away meanwhile, or what it lay in is covered.
            Ok(()) | Err(Errno::NOENT | Errno::NOTDIR | Errno::ACCESS) => {}
            Err(errno) => return Err(errno),
        }
    }
    if hides { unmount(STAND, UnmountFlags::DETACH) } else { Ok(()) }
}

/// An empty file and an empty folder that not even their owner may open. Nothing of them can be
/// changed, so that stays so.
fn prepare() -> Result<()> {
    let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    mount(c"tmpfs", STAND, c"tmpfs", flags, Some(c"size=4k,nr_inodes=4,mode=0755"))?;
    let closed = Mode::empty();
    openat(CWD, FILE, OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC, closed)?;
    mkdirat(CWD, FOLDER, closed)?;
    mount_remount(STAND, flags | MountFlags::RDONLY, c"size=4k,nr_inodes=4")
}

fn cover(how: u8, path: &CStr) -> Result<()> {
    match how {
        b'h' => {
            let found =
                open(path, OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())?;
            let kind = FileType::from_raw_mode(fstat(&found)?.st_mode);
            mount_bind(if kind == FileType::Directory { FOLDER } else { FILE }, path)
        }
        b'k' => {
            mount_bind_recursive(path, path)?;
            sys::freeze(path)
        }
        _ => mount_bind_recursive(path, path),
    }
}
