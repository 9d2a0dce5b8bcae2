//! The gate in front of one credential: how many of its calls run at once, in whose turn, and what
//! holds them up. What is decided and why is in `policy::gate`; this actor asks it again whenever
//! something changed, lets in whom it names, and sets an alarm for the moment it names.
//!
//! Invariants: leases out ≤ calls, also across restarts; no grant that the policy did not name.
//! What is known of the vendor, its pause, its limits, the breaker and the budget, stands in the
//! handle and outlives this actor. Lost with it are the queue, whose tasks ask the next actor again,
//! and with the queue the shares that its sessions have had: who was behind begins anew with the
//! others, which costs nobody more than one round. Nothing outlives the process: who starts anew
//! hears from the vendor what holds, at the price of one call in flight for each place.

use std::sync::Arc;

use ractor::{Actor, ActorProcessingErr, ActorRef, SupervisionEvent};

use crate::{
    domain::ids::{CredentialName, Timestamp},
    limits,
    owned::Owned,
    policy::gate::{Claim, Next, Queue},
    ports::Clock,
    protocol::{
        gate::{GateHandle, GateMsg, Hands, Waiter},
        lease::Lease,
    },
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
    let (sleep, running, random) = (Arc::clone(clock), Arc::clone(clock), Arc::clone(clock));
    let hands = Hands {
        sleep: Box::new(move |at| sleep.sleep_until(at)),
        running: Box::new(move || running.running()),
        random: Box::new(move || random.random()),
    };
    GateHandle::channel(credential, calls, hands)
}

/// The actor behind a `GateHandle`.
pub(crate) struct Gate {
    handle: GateHandle,
    clock: Arc<dyn Clock>,
}

/// What it keeps in memory; all of it may be lost.
#[derive(Debug)]
pub(crate) struct Waiting {
    queue: Queue<(u64, Waiter)>,
    /// Wakes the actor.
    alarm: Option<(Timestamp, Owned)>,
}

/// What was decided of those who wait.
enum Decided {
    /// This one comes in.
    Granted(Granted),
    /// No place is free.
    Full,
    /// Nobody comes in before this moment.
    Wait { until: Option<Timestamp> },
}

/// Who comes in, booked.
struct Granted {
    no: u64,
    claim: Claim,
    waiter: Waiter,
    lease: Lease,
}

impl Gate {
    pub(crate) const fn new(handle: GateHandle, clock: Arc<dyn Clock>) -> Self {
        Self { handle, clock }
    }

    /// Lets in who may come in now and sets the alarm for the rest.
    fn admit(&self, myself: &ActorRef<GateMsg>, waiting: &mut Waiting) {
        loop {
            match self.decide(&mut waiting.queue) {
                Decided::Granted(granted) => self.let_in(granted, &mut waiting.queue),
                Decided::Full | Decided::Wait { until: None } => return,
                Decided::Wait { until: Some(at) } => return self.alarm_at(at, myself, waiting),
            }
        }
    }

    /// Names who comes in now and books it, under one lock: what is told of the vendor meanwhile, a
    /// pause or a failure, comes before the decision or behind what was booked. A grant booked into a
    /// pause that it does not know of would count as the first of those who come back from it.
    fn decide(&self, queue: &mut Queue<(u64, Waiter)>) -> Decided {
        let moment = self.handle.moment();
        let mut known = self.handle.known();
        let pick = match known.next(queue, moment.0) {
            Next::Grant(pick) => pick,
            Next::Wait { until } => return Decided::Wait { until },
        };
        let Some(lease) = self.handle.room().take() else { return Decided::Full };
        // Whoever is named is in the queue.
        let Some((claim, (no, waiter))) = queue.take(pick) else { return Decided::Full };
        known.granted(no, claim, moment, queue.len());
        Decided::Granted(Granted { no, claim, waiter, lease })
    }

    fn let_in(&self, granted: Granted, queue: &mut Queue<(u64, Waiter)>) {
        let Granted { no, claim, waiter: Waiter { ticket, reply }, lease } = granted;
        drop(ticket);
        if let Err(pass) = reply.send(self.handle.pass(no, lease)) {
            // A task that has gone used up nothing: the lease is back, and the next is not late.
            pass.unused();
            queue.give_back(&claim);
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
        Ok(Waiting { queue: Queue::new(limits::GATE_QUEUE), alarm: None })
    }

    async fn handle(
        &self,
        myself: ActorRef<GateMsg>,
        message: GateMsg,
        waiting: &mut Waiting,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            // The room let it in, so the queue has a place for it.
            GateMsg::Acquire { claim, number, waiter } => {
                waiting.queue.put(number, claim, (number, waiter));
            }
            GateMsg::Withdraw { number } => waiting.queue.withdraw(number),
            GateMsg::Changed => {}
            GateMsg::Due => waiting.alarm = None,
        }
        self.admit(&myself, waiting);
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
