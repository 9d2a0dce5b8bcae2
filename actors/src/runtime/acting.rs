//! A runtime used on somebody's behalf: every event it causes names the principal.

use crate::{
    domain::{
        agent::Rendered,
        event::{Creation, ForkPoint, Lineage, UserInput},
        ids::{ApprovalId, InputKey, PrincipalId, SessionId, TenantId},
        permission::Answer,
    },
    limits,
    policy::turn::{Input, Rejected},
    protocol::session::Request,
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
    ) -> Result<SessionId, CallError> {
        let session = self.runtime.inner.clock.new_session();
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
            // The id is fresh, so whoever opened it was this very call, before its answer was lost.
            Err(CallError::Rejected(Rejected::Exists)) => Ok(()),
            other => other,
        }
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
