//! From an input to a committed frame. One frame of a job is under way at a time; what the state will
//! be is not decided upon before it is in the log.

use std::sync::Arc;

use ractor::ActorRef;

use crate::{
    domain::{
        catalog::Change,
        ids::{Position, PrincipalId},
        job::{JobEvent, JobId, Taken},
    },
    fault, limits,
    log::Trouble,
    owned::{Ended, Owned},
    policy::jobs::{self, Input, JobRefused, Phase, State},
    ports::Append,
    protocol::{
        address::tell,
        jobs::{JobsMsg, Loaded},
        wing::Alarm,
    },
};

use super::{
    JobsHouse,
    desk::{Answering, Desk, Flight, Live, Work},
    load,
};

impl Desk {
    /// Takes a job in that was read; what was under way when its answer was lost is found there, or
    /// is decided again.
    pub(super) fn enter(&mut self, loaded: Loaded) {
        let Loaded { state, writer, last: _ } = loaded;
        let job = state.job;
        let queue = std::collections::VecDeque::new();
        let live = Live { state, writer, queue, flight: None, running: None, telling: None };
        self.jobs.insert(job, live);
        if !self.house.dark {
            self.give_own(job, Input::Recovered);
        }
    }

    /// An input of the runtime's own.
    pub(super) fn give_own(&mut self, job: JobId, input: Input) {
        let by = PrincipalId::from("jobs");
        self.give(job, Work { input, by, answer: Answering::Nobody, tenant: None });
    }

    pub(super) fn give(&mut self, job: JobId, work: Work) {
        let Some(live) = self.jobs.get_mut(&job) else { return };
        // What the runtime itself says is bounded by what is going on for the job.
        let is_order = !matches!(work.answer, Answering::Nobody);
        if is_order && live.queue.len() >= limits::JOB_ORDERS {
            return work.answer.refuse(JobRefused::Busy);
        }
        live.queue.push_back(work);
        self.pump(job);
    }

    /// Decides what waits for a job, up to the first thing that must be written.
    pub(super) fn pump(&mut self, job: JobId) {
        loop {
            let Some(live) = self.jobs.get_mut(&job) else { return };
            if live.flight.is_some() || self.fetching.contains_key(&job) {
                return;
            }
            let Some(work) = live.queue.pop_front() else { return };
            self.decide(job, work);
        }
    }

    fn decide(&mut self, job: JobId, work: Work) {
        let env = self.env();
        let barred = self.bar(job, &work.input);
        let Some(live) = self.jobs.get_mut(&job) else { return };
        let foreign = work.tenant.as_ref().is_some_and(|tenant| *tenant != live.state.tenant);
        let decided = if foreign {
            Err(JobRefused::Unknown { job })
        } else if let Some(refused) = barred {
            Err(refused)
        } else {
            jobs::step(&live.state, &env, work.input.clone())
        };
        match decided {
            Ok(events) if events.is_empty() => answer(live, work.answer),
            Ok(events) => self.write(job, events, work),
            Err(refused) => work.answer.refuse(refused),
        }
    }

    fn write(&mut self, job: JobId, events: Vec<JobEvent>, work: Work) {
        let now = self.house.clock.now();
        let Some(live) = self.jobs.get_mut(&job) else { return };
        let position = live.writer.tail.next();
        if position.0 > limits::JOB_FRAMES && events.iter().all(can_wait) {
            let what = format!("its log has taken {} changes; end it", limits::JOB_FRAMES);
            return work.answer.refuse(JobRefused::BadValue { what });
        }
        let mut after = live.state.clone();
        for event in &events {
            if let Err(error) = jobs::apply(&mut after, event, now) {
                tracing::error!(%job, %error, "a job's machine made an impossible record");
                let what = error.to_string();
                return work.answer.refuse(JobRefused::BadValue { what });
            }
        }
        let changes = vec![Change::Job(Box::new(jobs::row(&after, position)))];
        let cause = Some(work.by.to_string());
        let append = match live.writer.frame(&events, changes, cause, now) {
            Ok(append) => append,
            Err(error) => {
                let what = error.to_string();
                return work.answer.refuse(JobRefused::BadValue { what });
            }
        };
        events.iter().for_each(|event| fault::point(points(event).0));
        let task = sent(&self.house, self.myself.clone(), job, append);
        live.flight = Some(Flight { _task: Some(task), at: now, position, events, work });
    }

    pub(super) fn appended(&mut self, job: JobId, result: Result<Position, Trouble>) {
        if self.births.contains_key(&job) {
            return self.born(job, result);
        }
        match result {
            Ok(position) => self.committed(job, position),
            Err(Trouble::Poisoned(why)) => self.house.alarm.send(Alarm::Poisoned { why }),
            Err(trouble) => {
                tracing::warn!(%job, error = %trouble, "a job's frame was not written");
                let flight = self.jobs.get_mut(&job).and_then(|live| live.flight.take());
                self.fetching.entry(job).or_default().flight = flight;
                self.fetch(job, limits::SUSPEND_MS);
            }
        }
    }

    fn committed(&mut self, job: JobId, position: Position) {
        let Some(live) = self.jobs.get_mut(&job) else { return };
        let Some(flight) = live.flight.take() else { return };
        live.writer.committed(position);
        for event in &flight.events {
            // It was folded before it was written.
            if let Err(error) = jobs::apply(&mut live.state, event, flight.at) {
                tracing::error!(%job, %error, "a job's record cannot be folded");
            }
        }
        flight.events.iter().for_each(|event| fault::point(points(event).1));
        let row = jobs::row(&live.state, position);
        answer(live, flight.work.answer);
        self.house.bus.publish_job(row);
        if flight.events.iter().any(|event| matches!(event, JobEvent::Ended { .. })) {
            self.ended(job);
        }
        self.pump(job);
    }

    /// Those who wait for it hear how it ended.
    pub(super) fn ended(&mut self, job: JobId) {
        let Some(end) = self.jobs.get(&job).and_then(|live| load::end_of(&live.state)) else {
            return;
        };
        let waits = |live: &&Live| live.state.spec.after.contains(&job);
        let waiting: Vec<JobId> =
            self.jobs.values().filter(waits).map(|live| live.state.job).collect();
        if waiting.is_empty() {
            return;
        }
        self.ends.insert(job, end.clone());
        if let Err(why) = end {
            for waits in waiting {
                self.give_own(waits, Input::Awaited { job, why: why.clone() });
            }
        }
    }

    /// Reads a job's log, after a while where it has just failed.
    pub(super) fn fetch(&mut self, job: JobId, after_ms: u64) {
        let fetching = self.fetching.entry(job).or_default();
        if fetching.task.is_some() {
            return;
        }
        let (clock, journal) = (Arc::clone(&self.house.clock), Arc::clone(&self.house.journal));
        let myself = self.myself.clone();
        let read = async move {
            if after_ms > 0 {
                clock.after(after_ms).await;
            }
            load::claim(journal, job).await
        };
        fetching.task = Some(Owned::watched(read, move |ended| {
            let result = match ended {
                Ended::Value(result) => result,
                Ended::Panicked(text) => Err(Trouble::Damaged(text)),
                Ended::Aborted => return,
            };
            tell(&myself, JobsMsg::Fetched(job, result));
        }));
    }

    pub(super) fn fetched(&mut self, job: JobId, result: Result<Option<Box<Loaded>>, Trouble>) {
        let Some(fetching) = self.fetching.get_mut(&job) else { return };
        fetching.task = None;
        let loaded = match result {
            Ok(loaded) => loaded,
            Err(Trouble::Poisoned(why)) => {
                return self.house.alarm.send(Alarm::Poisoned { why });
            }
            Err(Trouble::Damaged(why)) => return self.lose(job, why),
            Err(Trouble::Fenced | Trouble::Unavailable(_)) => {
                // Who waits outside has its own patience.
                return self.fetch(job, limits::SUSPEND_MS);
            }
        };
        let Some(fetching) = self.fetching.remove(&job) else { return };
        let Some(loaded) = loaded else {
            let unknown = |work: Work| work.answer.refuse(JobRefused::Unknown { job });
            return fetching.orders.into_iter().for_each(unknown);
        };
        let Loaded { state, writer, last } = *loaded;
        let written = fetching
            .flight
            .as_ref()
            .is_some_and(|flight| flight.position == writer.tail && flight.events == last);
        if let Some(live) = self.jobs.get_mut(&job) {
            (live.state, live.writer) = (state, writer);
        } else {
            self.enter(Loaded { state, writer, last: Vec::new() });
        }
        if let (Some(flight), Some(live)) = (fetching.flight, self.jobs.get_mut(&job)) {
            if written {
                answer(live, flight.work.answer);
                self.house.bus.publish_job(jobs::row(&live.state, live.writer.tail));
                self.ended(job);
            } else {
                live.queue.push_front(flight.work);
            }
        }
        for work in fetching.orders {
            self.give(job, work);
        }
        self.pump(job);
    }

    /// A log that cannot be read: whoever waits is told, and no other job is touched.
    fn lose(&mut self, job: JobId, why: String) {
        tracing::error!(%job, %why, "the log of a job cannot be read");
        let refused = || JobRefused::Damaged { job, why: why.clone() };
        let live = self.jobs.remove(&job);
        let fetching = self.fetching.remove(&job).unwrap_or_default();
        let orders = live.into_iter().flat_map(|live| live.queue).chain(fetching.orders);
        orders.chain(fetching.flight.map(|flight| flight.work)).for_each(|work| {
            work.answer.refuse(refused());
        });
        self.damaged.insert(job, why);
    }
}

/// Writes a frame of a job, its first one or another; the jobs' actor hears what became of it.
pub(super) fn sent(
    house: &JobsHouse,
    jobs: ActorRef<JobsMsg>,
    job: JobId,
    append: Append,
) -> Owned {
    Owned::watched(house.journal.append(append), move |ended| {
        let result = match ended {
            Ended::Value(Ok(position)) => Ok(position),
            Ended::Value(Err(error)) => Err(error.into()),
            Ended::Panicked(why) => Err(Trouble::Poisoned(why)),
            Ended::Aborted => return,
        };
        tell(&jobs, JobsMsg::Appended(job, result));
    })
}

/// Whether a full log does without a record: nothing that is at work depends on it.
const fn can_wait(event: &JobEvent) -> bool {
    match event {
        JobEvent::Progressed { .. } | JobEvent::Paused { .. } | JobEvent::Requeued { .. } => true,
        JobEvent::Enqueued { .. }
        | JobEvent::AttemptStarted { .. }
        | JobEvent::AttemptFailed { .. }
        | JobEvent::StopRequested { .. }
        | JobEvent::Resumed { .. }
        | JobEvent::Ended { .. }
        | JobEvent::Followed { .. }
        | JobEvent::EndTold
        | JobEvent::EndNotTold { .. } => false,
    }
}

fn answer(live: &Live, answer: Answering) {
    // Whoever asked may have gone.
    match answer {
        Answering::Nobody => {}
        Answering::Row(reply) => drop(reply.send(Ok(jobs::row(&live.state, live.writer.tail)))),
        Answering::Taken(reply) => drop(reply.send(Ok(taken(&live.state)))),
    }
}

fn taken(state: &State) -> Option<Taken> {
    let Phase::Running { due, deadline, .. } = state.phase else { return None };
    let (name, work) = (state.spec.name.clone(), state.spec.work.clone());
    Some(Taken { job: state.job, attempt: state.attempts, due, deadline, name, work })
}

/// The points before and behind a record.
pub(super) const fn points(event: &JobEvent) -> (&'static str, &'static str) {
    match event {
        JobEvent::Enqueued { .. } => ("job.before_enqueued", "job.enqueued"),
        JobEvent::AttemptStarted { .. } => ("job.before_attempt_started", "job.attempt_started"),
        JobEvent::Progressed { .. } => ("job.before_progressed", "job.progressed"),
        JobEvent::AttemptFailed { .. } => ("job.before_attempt_failed", "job.attempt_failed"),
        JobEvent::StopRequested { .. } => ("job.before_stop_requested", "job.stop_requested"),
        JobEvent::Paused { .. } => ("job.before_paused", "job.paused"),
        JobEvent::Resumed { .. } => ("job.before_resumed", "job.resumed"),
        JobEvent::Ended { .. } => ("job.before_ended", "job.ended"),
        JobEvent::Requeued { .. } => ("job.before_requeued", "job.requeued"),
        JobEvent::Followed { .. } => ("job.before_followed", "job.followed"),
        JobEvent::EndTold => ("job.before_end_told", "job.end_told"),
        JobEvent::EndNotTold { .. } => ("job.before_end_not_told", "job.end_not_told"),
    }
}
