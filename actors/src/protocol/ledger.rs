//! The ledger as sessions and faces see it. A reservation may be asked for any number of times
//! under the same call; an answer may be lost with the ledger's actor or its journal, so a session
//! asks again every `limits::LEDGER_RETRY_MS` until it hears one.

use std::time::Duration;

use ractor::{ActorRef, RpcReplyPort, rpc::CallResult};
use tokio::sync::watch;

use super::address::{ReplyTo, Singleton};
use crate::{
    domain::{
        budget::{Account, Amount, Budget, Reservation, Room, Shortage},
        grant::GrantEvent,
        ids::{CallId, Position, SessionId},
    },
    limits,
    log::{Trouble, Writer},
    policy::budget::{Tree, Warning},
};

/// The ledger's address; clones share it.
#[derive(Clone, Debug)]
pub struct LedgerHandle(Singleton<LedgerMsg>);

/// What a session hears about its reservation. A grant is durable before it is heard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BudgetDecision {
    /// The call.
    pub call: CallId,
    /// The room that the ledger holds for it, or why there is none.
    pub decision: Result<Room, Shortage>,
}

/// One account as a face shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AccountFigures {
    /// The session whose budget it is.
    pub account: SessionId,
    /// What ended calls came to.
    pub spent: Amount,
    /// What running calls may come to beyond that.
    pub reserved: Amount,
    /// Its limits.
    pub limit: Budget,
}

/// A tree's accounts as a face shows them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LedgerFigures {
    /// Every account that was ever drawn on.
    pub accounts: Vec<AccountFigures>,
    /// Grants that are not settled.
    pub open: usize,
    /// Reservations that wait for room.
    pub waiting: usize,
}

/// What the ledger is told.
#[derive(Debug)]
pub(crate) enum LedgerMsg {
    /// A session wants to make a call.
    Reserve {
        /// What it could cost, and who pays.
        reservation: Box<Reservation>,
        /// Where the decision goes.
        reply: ReplyTo<BudgetDecision>,
    },
    /// A call ended, or will not be made and comes to nothing.
    Settle {
        /// The root of its tree.
        root: SessionId,
        /// The call.
        call: CallId,
        /// Who pays; nobody means that nothing was ever reserved.
        accounts: Vec<Account>,
        /// What it came to.
        actual: Amount,
        /// Whether no other figure can follow.
        last: bool,
    },
    /// A face wants to see a tree.
    Figures {
        /// Its root.
        root: SessionId,
        /// The answer; `None` when the tree is not in memory yet.
        reply: RpcReplyPort<Option<LedgerFigures>>,
    },
    /// A tree was read from its log, or was not.
    Loaded {
        /// Its root.
        root: SessionId,
        /// Which attempt.
        attempt: u64,
        /// The tree.
        result: Result<Box<Loaded>, Trouble>,
    },
    /// A frame was written, or was not.
    Appended {
        /// Whose.
        root: SessionId,
        /// Which attempt to load it the writer stems from.
        attempt: u64,
        /// Where it is.
        result: Result<Position, Trouble>,
    },
    /// A session was told of a warning, or was not.
    Told {
        /// The root of its tree.
        root: SessionId,
        /// Which attempt to load it the warning stems from.
        attempt: u64,
        /// What it was told.
        warning: Warning,
        /// Whether it stands in its log, or never can.
        heard: bool,
    },
    /// Time to look at deadlines and idle trees.
    Alarm,
}

/// A tree read from its log.
#[derive(Debug)]
pub(crate) struct Loaded {
    /// The claimed log.
    pub(crate) writer: Writer,
    /// Its fold.
    pub(crate) tree: Tree,
    /// What the sessions' logs say about grants that were open in it; not recorded yet.
    pub(crate) reconciled: Vec<GrantEvent>,
    /// Marks it has passed of which the sessions' logs say nothing.
    pub(crate) untold: Vec<Warning>,
}

impl LedgerHandle {
    /// The address and the end through which the supervisor names the actor.
    #[must_use]
    pub(crate) fn channel() -> (watch::Sender<Option<ActorRef<LedgerMsg>>>, Self) {
        let (seat, ledger) = Singleton::channel();
        (seat, Self(ledger))
    }

    /// Asks for room. `false` when nobody is there; ask again.
    pub fn reserve(&self, reservation: Reservation, reply: ReplyTo<BudgetDecision>) -> bool {
        self.0.cast(LedgerMsg::Reserve { reservation: Box::new(reservation), reply })
    }

    /// Says what a call came to, and whether that is the last word on it. What is lost on the way is
    /// found again in the session's log.
    pub fn settle(
        &self,
        root: SessionId,
        call: CallId,
        accounts: Vec<Account>,
        (actual, last): (Amount, bool),
    ) -> bool {
        self.0.cast(LedgerMsg::Settle { root, call, accounts, actual, last })
    }

    /// Gives a reservation back, granted or waiting; the call may ask again.
    pub fn release(&self, root: SessionId, call: CallId, accounts: Vec<Account>) -> bool {
        self.settle(root, call, accounts, (Amount::default(), false))
    }

    /// A tree's accounts, for faces. `None` when the ledger has not loaded the tree, which it does
    /// on being asked, or does not answer in time.
    pub async fn figures(&self, root: SessionId) -> Option<LedgerFigures> {
        let ledger = self.0.current()?;
        let patience = Some(Duration::from_millis(limits::CALL_MS));
        match ledger.call(|reply| LedgerMsg::Figures { root, reply }, patience).await {
            Ok(CallResult::Success(figures)) => figures,
            Ok(CallResult::Timeout | CallResult::SenderError) | Err(_) => None,
        }
    }
}
