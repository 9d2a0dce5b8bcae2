//! Jobs in a program of one's own: asked for by name, driven by the program or run by the runtime.

use greenroom_actors::{
    Runtime as Handle,
    domain::{
        ids::{InputKey, QueueName, TenantId},
        job::{JobFilter, JobId, JobRow, JobSpec, JobView, Taken},
    },
    runtime::{JobError, JobHeard, JobListener, Jobs as All},
};

/// The jobs of one tenant; cheap to clone.
///
/// A prompt is run by the runtime, at its time, again when it fails; a job of the host is taken by the
/// program that it is in:
///
/// ```
/// use greenroom::{AgentSpec, JobSpec, Runtime};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("greenroom.db");
/// let runtime = Runtime::builder()
///     .store(path)
///     .script("agent *\n  say Read {input}.")
///     .agent(AgentSpec::new("clerk", "scripted"))
///     .start()
///     .await?;
/// let jobs = runtime.jobs();
///
/// let report = jobs.enqueue(JobSpec::prompt("report", "clerk", "the news")).await?;
/// assert_eq!(report.ended().await?.state.word(), "completed");
/// assert_eq!(report.result().await?.as_deref(), Some("Read the news."));
///
/// let backup = jobs.enqueue(JobSpec::host("backup", "all of it").after(report.id())).await?;
/// while let Some(taken) = jobs.take("default").await? {
///     let run = jobs.run(&taken);
///     run.progress(50, "half of it").await?;
///     run.complete("42 files").await?;
/// }
/// assert_eq!(backup.row().await?.progress, 100);
/// # runtime.shutdown().await;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Jobs {
    all: All,
    tenant: TenantId,
}

/// One job.
#[derive(Clone, Debug)]
pub struct Job {
    all: All,
    id: JobId,
}

/// An attempt that the program is at.
#[derive(Clone, Debug)]
pub struct Run {
    all: All,
    at: (JobId, u32),
}

impl Jobs {
    pub(super) fn new(runtime: Handle, tenant: TenantId) -> Self {
        Self { all: runtime.jobs().of(tenant.clone()), tenant }
    }

    /// Asks for a job; when this returns it is in the store.
    ///
    /// # Errors
    /// When it cannot be taken as described, or its queue is full.
    pub async fn enqueue(&self, spec: JobSpec) -> Result<Job, JobError> {
        let id = self.all.enqueue(&self.tenant, spec, None).await?;
        Ok(self.job(id))
    }

    /// Asks for a job under a key: the same key again is the same job, whatever became of it.
    ///
    /// # Errors
    /// As `enqueue`.
    pub async fn enqueue_once(
        &self,
        key: impl Into<InputKey>,
        spec: JobSpec,
    ) -> Result<Job, JobError> {
        let id = self.all.enqueue(&self.tenant, spec, Some(key.into())).await?;
        Ok(self.job(id))
    }

    /// A job by its id. Whether it is there is seen when it is first asked something.
    #[must_use]
    pub fn job(&self, id: JobId) -> Job {
        Job { all: self.all.clone(), id }
    }

    /// Lines of jobs; the last one's place is the cursor for more.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn list(&self, filter: JobFilter) -> Result<Vec<JobRow>, JobError> {
        self.all.list(filter).await
    }

    /// Begins the next attempt of a host's job in a queue, if one is due and has a place.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn take(&self, queue: impl Into<QueueName>) -> Result<Option<Taken>, JobError> {
        self.all.take(&self.tenant, &queue.into()).await
    }

    /// What is said of an attempt that was taken.
    #[must_use]
    pub fn run(&self, taken: &Taken) -> Run {
        Run { all: self.all.clone(), at: (taken.job, taken.attempt) }
    }
}

impl Job {
    /// Its id.
    #[must_use]
    pub const fn id(&self) -> JobId {
        self.id
    }

    /// All that is known of it, with its history.
    ///
    /// # Errors
    /// When there is none, or its log cannot be read.
    pub async fn show(&self) -> Result<JobView, JobError> {
        self.all.show(self.id).await
    }

    /// Its line.
    ///
    /// # Errors
    /// As `show`.
    pub async fn row(&self) -> Result<JobRow, JobError> {
        Ok(self.show().await?.row)
    }

    /// What it left, whole, if it has completed with something.
    ///
    /// # Errors
    /// As `show`.
    pub async fn result(&self) -> Result<Option<String>, JobError> {
        self.all.result(self.id).await
    }

    /// Returns once it has ended, or the runtime has: its line then.
    ///
    /// # Errors
    /// As `show`.
    pub async fn ended(&self) -> Result<JobRow, JobError> {
        // It listens before it looks, so that nothing falls between.
        let mut changes: JobListener = self.all.changes();
        loop {
            let row = self.row().await?;
            if row.state.is_ended() {
                return Ok(row);
            }
            loop {
                match changes.next().await {
                    Some(JobHeard::Changed(row)) if row.job != self.id => {}
                    Some(JobHeard::Changed(_) | JobHeard::Lagged { .. }) => break,
                    None => return self.row().await,
                }
            }
        }
    }

    /// Begins its next attempt, of a job of the host.
    ///
    /// # Errors
    /// When it is not the host's, not due, waits for others or for a place, or runs already.
    pub async fn start(&self) -> Result<Run, JobError> {
        let taken = self.all.start(self.id).await?;
        Ok(Run { all: self.all.clone(), at: (taken.job, taken.attempt) })
    }

    /// Cancels it; one that recurs, and waits for its time, ends its chain so.
    ///
    /// # Errors
    /// When it has ended otherwise.
    pub async fn cancel(&self, reason: &str) -> Result<JobRow, JobError> {
        self.all.cancel(self.id, reason.to_owned()).await
    }

    /// Holds it.
    ///
    /// # Errors
    /// When it has ended, or is a prompt at work.
    pub async fn pause(&self) -> Result<JobRow, JobError> {
        self.all.pause(self.id, None).await
    }

    /// Lets it go on.
    ///
    /// # Errors
    /// When it was not held.
    pub async fn resume(&self) -> Result<JobRow, JobError> {
        self.all.resume(self.id, None).await
    }

    /// Tries it again, for another round of attempts.
    ///
    /// # Errors
    /// When it has not failed, been cancelled or been lost.
    pub async fn retry(&self) -> Result<JobRow, JobError> {
        self.all.retry(self.id).await
    }
}

impl Run {
    /// Says how far it is, of a hundred.
    ///
    /// # Errors
    /// When this attempt is not at work any more.
    pub async fn progress(&self, percent: u8, detail: &str) -> Result<JobRow, JobError> {
        self.all.progress(self.at, percent, Some(detail.to_owned())).await
    }

    /// It worked, and left this.
    ///
    /// # Errors
    /// When this attempt is not at work any more, or the store cannot be written.
    pub async fn complete(&self, result: impl Into<String>) -> Result<JobRow, JobError> {
        self.all.complete(self.at, Some(result.into())).await
    }

    /// It failed; another attempt is made, if there is one left.
    ///
    /// # Errors
    /// When this attempt is not at work any more.
    pub async fn fail(&self, error: &str) -> Result<JobRow, JobError> {
        self.all.fail(self.at, error.to_owned(), true).await
    }
}
