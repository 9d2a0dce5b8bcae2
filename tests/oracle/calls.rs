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
    /// Gives a file another name.
    Link(Place, Place),
    /// Becomes another program.
    Run(Place),
    /// Speaks to somebody.
    Speak,
    /// Speaks to who listens at a file, or listens there.
    Socket(Side),
    /// Reaches files in a way that cannot be followed here.
    Unseen(&'static str),
}

#[derive(Clone, Copy, Debug)]
enum Flags {
    At(usize),
    Behind(usize),
    #[cfg(target_arch = "x86_64")]
    Made,
}

#[derive(Clone, Copy, Debug)]
enum Side {
    Calls,
    Listens,
}

/// What a process does by a call, and where links really lead, if elsewhere.
pub(crate) type Led = (Act, Option<PathBuf>);

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
    /// Speaks to who listens at a file.
    Reach(PathBuf),
    /// Does what cannot be followed, or names a file that cannot be read from its memory.
    Unseen(&'static str),
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
    (libc::SYS_linkat, Shape::Link((Some(0), 1), (Some(2), 3))),
    (libc::SYS_symlinkat, Shape::Change(&[(Some(1), 2)])),
    (libc::SYS_fchmodat, Shape::Change(&[(Some(0), 1)])),
    (libc::SYS_fchownat, Shape::Change(&[(Some(0), 1)])),
    (libc::SYS_truncate, Shape::Change(&[(None, 0)])),
    (libc::SYS_setxattr, Shape::Change(&[(None, 0)])),
    (libc::SYS_lsetxattr, Shape::Change(&[(None, 0)])),
    (libc::SYS_removexattr, Shape::Change(&[(None, 0)])),
    (libc::SYS_lremovexattr, Shape::Change(&[(None, 0)])),
    (libc::SYS_utimensat, Shape::Change(&[(Some(0), 1)])),
    (libc::SYS_fchmodat2, Shape::Change(&[(Some(0), 1)])),
    (libc::SYS_fsetxattr, Shape::ChangeOpen(0)),
    (libc::SYS_fremovexattr, Shape::ChangeOpen(0)),
    (libc::SYS_fchmod, Shape::ChangeOpen(0)),
    (libc::SYS_fchown, Shape::ChangeOpen(0)),
    (libc::SYS_socket, Shape::Speak),
    (libc::SYS_connect, Shape::Socket(Side::Calls)),
    (libc::SYS_bind, Shape::Socket(Side::Listens)),
    (libc::SYS_io_uring_setup, Shape::Unseen("sets up a ring of calls")),
    (libc::SYS_open_by_handle_at, Shape::Unseen("opens a file by its number")),
    (libc::SYS_mount, Shape::Unseen("mounts")),
    (libc::SYS_umount2, Shape::Unseen("unmounts")),
    (libc::SYS_open_tree, Shape::Unseen("opens a mount")),
    (libc::SYS_move_mount, Shape::Unseen("moves a mount")),
    (libc::SYS_fsopen, Shape::Unseen("opens a file system")),
    (libc::SYS_pivot_root, Shape::Unseen("changes its root")),
    (libc::SYS_chroot, Shape::Unseen("changes its root")),
    (libc::SYS_process_vm_readv, Shape::Unseen("reads the memory of another")),
    (libc::SYS_process_vm_writev, Shape::Unseen("writes the memory of another")),
    (libc::SYS_ptrace, Shape::Unseen("traces another")),
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
    (libc::SYS_link, Shape::Link((None, 0), (None, 1))),
    (libc::SYS_utime, Shape::Change(&[(None, 0)])),
    (libc::SYS_utimes, Shape::Change(&[(None, 0)])),
    (libc::SYS_futimesat, Shape::Change(&[(Some(0), 1)])),
    (libc::SYS_symlink, Shape::Change(&[(None, 1)])),
    (libc::SYS_chmod, Shape::Change(&[(None, 0)])),
    (libc::SYS_chown, Shape::Change(&[(None, 0)])),
    (libc::SYS_lchown, Shape::Change(&[(None, 0)])),
];
#[cfg(not(target_arch = "x86_64"))]
const OLD: &[(libc::c_long, Shape)] = &[];

const UNREAD: &str = "names a file that cannot be read from its memory";

/// The numbers of all of them.
pub(crate) fn numbers() -> impl Iterator<Item = i64> {
    TABLE.iter().chain(OLD).map(|(number, _)| *number)
}

/// What a stopped process is about to do.
pub(crate) fn acts(pid: Pid) -> Vec<Led> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/syscall")).unwrap_or_default();
    let mut words = text.split(' ');
    let number = words.next().and_then(|word| word.parse::<libc::c_long>().ok());
    let hex = |word: &str| u64::from_str_radix(word.trim_start_matches("0x"), 16).ok();
    let args: Vec<u64> = words.take(6).filter_map(hex).collect();
    let shape = TABLE.iter().chain(OLD).find(|(known, _)| Some(*known) == number);
    let Some((_, shape)) = shape else { return Vec::new() };
    let acts = Call { pid, args }.acts(*shape);
    // Who was killed meanwhile does nothing any more, and nothing of it can be read.
    let gone = !Path::new(&format!("/proc/{pid}/exe")).exists();
    acts.into_iter().filter(|(act, _)| !(gone && matches!(act, Act::Unseen(_)))).collect()
}

struct Call {
    pid: Pid,
    args: Vec<u64>,
}

/// A file as a call names it.
struct Named {
    /// As the kernel begins to look for it.
    raw: PathBuf,
    /// As rules read it.
    path: PathBuf,
}

impl Named {
    /// Where it really is, if links lead elsewhere; the last name may be one that is not followed.
    fn real(&self, pid: Pid, follows: bool) -> Option<PathBuf> {
        let last = self.raw.file_name().filter(|_| !follows || !self.raw.exists());
        let real = match last {
            Some(name) => self.raw.parent()?.canonicalize().ok()?.join(name),
            None => self.raw.canonicalize().ok()?,
        };
        let own = PathBuf::from(format!("/proc/{pid}"));
        let real =
            real.strip_prefix(own).map(|rest| Path::new("/proc/self").join(rest)).unwrap_or(real);
        (real != self.path).then_some(real)
    }
}

impl Call {
    fn acts(&self, shape: Shape) -> Vec<Led> {
        match shape {
            Shape::Run(place) => vec![self.act(place, true, Act::Run)],
            Shape::Change(places) => {
                places.iter().map(|place| self.act(*place, false, Act::Write)).collect()
            }
            Shape::Link(from, to) => {
                vec![self.act(from, false, Act::Read), self.act(to, false, Act::Write)]
            }
            Shape::ChangeOpen(fd) => {
                let file = self.opened(self.arg(fd)).map(Act::Write);
                vec![(file.unwrap_or(Act::Unseen(UNREAD)), None)]
            }
            Shape::Speak => {
                let family = self.arg(0);
                let within = [libc::AF_UNIX, libc::AF_NETLINK].map(|family| family as u64);
                let act = (!within.contains(&family)).then_some((Act::Speak(family), None));
                act.into_iter().collect()
            }
            Shape::Socket(side) => self.socket(side).map(|act| (act, None)).into_iter().collect(),
            Shape::Unseen(what) => vec![(Act::Unseen(what), None)],
            Shape::Open(place, flags) => self.open(place, flags).into_iter().collect(),
        }
    }

    fn open(&self, place: Place, flags: Flags) -> Option<Led> {
        let flags = match flags {
            Flags::At(at) => self.arg(at),
            Flags::Behind(at) => self.word(self.arg(at)),
            #[cfg(target_arch = "x86_64")]
            Flags::Made => libc::O_CREAT as u64,
        };
        let has = |flag: i32| flags & flag as u64 != 0;
        let follows = !has(libc::O_NOFOLLOW);
        if has(libc::O_WRONLY | libc::O_RDWR | libc::O_CREAT | libc::O_TRUNC) {
            return Some(self.act(place, follows, Act::Write));
        }
        if has(libc::O_PATH) {
            return None;
        }
        let there = self.path(place).is_some_and(|named| named.raw.symlink_metadata().is_ok());
        Some(self.act(place, follows, if there { Act::Read } else { Act::Try }))
    }

    fn act(&self, place: Place, follows: bool, act: impl FnOnce(PathBuf) -> Act) -> Led {
        match self.path(place) {
            Some(named) => {
                let real = named.real(self.pid, follows);
                (act(named.path), real)
            }
            None => (Act::Unseen(UNREAD), None),
        }
    }

    /// An address that is a file's; one that only looks like a name is given an `@`.
    fn socket(&self, side: Side) -> Option<Act> {
        let bytes = self.bytes(self.arg(1), (self.arg(2) as usize).min(110));
        let (family, name) = bytes.split_at_checked(2)?;
        let family = u16::from_ne_bytes(family.try_into().ok()?);
        if i32::from(family) != libc::AF_UNIX || name.is_empty() {
            return None;
        }
        let text = |name: &[u8]| {
            let end = name.iter().position(|byte| *byte == 0).unwrap_or(name.len());
            String::from_utf8_lossy(name.get(..end).unwrap_or_default()).into_owned()
        };
        let path = match name.strip_prefix(&[0]) {
            Some(rest) => PathBuf::from(format!("@{}", text(rest))),
            None => resolved(&self.cwd()?.join(text(name))),
        };
        Some(match side {
            Side::Calls => Act::Reach(path),
            Side::Listens => Act::Write(path),
        })
    }

    fn arg(&self, at: usize) -> u64 {
        self.args.get(at).copied().unwrap_or_default()
    }

    fn cwd(&self) -> Option<PathBuf> {
        std::fs::read_link(format!("/proc/{}/cwd", self.pid)).ok()
    }

    fn path(&self, (base, path): Place) -> Option<Named> {
        // The descriptor is an `int`; what stands above it in the register means nothing.
        let fd = base.map(|base| self.arg(base) as i32);
        // No path at all means the descriptor itself, to those that know one.
        let text = match self.arg(path) {
            0 if fd.is_some() => String::new(),
            at => self.text(at)?,
        };
        let path = Path::new(&text);
        let whole = match fd {
            _ if path.is_absolute() => path.to_owned(),
            None | Some(libc::AT_FDCWD) => self.cwd()?.join(path),
            Some(fd) if text.is_empty() => self.opened(fd as u64)?,
            Some(fd) => self.opened(fd as u64)?.join(path),
        };
        // What is its own there is not what is its own here.
        let raw = match whole.strip_prefix("/proc/self") {
            Ok(rest) => Path::new(&format!("/proc/{}", self.pid)).join(rest),
            Err(_) => whole.clone(),
        };
        Some(Named { raw, path: resolved(&whole) })
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
