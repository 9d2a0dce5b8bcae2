//! A control group for each order, where this runtime may make any: it counts the processes of the
//! order and nobody else's, and where the kernel has it there, their memory together.
//!
//! They are made below a folder of this runtime's own, which says whose it is as the environment of
//! its processes does, so that the next runtime can remove what a dead one left. Nothing is moved
//! that is not ours: a group in which an app lives is not rearranged to make room. So in the second
//! version of the kernel's groups there is one only where somebody enabled the controllers below
//! ours; a folder made for it can be named in the settings.

use std::{
    fs::{self, File, OpenOptions},
    io,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering::Relaxed},
};

use super::{make::Bounds, sweep, sys};

const NAME: &str = "greenroom-";

/// The folder of this runtime's groups.
#[derive(Debug)]
pub(super) struct Groups {
    folder: PathBuf,
    next: AtomicU64,
}

/// One order's group, removed with the order.
#[derive(Debug)]
pub(super) struct Group(PathBuf);

impl Groups {
    /// Where they can be had, after what the dead left was removed.
    pub(super) fn open(named: Option<&Path>) -> Option<Self> {
        let places = named.map(Path::to_owned).into_iter().chain(own());
        places.into_iter().find_map(|place| Self::below(&place).ok())
    }

    fn below(place: &Path) -> io::Result<Self> {
        for entry in fs::read_dir(place)?.flatten() {
            let name = entry.file_name();
            let tag = name.to_str().and_then(|name| name.strip_prefix(NAME));
            if tag.is_some_and(|tag| sweep::is_of_the_dead(tag.as_bytes())) {
                remove_all(&entry.path());
            }
        }
        static RUNTIMES: AtomicU64 = AtomicU64::new(0);
        let (_, tag) = sweep::tag();
        let no = RUNTIMES.fetch_add(1, Relaxed);
        let folder = place.join(format!("{NAME}{}.{no}", tag.display()));
        fs::create_dir(&folder)?;
        let groups = Self { folder, next: AtomicU64::new(0) };
        // Its own children must be able to count, which the second version has to be told.
        if groups.folder.join("cgroup.subtree_control").exists() {
            fs::write(groups.folder.join("cgroup.subtree_control"), "+pids")?;
            sys::regardless(fs::write(groups.folder.join("cgroup.subtree_control"), "+memory"));
        }
        // A group that cannot count is none.
        groups.make(&Bounds::default()).map(|(group, _)| drop(group))?;
        Ok(groups)
    }

    /// A group, and the file by which a process joins it.
    pub(super) fn make(&self, bounds: &Bounds) -> io::Result<(Group, OwnedFd)> {
        let path = self.folder.join(self.next.fetch_add(1, Relaxed).to_string());
        fs::create_dir(&path)?;
        let group = Group(path);
        fs::write(group.0.join("pids.max"), bounds.processes.to_string())?;
        if group.0.join("memory.max").exists() {
            fs::write(group.0.join("memory.max"), bounds.memory_bytes.to_string())?;
            sys::regardless(fs::write(group.0.join("memory.oom.group"), "1"));
        }
        let procs: File = OpenOptions::new().write(true).open(group.0.join("cgroup.procs"))?;
        Ok((group, procs.into()))
    }
}

impl Drop for Groups {
    fn drop(&mut self) {
        remove_all(&self.folder);
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // Somebody may still be dying in it; the runtime's end, or the next one's start, is soon enough.
        sys::regardless(fs::remove_dir(&self.0));
    }
}

/// Groups without processes; others cannot be removed.
fn remove_all(folder: &Path) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.path().is_dir() {
            sys::regardless(fs::remove_dir(entry.path()));
        }
    }
    sys::regardless(fs::remove_dir(folder));
}

/// The groups that this process is in, which count processes.
fn own() -> Vec<PathBuf> {
    let lines = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let place = |line: &str| {
        let mut parts = line.splitn(3, ':').skip(1);
        let (controllers, path) = (parts.next()?, parts.next()?);
        let below = path.trim_start_matches('/');
        match controllers {
            "" => Some(Path::new("/sys/fs/cgroup").join(below)),
            "pids" => Some(Path::new("/sys/fs/cgroup/pids").join(below)),
            _ => None,
        }
    };
    lines.lines().filter_map(place).collect()
}
