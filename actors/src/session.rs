//! One session, one actor. It owns its folded state, the writing end of its log, and the tasks
//! that call its model and run its tools. It translates a message into an input, lets the machine
//! decide, commits the events, and performs the effects, in that order.
//!
//! While a frame is being written no other input is taken, so the state never runs ahead of the
//! log by more than the frame in flight; should that one fail, the actor stops and its successor
//! folds the log anew. Nothing here awaits the disk, the network or another actor.
//!
//! ```text
//!   loading ──log folded──▶ live ──nothing to do, doors empty──▶ stops (asleep)
//!      │                     │ panic ─────────────▶ failed: its wing starts it again
//!      │                     └ fenced, store gone ▶ stops with that reason
//!      └─missing, damaged, store away──▶ turning away ──doors empty──▶ stops with that reason
//! ```

pub(crate) mod house;

mod commit;
mod door;
mod heed;
mod live;
mod load;
mod model_task;
mod old_ends;
mod perform;
mod slots;
mod tool_task;

use std::{collections::VecDeque, sync::Arc};

use ractor::{Actor, ActorProcessingErr, ActorRef};

use crate::{
    domain::{event::ForkPoint, ids::SessionId},
    fault,
    owned::Owned,
    policy::turn::Rejected,
    protocol::{
        address::tell,
        session::{Doors, LoadFailed, LoadResult, Request, SessionMsg},
        wing::{Alarm, WingMsg, refuse},
    },
};
use house::House;
use live::Live;
pub(crate) use load::{changes, fork_base, state_at};
pub(crate) use model_task::{restored, unpacked};

/// The actor's fixed part.
pub(crate) struct Session {
    pub(crate) house: Arc<House>,
}

/// What an incarnation is started with.
#[derive(Debug)]
pub(crate) struct Start {
    pub(crate) session: SessionId,
    /// Whether it may come into being.
    pub(crate) may_create: bool,
    /// The panic its predecessor died of.
    pub(crate) panic: Option<String>,
    /// The frame it goes on from, for a fork that is being opened.
    pub(crate) base: Option<ForkPoint>,
    pub(crate) doors: Doors,
}

/// The actor's changing part. Boxed: an idle session should cost little.
pub(crate) enum Stage {
    Loading(Box<Loading>),
    Live(Box<Live>),
    TurningAway(Box<TurningAway>),
}

pub(crate) struct Loading {
    start: Start,
    _task: Owned,
    waiting: VecDeque<SessionMsg>,
}

/// A session without a log to go on from: it answers who is inside already, then it leaves.
pub(crate) struct TurningAway {
    start: Start,
    failed: LoadFailed,
    reason: &'static str,
}

/// Reasons with which a session stops by itself; its wing reads them.
pub(crate) mod left {
    /// It had nothing to do.
    pub(crate) const ASLEEP: &str = "asleep";
    /// Somebody else owns its log.
    pub(crate) const FENCED: &str = "fenced";
    /// The journal does not answer.
    pub(crate) const SUSPENDED: &str = "suspended";
    /// It does not exist.
    pub(crate) const MISSING: &str = "missing";
    /// Its log is damaged.
    pub(crate) const DAMAGED: &str = "damaged";
    /// The runtime is going down.
    pub(crate) const SHUTDOWN: &str = "shutdown";
}

impl Actor for Session {
    type Msg = SessionMsg;
    type State = Stage;
    type Arguments = Start;

    async fn pre_start(
        &self,
        myself: ActorRef<SessionMsg>,
        start: Start,
    ) -> Result<Stage, ActorProcessingErr> {
        assert!(!fault::struck("session.loading", start.session), "struck before its first step");
        Ok(self.loading(myself, start, VecDeque::new()))
    }

    async fn handle(
        &self,
        myself: ActorRef<SessionMsg>,
        message: SessionMsg,
        stage: &mut Stage,
    ) -> Result<(), ActorProcessingErr> {
        if fault::struck("session.handling", stage.session()) {
            return Err("struck at a message".into());
        }
        match stage {
            Stage::Live(live) => {
                // A fork begins with what another log says, so that log is read first.
                if let Some(base) = forks(&message).filter(|_| live.is_blank()) {
                    let start = live.start_again(base);
                    *stage = self.loading(myself, start, VecDeque::from([message]));
                } else {
                    live.handle(message);
                }
            }
            Stage::Loading(loading) => {
                if let SessionMsg::Loaded(result) = message {
                    let waiting = std::mem::take(&mut loading.waiting);
                    *stage = self.loaded(&myself, &loading.start, *result, waiting);
                } else if !matches!(message, SessionMsg::Tick) {
                    loading.waiting.push_back(message);
                }
            }
            Stage::TurningAway(leaving) => {
                if leaving.may_begin_with(&message) {
                    let start = leaving.start.again(forks(&message));
                    *stage = self.loading(myself, start, VecDeque::from([message]));
                } else {
                    leaving.turn_away(message);
                    leaving.leave(&myself);
                }
            }
        }
        Ok(())
    }
}

impl Stage {
    fn session(&self) -> SessionId {
        match self {
            Self::Loading(loading) => loading.start.session,
            Self::Live(live) => live.id(),
            Self::TurningAway(leaving) => leaving.start.session,
        }
    }
}

impl Session {
    fn loading(
        &self,
        myself: ActorRef<SessionMsg>,
        start: Start,
        waiting: VecDeque<SessionMsg>,
    ) -> Stage {
        let (session, base) = (start.session, start.base);
        let task = load::load(Arc::clone(&self.house), session, start.may_create, base);
        let task = Owned::watched(task, move |ended| {
            // The session may have been stopped meanwhile; then nobody needs its log.
            tell(&myself, SessionMsg::Loaded(Box::new(load::result(ended))));
        });
        Stage::Loading(Box::new(Loading { start, _task: task, waiting }))
    }

    fn loaded(
        &self,
        myself: &ActorRef<SessionMsg>,
        start: &Start,
        result: LoadResult,
        waiting: VecDeque<SessionMsg>,
    ) -> Stage {
        let failed = match result {
            Ok(loaded) => {
                if loaded.state.opened.is_none()
                    && start.base.is_none()
                    && let Some(base) = waiting.iter().find_map(forks)
                {
                    let start = start.again(Some(base));
                    return self.loading(myself.clone(), start, waiting);
                }
                let house = Arc::clone(&self.house);
                let doors = start.doors.clone();
                let mut live = Live::new(house, myself.clone(), doors, loaded);
                live.recover(start.panic.clone());
                for message in waiting {
                    live.handle(message);
                }
                return Stage::Live(Box::new(live));
            }
            Err(failed) => failed,
        };
        // Somebody who may bring it into being came while the first look found nothing.
        if matches!(failed, LoadFailed::Missing) && waiting.iter().any(creates) {
            let start = start.again(waiting.iter().find_map(forks));
            return self.loading(myself.clone(), start, waiting);
        }
        self.give_up(myself, start, failed, waiting)
    }

    fn give_up(
        &self,
        myself: &ActorRef<SessionMsg>,
        start: &Start,
        failed: LoadFailed,
        waiting: VecDeque<SessionMsg>,
    ) -> Stage {
        let session = start.session;
        let reason = match &failed {
            LoadFailed::Missing | LoadFailed::BaseGone(_) => left::MISSING,
            LoadFailed::Damaged(why) => {
                let reason = why.clone();
                self.house.board.to_wing(session, WingMsg::Quarantined { session, reason });
                left::DAMAGED
            }
            LoadFailed::Unavailable(why) => {
                tracing::warn!(%session, %why, "the log cannot be read for now");
                left::SUSPENDED
            }
            LoadFailed::Poisoned(why) => {
                self.house.alarm.send(Alarm::Poisoned { why: why.clone() });
                left::SUSPENDED
            }
        };
        let leaving = TurningAway { start: start.again(None), failed, reason };
        for message in waiting {
            leaving.turn_away(message);
        }
        leaving.leave(myself);
        Stage::TurningAway(Box::new(leaving))
    }
}

impl TurningAway {
    /// Whether this one may bring into being what was not there.
    fn may_begin_with(&self, message: &SessionMsg) -> bool {
        matches!(self.failed, LoadFailed::Missing) && creates(message)
    }

    fn turn_away(&self, message: SessionMsg) {
        let SessionMsg::Request(counted) = message else { return };
        match &self.failed {
            LoadFailed::Missing => refuse(counted.body, Rejected::NotOpened),
            LoadFailed::BaseGone(base) => {
                let what = format!("{base} was deleted; there is nothing to go on from");
                refuse(counted.body, Rejected::BadValue { what });
            }
            LoadFailed::Damaged(why) => {
                refuse(counted.body, Rejected::Quarantined { reason: why.clone() });
            }
            // The reply port closes; whoever asked asks again until its own deadline.
            LoadFailed::Unavailable(_) | LoadFailed::Poisoned(_) => {}
        }
    }

    /// Stops once nobody is inside. Its doors are shut then: who comes later is sent to its wing,
    /// behind the news of its end, so no question is lost in the mailbox of one that stops.
    fn leave(&self, myself: &ActorRef<SessionMsg>) {
        if self.start.doors.close_if_empty() {
            myself.stop(Some(self.reason.to_owned()));
        }
    }
}

impl Start {
    /// The same session, which may come into being now.
    fn again(&self, base: Option<ForkPoint>) -> Self {
        let doors = self.doors.clone();
        Self { session: self.session, may_create: true, panic: None, base, doors }
    }
}

/// The frame that a message wants its session to go on from.
fn forks(message: &SessionMsg) -> Option<ForkPoint> {
    let SessionMsg::Request(counted) = message else { return None };
    match &counted.body {
        Request::Open { fork, .. } => *fork,
        Request::Submit { .. }
        | Request::Outcome { .. }
        | Request::Order { .. }
        | Request::CallOutcome { .. }
        | Request::Checkpoint { .. } => None,
    }
}

fn creates(message: &SessionMsg) -> bool {
    match message {
        SessionMsg::Request(counted) => matches!(counted.body, Request::Open { .. }),
        SessionMsg::Mail(counted) => counted.body.creates(),
        SessionMsg::Loaded(_)
        | SessionMsg::Appended(_)
        | SessionMsg::ModelEnded { .. }
        | SessionMsg::ModelPanicked { .. }
        | SessionMsg::ToolEnded { .. }
        | SessionMsg::BudgetDecided { .. }
        | SessionMsg::Slot { .. }
        | SessionMsg::Timer(_)
        | SessionMsg::Tick => false,
    }
}
