//! Slots of a tool pool as sessions see them. A slot is a lease: the session holds it before it
//! records that a tool starts, and gives it back by dropping it.
//!
//! There are two ways to one: `try_take` at once, without a message, while nobody waits; and
//! `request`, which waits its turn, fair between sessions. A request is lost when the pool's actor
//! dies; its session asks again after `limits::LEDGER_RETRY_MS`, and asking twice is asking once.

use std::sync::Arc;

use ractor::ActorRef;
use tokio::sync::watch;

use super::{
    address::{ReplyTo, Singleton},
    lease::{Figures, Lease, Room, Ticket},
};
use crate::{
    domain::ids::{CallId, PoolKind, SessionId, Token},
    limits,
};

/// The slots of one kind of work; clones share them.
#[derive(Clone, Debug)]
pub struct Slots {
    kind: PoolKind,
    room: Arc<Room>,
    pool: Singleton<PoolMsg>,
}

/// A slot for a call that waited.
#[derive(Debug)]
pub struct Granted {
    /// The call.
    pub call: CallId,
    /// The session's owner token when it asked; a later owner asks for itself.
    pub token: Token,
    /// The slot.
    pub lease: Lease,
}

/// Why a request does not wait.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Too many wait already.
    #[error("queue for a slot of pool {kind}: {waiting} calls wait already; try again later")]
    Full {
        /// The pool.
        kind: PoolKind,
        /// How many wait.
        waiting: usize,
    },
    /// The pool is being started again.
    #[error("queue for a slot of pool {kind}: the pool is starting again; ask again")]
    Away {
        /// The pool.
        kind: PoolKind,
    },
}

/// What a pool is told.
#[derive(Debug)]
pub(crate) enum PoolMsg {
    /// A call wants a slot; the same call again takes the place of the first.
    Request {
        /// Whose turn it uses up.
        session: SessionId,
        /// The call.
        call: CallId,
        /// What waits for it.
        waiter: Waiter,
    },
    /// A slot came free while somebody waits.
    Freed,
    /// A session wants nothing any more.
    Forget {
        /// Which.
        session: SessionId,
    },
}

/// A request in the queue.
#[derive(Debug)]
pub(crate) struct Waiter {
    pub(crate) call: CallId,
    pub(crate) token: Token,
    pub(crate) ticket: Ticket,
    pub(crate) reply: ReplyTo<Granted>,
}

impl Slots {
    /// The slots of a pool and the end through which its supervisor names the actor.
    #[must_use]
    pub(crate) fn channel(
        kind: PoolKind,
        slots: u32,
    ) -> (watch::Sender<Option<ActorRef<PoolMsg>>>, Self) {
        let (seat, pool) = Singleton::channel();
        let freed = {
            let pool = Singleton::clone(&pool);
            move || {
                // Nobody there: whoever comes next starts with an empty queue.
                let _ = pool.cast(PoolMsg::Freed);
            }
        };
        let room = Room::new(slots as usize, limits::POOL_QUEUE, freed);
        (seat, Self { kind, room, pool })
    }

    /// A slot now, if one is free and nobody waits for it.
    #[must_use]
    pub fn try_take(&self) -> Option<Lease> {
        self.room.try_take()
    }

    /// Waits for a slot; it goes to `reply`. If that has gone meanwhile, the slot comes back.
    ///
    /// # Errors
    /// When too many wait, or nobody is there to wait at.
    pub fn request(
        &self,
        session: SessionId,
        call: CallId,
        token: Token,
        reply: ReplyTo<Granted>,
    ) -> Result<(), Refused> {
        let Some(ticket) = self.room.queue() else {
            let waiting = self.room.figures().waiting;
            return Err(Refused::Full { kind: self.kind.clone(), waiting });
        };
        let waiter = Waiter { call, token, ticket, reply };
        if self.pool.cast(PoolMsg::Request { session, call, waiter }) {
            Ok(())
        } else {
            Err(Refused::Away { kind: self.kind.clone() })
        }
    }

    /// Withdraws everything a session waits for: it crashed, or was cancelled.
    pub fn forget(&self, session: SessionId) {
        // Nobody there: then nothing of it waits.
        let _ = self.pool.cast(PoolMsg::Forget { session });
    }

    /// How full the pool is.
    #[must_use]
    pub fn figures(&self) -> Figures {
        self.room.figures()
    }

    /// Which kind of work.
    #[must_use]
    pub const fn kind(&self) -> &PoolKind {
        &self.kind
    }

    pub(crate) const fn room(&self) -> &Arc<Room> {
        &self.room
    }
}
