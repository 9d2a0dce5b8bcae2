//! Who begins next: each queue of a tenant has its places, and those who share what is left of the
//! house's take turns, so that one long queue delays no other.

use std::{cmp::Reverse, collections::BTreeMap};

use crate::domain::{
    ids::{QueueName, TenantId, Timestamp},
    job::JobId,
};

/// A queue: tenants have their own, whatever they call them.
pub type Queue = (TenantId, QueueName);

/// A job that could begin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// Which.
    pub job: JobId,
    /// Its queue.
    pub queue: Queue,
    /// Its time, and when it was asked for: who is due first is first.
    pub since: (Timestamp, Timestamp),
}

/// How many may be at work.
#[derive(Clone, Copy, Debug)]
pub struct Places<'a> {
    /// Queues with their own number.
    pub of: &'a BTreeMap<QueueName, u32>,
    /// All others.
    pub usual: u32,
    /// Places left in the house.
    pub left: u32,
}

impl Places<'_> {
    /// Those of one queue.
    #[must_use]
    pub fn of_queue(&self, queue: &QueueName) -> u32 {
        self.of.get(queue).copied().unwrap_or(self.usual)
    }
}

/// Those that begin now, in order. `at_work` says how many of each queue are already.
#[must_use]
pub fn admit(
    mut waiting: Vec<Waiting>,
    at_work: &BTreeMap<Queue, u32>,
    places: Places<'_>,
) -> Vec<JobId> {
    // Backwards, so that the first is taken off the end.
    waiting.sort_by_key(|one| Reverse((one.since, one.job)));
    let mut lines: BTreeMap<Queue, Vec<Waiting>> = BTreeMap::new();
    for one in waiting {
        lines.entry(one.queue.clone()).or_default().push(one);
    }
    let mut taken: BTreeMap<Queue, u32> = at_work.clone();
    let (mut begin, mut left) = (Vec::new(), places.left);
    while left > 0 {
        let next = lines.iter().filter_map(|(queue, line)| {
            let at_work = taken.get(queue).copied().unwrap_or(0);
            let head = line.last()?;
            (at_work < places.of_queue(&queue.1)).then_some((at_work, head.since, queue))
        });
        let Some((_, _, queue)) = next.min() else { break };
        let queue = queue.clone();
        let Some(one) = lines.get_mut(&queue).and_then(Vec::pop) else { break };
        *taken.entry(queue).or_default() += 1;
        begin.push(one.job);
        left -= 1;
    }
    begin
}
