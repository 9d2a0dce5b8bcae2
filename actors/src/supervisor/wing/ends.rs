//! How a session's incarnation ends, and what follows: a pause and another one, sleep, or the end
//! of trying. What those hear who wait for one that does not come back.

use ractor::{ActorRef, actor::messages::BoxedState};

use super::{orphans::Orphans, *};

/// What a session's next start costs the house.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Toll {
    /// Nothing: it did not die.
    #[default]
    Free,
    /// It died, and asks the house first.
    Due,
    /// It died, and was promised this moment.
    Promised,
}

/// Lets go of what a session leaves behind. Whatever breaks in there is the session's own, and must
/// not take its wing along.
pub(super) fn let_go(session: Option<SessionId>, remains: Option<BoxedState>) {
    let drop = std::panic::AssertUnwindSafe(|| drop(remains));
    if let Err(panic) = std::panic::catch_unwind(drop) {
        let panic = panic_text(panic.as_ref());
        let session = session.map(tracing::field::display);
        tracing::warn!(session, %panic, "what a session left behind panicked");
    }
}

impl Wing {
    /// The pause of a session is over. One that died asks the house before it starts.
    pub(super) async fn restart(
        &self,
        myself: &ActorRef<WingMsg>,
        children: &mut Children,
        session: SessionId,
    ) {
        let child = children.children.entry(session).or_default();
        if self.damaged.borrow().contains_key(&session) {
            return self.off_stage(children, session);
        }
        if self.is_gone(session) {
            return self.forget(children, session);
        }
        let leave = match child.toll {
            Toll::Free => Leave::Start,
            Toll::Due | Toll::Promised => {
                let (now, random) = (self.house.clock.running(), self.house.clock.random());
                self.restarts.ask((session, child.toll == Toll::Promised), now, random)
            }
        };
        let (toll, after_ms) = match leave {
            Leave::Start => return self.start(myself, children, session).await,
            Leave::Promised { after_ms } => (Toll::Promised, after_ms),
            Leave::Held { after_ms } => (Toll::Due, after_ms),
        };
        child.toll = toll;
        let generation = child.generation;
        self.later(myself, children, (session, generation), after_ms);
    }

    /// Nobody starts it any more; whoever waits for it hears why.
    fn off_stage(&self, children: &mut Children, session: SessionId) {
        self.restarts.gone(session);
        let Some(child) = children.children.remove(&session) else { return };
        let why = self.damaged.borrow().get(&session).cloned();
        let why = why.unwrap_or_else(|| "it is off the stage".to_owned());
        for delivery in child.waiting {
            self.refuse_damaged(children, session, delivery, &why);
        }
    }

    /// It was deleted, or is about to be.
    fn forget(&self, children: &mut Children, session: SessionId) {
        self.restarts.gone(session);
        let waiting = children.children.remove(&session).map(|child| child.waiting);
        for delivery in waiting.into_iter().flatten() {
            self.turn_away(session, delivery);
        }
    }

    /// Mail to one that was deleted is for nobody. Whoever asks is told so once that is certain; before, the
    /// reply port closes, and it asks again.
    pub(super) fn turn_away(&self, session: SessionId, delivery: Delivery) {
        let done = self.gone.0.borrow().get(&session).copied();
        if let (Some(true), Delivery::Request(request)) = (done, delivery) {
            refuse(*request, Rejected::Gone);
        }
    }

    pub(super) fn died(
        &self,
        myself: &ActorRef<WingMsg>,
        children: &mut Children,
        session: SessionId,
        panic: String,
    ) {
        let now = self.house.clock.running();
        let random = self.house.clock.random();
        let child = children.children.entry(session).or_default();
        tracing::warn!(%session, %panic, "session died");
        self.restarts.died(session, now);
        child.early_deaths += 1;
        let policy = child.restart;
        if child.early_deaths > policy.panics_max {
            let reason = format!("{} deaths before its first frame: {panic}", child.early_deaths);
            return self.give_up(children, session, reason);
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
        child.toll = Toll::Due;
        let generation = child.generation;
        self.later(myself, children, (session, generation), after_ms);
    }

    /// It died too often before it could say so itself: the house says it, and forgets how often,
    /// so that whoever releases it gives it all its tries.
    fn give_up(&self, children: &mut Children, session: SessionId, reason: String) {
        self.restarts.gone(session);
        let waiting = children.children.remove(&session).map(|child| child.waiting);
        for delivery in waiting.into_iter().flatten() {
            self.refuse_damaged(children, session, delivery, &reason);
        }
        self.house.alarm.send(Alarm::Quarantined { session, reason });
    }

    pub(super) fn later(
        &self,
        myself: &ActorRef<WingMsg>,
        children: &mut Children,
        (session, generation): (SessionId, u64),
        after_ms: u64,
    ) {
        let (clock, myself) = (Arc::clone(&self.house.clock), myself.clone());
        let timer = Owned::spawn(async move {
            clock.after(after_ms).await;
            tell(&myself, WingMsg::Restart { session, generation });
        });
        children.children.entry(session).or_default().timer = Some(timer);
    }

    /// A session ended by itself.
    pub(super) async fn left(
        &self,
        myself: &ActorRef<WingMsg>,
        children: &mut Children,
        session: SessionId,
        reason: &str,
    ) {
        self.restarts.gone(session);
        if self.is_gone(session) {
            return self.forget(children, session);
        }
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
                self.refuse_damaged(children, session, delivery, &why);
            }
        }
        if children.children.get(&session).is_none_or(|child| child.waiting.is_empty()) {
            children.children.remove(&session);
        } else {
            self.start(myself, children, session).await;
        }
    }

    /// A session that cannot be read answers nobody; whoever asks is told why. What its parent
    /// wants stopped, the house stops below it.
    pub(super) fn refuse_damaged(
        &self,
        children: &mut Children,
        session: SessionId,
        delivery: Delivery,
        reason: &str,
    ) {
        match delivery {
            Delivery::Request(request) => {
                refuse(*request, Rejected::Quarantined { reason: reason.to_owned() });
            }
            Delivery::Mail(mail) => match *mail {
                Mail::Assign { parent, assignment, .. } => {
                    let of = (session, assignment);
                    orphans::tell(&self.house, parent, of, (reason, false));
                }
                Mail::Cancel { root, parent, assignment, reason: why, principal, .. } => {
                    let of = (session, assignment);
                    // Its parent asks until it is over; one look at a time is enough.
                    if children.orphans.get(&of).is_some_and(|task| !task.is_finished()) {
                        return;
                    }
                    let orphans = Orphans {
                        house: Arc::clone(&self.house),
                        damaged: Arc::clone(&self.damaged.borrow()),
                        root,
                        parent,
                        of,
                        why,
                        principal,
                    };
                    let task = Owned::spawn(orphans.stop(reason.to_owned()));
                    children.orphans.insert(of, task);
                }
                Mail::Report { .. } => {}
            },
        }
    }

    /// Requests for slots die with the session that made them.
    pub(super) fn forget_slots(&self, session: SessionId) {
        for slots in self.house.tables.borrow().pools.values() {
            slots.forget(session);
        }
    }
}
