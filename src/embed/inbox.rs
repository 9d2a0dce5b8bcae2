//! Questions to people, one after another: those that are open, then those that come, from any
//! depth. The inbox decides nothing and keeps nothing: what is open stands in the store, and a
//! question that nobody takes from here waits there until it expires.

use std::collections::{BTreeSet, VecDeque};

use futures_util::FutureExt as _;
use greenroom_actors::{
    Runtime as Handle,
    domain::{
        catalog::ApprovalRow,
        event::Event,
        ids::{ApprovalId, PrincipalId, SessionId, TenantId},
        permission::{Answer, Subject},
        tool::Args,
    },
    runtime::{CallError, Heard, Listener, Note},
};

/// Whose questions.
#[derive(Clone, Debug)]
enum Of {
    All,
    Tenant(TenantId),
    Tree(SessionId),
}

/// Questions as they come. Dropping it answers none of them.
///
/// ```
/// use greenroom::{AgentSpec, Answer, Runtime, TypedTool};
///
/// #[derive(schemars::JsonSchema, serde::Deserialize)]
/// struct Pay {
///     cents: u64,
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("greenroom.db");
/// let script = "agent *\n  call pay {\"cents\": 900}\n then\n  say {last}";
/// let pay = TypedTool::new("pay", "Pays.", |_ctx, args: Pay| async move {
///     Ok(format!("paid {}", args.cents))
/// });
/// let runtime = Runtime::builder().store(path).script(script).tool(pay).start().await?;
/// let session = runtime.spawn(&AgentSpec::new("clerk", "scripted").tool("pay")).await?;
/// let turn = session.send("pay the bill").await?;
///
/// let question = session.inbox().next().await?;
/// assert_eq!(question.what(), r#"pay {"cents":900}"#);
/// question.edit(serde_json::json!({"cents": 90})).await?;
/// assert_eq!(turn.outcome().await?.text(), "paid 90");
/// # runtime.shutdown().await;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Inbox {
    runtime: Handle,
    of: Of,
    listener: Listener,
    /// Whether the store is to be read: at first, and whenever something was missed.
    stale: bool,
    waiting: VecDeque<ApprovalRow>,
    /// What was handed out and is open still.
    told: BTreeSet<ApprovalId>,
}

impl Inbox {
    pub(super) fn of_all(runtime: Handle) -> Self {
        Self::new(runtime, Of::All)
    }

    pub(super) fn of_tenant(runtime: Handle, tenant: TenantId) -> Self {
        Self::new(runtime, Of::Tenant(tenant))
    }

    pub(super) fn of_tree(runtime: Handle, session: SessionId) -> Self {
        Self::new(runtime, Of::Tree(session))
    }

    fn new(runtime: Handle, of: Of) -> Self {
        // It listens before it reads, so that nothing falls between.
        let listener = runtime.subscribe_to_frames();
        let (waiting, told) = (VecDeque::new(), BTreeSet::new());
        Self { runtime, of, listener, stale: true, waiting, told }
    }

    /// The next question; waits for one.
    ///
    /// # Errors
    /// When the store cannot be read or the runtime has ended.
    pub async fn next(&mut self) -> Result<Approval, CallError> {
        // A store that is closed with its runtime is no trouble of its own.
        match self.find().await {
            Err(error) => match self.runtime.ended().now_or_never() {
                Some(why) => Err(CallError::Ended { why }),
                None => Err(error),
            },
            found => found,
        }
    }

    async fn find(&mut self) -> Result<Approval, CallError> {
        loop {
            if self.stale {
                self.read().await?;
                self.stale = false;
            }
            while let Some(row) = self.waiting.front() {
                // Looked at before it is taken: whoever drops this future loses no question.
                let wanted = !self.told.contains(&row.id) && self.wants(row).await?;
                if let Some(row) = self.waiting.pop_front().filter(|_| wanted) {
                    self.told.insert(row.id);
                    return Ok(Approval { runtime: self.runtime.clone(), row });
                }
            }
            let heard = tokio::select! {
                biased;
                heard = self.listener.next() => heard,
                _why = self.runtime.ended() => None,
            };
            match heard {
                Some(Heard::Note(note)) => self.hear(&note),
                Some(Heard::Lagged { .. }) => self.stale = true,
                None => return Err(CallError::Ended { why: self.runtime.ended().await }),
            }
        }
    }

    fn hear(&mut self, note: &Note) {
        let Note::Frame(frame) = note else { return };
        for event in frame.events.iter() {
            match event {
                Event::ApprovalRequested { no, ask } => self.waiting.push_back(ApprovalRow {
                    id: ApprovalId { session: frame.session, no: *no },
                    tenant: frame.tenant.clone(),
                    agent: frame.agent.clone(),
                    asked_at: frame.at,
                    ask: ask.as_ref().clone(),
                }),
                Event::ApprovalDecided { no, .. } | Event::ApprovalClosed { no, .. } => {
                    let id = ApprovalId { session: frame.session, no: *no };
                    self.told.remove(&id);
                    self.waiting.retain(|row| row.id != id);
                }
                _ => {}
            }
        }
    }

    async fn read(&mut self) -> Result<(), CallError> {
        let tenant = if let Of::Tenant(tenant) = &self.of { Some(tenant.clone()) } else { None };
        self.waiting = self.runtime.approvals(tenant).await?.into();
        Ok(())
    }

    async fn wants(&self, row: &ApprovalRow) -> Result<bool, CallError> {
        let root = match &self.of {
            Of::All => return Ok(true),
            Of::Tenant(tenant) => return Ok(row.tenant == *tenant),
            Of::Tree(root) => *root,
        };
        // Upwards: a tree may be wide, it is never deep.
        let mut at = Some(row.id.session);
        while let Some(session) = at.filter(|session| *session != root) {
            at = self.runtime.reading().session(session).await?.and_then(|row| row.parent);
        }
        Ok(at.is_some())
    }
}

/// A question that waits for an answer. Any holder of its id may answer; the first answer counts.
#[derive(Clone, Debug)]
pub struct Approval {
    runtime: Handle,
    row: ApprovalRow,
}

impl Approval {
    pub(super) const fn new(runtime: Handle, row: ApprovalRow) -> Self {
        Self { runtime, row }
    }

    /// Its id: a web page can carry it, and `Runtime::decide` takes it.
    #[must_use]
    pub const fn id(&self) -> ApprovalId {
        self.row.id
    }

    /// Everything about it: who asks, what exactly, why, until when.
    #[must_use]
    pub const fn row(&self) -> &ApprovalRow {
        &self.row
    }

    /// What is asked, in a line: a tool and its arguments, or the words of a question.
    #[must_use]
    pub fn what(&self) -> String {
        match &self.row.ask.subject {
            Subject::ToolCall { request, .. } => {
                format!("{} {}", request.tool, request.args.shown())
            }
            Subject::Plan { text } | Subject::Question { text } => text.clone(),
            Subject::Budget { budget } => format!("more budget: {budget:?}"),
        }
    }

    /// Answers it; when this returns the answer is in the log.
    ///
    /// # Errors
    /// When it is not open any more, has expired, or the session does not answer.
    pub async fn answer(&self, answer: Answer) -> Result<(), CallError> {
        self.runtime.decide(self.row.id, answer).await
    }

    /// Answers it in somebody's name.
    ///
    /// # Errors
    /// As [`Approval::answer`].
    pub async fn answer_as(
        &self,
        who: impl Into<PrincipalId>,
        answer: Answer,
    ) -> Result<(), CallError> {
        self.runtime.on_behalf_of(who.into()).decide(self.row.id, answer).await
    }

    /// Yes, this once.
    ///
    /// # Errors
    /// As [`Approval::answer`].
    pub async fn approve(&self) -> Result<(), CallError> {
        self.answer(Answer::Once).await
    }

    /// Yes, with these arguments instead.
    ///
    /// # Errors
    /// As [`Approval::answer`], and when they do not fit the tool's schema.
    pub async fn edit(&self, args: serde_json::Value) -> Result<(), CallError> {
        self.answer(Answer::Edit { args: Args(args.to_string()) }).await
    }

    /// No.
    ///
    /// # Errors
    /// As [`Approval::answer`].
    pub async fn reject(&self) -> Result<(), CallError> {
        self.answer(Answer::Reject).await
    }

    /// Not like this: the model reads why and may try again.
    ///
    /// # Errors
    /// As [`Approval::answer`].
    pub async fn revise(&self, feedback: impl Into<String>) -> Result<(), CallError> {
        self.answer(Answer::Revise { feedback: feedback.into() }).await
    }
}
