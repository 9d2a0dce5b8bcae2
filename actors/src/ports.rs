//! Layer 2, one page of traits: what the runtime needs of the world. Each has laws in
//! `testing::laws` that every implementation, in memory or real, must pass.

use std::{any::Any, collections::BTreeMap, fmt, sync::Arc};

use futures_util::{future::BoxFuture, stream::BoxStream};
use tokio::sync::watch;

pub use crate::domain::model::{ModelEvent, ModelRequest};
use crate::domain::{
    catalog::{
        Account, ApprovalFilter, ApprovalRow, Branch, Census, Change, CheckpointRow, Erasure,
        Hindrance, Open, SessionFilter, SessionRow, Totals, TotalsOf,
    },
    conversation::BlobRef,
    event::ModelFailure,
    frame::{Chain, Envelope, LogId, StoredFrame},
    ids::{
        CallId, CredentialName, HookName, InputKey, ModelName, Position, PrincipalId, ProviderName,
        SessionId, TenantId, Timestamp, Token, ToolName,
    },
    job::{Delivery, JobFilter, JobId, JobRow},
    permission::{ScriptSeen, Trees},
    tool::{Args, Overlay, ToolOutcome, ToolSpec},
};

/// A log's state at the moment it was claimed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claim {
    /// The new owner's token: one more than any before.
    pub token: Token,
    /// The last frame; the fold must reach it.
    pub tail: Position,
    /// The chain up to there.
    pub chain: Chain,
}

/// A frame to be written, with what it does to the catalog.
#[derive(Clone, Debug)]
pub struct Append {
    /// The envelope; the frame is expected to follow position `envelope.position - 1`.
    pub envelope: Envelope,
    /// The records, encoded.
    pub body: String,
    /// What the frame does to the read model.
    pub changes: Vec<Change>,
    /// Whether it is the claim of its log as well: then that log is created with it, under the first
    /// token, and it is fenced where there is such a log already, whoever owns it.
    pub begins: bool,
}

/// Trouble with the store as a whole.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JournalError {
    /// It cannot be written or read for now; the same request may succeed later.
    #[error("the journal is unavailable: {why}")]
    Unavailable {
        /// Why.
        why: String,
    },
    /// A sync or a commit failed: what is durable is no longer known, so nothing more is
    /// acknowledged until the store has been opened anew.
    #[error("the journal is poisoned: {why}")]
    Poisoned {
        /// Why.
        why: String,
    },
    /// This log is damaged; others are not.
    #[error("{log} is damaged: {why}")]
    Damaged {
        /// Which.
        log: LogId,
        /// What is wrong.
        why: String,
    },
}

/// Why a frame was not appended.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    /// Somebody else owns the log now, or it has grown.
    #[error("append at {expected}: fenced, the log is at {tail} under token {token}")]
    Fenced {
        /// Where the frame was to go.
        expected: Position,
        /// Where the log ends.
        tail: Position,
        /// Who owns it.
        token: Token,
    },
    /// The store.
    #[error(transparent)]
    Journal(#[from] JournalError),
}

/// The logs. An append is durable when it returns; a frame is one atom; an unknown outcome is
/// resolved inside the adapter, never handed out.
pub trait Journal: Send + Sync + 'static {
    /// Takes ownership: durably raises the token, whatever the reason for waking. A log that does
    /// not exist is created empty.
    fn claim(&self, log: LogId) -> BoxFuture<'static, Result<Claim, JournalError>>;

    /// Writes one frame if its token is the owner's and its position is the next, or if it begins a
    /// log that does not exist. Two appends of one log are never in flight together.
    fn append(&self, append: Append) -> BoxFuture<'static, Result<Position, AppendError>>;

    /// Up to `rows` frames after `after`, in order, as stored, and no more of them than fit into
    /// `limits::READ_BYTES`; but never none because the next is too large. So a short page is not
    /// the last one, only an empty one is. The reader verifies them.
    fn read(
        &self,
        log: LogId,
        after: Position,
        rows: usize,
    ) -> BoxFuture<'static, Result<Vec<StoredFrame>, JournalError>>;

    /// The last committed position and the owner's token; both 0 for a log that does not exist.
    fn tail(&self, log: LogId) -> BoxFuture<'static, Result<(Position, Token), JournalError>>;
}

/// The read model over all sessions. It follows the journal; no decision reads it before it has
/// caught up, and its failure stops no append.
pub trait Catalog: Send + Sync + 'static {
    /// Lines of sessions, in the order of their ids; the newest first where that is wished.
    fn sessions(
        &self,
        filter: SessionFilter,
    ) -> BoxFuture<'static, Result<Vec<SessionRow>, JournalError>>;

    /// One session's line.
    fn session(
        &self,
        session: SessionId,
    ) -> BoxFuture<'static, Result<Option<SessionRow>, JournalError>>;

    /// Open approvals, oldest expiry first.
    fn approvals(
        &self,
        filter: ApprovalFilter,
    ) -> BoxFuture<'static, Result<Vec<ApprovalRow>, JournalError>>;

    /// How much is open.
    fn open(&self, tenant: Option<TenantId>) -> BoxFuture<'static, Result<Open, JournalError>>;

    /// Sums of what was booked.
    fn totals(&self, of: TotalsOf) -> BoxFuture<'static, Result<Totals, JournalError>>;

    /// Sessions of these trees, in the order of their ids, each with what it spent; at most `rows`.
    fn accounts(
        &self,
        roots: Vec<SessionId>,
        rows: usize,
    ) -> BoxFuture<'static, Result<Vec<Account>, JournalError>>;

    /// What each of these came to with everybody below it, in their order; one that is not there came
    /// to nothing.
    fn branches(&self, of: Vec<SessionId>)
    -> BoxFuture<'static, Result<Vec<Branch>, JournalError>>;

    /// How many sessions of each agent are in which state.
    fn census(
        &self,
        tenant: Option<TenantId>,
    ) -> BoxFuture<'static, Result<Vec<Census>, JournalError>>;

    /// How many sessions are in the trees that a filter finds by their roots, whatever its `rows` and
    /// `after` say.
    fn in_trees(&self, filter: SessionFilter) -> BoxFuture<'static, Result<u64, JournalError>>;

    /// The frame in which a session accepted an input.
    fn input(
        &self,
        session: SessionId,
        key: InputKey,
    ) -> BoxFuture<'static, Result<Option<Position>, JournalError>>;

    /// A session's checkpoints, oldest first.
    fn checkpoints(
        &self,
        session: SessionId,
    ) -> BoxFuture<'static, Result<Vec<CheckpointRow>, JournalError>>;

    /// Lines of jobs, in the order of their ids.
    fn jobs(&self, filter: JobFilter) -> BoxFuture<'static, Result<Vec<JobRow>, JournalError>>;

    /// One job's line.
    fn job(&self, job: JobId) -> BoxFuture<'static, Result<Option<JobRow>, JournalError>>;

    /// Jobs whose line has not followed their log and must be replaced.
    fn stale_jobs(&self) -> BoxFuture<'static, Result<Vec<JobId>, JournalError>>;

    /// Replaces a job's line by the one after its frame `upto`. Fenced when the log has grown
    /// meanwhile: read it again.
    fn replace_job(
        &self,
        job: JobId,
        upto: Position,
        row: Box<JobRow>,
    ) -> BoxFuture<'static, Result<Position, AppendError>>;

    /// Sessions whose part has not followed their log and must be replaced.
    fn stale(&self) -> BoxFuture<'static, Result<Vec<SessionId>, JournalError>>;

    /// Replaces what is said about a session by what all its frames up to `upto` do to it. Fenced
    /// when the log has grown meanwhile: read it again.
    fn replace(
        &self,
        session: SessionId,
        upto: Position,
        changes: Vec<Change>,
    ) -> BoxFuture<'static, Result<Position, AppendError>>;

    /// What keeps a tree from being deleted.
    fn hinders(
        &self,
        erasure: Erasure,
    ) -> BoxFuture<'static, Result<Option<Hindrance>, JournalError>>;

    /// Deletes a tree, all of it or nothing: its logs, what is said here about it, and the blobs that no
    /// other log names. Nothing of it can be read any more, in the file either. What it spent stays in the
    /// totals that are not of its sessions. Durable when it returns with how many sessions it had, and
    /// none of a tree that is not there. What hinders it is asked behind every frame written before.
    fn erase(
        &self,
        erasure: Erasure,
    ) -> BoxFuture<'static, Result<Result<u64, Hindrance>, JournalError>>;
}

/// Large values by the hash of their content.
pub trait Blobs: Send + Sync + 'static {
    /// Keeps the bytes; durable when it returns. The same bytes twice are kept once.
    fn put(&self, bytes: Vec<u8>) -> BoxFuture<'static, Result<BlobRef, JournalError>>;

    /// The same of bytes that are not in memory, and need not be: piece by piece.
    fn put_pieces(
        &self,
        pieces: Arc<dyn Pieces>,
    ) -> BoxFuture<'static, Result<BlobRef, JournalError>>;

    /// The bytes, checked against their hash; `None` when they are not kept.
    fn get(&self, blob: BlobRef) -> BoxFuture<'static, Result<Option<Vec<u8>>, JournalError>>;
}

/// Bytes that lie somewhere else than in memory. They do not change while they are read, and may be
/// read again.
pub trait Pieces: Send + Sync + 'static {
    /// How many there are.
    fn bytes(&self) -> u64;

    /// Some of them from `at` on, into a place for them; how many. None only behind the last one.
    /// It may block.
    ///
    /// # Errors
    /// Why they cannot be read.
    fn read(&self, at: u64, into: &mut [u8]) -> Result<usize, String>;
}

/// Time, randomness and fresh ids: everything a pure decision must not make up.
pub trait Clock: Send + Sync + 'static {
    /// Now, by the wall: what logs say and people were promised. It may be set, forwards and back.
    fn now(&self) -> Timestamp;

    /// Returns once `now()` has reached `at`. The wall is looked at again at least every
    /// `limits::WALL_LOOK_MS`, so a jump forwards is seen within that; one back lengthens the wait.
    fn sleep_until(&self, at: Timestamp) -> BoxFuture<'static, ()>;

    /// How long this clock has run, counted from a beginning of its own. It neither jumps nor goes
    /// back. For what is kept in memory alone: it is never written, and never compared with `now()`.
    fn running(&self) -> Timestamp;

    /// Returns when this clock has run for so long, wherever the wall's hands were put meanwhile.
    fn after(&self, ms: u64) -> BoxFuture<'static, ()>;

    /// A random number.
    fn random(&self) -> u64;

    /// A fresh session id.
    fn new_session(&self) -> SessionId;
}

/// When what recurs is due. It reads no clock and gives the same answer to the same question.
pub trait Calendar: Send + Sync + 'static {
    /// The first moment after `after` that a cron expression means in a time zone.
    ///
    /// # Errors
    /// When one of them cannot be read, or there is no such moment.
    fn next(&self, expression: &str, zone: &str, after: Timestamp) -> Result<Timestamp, String>;
}

/// Why somebody was not told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotTold {
    /// Why.
    pub why: String,
    /// Whether it may hear another time.
    pub again: bool,
    /// How long it asked to be left alone.
    pub after_ms: Option<u64>,
}

/// Who is told of the ends of jobs, outside. It may hear of one more than once, under one id.
pub trait JobHook: Send + Sync + 'static {
    /// Tells it.
    fn tell(&self, delivery: Delivery) -> BoxFuture<'static, Result<(), NotTold>>;
}

/// Webhooks by name.
pub type HookTable = BTreeMap<HookName, Arc<dyn JobHook>>;

/// Somewhere models are served. A stream ends with exactly one `Finished` or one error; a stream
/// that just ends is a failure.
pub trait ModelProvider: Send + Sync + 'static {
    /// Its configured name.
    fn name(&self) -> ProviderName;

    /// Whose rate limits its calls share.
    fn credential(&self) -> CredentialName;

    /// Calls a model.
    fn call(&self, request: ModelRequest) -> BoxStream<'static, Result<ModelEvent, ModelFailure>>;

    /// Models it serves whose names begin with `prefix`, sorted.
    fn list_models(
        &self,
        prefix: String,
    ) -> BoxFuture<'static, Result<Vec<ModelName>, ModelFailure>>;

    /// Whether the credential works, before any work starts.
    fn verify_auth(&self) -> BoxFuture<'static, Result<(), ModelFailure>>;
}

/// Whether a started call of a `verifiable` tool happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Probe {
    /// It did; this is its result.
    Happened(ToolOutcome),
    /// It certainly did not: it may be run.
    DidNot,
    /// The world does not say.
    Unknown,
}

/// A tool. It must tolerate being dropped at any await; what it cannot undo belongs to the effect
/// class that its spec states.
pub trait Tool: Send + Sync + 'static {
    /// What it is.
    fn spec(&self) -> ToolSpec;

    /// Whether arguments fit its schema, before anybody is asked and before anything starts. What
    /// is wrong is said so that a model can mend it. Must be quick and touch nothing.
    ///
    /// # Errors
    /// What is wrong, and what was expected.
    fn check(&self, _args: &Args) -> Result<(), String> {
        Ok(())
    }

    /// Looks at files that a call would run, in the order they are named in: a person is asked about
    /// them as they are, and they are looked at again before the call starts.
    fn look(&self, paths: Vec<String>) -> BoxFuture<'static, Vec<ScriptSeen>> {
        let unseen = |path| ScriptSeen { path, sha256: None };
        Box::pin(std::future::ready(paths.into_iter().map(unseen).collect()))
    }

    /// Runs it once.
    fn run(&self, ctx: ToolCtx, args: Args) -> BoxFuture<'static, ToolOutcome>;

    /// Asks the world whether a started call happened; only for `verifiable` tools.
    fn probe(&self, _ctx: ToolCtx, _args: Args) -> BoxFuture<'static, Probe> {
        Box::pin(std::future::ready(Probe::Unknown))
    }
}

/// What a running tool is given.
#[derive(Clone, Debug)]
pub struct ToolCtx {
    /// The session and the call.
    pub call: CallId,
    /// The key under which the effect is to be made: the same for every run of this call.
    pub idempotency_key: String,
    /// Its span, as W3C Trace Context writes it: whoever it starts or asks may be given that, so that
    /// what happens there is found below this call. It names the tree of sessions, so it is for one's
    /// own house.
    pub traceparent: String,
    /// Whose data.
    pub tenant: TenantId,
    /// On whose behalf.
    pub principal: PrincipalId,
    /// Working directory, where the call has one.
    pub cwd: Option<String>,
    /// When the call is over, done or not.
    pub deadline: Timestamp,
    /// Turns true when somebody wants it stopped.
    pub cancel: Cancel,
    /// Where it reports how far it is.
    pub progress: Progress,
    /// What a tool that goes through a tree passes by.
    pub sight: Sight,
    /// The session's configuration of this tool.
    pub overlay: Overlay,
    /// What the host offers.
    pub services: Services,
}

/// A wish to stop, seen by a running tool.
#[derive(Clone, Debug)]
pub struct Cancel(watch::Receiver<bool>);

impl Cancel {
    /// A sender and its receiver.
    #[must_use]
    pub fn channel() -> (watch::Sender<bool>, Self) {
        let (sender, receiver) = watch::channel(false);
        (sender, Self(receiver))
    }

    /// Whether somebody wants it stopped.
    #[must_use]
    pub fn is_requested(&self) -> bool {
        *self.0.borrow()
    }

    /// Returns when somebody wants it stopped.
    pub async fn requested(&mut self) {
        while !*self.0.borrow_and_update() {
            if self.0.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }
}

/// Where a running tool says how far it is. Ephemeral: it goes to subscribers, not to the log.
#[derive(Clone)]
pub struct Progress(Arc<dyn Fn(String) + Send + Sync>);

impl Progress {
    /// Reports through `report`.
    #[must_use]
    pub fn new(report: Arc<dyn Fn(String) + Send + Sync>) -> Self {
        Self(report)
    }

    /// Says how far the tool is.
    pub fn report(&self, label: impl Into<String>) {
        (self.0)(label.into());
    }
}

impl fmt::Debug for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Progress")
    }
}

/// What rules keep from a tool below the path that it was permitted: one that goes through a tree
/// asks about each path, for permission was asked about the first alone. One that starts processes
/// hides and keeps from them what it says, for nobody asks about what those open.
#[derive(Clone)]
pub struct Sight {
    hides: Arc<dyn Fn(&str) -> bool + Send + Sync>,
    keeps: Arc<dyn Fn(&str) -> bool + Send + Sync>,
    trees: Option<Trees>,
}

impl Sight {
    /// Passes by what `hides` says.
    #[must_use]
    pub fn new(hides: Arc<dyn Fn(&str) -> bool + Send + Sync>) -> Self {
        Self { hides, ..Self::default() }
    }

    /// And leaves what `keeps` says as it is.
    #[must_use]
    pub fn keeping(self, keeps: Arc<dyn Fn(&str) -> bool + Send + Sync>) -> Self {
        Self { keeps, ..self }
    }

    /// Within these folders.
    #[must_use]
    pub fn within(self, trees: Option<Trees>) -> Self {
        Self { trees, ..self }
    }

    /// Whether an absolute path must be passed by: neither shown nor entered.
    #[must_use]
    pub fn hides(&self, path: &str) -> bool {
        (self.hides)(path)
    }

    /// Whether a process must not change what lies at an absolute path.
    #[must_use]
    pub fn keeps(&self, path: &str) -> bool {
        (self.keeps)(path)
    }

    /// The folders that processes are held to, where fences say which.
    #[must_use]
    pub const fn trees(&self) -> Option<&Trees> {
        self.trees.as_ref()
    }
}

impl Default for Sight {
    /// Nothing is kept.
    fn default() -> Self {
        Self { hides: Arc::new(|_path| false), keeps: Arc::new(|_path| false), trees: None }
    }
}

impl fmt::Debug for Sight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sight")
    }
}

/// Values the host offers to its tools, by name and type.
///
/// ```
/// use greenroom_actors::ports::{ServiceError, Services};
///
/// let services = Services::default().with("answer", 42_u32)?;
/// assert_eq!(services.get::<u32>("answer").as_deref(), Some(&42));
/// assert!(services.get::<String>("answer").is_none(), "of another type");
/// let reserved = services.with("services", ()).unwrap_err();
/// assert!(matches!(reserved, ServiceError::Reserved { .. }));
/// # Ok::<(), ServiceError>(())
/// ```
#[derive(Clone, Default)]
pub struct Services(Arc<BTreeMap<String, Arc<dyn Any + Send + Sync>>>);

/// Names that mean something else in a tool's context.
pub const RESERVED_SERVICES: [&str; 3] = ["tool_use_id", "services", "references"];

/// A service that cannot be offered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ServiceError {
    /// The name is taken by the runtime.
    #[error(
        "offer service {name:?}: the name is reserved; choose any other than {RESERVED_SERVICES:?}"
    )]
    Reserved {
        /// The name.
        name: String,
    },
    /// Two services of one name.
    #[error("offer service {name:?}: it is offered already")]
    Twice {
        /// The name.
        name: String,
    },
}

impl Services {
    /// These and one more.
    ///
    /// # Errors
    /// When the name is reserved or taken.
    pub fn with<T: Any + Send + Sync>(self, name: &str, service: T) -> Result<Self, ServiceError> {
        if RESERVED_SERVICES.contains(&name) {
            return Err(ServiceError::Reserved { name: name.to_owned() });
        }
        if self.0.contains_key(name) {
            return Err(ServiceError::Twice { name: name.to_owned() });
        }
        let mut all = BTreeMap::clone(&self.0);
        all.insert(name.to_owned(), Arc::new(service));
        Ok(Self(Arc::new(all)))
    }

    /// The service of that name, if it is of that type.
    #[must_use]
    pub fn get<T: Any + Send + Sync>(&self, name: &str) -> Option<Arc<T>> {
        Arc::clone(self.0.get(name)?).downcast().ok()
    }
}

impl fmt::Debug for Services {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.keys()).finish()
    }
}

/// Tools by name.
pub type ToolTable = BTreeMap<ToolName, Arc<dyn Tool>>;
/// Providers by name.
pub type ProviderTable = BTreeMap<ProviderName, Arc<dyn ModelProvider>>;
