//! One session, as a program holds it: everything that is said to it, asked of it or done with it.

use greenroom_actors::{
    Runtime as Handle,
    domain::{
        agent::ModelChoice,
        catalog::{CheckpointRow, SessionRow, Totals, TotalsOf},
        event::{CancelTarget, Event, Goal, TurnOverrides, UserInput},
        ids::{CheckpointName, InputKey, Position, SessionId, TurnId},
        tool::{Args, ToolOutcome, ToolSpec},
    },
    runtime::{CallError, Decoded, Listener, TreeNode},
};

use super::{Inbox, Input, TurnStream};

/// One session of a runtime; cheap to clone, and valid across restarts of the actor behind it.
///
/// ```
/// use greenroom::{AgentSpec, Mode, Runtime, TurnOverrides};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("greenroom.db");
/// let script = "agent *\n  say {turn}: {input}";
/// let runtime = Runtime::builder().store(path).script(script).start().await?;
/// let session = runtime.spawn(&AgentSpec::new("echo", "scripted")).await?;
/// session.send("one").await?.outcome().await?;
///
/// // A place to come back to, then a turn that may only look.
/// session.checkpoint("before", "the program's own value").await?;
/// let careful = TurnOverrides { mode: Some(Mode::Plan), ..TurnOverrides::default() };
/// let outcome = session.send_with("two", careful).await?.outcome().await?;
/// assert_eq!(outcome.text(), "2: two");
///
/// // Another way on from there: the fork has the first turn and not the second.
/// let before = session.checkpoints().await?[0].at;
/// let fork = session.fork_at(before).await?;
/// assert_eq!(fork.send("other").await?.outcome().await?.text(), "2: other");
///
/// assert_eq!(session.totals().await?.calls, 2);
/// assert!(session.log().await?.len() > 4);
/// # runtime.shutdown().await;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Session {
    runtime: Handle,
    id: SessionId,
}

impl Session {
    pub(super) const fn new(runtime: Handle, id: SessionId) -> Self {
        Self { runtime, id }
    }

    /// Its id: keep it to come back after a restart.
    #[must_use]
    pub const fn id(&self) -> SessionId {
        self.id
    }

    /// Says something, a text or an [`Input`] with images, and listens to the turn that answers it.
    /// When this returns, the input is in the log.
    ///
    /// # Errors
    /// When the session refuses it or does not answer.
    pub async fn send(&self, input: impl Into<Input>) -> Result<TurnStream, CallError> {
        self.send_under(self.runtime.fresh_key(), input).await
    }

    /// The same under a key of the caller's: see [`Session::send_as`].
    ///
    /// # Errors
    /// As [`Session::send`].
    pub async fn send_under(
        &self,
        key: impl Into<InputKey>,
        input: impl Into<Input>,
    ) -> Result<TurnStream, CallError> {
        let input = input.into().kept(&self.runtime).await?;
        self.send_as(key, input).await
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
        let mut input = UserInput::text(text);
        input.overrides = overrides;
        self.send_as(self.runtime.fresh_key(), input).await
    }

    /// Says something under a key of the caller's: the same key again is the same input, so it may
    /// be sent again after any doubt, also in another process. It is then the same turn that is
    /// listened to, from wherever it is.
    ///
    /// # Errors
    /// As [`Session::send`].
    pub async fn send_as(
        &self,
        key: impl Into<InputKey>,
        input: UserInput,
    ) -> Result<TurnStream, CallError> {
        let key = key.into();
        // Listening begins before the input is there, so that nothing of its turn is missed.
        let listener = self.runtime.follow(self.id);
        self.runtime.submit(self.id, key.clone(), input).await?;
        TurnStream::begin(self.runtime.clone(), self.id, key, listener).await
    }

    /// Stops what it is doing and everything below it.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn cancel(&self, reason: &str) -> Result<(), CallError> {
        self.runtime.cancel(self.id, CancelTarget::Everything, reason).await
    }

    /// Stops one turn and the agents it set to work; what is queued goes on.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn cancel_turn(&self, turn: TurnId, reason: &str) -> Result<(), CallError> {
        self.runtime.cancel(self.id, CancelTarget::Turn { turn }, reason).await
    }

    /// Questions of this session and of everybody below it: those that are open, then those that
    /// come.
    #[must_use]
    pub fn inbox(&self) -> Inbox {
        Inbox::of_tree(self.runtime.clone(), self.id)
    }

    /// The tools it pinned when it was opened: names, schemas, effect classes. No others are run
    /// for it.
    ///
    /// # Errors
    /// When its log cannot be read.
    pub async fn tools(&self) -> Result<Vec<ToolSpec>, CallError> {
        Ok(self.runtime.state(self.id).await?.tools.to_vec())
    }

    /// Runs one of its tools without a model: arguments are checked, rules decide, a person may be
    /// asked, the call is in the log. Its own failure is an outcome.
    ///
    /// # Errors
    /// When the session refuses it or time runs out.
    pub async fn run_tool(
        &self,
        tool: &str,
        args: serde_json::Value,
    ) -> Result<ToolOutcome, CallError> {
        let (key, call) = (self.runtime.fresh_key(), (tool.into(), Args(args.to_string())));
        self.runtime.invoke_tool(self.id, key, call, (None, None)).await
    }

    /// Hears what happens in it from now on. Who is too slow is told how much was missed.
    #[must_use]
    pub fn subscribe(&self) -> Listener {
        self.runtime.follow(self.id)
    }

    /// Its line: state, name, goal, restarts, what it waits for.
    ///
    /// # Errors
    /// When it does not exist or the store cannot be read.
    pub async fn row(&self) -> Result<SessionRow, CallError> {
        let row = self.runtime.reading().session(self.id).await?;
        row.ok_or(CallError::UnknownSession { session: self.id })
    }

    /// It and everybody below it, with what each spent and who is awake.
    ///
    /// # Errors
    /// When it does not exist or the store cannot be read.
    pub async fn tree(&self) -> Result<TreeNode, CallError> {
        self.runtime.tree(self.id).await
    }

    /// What it and everybody below it spent.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn totals(&self) -> Result<Totals, CallError> {
        self.runtime.totals(TotalsOf::Subtree(self.id)).await
    }

    /// Its log: every frame, verified.
    ///
    /// # Errors
    /// When it cannot be read or does not verify.
    pub async fn log(&self) -> Result<Vec<Decoded<Event>>, CallError> {
        self.log_after(Position::default()).await
    }

    /// Its log after a frame, for a reader that knows the rest.
    ///
    /// # Errors
    /// As [`Session::log`].
    pub async fn log_after(&self, after: Position) -> Result<Vec<Decoded<Event>>, CallError> {
        self.runtime.read(self.id, after).await
    }

    /// Keeps a pointer to its last frame under a name, with a value of the caller's beside it.
    /// Returns where the checkpoint itself stands.
    ///
    /// # Errors
    /// When it does not answer or the value is too large.
    pub async fn checkpoint(
        &self,
        name: impl Into<CheckpointName>,
        value: impl Into<String>,
    ) -> Result<Position, CallError> {
        self.runtime.checkpoint(self.id, name.into(), value.into()).await
    }

    /// Its checkpoints, oldest first.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn checkpoints(&self) -> Result<Vec<CheckpointRow>, CallError> {
        self.runtime.checkpoints(self.id).await
    }

    /// A session that goes on from this one's last frame.
    ///
    /// # Errors
    /// When the logs cannot be read or written.
    pub async fn fork(&self) -> Result<Self, CallError> {
        self.fork_at(self.row().await?.position).await
    }

    /// A session that goes on from one of this one's frames.
    ///
    /// # Errors
    /// When there is no such frame, or the logs cannot be read or written.
    pub async fn fork_at(&self, at: Position) -> Result<Self, CallError> {
        let id = self.runtime.fork(self.id, at).await?;
        Ok(Self::new(self.runtime.clone(), id))
    }

    /// A session that goes on from one of this one's frames with another model.
    ///
    /// # Errors
    /// As `fork_at`, and when nobody serves that model.
    pub async fn fork_on(&self, at: Position, model: ModelChoice) -> Result<Self, CallError> {
        let id = self.runtime.fork_on(self.id, at, model).await?;
        Ok(Self::new(self.runtime.clone(), id))
    }

    /// Sets its goal, or takes it away.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn set_goal(&self, goal: Option<Goal>) -> Result<(), CallError> {
        self.runtime.set_goal(self.id, goal).await
    }

    /// Gives it a name.
    ///
    /// # Errors
    /// When the name is unusable or it does not answer.
    pub async fn rename(&self, name: &str) -> Result<(), CallError> {
        self.runtime.rename(self.id, name).await
    }

    /// Puts it away, or takes it out again.
    ///
    /// # Errors
    /// When it has work in hand or does not answer.
    pub async fn archive(&self, archived: bool) -> Result<(), CallError> {
        self.runtime.archive(self.id, archived).await
    }

    /// Lets it back after a quarantine; with `skip`, the step that failed is closed, not repeated.
    ///
    /// # Errors
    /// When it is not quarantined or does not answer.
    pub async fn release(&self, skip: bool) -> Result<(), CallError> {
        self.runtime.release(self.id, skip).await
    }
}
