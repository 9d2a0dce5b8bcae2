//! A job comes into being: with its first frame, which is the claim of its log as well. The same id
//! again is the same job, whatever became of it.

use crate::{
    domain::{
        catalog::Change,
        frame::LogId,
        ids::{Position, PrincipalId, TenantId, Timestamp},
        job::{JobEvent, JobId, JobSpec, When},
    },
    fault, limits,
    log::{Trouble, Writer},
    owned::Owned,
    policy::jobs::{self, Input, JobRefused},
    protocol::{
        jobs::{Answer, Loaded},
        wing::Alarm,
    },
};

use super::{desk::Desk, load, write};

/// What is asked for.
pub(super) struct Asked {
    pub(super) job: JobId,
    pub(super) spec: Box<JobSpec>,
    pub(super) tenant: TenantId,
    pub(super) by: PrincipalId,
    /// The first of the chain, and when it is due, of one that follows another.
    pub(super) series: Option<JobId>,
    pub(super) due: Option<Timestamp>,
}

/// What is done once it exists.
pub(super) enum Then {
    Reply(Answer<()>),
    /// The one before it records that.
    Follows(JobId),
}

/// A first frame on its way.
pub(super) struct Birth {
    _task: Owned,
    event: JobEvent,
    at: Timestamp,
    writer: Writer,
    then: Vec<Then>,
    tenant: TenantId,
}

impl Desk {
    pub(super) fn enqueue(
        &mut self,
        asked: Asked,
        after: Vec<(JobId, Option<Result<(), String>>)>,
        then: Then,
    ) {
        let job = asked.job;
        if self.jobs.contains_key(&job) {
            return self.exists(job, then);
        }
        if let Some(birth) = self.births.get_mut(&job) {
            return birth.then.push(then);
        }
        let event = match self.first(&asked) {
            Ok(event) => event,
            Err(refused) => return self.refuse(job, then, refused),
        };
        for (other, end) in after {
            match end {
                Some(end) => drop(self.ends.insert(other, end)),
                None if self.births.contains_key(&other) => {}
                None => {
                    let Some(live) = self.jobs.get(&other) else {
                        // It has ended since it was looked at; the asker sees its reply port close,
                        // and looks again.
                        return;
                    };
                    if let Some(end) = load::end_of(&live.state) {
                        self.ends.insert(other, end);
                    }
                }
            }
        }
        self.bear(asked, event, then);
    }

    /// The first record, or why there is none.
    fn first(&self, asked: &Asked) -> Result<JobEvent, JobRefused> {
        let Asked { spec, tenant, by, series, due, .. } = asked;
        jobs::check_spec(spec)?;
        if let Some(hook) = spec.hook.as_ref().filter(|hook| !self.house.hooks.contains_key(hook))
            && !self.house.dark
        {
            let known: Vec<&str> = self.house.hooks.keys().map(|name| name.as_str()).collect();
            let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
            return Err(JobRefused::UnknownHook { hook: hook.clone(), known });
        }
        // One that follows takes the place of the one before it.
        if series.is_none() {
            self.has_room(tenant, spec)?;
        }
        let now = self.house.clock.now();
        let due = match (due, &spec.when) {
            (Some(due), _) => *due,
            (None, When::Now) => now,
            (None, When::At { at }) => *at,
            (None, When::Cron { expression, zone }) => {
                let Some(calendar) = &self.house.calendar else {
                    let what = "nobody here reads calendars; say when, or now".to_owned();
                    return Err(JobRefused::BadValue { what });
                };
                let next = calendar.next(expression, zone, now);
                next.map_err(|what| JobRefused::BadValue { what })?
            }
        };
        Ok(jobs::enqueue(spec.clone(), due, by.clone(), *series))
    }

    fn has_room(&self, tenant: &TenantId, spec: &JobSpec) -> Result<(), JobRefused> {
        let queue = spec.queue.clone();
        let open = self.jobs.len() + self.births.len();
        if open >= limits::JOBS_OPEN {
            return Err(JobRefused::Full { queue, open, max: limits::JOBS_OPEN });
        }
        let same = |theirs: &TenantId, other: &JobSpec| theirs == tenant && other.queue == queue;
        let live = self.jobs.values();
        let live =
            live.filter(|live| live.state.is_open() && same(&live.state.tenant, &live.state.spec));
        let born = self.births.values().filter(|birth| {
            let JobEvent::Enqueued { spec, .. } = &birth.event else { return false };
            same(&birth.tenant, spec)
        });
        let open = live.count() + born.count();
        if open >= limits::QUEUE_OPEN {
            return Err(JobRefused::Full { queue, open, max: limits::QUEUE_OPEN });
        }
        Ok(())
    }

    fn bear(&mut self, asked: Asked, event: JobEvent, then: Then) {
        let Asked { job, tenant, by, .. } = asked;
        let at = self.house.clock.now();
        let writer = Writer::unborn(LogId::job(job), tenant.clone(), by);
        let made = jobs::opened(job, tenant.clone(), &event, at).map_err(|error| error.to_string());
        let made = made.and_then(|state| {
            let changes = vec![Change::Job(Box::new(jobs::row(&state, Position(1))))];
            let frame = writer.frame(std::slice::from_ref(&event), changes, None, at);
            frame.map_err(|error| error.to_string())
        });
        let append = match made {
            Ok(append) => append,
            Err(what) => return self.refuse(job, then, JobRefused::BadValue { what }),
        };
        fault::point("job.before_enqueued");
        let task = write::sent(&self.house, self.myself.clone(), job, append);
        let then = vec![then];
        self.births.insert(job, Birth { _task: task, event, at, writer, then, tenant });
    }

    /// What became of a first frame.
    pub(super) fn born(&mut self, job: JobId, result: Result<Position, Trouble>) {
        let Some(Birth { event, at, mut writer, then, tenant, .. }) = self.births.remove(&job)
        else {
            return;
        };
        match result {
            Ok(position) => {
                writer.committed(position);
                fault::point("job.enqueued");
                match jobs::opened(job, tenant, &event, at) {
                    Ok(state) => {
                        self.house.bus.publish_job(jobs::row(&state, position));
                        self.enter(Loaded { state, writer, last: Vec::new() });
                        self.wait_for_those_that_failed(job);
                    }
                    Err(error) => tracing::error!(%job, %error, "a job's first record"),
                }
                then.into_iter().for_each(|then| self.exists(job, then));
            }
            // It was there already: whatever became of it, it is that job.
            Err(Trouble::Fenced) => {
                self.fetch(job, 0);
                then.into_iter().for_each(|then| self.exists(job, then));
            }
            Err(Trouble::Poisoned(why)) => self.house.alarm.send(Alarm::Poisoned { why }),
            // It may have been written. Whoever asked sees the reply port close and asks again under
            // the same id; whether it is there is read.
            Err(trouble @ (Trouble::Unavailable(_) | Trouble::Damaged(_))) => {
                tracing::warn!(%job, error = %trouble, "a job's first frame was not written");
                self.again_soon = true;
                self.fetch(job, limits::SUSPEND_MS);
            }
        }
    }

    /// Those it waits for may have failed long ago.
    pub(super) fn wait_for_those_that_failed(&mut self, job: JobId) {
        let after = self.jobs.get(&job).map(|live| live.state.spec.after.clone());
        for other in after.unwrap_or_default() {
            if let Some(Err(why)) = self.ends.get(&other).cloned() {
                self.give_own(job, Input::Awaited { job: other, why });
            }
        }
    }

    fn exists(&mut self, job: JobId, then: Then) {
        match then {
            Then::Reply(reply) => drop(reply.send(Ok(()))),
            Then::Follows(before) => self.give_own(before, Input::Followed { job }),
        }
    }

    fn refuse(&mut self, job: JobId, then: Then, refused: JobRefused) {
        match then {
            Then::Reply(reply) => drop(reply.send(Err(refused))),
            Then::Follows(before) => {
                tracing::warn!(%job, %before, %refused, "the next of a chain");
                self.again_soon = true;
            }
        }
    }
}
