//! The system calls by which a process runs programs and uses files, and how each is read. A call
//! that only looks at an entry (`stat`, `access`, `readlink`) is none of them: shells and loaders look
//! at hundreds of names that they then leave alone.

use std::{
    fs::File,
    os::unix::fs::FileExt as _,
    path::{Component, Path, PathBuf},
};

use nix::{libc, unistd::Pid};

/// Where a call's argument names a file: the descriptor that it begins at, if any, and its path.
type Place = (Option<usize>, usize);

/// What a call does.
#[derive(Clone, Copy, Debug)]
enum Shape {
    /// Opens; its flags are an argument, or what an argument points at.
    Open(Place, Flags),
    /// Makes, moves, removes or changes what is named.
    Change(&'static [Place]),
    /// Changes what a descriptor stands for.
    ChangeOpen(usize),
    /// Becomes another program.
    Run(Place),
    /// Speaks to somebody.
    Speak,
}

#[derive(Clone, Copy, Debug)]
enum Flags {
    At(usize),
    Behind(usize),
    #[cfg(target_arch = "x86_64")]
    Made,
}

/// What a process does by a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Act {
    /// Opens a file that is there, to read it.
    Read(PathBuf),
    /// Would open a file to read it, and none is there.
    Try(PathBuf),
    /// Opens a file to write it, or changes it or its entry.
    Write(PathBuf),
    /// Begins to run a file.
    Run(PathBuf),
    /// Opens a socket of such a family, other than one within the machine.
    Speak(u64),
}

const TABLE: &[(libc::c_long, Shape)] = &[
    (libc::SYS_openat, Shape::Open((Some(0), 1), Flags::At(2))),
    (libc::SYS_openat2, Shape::Open((Some(0), 1), Flags::Behind(2))),
    (libc::SYS_execve, Shape::Run((None, 0))),
    (libc::SYS_execveat, Shape::Run((Some(0), 1))),
    (libc::SYS_unlinkat, Shape::Change(&[(Some(0), 1)])),
    (libc::SYS_renameat, Shape::Change(&[(Some(0), 1), (Some(2), 3)])),
    (libc::SYS_renameat2, Shape::Change(&[(Some(0), 1), (Some(2), 3)])),
    (libc::SYS_mkdirat, Shape::Change(&[(Some(0), 1)])),
    (libc::SYS_mknodat, Shape::Change(&[(Some(0), 1)])),
    (libc::SYS_linkat, Shape::Change(&[(Some(2), 3)])),
    (libc::SYS_symlinkat, Shape::Change(&[(Some(1), 2)])),
    (libc::SYS_fchmodat, Shape::Change(&[(Some(0), 1)])),
    (libc::SYS_fchownat, Shape::Change(&[(Some(0), 1)])),
    (libc::SYS_truncate, Shape::Change(&[(None, 0)])),
    (libc::SYS_setxattr, Shape::Change(&[(None, 0)])),
    (libc::SYS_lsetxattr, Shape::Change(&[(None, 0)])),
    (libc::SYS_fchmod, Shape::ChangeOpen(0)),
    (libc::SYS_fchown, Shape::ChangeOpen(0)),
    (libc::SYS_socket, Shape::Speak),
];

/// Those that newer machines do without.
#[cfg(target_arch = "x86_64")]
const OLD: &[(libc::c_long, Shape)] = &[
    (libc::SYS_open, Shape::Open((None, 0), Flags::At(1))),
    (libc::SYS_creat, Shape::Open((None, 0), Flags::Made)),
    (libc::SYS_unlink, Shape::Change(&[(None, 0)])),
    (libc::SYS_rmdir, Shape::Change(&[(None, 0)])),
    (libc::SYS_rename, Shape::Change(&[(None, 0), (None, 1)])),
    (libc::SYS_mkdir, Shape::Change(&[(None, 0)])),
    (libc::SYS_mknod, Shape::Change(&[(None, 0)])),
    (libc::SYS_link, Shape::Change(&[(None, 1)])),
    (libc::SYS_symlink, Shape::Change(&[(None, 1)])),
    (libc::SYS_chmod, Shape::Change(&[(None, 0)])),
    (libc::SYS_chown, Shape::Change(&[(None, 0)])),
    (libc::SYS_lchown, Shape::Change(&[(None, 0)])),
];
#[cfg(not(target_arch = "x86_64"))]
const OLD: &[(libc::c_long, Shape)] = &[];

/// The numbers of all of them.
pub(crate) fn numbers() -> impl Iterator<Item = i64> {
    TABLE.iter().chain(OLD).map(|(number, _)| *number)
}

/// What a stopped process is about to do.
pub(crate) fn acts(pid: Pid) -> Vec<Act> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/syscall")).unwrap_or_default();
    let mut words = text.split(' ');
    let number = words.next().and_then(|word| word.parse::<libc::c_long>().ok());
    let hex = |word: &str| u64::from_str_radix(word.trim_start_matches("0x"), 16).ok();
    let args: Vec<u64> = words.take(6).filter_map(hex).collect();
    let shape = TABLE.iter().chain(OLD).find(|(known, _)| Some(*known) == number);
    let Some((_, shape)) = shape else { return Vec::new() };
    Call { pid, args }.acts(*shape)
}

struct Call {
    pid: Pid,
    args: Vec<u64>,
}

impl Call {
    fn acts(&self, shape: Shape) -> Vec<Act> {
        match shape {
            Shape::Run(place) => self.path(place).map(Act::Run).into_iter().collect(),
            Shape::Change(places) => {
                places.iter().filter_map(|place| self.path(*place)).map(Act::Write).collect()
            }
            Shape::ChangeOpen(fd) => {
                self.opened(self.arg(fd)).map(Act::Write).into_iter().collect()
            }
            Shape::Speak => {
                let family = self.arg(0);
                let within = [libc::AF_UNIX, libc::AF_NETLINK].map(|family| family as u64);
                (!within.contains(&family)).then_some(Act::Speak(family)).into_iter().collect()
            }
            Shape::Open(place, flags) => {
                let flags = match flags {
                    Flags::At(at) => self.arg(at),
                    Flags::Behind(at) => self.word(self.arg(at)),
                    #[cfg(target_arch = "x86_64")]
                    Flags::Made => libc::O_CREAT as u64,
                };
                let changing =
                    (libc::O_WRONLY | libc::O_RDWR | libc::O_CREAT | libc::O_TRUNC) as u64;
                let Some(path) = self.path(place) else { return Vec::new() };
                if flags & changing != 0 {
                    vec![Act::Write(path)]
                } else if flags & libc::O_PATH as u64 != 0 {
                    Vec::new()
                } else if path.symlink_metadata().is_ok() {
                    vec![Act::Read(path)]
                } else {
                    vec![Act::Try(path)]
                }
            }
        }
    }

    fn arg(&self, at: usize) -> u64 {
        self.args.get(at).copied().unwrap_or_default()
    }

    fn path(&self, (base, path): Place) -> Option<PathBuf> {
        let text = self.text(self.arg(path))?;
        let path = Path::new(&text);
        if path.is_absolute() {
            return Some(resolved(path));
        }
        // The descriptor is an `int`; what stands above it in the register means nothing.
        let fd = base.map(|base| self.arg(base) as i32);
        let from = match fd {
            None | Some(libc::AT_FDCWD) => {
                std::fs::read_link(format!("/proc/{}/cwd", self.pid)).ok()?
            }
            Some(fd) => self.opened(fd as u64)?,
        };
        Some(resolved(&from.join(path)))
    }

    fn opened(&self, fd: u64) -> Option<PathBuf> {
        std::fs::read_link(format!("/proc/{}/fd/{}", self.pid, fd as i32)).ok()
    }

    fn bytes(&self, at: u64, most: usize) -> Vec<u8> {
        let mut bytes = vec![0; most];
        let memory = File::open(format!("/proc/{}/mem", self.pid));
        let read = memory.and_then(|memory| memory.read_at(&mut bytes, at)).unwrap_or(0);
        bytes.truncate(read);
        bytes
    }

    fn text(&self, at: u64) -> Option<String> {
        let bytes = self.bytes(at, libc::PATH_MAX as usize);
        let end = bytes.iter().position(|byte| *byte == 0)?;
        Some(String::from_utf8_lossy(bytes.get(..end)?).into_owned())
    }

    fn word(&self, at: u64) -> u64 {
        self.bytes(at, 8).try_into().map_or(0, u64::from_ne_bytes)
    }
}

/// A path with `.` and `..` resolved as text, as rules read it.
pub(crate) fn resolved(path: &Path) -> PathBuf {
    let mut out = PathBuf::from("/");
    for part in path.components() {
        match part {
            Component::Normal(name) => out.push(name),
            Component::ParentDir => drop(out.pop()),
            Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
        }
    }
    out
}
