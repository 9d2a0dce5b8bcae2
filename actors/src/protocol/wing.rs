//! What a wing supervisor is told, and the switchboard through which everybody reaches sessions,
//! awake or asleep.

use std::sync::Arc;

use tokio::sync::oneshot;

use crate::{
    domain::{agent::RestartPolicy, ids::SessionId},
    policy::turn::Rejected,
    protocol::{
        address::Singleton,
        session::{Mail, Request},
    },
};

/// One message in a wing's mailbox.
#[derive(Debug)]
pub(crate) enum WingMsg {
    /// Wake a session and hand this over.
    Deliver { session: SessionId, delivery: Delivery },
    /// Wake a session that has something to do.
    Wake { session: SessionId },
    /// The backoff of a session is over.
    Restart { session: SessionId, generation: u64 },
    /// A session has recovered and is at work, or says that it is off the stage.
    Settled { session: SessionId, restart: RestartPolicy, performs: bool },
    /// An incarnation has done its first step that worked.
    Progressed { session: SessionId },
    /// A session left the stage by its own decision.
    Quarantined { session: SessionId, reason: String },
    /// Pass by all sessions.
    Tick,
    /// End all sessions of this wing.
    Shutdown { done: oneshot::Sender<usize> },
}

/// Something for a session that may be asleep.
#[derive(Debug)]
pub(crate) enum Delivery {
    /// A request; its reply port hears if it cannot be delivered.
    Request(Box<Request>),
    /// Mail.
    Mail(Box<Mail>),
}

impl Delivery {
    pub(crate) const fn creates(&self) -> bool {
        match self {
            Self::Request(request) => matches!(**request, Request::Open { .. }),
            Self::Mail(mail) => mail.creates(),
        }
    }
}

/// What the whole house must hear from below.
#[derive(Clone, Debug)]
pub(crate) enum Alarm {
    /// The journal cannot be trusted any more: nothing goes on.
    Poisoned { why: String },
    /// A session is off the stage.
    Quarantined { session: SessionId, reason: String },
}

/// The wings, by number.
#[derive(Clone, Debug)]
pub(crate) struct Wings(pub(crate) Arc<[Singleton<WingMsg>]>);

impl Wings {
    /// The wing of a session.
    pub(crate) fn of(&self, session: SessionId) -> Option<&Singleton<WingMsg>> {
        let at = number(session, self.0.len());
        self.0.get(at)
    }
}

/// Which wing a session belongs to.
pub(crate) fn number(session: SessionId, wings: usize) -> usize {
    // The low half of an id is random for v7 and a hash for v5.
    let (_, low) = session.0.as_u64_pair();
    usize::try_from(low % wings.max(1) as u64).unwrap_or(0)
}

/// Answers a request that cannot be delivered.
pub(crate) fn refuse(request: Request, why: Rejected) {
    // The asker may have gone; then nobody needs the answer.
    match request {
        Request::Open { reply, .. }
        | Request::Submit { reply, .. }
        | Request::Order { reply, .. } => drop(reply.send(Err(why))),
        Request::Outcome { reply, .. } => drop(reply.send(Err(why))),
        Request::CallOutcome { reply, .. } => drop(reply.send(Err(why))),
        Request::Checkpoint { reply, .. } => drop(reply.send(Err(why))),
    }
}
