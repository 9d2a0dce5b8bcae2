//! A wing: it starts the sessions of its slice, watches them, starts them again after a backoff,
//! and wakes sleepers for whom something arrives. It decides nothing about their work.
//!
//! A session counts its own panics in its log. The wing counts only those of which the session
//! could not say anything any more, because it died before its first frame.

mod ends;
mod orphans;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, VecDeque},
    sync::Arc,
};

use ractor::{Actor, ActorId, ActorProcessingErr, ActorRef, SupervisionEvent};
use tokio::sync::{oneshot, watch};

use crate::{
    domain::{
        agent::RestartPolicy,
        ids::{Assignment, SessionId, Timestamp},
        outcome::{ChildOutcome, ChildReport},
        usage::Usage,
    },
    fault, limits,
    owned::{Owned, panic_text},
    policy::{
        recovery::{self, Next},
        turn::Rejected,
    },
    protocol::{
        address::tell,
        session::{Doors, Entry, Mail, SessionMsg},
        wing::{Alarm, Delivery, WingMsg, refuse},
    },
    session::{Session, Start, house::House, left},
};

use super::restarts::{Leave, Restarts};
use ends::{Toll, let_go};

/// The wing's fixed part.
pub(crate) struct Wing {
    house: Arc<House>,
    damaged: watch::Receiver<Arc<BTreeMap<SessionId, String>>>,
    gone: Gone,
    restarts: Restarts,
}

/// Roots of deleted trees, and all of a tree that is being deleted.
type Gone =
    (watch::Receiver<Arc<BTreeMap<SessionId, bool>>>, watch::Receiver<Arc<BTreeSet<SessionId>>>);

/// The wing's changing part: children and nothing else.
pub(crate) struct Children {
    children: HashMap<SessionId, Child>,
    by_actor: HashMap<ActorId, SessionId>,
    tick: Option<Owned>,
    /// Cancels that go on below a session that cannot be read.
    orphans: HashMap<(SessionId, Assignment), Owned>,
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
    /// Whether its next start must be granted by the house.
    toll: Toll,
}

impl Wing {
    pub(crate) const fn new(
        house: Arc<House>,
        damaged: watch::Receiver<Arc<BTreeMap<SessionId, String>>>,
        gone: Gone,
        restarts: Restarts,
    ) -> Self {
        Self { house, damaged, gone, restarts }
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
            orphans: HashMap::new(),
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
                    self.restart(&myself, children, session).await;
                }
            }
            WingMsg::Settled { session, restart, performs } => {
                self.settled(children, session, restart, performs);
            }
            WingMsg::Progressed { session } => {
                // As in `settled`: what one that has died said before proves nothing.
                let live = children.children.get(&session).is_some_and(|it| it.live.is_some());
                if live {
                    self.restarts.progressed(session);
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
            SupervisionEvent::ActorTerminated(cell, remains, reason) => {
                let_go(children.by_actor.get(&cell.get_id()).copied(), remains);
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
    /// A session is at work; `performs` unless it is off the stage by what its own log says.
    fn settled(
        &self,
        children: &mut Children,
        session: SessionId,
        restart: RestartPolicy,
        performs: bool,
    ) {
        let Some(child) = children.children.get_mut(&session) else { return };
        child.restart = restart;
        child.early_deaths = 0;
        // News of a death overtakes messages: what this incarnation said before it died must not
        // make its panic forgotten, and proves nothing about the next one.
        if child.live.is_none() {
            return;
        }
        child.panic = None;
        if performs {
            self.restarts.settled(session, self.house.clock.running());
        } else {
            self.restarts.gone(session);
        }
    }

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
        if self.is_gone(session) {
            return self.turn_away(session, delivery);
        }
        let damaged = self.damaged.borrow().get(&session).cloned();
        if let Some(reason) = damaged {
            return self.refuse_damaged(children, session, delivery, &reason);
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
            self.first(myself, children, session).await;
        }
    }

    /// Whether nobody starts it: it was deleted, or may be in a moment.
    fn is_gone(&self, session: SessionId) -> bool {
        self.gone.0.borrow().contains_key(&session) || self.gone.1.borrow().contains(&session)
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
        if !busy && !damaged && !self.is_gone(session) && children.closing.is_none() {
            self.first(myself, children, session).await;
        }
    }

    /// Starts one that this wing has not seen die: at once, unless an earlier wing has and the
    /// breaker still holds it up.
    async fn first(&self, myself: &ActorRef<WingMsg>, children: &mut Children, session: SessionId) {
        if self.restarts.holds(session) {
            children.children.entry(session).or_default().toll = Toll::Due;
        }
        self.restart(myself, children, session).await;
    }

    /// Starts an incarnation and hands over what waits for it.
    async fn start(&self, myself: &ActorRef<WingMsg>, children: &mut Children, session: SessionId) {
        let child = children.children.entry(session).or_default();
        child.generation += 1;
        (child.timer, child.toll) = (None, Toll::Free);
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

    fn tick(&self, myself: &ActorRef<WingMsg>, children: &mut Children) {
        self.restarts.look(self.house.clock.running());
        children.orphans.retain(|_, task| !task.is_finished());
        for session in children.by_actor.values() {
            if let Some(entry) = self.house.board.entry(*session) {
                // One that has gone meanwhile needs no tick.
                tell(&entry.actor, SessionMsg::Tick);
            }
        }
        let every = limits::TICK_MS.min(self.house.idle_ms.max(1));
        let (clock, myself) = (Arc::clone(&self.house.clock), myself.clone());
        children.tick = Some(Owned::spawn(async move {
            clock.after(every).await;
            tell(&myself, WingMsg::Tick);
        }));
    }

    fn shut(&self, children: &mut Children, done: oneshot::Sender<usize>) {
        children.tick = None;
        children.orphans.clear();
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
