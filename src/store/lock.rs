//! One runtime per file: an advisory lock on a file beside it, which names its holder. The lock is
//! the kernel's and dies with the process, so a stale file means nothing and is never deleted.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read as _, Seek as _, Write as _},
    path::{Path, PathBuf},
};

use greenroom_actors::limits;
use rustix::{
    fs::{FlockOperation, flock},
    io::Errno,
};

/// How long to wait between two looks at a held lock.
const LOCK_PAUSE_MS: u64 = 20;

#[expect(
    clippy::disallowed_methods,
    reason = "a store opens on its caller's thread, with no clock"
)]
fn pause() {
    std::thread::sleep(std::time::Duration::from_millis(LOCK_PAUSE_MS));
}

/// A held lock, released on drop.
#[derive(Debug)]
pub(super) struct Lock {
    _file: File,
}

/// Why it is not held.
#[derive(Debug)]
pub(super) enum NotLocked {
    /// Somebody else holds it; the process, if it said which.
    Held { pid: Option<u32> },
    /// The lock file cannot be written.
    Io(io::Error),
}

/// The lock file of a database.
pub(super) fn path(database: &Path) -> PathBuf {
    let mut name = database.as_os_str().to_owned();
    name.push(".lock");
    name.into()
}

impl Lock {
    /// Takes the lock soon or not at all. Not quite at once: a process that is just being started
    /// holds a copy of every descriptor of its parent until it executes, a lock just let go too.
    pub(super) fn take(database: &Path) -> Result<Self, NotLocked> {
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path(database))
            .map_err(NotLocked::Io)?;
        let mut tries = limits::STORE_OPEN_BUSY_MS / LOCK_PAUSE_MS;
        let locked = loop {
            match flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Err(Errno::WOULDBLOCK) if tries > 0 => {
                    tries -= 1;
                    pause();
                }
                other => break other,
            }
        };
        match locked {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => {
                return Err(NotLocked::Held { pid: signed(&mut file) });
            }
            Err(error) => return Err(NotLocked::Io(error.into())),
        }
        let sign = |file: &mut File| {
            file.set_len(0)?;
            file.rewind()?;
            writeln!(file, "{}", std::process::id())
        };
        // On a full disk the pid does not fit, but the lock holds all the same.
        if let Err(error) = sign(&mut file) {
            tracing::warn!(%error, "lock file names no holder");
        }
        Ok(Self { _file: file })
    }
}

/// Who signed a lock file. Only for a message: a holder that cannot be read stays unnamed.
fn signed(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

/// Who has a store open for work.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Holder {
    /// Nobody.
    #[default]
    Nobody,
    /// A runtime; its process, where it says so.
    Process(Option<u32>),
}

/// Who holds a store. A lock that can be had is let go at once; a runtime that starts at this very
/// moment tries again for longer than that.
pub(super) fn worker(database: &Path) -> Holder {
    let Ok(mut file) = File::open(path(database)) else { return Holder::Nobody };
    match flock(&file, FlockOperation::NonBlockingLockShared) {
        Ok(()) => Holder::Nobody,
        Err(_held) => Holder::Process(signed(&mut file)),
    }
}

/// Which process holds SQLite's own locks on a database, as far as the system tells.
pub(super) fn holder(database: &Path) -> String {
    let unknown = || "another program".to_owned();
    let inode = |path: &Path| {
        use std::os::unix::fs::MetadataExt as _;
        std::fs::metadata(path).map(|meta| meta.ino()).ok()
    };
    let mut shared = database.as_os_str().to_owned();
    shared.push("-shm");
    let files: Vec<String> = [inode(database), inode(Path::new(&shared))]
        .into_iter()
        .flatten()
        .map(|inode| format!(":{inode}"))
        .collect();
    let Ok(locks) = std::fs::read_to_string("/proc/locks") else { return unknown() };
    let own = std::process::id();
    // 1: POSIX  ADVISORY  WRITE 4711 08:01:131 1073741824 1073741824
    let holder = locks.lines().find_map(|line| {
        let mut words = line.split_whitespace().skip(1);
        words.next().filter(|kind| *kind == "POSIX")?;
        let pid: u32 = words.nth(2)?.parse().ok()?;
        let file = words.next()?;
        (pid != own && files.iter().any(|inode| file.ends_with(inode))).then_some(pid)
    });
    holder.map_or_else(unknown, |pid| format!("process {pid}"))
}
