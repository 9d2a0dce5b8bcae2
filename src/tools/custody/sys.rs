//! The only module of this crate with unsafe code: the system calls of custody that have no safe
//! form, each behind a function that is safe to call, or says what its caller must hold to.
//!
//! Two processes run this code that never execute anything else first: the host, a fork of the
//! runtime, and the init of each order, a fork of the host. After a fork of a process with many
//! threads only what is here and what `rustix` does by bare system calls may be used: nothing that
//! allocates, locks or prints, for the lock may be held by a thread that is not there any more.

#![allow(unsafe_code, reason = "forks, execution and filters cannot be had without")]

use std::{
    ffi::CStr,
    os::fd::{AsRawFd, BorrowedFd, FromRawFd, IntoRawFd, OwnedFd, RawFd},
};

use rustix::{
    io::{Errno, Result},
    process::Pid,
};

/// What a call of the C library's kind says.
fn said(result: libc::c_long) -> Result<libc::c_long> {
    if result >= 0 {
        return Ok(result);
    }
    // SAFETY: the address is this thread's own, and always valid.
    Err(Errno::from_raw_os_error(unsafe { *libc::__errno_location() }))
}

/// For what may fail where nothing can be done about it, and nothing has to be.
pub(super) fn regardless<T>(_result: T) {}

/// A copy of this process: nothing for the copy, its id for the original.
///
/// The copy of a process with threads must keep to what the module's page says, and end in `leave`.
pub(super) fn fork() -> Result<Option<Pid>> {
    // SAFETY: no memory is shared; what the copy may do is the caller's to keep.
    let pid = said(libc::c_long::from(unsafe { libc::fork() }))?;
    Ok(Pid::from_raw(pid as i32))
}

/// A copy of this process in new namespaces. As `fork`, but what the C library does beside is left
/// out, so only a process with one thread may call it.
pub(super) fn fork_into(namespaces: u64) -> Result<Option<Pid>> {
    let flags = namespaces | libc::SIGCHLD as u64;
    // SAFETY: without a stack and without shared memory this is a fork; the five arguments are in
    // the order of every architecture when those after the first are zero.
    let pid = said(unsafe { libc::syscall(libc::SYS_clone, flags, 0_u64, 0_u64, 0_u64, 0_u64) })?;
    Ok(Pid::from_raw(pid as i32))
}

/// What the C library's crate has in too few bits.
const INTO_GROUP: u64 = 1 << 33;

/// A copy of this process that is born in a control group. As `fork_into`, and not to be had
/// everywhere: who is refused may fork, and go in afterwards.
pub(super) fn fork_within(group: BorrowedFd<'_>) -> Result<Option<Pid>> {
    // SAFETY: all zeros mean nothing of each; without a stack and without shared memory this is a fork.
    let pid = said(unsafe {
        let mut args: libc::clone_args = std::mem::zeroed();
        args.flags = INTO_GROUP;
        args.exit_signal = libc::SIGCHLD as u64;
        args.cgroup = group.as_raw_fd() as u64;
        libc::syscall(libc::SYS_clone3, &raw const args, size_of::<libc::clone_args>())
    })?;
    Ok(Pid::from_raw(pid as i32))
}

/// How long a thread computes at a stretch when others want to. A kernel that lets nobody choose that
/// looks away; a thread of another class keeps what it has.
pub(super) fn stretch(thread: Pid, ns: u64) -> Result<()> {
    let pid = thread.as_raw_nonzero().get();
    // SAFETY: the structure is the kernel's own, of the size that is said, and outlives both calls.
    unsafe {
        let mut attr: libc::sched_attr = std::mem::zeroed();
        let size = size_of::<libc::sched_attr>();
        said(libc::syscall(libc::SYS_sched_getattr, pid, &raw mut attr, size, 0))?;
        if attr.sched_policy == libc::SCHED_OTHER as u32 && attr.sched_runtime != ns {
            attr.sched_runtime = ns;
            said(libc::syscall(libc::SYS_sched_setattr, pid, &raw const attr, 0))?;
        }
    }
    Ok(())
}

/// A clock that nobody sets, for a process that has no other.
pub(super) fn uptime_ms() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    now.tv_sec as u64 * 1_000 + now.tv_nsec as u64 / 1_000_000
}

/// Ends this process at once: no destructor, no handler, nothing flushed.
pub(super) fn leave(code: i32) -> ! {
    // SAFETY: always sound; `_exit` does not return.
    unsafe { libc::_exit(code) }
}

/// Every signal as it is by default, and none let through but by `Signals`.
pub(super) fn forget_handlers() {
    for signal in 1..=64 {
        // SAFETY: the default disposition refers to no code; where it cannot be set it is not.
        unsafe { libc::signal(signal, libc::SIG_DFL) };
    }
}

/// Holds every signal back; with `false` lets every one through, as a program expects to begin.
pub(super) fn hold_signals(hold: bool) {
    // SAFETY: the set is initialised by the call before it is read; both calls cannot fail so.
    unsafe {
        let mut set: libc::sigset_t = std::mem::zeroed();
        if hold {
            libc::sigfillset(&raw mut set);
        } else {
            libc::sigemptyset(&raw mut set);
        }
        libc::sigprocmask(libc::SIG_SETMASK, &raw const set, std::ptr::null_mut());
    }
}

/// A descriptor that is readable when a child has ended or somebody says TERM.
pub(super) fn signals() -> Result<OwnedFd> {
    // SAFETY: the set is initialised before it is read; the descriptor is new and nobody else's.
    unsafe {
        let mut set: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut set);
        libc::sigaddset(&raw mut set, libc::SIGCHLD);
        libc::sigaddset(&raw mut set, libc::SIGTERM);
        let flags = libc::SFD_CLOEXEC | libc::SFD_NONBLOCK;
        let fd = said(libc::c_long::from(libc::signalfd(-1, &raw const set, flags)))?;
        Ok(OwnedFd::from_raw_fd(fd as RawFd))
    }
}

/// A signal to everybody whom this process can reach: all of a PID namespace, for its init. Only
/// for an init; anywhere else it would end what is not ours, so the caller's id is looked at.
pub(super) fn signal_all(signal: i32) {
    // SAFETY: plain values.
    unsafe {
        if libc::getpid() == 1 {
            libc::kill(-1, signal);
        }
    }
}

/// Moves a descriptor to the place that a program expects it in.
pub(super) fn place(fd: OwnedFd, at: RawFd) -> Result<()> {
    let from = fd.into_raw_fd();
    if from == at {
        return Ok(());
    }
    // SAFETY: `from` is owned here and given up; what stood at `at` belongs to nobody who runs in
    // this process, for it is a fresh copy.
    unsafe {
        said(libc::c_long::from(libc::dup2(from, at)))?;
        libc::close(from);
    }
    Ok(())
}

/// Closes every descriptor from `first` on; with `at_exec`, only when a program is executed.
pub(super) fn close_from(first: u32, at_exec: bool) -> Result<()> {
    let flags = if at_exec { libc::CLOSE_RANGE_CLOEXEC } else { 0 };
    // SAFETY: the caller's process is a fresh copy whose owners of descriptors do not run in it.
    said(unsafe { libc::syscall(libc::SYS_close_range, first, u32::MAX, flags) }).map(drop)
}

/// The descriptor of that number, which the process was given and nobody else in it owns.
pub(super) fn given(fd: RawFd) -> OwnedFd {
    // SAFETY: callers name a place that they filled by `place` before.
    unsafe { OwnedFd::from_raw_fd(fd) }
}

/// The pages of an order, this process's own copy of them until it ends.
pub(super) fn pages(fd: BorrowedFd<'_>, bytes: usize) -> Result<&'static mut [u8]> {
    let access = libc::PROT_READ | libc::PROT_WRITE;
    // SAFETY: a private mapping of a sealed file of at least so many bytes, never unmapped; the
    // slice is the only way to it.
    unsafe {
        let at =
            libc::mmap(std::ptr::null_mut(), bytes, access, libc::MAP_PRIVATE, fd.as_raw_fd(), 0);
        if at == libc::MAP_FAILED {
            said(-1)?;
        }
        Ok(std::slice::from_raw_parts_mut(at.cast(), bytes))
    }
}

/// The same pages as words, to read.
pub(super) fn words(bytes: &[u8]) -> &[u64] {
    // SAFETY: every pattern of bits is a number; what does not lie on a whole word is left out.
    unsafe { bytes.align_to::<u64>().1 }
}

/// The same, to write.
pub(super) fn words_mut(bytes: &mut [u8]) -> &mut [u64] {
    // SAFETY: as in `words`.
    unsafe { bytes.align_to_mut::<u64>().1 }
}

/// Takes a capability from all that this process and its children can ever be given.
pub(super) fn unbind(capability: u32) -> Result<()> {
    // SAFETY: plain values.
    said(libc::c_long::from(unsafe {
        libc::prctl(libc::PR_CAPBSET_DROP, libc::c_ulong::from(capability), 0, 0, 0)
    }))
    .map(drop)
}

/// A list of texts for a program: pointers with a null at the end.
pub(super) struct Pointers<'a>(pub(super) &'a [u64]);

/// Becomes another program; returns only why it did not. The lists must point to texts that end in
/// a null each, and end in a null themselves; `order::Pages` makes them so.
pub(super) fn execute(program: &CStr, argv: &Pointers<'_>, envp: &Pointers<'_>) -> Errno {
    if argv.0.last() != Some(&0) || envp.0.last() != Some(&0) {
        return Errno::INVAL;
    }
    // SAFETY: pointers are 64 bits wide wherever this is built (checked below), the lists end in a
    // null, and what they point to lives until the pages are gone with this program.
    const { assert!(size_of::<usize>() == 8, "custody is for machines of 64 bits") };
    unsafe { libc::execve(program.as_ptr(), argv.0.as_ptr().cast(), envp.0.as_ptr().cast()) };
    said(-1).err().unwrap_or(Errno::NOEXEC)
}

/// Holds this thread to a filter of system calls, given as its bytes.
pub(super) fn filter(program: &[u8]) -> Result<()> {
    let bytes = size_of::<libc::sock_filter>();
    let filter = libc::sock_fprog {
        len: u16::try_from(program.len() / bytes).map_err(|_too_long| Errno::INVAL)?,
        filter: program.as_ptr().cast_mut().cast(),
    };
    // SAFETY: the kernel copies `len` instructions, which are within `program`, and checks them.
    said(libc::c_long::from(unsafe {
        libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const filter)
    }))
    .map(drop)
}

/// What version of Landlock the kernel has; 0 for none.
pub(super) fn landlock_version() -> u32 {
    const VERSION: u32 = 1;
    // SAFETY: with this flag the kernel reads no attributes.
    let version = unsafe {
        libc::syscall(libc::SYS_landlock_create_ruleset, std::ptr::null::<u8>(), 0_usize, VERSION)
    };
    said(version).map_or(0, |version| version as u32)
}

/// Holds this process to a set of rules that was made before the fork.
pub(super) fn restrict(rules: BorrowedFd<'_>) -> Result<()> {
    // SAFETY: plain values.
    said(unsafe { libc::syscall(libc::SYS_landlock_restrict_self, rules.as_raw_fd(), 0_u32) })
        .map(drop)
}

/// Lets one more tree be used under a set of rules: one that there was not when it was made.
pub(super) fn also_beneath(rules: BorrowedFd<'_>, tree: BorrowedFd<'_>, access: u64) -> Result<()> {
    #[repr(C, packed)]
    struct Beneath {
        allowed_access: u64,
        parent_fd: i32,
    }
    const PATH_BENEATH: u32 = 1;
    let rule = Beneath { allowed_access: access, parent_fd: tree.as_raw_fd() };
    // SAFETY: the kernel reads the rule during the call; its form is the kernel's.
    said(unsafe {
        libc::syscall(
            libc::SYS_landlock_add_rule,
            rules.as_raw_fd(),
            PATH_BENEATH,
            &raw const rule,
            0_u32,
        )
    })
    .map(drop)
}

/// Makes everything mounted at a path and below it read-only, for this tree of mounts alone.
pub(super) fn freeze(path: &CStr) -> Result<()> {
    let set = libc::mount_attr {
        attr_set: libc::MOUNT_ATTR_RDONLY,
        attr_clr: 0,
        propagation: 0,
        userns_fd: 0,
    };
    let (at, flags) = (libc::AT_FDCWD, libc::AT_RECURSIVE);
    // SAFETY: the kernel reads the path and the attributes during the call; the size is theirs.
    said(unsafe {
        let bytes = size_of_val(&set);
        libc::syscall(libc::SYS_mount_setattr, at, path.as_ptr(), flags, &raw const set, bytes)
    })
    .map(drop)
}

/// A limit that this process cannot raise again.
pub(super) fn limit(resource: u32, most: u64) -> Result<()> {
    let limit = libc::rlimit64 { rlim_cur: most, rlim_max: most };
    // SAFETY: the kernel reads the limit during the call.
    said(unsafe {
        libc::syscall(
            libc::SYS_prlimit64,
            0,
            resource,
            &raw const limit,
            std::ptr::null_mut::<u8>(),
        )
    })
    .map(drop)
}
