//! Which processors the processes of an order run on. All, as long as it is new: most commands end
//! before anybody notices them. Who is still there after a moment may be one who computes without end,
//! so it leaves the first of the runtime's processors to everybody else: to the runtime, to commands
//! that begin, to the machine. Niceness alone does not do that: who wakes waits for the tick of a kernel
//! that has only busy processors, and a session of its own is a group of its own that niceness does not
//! rank.
//!
//! It is a courtesy and no fence: a program may ask for its processors back. Runs in inits: nothing is
//! allocated.

use std::cell::Cell;

use rustix::{
    event::{Timespec, poll},
    process::Signal,
    thread::{CpuSet, sched_getaffinity, sched_setaffinity},
};

use super::{orphans, sys};

/// More processes than this may start others faster than they are found.
const CROWD: usize = 16;
/// How often a crowd is looked at while it is stopped, and the time between: somebody may be in the
/// midst of what cannot be stopped for longer than anybody wants to wait.
const LOOKS: usize = 50;
const A_MOMENT: Timespec = Timespec { tv_sec: 0, tv_nsec: 1_000_000 };

/// Has everybody below this process leave so many processors of those that it may use itself. Whether
/// anybody had to: then whoever was amid a fork may have a child that did not, and is to be looked at
/// once more.
///
/// A crowd in which many start many is never found whole. The first of a PID namespace can stop all at
/// once and moves them while nobody starts anybody; elsewhere some stay where they are.
pub(super) fn leave(spared: u64, in_own: bool) -> bool {
    let Ok(own) = sched_getaffinity(None) else { return false };
    let left = without(&own, spared);
    if left == own {
        return false;
    }
    let look = move_all(in_own, &left);
    if look.moved && look.processes > CROWD && in_own {
        sys::signal_all(Signal::STOP.as_raw());
        for _ in 0..LOOKS {
            // Who is amid a fork ends it first, and the child has heard of the stop as well.
            let all_still = everybody_is_still();
            if all_still && !move_all(in_own, &left).moved {
                break;
            }
            sys::regardless(poll(&mut [], Some(&A_MOMENT)));
        }
        sys::signal_all(Signal::CONT.as_raw());
    }
    look.moved
}

struct Look {
    processes: usize,
    moved: bool,
}

/// Moves whom it finds.
fn move_all(in_own: bool, left: &CpuSet) -> Look {
    let (processes, moved) = (Cell::new(0), Cell::new(false));
    orphans::threads_below(in_own, &|of, thread| {
        processes.set(processes.get() + usize::from(of == thread));
        let Ok(now) = sched_getaffinity(Some(thread)) else { return };
        let next = both(&now, left);
        if next != now && sched_setaffinity(Some(thread), &next).is_ok() {
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
    let mut left = *own;
    let spared = spared.min(u64::from(own.count().saturating_sub(1)));
    let first = (0..CpuSet::MAX_CPU).filter(|no| own.is_set(*no));
    for no in first.take(spared as usize) {
        left.unset(no);
    }
    left
}

/// What a thread keeps of what it chose itself; all that is left, where it chose what is spared.
fn both(now: &CpuSet, left: &CpuSet) -> CpuSet {
    let mut both = CpuSet::new();
    for no in (0..CpuSet::MAX_CPU).filter(|no| now.is_set(*no) && left.is_set(*no)) {
        both.set(no);
    }
    if both.count() == 0 { *left } else { both }
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
}
