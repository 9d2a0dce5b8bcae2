//! A control group for each order, where this runtime may make any: it counts the processes of the
//! order and nobody else's, and where the kernel has it there, their memory together.
//!
//! They are made below a folder of this runtime's own, which says whose it is as the environment of
//! its processes does, so that the next runtime can remove what a dead one left. Nothing is moved
//! that is not ours: a group in which an app lives is not rearranged to make room. So in the second
//! version of the kernel's groups there is one only where somebody enabled the controllers below
//! ours; a folder made for it can be named in the settings.

use std::{
    fs::{self, OpenOptions},
    io,
    os::{fd::OwnedFd, unix::fs::OpenOptionsExt as _},
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

/// How a process comes into a group without holding up everybody who forks meanwhile. Whoever writes to
/// `cgroup.procs` does: the kernel waits until no process of the machine is amid a fork, which beside
/// one that forks without end takes a tenth of a second. In the first version a thread that moves
/// itself alone waits for nobody; in the second a process may be born inside,
/// unless a filter around the runtime keeps `clone3` from it.
#[derive(Debug)]
pub(super) struct Door {
    /// What a process writes `0` to that comes in by itself.
    pub(super) file: OwnedFd,
    /// Where one can be born; there is none in the first version.
    pub(super) folder: Option<OwnedFd>,
}

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

    /// A group, and the way into it.
    pub(super) fn make(&self, bounds: &Bounds) -> io::Result<(Group, Door)> {
        let path = self.folder.join(self.next.fetch_add(1, Relaxed).to_string());
        fs::create_dir(&path)?;
        let group = Group(path);
        fs::write(group.0.join("pids.max"), bounds.processes.to_string())?;
        if group.0.join("memory.max").exists() {
            fs::write(group.0.join("memory.max"), bounds.memory_bytes.to_string())?;
            sys::regardless(fs::write(group.0.join("memory.oom.group"), "1"));
        }
        let door = Door::of(&group.0)?;
        Ok((group, door))
    }
}

impl Door {
    fn of(group: &Path) -> io::Result<Self> {
        let mut to_write = OpenOptions::new();
        to_write.write(true);
        if let Ok(tasks) = to_write.open(group.join("tasks")) {
            return Ok(Self { file: tasks.into(), folder: None });
        }
        let folder = OpenOptions::new()
            .read(true)
            .custom_flags(libc::O_PATH | libc::O_DIRECTORY)
            .open(group)?;
        let procs = to_write.open(group.join("cgroup.procs"))?;
        Ok(Self { file: procs.into(), folder: Some(folder.into()) })
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_comes_in_does_it_alone_or_is_born_inside() {
        let group = tempfile::tempdir().unwrap();
        assert_eq!(Door::of(group.path()).unwrap_err().kind(), io::ErrorKind::NotFound);
        fs::write(group.path().join("cgroup.procs"), "").unwrap();
        assert!(Door::of(group.path()).unwrap().folder.is_some(), "the second version");
        fs::write(group.path().join("tasks"), "").unwrap();
        let door = Door::of(group.path()).unwrap();
        assert!(door.folder.is_none(), "the first version");
        rustix::io::write(door.file, b"0").unwrap();
        assert_eq!(fs::read_to_string(group.path().join("tasks")).unwrap(), "0");
    }
}
