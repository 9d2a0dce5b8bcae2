//! For tests: kills actors of a running house, as a bug in one of them would.

use crate::{
    domain::ids::{CredentialName, PoolKind, SessionId},
    session::house::Tables,
    supervisor::Seat,
};

use super::Runtime;

/// Whom to kill.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Victim {
    /// The ledger.
    Ledger,
    /// Permission.
    Permission,
    /// The gate of a credential.
    Gate(CredentialName),
    /// The pool of a kind.
    Pool(PoolKind),
    /// The jobs' actor.
    Jobs,
    /// A wing, by number, and all its sessions.
    Wing(usize),
    /// One session.
    Session(SessionId),
}

impl Runtime {
    /// Kills an actor; `false` when it is not there. Its supervisor sees it die.
    #[must_use]
    pub fn kill(&self, victim: &Victim) -> bool {
        let seat = match victim {
            Victim::Ledger => Seat::Ledger,
            Victim::Permission => Seat::Permission,
            Victim::Gate(credential) => Seat::Gate(credential.clone()),
            Victim::Pool(kind) => Seat::Pool(kind.clone()),
            Victim::Jobs => Seat::Jobs,
            Victim::Wing(number) => Seat::Wing(*number),
            Victim::Session(session) => {
                let entry = self.inner.seats.board().entry(*session);
                return entry.map(|entry| entry.actor.kill()).is_some();
            }
        };
        self.inner.seats.kill(&seat)
    }

    /// Which wing a session belongs to.
    #[must_use]
    pub fn wing_of(session: SessionId) -> usize {
        crate::protocol::wing::number(session, crate::limits::WINGS)
    }

    /// Slots and places that are out, over all pools and gates.
    #[must_use]
    pub fn leases_out(&self) -> usize {
        let tables = std::sync::Arc::clone(&self.inner.tables.borrow());
        let Tables { gates, pools, .. } = &*tables;
        let gates: usize = gates.values().map(|gate| gate.figures().taken).sum();
        gates + pools.values().map(|pool| pool.figures().taken).sum::<usize>()
    }
}
