//! The gate in front of one credential as model tasks see it: a lease for each call in flight,
//! and a pause for all of them when the vendor asked one to wait.
//!
//! A model task waits at the gate itself, never a handler. The wait ends with a lease, at its
//! deadline, or when the task is dropped; a wait that was cut short by the death of the gate's
//! actor goes on at the next one.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicU64, Ordering::SeqCst},
    },
};

use futures_util::future::BoxFuture;
use ractor::ActorRef;
use tokio::sync::{oneshot, watch};

use super::{
    address::Singleton,
    lease::{Figures, Lease, Room, Ticket},
};
use crate::{
    domain::ids::{CallId, CredentialName, SessionId, Timestamp},
    limits,
};

/// Sleeps until a moment: the part of the clock that a waiting task needs.
pub(crate) type Sleep = Arc<dyn Fn(Timestamp) -> BoxFuture<'static, ()> + Send + Sync>;

/// The gate of one credential; clones share it.
#[derive(Clone)]
pub struct GateHandle {
    credential: CredentialName,
    room: Arc<Room>,
    pause: Arc<Pause>,
    numbers: Arc<AtomicU64>,
    gate: Singleton<GateMsg>,
    sleep: Sleep,
}

/// Until when nobody calls, kept outside the actor so that its restart does not end the pause.
#[derive(Debug, Default)]
pub(crate) struct Pause {
    /// The first moment of the clock's running time at which a call may be made.
    pub(crate) until: AtomicI64,
    /// How long after that moment grants are still spread.
    pub(crate) spread_ms: AtomicU64,
}

/// Why a task got no lease.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GateRefused {
    /// Too many wait already.
    #[error("{call} at the gate of {credential}: {waiting} calls wait already; try again later")]
    Full {
        /// The call.
        call: CallId,
        /// The credential.
        credential: CredentialName,
        /// How many wait.
        waiting: usize,
    },
    /// The deadline came first.
    #[error("{call} at the gate of {credential}: its deadline came before its turn")]
    TimedOut {
        /// The call.
        call: CallId,
        /// The credential.
        credential: CredentialName,
    },
    /// The runtime is going down.
    #[error(
        "{call} at the gate of {credential}: the gate has closed; the runtime is shutting down"
    )]
    Closed {
        /// The call.
        call: CallId,
        /// The credential.
        credential: CredentialName,
    },
}

/// What a gate is told.
#[derive(Debug)]
pub(crate) enum GateMsg {
    /// A task wants to call.
    Acquire {
        /// Whose turn it uses up.
        session: SessionId,
        /// Which request this is.
        number: u64,
        /// What waits.
        waiter: Waiter,
    },
    /// A task does not wait any more.
    Withdraw {
        /// Which request.
        number: u64,
    },
    /// A call ended while somebody waits.
    Freed,
    /// The vendor asked somebody to wait; it holds for all.
    Pause {
        /// How long.
        retry_after_ms: u64,
    },
    /// The moment has come at which the next grant may be made.
    Due,
}

/// A request in the queue.
#[derive(Debug)]
pub(crate) struct Waiter {
    pub(crate) ticket: Ticket,
    pub(crate) reply: oneshot::Sender<Lease>,
}

/// Takes a request back when its task stops waiting.
struct Withdraw<'a> {
    gate: &'a Singleton<GateMsg>,
    number: u64,
}

impl Drop for Withdraw<'_> {
    fn drop(&mut self) {
        // Nobody there: then nothing waits.
        let _ = self.gate.cast(GateMsg::Withdraw { number: self.number });
    }
}

impl GateHandle {
    /// A gate and the end through which its supervisor names the actor.
    #[must_use]
    pub(crate) fn channel(
        credential: CredentialName,
        calls: u32,
        sleep: Sleep,
    ) -> (watch::Sender<Option<ActorRef<GateMsg>>>, Self) {
        let (seat, gate) = Singleton::channel();
        let freed = {
            let gate = Singleton::clone(&gate);
            move || {
                // Nobody there: whoever comes next starts with an empty queue.
                let _ = gate.cast(GateMsg::Freed);
            }
        };
        let room = Room::new(calls as usize, limits::GATE_QUEUE, freed);
        let (pause, numbers) = (Arc::default(), Arc::default());
        (seat, Self { credential, room, pause, numbers, gate, sleep })
    }

    /// Waits for this call's turn, at the latest until `deadline`.
    ///
    /// # Errors
    /// When too many wait, the deadline passes or the runtime goes down.
    pub async fn acquire(
        &self,
        session: SessionId,
        call: CallId,
        deadline: Timestamp,
    ) -> Result<Lease, GateRefused> {
        let credential = self.credential.clone();
        tokio::select! {
            biased;
            answer = self.wait(session, call) => answer,
            () = (self.sleep)(deadline) => Err(GateRefused::TimedOut { call, credential }),
        }
    }

    /// Asks, and asks again whenever the actor it asked has gone.
    async fn wait(&self, session: SessionId, call: CallId) -> Result<Lease, GateRefused> {
        let mut gate = self.gate.clone();
        loop {
            gate.mark_seen();
            let credential = self.credential.clone();
            let Some(ticket) = self.room.queue() else {
                let waiting = self.room.figures().waiting;
                return Err(GateRefused::Full { call, credential, waiting });
            };
            let number = self.numbers.fetch_add(1, SeqCst);
            let (reply, answer) = oneshot::channel();
            let withdraw = Withdraw { gate: &self.gate, number };
            let waiter = Waiter { ticket, reply };
            self.gate.cast(GateMsg::Acquire { session, number, waiter });
            match answer.await {
                Ok(lease) => {
                    // Granted, it waits no more: there is nothing to take back.
                    std::mem::forget(withdraw);
                    return Ok(lease);
                }
                Err(_gone) if gate.replaced().await => {}
                Err(_gone) => return Err(GateRefused::Closed { call, credential }),
            }
        }
    }

    /// The vendor answered a call of this credential with "wait": nobody calls until then.
    pub fn pause(&self, retry_after_ms: u64) {
        // Nobody there: the next call hears the same from the vendor.
        let _ = self.gate.cast(GateMsg::Pause { retry_after_ms });
    }

    /// How full the gate is.
    #[must_use]
    pub fn figures(&self) -> Figures {
        self.room.figures()
    }

    /// Until when of its clock's running time it is paused; in the past when it is not.
    #[must_use]
    pub fn paused_until(&self) -> Timestamp {
        Timestamp(self.pause.until.load(SeqCst))
    }

    /// Whose gate it is.
    #[must_use]
    pub const fn credential(&self) -> &CredentialName {
        &self.credential
    }

    pub(crate) const fn room(&self) -> &Arc<Room> {
        &self.room
    }

    pub(crate) fn shared_pause(&self) -> &Pause {
        &self.pause
    }
}

impl fmt::Debug for GateHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GateHandle")
            .field("credential", &self.credential)
            .field("figures", &self.figures())
            .field("paused_until", &self.paused_until())
            .finish_non_exhaustive()
    }
}
