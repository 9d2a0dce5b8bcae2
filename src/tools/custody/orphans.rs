//! Everybody below a process: who that is, and signals to all of them. In a PID namespace the kernel
//! knows whom a signal means. Else it is found by asking for the children of each thread, down from this
//! process; who is orphaned meanwhile becomes this process's own child, and is found by the next look.
//!
//! Runs in inits and in the host: nothing is allocated.

use std::{ffi::CStr, mem::MaybeUninit};

use rustix::{
    fs::{Mode, OFlags, RawDir, open},
    io::read,
    process::{Pid, Signal},
};

use super::{init::end, sys};

/// How deep children of children are looked for; what is deeper is found once its parents are dead.
const DEPTH: u32 = 16;
const READ: OFlags = OFlags::RDONLY.union(OFlags::CLOEXEC);

/// Signals everybody. Who is stopped must go on to hear of it.
pub(super) fn each(in_own: bool, signal: Signal) {
    if in_own {
        sys::signal_all(signal.as_raw());
        sys::signal_all(Signal::CONT.as_raw());
        return;
    }
    // Once it is dead its children are somebody else's.
    children(rustix::process::getpid(), (First::Children, DEPTH), &|pid| {
        end(pid, signal);
        end(pid, Signal::CONT);
    });
}

/// Every thread of everybody below this process, with whose it is; parents first, from whom children
/// inherit, as far as that can be had. The first of a PID namespace reads all ids from its own `/proc`.
pub(super) fn threads_below(in_own: bool, found: &dyn Fn(Pid, Pid)) {
    let own = rustix::process::getpid();
    let all_of = |pid| threads(pid, &|thread| found(pid, thread));
    if !in_own {
        children(own, (First::Parents, DEPTH), &all_of);
        return;
    }
    ids(c"/proc", &|pid| {
        if pid != own {
            all_of(pid);
        }
    });
}

/// The order in which parents and their children are found.
#[derive(Clone, Copy)]
pub(super) enum First {
    Parents,
    Children,
}

/// The children of a process and theirs, in this order, so deep.
pub(super) fn children(of: Pid, how: (First, u32), found: &dyn Fn(Pid)) {
    threads(of, &|thread| children_of_thread((of, thread), how, found));
}

fn children_of_thread((of, thread): (Pid, Pid), how: (First, u32), found: &dyn Fn(Pid)) {
    let (first, depth) = how;
    let mut path = [0_u8; 64];
    let (of, thread) = (of.as_raw_nonzero(), thread.as_raw_nonzero());
    let path = written(&mut path, format_args!("/proc/{of}/task/{thread}/children\0"));
    let Some(Ok(file)) = path.map(|path| open(path, READ, Mode::empty())) else { return };
    let (mut buffer, mut number) = ([0_u8; 512], 0_i32);
    loop {
        let Ok(count @ 1..) = read(&file, &mut buffer) else { return };
        for byte in buffer.get(..count).unwrap_or_default() {
            if byte.is_ascii_digit() {
                number = number.wrapping_mul(10).wrapping_add(i32::from(byte - b'0'));
            } else if let Some(pid) = Pid::from_raw(std::mem::take(&mut number)) {
                let below = || {
                    if let Some(depth) = depth.checked_sub(1) {
                        children(pid, (first, depth), found);
                    }
                };
                match first {
                    First::Parents => {
                        found(pid);
                        below();
                    }
                    First::Children => {
                        below();
                        found(pid);
                    }
                }
            }
        }
    }
}

/// The threads of a process: each may have started others.
fn threads(of: Pid, found: &dyn Fn(Pid)) {
    let mut path = [0_u8; 64];
    let path = written(&mut path, format_args!("/proc/{}/task\0", of.as_raw_nonzero()));
    if let Some(path) = path {
        ids(path, found);
    }
}

/// What is named by its id in a folder of the kernel's.
fn ids(folder: &CStr, found: &dyn Fn(Pid)) {
    let Ok(folder) = open(folder, READ, Mode::empty()) else { return };
    let mut buffer = [MaybeUninit::uninit(); 1_024];
    let mut entries = RawDir::new(folder, &mut buffer);
    while let Some(Ok(entry)) = entries.next() {
        let name = entry.file_name().to_str().ok();
        if let Some(id) = name.and_then(|name| name.parse().ok()).and_then(Pid::from_raw) {
            found(id);
        }
    }
}

/// Whether a thread is stopped or dead: it starts nobody. Who is amid a fork is neither yet.
pub(super) fn is_still(thread: Pid) -> bool {
    let mut path = [0_u8; 64];
    let path = written(&mut path, format_args!("/proc/{}/stat\0", thread.as_raw_nonzero()));
    let Some(Ok(file)) = path.map(|path| open(path, READ, Mode::empty())) else { return true };
    let mut buffer = [0_u8; 128];
    let Ok(count) = read(&file, &mut buffer) else { return true };
    let line = buffer.get(..count).unwrap_or_default();
    // Behind the name, which may have any letters, and a space.
    let name_end = line.iter().rposition(|byte| *byte == b')');
    let state = name_end.and_then(|end| line.get(end + 2));
    state.is_none_or(|state| b"TtZX".contains(state))
}

/// A path, written where nothing may be allocated.
fn written<'a>(buffer: &'a mut [u8; 64], path: std::fmt::Arguments<'_>) -> Option<&'a CStr> {
    use std::io::Write as _;
    (&mut buffer[..]).write_fmt(path).ok()?;
    CStr::from_bytes_until_nul(buffer).ok()
}
