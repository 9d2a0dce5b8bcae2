//! The sweep at start: processes of tools whose runtime is dead. There should be none, for a host and
//! its inits die with their runtime; this is for what a kernel without namespaces let go.
//!
//! A tool's processes carry in their environment who their runtime was: its id, when it started, and
//! in which PID namespace that is so. Only what says all three, and whose runtime is certainly not
//! there any more, is ended; another user's cannot even be read. A process that wiped its environment
//! is not found, and that is said to nobody: it had to escape its init first.

use std::{ffi::OsString, fs, path::Path};

use rustix::process::{Pid, Signal};

const NAME: &str = "GREENROOM_CUSTODY";

/// The variable that every process of this runtime's tools carries.
pub(super) fn tag() -> (OsString, OsString) {
    let pid = std::process::id();
    let value = format!("{}.{pid}.{}", namespace(), started(pid).unwrap_or_default());
    (NAME.into(), value.into())
}

/// Ends what dead runtimes left; how many there were.
pub(super) fn sweep() -> usize {
    let Ok(processes) = fs::read_dir("/proc") else { return 0 };
    let pids = processes.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter(|pid| end_if_left(*pid)).count()
}

fn end_if_left(pid: u32) -> bool {
    // The descriptor first: whoever has this number later is not who is looked at here.
    let Some(raw) = Pid::from_raw(pid as i32) else { return false };
    let Ok(handle) = rustix::process::pidfd_open(raw, rustix::process::PidfdFlags::empty()) else {
        return false;
    };
    let Ok(environ) = fs::read(Path::new("/proc").join(pid.to_string()).join("environ")) else {
        return false;
    };
    let mut values = environ
        .split(|byte| *byte == 0)
        .filter_map(|variable| variable.strip_prefix(NAME.as_bytes())?.strip_prefix(b"="));
    let is_left = values.next().is_some_and(is_of_the_dead);
    is_left && rustix::process::pidfd_send_signal(&handle, Signal::KILL).is_ok()
}

pub(super) fn is_of_the_dead(value: &[u8]) -> bool {
    let Ok(value) = std::str::from_utf8(value) else { return false };
    let mut parts = value.split('.');
    let (Some(space), Some(pid), Some(start)) = (parts.next(), parts.next(), parts.next()) else {
        return false;
    };
    let (Ok(pid), Ok(start)) = (pid.parse::<u32>(), start.parse::<u64>()) else { return false };
    space == namespace() && start != 0 && started(pid) != Some(start)
}

/// The PID namespace in which numbers mean what they mean here.
fn namespace() -> String {
    let link = fs::read_link("/proc/self/ns/pid").unwrap_or_default();
    link.to_string_lossy().chars().filter(char::is_ascii_digit).collect()
}

/// When a process started, in the kernel's ticks; nothing for one that is not there, or is dead.
fn started(pid: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name is in brackets and may hold anything; after its last one everything is a number.
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_whitespace();
    if matches!(fields.next()?, "Z" | "X") {
        return None;
    }
    fields.nth(18)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_names_a_dead_runtime_of_this_namespace_is_swept() {
        let (_, own) = tag();
        assert!(!is_of_the_dead(own.as_encoded_bytes()), "this runtime is alive");
        let space = namespace();
        let pid = std::process::id();
        let table = [
            (format!("{space}.{pid}.1"), true),
            (format!("{space}.4194999.77"), true),
            (format!("1{space}.{pid}.1"), false),
            (format!("{space}.{pid}.0"), false),
            (format!("{space}.{pid}"), false),
            (String::new(), false),
        ];
        for (value, dead) in table {
            assert_eq!(is_of_the_dead(value.as_bytes()), dead, "{value}");
        }
    }
}
