//! The seats of the house: who sits where, how each is started, and the ends through which their
//! addresses are told who sits there now.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use dashmap::DashMap;
use ractor::{Actor, ActorCell, ActorId, ActorRef};
use tokio::sync::{oneshot, watch};

use crate::{
    directory::Switchboard,
    domain::{
        house::{Halt, Readmission},
        ids::{CredentialName, PoolKind, PrincipalId, SessionId},
        permission::RuleSet,
    },
    gate::{self, Gate},
    jobs::{Jobs, JobsHouse},
    ledger::{Ledger, Teller},
    limits,
    permission::Permission,
    policy::{
        budget::Warning,
        rules::{Desk, Layers, Places, Policy},
        turn::{Input, Rejected, builtin},
    },
    ports::{Clock, Journal, JournalError},
    protocol::{
        address::{ReplyTo, Singleton},
        gate::GateHandle,
        gate::GateMsg,
        jobs::{JobsHandle, JobsMsg},
        ledger::{LedgerHandle, LedgerMsg},
        permission::{PermissionHandle, PermissionMsg},
        session::Request,
        tool_pool::{PoolMsg, Slots},
        wing::{Alarm, WingMsg, Wings},
    },
    session::house::House,
    tool_pool::ToolPool,
};

use super::{Seat, restarts::Restarts, wing::Wing};

#[cfg(test)]
mod tests;

type End<M> = watch::Sender<Option<ActorRef<M>>>;

/// All seats, shared by the root and the runtime's handle.
pub(crate) struct Seats {
    journal: Arc<dyn Journal>,
    clock: Arc<dyn Clock>,
    boot: u64,
    desk: Desk,
    places: Places,
    ledger: (End<LedgerMsg>, LedgerHandle),
    permission: (End<PermissionMsg>, PermissionHandle),
    gates: DashMap<CredentialName, (End<GateMsg>, GateHandle)>,
    pools: DashMap<PoolKind, (End<PoolMsg>, Slots)>,
    jobs: (End<JobsMsg>, JobsHandle),
    jobs_house: watch::Sender<Option<Arc<JobsHouse>>>,
    wings: Vec<(End<WingMsg>, Singleton<WingMsg>)>,
    restarts: Restarts,
    board: Switchboard,
    layers: watch::Sender<Layers>,
    policy: watch::Sender<Arc<Policy>>,
    damaged: watch::Sender<Arc<BTreeMap<SessionId, String>>>,
    readmitted: watch::Sender<Arc<BTreeMap<SessionId, Readmission>>>,
    deleted: watch::Sender<Arc<BTreeMap<SessionId, bool>>>,
    halt: watch::Sender<Option<Arc<Halt>>>,
    halt_owed: watch::Sender<Option<Arc<Halt>>>,
    /// Sessions that nobody may wake while their tree is being deleted.
    leaving: watch::Sender<Arc<BTreeSet<SessionId>>>,
    alarm: ReplyTo<Alarm>,
    on_warning: Teller,
    house: watch::Sender<Option<Arc<House>>>,
}

impl Seats {
    pub(crate) fn new(
        journal: Arc<dyn Journal>,
        clock: Arc<dyn Clock>,
        (boot, layers, desk, places): (u64, Layers, Desk, Places),
        alarm: ReplyTo<Alarm>,
    ) -> Self {
        let wings: Vec<_> = (0..limits::WINGS).map(|_| Singleton::channel()).collect();
        let addresses = wings.iter().map(|(_, address)| Singleton::clone(address)).collect();
        let board = Switchboard::new(Wings(addresses));
        let warned = board.clone();
        let restarts = Restarts::new(clock.running());
        Self {
            journal,
            clock,
            boot,
            desk,
            places,
            ledger: LedgerHandle::channel(),
            permission: PermissionHandle::channel(),
            gates: DashMap::new(),
            pools: DashMap::new(),
            jobs: JobsHandle::channel(),
            jobs_house: watch::Sender::new(None),
            wings,
            restarts,
            board,
            layers: watch::Sender::new(layers),
            policy: watch::Sender::new(Arc::default()),
            damaged: watch::Sender::new(Arc::default()),
            readmitted: watch::Sender::new(Arc::default()),
            deleted: watch::Sender::new(Arc::default()),
            halt: watch::Sender::new(None),
            halt_owed: watch::Sender::new(None),
            leaving: watch::Sender::new(Arc::default()),
            alarm,
            on_warning: Arc::new(move |warning| Box::pin(warn(warned.clone(), warning))),
            house: watch::Sender::new(None),
        }
    }

    /// Lets the sessions in: from now on wings can start them.
    pub(crate) fn furnish(&self, house: Arc<House>) {
        self.house.send_replace(Some(house));
    }

    /// What the jobs stand on.
    pub(crate) fn employ(&self, house: Arc<JobsHouse>) {
        self.jobs_house.send_replace(Some(house));
    }

    /// Starts whoever belongs on a seat.
    pub(crate) async fn start(&self, seat: &Seat, root: ActorCell) -> Result<ActorId, String> {
        match seat {
            Seat::Ledger => {
                let alarm = self.alarm.clone();
                let ledger = Ledger {
                    journal: Arc::clone(&self.journal),
                    clock: Arc::clone(&self.clock),
                    boot: self.boot,
                    on_warning: Arc::clone(&self.on_warning),
                    on_poison: ReplyTo::new(move |error: JournalError| {
                        alarm.send(Alarm::Poisoned { why: error.to_string() });
                    }),
                };
                spawn(ledger, root, &self.ledger.0).await
            }
            Seat::Permission => {
                let permission = Permission {
                    journal: Arc::clone(&self.journal),
                    clock: Arc::clone(&self.clock),
                    desk: self.desk,
                    places: self.places.clone(),
                    layers: self.layers.clone(),
                    policy: self.policy.clone(),
                    damaged: self.damaged.clone(),
                    readmitted: self.readmitted.clone(),
                    deleted: self.deleted.clone(),
                    halt: self.halt.clone(),
                    owed: self.halt_owed.clone(),
                    alarm: self.alarm.clone(),
                };
                spawn(permission, root, &self.permission.0).await
            }
            Seat::Gate(credential) => {
                let found = self.gates.get(credential).map(|gate| gate.value().clone());
                let (end, handle) = found.ok_or("no such gate")?;
                spawn(Gate::new(handle, Arc::clone(&self.clock)), root, &end).await
            }
            Seat::Pool(kind) => {
                let found = self.pools.get(kind).map(|pool| pool.value().clone());
                let (end, slots) = found.ok_or("no such pool")?;
                spawn(ToolPool::new(slots), root, &end).await
            }
            Seat::Jobs => {
                let house = self.jobs_house.borrow().clone().ok_or("the jobs have no house")?;
                spawn(Jobs(house), root, &self.jobs.0).await
            }
            Seat::Wing(number) => {
                let house = self.house.borrow().clone().ok_or("the house is not furnished")?;
                let (end, _) = self.wings.get(*number).ok_or("no such wing")?;
                let restarts = self.restarts.clone();
                let gone = (self.deleted.subscribe(), self.leaving.subscribe());
                let wing = Wing::new(house, self.damaged.subscribe(), gone, restarts);
                spawn(wing, root, end).await
            }
        }
    }

    /// Nobody sits there any more. Sessions of a dead wing are dead too, and nobody else says so.
    pub(crate) fn vacate(&self, seat: &Seat) {
        match seat {
            Seat::Ledger => drop(self.ledger.0.send_replace(None)),
            Seat::Permission => drop(self.permission.0.send_replace(None)),
            Seat::Gate(credential) => {
                let found = self.gates.get(credential).map(|gate| gate.value().0.clone());
                drop(found.map(|end| end.send_replace(None)));
            }
            Seat::Pool(kind) => {
                let found = self.pools.get(kind).map(|pool| pool.value().0.clone());
                drop(found.map(|end| end.send_replace(None)));
            }
            Seat::Jobs => drop(self.jobs.0.send_replace(None)),
            Seat::Wing(number) => {
                if let Some((end, _)) = self.wings.get(*number) {
                    drop(end.send_replace(None));
                    self.board.sweep(*number, self.wings.len());
                }
            }
        }
    }

    /// Kills whoever sits there; `false` when nobody does.
    #[cfg(feature = "testing")]
    pub(crate) fn kill(&self, seat: &Seat) -> bool {
        match seat {
            Seat::Ledger => strike(&self.ledger.0),
            Seat::Permission => strike(&self.permission.0),
            Seat::Jobs => strike(&self.jobs.0),
            Seat::Gate(name) => self.gates.get(name).is_some_and(|gate| strike(&gate.value().0)),
            Seat::Pool(kind) => self.pools.get(kind).is_some_and(|pool| strike(&pool.value().0)),
            Seat::Wing(number) => self.wings.get(*number).is_some_and(|(end, _)| strike(end)),
        }
    }

    /// The gate of a credential; made if it is new. `true` when its actor must be started.
    pub(crate) fn gate(&self, credential: &CredentialName, calls: u32) -> (GateHandle, bool) {
        let mut new = false;
        // One look-up, so that two who come at once get the same gate.
        let gate = self.gates.entry(credential.clone()).or_insert_with(|| {
            new = true;
            gate::channel(credential.clone(), calls, &self.clock)
        });
        (gate.value().1.clone(), new)
    }

    /// The pool of a kind; made if it is new. `true` when its actor must be started.
    pub(crate) fn pool(&self, kind: &PoolKind, slots: u32) -> (Slots, bool) {
        let mut new = false;
        let pool = self.pools.entry(kind.clone()).or_insert_with(|| {
            new = true;
            Slots::channel(kind.clone(), slots)
        });
        (pool.value().1.clone(), new)
    }

    pub(crate) fn to_wing(&self, number: usize, message: WingMsg) -> bool {
        self.wings.get(number).is_some_and(|(_, wing)| wing.cast(message))
    }

    pub(crate) const fn clock(&self) -> &Arc<dyn Clock> {
        &self.clock
    }

    pub(crate) const fn restarts(&self) -> &Restarts {
        &self.restarts
    }

    pub(crate) const fn board(&self) -> &Switchboard {
        &self.board
    }

    pub(crate) const fn ledger(&self) -> &LedgerHandle {
        &self.ledger.1
    }

    pub(crate) const fn jobs(&self) -> &JobsHandle {
        &self.jobs.1
    }

    pub(crate) const fn permission(&self) -> &PermissionHandle {
        &self.permission.1
    }

    pub(crate) fn policy(&self) -> watch::Receiver<Arc<Policy>> {
        self.policy.subscribe()
    }

    pub(crate) fn damaged(&self) -> watch::Receiver<Arc<BTreeMap<SessionId, String>>> {
        self.damaged.subscribe()
    }

    /// Sessions that were let back without the step that failed.
    pub(crate) fn readmitted(&self) -> watch::Receiver<Arc<BTreeMap<SessionId, Readmission>>> {
        self.readmitted.subscribe()
    }

    /// Roots of trees that were deleted; false where that is not known to be done.
    pub(crate) fn deleted(&self) -> watch::Receiver<Arc<BTreeMap<SessionId, bool>>> {
        self.deleted.subscribe()
    }

    /// Sessions that nobody may wake while their tree is being deleted.
    pub(super) fn leaving(&self) -> watch::Receiver<Arc<BTreeSet<SessionId>>> {
        self.leaving.subscribe()
    }

    /// Sessions that nobody may wake from now on, or may again.
    pub(crate) fn leave(&self, those: &[SessionId], leave: bool) {
        self.leaving.send_modify(|leaving| {
            let all = Arc::make_mut(leaving);
            for session in those {
                if leave {
                    all.insert(*session);
                } else {
                    all.remove(session);
                }
            }
        });
    }

    /// Why nothing may begin, where somebody stopped everything.
    pub(crate) fn halt(&self) -> watch::Receiver<Option<Arc<Halt>>> {
        self.halt.subscribe()
    }
}

async fn spawn<A>(actor: A, root: ActorCell, end: &End<A::Msg>) -> Result<ActorId, String>
where
    A: Actor<Arguments = ()>,
{
    match Actor::spawn_linked(None, actor, (), root).await {
        Ok((started, _)) => {
            let id = started.get_id();
            end.send_replace(Some(started));
            Ok(id)
        }
        Err(error) => Err(error.to_string()),
    }
}

#[cfg(feature = "testing")]
fn strike<M>(end: &End<M>) -> bool {
    end.borrow().as_ref().map(|actor| actor.kill()).is_some()
}

/// Tells the session whose budget it is that it passed a mark; `true` once that stands in its log,
/// or never will. Anything else is told again by the ledger.
async fn warn(board: Switchboard, warning: Warning) -> bool {
    let (reply, answer) = oneshot::channel();
    let input = Box::new(Input::BudgetWarned {
        account: warning.account,
        dimension: warning.dimension,
        percent: warning.percent(),
    });
    let principal = PrincipalId::from("ledger");
    board.request(warning.account, Request::Order { input, principal, reply });
    match answer.await {
        Ok(Ok(())) => true,
        // Its inbox is full, or it went with the message in hand.
        Ok(Err(Rejected::Busy)) | Err(_) => false,
        // A log that takes nothing more.
        Ok(Err(
            Rejected::Quarantined { .. }
            | Rejected::NotQuarantined
            | Rejected::Archived
            | Rejected::NotOpened
            | Rejected::Exists
            | Rejected::TooLarge { .. }
            | Rejected::NoSuchApproval { .. }
            | Rejected::Expired { .. }
            | Rejected::NoSuchChild { .. }
            | Rejected::Full { .. }
            | Rejected::TurnInLog { .. }
            | Rejected::CallInLog { .. }
            | Rejected::Halted { .. }
            | Rejected::Gone
            | Rejected::BadValue { .. },
        )) => true,
    }
}

/// The rules that come with the runtime: its own tools touch nothing outside.
pub(crate) fn builtin_rules() -> RuleSet {
    let allow = builtin::ALL
        .iter()
        .map(|name| crate::domain::permission::RulePattern((*name).to_owned()))
        .collect();
    RuleSet { deny: Vec::new(), ask: Vec::new(), allow }
}
