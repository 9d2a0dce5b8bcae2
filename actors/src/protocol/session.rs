//! What a session is told. Requests come from outside and are answered; mail comes from other
//! sessions and is answered by mail; reports come from the session's own tasks.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use ractor::ActorRef;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, TryAcquireError, oneshot};

use crate::{
    domain::{
        catalog::Status,
        conversation::Reply,
        event::{Creation, ForkPoint, ModelFailure, UserInput},
        ids::{
            Assignment, CallNo, InputKey, ModelCallNo, Position, PrincipalId, SessionId, TenantId,
            ToolCallNo, TurnId,
        },
        outcome::{ChildReport, TurnOutcome},
        permission::ScriptSeen,
        tool::ToolOutcome,
    },
    limits,
    log::{Trouble, Writer},
    policy::turn::{Input, Purpose, Rejected, State},
    protocol::{lease::Lease, ledger::BudgetDecision},
};

/// One message in a session's mailbox.
#[derive(Debug)]
pub(crate) enum SessionMsg {
    /// Somebody outside wants something.
    Request(Box<Counted<Request>>),
    /// Another session says something.
    Mail(Box<Counted<Mail>>),
    /// Its log was read.
    Loaded(Box<LoadResult>),
    /// Its frame was written, or not.
    Appended(Result<Position, Trouble>),
    /// Its model answered, or not.
    ModelEnded { call: ModelCallNo, result: Box<Result<Reply, ModelFailure>> },
    /// Its model's task panicked.
    ModelPanicked { message: String },
    /// Its tool closed.
    ToolEnded { call: ToolCallNo, outcome: Box<ToolOutcome> },
    /// The ledger answered.
    BudgetDecided { answer: BudgetDecision, asked: Box<Purpose> },
    /// A pool gave a slot, or refused; `seen` are the files that the call would run, once somebody
    /// has looked.
    Slot { call: ToolCallNo, slot: Result<Lease, String>, seen: Option<Vec<ScriptSeen>> },
    /// A point in time has come.
    Timer(Timer),
    /// The supervisor passes by: a session with nothing to do may leave.
    Tick,
}

/// Which point in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Timer {
    /// The machine's own.
    Due,
    /// The ledger or a pool may have lost a question.
    AskAgain,
    /// Children may have lost theirs, or their answers.
    Sweep,
    /// A task has not ended by its deadline, or when it was aborted.
    Overdue(CallNo),
    /// No slot has come free for a call of the host.
    NoSlot(ToolCallNo),
}

/// What was read.
pub(crate) type LoadResult = Result<Loaded, LoadFailed>;

/// A session's log, claimed and folded.
#[derive(Debug)]
pub(crate) struct Loaded {
    pub(crate) state: Box<State>,
    pub(crate) writer: Writer,
}

/// Why a session's log was not read.
#[derive(Clone, Debug)]
pub(crate) enum LoadFailed {
    /// There is none.
    Missing,
    /// It was to go on from this one, which was deleted meanwhile.
    BaseGone(SessionId),
    /// It must not be read as it is.
    Damaged(String),
    /// The store cannot be read for now.
    Unavailable(String),
    /// The store cannot be trusted any more.
    Poisoned(String),
}

/// A message that was let in through a door; the place is given back when it has been handled.
#[derive(Debug)]
pub(crate) struct Counted<T> {
    pub(crate) body: T,
    pub(crate) permit: OwnedSemaphorePermit,
}

/// What somebody outside wants.
#[derive(Debug)]
pub(crate) enum Request {
    /// Exist.
    Open {
        creation: Box<Creation>,
        fork: Option<ForkPoint>,
        tenant: TenantId,
        principal: PrincipalId,
        reply: Answer<()>,
    },
    /// Take an input; answered when it is in the log.
    Submit { key: InputKey, input: Box<UserInput>, principal: PrincipalId, reply: Answer<()> },
    /// Say how the input's turn ended, once it has.
    Outcome { key: InputKey, reply: Answer<(TurnId, TurnOutcome)> },
    /// Change something; answered when it is in the log.
    Order { input: Box<Input>, principal: PrincipalId, reply: Answer<()> },
    /// Say how the host's tool call closed, once it has.
    CallOutcome { key: InputKey, reply: Answer<ToolOutcome> },
    /// Keep a checkpoint at the last frame.
    Checkpoint {
        name: crate::domain::ids::CheckpointName,
        value: String,
        principal: PrincipalId,
        reply: Answer<Position>,
    },
}

/// Where an answer goes.
pub(crate) type Answer<T> = oneshot::Sender<Result<T, Rejected>>;

/// What one session says to another. Everything here may arrive twice or never: the receiver
/// knows what it has handled, and the sender asks again while it waits.
#[derive(Clone, Debug)]
pub(crate) enum Mail {
    /// From a parent: exist, and do this. Without a creation where it is known to exist.
    Assign {
        creation: Option<Arc<Creation>>,
        parent: SessionId,
        assignment: Assignment,
        input: Box<UserInput>,
        tenant: TenantId,
        principal: PrincipalId,
    },
    /// From a parent: that assignment is to end, whether it has arrived or not.
    Cancel {
        creation: Option<Arc<Creation>>,
        /// The tree in which what it left behind is looked for, should it be off the stage.
        root: SessionId,
        parent: SessionId,
        assignment: Assignment,
        reason: String,
        tenant: TenantId,
        principal: PrincipalId,
    },
    /// From a child: that assignment has ended.
    Report { child: SessionId, assignment: Assignment, report: Box<ChildReport> },
}

impl Mail {
    /// Whether it may bring its receiver into being.
    pub(crate) const fn creates(&self) -> bool {
        matches!(self, Self::Assign { .. } | Self::Cancel { .. })
    }
}

/// The two doors of a session: so many requests and so much mail may be under way, and no more.
/// A session that leaves closes both first, so nothing is let in that nobody will read. A sign on them says
/// what goes on inside, for who counts and need not ask.
#[derive(Clone, Debug)]
pub(crate) struct Doors {
    requests: Arc<Semaphore>,
    mail: Arc<Semaphore>,
    /// A place in `Status::ALL`, or behind its end where there is no frame yet.
    sign: Arc<AtomicUsize>,
}

/// Why a door did not open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shut {
    /// Too many are inside.
    Full,
    /// The session is leaving.
    Closed,
}

impl Doors {
    pub(crate) fn new() -> Self {
        Self {
            requests: Arc::new(Semaphore::new(limits::INBOX as usize)),
            mail: Arc::new(Semaphore::new(limits::MAIL as usize)),
            sign: Arc::new(AtomicUsize::new(usize::MAX)),
        }
    }

    /// Says what it does after its last frame.
    pub(crate) fn say(&self, doing: Status) {
        let place = Status::ALL.iter().position(|status| *status == doing);
        self.sign.store(place.unwrap_or(usize::MAX), Ordering::Relaxed);
    }

    /// What it does, once it has a frame.
    pub(crate) fn said(&self) -> Option<Status> {
        Status::ALL.get(self.sign.load(Ordering::Relaxed)).copied()
    }

    pub(crate) fn request(&self) -> Result<OwnedSemaphorePermit, Shut> {
        enter(&self.requests)
    }

    pub(crate) fn mail(&self) -> Result<OwnedSemaphorePermit, Shut> {
        enter(&self.mail)
    }

    /// Closes both doors if nobody is inside; `false` when somebody is.
    pub(crate) fn close_if_empty(&self) -> bool {
        let Ok(_requests) = Arc::clone(&self.requests).try_acquire_many_owned(limits::INBOX) else {
            return false;
        };
        let Ok(_mail) = Arc::clone(&self.mail).try_acquire_many_owned(limits::MAIL) else {
            return false;
        };
        self.requests.close();
        self.mail.close();
        true
    }

    /// How many messages are inside: the mailbox depth.
    pub(crate) fn depth(&self) -> usize {
        let requests = limits::INBOX as usize - self.requests.available_permits();
        requests + (limits::MAIL as usize).saturating_sub(self.mail.available_permits())
    }
}

fn enter(door: &Arc<Semaphore>) -> Result<OwnedSemaphorePermit, Shut> {
    Arc::clone(door).try_acquire_owned().map_err(|error| match error {
        TryAcquireError::Closed => Shut::Closed,
        TryAcquireError::NoPermits => Shut::Full,
    })
}

/// An awake session, as the directory knows it.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) actor: ActorRef<SessionMsg>,
    pub(crate) doors: Doors,
}
