//! Permission's actor, and the owner of the house log. It keeps the rules that stand for every
//! session and publishes them, compiled, as a snapshot; sessions decide by the snapshot, so no
//! decision waits for this actor. A rule holds once it is in the log. That everything is stopped holds
//! at once, before it is written: a store that is away must not keep the switch from working. That it is
//! lifted holds once it is written.
//!
//! It refuses to publish anything it could not compile: the rules in force stay in force.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use ractor::{Actor, ActorProcessingErr, ActorRef, SupervisionEvent};
use tokio::sync::{oneshot, watch};

use crate::{
    domain::{
        frame::LogId,
        house::{Halt, HouseEvent, Readmission},
        ids::{Position, PrincipalId, SessionId, TenantId},
    },
    fault, limits,
    log::{self, Trouble},
    owned::{Ended, Owned},
    policy::rules::{Desk, Layers, Places, Policy},
    ports::{Clock, Journal},
    protocol::{
        address::{ReplyTo, tell},
        permission::{HouseFold, HouseLoaded, PermissionMsg},
        wing::Alarm,
    },
};

#[cfg(all(test, feature = "testing"))]
mod tests;

/// The actor's fixed part.
pub(crate) struct Permission {
    pub(crate) journal: Arc<dyn Journal>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) desk: Desk,
    /// The folders that rules are relative to.
    pub(crate) places: Places,
    /// The configured rules; kept here so that a restart does not lose them.
    pub(crate) layers: watch::Sender<Layers>,
    /// The rules in force.
    pub(crate) policy: watch::Sender<Arc<Policy>>,
    /// Sessions off the stage whose own log cannot say so.
    pub(crate) damaged: watch::Sender<Arc<BTreeMap<SessionId, String>>>,
    /// Sessions let back without the step that failed.
    pub(crate) readmitted: watch::Sender<Arc<BTreeMap<SessionId, Readmission>>>,
    /// Roots of trees that were deleted.
    pub(crate) deleted: watch::Sender<Arc<BTreeMap<SessionId, bool>>>,
    /// Why nothing may begin.
    pub(crate) halt: watch::Sender<Option<Arc<Halt>>>,
    /// The same as far as it is not written; kept here so that whoever sits here next owes it.
    pub(crate) owed: watch::Sender<Option<Arc<Halt>>>,
    pub(crate) alarm: ReplyTo<Alarm>,
}

/// The actor's changing part; all but the log may be lost.
pub(crate) struct Desktop {
    house: Option<HouseLoaded>,
    task: Option<Owned>,
    queue: VecDeque<Entry>,
    flight: Option<Entry>,
}

/// A record on its way.
struct Entry {
    event: HouseEvent,
    /// Where it went, once it was on its way.
    at: Option<Position>,
    reply: Option<oneshot::Sender<Result<(), String>>>,
}

/// Reads and claims the house log.
pub(crate) async fn load(journal: Arc<dyn Journal>) -> Result<HouseLoaded, Trouble> {
    let claim = journal.claim(LogId::HOUSE).await?;
    let (mut fold, mut last) = (HouseFold::default(), None);
    let read = log::read::<HouseEvent>(&journal, LogId::HOUSE, Some(claim.tail), |frame| {
        let at = frame.envelope.position;
        for event in frame.events {
            fold.apply(&event, at);
            last = Some(event);
        }
        Ok(())
    });
    match read.await {
        Ok(_) => {}
        Err(error) => return Err(error.into()),
    }
    let (tenant, principal) = (TenantId::from("house"), PrincipalId::from("house"));
    Ok(HouseLoaded { writer: log::Writer::new(LogId::HOUSE, claim, tenant, principal), fold, last })
}

impl Actor for Permission {
    type Msg = PermissionMsg;
    type State = Desktop;
    type Arguments = ();

    async fn pre_start(
        &self,
        myself: ActorRef<PermissionMsg>,
        (): (),
    ) -> Result<Desktop, ActorProcessingErr> {
        let mut desktop = Desktop { house: None, task: None, queue: VecDeque::new(), flight: None };
        let owed = self.owed.borrow().as_deref().cloned();
        if let Some(Halt { reason, by }) = owed {
            let event = HouseEvent::Halted { reason, by };
            enqueue(&mut desktop, Entry { event, at: None, reply: None });
        }
        self.reload(&myself, &mut desktop);
        Ok(desktop)
    }

    async fn handle(
        &self,
        myself: ActorRef<PermissionMsg>,
        message: PermissionMsg,
        desktop: &mut Desktop,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            PermissionMsg::Remember { rule, by } => {
                let event = HouseEvent::RuleStanding { rule, by };
                enqueue(desktop, Entry { event, at: None, reply: None });
            }
            PermissionMsg::Configure { layers, reply } => {
                drop(reply.send(self.configure(*layers, desktop)));
            }
            PermissionMsg::Record { event, reply } => {
                enqueue(desktop, Entry { event: *event, at: None, reply });
                self.publish_halt(desktop);
            }
            PermissionMsg::Loaded { result } => self.loaded(&myself, desktop, result),
            PermissionMsg::Appended { result } => match result {
                Ok(position) => self.recorded(desktop, position),
                Err(trouble) => self.trouble(&myself, desktop, &trouble),
            },
            PermissionMsg::Retry => self.reload(&myself, desktop),
        }
        self.write_next(&myself, desktop);
        Ok(())
    }

    async fn handle_supervisor_evt(
        &self,
        _myself: ActorRef<PermissionMsg>,
        _event: SupervisionEvent,
        _desktop: &mut Desktop,
    ) -> Result<(), ActorProcessingErr> {
        // It has no children; ractor's default would stop it for one.
        Ok(())
    }
}

impl Permission {
    fn reload(&self, myself: &ActorRef<PermissionMsg>, desktop: &mut Desktop) {
        let myself = myself.clone();
        let task = Owned::watched(load(Arc::clone(&self.journal)), move |ended| {
            let result = match ended {
                Ended::Value(result) => result.map(Box::new),
                Ended::Panicked(text) => Err(Trouble::Damaged(text)),
                Ended::Aborted => return,
            };
            tell(&myself, PermissionMsg::Loaded { result });
        });
        desktop.house = None;
        desktop.task = Some(task);
    }

    fn loaded(
        &self,
        myself: &ActorRef<PermissionMsg>,
        desktop: &mut Desktop,
        result: Result<Box<HouseLoaded>, Trouble>,
    ) {
        match result {
            Ok(house) => {
                drop_written(desktop, &house);
                desktop.house = Some(*house);
                self.publish(desktop);
            }
            Err(trouble) => self.trouble(myself, desktop, &trouble),
        }
    }

    fn trouble(&self, myself: &ActorRef<PermissionMsg>, desktop: &mut Desktop, trouble: &Trouble) {
        tracing::warn!(error = %trouble, "house log");
        if let Trouble::Poisoned(why) | Trouble::Damaged(why) = trouble {
            self.alarm.send(Alarm::Poisoned { why: why.clone() });
        }
        // Whether it was written is not known; it goes first again, unless the log is found to
        // end with it.
        if let Some(entry) = desktop.flight.take() {
            desktop.queue.push_front(entry);
        }
        desktop.house = None;
        let (clock, myself) = (Arc::clone(&self.clock), myself.clone());
        desktop.task = Some(Owned::spawn(async move {
            clock.after(limits::SUSPEND_MS).await;
            tell(&myself, PermissionMsg::Retry);
        }));
    }

    fn configure(&self, layers: Layers, desktop: &Desktop) -> Result<(), String> {
        let mut whole = layers.clone();
        for rule in desktop.house.iter().flat_map(|house| &house.fold.standing) {
            whole.standing.push(rule.clone());
        }
        let policy = Policy::compile(&whole, self.desk).map_err(|error| error.to_string())?;
        let policy = policy.at(self.places.clone());
        self.layers.send_replace(layers);
        self.policy.send_replace(Arc::new(policy));
        Ok(())
    }

    /// Compiles what stands and publishes it. A deny that cannot be compiled would be a hole, so
    /// then nothing changes and the house hears of it.
    fn publish(&self, desktop: &Desktop) {
        let layers = self.layers.borrow().clone();
        if let Err(why) = self.configure(layers, desktop) {
            tracing::error!(%why, "standing rules cannot be compiled; the rules in force stay");
        }
        if let Some(house) = &desktop.house {
            // First: who is no longer off the stage may be started at once.
            self.readmitted.send_replace(Arc::new(house.fold.readmitted.clone()));
            self.damaged.send_replace(Arc::new(house.fold.quarantined.clone()));
            self.deleted.send_replace(Arc::clone(&house.fold.deleted));
        }
        self.publish_halt(desktop);
    }

    /// What is said of everything: by a record under way that stops it, or else by the log. Before the
    /// log has been read again what was said last stands.
    fn publish_halt(&self, desktop: &Desktop) {
        let mut under_way = desktop.queue.iter().rev().chain(&desktop.flight);
        let under_way = under_way.find_map(|entry| entry.event.halt().flatten());
        self.owed.send_replace(under_way.clone().map(Arc::new));
        let said = match (under_way, &desktop.house) {
            (Some(halt), _) => Some(halt),
            (None, Some(house)) => house.fold.halt.clone(),
            (None, None) => return,
        };
        self.halt.send_if_modified(|known| {
            let changes = known.as_deref() != said.as_ref();
            if changes {
                *known = said.map(Arc::new);
            }
            changes
        });
    }

    fn write_next(&self, myself: &ActorRef<PermissionMsg>, desktop: &mut Desktop) {
        let Some(house) = &desktop.house else { return };
        if desktop.flight.is_some() {
            return;
        }
        // Sessions say again on recovery what they may have said in vain, and several callers may find
        // one log damaged before the house knows of it; it is written once.
        let stands = |entry: &Entry| match &entry.event {
            HouseEvent::RuleStanding { rule, .. } => house.fold.standing.contains(rule),
            HouseEvent::Quarantined { session, .. } => house.fold.quarantined.contains_key(session),
            HouseEvent::Halted { reason, .. } => {
                house.fold.halt.as_ref().is_some_and(|halt| halt.reason == *reason)
            }
            HouseEvent::Unhalted { .. } => house.fold.halt.is_none(),
            // The same deletion asked for twice is one.
            HouseEvent::Deleting { root, .. } => house.fold.deleted.contains_key(root),
            HouseEvent::Deleted { root } => house.fold.deleted.get(root) == Some(&true),
            HouseEvent::Kept { root, .. } => !house.fold.deleted.contains_key(root),
            HouseEvent::Booted { .. }
            | HouseEvent::PricesSet { .. }
            | HouseEvent::Released { .. } => false,
        };
        let now = self.clock.now();
        let next = loop {
            let Some(entry) = desktop.queue.pop_front() else { return };
            if stands(&entry) {
                if let Some(reply) = entry.reply {
                    drop(reply.send(Ok(())));
                }
                continue;
            }
            let event = std::slice::from_ref(&entry.event);
            match house.writer.frame(event, Vec::new(), None, now) {
                Ok(append) => break (entry, append),
                // It fits into no frame, and those behind it do not wait for that.
                Err(error) => {
                    tracing::error!(%error, "a record does not fit into the house log");
                    if let Some(reply) = entry.reply {
                        drop(reply.send(Err(error.to_string())));
                    }
                }
            }
        };
        let (mut entry, append) = next;
        entry.at = Some(append.envelope.position);
        fault::point("house.before_append");
        let append = self.journal.append(append);
        let myself = myself.clone();
        desktop.task = Some(Owned::watched(append, move |ended| {
            let result = match ended {
                Ended::Value(Ok(position)) => Ok(position),
                Ended::Value(Err(error)) => Err(error.into()),
                Ended::Panicked(why) => Err(Trouble::Poisoned(why)),
                Ended::Aborted => return,
            };
            tell(&myself, PermissionMsg::Appended { result });
        }));
        desktop.flight = Some(entry);
    }

    fn recorded(&self, desktop: &mut Desktop, position: Position) {
        fault::point("house.recorded");
        let Some(entry) = desktop.flight.take() else { return };
        if let Some(house) = &mut desktop.house {
            house.writer.tail = position;
            house.fold.apply(&entry.event, position);
        }
        self.publish(desktop);
        if let Some(reply) = entry.reply {
            drop(reply.send(Ok(())));
        }
    }
}

/// The house log has one writer, so a record whose answer was lost is there if the log ends with it
/// at the place where it went.
fn drop_written(desktop: &mut Desktop, house: &HouseLoaded) {
    let written = desktop.queue.front().is_some_and(|entry| {
        entry.at == Some(house.writer.tail) && house.last.as_ref() == Some(&entry.event)
    });
    let entry = if written { desktop.queue.pop_front() } else { None };
    if let Some(reply) = entry.and_then(|entry| entry.reply) {
        drop(reply.send(Ok(())));
    }
}

/// Takes a record, unless too many wait already: then whoever asked is told, and a rule answered
/// for every session is told again by its session when that wakes. The word that stops everything is
/// always taken, where it is not the last one on that anyway.
fn enqueue(desktop: &mut Desktop, entry: Entry) {
    let stops = matches!(entry.event.halt(), Some(Some(_)));
    let last = desktop.queue.iter().rev().find_map(|entry| entry.event.halt());
    let is_due = stops && !matches!(last, Some(Some(_)));
    if is_due || desktop.queue.len() < limits::HOUSE_QUEUE {
        return desktop.queue.push_back(entry);
    }
    tracing::error!("too many records wait for the house log; one is refused");
    if let Some(reply) = entry.reply {
        drop(reply.send(Err("too many records wait for the house log; try again".to_owned())));
    }
}
