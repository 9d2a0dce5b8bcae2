//! Jobs through the door: asked for, ordered, taken, listed. A question lost with the actor that held it
//! is asked again under the same id until its time is up; every one of them may be asked twice.

mod prompts;
mod reading;

use std::sync::Arc;

use tokio::sync::oneshot;

use crate::{
    bus::JobListener,
    domain::{
        house::Halt,
        ids::{InputKey, PrincipalId, QueueName, TenantId},
        job::{AttemptEnd, JobId, JobRow, JobSpec, Taken, Work},
    },
    jobs::JobsHouse,
    limits,
    log::ReadError,
    policy::jobs::{Input, JobRefused},
    ports::{Calendar, HookTable, JournalError},
    protocol::jobs::{Answer, Request},
    session::house::House,
};

use super::{CallError, Options, Runtime};

/// Why a job could not be asked for, changed or shown.
#[derive(Debug, thiserror::Error)]
pub enum JobError {
    /// It was refused.
    #[error(transparent)]
    Refused(#[from] JobRefused),
    /// The store.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// Its log cannot be read.
    #[error("read the job's log")]
    Read(#[from] ReadError),
    /// No answer in time. Whether it happened is in its log; asking again does it once.
    #[error("no answer within {waited_ms} ms; ask again, it is done once")]
    TimedOut {
        /// How long.
        waited_ms: u64,
    },
    /// The runtime has ended.
    #[error("the runtime has ended: {why:?}; start it again")]
    Ended {
        /// Why.
        why: super::Ended,
    },
}

impl From<CallError> for JobError {
    fn from(error: CallError) -> Self {
        match error {
            CallError::TimedOut { waited_ms } => Self::TimedOut { waited_ms },
            CallError::Journal(error) => Self::Journal(error),
            CallError::Read(error) => Self::Read(error),
            CallError::Ended { why } => Self::Ended { why },
            other @ (CallError::Rejected(_)
            | CallError::Render(_)
            | CallError::CannotSkip { .. }
            | CallError::NotARoot { .. }
            | CallError::Hindered { .. }
            | CallError::UnknownAgent { .. }
            | CallError::UnknownSession { .. }
            | CallError::Rules { .. }) => JobRefused::BadValue { what: other.to_string() }.into(),
        }
    }
}

/// The jobs of a runtime; cheap to clone.
#[derive(Clone, Debug)]
pub struct Jobs {
    runtime: Runtime,
    tenant: Option<TenantId>,
    by: PrincipalId,
    key: Option<InputKey>,
}

impl Runtime {
    /// Its jobs, of all tenants.
    #[must_use]
    pub fn jobs(&self) -> Jobs {
        let by = self.inner.principal.clone();
        Jobs { runtime: self.clone(), tenant: None, by, key: None }
    }
}

impl Jobs {
    /// Those of one tenant: another's are as unknown as those that never were.
    #[must_use]
    pub fn of(mut self, tenant: TenantId) -> Self {
        self.tenant = Some(tenant);
        self
    }

    /// On somebody's behalf from here on.
    #[must_use]
    pub fn on_behalf_of(mut self, by: PrincipalId) -> Self {
        self.by = by;
        self
    }

    /// Under a key: what is taken or begun by it is one attempt, however often it is asked for while that
    /// is at work. So who has not heard the answer asks again, and nobody has what nobody knows of.
    #[must_use]
    pub fn under(mut self, key: Option<InputKey>) -> Self {
        self.key = key;
        self
    }

    /// The key of one question, which may be asked twice.
    fn once_under(&self) -> InputKey {
        self.key.clone().unwrap_or_else(|| self.runtime.fresh_key())
    }

    /// Asks for a job; when this returns it is in its log. The same key again is the same job,
    /// whatever became of it.
    ///
    /// # Errors
    /// When it cannot be taken as described, when its queue is full, when it is to wait for one that
    /// does not exist, or when there is no answer.
    pub async fn enqueue(
        &self,
        tenant: &TenantId,
        mut spec: JobSpec,
        key: Option<InputKey>,
    ) -> Result<JobId, JobError> {
        self.let_begin()?;
        let inner = &self.runtime.inner;
        if self.tenant.as_ref().is_some_and(|own| own != tenant) {
            let what = format!("these are the jobs of another tenant than {tenant}");
            return Err(JobRefused::BadValue { what }.into());
        }
        inner.options.scrub.job(&mut spec);
        if let Work::Prompt { agent, .. } = &spec.work
            && !inner.options.dark
            && !inner.tables.borrow().agents.contains_key(agent)
        {
            return Err(JobRefused::UnknownAgent { agent: agent.clone() }.into());
        }
        let job = match &key {
            Some(key) => JobId::keyed(tenant, key),
            None => JobId(inner.clock.new_session().0),
        };
        let asked = async {
            loop {
                let after = self.awaited(&spec, tenant).await?;
                let make = |reply| Request::Enqueue {
                    job,
                    spec: Box::new(spec.clone()),
                    tenant: tenant.clone(),
                    by: self.by.clone(),
                    after: after.clone(),
                    reply,
                };
                if let Some(answer) = self.once(make).await? {
                    return Ok::<_, JobError>(answer?);
                }
            }
        };
        self.runtime.within(limits::CALL_MS, asked).await??;
        Ok(job)
    }

    /// How those ended, if they have, that a job is to wait for.
    async fn awaited(
        &self,
        spec: &JobSpec,
        tenant: &TenantId,
    ) -> Result<Vec<(JobId, Option<Result<(), String>>)>, JobError> {
        let mut after = Vec::new();
        for job in spec.after.iter().take(limits::JOB_AFTER + 1).copied() {
            let found = crate::jobs::read(&self.runtime.inner.journal, job, None).await?;
            let found = found.filter(|(state, ..)| state.tenant == *tenant);
            let (state, ..) = found.ok_or(JobRefused::Unknown { job })?;
            after.push((job, crate::jobs::end_of(&state)));
        }
        Ok(after)
    }

    /// Begins the next attempt of a host's job in a queue, if one is due and has a place. When this
    /// returns, the attempt is in the log.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn take(
        &self,
        tenant: &TenantId,
        queue: &QueueName,
    ) -> Result<Option<Taken>, JobError> {
        self.let_begin()?;
        let key = self.once_under();
        let make = |reply| Request::Take {
            tenant: tenant.clone(),
            queue: queue.clone(),
            key: key.clone(),
            by: self.by.clone(),
            reply,
        };
        self.ask(make).await
    }

    /// Begins the next attempt of this job of the host.
    ///
    /// # Errors
    /// When it is not the host's, not due, waits for others or for a place, or runs already.
    pub async fn start(&self, job: JobId) -> Result<Taken, JobError> {
        self.let_begin()?;
        let view = self.show(job).await?;
        if matches!(view.spec.work, Work::Prompt { .. }) {
            let why = "the runtime begins prompts itself";
            return Err(JobRefused::NotForThis { job, why }.into());
        }
        let key = self.once_under();
        let make = |reply| Request::Start {
            job,
            tenant: self.tenant.clone(),
            key: key.clone(),
            by: self.by.clone(),
            reply,
        };
        let taken = self.ask(make).await?;
        taken.ok_or_else(|| JobRefused::Unknown { job }.into())
    }

    /// Says how far an attempt is.
    ///
    /// # Errors
    /// When that attempt is not at work.
    pub async fn progress(
        &self,
        (job, attempt): (JobId, u32),
        percent: u8,
        mut detail: Option<String>,
    ) -> Result<JobRow, JobError> {
        detail.iter_mut().for_each(|text| self.runtime.inner.options.scrub.text(text));
        self.order(job, Input::Progress { attempt, percent, detail }).await
    }

    /// An attempt worked; what it left is kept.
    ///
    /// # Errors
    /// When that attempt is not at work, or the store cannot be written.
    pub async fn complete(
        &self,
        (job, attempt): (JobId, u32),
        result: Option<String>,
    ) -> Result<JobRow, JobError> {
        let result = match result {
            Some(mut text) => {
                self.runtime.inner.options.scrub.text(&mut text);
                if text.len() > limits::BLOB_BYTES {
                    let what = format!("a job's result has at most {} bytes", limits::BLOB_BYTES);
                    return Err(JobRefused::BadValue { what }.into());
                }
                Some(prompts::kept(&self.runtime.inner.blobs, text).await?)
            }
            None => None,
        };
        self.order(job, Input::Finished { attempt, end: AttemptEnd::Completed { result } }).await
    }

    /// An attempt failed; `again` says whether another may fare better.
    ///
    /// # Errors
    /// When that attempt is not at work.
    pub async fn fail(
        &self,
        (job, attempt): (JobId, u32),
        mut error: String,
        again: bool,
    ) -> Result<JobRow, JobError> {
        self.runtime.inner.options.scrub.text(&mut error);
        let end = AttemptEnd::Failed { error, again };
        self.order(job, Input::Finished { attempt, end }).await
    }

    /// Cancels a job: one that waits has ended when this returns, a prompt that runs is being stopped.
    /// Of a chain this is the one that waits for its time, and with it the chain.
    ///
    /// # Errors
    /// When it has ended otherwise.
    pub async fn cancel(&self, job: JobId, mut reason: String) -> Result<JobRow, JobError> {
        self.runtime.inner.options.scrub.text(&mut reason);
        self.order(job, Input::Cancel { reason }).await
    }

    /// Holds a job that waits, or that its host is at.
    ///
    /// # Errors
    /// When it has ended, or is a prompt at work.
    pub async fn pause(&self, job: JobId, mut detail: Option<String>) -> Result<JobRow, JobError> {
        detail.iter_mut().for_each(|text| self.runtime.inner.options.scrub.text(text));
        self.order(job, Input::Pause { detail }).await
    }

    /// Lets a job go on that was held.
    ///
    /// # Errors
    /// When it was not.
    pub async fn resume(&self, job: JobId, mut detail: Option<String>) -> Result<JobRow, JobError> {
        self.let_begin()?;
        detail.iter_mut().for_each(|text| self.runtime.inner.options.scrub.text(text));
        self.order(job, Input::Resume { detail }).await
    }

    /// Tries a job again that failed, was cancelled or was lost, for another round of attempts.
    ///
    /// # Errors
    /// When it has not ended so.
    pub async fn retry(&self, job: JobId) -> Result<JobRow, JobError> {
        self.let_begin()?;
        self.order(job, Input::Retry).await
    }

    /// Hears every change of a job from now on, of all tenants.
    #[must_use]
    pub fn changes(&self) -> JobListener {
        self.runtime.inner.bus.listen_to_jobs()
    }

    /// Refuses whatever begins something while everything is stopped.
    fn let_begin(&self) -> Result<(), JobRefused> {
        let halted = |halt: Halt| Err(JobRefused::Halted { reason: halt.reason });
        self.runtime.halted().map_or(Ok(()), halted)
    }

    async fn order(&self, job: JobId, input: Input) -> Result<JobRow, JobError> {
        let make = |reply| Request::Order {
            job,
            tenant: self.tenant.clone(),
            input: Box::new(input.clone()),
            by: self.by.clone(),
            reply,
        };
        self.ask(make).await
    }

    async fn ask<T: Send>(
        &self,
        make: impl Fn(Answer<T>) -> Request + Send + Sync,
    ) -> Result<T, JobError> {
        let asked = async {
            loop {
                if let Some(answer) = self.once(&make).await? {
                    return Ok::<_, JobError>(answer?);
                }
            }
        };
        self.runtime.within(limits::CALL_MS, asked).await?
    }

    /// Asks once; nothing when whoever held the question has gone.
    async fn once<T: Send>(
        &self,
        make: impl Fn(Answer<T>) -> Request + Send + Sync,
    ) -> Result<Option<Result<T, JobRefused>>, JobError> {
        let inner = &self.runtime.inner;
        let (reply, answer) = oneshot::channel();
        inner.seats.jobs().request(make(reply))?;
        if let Ok(answer) = answer.await {
            return Ok(Some(answer));
        }
        if let Some(why) = inner.ended.borrow().clone() {
            return Err(JobError::Ended { why });
        }
        inner.clock.after(limits::ASK_AGAIN_MS).await;
        Ok(None)
    }
}

/// What the jobs stand on.
pub(super) fn house(
    house: &Arc<House>,
    options: &Options,
    boot: u64,
    (calendar, hooks): (Option<Arc<dyn Calendar>>, HookTable),
) -> Arc<JobsHouse> {
    Arc::new(JobsHouse {
        journal: Arc::clone(&house.journal),
        catalog: Arc::clone(&house.catalog),
        clock: Arc::clone(&house.clock),
        bus: house.bus.clone(),
        prompts: Arc::new(prompts::InSessions::new(Arc::clone(house), options.scrub.clone())),
        calendar,
        hooks,
        queues: options.queues.clone(),
        boot,
        alarm: house.alarm.clone(),
        halt: house.halt.clone(),
        dark: options.dark,
    })
}
