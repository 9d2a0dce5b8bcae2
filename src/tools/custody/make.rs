//! Orders, and how one is made ready before the fork: its texts, its rules of files, its filter, its
//! limits. What cannot be made is refused here, in words, before a process exists.

use std::{
    collections::BTreeMap,
    ffi::{OsStr, OsString},
    os::{
        fd::OwnedFd,
        unix::{ffi::OsStrExt as _, net::UnixStream},
    },
    path::PathBuf,
};

use greenroom_actors::limits;

use super::{
    calls::{self, NoFilter},
    cgroup::{Group, Groups},
    files::{self, NoRules},
    host::Parcel,
    level::{Layer, Level},
    pages::{Draft, Null, Word, switch},
};

/// A process that is to be started.
#[derive(Clone, Debug, Default)]
pub struct Order {
    /// The file that is executed.
    pub program: PathBuf,
    /// What it is given, its own name first.
    pub argv: Vec<OsString>,
    /// Variables, beside those that every process gets.
    pub env: BTreeMap<OsString, OsString>,
    /// Where it begins.
    pub cwd: PathBuf,
    /// Whether it may speak to anybody.
    pub network: bool,
    /// Trees that it may read beside the system's.
    pub read: Vec<PathBuf>,
    /// Trees in which it may do anything.
    pub write: Vec<PathBuf>,
    /// What in those it must not see or change, folders before what is in them. It takes mounts of its
    /// own.
    pub covers: Vec<Cover>,
}

/// Something in a tree that a process may not use as it likes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cover {
    /// Where it lies, without a link on the way.
    pub path: PathBuf,
    /// How it is covered.
    pub how: How,
}

/// How something is covered; the stricter is the greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum How {
    /// It stays in its place.
    Pinned,
    /// And can only be read.
    Kept,
    /// It cannot even be opened.
    Hidden,
}

impl How {
    /// What stands before the path in an order.
    pub(super) const fn letter(self) -> u8 {
        match self {
            Self::Pinned => b'p',
            Self::Kept => b'k',
            Self::Hidden => b'h',
        }
    }
}

/// What bounds each process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Seconds of one processor, per process.
    pub cpu_s: u64,
    /// Memory that can be written, per process.
    pub memory_bytes: u64,
    /// Addresses, per process: programs reserve far more than they use.
    pub space_bytes: u64,
    /// The largest file that it may write.
    pub file_bytes: u64,
    /// Descriptors that it may have open.
    pub descriptors: u64,
    /// Processes and threads of a whole order, where they can be counted.
    pub processes: u64,
    /// What fits into its own `/tmp`.
    pub scratch_bytes: u64,
    /// Files that fit there.
    pub scratch_files: u64,
    /// Processors of those that this program may use, which processes leave to everybody else once they
    /// have run for a moment; one stays theirs.
    pub spared_processors: u64,
    /// Orders that run at once; the next one is refused.
    pub at_once: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            cpu_s: limits::TOOL_CPU_S,
            memory_bytes: limits::TOOL_MEMORY_BYTES,
            space_bytes: limits::TOOL_SPACE_BYTES,
            file_bytes: limits::TOOL_FILE_BYTES,
            descriptors: limits::TOOL_DESCRIPTORS,
            processes: limits::TOOL_PROCESSES,
            scratch_bytes: limits::TOOL_SCRATCH_BYTES,
            scratch_files: limits::TOOL_SCRATCH_FILES,
            spared_processors: limits::TOOL_SPARED_PROCESSORS,
            at_once: limits::TOOL_AT_ONCE,
        }
    }
}

/// An order that cannot be made ready.
#[derive(Debug, thiserror::Error)]
pub enum NotMade {
    /// A text of it.
    #[error(transparent)]
    Null(#[from] Null),
    /// More trees than fit.
    #[error("hold a process to more than {} folders", limits::TOOL_TREES)]
    Trees,
    /// Its files.
    #[error(transparent)]
    Rules(#[from] NoRules),
    /// Its filter.
    #[error(transparent)]
    Filter(#[from] NoFilter),
    /// Its descriptors.
    #[error("prepare a process")]
    Io(#[from] std::io::Error),
}

/// What every order is made with.
#[derive(Debug)]
pub(super) struct Maker {
    pub(super) level: Level,
    pub(super) bounds: Bounds,
    pub(super) env: BTreeMap<OsString, OsString>,
    /// The person's, where it is covered.
    pub(super) home: Option<PathBuf>,
    /// What every program may read.
    pub(super) system: Vec<PathBuf>,
    /// Where orders are counted.
    pub(super) groups: Option<Groups>,
    /// Filters without and with network, made once.
    pub(super) filters: [Vec<u8>; 2],
}

/// An order's ends in the runtime.
#[derive(Debug)]
pub(super) struct Ends {
    pub(super) out: OwnedFd,
    pub(super) err: OwnedFd,
    pub(super) socket: UnixStream,
    /// Removed when nobody needs the other ends any more.
    pub(super) group: Option<Group>,
}

pub(super) fn filters() -> Result<[Vec<u8>; 2], NoFilter> {
    Ok([calls::filter(false)?, calls::filter(true)?])
}

impl Maker {
    /// What goes to the host, and what stays. Without an order it is only tried.
    pub(super) fn make(&self, order: Option<&Order>) -> Result<(Parcel, Ends), NotMade> {
        let probe = Order { cwd: PathBuf::from("/"), ..Order::default() };
        let is_probe = order.is_none();
        let order = order.unwrap_or(&probe);
        let mut draft = Draft::new();
        self.texts(&mut draft, order)?;
        self.bound(&mut draft);
        let filter = &self.filters[usize::from(order.network)];
        let at = draft.bytes(filter);
        draft.set(Word::Filter, at);
        draft.set(Word::FilterLen, filter.len() as u64);
        let (all, read) = files::access(self.level.landlock);
        draft.set(Word::AccessAll, all);
        draft.set(Word::AccessRead, read);
        let covers = self.trees(&mut draft, order)?;
        self.cover(&mut draft, order)?;
        let probing = if is_probe { switch::PROBE } else { 0 };
        draft.set(Word::Switches, self.switches() | covers | probing);
        let rules = if self.level.has(Layer::Files) {
            files::rules(self.level.landlock, &self.system, order)?
        } else {
            None
        };
        let order_file = draft.seal()?;
        let bytes = order_file.metadata()?.len();
        let groups = self.groups.as_ref().filter(|_| self.level.has(Layer::Count));
        let (group, door) = groups.map(|groups| groups.make(&self.bounds)).transpose()?.unzip();
        let (socket, theirs) = UnixStream::pair()?;
        let (out, their_out) = pipe()?;
        let (err, their_err) = pipe()?;
        let parcel = Parcel {
            order: order_file.into(),
            bytes,
            namespaces: self.namespaces(order.network),
            out: their_out,
            err: their_err,
            socket: theirs.into(),
            rules,
            door,
        };
        Ok((parcel, Ends { out, err, socket, group }))
    }

    fn texts(&self, draft: &mut Draft, order: &Order) -> Result<(), Null> {
        draft.text_at(Word::Program, order.program.as_os_str().as_bytes())?;
        draft.text_at(Word::Cwd, order.cwd.as_os_str().as_bytes())?;
        let (at, len) = draft.list(order.argv.iter().map(|text| text.as_bytes()))?;
        draft.set(Word::Argv, at);
        draft.set(Word::ArgvLen, len);
        let mut env = self.env.clone();
        env.extend(order.env.iter().map(|(name, value)| (name.clone(), value.clone())));
        let env: Vec<OsString> = env.iter().map(|(name, value)| assigned(name, value)).collect();
        let (at, len) = draft.list(env.iter().map(|text| text.as_bytes()))?;
        draft.set(Word::Env, at);
        draft.set(Word::EnvLen, len);
        let (user, group) =
            (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
        draft.text_at(Word::UidMap, format!("{user} {user} 1").as_bytes())?;
        draft.text_at(Word::GidMap, format!("{group} {group} 1").as_bytes())
    }

    fn bound(&self, draft: &mut Draft) {
        let bounds = &self.bounds;
        let mut most = vec![
            (libc::RLIMIT_CPU, bounds.cpu_s),
            (libc::RLIMIT_DATA, bounds.memory_bytes),
            (libc::RLIMIT_AS, bounds.space_bytes),
            (libc::RLIMIT_FSIZE, bounds.file_bytes),
            (libc::RLIMIT_NOFILE, bounds.descriptors),
            (libc::RLIMIT_CORE, 0),
            (libc::RLIMIT_MEMLOCK, 0),
            (libc::RLIMIT_MSGQUEUE, 0),
        ];
        // Users of its own are what this counts for; elsewhere it would count everybody's.
        if self.level.has(Layer::Count) && self.level.has(Layer::Users) {
            most.push((libc::RLIMIT_NPROC, bounds.processes));
        }
        let words: Vec<u64> =
            most.iter().flat_map(|(what, most)| [u64::from(*what), *most]).collect();
        let at = draft.words(&words);
        draft.set(Word::Limits, at);
        draft.set(Word::LimitsLen, most.len() as u64);
    }

    fn switches(&self) -> u64 {
        let table = [
            (Layer::Users, switch::USER),
            (Layer::Processes, switch::PID),
            (Layer::Mounts, switch::MOUNT),
            (Layer::Proc, switch::PROC),
            (Layer::Privileges, switch::PRIVILEGES),
            (Layer::Limits, switch::LIMITS),
            (Layer::Files, switch::LANDLOCK),
            (Layer::Calls, switch::SECCOMP),
        ];
        let held = table.iter().filter(|(layer, _)| self.level.has(*layer));
        held.fold(0, |all, (_, switch)| all | switch)
    }

    fn namespaces(&self, network: bool) -> u64 {
        let table = [
            (Layer::Users, libc::CLONE_NEWUSER),
            (Layer::Processes, libc::CLONE_NEWPID),
            (Layer::Mounts, libc::CLONE_NEWNS),
            (Layer::Network, libc::CLONE_NEWNET),
            (Layer::Ipc, libc::CLONE_NEWIPC),
        ];
        let held = table.iter().filter(|(layer, _)| self.level.has(*layer));
        let held = held.filter(|(layer, _)| !(network && *layer == Layer::Network));
        held.fold(0, |all, (_, flag)| all | u64::from(*flag as u32))
    }
}

fn assigned(name: &OsStr, value: &OsStr) -> OsString {
    let mut text = name.to_owned();
    text.push("=");
    text.push(value);
    text
}

/// The reading end does not block, as the runtime's executor wants it; the tool's end does.
fn pipe() -> std::io::Result<(OwnedFd, OwnedFd)> {
    let (read, write) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)?;
    let flags = rustix::fs::fcntl_getfl(&read)? | rustix::fs::OFlags::NONBLOCK;
    rustix::fs::fcntl_setfl(&read, flags)?;
    Ok((read, write))
}
