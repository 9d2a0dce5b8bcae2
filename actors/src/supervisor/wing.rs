//! A wing: it starts the sessions of its slice, watches them, starts them again after a backoff,
//! and wakes sleepers for whom something arrives. It decides nothing about their work.
//!
//! A session counts its own panics in its log. The wing counts only those of which the session
//! could not say anything any more, because it died before its first frame.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    sync::{Arc, Mutex, PoisonError},
};

use ractor::{Actor, ActorId, ActorProcessingErr, ActorRef, SupervisionEvent};
use tokio::sync::{oneshot, watch};

use crate::{
    domain::{
        agent::RestartPolicy,
        ids::{SessionId, Timestamp},
        outcome::{ChildOutcome, ChildReport},
        usage::Usage,
    },
    fault, limits,
    owned::Owned,
    policy::{
        recovery::{self, Next, Rate},
        turn::Rejected,
    },
    protocol::{
        address::tell,
        session::{Doors, Entry, Mail, SessionMsg},
        wing::{Alarm, Delivery, WingMsg, refuse},
    },
    session::{Session, Start, house::House, left},
};

/// The wing's fixed part.
pub(crate) struct Wing {
    house: Arc<House>,
    damaged: watch::Receiver<Arc<BTreeMap<SessionId, String>>>,
    rate: Restarts,
}

/// The restarts that all wings allow themselves together. Held only to count.
pub(crate) type Restarts = Arc<Mutex<Rate>>;

/// The wing's changing part: children and nothing else.
pub(crate) struct Children {
    children: HashMap<SessionId, Child>,
    by_actor: HashMap<ActorId, SessionId>,
    tick: Option<Owned>,
    closing: Option<(oneshot::Sender<usize>, usize)>,
}

/// A session this wing has something to do with.
#[derive(Default)]
struct Child {
    live: Option<ActorId>,
    generation: u64,
    /// Deaths in the window, for the backoff.
    deaths: Vec<Timestamp>,
    /// Deaths before the first frame: the log does not know of these.
    early_deaths: u32,
    /// How its agent wants it started again; known once it has come to work.
    restart: RestartPolicy,
    /// What it died of last.
    panic: Option<String>,
    waiting: VecDeque<Delivery>,
    timer: Option<Owned>,
}

impl Wing {
    pub(crate) const fn new(
        house: Arc<House>,
        damaged: watch::Receiver<Arc<BTreeMap<SessionId, String>>>,
        rate: Restarts,
    ) -> Self {
        Self { house, damaged, rate }
    }
}

impl Actor for Wing {
    type Msg = WingMsg;
    type State = Children;
    type Arguments = ();

    async fn pre_start(
        &self,
        myself: ActorRef<WingMsg>,
        (): (),
    ) -> Result<Children, ActorProcessingErr> {
        let mut children = Children {
            children: HashMap::new(),
            by_actor: HashMap::new(),
            tick: None,
            closing: None,
        };
        self.tick(&myself, &mut children);
        Ok(children)
    }

    async fn handle(
        &self,
        myself: ActorRef<WingMsg>,
        message: WingMsg,
        children: &mut Children,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            WingMsg::Deliver { session, delivery } => {
                self.deliver(&myself, children, session, delivery).await;
            }
            WingMsg::Wake { session } => self.wake(&myself, children, session).await,
            WingMsg::Restart { session, generation } => {
                let due = children
                    .children
                    .get(&session)
                    .is_some_and(|child| child.generation == generation && child.live.is_none());
                if due {
                    self.start(&myself, children, session).await;
                }
            }
            WingMsg::Settled { session, restart } => {
                if let Some(child) = children.children.get_mut(&session) {
                    child.restart = restart;
                    child.early_deaths = 0;
                    // News of a death overtakes messages: what this incarnation said before it
                    // died must not make its panic forgotten.
                    if child.live.is_some() {
                        child.panic = None;
                    }
                }
            }
            WingMsg::Quarantined { session, reason } => {
                self.house.alarm.send(Alarm::Quarantined { session, reason });
            }
            WingMsg::Tick => self.tick(&myself, children),
            WingMsg::Shutdown { done } => self.shut(children, done),
        }
        Ok(())
    }

    async fn handle_supervisor_evt(
        &self,
        myself: ActorRef<WingMsg>,
        event: SupervisionEvent,
        children: &mut Children,
    ) -> Result<(), ActorProcessingErr> {
        let (actor, panic, reason) = match event {
            SupervisionEvent::ActorFailed(cell, error) => {
                (cell.get_id(), Some(error.to_string()), String::new())
            }
            SupervisionEvent::ActorTerminated(cell, _, reason) => {
                let reason = reason.unwrap_or_default();
                // A kill is a crash: nobody of ours kills a session but a person or a test.
                let killed = matches!(reason.as_str(), "killed" | "actor_task_cancelled");
                (cell.get_id(), killed.then(|| reason.clone()), reason)
            }
            SupervisionEvent::ActorStarted(_) | SupervisionEvent::ProcessGroupChanged(_) => {
                return Ok(());
            }
        };
        let Some(session) = children.by_actor.remove(&actor) else { return Ok(()) };
        self.house.board.leave(session, actor);
        self.forget_slots(session);
        if let Some(child) = children.children.get_mut(&session) {
            child.live = None;
        }
        match panic {
            _ if children.closing.is_some() => self.closed_one(children, session),
            Some(panic) => self.died(&myself, children, session, panic),
            None => self.left(&myself, children, session, &reason).await,
        }
        Ok(())
    }
}

impl Wing {
    async fn deliver(
        &self,
        myself: &ActorRef<WingMsg>,
        children: &mut Children,
        session: SessionId,
        delivery: Delivery,
    ) {
        if children.closing.is_some() {
            // The reply port closes; whoever asked is being shut down too.
            return;
        }
        if let Some(reason) = self.damaged.borrow().get(&session) {
            return self.refuse_damaged(session, delivery, reason);
        }
        let child = children.children.entry(session).or_default();
        let awake = self.house.board.entry(session).is_some();
        if child.live.is_some() && awake && child.waiting.is_empty() {
            // It woke between the send and now. If it is leaving, its doors are closed and the
            // switchboard sends this back here, behind the news of its end.
            return self.hand_over(session, delivery);
        }
        if child.waiting.len() >= limits::WAKE_QUEUE {
            if let Delivery::Request(request) = delivery {
                refuse(*request, Rejected::Busy);
            }
            return;
        }
        child.waiting.push_back(delivery);
        if child.live.is_none() && child.timer.is_none() {
            self.start(myself, children, session).await;
        }
    }

    fn hand_over(&self, session: SessionId, delivery: Delivery) {
        match delivery {
            Delivery::Request(request) => self.house.board.request(session, *request),
            Delivery::Mail(mail) => self.house.board.mail(session, *mail),
        }
    }

    async fn wake(&self, myself: &ActorRef<WingMsg>, children: &mut Children, session: SessionId) {
        let known = children.children.get(&session);
        let busy = known.is_some_and(|child| child.live.is_some() || child.timer.is_some());
        let damaged = self.damaged.borrow().contains_key(&session);
        if !busy && !damaged && children.closing.is_none() {
            self.start(myself, children, session).await;
        }
    }

    /// Starts an incarnation and hands over what waits for it.
    async fn start(&self, myself: &ActorRef<WingMsg>, children: &mut Children, session: SessionId) {
        let child = children.children.entry(session).or_default();
        child.generation += 1;
        child.timer = None;
        let doors = Doors::new();
        let start = Start {
            session,
            may_create: child.waiting.iter().any(Delivery::creates),
            panic: child.panic.clone(),
            base: None,
            doors: doors.clone(),
        };
        let actor = Session { house: Arc::clone(&self.house) };
        fault::point("wing.before_start");
        match Actor::spawn_linked(None, actor, start, myself.get_cell()).await {
            Ok((actor, _)) => {
                child.live = Some(actor.get_id());
                let waiting = std::mem::take(&mut child.waiting);
                children.by_actor.insert(actor.get_id(), session);
                self.house.board.enter(session, Entry { actor, doors });
                for delivery in waiting {
                    self.hand_over(session, delivery);
                }
            }
            // Not even started: no event will say so.
            Err(error) => self.died(myself, children, session, error.to_string()),
        }
    }

    fn died(
        &self,
        myself: &ActorRef<WingMsg>,
        children: &mut Children,
        session: SessionId,
        panic: String,
    ) {
        let now = self.house.clock.now();
        let random = self.house.clock.random();
        let child = children.children.entry(session).or_default();
        tracing::warn!(%session, %panic, "session died");
        child.early_deaths += 1;
        let policy = child.restart;
        if child.early_deaths > policy.panics_max {
            let reason = format!("{} deaths before its first frame: {panic}", child.early_deaths);
            child.early_deaths = 0;
            for delivery in std::mem::take(&mut child.waiting) {
                self.refuse_damaged(session, delivery, &reason);
            }
            return self.house.alarm.send(Alarm::Quarantined { session, reason });
        }
        child.panic = Some(panic);
        child.deaths.retain(|at| now.since_ms(*at) <= policy.window_ms);
        child.deaths.push(now);
        // Only the backoff is wanted here; how many are too many is the log's to say.
        let patient = RestartPolicy { panics_max: u32::MAX, ..policy };
        let after_ms = match recovery::after_panic(&patient, &child.deaths, now, random) {
            Next::Restart { after_ms } => after_ms,
            Next::Quarantine { .. } => policy.backoff_max_ms,
        };
        let generation = child.generation;
        let wait = self.rate.lock().unwrap_or_else(PoisonError::into_inner).admit(now);
        self.later(myself, children, (session, generation), after_ms.saturating_add(wait));
    }

    fn later(
        &self,
        myself: &ActorRef<WingMsg>,
        children: &mut Children,
        (session, generation): (SessionId, u64),
        after_ms: u64,
    ) {
        let at = self.house.clock.now().plus_ms(after_ms);
        let (clock, myself) = (Arc::clone(&self.house.clock), myself.clone());
        let timer = Owned::spawn(async move {
            clock.sleep_until(at).await;
            tell(&myself, WingMsg::Restart { session, generation });
        });
        children.children.entry(session).or_default().timer = Some(timer);
    }

    /// A session ended by itself.
    async fn left(
        &self,
        myself: &ActorRef<WingMsg>,
        children: &mut Children,
        session: SessionId,
        reason: &str,
    ) {
        let Some(child) = children.children.get_mut(&session) else { return };
        if reason == left::SUSPENDED {
            let generation = child.generation;
            return self.later(myself, children, (session, generation), limits::SUSPEND_MS);
        }
        if reason == left::DAMAGED {
            // The house is recording it; what waits is refused once it has.
            let why = self.damaged.borrow().get(&session).cloned();
            let why = why.unwrap_or_else(|| "its log is damaged".to_owned());
            for delivery in std::mem::take(&mut child.waiting) {
                self.refuse_damaged(session, delivery, &why);
            }
        }
        if child.waiting.is_empty() {
            children.children.remove(&session);
        } else {
            self.start(myself, children, session).await;
        }
    }

    /// A session that cannot be read answers nobody; whoever asks is told why.
    fn refuse_damaged(&self, session: SessionId, delivery: Delivery, reason: &str) {
        match delivery {
            Delivery::Request(request) => {
                refuse(*request, Rejected::Quarantined { reason: reason.to_owned() });
            }
            Delivery::Mail(mail) => match *mail {
                Mail::Assign { creation, assignment, .. }
                | Mail::Cancel { creation, assignment, .. } => {
                    let Some(parent) = &creation.lineage.parent else { return };
                    let outcome = ChildOutcome::Quarantined { reason: reason.to_owned() };
                    let report = Box::new(ChildReport { outcome, usage: Usage::default() });
                    let report = Mail::Report { child: session, assignment, report };
                    self.house.board.mail(parent.session, report);
                }
                Mail::Report { .. } => {}
            },
        }
    }

    /// Requests for slots die with the session that made them.
    fn forget_slots(&self, session: SessionId) {
        for slots in self.house.tables.borrow().pools.values() {
            slots.forget(session);
        }
    }

    fn tick(&self, myself: &ActorRef<WingMsg>, children: &mut Children) {
        for session in children.by_actor.values() {
            if let Some(entry) = self.house.board.entry(*session) {
                // One that has gone meanwhile needs no tick.
                tell(&entry.actor, SessionMsg::Tick);
            }
        }
        let every = limits::TICK_MS.min(self.house.idle_ms.max(1));
        let at = self.house.clock.now().plus_ms(every);
        let (clock, myself) = (Arc::clone(&self.house.clock), myself.clone());
        children.tick = Some(Owned::spawn(async move {
            clock.sleep_until(at).await;
            tell(&myself, WingMsg::Tick);
        }));
    }

    fn shut(&self, children: &mut Children, done: oneshot::Sender<usize>) {
        children.tick = None;
        for child in children.children.values_mut() {
            child.timer = None;
            child.waiting.clear();
        }
        let live = children.by_actor.len();
        for session in children.by_actor.values() {
            if let Some(entry) = self.house.board.entry(*session) {
                entry.actor.stop(Some(left::SHUTDOWN.to_owned()));
            }
        }
        if live == 0 {
            // Whoever waited may have given up.
            done.send(0).ok();
        } else {
            children.closing = Some((done, live));
        }
    }

    fn closed_one(&self, children: &mut Children, session: SessionId) {
        children.children.remove(&session);
        if children.by_actor.is_empty()
            && let Some((done, live)) = children.closing.take()
        {
            done.send(live).ok();
        }
    }
}
