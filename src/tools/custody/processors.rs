//! Which processors the processes of an order run on. All, as long as it is new: most commands end
//! before anybody notices them. Who is still there after a moment may be one who computes without end,
//! so it leaves the first of the runtime's processors to everybody else: to the runtime, to commands
//! that begin, to the machine. Niceness alone does not do that: who wakes waits for the tick of a kernel
//! that has only busy processors, and a session of its own is a group of its own that niceness does not
//! rank.
//!
//! It is a courtesy and no fence: a program may ask for its processors back. Runs in inits: nothing is
//! allocated.

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use super::orphans;

/// How often everybody is looked at. Who starts processes faster than that keeps some where they are.
const LOOKS: usize = 4;

/// Has everybody below this process leave so many processors of those that it may use itself.
pub(super) fn leave(spared: u64) {
    let Ok(own) = sched_getaffinity(None) else { return };
    let left = without(&own, spared);
    if left == own {
        return;
    }
    for _ in 0..LOOKS {
        let moved = std::cell::Cell::new(false);
        orphans::threads_below(&|thread| {
            let Ok(now) = sched_getaffinity(Some(thread)) else { return };
            let next = both(&now, &left);
            if next != now && sched_setaffinity(Some(thread), &next).is_ok() {
                moved.set(true);
            }
        });
        // Whoever was begun by somebody who had moved is there already.
        if !moved.get() {
            return;
        }
    }
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
