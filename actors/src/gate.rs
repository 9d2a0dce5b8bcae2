//! The gate in front of one credential: how many of its calls run at once, in whose turn, and the
//! pause when its vendor says "wait". One refusal pauses every sibling; afterwards grants are
//! spread with positive jitter, because a herd that wakes together is refused together.
//!
//! Invariants: leases out ≤ calls, also across restarts; no grant before a pause has ended; the
//! pause outlives this actor, the queue does not (its tasks ask the next actor again).
//!
//! ```text
//! open ── Pause ──▶ paused ── until + jitter ──▶ spreading ── spread over ──▶ open
//!                     ▲                             │
//!                     └────────── Pause ────────────┘
//! ```

use std::sync::{Arc, atomic::Ordering::SeqCst};

use ractor::{Actor, ActorProcessingErr, ActorRef, SupervisionEvent};

use crate::{
    domain::ids::{CredentialName, Timestamp},
    limits,
    owned::Owned,
    policy::fair::Fair,
    ports::Clock,
    protocol::gate::{GateHandle, GateMsg, Waiter},
};

#[cfg(test)]
mod tests;

/// The end through which a supervisor names the gate's actor.
pub(crate) type Seat = tokio::sync::watch::Sender<Option<ActorRef<GateMsg>>>;

/// The gate of a credential, without its actor.
#[must_use]
pub(crate) fn channel(
    credential: CredentialName,
    calls: u32,
    clock: &Arc<dyn Clock>,
) -> (Seat, GateHandle) {
    let clock = Arc::clone(clock);
    GateHandle::channel(credential, calls, Arc::new(move |at| clock.sleep_until(at)))
}

/// The actor behind a `GateHandle`.
pub(crate) struct Gate {
    handle: GateHandle,
    clock: Arc<dyn Clock>,
}

/// What it keeps in memory; all of it may be lost.
#[derive(Debug)]
pub(crate) struct Waiting {
    queue: Fair<u64, Waiter>,
    /// The earliest moment of the next grant, where the spread asks for a gap.
    next: Timestamp,
    /// Wakes the actor at `next`.
    alarm: Option<(Timestamp, Owned)>,
}

impl Gate {
    pub(crate) const fn new(handle: GateHandle, clock: Arc<dyn Clock>) -> Self {
        Self { handle, clock }
    }

    /// Starts or prolongs the pause; a shorter one never cuts a longer one short.
    fn pause(&self, retry_after_ms: u64, waiting: &mut Waiting) {
        // One absurd figure must not take the credential away for good.
        let retry_after_ms = retry_after_ms.min(limits::GATE_PAUSE_MAX_MS);
        let until = self.clock.running().plus_ms(retry_after_ms);
        let pause = self.handle.shared_pause();
        if until <= Timestamp(pause.until.load(SeqCst)) {
            return;
        }
        let spread_ms = (retry_after_ms / 100)
            .saturating_mul(limits::GATE_SPREAD_PERCENT)
            .max(limits::GATE_SPREAD_MIN_MS);
        pause.until.store(until.0, SeqCst);
        pause.spread_ms.store(spread_ms, SeqCst);
        waiting.next = self.resume_at();
    }

    /// The first grant after the pause: up to half of the spread later, so that processes that
    /// share a credential do not come back together either.
    fn resume_at(&self) -> Timestamp {
        let pause = self.handle.shared_pause();
        let half = pause.spread_ms.load(SeqCst) / 2;
        Timestamp(pause.until.load(SeqCst)).plus_ms(self.random_up_to(half))
    }

    /// When the grant after one at `now` may be made: while the spread lasts, all places together
    /// fill it on average.
    fn after(&self, now: Timestamp) -> Timestamp {
        let pause = self.handle.shared_pause();
        let spread_ms = pause.spread_ms.load(SeqCst);
        let until = Timestamp(pause.until.load(SeqCst));
        if now >= until.plus_ms(spread_ms) {
            return now;
        }
        let places = self.handle.figures().places.max(1) as u64;
        now.plus_ms(1 + self.random_up_to(2 * spread_ms / places))
    }

    fn random_up_to(&self, max: u64) -> u64 {
        self.clock.random() % max.saturating_add(1)
    }

    /// Grants what may be granted now and sets the alarm for the rest.
    fn grant(&self, myself: &ActorRef<GateMsg>, waiting: &mut Waiting) {
        while !waiting.queue.is_empty() {
            let now = self.clock.running();
            if now < waiting.next {
                self.alarm_at(waiting.next, myself, waiting);
                return;
            }
            let Some(lease) = self.handle.room().take() else { return };
            let Some(Waiter { ticket, reply }) = waiting.queue.pop() else { return };
            drop(ticket);
            // A task that has gone used up nothing: the lease is back, and the next is not late.
            if reply.send(lease).is_ok() {
                waiting.next = self.after(now);
            }
        }
    }

    fn alarm_at(&self, at: Timestamp, myself: &ActorRef<GateMsg>, waiting: &mut Waiting) {
        if waiting.alarm.as_ref().is_some_and(|(set, _)| *set == at) {
            return;
        }
        let left_ms = at.since_ms(self.clock.running());
        let (sleep, gate) = (self.clock.after(left_ms), myself.clone());
        let task = Owned::spawn(async move {
            sleep.await;
            // It may have gone meanwhile; then nobody waits here.
            drop(gate.cast(GateMsg::Due));
        });
        waiting.alarm = Some((at, task));
    }
}

impl Actor for Gate {
    type Msg = GateMsg;
    type State = Waiting;
    type Arguments = ();

    async fn pre_start(
        &self,
        _myself: ActorRef<GateMsg>,
        (): (),
    ) -> Result<Waiting, ActorProcessingErr> {
        let queue = Fair::new(limits::GATE_QUEUE);
        Ok(Waiting { queue, next: self.resume_at(), alarm: None })
    }

    async fn handle(
        &self,
        myself: ActorRef<GateMsg>,
        message: GateMsg,
        waiting: &mut Waiting,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            // The room let it in, so the queue has a place for it.
            GateMsg::Acquire { session, number, waiter } => {
                drop(waiting.queue.put(session, number, waiter));
            }
            GateMsg::Withdraw { number } => drop(waiting.queue.withdraw(&number)),
            GateMsg::Freed => {}
            GateMsg::Pause { retry_after_ms } => self.pause(retry_after_ms, waiting),
            GateMsg::Due => waiting.alarm = None,
        }
        self.grant(&myself, waiting);
        Ok(())
    }

    async fn handle_supervisor_evt(
        &self,
        _myself: ActorRef<GateMsg>,
        _event: SupervisionEvent,
        _waiting: &mut Waiting,
    ) -> Result<(), ActorProcessingErr> {
        // It has no children; ractor's default would stop it for one.
        Ok(())
    }
}
