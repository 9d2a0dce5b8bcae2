//! What a face can ask of a running runtime. Every wait here has a deadline; a question lost with
//! an actor that died is asked again under the same key until then.

use std::{future::Future, sync::Arc};

use tokio::sync::oneshot;

use crate::{
    domain::{
        agent::{AgentSpec, ModelChoice},
        catalog::Hindrance,
        event::{CancelTarget, Goal, UserInput},
        house::HouseEvent,
        ids::{
            AgentName, ApprovalId, CheckpointName, InputKey, Position, SessionId, TenantId,
            ToolName, TurnId,
        },
        outcome::TurnOutcome,
        permission::{Answer, Mode},
        tool::{Args, ToolOutcome},
    },
    limits,
    log::ReadError,
    policy::{rules::Layers, turn::Rejected},
    ports::JournalError,
    protocol::{
        permission::PermissionMsg,
        session::{Answer as Reply, Request},
    },
};

use super::{RenderError, Runtime, acting::Acting, render};

/// Why a call did not work.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// The session refused it.
    #[error(transparent)]
    Rejected(#[from] Rejected),
    /// The declaration cannot be used.
    #[error(transparent)]
    Render(#[from] RenderError),
    /// No answer in time. Whether it happened is in the log; the same key asks without doing it
    /// twice.
    #[error("no answer within {waited_ms} ms; ask again with the same key")]
    TimedOut {
        /// How long.
        waited_ms: u64,
    },
    /// The store.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// A log cannot be read.
    #[error("read the log")]
    Read(#[from] ReadError),
    /// There is no step that a release could skip, because the log cannot be read.
    #[error(
        "no step of {session} can be skipped, because its log cannot be read; release it without skipping once that is mended"
    )]
    CannotSkip {
        /// Which session.
        session: SessionId,
        /// What its log says of itself.
        #[source]
        damage: ReadError,
    },
    /// No such agent.
    #[error("no agent {name}; there is: {known}")]
    UnknownAgent {
        /// The name.
        name: AgentName,
        /// What there is.
        known: String,
    },
    /// No such session.
    #[error("no session {session}")]
    UnknownSession {
        /// Which.
        session: SessionId,
    },
    /// Only whole trees are deleted.
    #[error("{session} belongs to the tree of {root}; a tree is deleted whole, from its root")]
    NotARoot {
        /// Which.
        session: SessionId,
        /// Its root.
        root: SessionId,
    },
    /// Something keeps a tree from being deleted.
    #[error("delete {root}: {hindrance}")]
    Hindered {
        /// Which tree.
        root: SessionId,
        /// What does.
        hindrance: Hindrance,
    },
    /// The runtime has ended.
    #[error("the runtime has ended: {why:?}; start it again")]
    Ended {
        /// Why.
        why: super::Ended,
    },
    /// The rules cannot be read.
    #[error("{why}")]
    Rules {
        /// Why.
        why: String,
    },
}

impl CallError {
    /// Why a log cannot be trusted, where that is what went wrong: the others can still be read.
    #[must_use]
    pub fn damage(&self) -> Option<String> {
        let Self::Read(why) = self else { return None };
        match why {
            ReadError::Journal(JournalError::Damaged { .. })
            | ReadError::Decode(_)
            | ReadError::TooManyForks { .. }
            | ReadError::Short { .. } => Some(why.to_string()),
            ReadError::Journal(_) => None,
        }
    }
}

impl Runtime {
    pub(super) fn acting(&self) -> Acting<'_> {
        self.on_behalf_of(self.inner.principal.clone())
    }

    /// Opens a session for a registered agent.
    ///
    /// # Errors
    /// When there is no such agent or the log cannot be written.
    pub async fn open(&self, agent: &AgentName, tenant: TenantId) -> Result<SessionId, CallError> {
        self.acting().open(agent, tenant, None).await
    }

    /// Opens a session for an agent that need not be registered.
    ///
    /// # Errors
    /// When the declaration cannot be used or the log cannot be written.
    pub async fn spawn(&self, agent: &AgentSpec, tenant: TenantId) -> Result<SessionId, CallError> {
        let tables = Arc::clone(&self.inner.tables.borrow());
        let known = |name: &AgentName| tables.agents.contains_key(name);
        let policy = Arc::clone(&self.inner.seats.policy().borrow());
        let agent = self.inner.options.scrub.agent(agent);
        let rendered = render::render(&agent, &tables, &policy, known)?;
        self.acting().open_rendered(rendered, tenant, None).await
    }

    /// Hands an input over; when this returns it is in the log.
    ///
    /// # Errors
    /// When the session refuses it or does not answer.
    pub async fn submit(
        &self,
        session: SessionId,
        key: InputKey,
        input: UserInput,
    ) -> Result<(), CallError> {
        self.acting().submit(session, key, input).await
    }

    /// Waits for the turn that answers an input, for at most `patience_ms`.
    ///
    /// # Errors
    /// When the input was never accepted, the session is off the stage, or time runs out.
    pub async fn outcome(
        &self,
        session: SessionId,
        key: InputKey,
        patience_ms: u64,
    ) -> Result<(TurnId, TurnOutcome), CallError> {
        let make = |reply| Request::Outcome { key: key.clone(), reply };
        match self.ask(session, patience_ms, make).await {
            Err(CallError::Rejected(Rejected::TurnInLog { turn })) => {
                let reading = self.reading();
                let outcome = self.within(patience_ms, reading.turn_end(session, turn)).await??;
                let gone = Rejected::TurnInLog { turn };
                outcome.map(|outcome| (turn, outcome)).ok_or(CallError::Rejected(gone))
            }
            other => other,
        }
    }

    /// Submits and waits.
    ///
    /// # Errors
    /// As both.
    pub async fn run(
        &self,
        session: SessionId,
        key: InputKey,
        input: UserInput,
        patience_ms: u64,
    ) -> Result<TurnOutcome, CallError> {
        self.submit(session, key.clone(), input).await?;
        Ok(self.outcome(session, key, patience_ms).await?.1)
    }

    /// Cancels; when this returns the wish is in the log and on its way down the tree.
    ///
    /// # Errors
    /// When the session does not answer.
    pub async fn cancel(
        &self,
        session: SessionId,
        target: CancelTarget,
        reason: &str,
    ) -> Result<(), CallError> {
        self.acting().cancel(session, target, reason).await
    }

    /// Answers an approval; when this returns the answer is in the log.
    ///
    /// # Errors
    /// When it is not open, has expired, or the session does not answer.
    pub async fn decide(&self, approval: ApprovalId, answer: Answer) -> Result<(), CallError> {
        self.acting().decide(approval, answer).await
    }

    /// Runs one tool under policy, without a model, and waits for it.
    ///
    /// # Errors
    /// When the session refuses it or time runs out; a tool's own failure is an outcome.
    pub async fn invoke_tool(
        &self,
        session: SessionId,
        key: InputKey,
        (name, args): (ToolName, Args),
        (mode, cwd): (Option<Mode>, Option<String>),
    ) -> Result<ToolOutcome, CallError> {
        self.acting().invoke_tool(session, key, (name, args), (mode, cwd)).await
    }

    /// Gives a session a name.
    ///
    /// # Errors
    /// When the name is unusable or the session does not answer.
    pub async fn rename(&self, session: SessionId, name: &str) -> Result<(), CallError> {
        self.acting().rename(session, name).await
    }

    /// Puts a session away, or takes it out.
    ///
    /// # Errors
    /// When it has work in hand or does not answer.
    pub async fn archive(&self, session: SessionId, archived: bool) -> Result<(), CallError> {
        self.acting().archive(session, archived).await
    }

    /// Sets a session's goal, or takes it away.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn set_goal(&self, session: SessionId, goal: Option<Goal>) -> Result<(), CallError> {
        self.acting().set_goal(session, goal).await
    }

    /// Keeps a pointer to the session's last frame, with the caller's own value beside it.
    /// Returns where the checkpoint itself stands.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn checkpoint(
        &self,
        session: SessionId,
        mut name: CheckpointName,
        mut value: String,
    ) -> Result<Position, CallError> {
        self.inner.options.scrub.text(&mut name.0);
        self.inner.options.scrub.text(&mut value);
        if value.len() > limits::INPUT_BYTES {
            let (bytes, max) = (value.len(), limits::INPUT_BYTES);
            return Err(Rejected::TooLarge { bytes, max }.into());
        }
        let principal = self.inner.principal.clone();
        self.ask(session, limits::CALL_MS, |reply| Request::Checkpoint {
            name: name.clone(),
            value: value.clone(),
            principal: principal.clone(),
            reply,
        })
        .await
    }

    /// Opens a session that goes on from a frame of another.
    ///
    /// # Errors
    /// When that frame does not exist or the logs cannot be read or written.
    pub async fn fork(&self, session: SessionId, at: Position) -> Result<SessionId, CallError> {
        self.acting().fork(session, at, None).await
    }

    /// The same on another model, which the fork pins as if its agent had been declared so. It is served
    /// where the agent's own model is unless another provider is named, and nothing stands behind it:
    /// whoever names a model wants that one.
    ///
    /// # Errors
    /// As `fork`, and when nobody serves that model.
    pub async fn fork_on(
        &self,
        session: SessionId,
        at: Position,
        model: ModelChoice,
    ) -> Result<SessionId, CallError> {
        self.acting().fork_on(session, at, Some(model), None).await
    }

    /// Puts an agent on another model.
    pub(super) fn put_on(
        &self,
        agent: &mut AgentSpec,
        ModelChoice { model, provider }: ModelChoice,
    ) -> Result<(), CallError> {
        let refused = |what: String| Err(Rejected::BadValue { what }.into());
        let max = limits::MODEL_NAME_BYTES;
        if model.as_str().trim().is_empty() || model.as_str().len() > max {
            return refused(format!("a model's name has 1 to {max} bytes"));
        }
        let provider = provider.or_else(|| agent.provider.clone());
        let choice = ModelChoice { model, provider };
        // In the dark nobody serves anything; the next runtime says so when it is called.
        let served = self.inner.tables.borrow().provider(&choice).map(drop);
        if let (Err(what), false) = (served, self.inner.options.dark) {
            return refused(what);
        }
        (agent.model, agent.provider) = (choice.model, choice.provider);
        agent.fallback.clear();
        Ok(())
    }

    /// Lets a session that is awake panic, as a defect in it would; `false` when it is not awake.
    #[cfg(feature = "testing")]
    #[must_use]
    pub fn panic_session(&self, session: SessionId, message: &str) -> bool {
        let Some(entry) = self.inner.seats.board().entry(session) else { return false };
        let message =
            crate::protocol::session::SessionMsg::ModelPanicked { message: message.to_owned() };
        entry.actor.cast(message).is_ok()
    }

    /// Puts other rules of the user and the project in force, at once and for every session.
    ///
    /// # Errors
    /// When a rule cannot be read; then nothing has changed.
    pub async fn set_rules(&self, mut layers: Layers) -> Result<(), CallError> {
        layers.builtin = crate::supervisor::builtin_rules();
        let (reply, answer) = oneshot::channel();
        let message = PermissionMsg::Configure { layers: Box::new(layers), reply };
        self.inner.seats.permission().0.cast(message);
        let answer = self.within(limits::CALL_MS, answer).await?;
        match answer {
            Ok(Ok(())) => Ok(()),
            Ok(Err(why)) => Err(CallError::Rules { why }),
            Err(_gone) => Err(CallError::TimedOut { waited_ms: 0 }),
        }
    }

    pub(super) async fn record(&self, event: HouseEvent) -> Result<(), CallError> {
        let (reply, answer) = oneshot::channel();
        let message = PermissionMsg::Record { event: Box::new(event), reply: Some(reply) };
        self.inner.seats.permission().0.cast(message);
        match self.within(limits::CALL_MS, answer).await? {
            Ok(Ok(())) => Ok(()),
            Ok(Err(why)) => Err(CallError::Rules { why }),
            Err(_gone) => Err(CallError::TimedOut { waited_ms: 0 }),
        }
    }

    pub(super) async fn within<T>(
        &self,
        waited_ms: u64,
        wait: impl Future<Output = T> + Send,
    ) -> Result<T, CallError> {
        tokio::select! {
            biased;
            answer = wait => Ok(answer),
            () = self.inner.clock.after(waited_ms) => Err(CallError::TimedOut { waited_ms }),
        }
    }

    /// Asks a session until it answers. A reply port that closes means that the incarnation which
    /// held the question has gone: the next one is asked.
    pub(super) async fn ask<T: Send>(
        &self,
        session: SessionId,
        patience_ms: u64,
        make: impl Fn(Reply<T>) -> Request + Send + Sync,
    ) -> Result<T, CallError> {
        let asked = async {
            loop {
                let (reply, answer) = oneshot::channel();
                self.inner.seats.board().request(session, make(reply));
                match answer.await {
                    Ok(answer) => return answer.map_err(CallError::from),
                    Err(_gone) => {
                        if let Some(why) = self.inner.ended.borrow().clone() {
                            return Err(CallError::Ended { why });
                        }
                        self.inner.clock.after(limits::ASK_AGAIN_MS).await;
                    }
                }
            }
        };
        self.within(patience_ms, asked).await?
    }
}
