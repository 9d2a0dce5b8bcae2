//! A pool of tool slots: one actor per kind of work, which holds the queue for slots and nothing
//! else. The tools themselves run in tasks that their sessions own.
//!
//! Why not ractor's `Factory`, whose workers would run the tools: rule 4 of the log. A session must
//! hold a slot before it records that a tool starts, a factory would start the tool by itself; its
//! queue is not fair between sessions, its workers restart without limit, and a worker whose
//! replacement fails takes the pool along. Speed decides nothing: `benches/tool_pool.rs`, 8 places,
//! 2 busy shared cores, three runs. Empty jobs: slots 0.65–1.07 × factory (0.3–0.4 against 0.4–0.5
//! M/s; a bare semaphore 0.6–0.95 M/s). Jobs of 10 µs: slots 0.91–1.00 × factory. A tool call takes
//! milliseconds.
//!
//! Invariants: leases out ≤ slots, also across restarts of this actor (the count is in
//! `protocol::lease`); a queued request is never overtaken by `try_take`; sessions take turns.

use ractor::{Actor, ActorProcessingErr, ActorRef, SupervisionEvent};

use crate::{
    domain::ids::CallId,
    limits,
    policy::fair::Fair,
    protocol::tool_pool::{Granted, PoolMsg, Slots, Waiter},
};

#[cfg(test)]
mod tests;

/// The actor behind a pool's `Slots`.
#[derive(Debug)]
pub(crate) struct ToolPool {
    slots: Slots,
}

impl ToolPool {
    pub(crate) const fn new(slots: Slots) -> Self {
        Self { slots }
    }

    /// Lends free slots to whoever is first, as long as there are both.
    fn lend(&self, queue: &mut Fair<CallId, Waiter>) {
        while !queue.is_empty() {
            let Some(lease) = self.slots.room().take() else { return };
            let Some(waiter) = queue.pop() else { return };
            let Waiter { call, token, ticket, reply } = waiter;
            // Not waiting any more. If the receiver has gone, the lease comes back inside `send`
            // and this very loop lends it on.
            drop(ticket);
            reply.send(Granted { call, token, lease });
        }
    }
}

impl Actor for ToolPool {
    type Msg = PoolMsg;
    type State = Fair<CallId, Waiter>;
    type Arguments = ();

    async fn pre_start(
        &self,
        _myself: ActorRef<PoolMsg>,
        (): (),
    ) -> Result<Self::State, ActorProcessingErr> {
        Ok(Fair::new(limits::POOL_QUEUE))
    }

    async fn handle(
        &self,
        _myself: ActorRef<PoolMsg>,
        message: PoolMsg,
        queue: &mut Self::State,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            // The room let it in, so the queue has a place for it; a replaced one is dropped.
            PoolMsg::Request { session, call, waiter } => drop(queue.put(session, call, waiter)),
            PoolMsg::Freed => {}
            PoolMsg::Forget { session } => drop(queue.forget(session)),
        }
        self.lend(queue);
        Ok(())
    }

    async fn handle_supervisor_evt(
        &self,
        _myself: ActorRef<PoolMsg>,
        _event: SupervisionEvent,
        _queue: &mut Self::State,
    ) -> Result<(), ActorProcessingErr> {
        // It has no children; ractor's default would stop it for one.
        Ok(())
    }
}

/// A pool without a supervisor, for benches and for tests of what uses slots.
///
/// # Errors
/// When the actor does not start.
#[cfg(any(test, feature = "testing"))]
pub async fn unsupervised(
    kind: crate::domain::ids::PoolKind,
    slots: u32,
) -> Result<Slots, ractor::SpawnErr> {
    let (seat, slots) = Slots::channel(kind, slots);
    let (actor, _) = Actor::spawn(None, ToolPool::new(slots.clone()), ()).await?;
    seat.send_replace(Some(actor));
    Ok(slots)
}
