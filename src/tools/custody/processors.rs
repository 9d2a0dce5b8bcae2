//! Which processors the processes of an order run on. All, as long as it is new: most commands end
//! before anybody notices them. Who is still there after a moment may be one who computes without end,
//! so it leaves the first of the runtime's processors to everybody else: to the runtime, to commands
//! that begin, to the machine. Niceness alone does not do that: who wakes waits for the tick of a kernel
//! that has only busy processors, and a session of its own is a group of its own that niceness does not
//! rank.
//!
//! For the same reason a command is made ready there, and only there, while somebody computes and all
//! processors are busy: beside who computes, its host, its init and itself would each wait for a tick.
//! Beside a crowd it also begins there, and whom it tells how many processors there are, it tells of those.
//!
//! It is a courtesy and no fence: a program may ask for its processors back. Runs in hosts and inits:
//! nothing is allocated.

use std::cell::Cell;

use greenroom_actors::limits;
use rustix::{
    event::{Timespec, poll},
    fs::{Mode, OFlags, open},
    io::read,
    process::Signal,
    thread::{CpuSet, sched_getaffinity, sched_setaffinity},
};

use super::{orphans, sys};

/// More processes than this may start others faster than they are found.
const CROWD: usize = 16;
/// How long a crowd is stopped at most, and the time between two looks at it: somebody may be in the
/// midst of what cannot be stopped, such as a parent whose child has yet to execute.
const STOPPED_MS: u64 = 50;
const A_MOMENT: Timespec = Timespec { tv_sec: 0, tv_nsec: 1_000_000 };

/// What somebody begins beside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Load {
    /// There is a processor without anybody, or nobody who leaves one.
    Free,
    /// One more has to share one.
    Busy,
    /// With a crowd.
    Crowded,
}

/// Whose which processors are.
#[derive(Clone, Copy)]
pub(super) struct Places {
    /// The runtime's.
    all: CpuSet,
    /// Everybody's but theirs who compute for long; nobody's where there are too few.
    spared: CpuSet,
    /// Theirs who compute for long.
    left: CpuSet,
    /// How many the machine has, of which the runtime may have a part.
    machine: u32,
}

impl Places {
    /// For a process that may still use them all, on a machine of so many.
    pub(super) fn of_this_process(spared: u64, machine: u32) -> Self {
        let all = sched_getaffinity(None).unwrap_or_default();
        let left = without(&all, spared);
        let spared = only(&all, |no| !left.is_set(no));
        Self { all, spared, left, machine }
    }

    /// Has this process, and whom it starts, keep to those that are spared.
    pub(super) fn keep_to_spared(&self) {
        sys::regardless(sched_setaffinity(None, &self.spared));
    }

    /// What goes on there.
    pub(super) fn load(&self) -> Load {
        if self.spared.count() == 0 {
            return Load::Free;
        }
        // Who runs is counted on the whole machine.
        let all = self.all.count().max(self.machine);
        match running().unwrap_or(0) {
            count if count >= all * limits::TOOL_CROWDED => Load::Crowded,
            count if count >= all => Load::Busy,
            _ => Load::Free,
        }
    }

    /// Gives all of them to this process.
    pub(super) fn open(&self) {
        sys::regardless(sched_setaffinity(None, &self.all));
    }

    /// And to everybody below it who was held and chose nothing else meanwhile.
    pub(super) fn open_to_all(&self, in_own: bool) {
        self.open();
        orphans::threads_below(in_own, &|_, thread| {
            if sched_getaffinity(Some(thread)).is_ok_and(|now| now == self.spared) {
                sys::regardless(sched_setaffinity(Some(thread), &self.all));
            }
        });
    }

    /// Has everybody below this process leave those that are spared. Whether anybody had to: then
    /// whoever was amid a fork may have a child that did not, and is to be looked at once more.
    ///
    /// A crowd in which many start many is never found whole: at the second look there are others.
    /// The first of a PID namespace can stop all at once and moves them while nobody starts anybody;
    /// elsewhere some stay where they are. Who does not fork so is not stopped, for programs notice.
    pub(super) fn leave(&self, in_own: bool) -> bool {
        if self.left == self.all {
            return false;
        }
        let look = move_all(in_own, &self.left);
        let is_crowd = in_own && look.moved && look.processes > CROWD;
        if is_crowd && move_all(in_own, &self.left).moved {
            let until = sys::uptime_ms() + STOPPED_MS;
            sys::signal_all(Signal::STOP.as_raw());
            while sys::uptime_ms() < until {
                // Who is amid a fork ends it first, and the child has heard of the stop as well.
                let all_still = everybody_is_still();
                let all_there = !move_all(in_own, &self.left).moved;
                if all_still && all_there {
                    break;
                }
                sys::regardless(poll(&mut [], Some(&A_MOMENT)));
            }
            sys::signal_all(Signal::CONT.as_raw());
            // Whose orphans it will have to bury without end.
            sys::regardless(sched_setaffinity(None, &self.left));
        }
        look.moved
    }
}

/// How many processors the machine has that are on; for who may still allocate.
pub(super) fn of_the_machine() -> u32 {
    let text = std::fs::read_to_string("/proc/stat").unwrap_or_default();
    // The first line is their sum.
    text.lines().filter(|line| line.starts_with("cpu")).count().saturating_sub(1) as u32
}

/// How many run on this machine now, or could.
fn running() -> Option<u32> {
    let file = open(c"/proc/loadavg", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).ok()?;
    let mut buffer = [0_u8; 64];
    let count = read(&file, &mut buffer).ok()?;
    running_of(std::str::from_utf8(buffer.get(..count)?).ok()?)
}

fn running_of(line: &str) -> Option<u32> {
    line.split(' ').nth(3)?.split_once('/')?.0.parse().ok()
}

struct Look {
    processes: usize,
    moved: bool,
}

/// Moves whom it finds, to where it computes at longer stretches: whoever wakes there comes first.
fn move_all(in_own: bool, left: &CpuSet) -> Look {
    let (processes, moved) = (Cell::new(0), Cell::new(false));
    orphans::threads_below(in_own, &|of, thread| {
        processes.set(processes.get() + usize::from(of == thread));
        let Ok(now) = sched_getaffinity(Some(thread)) else { return };
        let next = both(&now, left);
        if next == now {
            return;
        }
        // Before the other, by which it is known as one that has both.
        sys::regardless(sys::stretch(thread, limits::TOOL_STRETCH_MS * 1_000_000));
        if sched_setaffinity(Some(thread), &next).is_ok() {
            moved.set(true);
        }
    });
    Look { processes: processes.get(), moved: moved.get() }
}

fn everybody_is_still() -> bool {
    let all = Cell::new(true);
    orphans::threads_below(true, &|_, thread| all.set(all.get() && orphans::is_still(thread)));
    all.get()
}

/// All but the first ones; one stays, whatever is to be spared.
fn without(own: &CpuSet, spared: u64) -> CpuSet {
    let spared = spared.min(u64::from(own.count().saturating_sub(1)));
    let passed = Cell::new(0);
    only(own, |_| passed.replace(passed.get() + 1) >= spared)
}

/// What a thread keeps of what it chose itself; all that is left, where it chose what is spared.
fn both(now: &CpuSet, left: &CpuSet) -> CpuSet {
    let both = only(now, |no| left.is_set(no));
    if both.count() == 0 { *left } else { both }
}

fn only(of: &CpuSet, keeps: impl Fn(usize) -> bool) -> CpuSet {
    let mut only = CpuSet::new();
    for no in (0..CpuSet::MAX_CPU).filter(|no| of.is_set(*no) && keeps(*no)) {
        only.set(no);
    }
    only
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(processors: &[usize]) -> CpuSet {
        let mut set = CpuSet::new();
        processors.iter().for_each(|no| set.set(*no));
        set
    }

    #[test]
    fn the_first_ones_are_spared_and_one_is_kept() {
        assert!(without(&set(&[0, 1, 2]), 1) == set(&[1, 2]));
        assert!(without(&set(&[2, 5, 9]), 2) == set(&[9]));
        assert!(without(&set(&[2, 5]), 7) == set(&[5]));
        assert!(without(&set(&[3]), 1) == set(&[3]));
        assert!(without(&set(&[0, 1]), 0) == set(&[0, 1]));
    }

    #[test]
    fn what_a_thread_chose_itself_it_keeps() {
        assert!(both(&set(&[0, 1, 2, 3]), &set(&[1, 2, 3])) == set(&[1, 2, 3]));
        assert!(both(&set(&[0, 2]), &set(&[1, 2, 3])) == set(&[2]));
        assert!(both(&set(&[0]), &set(&[1, 2, 3])) == set(&[1, 2, 3]));
    }

    #[test]
    fn who_runs_is_read_from_the_load() {
        assert_eq!(running_of("0.60 1.92 4.28 3/234 5678\n"), Some(3));
        assert_eq!(running_of("0.60 1.92"), None);
        assert_eq!(running_of(""), None);
        assert!(running().is_some_and(|count| count > 0));
    }

    #[test]
    fn where_nothing_is_spared_nobody_is_held() {
        let none = Places::of_this_process(0, 1);
        assert!(none.load() == Load::Free && none.left == none.all);
        let one = Places::of_this_process(1, 1_000_000);
        assert_eq!(one.spared.count() + one.left.count(), one.all.count());
        assert!(one.load() == Load::Free, "on a machine as large as that");
    }

    #[test]
    fn whoever_is_there_may_be_told_how_long_to_compute_at_a_stretch() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let pid = rustix::process::Pid::from_child(&child);
        let told = [1, 2].map(|ms| sys::stretch(pid, ms * 1_000_000));
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(told, [Ok(()); 2]);
        assert!(sys::stretch(pid, 1_000_000).is_err(), "nobody is there");
    }
}
