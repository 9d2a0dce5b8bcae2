//! The jobs' actor: it owns the logs of all jobs that are not done, lets them begin when their time,
//! those they wait for and a place in their queue allow it, and sees to what follows from their ends.
//!
//! It decides nothing itself: `policy::jobs` does. Each job has its own log and its own frame under way,
//! so jobs do not wait for one another. What cannot be written for now is read anew and done again;
//! a job whose log is damaged is refused, and no other.
//!
//! ```text
//!   request ─▶ its queue ─▶ step ─▶ frame ─▶ committed ─▶ fold ─▶ answer, listeners
//!                 ▲                  │ not                  ├─▶ prompt: a session's turn ─ ran ─╮
//!                 │                  ▼                      ├─▶ webhook ───────────── told ─────┤
//!                 │              read anew                  ├─▶ the next of its chain           │
//!                 ╰──────────────────┴── those who wait ◀───┴─▶ the next in its queue ◀─────────╯
//! ```

mod board;
mod desk;
mod enqueue;
mod load;
mod perform;
mod write;

use std::{collections::BTreeMap, sync::Arc};

use ractor::{Actor, ActorProcessingErr, ActorRef, SupervisionEvent};
use tokio::sync::{OwnedSemaphorePermit, watch};

use crate::{
    bus::Bus,
    domain::{
        house::Halt,
        ids::QueueName,
        job::{AttemptEnd, JobId},
    },
    fault, limits,
    log::Trouble,
    owned::{Ended, Owned},
    policy::jobs::{Env, Input, JobRefused},
    ports::{Calendar, Catalog, Clock, HookTable, Journal},
    protocol::{
        address::{ReplyTo, tell},
        jobs::{House, JobsMsg, Prompts, Request},
        wing::Alarm,
    },
};

use desk::{Answering, Desk, Work};
pub(crate) use load::{end_of, read};

/// The actor's fixed part.
pub(crate) struct Jobs(pub(crate) Arc<JobsHouse>);

/// What the jobs stand on.
pub(crate) struct JobsHouse {
    pub(crate) journal: Arc<dyn Journal>,
    pub(crate) catalog: Arc<dyn Catalog>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) bus: Bus,
    pub(crate) prompts: Arc<dyn Prompts>,
    pub(crate) calendar: Option<Arc<dyn Calendar>>,
    pub(crate) hooks: HookTable,
    /// Places of queues that differ from `limits::QUEUE_PLACES`.
    pub(crate) queues: BTreeMap<QueueName, u32>,
    pub(crate) boot: u64,
    pub(crate) alarm: ReplyTo<Alarm>,
    /// Why no attempt may begin, where somebody stopped everything.
    pub(crate) halt: watch::Receiver<Option<Arc<Halt>>>,
    /// Whether words are only written down.
    pub(crate) dark: bool,
}

impl Actor for Jobs {
    type Msg = JobsMsg;
    type State = Desk;
    type Arguments = ();

    async fn pre_start(
        &self,
        myself: ActorRef<JobsMsg>,
        (): (),
    ) -> Result<Desk, ActorProcessingErr> {
        let mut desk = Desk::new(Arc::clone(&self.0), myself.clone());
        desk.reload();
        let mut halt = self.0.halt.clone();
        // What waited until everything was let go on is looked at then.
        desk.halts = Some(Owned::spawn(async move {
            while halt.changed().await.is_ok() {
                tell(&myself, JobsMsg::Due);
            }
        }));
        Ok(desk)
    }

    async fn handle(
        &self,
        _myself: ActorRef<JobsMsg>,
        message: JobsMsg,
        desk: &mut Desk,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            JobsMsg::Request(request, permit) => desk.arrived(*request, permit),
            JobsMsg::Loaded(result) => desk.loaded(result),
            JobsMsg::Fetched(job, result) => desk.fetched(job, result),
            JobsMsg::Appended(job, result) => desk.appended(job, result),
            JobsMsg::Ran { job, attempt, end } => desk.ran(job, attempt, *end),
            JobsMsg::Told { job, heard } => desk.told(job, heard),
            JobsMsg::Due => desk.due(),
            JobsMsg::Reload => desk.reload(),
        }
        desk.settle();
        Ok(())
    }

    async fn handle_supervisor_evt(
        &self,
        _myself: ActorRef<JobsMsg>,
        _event: SupervisionEvent,
        _desk: &mut Desk,
    ) -> Result<(), ActorProcessingErr> {
        // It has no children; ractor's default would stop it for one.
        Ok(())
    }
}

impl Desk {
    fn env(&self) -> Env {
        let JobsHouse { clock, boot, .. } = &*self.house;
        Env { now: clock.now(), jitter: clock.random(), boot: *boot }
    }

    fn reload(&mut self) {
        let myself = self.myself.clone();
        let (journal, catalog) = (Arc::clone(&self.house.journal), Arc::clone(&self.house.catalog));
        self.task = Some(Owned::watched(load::all(journal, catalog), move |ended| {
            let result = match ended {
                Ended::Value(result) => result.map(Box::new),
                Ended::Panicked(text) => Err(Trouble::Damaged(text)),
                Ended::Aborted => return,
            };
            tell(&myself, JobsMsg::Loaded(result));
        }));
    }

    fn loaded(&mut self, result: Result<Box<House>, Trouble>) {
        let House { jobs, damaged, ends } = match result {
            Ok(house) => *house,
            Err(Trouble::Poisoned(why)) => return self.house.alarm.send(Alarm::Poisoned { why }),
            Err(trouble) => {
                tracing::warn!(error = %trouble, "the jobs cannot be read");
                let (clock, myself) = (Arc::clone(&self.house.clock), self.myself.clone());
                self.task = Some(Owned::spawn(async move {
                    clock.after(limits::SUSPEND_MS).await;
                    tell(&myself, JobsMsg::Reload);
                }));
                return;
            }
        };
        self.task = None;
        self.is_loaded = true;
        self.ends.extend(ends);
        for (job, why) in damaged {
            tracing::error!(%job, %why, "the log of a job cannot be read");
            self.damaged.insert(job, why);
        }
        let mut entered = Vec::new();
        for loaded in jobs {
            entered.push(loaded.state.job);
            // One that has ended and owes its webhook that is here as well.
            if let Some(end) = end_of(&loaded.state) {
                self.ends.insert(loaded.state.job, end);
            }
            self.enter(loaded);
        }
        if !self.house.dark {
            entered.into_iter().for_each(|job| self.wait_for_those_that_failed(job));
        }
        for (request, _permit) in std::mem::take(&mut self.early) {
            self.request(request);
        }
    }

    /// Who comes before the logs are read waits for that, with its place at the door.
    fn arrived(&mut self, request: Request, permit: OwnedSemaphorePermit) {
        if self.is_loaded {
            self.request(request);
        } else {
            self.early.push((request, permit));
        }
    }

    fn request(&mut self, request: Request) {
        match request {
            Request::Enqueue { job, spec, tenant, by, after, reply } => {
                let asked = enqueue::Asked { job, spec, tenant, by, series: None, due: None };
                self.enqueue(asked, after, enqueue::Then::Reply(reply));
            }
            Request::Order { job, tenant, input, by, reply } => {
                let answer = Answering::Row(reply);
                self.order(job, Work { input: *input, by, answer, tenant });
            }
            Request::Start { job, tenant, key, by, reply } => {
                let (answer, input) = (Answering::Taken(reply), Input::Start { key: Some(key) });
                self.order(job, Work { input, by, answer, tenant });
            }
            Request::Take { tenant, queue, key, by, reply } => {
                let begun = self.begun_under(&tenant, &queue, &key);
                match begun.or_else(|| self.next_of(&tenant, &queue)) {
                    Some(job) => {
                        let answer = Answering::Taken(reply);
                        let input = Input::Start { key: Some(key) };
                        self.order(job, Work { input, by, answer, tenant: None });
                    }
                    None => drop(reply.send(Ok(None))),
                }
            }
        }
    }

    /// Gives an input to a job; one that is not in memory is read first, for it may have ended.
    fn order(&mut self, job: JobId, work: Work) {
        if let Some(why) = self.damaged.get(&job) {
            let refused = JobRefused::Damaged { job, why: why.clone() };
            return work.answer.refuse(refused);
        }
        if self.jobs.contains_key(&job) {
            return self.give(job, work);
        }
        let waiting = self.fetching.entry(job).or_default();
        if waiting.orders.len() >= limits::JOB_ORDERS {
            return work.answer.refuse(JobRefused::Busy);
        }
        waiting.orders.push(work);
        self.fetch(job, 0);
    }

    fn ran(&mut self, job: JobId, attempt: u32, end: AttemptEnd) {
        let Some(live) = self.jobs.get_mut(&job) else { return };
        if live.running.as_ref().is_some_and(|running| running.attempt == attempt) {
            live.running = None;
            fault::point("job.ran");
            self.give_own(job, Input::Finished { attempt, end });
        }
    }

    fn told(&mut self, job: JobId, heard: Result<(), (String, bool, Option<u64>)>) {
        let Some(live) = self.jobs.get_mut(&job) else { return };
        live.telling = None;
        fault::point("job.told");
        self.give_own(job, Input::Told { heard });
    }

    /// A moment has come; what it is the moment for is seen to after every message.
    fn due(&mut self) {
        self.timer = None;
    }
}
