//! Room for a bounded number of things at once, lent as leases. A lease gives its place back when
//! it is dropped, whoever holds it and whoever lent it: so a crashed holder, an aborted task and a
//! lost message all return what they had.
//!
//! The count lives here and not in the actor that hands out places, so an actor that starts again
//! cannot lend a place that is still out. Invariants: leases out ≤ places; while anybody waits,
//! `try_take` lends nothing.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
};

/// Room for a number of leases, and how many wait for one.
pub(crate) struct Room {
    places: usize,
    waiting_max: usize,
    taken: AtomicUsize,
    waiting: AtomicUsize,
    /// Called when a place came free while somebody waits.
    freed: Box<dyn Fn() + Send + Sync>,
}

/// How full something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Figures {
    /// Places in all.
    pub places: usize,
    /// Places lent.
    pub taken: usize,
    /// Requests that wait for one.
    pub waiting: usize,
}

/// A place, until it is dropped.
#[must_use = "dropping a lease gives its place back at once"]
pub struct Lease(Arc<Room>);

/// A place in the queue, until it is dropped. It rides in the request, so a queue that dies with
/// its actor is no longer counted.
pub(crate) struct Ticket(Arc<Room>);

impl Room {
    pub(crate) fn new(
        places: usize,
        waiting_max: usize,
        freed: impl Fn() + Send + Sync + 'static,
    ) -> Arc<Self> {
        let (taken, waiting) = (AtomicUsize::new(0), AtomicUsize::new(0));
        Arc::new(Self { places, waiting_max, taken, waiting, freed: Box::new(freed) })
    }

    /// A place, if one is free and nobody waits. A request that was counted before this call is
    /// never overtaken by it.
    pub(crate) fn try_take(self: &Arc<Self>) -> Option<Lease> {
        if self.waiting.load(SeqCst) > 0 {
            return None;
        }
        self.take()
    }

    /// A place for whoever is first in the queue; only the queue's owner calls this.
    pub(crate) fn take(self: &Arc<Self>) -> Option<Lease> {
        raise(&self.taken, self.places).then(|| Lease(Arc::clone(self)))
    }

    /// A place in the queue, unless it is full.
    pub(crate) fn queue(self: &Arc<Self>) -> Option<Ticket> {
        raise(&self.waiting, self.waiting_max).then(|| Ticket(Arc::clone(self)))
    }

    pub(crate) fn figures(&self) -> Figures {
        let (taken, waiting) = (self.taken.load(SeqCst), self.waiting.load(SeqCst));
        Figures { places: self.places, taken, waiting }
    }
}

/// Counts one more, up to `max`.
fn raise(count: &AtomicUsize, max: usize) -> bool {
    count.fetch_update(SeqCst, SeqCst, |now| (now < max).then_some(now + 1)).is_ok()
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.0.taken.fetch_sub(1, SeqCst);
        // One total order over both counters: either this load sees the newcomer, or the
        // newcomer's owner sees the free place. Weaker orders could miss each other.
        if self.0.waiting.load(SeqCst) > 0 {
            (self.0.freed)();
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, SeqCst);
    }
}

impl fmt::Debug for Room {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.figures().fmt(f)
    }
}

impl fmt::Debug for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Lease")
    }
}

impl fmt::Debug for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ticket")
    }
}
