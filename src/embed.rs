//! The embedding API: a runtime in your own program, in a few lines.
//!
//! ```
//! use greenroom::{AgentSpec, Runtime};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let folder = tempfile::tempdir()?;
//! # let path = folder.path().join("greenroom.db");
//! let runtime = Runtime::builder()
//!     .store(path)
//!     .script("agent *\n  say Hello, {input}.")
//!     .start()
//!     .await?;
//! let session = runtime.spawn(&AgentSpec::new("greeter", "scripted")).await?;
//! let outcome = session.send("world").await?.outcome().await?;
//! assert_eq!(outcome.text(), "Hello, world.");
//! runtime.shutdown().await;
//! # Ok(())
//! # }
//! ```
//!
//! What was accepted is in the store: drop everything, or `kill -9` the process, start again on
//! the same store, and every session goes on where it was.

mod builder;
mod stream;
mod typed;

pub use builder::Builder;
pub use stream::{TurnEvent, TurnStream};
pub use typed::TypedTool;

use std::ops::Deref;

use greenroom_actors::{
    Runtime as Handle,
    domain::{
        agent::AgentSpec,
        event::{CancelTarget, TurnOverrides, UserInput},
        ids::{AgentName, InputKey, SessionId, TenantId},
        tool::ToolSpec,
    },
    runtime::CallError,
};

use crate::app::App;

/// A running runtime on an embedded store. Everything the handle of `greenroom_actors` can do,
/// it can do as well: approvals, tree, totals, logs, forks, checkpoints, release.
#[derive(Debug)]
pub struct Runtime {
    app: App,
    tenant: TenantId,
}

impl Deref for Runtime {
    type Target = Handle;

    fn deref(&self) -> &Handle {
        self.app.runtime()
    }
}

impl Runtime {
    /// Says what the runtime is made of.
    #[must_use]
    pub fn builder() -> Builder {
        Builder::new()
    }

    pub(super) const fn new(app: App, tenant: TenantId) -> Self {
        Self { app, tenant }
    }

    /// Opens a session for an agent, registered or not.
    ///
    /// # Errors
    /// When the declaration cannot be used or the store cannot be written.
    pub async fn spawn(&self, agent: &AgentSpec) -> Result<Session, CallError> {
        let id = Handle::spawn(self, agent, self.tenant.clone()).await?;
        Ok(self.session(id))
    }

    /// Opens a session for a registered agent.
    ///
    /// # Errors
    /// When there is none of that name or the store cannot be written.
    pub async fn open(&self, agent: &str) -> Result<Session, CallError> {
        let id = Handle::open(self, &AgentName::from(agent), self.tenant.clone()).await?;
        Ok(self.session(id))
    }

    /// A session that exists, for instance from before a restart.
    #[must_use]
    pub fn session(&self, id: SessionId) -> Session {
        Session { runtime: Handle::clone(self), id }
    }

    /// The same runtime for another tenant's sessions.
    #[must_use]
    pub fn tenant(&self, tenant: impl Into<TenantId>) -> Tenant<'_> {
        Tenant { runtime: self, tenant: tenant.into() }
    }

    /// Tools that are registered: names, schemas, effect classes.
    #[must_use]
    pub fn tools(&self) -> Vec<ToolSpec> {
        Handle::tool_specs(self)
    }

    /// Ends in order: sessions, pools, gates, permission, the ledger, the store. What has work in
    /// hand goes on when a runtime starts on the same store.
    pub async fn shutdown(self) -> Vec<String> {
        self.app.shutdown().await
    }
}

/// A runtime as one tenant sees it.
#[derive(Debug)]
pub struct Tenant<'r> {
    runtime: &'r Runtime,
    tenant: TenantId,
}

impl Tenant<'_> {
    /// Opens a session of this tenant.
    ///
    /// # Errors
    /// As [`Runtime::spawn`].
    pub async fn spawn(&self, agent: &AgentSpec) -> Result<Session, CallError> {
        let handle: &Handle = self.runtime;
        let id = handle.spawn(agent, self.tenant.clone()).await?;
        Ok(self.runtime.session(id))
    }

    /// This tenant's open approvals.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn approvals(
        &self,
    ) -> Result<Vec<greenroom_actors::domain::catalog::ApprovalRow>, CallError> {
        self.runtime.approvals(Some(self.tenant.clone())).await
    }
}

/// One session of a runtime; cheap to clone, and valid across restarts of the actor behind it.
#[derive(Clone, Debug)]
pub struct Session {
    runtime: Handle,
    id: SessionId,
}

impl Session {
    /// Its id: keep it to come back after a restart.
    #[must_use]
    pub const fn id(&self) -> SessionId {
        self.id
    }

    /// Says something and listens to the turn that answers it. When this returns, the input is in
    /// the log.
    ///
    /// # Errors
    /// When the session refuses it or does not answer.
    pub async fn send(&self, text: impl Into<String>) -> Result<TurnStream, CallError> {
        let key = self.runtime.fresh_key();
        self.send_as(key, UserInput::text(text)).await
    }

    /// Says something with this turn's own model, sampling or mode.
    ///
    /// # Errors
    /// As [`Session::send`].
    pub async fn send_with(
        &self,
        text: impl Into<String>,
        overrides: TurnOverrides,
    ) -> Result<TurnStream, CallError> {
        let key = self.runtime.fresh_key();
        let mut input = UserInput::text(text);
        input.overrides = overrides;
        self.send_as(key, input).await
    }

    /// Says something under a key of the caller's: the same key again is the same input, so it may
    /// be sent again after any doubt.
    ///
    /// # Errors
    /// As [`Session::send`].
    pub async fn send_as(&self, key: InputKey, input: UserInput) -> Result<TurnStream, CallError> {
        // Listening begins before the input is there, so that nothing of its turn is missed.
        let listener = self.runtime.follow(self.id);
        self.runtime.submit(self.id, key.clone(), input).await?;
        Ok(TurnStream::new(self.runtime.clone(), self.id, key, listener))
    }

    /// Stops what it is doing and everything below it.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn cancel(&self, reason: &str) -> Result<(), CallError> {
        self.runtime.cancel(self.id, CancelTarget::Everything, reason).await
    }

    /// A session that goes on from this one's last frame.
    ///
    /// # Errors
    /// When the logs cannot be read or written.
    pub async fn fork(&self) -> Result<Self, CallError> {
        let row = self.runtime.tree(self.id).await?.row;
        let id = self.runtime.fork(self.id, row.position).await?;
        Ok(Self { runtime: Handle::clone(&self.runtime), id })
    }
}
