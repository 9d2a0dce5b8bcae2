//! A runtime used on somebody's behalf: every event it causes names the principal.

use std::sync::Arc;

use crate::{
    domain::{
        agent::{ModelChoice, Rendered},
        event::{CancelTarget, Creation, ForkPoint, Goal, Lineage, UserInput},
        ids::{
            AgentName, ApprovalId, InputKey, Position, PrincipalId, SessionId, TenantId, ToolName,
        },
        permission::{Answer, Mode},
        tool::{Args, ToolOutcome},
    },
    limits,
    log::ReadError,
    policy::turn::{Input, Rejected},
    protocol::session::Request,
    session::fork_base,
};

use super::{CallError, Runtime};

/// A runtime used on somebody's behalf.
#[derive(Clone, Debug)]
pub struct Acting<'r> {
    pub(super) runtime: &'r Runtime,
    pub(super) principal: PrincipalId,
}

/// What a session begins with that nobody spawned.
pub(super) fn root_of_a_tree(session: SessionId, rendered: Rendered) -> Creation {
    let limits = &rendered.agent.limits;
    let lineage = Lineage {
        root: session,
        parent: None,
        depth: 0,
        depth_left: limits.depth,
        total: limits.total,
        accounts: Vec::new(),
        authority: Vec::new(),
        raised: Vec::new(),
    };
    Creation { rendered, lineage }
}

impl Acting<'_> {
    pub(super) async fn open_rendered(
        &self,
        rendered: Rendered,
        tenant: TenantId,
        key: Option<&InputKey>,
    ) -> Result<SessionId, CallError> {
        let session = self.fresh(&tenant, key);
        self.open_as(session, root_of_a_tree(session, rendered), None, tenant).await?;
        Ok(session)
    }

    pub(super) async fn open_as(
        &self,
        session: SessionId,
        creation: Creation,
        fork: Option<ForkPoint>,
        tenant: TenantId,
    ) -> Result<(), CallError> {
        let opened = self
            .runtime
            .ask(session, limits::CALL_MS, |reply| Request::Open {
                creation: Box::new(creation.clone()),
                fork,
                tenant: tenant.clone(),
                principal: self.principal.clone(),
                reply,
            })
            .await;
        match opened {
            // The id is fresh or that of a key, so whoever opened it was this very call, before its
            // answer was lost.
            Err(CallError::Rejected(Rejected::Exists)) => Ok(()),
            other => other,
        }
    }

    /// As `Runtime::open`. Under a key the same call again is the same session.
    ///
    /// # Errors
    /// As there.
    pub async fn open(
        &self,
        agent: &AgentName,
        tenant: TenantId,
        key: Option<&InputKey>,
    ) -> Result<SessionId, CallError> {
        let tables = Arc::clone(&self.runtime.inner.tables.borrow());
        let Some(rendered) = tables.agents.get(agent) else {
            let known: Vec<&str> = tables.agents.keys().map(AgentName::as_str).collect();
            let known = known.join(", ");
            return Err(CallError::UnknownAgent { name: agent.clone(), known });
        };
        self.open_rendered(rendered.clone(), tenant, key).await
    }

    /// As `Runtime::fork`. Under a key the same call again is the same session.
    ///
    /// # Errors
    /// As there.
    pub async fn fork(
        &self,
        session: SessionId,
        at: Position,
        key: Option<&InputKey>,
    ) -> Result<SessionId, CallError> {
        self.fork_on(session, at, None, key).await
    }

    /// As `Runtime::fork_on`. Under a key the same call again is the same session.
    ///
    /// # Errors
    /// As there.
    pub async fn fork_on(
        &self,
        session: SessionId,
        at: Position,
        model: Option<ModelChoice>,
        key: Option<&InputKey>,
    ) -> Result<SessionId, CallError> {
        let point = ForkPoint { session, at };
        let base = fork_base(&self.runtime.inner.journal, point).await;
        let (base, tenant) = base.map_err(|error| match error {
            ReadError::Short { found: Position(0), .. } => CallError::UnknownSession { session },
            error @ (ReadError::Journal(_)
            | ReadError::Decode(_)
            | ReadError::TooManyForks { .. }
            | ReadError::Short { .. }) => error.into(),
        })?;
        let Some(opened) = base.opened else {
            return Err(CallError::UnknownSession { session });
        };
        let fork = self.fresh(&tenant, key);
        // What the base was allowed by its ancestors is all the fork is allowed; its budget is its
        // own from here on.
        let lineage = Lineage {
            root: fork,
            parent: None,
            depth: 0,
            depth_left: opened.lineage.depth_left,
            total: opened.rendered.agent.limits.total,
            accounts: Vec::new(),
            authority: opened.lineage.authority.clone(),
            // The fold of what it continues knows of them.
            raised: Vec::new(),
        };
        let mut rendered = opened.rendered.clone();
        if let Some(model) = model {
            self.runtime.put_on(&mut rendered.agent, model)?;
        }
        let creation = Creation { rendered, lineage };
        self.open_as(fork, creation, Some(point), tenant).await?;
        Ok(fork)
    }

    fn fresh(&self, tenant: &TenantId, key: Option<&InputKey>) -> SessionId {
        key.map_or_else(
            || self.runtime.inner.clock.new_session(),
            |key| SessionId::keyed(tenant, key),
        )
    }

    /// As `Runtime::invoke_tool`.
    ///
    /// # Errors
    /// As there.
    pub async fn invoke_tool(
        &self,
        session: SessionId,
        key: InputKey,
        (name, args): (ToolName, Args),
        (mode, cwd): (Option<Mode>, Option<String>),
    ) -> Result<ToolOutcome, CallError> {
        let input = Input::Invoked { key: key.clone(), name, args, mode, cwd };
        self.order(session, input).await?;
        let patience = limits::TOOL_MS + limits::CALL_MS;
        let make = |reply| Request::CallOutcome { key: key.clone(), reply };
        match self.runtime.ask(session, patience, make).await {
            Err(CallError::Rejected(Rejected::CallInLog { call })) => {
                let reading = self.runtime.reading();
                let outcome =
                    self.runtime.within(patience, reading.call_end(session, call)).await??;
                outcome.ok_or(CallError::Rejected(Rejected::CallInLog { call }))
            }
            other => other,
        }
    }

    /// As `Runtime::cancel`.
    ///
    /// # Errors
    /// As there.
    pub async fn cancel(
        &self,
        session: SessionId,
        target: CancelTarget,
        reason: &str,
    ) -> Result<(), CallError> {
        let reason = reason.to_owned();
        self.order(session, Input::CancelRequested { target, reason }).await
    }

    /// As `Runtime::rename`.
    ///
    /// # Errors
    /// As there.
    pub async fn rename(&self, session: SessionId, name: &str) -> Result<(), CallError> {
        self.order(session, Input::Renamed { name: name.to_owned() }).await
    }

    /// As `Runtime::archive`.
    ///
    /// # Errors
    /// As there.
    pub async fn archive(&self, session: SessionId, archived: bool) -> Result<(), CallError> {
        self.order(session, Input::Archived { archived }).await
    }

    /// As `Runtime::set_goal`.
    ///
    /// # Errors
    /// As there.
    pub async fn set_goal(&self, session: SessionId, goal: Option<Goal>) -> Result<(), CallError> {
        self.order(session, Input::GoalSet { goal }).await
    }

    /// As `Runtime::submit`.
    ///
    /// # Errors
    /// As there.
    pub async fn submit(
        &self,
        session: SessionId,
        key: InputKey,
        mut input: UserInput,
    ) -> Result<(), CallError> {
        self.runtime.inner.options.scrub.input(&mut input);
        self.runtime.within(limits::CALL_MS, self.runtime.has_kept(&input)).await??;
        self.runtime
            .ask(session, limits::CALL_MS, |reply| Request::Submit {
                key: key.clone(),
                input: Box::new(input.clone()),
                principal: self.principal.clone(),
                reply,
            })
            .await
    }

    /// As `Runtime::decide`.
    ///
    /// # Errors
    /// As there.
    pub async fn decide(&self, approval: ApprovalId, answer: Answer) -> Result<(), CallError> {
        let input = Input::ApprovalDecided { no: approval.no, answer };
        self.order(approval.session, input).await
    }

    pub(super) async fn order(
        &self,
        session: SessionId,
        mut input: Input,
    ) -> Result<(), CallError> {
        self.runtime.inner.options.scrub.order(&mut input);
        self.runtime
            .ask(session, limits::CALL_MS, |reply| Request::Order {
                input: Box::new(input.clone()),
                principal: self.principal.clone(),
                reply,
            })
            .await
    }
}
