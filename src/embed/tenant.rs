//! A runtime as one tenant sees it: its own sessions, questions and sums, and nothing of others.

use greenroom_actors::{
    Runtime as Handle,
    domain::{
        agent::AgentSpec,
        catalog::{ApprovalRow, SessionFilter, SessionRow, Totals, TotalsOf},
        ids::{AgentName, SessionId, TenantId},
    },
    runtime::CallError,
};

use super::{Approval, Inbox, Jobs, Session};

/// A runtime as one tenant sees it; cheap to clone.
///
/// ```
/// use greenroom::{AgentSpec, Runtime};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("greenroom.db");
/// let runtime = Runtime::builder().store(path).script("agent *\n  say {input}").start().await?;
/// let (ann, bob) = (runtime.tenant("ann"), runtime.tenant("bob"));
/// let hers = ann.spawn(&AgentSpec::new("echo", "scripted")).await?;
/// hers.send("hello").await?.outcome().await?;
///
/// assert_eq!((ann.list().await?.len(), bob.list().await?.len()), (1, 0));
/// assert_eq!((ann.totals().await?.calls, bob.totals().await?.calls), (1, 0));
/// assert!(bob.session(hers.id()).await.is_err(), "as if it did not exist");
/// # runtime.shutdown().await;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Tenant {
    runtime: Handle,
    tenant: TenantId,
}

impl Tenant {
    pub(super) const fn new(runtime: Handle, tenant: TenantId) -> Self {
        Self { runtime, tenant }
    }

    /// Whose data it is.
    #[must_use]
    pub const fn id(&self) -> &TenantId {
        &self.tenant
    }

    /// Opens a session for an agent, registered or not.
    ///
    /// # Errors
    /// When the declaration cannot be used or the store cannot be written.
    pub async fn spawn(&self, agent: &AgentSpec) -> Result<Session, CallError> {
        let id = self.runtime.spawn(agent, self.tenant.clone()).await?;
        Ok(Session::new(self.runtime.clone(), id))
    }

    /// Opens a session for a registered agent.
    ///
    /// # Errors
    /// When there is none of that name or the store cannot be written.
    pub async fn open(&self, agent: &str) -> Result<Session, CallError> {
        let id = self.runtime.open(&AgentName::from(agent), self.tenant.clone()).await?;
        Ok(Session::new(self.runtime.clone(), id))
    }

    /// A session of this tenant, for instance from before a restart. Another tenant's is as unknown
    /// as one that never was.
    ///
    /// # Errors
    /// When there is none, or the store cannot be read.
    pub async fn session(&self, id: SessionId) -> Result<Session, CallError> {
        let row = self.runtime.reading().session(id).await?;
        match row.filter(|row| row.tenant == self.tenant) {
            Some(_) => Ok(Session::new(self.runtime.clone(), id)),
            None => Err(CallError::UnknownSession { session: id }),
        }
    }

    /// This tenant's sessions, subagents among them, in the order of their ids.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn list(&self) -> Result<Vec<SessionRow>, CallError> {
        self.list_where(SessionFilter::default()).await
    }

    /// Those of this tenant's sessions that fit a filter, all of them whatever its `rows` says.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn list_where(&self, filter: SessionFilter) -> Result<Vec<SessionRow>, CallError> {
        let filter = SessionFilter { tenant: Some(self.tenant.clone()), ..filter };
        self.runtime.reading().all_sessions(filter).await
    }

    /// What this tenant spent, over all its trees: one question to the store for each.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn totals(&self) -> Result<Totals, CallError> {
        let mut sum = Totals::default();
        let all = SessionFilter { archived: true, ..SessionFilter::default() };
        for row in self.list_where(all).await?.into_iter().filter(|row| row.parent.is_none()) {
            sum += self.runtime.totals(TotalsOf::Subtree(row.session)).await?;
        }
        Ok(sum)
    }

    /// This tenant's jobs.
    #[must_use]
    pub fn jobs(&self) -> Jobs {
        Jobs::new(self.runtime.clone(), self.tenant.clone())
    }

    /// This tenant's open questions.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn approvals(&self) -> Result<Vec<Approval>, CallError> {
        let rows = self.runtime.approvals(Some(self.tenant.clone())).await?;
        let own = |row: ApprovalRow| Approval::new(self.runtime.clone(), row);
        Ok(rows.into_iter().map(own).collect())
    }

    /// This tenant's questions: those that are open, then those that come.
    #[must_use]
    pub fn inbox(&self) -> Inbox {
        Inbox::of_tenant(self.runtime.clone(), self.tenant.clone())
    }
}
