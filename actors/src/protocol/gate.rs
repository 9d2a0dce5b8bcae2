//! The gate in front of one credential as model tasks see it: a lease for each call in flight,
//! and what one hears of the vendor holds for all of them.
//!
//! What is known of the vendor lives here and not in the actor that lets calls in, so it is told
//! without an actor and outlives one. The lock is held only to count.
//!
//! A model task waits at the gate itself, never a handler. The wait ends with a lease, at its
//! deadline, or when the task is dropped; a wait that was cut short by the death of the gate's
//! actor goes on at the next one.

use std::{
    collections::HashMap,
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering::SeqCst},
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
    domain::{
        ids::{CallId, CredentialName, SessionId, Timestamp},
        model::RateLimits,
    },
    limits,
    policy::gate::{Admission, Bars, Claim, End},
};

/// What a gate needs of a clock.
pub(crate) struct Hands {
    /// Sleeps until a moment of the wall.
    pub(crate) sleep: Box<dyn Fn(Timestamp) -> BoxFuture<'static, ()> + Send + Sync>,
    /// How long the clock has run.
    pub(crate) running: Box<dyn Fn() -> Timestamp + Send + Sync>,
    /// A random number.
    pub(crate) random: Box<dyn Fn() -> u64 + Send + Sync>,
}

/// The gate of one credential; clones share it.
#[derive(Clone)]
pub struct GateHandle {
    credential: CredentialName,
    room: Arc<Room>,
    known: Arc<Mutex<Admission>>,
    /// Who waits, for people to see: how many calls of each session.
    waiting: Arc<Mutex<HashMap<SessionId, u32>>>,
    numbers: Arc<AtomicU64>,
    gate: Singleton<GateMsg>,
    hands: Arc<Hands>,
}

/// A call that was let in, until it is dropped. Dropped without a word it says nothing about the
/// vendor.
#[must_use = "dropping it ends the call"]
pub struct Pass {
    gate: GateHandle,
    no: u64,
    _lease: Lease,
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
        /// What it asks for.
        claim: Claim,
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
    /// A place came free, or more is known of the vendor, while somebody waits.
    Changed,
    /// The moment has come at which the next grant may be made.
    Due,
}

/// A request in the queue.
#[derive(Debug)]
pub(crate) struct Waiter {
    pub(crate) ticket: Ticket,
    pub(crate) reply: oneshot::Sender<Pass>,
}

/// Takes a request back when its task stops waiting.
struct Withdraw<'a> {
    gate: &'a Singleton<GateMsg>,
    number: u64,
}

/// Counts a session among those that wait.
struct Seen<'a> {
    waiting: &'a Mutex<HashMap<SessionId, u32>>,
    session: SessionId,
}

impl<'a> Seen<'a> {
    fn new(waiting: &'a Mutex<HashMap<SessionId, u32>>, session: SessionId) -> Self {
        *lock(waiting).entry(session).or_default() += 1;
        Self { waiting, session }
    }
}

impl Drop for Seen<'_> {
    fn drop(&mut self) {
        let mut waiting = lock(self.waiting);
        if let Some(calls) = waiting.get_mut(&self.session) {
            *calls -= 1;
            if *calls == 0 {
                waiting.remove(&self.session);
            }
        }
    }
}

/// What is counted under a lock is whole at any moment, also when somebody panicked.
fn lock<T>(counted: &Mutex<T>) -> MutexGuard<'_, T> {
    counted.lock().unwrap_or_else(PoisonError::into_inner)
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
        hands: Hands,
    ) -> (watch::Sender<Option<ActorRef<GateMsg>>>, Self) {
        let (seat, gate) = Singleton::channel();
        let freed = {
            let gate = Singleton::clone(&gate);
            move || {
                // Nobody there: whoever comes next starts with an empty queue.
                let _ = gate.cast(GateMsg::Changed);
            }
        };
        let room = Room::new(calls as usize, limits::GATE_QUEUE, freed);
        let known = Arc::new(Mutex::new(Admission::new(calls as usize)));
        let (waiting, numbers, hands) = (Arc::default(), Arc::default(), Arc::new(hands));
        (seat, Self { credential, room, known, waiting, numbers, gate, hands })
    }

    /// Waits for this call's turn, at the latest until `deadline`.
    ///
    /// # Errors
    /// When too many wait, the deadline passes or the runtime goes down.
    pub async fn acquire(
        &self,
        claim: Claim,
        call: CallId,
        deadline: Timestamp,
    ) -> Result<Pass, GateRefused> {
        let credential = self.credential.clone();
        let _seen = Seen::new(&self.waiting, claim.session);
        tokio::select! {
            biased;
            answer = self.wait(claim, call) => answer,
            () = (self.hands.sleep)(deadline) => Err(GateRefused::TimedOut { call, credential }),
        }
    }

    /// Asks, and asks again whenever the actor it asked has gone.
    async fn wait(&self, claim: Claim, call: CallId) -> Result<Pass, GateRefused> {
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
            self.gate.cast(GateMsg::Acquire { claim, number, waiter });
            match answer.await {
                Ok(pass) => {
                    // Granted, it waits no more: there is nothing to take back.
                    std::mem::forget(withdraw);
                    return Ok(pass);
                }
                Err(_gone) if gate.replaced().await => {}
                Err(_gone) => return Err(GateRefused::Closed { call, credential }),
            }
        }
    }

    /// The vendor asked this credential to wait: nobody calls until then.
    pub fn pause(&self, retry_after_ms: u64) {
        self.known().pause(retry_after_ms, self.moment());
        self.changed();
    }

    /// How full the gate is.
    #[must_use]
    pub fn figures(&self) -> Figures {
        self.room.figures()
    }

    /// What holds its callers up.
    #[must_use]
    pub fn bars(&self) -> Bars {
        self.known().bars((self.hands.running)())
    }

    /// What a session waits for here, in words; none when it does not.
    #[must_use]
    pub fn waits_for(&self, session: SessionId) -> Option<String> {
        if !lock(&self.waiting).contains_key(&session) {
            return None;
        }
        let why = self.bars().words((self.hands.running)());
        Some(format!("gate {}: {why}", self.credential))
    }

    /// Whose gate it is.
    #[must_use]
    pub const fn credential(&self) -> &CredentialName {
        &self.credential
    }

    pub(crate) const fn room(&self) -> &Arc<Room> {
        &self.room
    }

    /// What is known of the vendor. Nothing else is done while it is held.
    pub(crate) fn known(&self) -> MutexGuard<'_, Admission> {
        lock(&self.known)
    }

    /// Now, and a random number.
    pub(crate) fn moment(&self) -> (Timestamp, u64) {
        ((self.hands.running)(), (self.hands.random)())
    }

    pub(crate) fn pass(&self, no: u64, lease: Lease) -> Pass {
        Pass { gate: self.clone(), no, _lease: lease }
    }

    /// Whoever waits may be let in now, or later than was thought.
    fn changed(&self) {
        if self.room.figures().waiting > 0 {
            // Nobody there: the next one looks when it is asked.
            let _ = self.gate.cast(GateMsg::Changed);
        }
    }
}

impl Pass {
    /// The vendor has said its limits.
    pub fn heard(&self, limits: &RateLimits) {
        let (now, _) = self.gate.moment();
        self.gate.known().learn(self.no, limits, now);
        self.gate.changed();
    }

    /// The answer has begun to come.
    pub fn began(&self) {
        let (now, _) = self.gate.moment();
        self.gate.known().began(self.no, now);
        self.gate.changed();
    }

    /// What the call came to. Its place is free when this returns.
    pub fn ended(self, end: End) {
        self.gate.known().ended(self.no, end, self.gate.moment());
    }

    /// Nothing was sent.
    pub(crate) fn unused(self) {
        self.gate.known().unused(self.no);
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        // Where its end was told, this is no news.
        self.gate.known().ended(self.no, End::Silent, self.gate.moment());
    }
}

impl fmt::Debug for Pass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pass").field("no", &self.no).finish_non_exhaustive()
    }
}

impl fmt::Debug for GateHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GateHandle")
            .field("credential", &self.credential)
            .field("figures", &self.figures())
            .field("bars", &self.bars())
            .finish_non_exhaustive()
    }
}
