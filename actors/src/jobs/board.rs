//! Who may begin: what `policy::jobs::admit` says of all jobs together.

use std::collections::BTreeMap;

use crate::{
    domain::{
        ids::{InputKey, QueueName, TenantId, Timestamp},
        job::JobId,
    },
    limits,
    policy::jobs::{Input, JobRefused, Phase, Places, Queue, State, Waiting, admit},
};

use super::desk::{Desk, Flight, Live};

impl Live {
    fn queue_of(&self) -> Queue {
        (self.state.tenant.clone(), self.state.spec.queue.clone())
    }

    /// Whether it takes a place, or is just about to.
    fn takes_a_place(&self) -> bool {
        let starts = self
            .flight
            .as_ref()
            .is_some_and(|flight| matches!(flight.work.input, Input::Start { .. }));
        self.state.takes_a_place() || starts
    }
}

impl Desk {
    fn at_work(&self) -> BTreeMap<Queue, u32> {
        let mut at_work = BTreeMap::new();
        for live in self.jobs.values().filter(|live| live.takes_a_place()) {
            *at_work.entry(live.queue_of()).or_default() += 1;
        }
        at_work
    }

    /// Jobs that it waits for and that have not completed.
    fn waits_for(&self, state: &State) -> Option<JobId> {
        let done = |job: &JobId| matches!(self.ends.get(job), Some(Ok(())));
        state.spec.after.iter().copied().find(|job| !done(job))
    }

    /// What could begin at this moment but for its place.
    fn waiting(&self, now: Timestamp, wanted: impl Fn(&Live) -> bool) -> Vec<Waiting> {
        let ready = self.jobs.values().filter(|live| {
            let idle = live.flight.is_none() && live.queue.is_empty();
            let is_due = matches!(live.state.phase, Phase::Queued { due } if due <= now);
            idle && is_due && wanted(live) && self.waits_for(&live.state).is_none()
        });
        let waiting = ready.map(|live| {
            let due = match live.state.phase {
                Phase::Queued { due } => due,
                Phase::Running { .. }
                | Phase::Stopping { .. }
                | Phase::Paused { .. }
                | Phase::Ended { .. } => now,
            };
            let since = (due, live.state.created_at);
            Waiting { job: live.state.job, queue: live.queue_of(), since }
        });
        waiting.collect()
    }

    fn are_held(&self) -> bool {
        self.house.halt.borrow().is_some()
    }

    /// Prompts whose time has come and who have a place, in order.
    pub(super) fn prompts_that_begin(&self) -> Vec<JobId> {
        if self.are_held() {
            return Vec::new();
        }
        let now = self.house.clock.now();
        let waiting = self.waiting(now, |live| live.state.is_prompt());
        if waiting.is_empty() {
            return Vec::new();
        }
        let prompts =
            self.jobs.values().filter(|live| live.state.is_prompt() && live.takes_a_place());
        let taken = u32::try_from(prompts.count()).unwrap_or(u32::MAX);
        let left = limits::JOB_PROMPTS.saturating_sub(taken);
        admit(waiting, &self.at_work(), self.places(left))
    }

    /// The job of a queue whose attempt was begun under this key, or is just about to: who asks for it
    /// again has not heard of it.
    pub(super) fn begun_under(
        &self,
        tenant: &TenantId,
        queue: &QueueName,
        key: &InputKey,
    ) -> Option<JobId> {
        let is_starting = |flight: Option<&Flight>| {
            flight.is_some_and(|flight| {
                matches!(&flight.work.input, Input::Start { key: Some(own) } if own == key)
            })
        };
        let begun = self.jobs.iter().find(|(job, live)| {
            let state = &live.state;
            let lost = self.fetching.get(job).and_then(|fetching| fetching.flight.as_ref());
            let is_theirs = state.tenant == *tenant && state.spec.queue == *queue;
            let is_begun =
                || state.is_under(key, self.house.boot) || is_starting(live.flight.as_ref());
            is_theirs && (is_begun() || is_starting(lost))
        });
        begun.map(|(job, _)| *job)
    }

    /// The job of the host in a queue that is first, if one may begin.
    pub(super) fn next_of(&self, tenant: &TenantId, queue: &QueueName) -> Option<JobId> {
        if self.house.dark || self.are_held() {
            return None;
        }
        let now = self.house.clock.now();
        let waiting = self.waiting(now, |live| {
            let state = &live.state;
            !state.is_prompt() && state.tenant == *tenant && state.spec.queue == *queue
        });
        admit(waiting, &self.at_work(), self.places(1)).into_iter().next()
    }

    fn places(&self, left: u32) -> Places<'_> {
        Places { of: &self.house.queues, usual: limits::QUEUE_PLACES, left }
    }

    /// Why an attempt may not begin although its job could.
    pub(super) fn bar(&self, job: JobId, input: &Input) -> Option<JobRefused> {
        if !matches!(input, Input::Start { .. }) {
            return None;
        }
        let live = self.jobs.get(&job)?;
        if !matches!(live.state.phase, Phase::Queued { .. }) {
            return None;
        }
        let waits = |what: String| Some(JobRefused::Waits { job, what });
        if self.house.dark {
            return waits("for a runtime that works".to_owned());
        }
        if let Some(halt) = self.house.halt.borrow().as_deref() {
            return Some(JobRefused::Halted { reason: halt.reason.clone() });
        }
        if let Some(other) = self.waits_for(&live.state) {
            return waits(format!("for job {other}"));
        }
        let queue = live.queue_of();
        let at_work = self.at_work().get(&queue).copied().unwrap_or(0);
        let places = self.places(0).of_queue(&queue.1);
        if at_work >= places {
            return waits(format!("for a place: {at_work} of queue {} are at work", queue.1));
        }
        None
    }
}
