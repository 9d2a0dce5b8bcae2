//! The inits of a host, by which it tells them from orphans, and knows whether somebody runs already who
//! may compute for long. A table of its own size: nothing is allocated.

use greenroom_actors::limits;
use rustix::process::Pid;

use super::sys;

/// How many fit; with more the host takes no order.
pub(super) const INITS: usize = limits::TOOL_AT_ONCE;

/// One that lives, and since when.
#[derive(Clone, Copy)]
struct Init {
    pid: Pid,
    since_ms: u64,
}

/// Who lives.
pub(super) struct Inits {
    places: [Option<Init>; INITS],
    at_once: usize,
}

impl Inits {
    pub(super) fn new(at_once: usize) -> Self {
        Self { places: [None; INITS], at_once: at_once.min(INITS) }
    }

    pub(super) fn are_full(&self) -> bool {
        self.places.iter().flatten().count() >= self.at_once
    }

    pub(super) fn add(&mut self, pid: Pid) {
        if let Some(place) = self.places.iter_mut().find(|place| place.is_none()) {
            *place = Some(Init { pid, since_ms: sys::uptime_ms() });
        }
    }

    pub(super) fn remove(&mut self, pid: Pid) {
        for place in &mut self.places {
            if place.is_some_and(|init| init.pid == pid) {
                *place = None;
            }
        }
    }

    pub(super) fn has(&self, pid: Pid) -> bool {
        self.places.iter().flatten().any(|init| init.pid == pid)
    }

    /// Whether somebody is not new any more.
    pub(super) fn has_old(&self) -> bool {
        let now = sys::uptime_ms();
        self.places.iter().flatten().any(|init| now >= init.since_ms + limits::TOOL_NEW_MS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_lives_has_a_place_and_leaves_it() {
        let [one, two, three] = [11, 12, 13].map(|pid| Pid::from_raw(pid).unwrap());
        let mut inits = Inits::new(2);
        inits.add(one);
        assert!(inits.has(one) && !inits.has(two) && !inits.are_full() && !inits.has_old());
        inits.add(two);
        assert!(inits.are_full());
        inits.remove(one);
        inits.add(three);
        assert!(!inits.has(one) && inits.has(two) && inits.has(three));
        inits.places[0].as_mut().unwrap().since_ms -= limits::TOOL_NEW_MS;
        assert!(inits.has_old());
        assert!(Inits::new(0).are_full());
    }
}
