//! Signals to everybody below a process. In a PID namespace the kernel knows who that is. Outside
//! one it is found by asking for the children of each, down from this process; who is orphaned
//! meanwhile becomes this process's own child, and is found by the next look.
//!
//! Runs in inits and in the host: nothing is allocated.

use rustix::{
    fs::{Mode, OFlags, open},
    io::read,
    process::{Pid, Signal},
};

use super::{init::end, sys};

/// How deep children of children are looked for; what is deeper is found once its parents are dead.
const DEPTH: u32 = 16;

/// Signals everybody. Who is stopped must go on to hear of it.
pub(super) fn each(in_own: bool, signal: Signal) {
    if in_own {
        sys::signal_all(signal.as_raw());
        sys::signal_all(Signal::CONT.as_raw());
        return;
    }
    children(rustix::process::getpid(), DEPTH, &|_, pid| {
        end(pid, signal);
        end(pid, Signal::CONT);
    });
}

/// The children of a process and theirs, each with how much deeper it may still be looked.
pub(super) fn children(of: Pid, depth: u32, found: &dyn Fn(u32, Pid)) {
    let mut path = [0_u8; 64];
    let Some(path) = children_path(of, &mut path) else { return };
    let Ok(file) = open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()) else { return };
    let (mut buffer, mut number) = ([0_u8; 512], 0_i32);
    loop {
        let Ok(count @ 1..) = read(&file, &mut buffer) else { return };
        for byte in buffer.get(..count).unwrap_or_default() {
            if byte.is_ascii_digit() {
                number = number.wrapping_mul(10).wrapping_add(i32::from(byte - b'0'));
            } else if let Some(pid) = Pid::from_raw(std::mem::take(&mut number)) {
                // Downwards first: once it is dead its children are somebody else's.
                if depth > 0 {
                    children(pid, depth - 1, found);
                }
                found(depth, pid);
            }
        }
    }
}

/// `/proc/PID/task/PID/children`, written where nothing may be allocated.
fn children_path(of: Pid, buffer: &mut [u8; 64]) -> Option<&std::ffi::CStr> {
    use std::io::Write as _;
    let pid = of.as_raw_nonzero();
    let mut rest = &mut buffer[..];
    write!(rest, "/proc/{pid}/task/{pid}/children\0").ok()?;
    std::ffi::CStr::from_bytes_until_nul(buffer).ok()
}
