//! The root: it starts the house's actors, starts them again when they die, and ends them in
//! order. It holds children and nothing else; all state is theirs or the log's.
//!
//! Restarts of one seat are counted; too many within the window end the runtime with a reason,
//! because whoever embeds it, or the service manager, must decide then.

mod deletions;
mod restarts;
mod seats;
mod sleepers;
pub(crate) mod wing;

use std::{collections::BTreeMap, sync::Arc};

use ractor::{Actor, ActorId, ActorProcessingErr, ActorRef, SupervisionEvent};
use tokio::sync::{oneshot, watch};

use crate::{
    bus::Bus,
    domain::{
        agent::RestartPolicy,
        house::HouseEvent,
        ids::{CredentialName, PoolKind, Timestamp},
    },
    fault, limits,
    owned::Owned,
    policy::recovery::{self, Next},
    protocol::{
        address::tell,
        wing::{Alarm, WingMsg},
    },
};
pub(crate) use seats::{Seats, builtin_rules};
pub(crate) use sleepers::Sleepers;

/// Where an actor of the house sits.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Seat {
    Ledger,
    Permission,
    Gate(CredentialName),
    Pool(PoolKind),
    Jobs,
    Wing(usize),
}

/// What the root is told.
#[derive(Debug)]
pub(crate) enum RootMsg {
    /// Start whoever belongs on this seat.
    Start { seat: Seat, done: Option<oneshot::Sender<()>> },
    /// Something the whole house must hear.
    Alarm(Alarm),
    /// Look for sleepers whose time has come.
    Scan,
    /// End everybody, in order.
    Shutdown { done: oneshot::Sender<Vec<String>> },
}

/// Why a runtime ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// It was asked to.
    Asked,
    /// The journal cannot be trusted any more.
    Poisoned {
        /// Why.
        why: String,
    },
    /// One of its own actors died too often.
    Broken {
        /// Which, and how.
        why: String,
    },
}

/// The root's fixed part.
pub(crate) struct Root {
    pub(crate) seats: Arc<Seats>,
    pub(crate) sleepers: Sleepers,
    /// Where the runtime's end is said.
    pub(crate) ended: watch::Sender<Option<Ended>>,
    /// Closed when the root has gone, whatever ended it.
    pub(crate) bus: Bus,
    /// In a dark house nobody is woken.
    pub(crate) dark: bool,
}

impl Drop for Root {
    fn drop(&mut self) {
        self.bus.close();
    }
}

/// The root's changing part.
#[derive(Default)]
pub(crate) struct Children {
    by_actor: BTreeMap<ActorId, Seat>,
    deaths: BTreeMap<Seat, Vec<Timestamp>>,
    timers: BTreeMap<Seat, Owned>,
    scan: Option<Owned>,
    waking: Option<Owned>,
    scans: u64,
    closing: bool,
}

impl Actor for Root {
    type Msg = RootMsg;
    type State = Children;
    type Arguments = ();

    async fn pre_start(
        &self,
        _myself: ActorRef<RootMsg>,
        (): (),
    ) -> Result<Children, ActorProcessingErr> {
        Ok(Children::default())
    }

    async fn handle(
        &self,
        myself: ActorRef<RootMsg>,
        message: RootMsg,
        children: &mut Children,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            RootMsg::Start { seat, done } => {
                self.start(&myself, children, seat).await;
                // Whoever waited may have gone.
                if let Some(done) = done {
                    done.send(()).ok();
                }
            }
            RootMsg::Alarm(alarm) => self.alarm(&myself, alarm),
            RootMsg::Scan => self.scan(&myself, children),
            RootMsg::Shutdown { done } => {
                children.closing = true;
                children.timers.clear();
                children.scan = None;
                children.waking = None;
                fault::point("shutdown.begun");
                let order = self.close(&myself, children).await;
                self.end(Ended::Asked);
                drop(done.send(order));
                myself.stop(None);
            }
        }
        Ok(())
    }

    async fn handle_supervisor_evt(
        &self,
        myself: ActorRef<RootMsg>,
        event: SupervisionEvent,
        children: &mut Children,
    ) -> Result<(), ActorProcessingErr> {
        let (actor, why) = match event {
            SupervisionEvent::ActorFailed(cell, error) => (cell.get_id(), error.to_string()),
            SupervisionEvent::ActorTerminated(cell, _, reason) => {
                (cell.get_id(), reason.unwrap_or_else(|| "stopped".to_owned()))
            }
            SupervisionEvent::ActorStarted(_) | SupervisionEvent::ProcessGroupChanged(_) => {
                return Ok(());
            }
        };
        if let Some(seat) = children.by_actor.remove(&actor)
            && !children.closing
        {
            self.died(&myself, children, seat, &why);
        }
        Ok(())
    }
}

impl Root {
    async fn start(&self, myself: &ActorRef<RootMsg>, children: &mut Children, seat: Seat) {
        if children.closing || children.by_actor.values().any(|taken| *taken == seat) {
            return;
        }
        children.timers.remove(&seat);
        match self.seats.start(&seat, myself.get_cell()).await {
            Ok(actor) => {
                let wing = matches!(seat, Seat::Wing(_));
                children.by_actor.insert(actor, seat);
                if wing {
                    self.wing_started(myself, children);
                }
            }
            Err(why) => self.died(myself, children, seat, &why),
        }
    }

    /// Nobody could be woken in a wing that was not there, so the next scan is a full one; once
    /// all wings are there it is now.
    fn wing_started(&self, myself: &ActorRef<RootMsg>, children: &mut Children) {
        children.scans = 0;
        children.waking = None;
        let wings = children.by_actor.values().filter(|seat| matches!(seat, Seat::Wing(_)));
        if wings.count() == limits::WINGS {
            self.scan(myself, children);
        }
    }

    fn died(&self, myself: &ActorRef<RootMsg>, children: &mut Children, seat: Seat, why: &str) {
        tracing::warn!(?seat, why, "an actor of the house died");
        self.seats.vacate(&seat);
        let clock = Arc::clone(self.seats.clock());
        let now = clock.running();
        let policy =
            RestartPolicy { backoff_ms: limits::SEAT_BACKOFF_MS, ..RestartPolicy::default() };
        let policy = RestartPolicy { panics_max: limits::SEAT_DEATHS_MAX, ..policy };
        let deaths = children.deaths.entry(seat.clone()).or_default();
        // A death of long ago neither counts nor lengthens the pause.
        deaths.retain(|at| now.since_ms(*at) < policy.window_ms);
        deaths.push(now);
        match recovery::after_panic(&policy, deaths, now, clock.random()) {
            Next::Restart { after_ms } => {
                let (myself, next) = (myself.clone(), seat.clone());
                let timer = Owned::spawn(async move {
                    clock.after(after_ms).await;
                    tell(&myself, RootMsg::Start { seat: next, done: None });
                });
                children.timers.insert(seat, timer);
            }
            Next::Quarantine { panics } => {
                self.end(Ended::Broken { why: format!("{seat:?} died {panics} times: {why}") });
                myself.stop(Some("broken".to_owned()));
            }
        }
    }

    fn alarm(&self, myself: &ActorRef<RootMsg>, alarm: Alarm) {
        match alarm {
            Alarm::Poisoned { why } => {
                tracing::error!(%why, "the journal is poisoned; the runtime stops");
                self.end(Ended::Poisoned { why });
                // Nothing that is done from here on could be recorded, so nothing is: everybody
                // ends with the root, calls and tools included.
                myself.stop(Some("poisoned".to_owned()));
            }
            Alarm::Quarantined { session, reason } => {
                tracing::error!(%session, %reason, "session quarantined");
                self.seats.permission().record(HouseEvent::Quarantined { session, reason });
            }
        }
    }

    /// Says why the runtime ends; the first reason counts.
    fn end(&self, ended: Ended) {
        self.ended.send_if_modified(|now| {
            let first = now.is_none();
            if first {
                *now = Some(ended);
            }
            first
        });
    }

    /// Wakes sleepers whose time has come; at times also all that had work in hand and are not
    /// awake, whatever put them to sleep.
    fn scan(&self, myself: &ActorRef<RootMsg>, children: &mut Children) {
        if self.dark {
            return;
        }
        let clock = Arc::clone(self.seats.clock());
        // One at a time: a scan that is still at it does this one's work.
        if children.waking.as_ref().is_none_or(Owned::is_finished) {
            let all = children.scans.is_multiple_of(limits::FULL_SCAN_EVERY);
            children.scans += 1;
            let (sleepers, now) = (self.sleepers.clone(), clock.now());
            children.waking = Some(Owned::spawn(async move { sleepers.look(all, now).await }));
        }
        let myself = myself.clone();
        children.scan = Some(Owned::spawn(async move {
            clock.after(limits::WAKE_SCAN_MS).await;
            tell(&myself, RootMsg::Scan);
        }));
    }

    /// Ends everybody: sessions first, then what they lean on, the ledger last.
    async fn close(&self, myself: &ActorRef<RootMsg>, children: &mut Children) -> Vec<String> {
        let clock = Arc::clone(self.seats.clock());
        let deadline = clock.running().plus_ms(limits::SHUTDOWN_MS);
        let late = || clock.after(deadline.since_ms(clock.running()));
        let mut order = Vec::new();
        // First of all, so that nothing new begins. What jobs have at work stays so in their logs.
        self.stop_those(
            myself,
            children,
            (|seat| matches!(seat, Seat::Jobs), deadline),
            &mut order,
        )
        .await;
        let mut wings = Vec::new();
        for number in 0..limits::WINGS {
            let (done, ended) = oneshot::channel();
            if self.seats.to_wing(number, WingMsg::Shutdown { done }) {
                wings.push(ended);
            }
        }
        for ended in wings {
            // A wing that does not finish in time is killed with the root, its sessions with it;
            // their logs say what they had in hand.
            tokio::select! {
                biased;
                _ = ended => {}
                () = late() => {}
            }
        }
        fault::point("shutdown.sessions_gone");
        let layers: [fn(&Seat) -> bool; 4] = [
            |seat| matches!(seat, Seat::Wing(_)),
            |seat| matches!(seat, Seat::Pool(_)),
            |seat| matches!(seat, Seat::Gate(_) | Seat::Permission),
            |seat| matches!(seat, Seat::Ledger),
        ];
        for layer in layers {
            self.stop_those(myself, children, (layer, deadline), &mut order).await;
        }
        order
    }

    /// Ends those on some seats, by a deadline.
    async fn stop_those(
        &self,
        myself: &ActorRef<RootMsg>,
        children: &Children,
        (those, deadline): (fn(&Seat) -> bool, Timestamp),
        order: &mut Vec<String>,
    ) {
        let clock = self.seats.clock();
        for cell in myself.get_children() {
            let Some(seat) = children.by_actor.get(&cell.get_id()).cloned() else { continue };
            if those(&seat) {
                cell.stop(None);
                tokio::select! {
                    biased;
                    _ = cell.wait(None) => {}
                    () = clock.after(deadline.since_ms(clock.running())) => cell.kill(),
                }
                self.seats.vacate(&seat);
                order.push(format!("{seat:?}"));
            }
        }
    }
}
