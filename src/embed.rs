//! The embedding API: a runtime in your own program, in a few lines.
//!
//! What was accepted is in the store: drop everything, or `kill -9` the process, start again on
//! the same store, and every session goes on where it was.

mod answer;
mod builder;
mod inbox;
mod input;
mod jobs;
mod session;
mod stream;
mod tenant;

pub use answer::{AnswerError, schema_of};
pub use builder::Builder;
pub use inbox::{Approval, Inbox};
pub use input::Input;
pub use jobs::{Job, Jobs};
pub use session::Session;
pub use stream::{TurnEvent, TurnStream};
pub use tenant::Tenant;

use std::{ops::Deref, sync::Arc};

use greenroom_actors::{
    ModelProvider, Runtime as Handle, Tool,
    domain::{
        agent::AgentSpec,
        catalog::{SessionFilter, SessionRow},
        ids::{SessionId, TenantId},
        tool::ToolSpec,
    },
    runtime::{CallError, RenderError},
};

use crate::app::App;

/// A running runtime on an embedded store.
///
/// ```
/// use greenroom::{AgentSpec, Runtime};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("greenroom.db");
/// let runtime = Runtime::builder()
///     .store(path)
///     .script("agent *\n  say Hello, {input}.")
///     .start()
///     .await?;
/// let session = runtime.spawn(&AgentSpec::new("greeter", "scripted")).await?;
/// let outcome = session.send("world").await?.outcome().await?;
/// assert_eq!(outcome.text(), "Hello, world.");
/// runtime.shutdown().await;
/// # Ok(())
/// # }
/// ```
///
/// It is the handle of `greenroom_actors` as well, for what is asked of the whole house or under an
/// id: `tree`, `totals`, `read`, `decide`, `subscribe` (who is too slow hears `Heard::Lagged`),
/// `accounts`, `figures`, `set_rules`, `set_prices`, `on_behalf_of`. Handles are cheap to clone.
///
/// ```
/// use greenroom::{AgentSpec, Heard, Note, Runtime, TotalsOf};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("greenroom.db");
/// let runtime = Runtime::builder().store(path).script("agent *\n  say Yes.").start().await?;
/// // Registered later, and opened by name.
/// runtime.add_agent(AgentSpec::new("oracle", "scripted"))?;
/// let mut house = runtime.subscribe();
/// let session = runtime.open("oracle").await?;
/// session.send("Will it hold?").await?.outcome().await?;
///
/// match house.next().await {
///     Some(Heard::Note(Note::Frame(frame))) => assert_eq!(frame.session, session.id()),
///     Some(Heard::Note(_)) => {}
///     Some(Heard::Lagged { missed }) => println!("{missed} missed; the logs have the frames"),
///     None => println!("the runtime has ended"),
/// }
/// assert_eq!(runtime.list().await?.len(), 1);
/// assert_eq!(runtime.totals(TotalsOf::Runtime).await?.calls, 1);
/// runtime.shutdown().await;
/// # Ok(())
/// # }
/// ```
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
        self.own().spawn(agent).await
    }

    /// Opens a session for a registered agent.
    ///
    /// # Errors
    /// When there is none of that name or the store cannot be written.
    pub async fn open(&self, agent: &str) -> Result<Session, CallError> {
        self.own().open(agent).await
    }

    /// A session that exists, for instance from before a restart. Whether it does is seen when it
    /// is first asked something.
    #[must_use]
    pub fn session(&self, id: SessionId) -> Session {
        Session::new(Handle::clone(self), id)
    }

    /// Sessions of every tenant, subagents among them, in the order of their ids; without those
    /// that were put away.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn list(&self) -> Result<Vec<SessionRow>, CallError> {
        self.reading().all_sessions(SessionFilter::default()).await
    }

    /// The same runtime for another tenant's sessions.
    #[must_use]
    pub fn tenant(&self, tenant: impl Into<TenantId>) -> Tenant {
        Tenant::new(Handle::clone(self), tenant.into())
    }

    /// Jobs of the runtime's own tenant.
    #[must_use]
    pub fn jobs(&self) -> Jobs {
        Jobs::new(Handle::clone(self), self.tenant.clone())
    }

    fn own(&self) -> Tenant {
        self.tenant(self.tenant.clone())
    }

    /// Questions of everybody to people: those that are open, then those that come.
    #[must_use]
    pub fn inbox(&self) -> Inbox {
        Inbox::of_all(Handle::clone(self))
    }

    /// Tools that are registered: names, schemas, effect classes.
    #[must_use]
    pub fn tools(&self) -> Vec<ToolSpec> {
        Handle::tool_specs(self)
    }

    /// Registers a tool: agents that are opened from now on may have it.
    ///
    /// # Errors
    /// When the name is one of the runtime's own, or taken.
    pub async fn add_tool(&self, tool: impl Tool) -> Result<(), RenderError> {
        Handle::add_tool(self, self.app.masked_tool(Arc::new(tool))).await
    }

    /// Registers somewhere models are served. One of the same name takes the place of the first.
    pub async fn add_provider(&self, provider: impl ModelProvider) {
        let provider = self.app.masked_provider(Arc::new(provider));
        Handle::add_provider(self, provider).await;
    }

    /// Registers an agent, to be opened by name and spawned by others. Sessions that are open keep
    /// what they pinned.
    ///
    /// # Errors
    /// When it cannot be used: a tool or a route that nobody registered, a rule that cannot be read.
    pub fn add_agent(&self, agent: AgentSpec) -> Result<(), RenderError> {
        Handle::add_agents(self, vec![agent])
    }

    /// Ends in order: sessions, pools, gates, permission, the ledger, the store. What has work in
    /// hand goes on when a runtime starts on the same store.
    pub async fn shutdown(self) -> Vec<String> {
        self.app.shutdown().await
    }
}
