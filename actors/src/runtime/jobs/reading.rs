//! Jobs as they are read: lines from the catalog, all that is known of one from its log, its result from
//! where that is kept. From a running runtime, or from its store alone.

use crate::{
    domain::job::{JobEnd, JobFilter, JobId, JobRow, JobText, JobView},
    policy::jobs::{self, JobRefused},
    runtime::{CallError, Reading},
};

use super::{JobError, Jobs};

impl Reading {
    /// Lines of jobs; the last one's place is the cursor for more.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn jobs(&self, filter: JobFilter) -> Result<Vec<JobRow>, CallError> {
        Ok(self.catalog().jobs(filter).await?)
    }

    /// All that is known of a job, if there is one.
    ///
    /// # Errors
    /// When its log cannot be read.
    pub async fn job(&self, job: JobId) -> Result<Option<JobView>, CallError> {
        let found = crate::jobs::read(self.journal(), job, None).await?;
        Ok(found.map(|(state, _, position)| jobs::view(&state, position)))
    }

    /// What a job left, whole, if it has completed with something.
    ///
    /// # Errors
    /// When its log or what it left cannot be read.
    pub async fn job_result(&self, job: JobId) -> Result<Option<String>, CallError> {
        let end = self.job(job).await?.and_then(|view| view.end);
        let Some(JobEnd::Completed { result: Some(result) }) = end else { return Ok(None) };
        match result {
            JobText::Inline { text } => Ok(Some(text)),
            JobText::Stored { blob, .. } => {
                let bytes = self.blob(blob).await?;
                Ok(bytes.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()))
            }
        }
    }
}

impl Jobs {
    /// Lines of jobs; the last one's place is the cursor for more.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn list(&self, mut filter: JobFilter) -> Result<Vec<JobRow>, JobError> {
        if let Some(tenant) = &self.tenant {
            filter.tenant = Some(tenant.clone());
        }
        Ok(self.runtime.reading().jobs(filter).await?)
    }

    /// All that is known of a job.
    ///
    /// # Errors
    /// When there is none, or its log cannot be read.
    pub async fn show(&self, job: JobId) -> Result<JobView, JobError> {
        let view = self.runtime.reading().job(job).await?;
        let own = |view: &JobView| self.tenant.as_ref().is_none_or(|own| view.row.tenant == *own);
        view.filter(own).ok_or_else(|| JobRefused::Unknown { job }.into())
    }

    /// What a job left, whole, if it has completed with something.
    ///
    /// # Errors
    /// When there is none, or what it left cannot be read.
    pub async fn result(&self, job: JobId) -> Result<Option<String>, JobError> {
        self.show(job).await?;
        Ok(self.runtime.reading().job_result(job).await?)
    }
}
