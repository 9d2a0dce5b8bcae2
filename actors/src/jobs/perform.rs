//! What goes on for jobs: prompts at work, webhooks that are told, chains that go on, and the moment at
//! which the next thing is due. After every message it is compared with what the states say is standing.

use std::{panic::AssertUnwindSafe, sync::Arc};

use futures_util::FutureExt as _;

use crate::{
    domain::{
        ids::Timestamp,
        job::{AttemptEnd, JobId, Work},
    },
    fault, limits,
    owned::{Ended, Owned},
    policy::jobs::{self, Input, Standing},
    ports::NotTold,
    protocol::{
        address::tell,
        jobs::{Attempt, JobsMsg},
    },
};

use super::{
    desk::{Desk, Running},
    enqueue::{Asked, Then},
};

impl Desk {
    /// Brings about what is standing, lets begin who may, and sees to it that this is looked at again
    /// when something is due.
    pub(super) fn settle(&mut self) {
        if self.is_loaded && !self.house.dark {
            let now = self.house.clock.now();
            for job in self.late(now) {
                self.give_own(job, Input::Due);
            }
            for job in self.prompts_that_begin() {
                self.give_own(job, Input::Start { key: None });
            }
            let busy: Vec<(JobId, Vec<Standing>)> = self
                .jobs
                .iter()
                .filter(|(job, live)| live.flight.is_none() && !self.fetching.contains_key(job))
                .map(|(job, live)| (*job, live.state.standing(now)))
                .filter(|(_, standing)| !standing.is_empty())
                .collect();
            for (job, standing) in busy {
                standing.into_iter().for_each(|one| self.bring_about(job, one));
            }
        }
        self.forget();
        if !self.house.dark {
            self.wind();
        }
    }

    /// Jobs whose attempt has taken all its time and to whom nobody has said so.
    fn late(&self, now: Timestamp) -> Vec<JobId> {
        let late = self.jobs.iter().filter(|(_, live)| {
            live.state.is_late(now) && live.flight.is_none() && live.queue.is_empty()
        });
        late.map(|(job, _)| *job).collect()
    }

    fn bring_about(&mut self, job: JobId, standing: Standing) {
        match standing {
            Standing::Prompt { attempt, stop } => self.run(job, attempt, stop),
            Standing::Tell => self.tell(job),
            Standing::Follow => self.follow(job),
        }
    }

    fn run(&mut self, job: JobId, attempt: u32, stop: Option<String>) {
        let Some(live) = self.jobs.get_mut(&job) else { return };
        let known = live.running.as_ref();
        if known.is_some_and(|one| one.attempt == attempt && one.stopping == stop.is_some()) {
            return;
        }
        let Work::Prompt { agent, prompt } = &live.state.spec.work else { return };
        let stopping = stop.is_some();
        let asked = Attempt {
            session: job.session(attempt),
            key: job.input_key(attempt),
            agent: agent.clone(),
            prompt: prompt.clone(),
            tenant: live.state.tenant.clone(),
            by: live.state.by.clone(),
            stop,
        };
        fault::point("job.before_run");
        let myself = self.myself.clone();
        let task = Owned::watched(self.house.prompts.run(asked), move |ended| {
            let end = match ended {
                Ended::Value(end) => end,
                Ended::Panicked(error) => AttemptEnd::Failed { error, again: true },
                Ended::Aborted => return,
            };
            tell(&myself, JobsMsg::Ran { job, attempt, end: Box::new(end) });
        });
        live.running = Some(Running { attempt, stopping, _task: task });
    }

    fn tell(&mut self, job: JobId) {
        let told = self.jobs.values().filter(|live| live.telling.is_some()).count();
        let Some(live) = self.jobs.get_mut(&job) else { return };
        if live.telling.is_some() || told >= limits::JOB_TELLING {
            return;
        }
        let Some(delivery) = jobs::delivery(&live.state) else { return };
        let hook = self.house.hooks.get(&delivery.hook).cloned();
        let clock = Arc::clone(&self.house.clock);
        let telling = async move {
            let Some(hook) = hook else {
                // It may be set up again when the runtime next starts.
                let why = format!("no webhook {} is set up", delivery.hook);
                return Err(NotTold { why, again: true, after_ms: None });
            };
            fault::point("job.before_tell");
            let told = AssertUnwindSafe(hook.tell(delivery)).catch_unwind();
            tokio::select! {
                biased;
                told = told => told.unwrap_or_else(|_panic| {
                    let why = "the webhook panicked".to_owned();
                    Err(NotTold { why, again: true, after_ms: None })
                }),
                () = clock.after(limits::JOB_TELL_MS) => {
                    let why = format!("it has not answered within {} ms", limits::JOB_TELL_MS);
                    Err(NotTold { why, again: true, after_ms: None })
                }
            }
        };
        let myself = self.myself.clone();
        live.telling = Some(Owned::watched(telling, move |ended| {
            let heard = match ended {
                Ended::Value(heard) => heard,
                Ended::Panicked(why) => Err(NotTold { why, again: true, after_ms: None }),
                Ended::Aborted => return,
            };
            let heard = heard.map_err(|NotTold { why, again, after_ms }| (why, again, after_ms));
            tell(&myself, JobsMsg::Told { job, heard });
        }));
    }

    /// The next of a chain, counted from when this one began: the same next one after any crash. What
    /// was missed since is made up for once, by that one.
    fn follow(&mut self, job: JobId) {
        let Some(live) = self.jobs.get(&job) else { return };
        let (Some(begun_at), Some(calendar)) = (live.state.begun_at, &self.house.calendar) else {
            return;
        };
        let crate::domain::job::When::Cron { expression, zone } = &live.state.spec.when else {
            return;
        };
        let due = match calendar.next(expression, zone, begun_at) {
            Ok(due) => due,
            Err(why) => {
                tracing::warn!(%job, %why, "when the next of a chain is due");
                self.again_soon = true;
                return;
            }
        };
        let next = job.next_at(due);
        let state = &live.state;
        let asked = Asked {
            job: next,
            spec: state.spec.clone(),
            tenant: state.tenant.clone(),
            by: state.by.clone(),
            series: Some(state.series.unwrap_or(job)),
            due: Some(due),
        };
        // One that is on its way says so itself.
        if !self.births.contains_key(&next) {
            self.enqueue(asked, Vec::new(), Then::Follows(job));
        }
    }

    /// Jobs for which nothing is left to be done leave memory.
    fn forget(&mut self) {
        let done: Vec<JobId> = self
            .jobs
            .iter()
            .filter(|(job, live)| {
                let idle = live.flight.is_none() && live.queue.is_empty();
                idle && !live.state.is_open() && !self.fetching.contains_key(job)
            })
            .map(|(job, _)| *job)
            .collect();
        let mut waited = false;
        for job in done {
            waited |= self.jobs.remove(&job).is_some_and(|live| !live.state.spec.after.is_empty());
        }
        if waited {
            let named: std::collections::BTreeSet<JobId> =
                self.jobs.values().flat_map(|live| live.state.spec.after.iter().copied()).collect();
            self.ends.retain(|job, _| named.contains(job));
        }
    }

    /// Sets the alarm clock to the next moment at which something is due.
    fn wind(&mut self) {
        let now = self.house.clock.now();
        let wakes = self.jobs.values().filter_map(|live| live.state.next_wake());
        let soon = std::mem::take(&mut self.again_soon).then(|| now.plus_ms(limits::SUSPEND_MS));
        let next = wakes.filter(|at| *at > now).chain(soon).min();
        if self.timer.as_ref().map(|(at, _)| *at) == next && next.is_some() {
            return;
        }
        self.timer = next.map(|at: Timestamp| {
            let (clock, myself) = (Arc::clone(&self.house.clock), self.myself.clone());
            let wait = async move {
                clock.sleep_until(at).await;
                tell(&myself, JobsMsg::Due);
            };
            (at, Owned::spawn(wait))
        });
    }
}
