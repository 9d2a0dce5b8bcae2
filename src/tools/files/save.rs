//! Writing: the whole file or nothing of it, at any moment of a crash.
//!
//! ```text
//! folder's descriptor ── look at the name ── temporary file beside it (new, never followed)
//!   ── bytes, sync ── look again ── rename over the name ── sync the folder
//! ```
//!
//! A rename replaces a name and follows nothing: whatever somebody puts there in the meantime, a
//! link for instance, is replaced or found, and never written through. The temporary file is named
//! after the call's key, so that a call cut off by a crash leaves a trace that says it did not
//! happen, and its next run finds it.

use std::{fs::File, io::Write as _, os::fd::OwnedFd};

use rustix::{
    fs::{
        AtFlags, Gid, Mode, OFlags, RenameFlags, Stat, Uid, fchmod, fchown, fsync, mkdirat, openat,
        renameat, renameat_with, unlinkat,
    },
    io::Errno,
};
use sha2::{Digest as _, Sha256};

use super::{opener::Opener, place::Place, protect::Use, refusal::Refusal, text, work::Brake};

/// What may be at the name.
#[derive(Clone, Copy, Debug)]
pub(super) enum Over<'a> {
    /// Nothing.
    Nothing,
    /// Nothing, or a file.
    Anything,
    /// This file as it was read.
    This(&'a Stat),
}

/// What was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Saved {
    Created,
    Replaced,
}

/// Bytes written between two looks at the brake.
const CHUNK: usize = 1024 * 1024;
/// How temporary files end. Walks pass them by.
pub(super) const TEMPORARY: &str = ".greenroom-new";

/// The name of a call's temporary file: short whatever the file's own name is.
fn temporary(key: &str, leaf: &str) -> String {
    let mut hash = Sha256::new();
    hash.update((key.len() as u64).to_be_bytes());
    hash.update(key);
    hash.update(leaf);
    let hash: String = hash.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    format!(".{hash}{TEMPORARY}")
}

/// A temporary file, gone unless it becomes the file.
struct Draft<'a> {
    folder: &'a OwnedFd,
    name: String,
    file: File,
    kept: bool,
}

impl Draft<'_> {
    /// Takes over whose the old file is and who may read it.
    fn become_like(&self, old: &Stat) -> Result<(), Errno> {
        let (owner, group) = (Uid::from_raw(old.st_uid), Gid::from_raw(old.st_gid));
        // Only root may give a file away; for others it is theirs from now on.
        let _given = fchown(&self.file, Some(owner), Some(group));
        fchmod(&self.file, Mode::from_raw_mode(old.st_mode & 0o777))
    }
}

impl Drop for Draft<'_> {
    fn drop(&mut self) {
        if !self.kept {
            // If it cannot be removed it stays: a hidden file that the next run of the call removes.
            let _gone = unlinkat(self.folder, &self.name, AtFlags::empty());
        }
    }
}

impl Opener {
    /// Writes a file as a whole.
    pub(super) fn save(
        &self,
        place: &Place,
        bytes: &[u8],
        (over, key): (Over<'_>, &str),
        brake: &Brake,
    ) -> Result<Saved, Refusal> {
        self.permit(place, Use::Write)?;
        let shown = || self.shown(place);
        let Some((above, leaf)) = place.split() else {
            return Err(Refusal::Kind { path: shown(), is: "a folder", hint: "name a file in it" });
        };
        if leaf.chars().any(text::is_odd) {
            let why = "a name with characters that cannot be seen is not written";
            return Err(Refusal::NoPath { shown: shown(), why });
        }
        let made = self.made(&above);
        let folder = made.map_err(|why| {
            // A link is told of with the whole path behind it, so that the next call can be right.
            let on_a_link = matches!(why, Refusal::Link { .. });
            if on_a_link { self.refused(place, Errno::LOOP) } else { why }
        })?;
        let before = self.replaceable(&folder, place, over)?;
        let mut draft = self.draft(&folder, place, temporary(key, leaf), before.is_some())?;
        for chunk in bytes.chunks(CHUNK) {
            brake.check()?;
            draft.file.write_all(chunk).map_err(|why| Refusal::io("write", shown(), why))?;
        }
        if let Some(before) = &before {
            draft
                .become_like(before)
                .map_err(|why| Refusal::io("set the mode of", shown(), why))?;
        }
        fsync(&draft.file).map_err(|why| Refusal::io("sync", shown(), why))?;
        brake.check()?;
        // Looked at again: the bytes took their time, and somebody may have written meanwhile.
        let now = self.replaceable(&folder, place, over)?;
        if now.as_ref().map(identity) != before.as_ref().map(identity) {
            return Err(Refusal::Changed { path: shown() });
        }
        let renamed = match before {
            None => rename_to_nothing(&folder, &draft.name, leaf),
            Some(_) => renameat(&folder, &draft.name, &folder, leaf),
        };
        match renamed {
            Ok(()) => draft.kept = true,
            Err(Errno::EXIST) => return Err(Refusal::Changed { path: shown() }),
            Err(why) => return Err(Refusal::io("put in place", shown(), why)),
        }
        fsync(&folder).map_err(|why| Refusal::io("sync the folder of", shown(), why))?;
        Ok(if before.is_none() { Saved::Created } else { Saved::Replaced })
    }

    /// Whether a call of this key was cut off before it put a file in place; then nothing happened,
    /// and its trace is removed.
    pub(super) fn was_cut_off(&self, place: &Place, key: &str) -> bool {
        let Some((above, leaf)) = place.split() else { return false };
        self.permit(place, Use::Write).is_ok()
            && self.folder(&above).is_ok_and(|folder| {
                unlinkat(&folder, temporary(key, leaf), AtFlags::empty()).is_ok()
            })
    }

    /// What is at the name, if it may be replaced.
    fn replaceable(
        &self,
        folder: &OwnedFd,
        place: &Place,
        over: Over<'_>,
    ) -> Result<Option<Stat>, Refusal> {
        let shown = || self.shown(place);
        let Some((_, leaf)) = place.split() else { return Ok(None) };
        let found = Self::leaf(folder, leaf).map_err(|errno| self.refused(place, errno))?;
        match (&found, over) {
            (None, Over::Nothing | Over::Anything) => {}
            (None, Over::This(_)) => return Err(Refusal::Changed { path: shown() }),
            (Some(_), Over::Nothing) => {
                let hint = "edit_file changes it, or write_file with `replace`";
                return Err(Refusal::Kind { path: shown(), is: "there already", hint });
            }
            (Some(now), Over::This(read)) if identity(now) != identity(read) => {
                return Err(Refusal::Changed { path: shown() });
            }
            (Some(now), Over::Anything | Over::This(_)) => {
                if rustix::fs::FileType::from_raw_mode(now.st_mode).is_symlink() {
                    return Err(self.refused(place, Errno::LOOP));
                }
                self.fits(now, shown)?;
            }
        }
        Ok(found)
    }

    /// A folder, made with all above it that is missing.
    fn made(&self, place: &Place) -> Result<OwnedFd, Refusal> {
        let mut here = Place { root: place.root, parts: Vec::new() };
        let mut folder = self.open_folder(&here)?;
        for part in &place.parts {
            here = here.with(part);
            match self.open_folder(&here) {
                Ok(next) => folder = next,
                Err(Refusal::Missing { .. }) => {
                    if part.chars().any(text::is_odd) {
                        let why = "a name with characters that cannot be seen is not written";
                        return Err(Refusal::NoPath { shown: self.shown(&here), why });
                    }
                    match mkdirat(&folder, part, Mode::from_raw_mode(0o777)) {
                        // Somebody made it at the same time, which is as good.
                        Ok(()) | Err(Errno::EXIST) => {}
                        Err(why) => return Err(Refusal::io("make", self.shown(&here), why)),
                    }
                    fsync(&folder).map_err(|why| Refusal::io("sync", self.shown(&here), why))?;
                    folder = self.open_folder(&here)?;
                }
                Err(other) => return Err(other),
            }
        }
        Ok(folder)
    }

    fn draft<'a>(
        &self,
        folder: &'a OwnedFd,
        place: &Place,
        name: String,
        replaces: bool,
    ) -> Result<Draft<'a>, Refusal> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW;
        // A new file has what umask leaves; what replaces one is nobody else's until it is like it.
        let mode = Mode::from_raw_mode(if replaces { 0o600 } else { 0o666 });
        let open = || openat(folder, &name, flags | OFlags::CLOEXEC, mode);
        let opened = match open() {
            Err(Errno::EXIST) => {
                // An earlier run of this very call was cut off; two never run at once.
                let _gone = unlinkat(folder, &name, AtFlags::empty());
                open()
            }
            other => other,
        };
        let fd = opened.map_err(|why| Refusal::io("write beside", self.shown(place), why))?;
        Ok(Draft { folder, name, file: File::from(fd), kept: false })
    }
}

/// What tells a file from another and from itself after a change.
const fn identity(stat: &Stat) -> (u64, u64, i64, i64, u64) {
    (stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime, stat.st_mtime_nsec)
}

/// Puts a file where nothing is, and fails if something is.
fn rename_to_nothing(folder: &OwnedFd, from: &str, to: &str) -> Result<(), Errno> {
    match renameat_with(folder, from, folder, to, RenameFlags::NOREPLACE) {
        // Not every file system can; a second name for the file fails in the same way.
        Err(Errno::INVAL | Errno::NOSYS) => {
            rustix::fs::linkat(folder, from, folder, to, AtFlags::empty())?;
            unlinkat(folder, from, AtFlags::empty())
        }
        other => other,
    }
}
