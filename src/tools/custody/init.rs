//! The init of one order: a fork of the host that makes the program's process, stands above
//! everything it starts, and ends all of it when the program ends, when the runtime says so, when
//! the runtime's socket closes, or when the host dies.
//!
//! ```text
//!  host ──fork──▶ init ──fork──▶ program, in a session of its own
//!                  │  ▲               └─ whatever it starts, whatever that calls itself
//!                  │  └── orphans come here: it is the namespace's first, or their subreaper
//!                  └── wipes, reaps, and only then says how the program ended
//! ```
//!
//! It runs in a copy of the runtime's memory without its threads: nothing here allocates, locks or
//! prints. It can be neither read nor signalled by the tools below it, for it gives up its own
//! dumpability, and rules of files keep signals within.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use greenroom_actors::limits;
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    fs::{Mode, OFlags, open},
    io::{Errno, Result, read, write},
    process::{
        DumpableBehavior, Pid, Signal, WaitOptions, getpid, getppid, kill_process,
        set_child_subreaper, set_dumpable_behavior, set_parent_process_death_signal, setsid, wait,
    },
    thread::set_no_new_privs,
};

use super::{
    cgroup::Door,
    mounts, orphans,
    pages::{Pages, Word, switch},
    processors::{Load, Places},
    record::{KILL, RECORD, Record, Step, TERM},
    sys,
};

/// What comes with an order, in the order it is sent.
pub(super) struct Given {
    pub(super) order: OwnedFd,
    pub(super) out: OwnedFd,
    pub(super) err: OwnedFd,
    pub(super) socket: OwnedFd,
    pub(super) rules: Option<OwnedFd>,
    pub(super) door: Option<Door>,
}

/// What it has from its host.
pub(super) struct Origin {
    pub(super) host: Pid,
    pub(super) places: Places,
    pub(super) load: Load,
}

/// A step that failed.
type Made = std::result::Result<(), (Step, Errno)>;

trait At {
    fn at(self, step: Step) -> Made;
}

impl<T> At for Result<T> {
    fn at(self, step: Step) -> Made {
        self.map(drop).map_err(|errno| (step, errno))
    }
}

/// Says what happened; nobody who does not listen any more can be helped.
pub(super) fn say(socket: BorrowedFd<'_>, record: Record) {
    let bytes = record.write();
    let mut rest = &bytes[..];
    while !rest.is_empty() {
        match write(socket, rest) {
            Ok(0) => return,
            Ok(count) => rest = rest.get(count..).unwrap_or_default(),
            Err(Errno::INTR) => {}
            Err(_) => return,
        }
    }
}

/// The whole life of an init. `alive` is readable once the host is gone.
pub(super) fn live(given: Given, bytes: usize, alive: BorrowedFd<'_>, from: Origin) -> ! {
    let Origin { host, places, load } = from;
    let pages = match sys::pages(given.order.as_fd(), bytes) {
        Ok(pages) => Pages::new(pages),
        Err(errno) => {
            say(
                given.socket.as_fd(),
                Record::Failed { step: Step::Order, errno: errno.raw_os_error() },
            );
            sys::leave(1);
        }
    };
    // Who begins on the spared ones must be found by its id later.
    let load = if pages.has_ids() { load } else { load.min(Load::Busy) };
    let mut world = World { given, pages, places, load, is_inside: false };
    if let Err((step, errno)) = world.prepare(alive, host) {
        say(world.given.socket.as_fd(), Record::Failed { step, errno: errno.raw_os_error() });
        sys::leave(1);
    }
    match world.fork() {
        Ok(None) => world.become_program(),
        Ok(Some(program)) => world.watch(program),
        Err(errno) => {
            let record = Record::Failed { step: Step::Child, errno: errno.raw_os_error() };
            say(world.given.socket.as_fd(), record);
            sys::leave(1);
        }
    }
}

struct World {
    given: Given,
    pages: Pages,
    places: Places,
    /// Beside a crowd the program stays for a moment on the processors that are spared.
    load: Load,
    /// Whether the program's process is in its control group already.
    is_inside: bool,
}

impl World {
    /// The program's process, born in its group where that can be had.
    fn fork(&mut self) -> Result<Option<Pid>> {
        if let Some(folder) = self.given.door.as_ref().and_then(|door| door.folder.as_ref()) {
            self.is_inside = true;
            if let Ok(forked) = sys::fork_within(folder.as_fd()) {
                return Ok(forked);
            }
            self.is_inside = false;
        }
        sys::fork()
    }

    /// Everything that the program's process inherits and could not do itself.
    fn prepare(&mut self, alive: BorrowedFd<'_>, host: Pid) -> Made {
        let pages = &self.pages;
        if pages.has(switch::USER) {
            written(c"/proc/self/setgroups", c"deny").at(Step::Users)?;
            written(c"/proc/self/uid_map", pages.text(Word::UidMap)).at(Step::Users)?;
            written(c"/proc/self/gid_map", pages.text(Word::GidMap)).at(Step::Users)?;
        }
        // With a namespace the kernel ends everybody when the init is killed. Without one the init
        // must live long enough to do that itself, so it is only told.
        let in_own = pages.has(switch::PID);
        let at_death = if in_own { Signal::KILL } else { Signal::TERM };
        set_parent_process_death_signal(Some(at_death)).at(Step::Death)?;
        // The host may have died before that was in force. Its end of the pipe says so; its id does
        // too, where it can be seen.
        if is_closed(alive) || (!in_own && getppid() != Some(host)) {
            return Err((Step::Death, Errno::SRCH));
        }
        if !in_own {
            set_child_subreaper(Some(getpid())).at(Step::Death)?;
        }
        if pages.has(switch::MOUNT) {
            mounts::arrange(pages, self.given.rules.as_ref().map(AsFd::as_fd))?;
        }
        // When memory runs out, a tool goes before the runtime.
        sys::regardless(written(c"/proc/self/oom_score_adj", c"800"));
        if pages.has(switch::PRIVILEGES) {
            set_no_new_privs(true).at(Step::Privileges)?;
        }
        // This copy of the runtime's memory is nobody's to read.
        set_dumpable_behavior(DumpableBehavior::NotDumpable).at(Step::Privileges)
    }

    fn become_program(mut self) -> ! {
        let (step, errno) = match self.step_by_step() {
            Ok(()) if self.pages.has(switch::PROBE) => sys::leave(0),
            Ok(()) => {
                sys::hold_signals(false);
                // A program that asks how many there are is told of all.
                if self.load == Load::Busy {
                    self.places.open();
                }
                let argv = self.pages.pointers(Word::Argv, Word::ArgvLen);
                let env = self.pages.pointers(Word::Env, Word::EnvLen);
                (Step::Execute, sys::execute(self.pages.text(Word::Program), &argv, &env))
            }
            Err(failed) => failed,
        };
        say(self.given.socket.as_fd(), Record::Failed { step, errno: errno.raw_os_error() });
        sys::leave(127)
    }

    fn step_by_step(&mut self) -> Made {
        set_parent_process_death_signal(Some(Signal::KILL)).at(Step::Death)?;
        setsid().at(Step::Death)?;
        // The program and not its init: a group whose processes are all reaped can be removed.
        if let Some(door) = self.given.door.as_ref().filter(|_| !self.is_inside) {
            write(&door.file, b"0").at(Step::Cgroup)?;
        }
        self.pages.relocate(Word::Argv, Word::ArgvLen);
        self.pages.relocate(Word::Env, Word::EnvLen);
        let pages = &self.pages;
        rustix::process::chdir(pages.text(Word::Cwd)).at(Step::Cwd)?;
        let null = open(c"/dev/null", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty());
        null.and_then(|null| sys::place(null, 0)).at(Step::Descriptors)?;
        for (fd, place) in [(&self.given.out, 1), (&self.given.err, 2)] {
            rustix::io::fcntl_dupfd_cloexec(fd, 3)
                .and_then(|copy| sys::place(copy, place))
                .at(Step::Descriptors)?;
        }
        sys::close_from(3, true).at(Step::Descriptors)?;
        // Below the runtime in every queue for the processor; refused, it is not.
        sys::regardless(rustix::process::nice(5));
        if pages.has(switch::LIMITS) {
            for no in 0..pages.word(Word::LimitsLen) {
                let (resource, most) = pages.pair(Word::Limits, no);
                sys::limit(resource as u32, most).at(Step::Limits)?;
            }
        }
        if pages.has(switch::PRIVILEGES) {
            give_up().at(Step::Privileges)?;
        }
        if let Some(rules) = self.given.rules.as_ref().filter(|_| pages.has(switch::LANDLOCK)) {
            sys::restrict(rules.as_fd()).at(Step::Landlock)?;
        }
        if pages.has(switch::SECCOMP) {
            sys::filter(pages.filter()).at(Step::Seccomp)?;
        }
        Ok(())
    }

    /// Stands above the program until it has ended, then ends what it left and says how it was.
    fn watch(self, program: Pid) -> ! {
        let Self { given, pages, places, load, .. } = self;
        let in_own = pages.has(switch::PID);
        let Given { order, out, err, socket, rules, door } = given;
        // The pipes must close with the tool's last process, so this one may not hold them.
        drop((order, out, err, rules, door));
        let Ok(signals) = sys::signals() else { sys::leave(1) };
        let mut status = None;
        let mut is_held = load == Load::Crowded;
        if load == Load::Busy {
            places.open();
        }
        let first = if is_held { limits::TOOL_HELD_MS } else { limits::TOOL_NEW_MS };
        let mut look = pages.has_ids().then(|| sys::uptime_ms() + first);
        loop {
            if status.is_none() {
                let mut fds =
                    [PollFd::new(&socket, PollFlags::IN), PollFd::new(&signals, PollFlags::IN)];
                let rest = look.map(|until| until.saturating_sub(sys::uptime_ms()));
                sys::regardless(poll(&mut fds, rest.map(in_ms).as_ref()));
                if rest == Some(0) && is_held {
                    is_held = false;
                    places.open_to_all(in_own);
                    look = Some(sys::uptime_ms() + limits::TOOL_NEW_MS);
                } else if rest == Some(0) {
                    let again = places.leave(in_own);
                    look = again.then(|| sys::uptime_ms() + limits::TOOL_AGAIN_MS);
                }
            }
            let wish = wish(socket.as_fd());
            let told = was_told(signals.as_fd());
            while let Ok(Some((pid, how))) = wait(WaitOptions::NOHANG) {
                if pid == program {
                    status = Some(how.as_raw());
                }
            }
            if let Some(status) = status {
                wipe(in_own);
                say(socket.as_fd(), Record::Ended { status });
                sys::leave(0);
            }
            match wish {
                Wish::Kill => kill_everybody(in_own),
                // A runtime that hung up has nobody who could say KILL later, or wants to hear.
                Wish::Nobody => {
                    wipe(in_own);
                    sys::leave(0);
                }
                Wish::Term => orphans::each(in_own, Signal::TERM),
                Wish::None if told => {
                    wipe(in_own);
                    sys::leave(1);
                }
                Wish::None => {}
            }
        }
    }
}

const fn in_ms(ms: u64) -> Timespec {
    Timespec { tv_sec: (ms / 1_000) as i64, tv_nsec: (ms % 1_000 * 1_000_000) as i64 }
}

/// Whether the other end of a pipe is closed.
fn is_closed(fd: BorrowedFd<'_>) -> bool {
    let mut fds = [PollFd::from_borrowed_fd(fd, PollFlags::IN)];
    matches!(poll(&mut fds, Some(&in_ms(0))), Ok(1..))
}

enum Wish {
    None,
    Term,
    Kill,
    Nobody,
}

/// What the runtime wants; the strongest of what it said.
fn wish(socket: BorrowedFd<'_>) -> Wish {
    if !is_closed(socket) {
        return Wish::None;
    }
    let mut bytes = [0; RECORD];
    match read(socket, &mut bytes) {
        Ok(0) | Err(_) => Wish::Nobody,
        Ok(count) => {
            let said = bytes.get(..count).unwrap_or_default();
            if said.contains(&KILL) {
                Wish::Kill
            } else if said.contains(&TERM) {
                Wish::Term
            } else {
                Wish::None
            }
        }
    }
}

/// Reads what signals came; whether the host's death was among them.
fn was_told(signals: BorrowedFd<'_>) -> bool {
    // A `signalfd_siginfo` begins with the signal's number.
    let mut info = [0_u8; 128];
    let mut told = false;
    while let Ok(128) = read(signals, &mut info) {
        told |= info.first_chunk().map(|no| u32::from_ne_bytes(*no))
            == Some(Signal::TERM.as_raw() as u32);
    }
    told
}

fn kill_everybody(in_own: bool) {
    orphans::each(in_own, Signal::KILL);
}

/// Ends everybody below and reaps them; nobody is left when it returns.
fn wipe(in_own: bool) {
    loop {
        kill_everybody(in_own);
        // Orphans of whoever was just killed come to this process, and are next.
        match wait(WaitOptions::empty()) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(_) => return,
        }
    }
}

/// No capability now, and none from any program it may execute.
fn give_up() -> Result<()> {
    use rustix::thread::{CapabilitySet, CapabilitySets, capabilities, set_capabilities};
    let held = capabilities(None)?;
    if held.effective.contains(CapabilitySet::SETPCAP) {
        for capability in 0..64 {
            match sys::unbind(capability) {
                Ok(()) => {}
                // Beyond the last one this kernel knows.
                Err(Errno::INVAL) => break,
                Err(errno) => return Err(errno),
            }
        }
    }
    let none = CapabilitySet::empty();
    let none = CapabilitySets { effective: none, permitted: none, inheritable: none };
    set_capabilities(None, none)
}

/// Writes a file of the kernel's.
fn written(path: &std::ffi::CStr, text: &std::ffi::CStr) -> Result<()> {
    let file = open(path, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty())?;
    write(&file, text.to_bytes()).map(drop)
}

/// One process.
pub(super) fn end(pid: Pid, signal: Signal) {
    sys::regardless(kill_process(pid, signal));
}
