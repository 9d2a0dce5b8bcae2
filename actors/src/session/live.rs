//! A session at work: takes inputs one at a time, commits what they cause, then performs it.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
};

use futures_util::future::BoxFuture;
use ractor::ActorRef;
use tokio::sync::{OwnedSemaphorePermit, watch};

use crate::{
    domain::{
        conversation::ReplyBlock,
        event::{Event, FailureKind, ForkPoint, ModelFailure},
        ids::{
            Assignment, CallNo, InputKey, ModelCallNo, Position, PrincipalId, SessionId, Timestamp,
            ToolCallNo, TurnId,
        },
        outcome::TurnOutcome,
        tool::ToolOutcome,
    },
    limits,
    log::Writer,
    owned::Owned,
    policy::turn::{self, Checks, Effect, Env, Input, Run, State, builtin, prompt, state::Stage},
    protocol::{
        address::tell,
        lease::Lease,
        session::{Answer, Doors, Loaded, SessionMsg, Timer},
    },
};

use super::{Start, house::House, left};

/// A session at work.
pub(crate) struct Live {
    pub(super) house: Arc<House>,
    pub(super) myself: ActorRef<SessionMsg>,
    pub(super) doors: Doors,
    pub(super) state: State,
    pub(super) writer: Writer,
    pub(super) queue: VecDeque<Job>,
    pub(super) flight: Option<Flight>,
    /// On whose behalf the effects are that are being performed.
    pub(super) behalf: PrincipalId,
    pub(super) running: BTreeMap<CallNo, Running>,
    /// Slots held for calls that have not started.
    pub(super) leases: BTreeMap<ToolCallNo, Lease>,
    /// Who looks at the files that a call would run; the call's slot is held meanwhile.
    pub(super) looking: BTreeMap<ToolCallNo, Owned>,
    /// Tool calls for which the ledger has set room aside.
    pub(super) granted: BTreeSet<ToolCallNo>,
    /// Started calls that wait for a slot to run again.
    pub(super) again: BTreeMap<ToolCallNo, Run>,
    pub(super) timers: Timers,
    /// Ends that are looked up in the log for the parent.
    pub(super) old_ends: BTreeMap<Assignment, Owned>,
    pub(super) waiters: BTreeMap<InputKey, Vec<Answer<(TurnId, TurnOutcome)>>>,
    pub(super) call_waiters: BTreeMap<InputKey, Vec<Answer<ToolOutcome>>>,
    pub(super) touched_at: Timestamp,
    /// Whether the wing knows that this incarnation has come to work.
    pub(super) settled: bool,
    /// Whether the wing knows that this incarnation has done a step that worked.
    pub(super) progressed: bool,
    pub(super) stopped: bool,
    /// Whether it has stopped what it had in hand, since everything was stopped.
    pub(super) heeds: bool,
    /// Calls that had begun by the log as everything was stopped, and never left the house.
    pub(super) held_back: BTreeSet<CallNo>,
}

/// A task that calls a model or runs a tool.
pub(super) struct Running {
    pub(super) task: Owned,
    pub(super) cancel: Option<watch::Sender<bool>>,
}

/// Points in time the session waits for, each a task; dropping one forgets it.
#[derive(Default)]
pub(super) struct Timers {
    pub(super) due: Option<(Timestamp, Owned)>,
    pub(super) ask_again: Option<Owned>,
    pub(super) sweep: Option<Owned>,
    pub(super) overdue: BTreeMap<CallNo, Owned>,
    pub(super) no_slot: BTreeMap<ToolCallNo, Owned>,
}

/// What is done once no frame is in flight.
pub(super) enum Job {
    /// An input goes to the machine.
    Step(Work),
    /// Somebody waits for a turn.
    Outcome { key: InputKey, reply: Answer<(TurnId, TurnOutcome)> },
    /// The host waits for a tool call.
    Call { key: InputKey, reply: Answer<ToolOutcome> },
}

/// An input and whoever waits for it.
pub(super) struct Work {
    pub(super) input: Input,
    pub(super) by: PrincipalId,
    pub(super) caused_by: Option<String>,
    pub(super) answer: Answering,
    pub(super) permit: Option<OwnedSemaphorePermit>,
}

/// What becomes of the asker once the input is in the log, or refused.
pub(super) enum Answering {
    Nobody,
    Unit(Answer<()>),
    Position(Answer<Position>),
    /// A parent that must hear why its assignment was refused.
    Parent(Assignment),
}

/// A frame on its way into the log.
pub(super) struct Flight {
    pub(super) _task: Owned,
    pub(super) events: Arc<[Event]>,
    /// On whose behalf.
    pub(super) by: PrincipalId,
    pub(super) at: Timestamp,
    pub(super) effects: Vec<Effect>,
    pub(super) answer: Answering,
    pub(super) _permit: Option<OwnedSemaphorePermit>,
}

/// Why a frame is written, on whose behalf, and when.
pub(super) struct Cause {
    pub(super) by: PrincipalId,
    pub(super) caused_by: Option<String>,
    pub(super) permit: Option<OwnedSemaphorePermit>,
    pub(super) at: Timestamp,
}

impl Live {
    pub(super) fn new(
        house: Arc<House>,
        myself: ActorRef<SessionMsg>,
        doors: Doors,
        loaded: Loaded,
    ) -> Self {
        let touched_at = house.clock.running();
        let behalf = loaded.writer.principal.clone();
        if loaded.writer.tail > Position(0) {
            doors.say(loaded.state.status());
        }
        Self {
            house,
            myself,
            doors,
            state: *loaded.state,
            writer: loaded.writer,
            queue: VecDeque::new(),
            flight: None,
            behalf,
            running: BTreeMap::new(),
            leases: BTreeMap::new(),
            looking: BTreeMap::new(),
            granted: BTreeSet::new(),
            again: BTreeMap::new(),
            timers: Timers::default(),
            old_ends: BTreeMap::new(),
            waiters: BTreeMap::new(),
            call_waiters: BTreeMap::new(),
            touched_at,
            settled: false,
            progressed: false,
            stopped: false,
            heeds: false,
            held_back: BTreeSet::new(),
        }
    }

    /// The first input of every incarnation that finds a log.
    pub(super) fn recover(&mut self, panic: Option<String>) {
        // A fork that is being opened has a state but no log yet: nothing to recover.
        if self.writer.tail > Position(0) {
            let said = self.house.readmitted.borrow().get(&self.id()).cloned();
            // Once: after that its own log says that it was done.
            let due = said.filter(|release| Some(release.at) > self.state.house_release);
            self.enqueue(match due {
                Some(release) => Input::Readmitted { release: Box::new(release) },
                None => Input::Recovered { panic },
            });
            self.pump();
        }
    }

    pub(super) fn handle(&mut self, message: SessionMsg) {
        if self.stopped {
            return;
        }
        match message {
            SessionMsg::Request(counted) => {
                self.touched_at = self.house.clock.running();
                self.request(counted.body, counted.permit);
            }
            SessionMsg::Mail(counted) => {
                self.touched_at = self.house.clock.running();
                self.mail(counted.body, counted.permit);
            }
            SessionMsg::Appended(result) => self.appended(result),
            SessionMsg::ModelEnded { call, result } => self.model_ended(call, *result),
            SessionMsg::ModelPanicked { message } => {
                // Let it crash: what a provider broke may be broken here as well. The wing starts
                // this session again from its log, and counts.
                std::panic::resume_unwind(Box::new(message));
            }
            SessionMsg::ToolEnded { call, outcome } => {
                self.running.remove(&CallNo::Tool(call));
                self.timers.overdue.remove(&CallNo::Tool(call));
                self.enqueue(Input::ToolFinished { call, outcome: *outcome });
            }
            SessionMsg::BudgetDecided { answer, asked } => self.budget_decided(answer, asked),
            SessionMsg::Slot { call, slot, seen } => self.slot(call, slot, seen),
            SessionMsg::Timer(timer) => self.timer(timer),
            SessionMsg::Tick => self.tick(),
            // Only a loading session waits for its log.
            SessionMsg::Loaded(_) => {}
        }
        self.pump();
    }

    /// Queues an input of the session's own.
    pub(super) fn enqueue(&mut self, input: Input) {
        let by = self.writer.principal.clone();
        let answer = Answering::Nobody;
        self.push(Work { input, by, caused_by: None, answer, permit: None });
    }

    /// Takes inputs until one has something to commit.
    fn pump(&mut self) {
        while self.flight.is_none() && !self.stopped {
            self.heed();
            match self.queue.pop_front() {
                Some(Job::Step(work)) => self.take(work),
                // Answered only now: what the frame in flight says was not yet true.
                Some(Job::Outcome { key, reply }) => self.wait_outcome(key, reply),
                Some(Job::Call { key, reply }) => self.wait_call(key, reply),
                None => break,
            }
        }
    }

    fn take(&mut self, mut work: Work) {
        let first = matches!(work.input, Input::Recovered { .. } | Input::Readmitted { .. });
        self.hold_slots(&mut work.input);
        let now = self.house.clock.now();
        let (policy, tables) = (self.house.policy.borrow().clone(), self.tables());
        let halt = self.house.halt.borrow().clone();
        let look = |name: &_, args: &_| tables.check(name, args);
        let env = Env {
            now,
            random: self.house.clock.random(),
            by: &work.by,
            policy: &policy,
            agents: &tables.agents,
            prices: &tables.prices,
            checks: Checks(&look),
            dark: self.house.dark,
            halted: halt.as_ref().map(|halt| halt.reason.as_str()),
        };
        let mut effects = match turn::step(&mut self.state, &env, work.input) {
            Ok(effects) => effects,
            Err(rejected) => return self.refuse(work.answer, rejected),
        };
        self.drop_unused();
        let mut events = Vec::new();
        if let Some(Effect::Append { events: caused }) = effects.first_mut() {
            events = std::mem::take(caused);
        }
        if events.is_empty() {
            self.answer(work.answer);
            self.perform_all(effects);
            if first {
                self.settled();
            }
            return;
        }
        let cause = Cause { by: work.by, caused_by: work.caused_by, permit: work.permit, at: now };
        self.commit(events, effects, work.answer, cause);
    }

    pub(super) fn stop(&mut self, reason: &str) {
        self.stopped = true;
        self.myself.stop(Some(reason.to_owned()));
    }

    /// Takes slots for the tools a reply asks for, where some are free, so that they can start in
    /// the frame of the reply. The machine gives out call numbers in this order.
    fn hold_slots(&mut self, input: &mut Input) {
        let Input::ModelFinished { reply, slots, .. } = input else { return };
        let counted = !prompt::accounts(&self.state, &prompt::TOOL).is_empty();
        let mut call = self.state.next.tool;
        for block in &reply.blocks {
            let ReplyBlock::ToolUse { name, .. } = block else { continue };
            let pool = self.state.tool(name).filter(|_| !counted && !builtin::is_builtin(name));
            let lease = pool.and_then(|tool| self.tables().pools.get(&tool.pool)?.try_take());
            slots.push(lease.is_some());
            if let Some(lease) = lease {
                self.leases.insert(call, lease);
            }
            call = call.next();
        }
    }

    /// Lets go of everything that the state no longer asks for.
    fn drop_unused(&mut self) {
        let calls = &self.state.calls;
        let started = |no: &ToolCallNo| {
            calls.get(no).is_some_and(|call| matches!(call.stage, Stage::Started { .. }))
        };
        let asking = |no: &ToolCallNo| {
            calls.get(no).is_none_or(|call| matches!(call.stage, Stage::Asking { .. }))
        };
        // A slot given to a call that waits for it is kept until the machine has heard of it; an
        // agent that waits for a person holds none.
        self.leases.retain(|no, _| !asking(no));
        self.looking.retain(|no, _| !asking(no));
        self.again.retain(|no, _| started(no));
        // The machine gave back the room of a call that is being asked about.
        self.granted.retain(|no| !asking(no));
        let calling =
            self.state.turn.as_ref().and_then(|turn| turn.calling.as_ref()).map(|call| call.call);
        let open = |no: &CallNo| match no {
            CallNo::Model(no) => calling == Some(*no),
            CallNo::Tool(no) => calls.contains_key(no),
        };
        self.running.retain(|no, _| open(no));
        self.timers.overdue.retain(|no, _| open(no));
        self.timers.no_slot.retain(|no, _| calls.contains_key(no) && !started(no));
    }

    fn model_ended(
        &mut self,
        call: ModelCallNo,
        result: Result<crate::domain::conversation::Reply, ModelFailure>,
    ) {
        self.running.remove(&CallNo::Model(call));
        self.timers.overdue.remove(&CallNo::Model(call));
        self.enqueue(match result {
            Ok(reply) => Input::ModelFinished { call, reply: Box::new(reply), slots: Vec::new() },
            Err(failure) => Input::ModelFailed { call, failure },
        });
    }

    fn timer(&mut self, timer: Timer) {
        match timer {
            Timer::Due => {
                self.timers.due = None;
                self.enqueue(Input::TimerFired);
            }
            Timer::AskAgain => self.ask_again(),
            Timer::Sweep => self.sweep(),
            Timer::Overdue(call) => self.overdue(call),
            Timer::NoSlot(call) => {
                let reason = format!("no slot came free within {} ms", limits::TOOL_MS);
                self.enqueue(Input::SlotRefused { call, reason });
            }
        }
    }

    fn tick(&mut self) {
        use crate::domain::catalog::Status;
        let now = self.house.clock.running();
        let restless = match self.state.status() {
            Status::Running => self.state.opened.is_some(),
            // A cancel goes down through one off the stage, and is repeated until it has arrived.
            Status::Quarantined => self.state.is_stopping(),
            Status::Idle | Status::Waiting | Status::Archived => false,
        };
        let busy = self.flight.is_some()
            || !self.queue.is_empty()
            || !self.running.is_empty()
            || self.has_waiters();
        if restless || busy || now.since_ms(self.touched_at) < self.house.idle_ms {
            return;
        }
        if self.doors.close_if_empty() {
            self.stop(left::ASLEEP);
        }
    }

    /// Sends this session a timer message after a while; dropping the task forgets it.
    pub(super) fn after(&self, ms: u64, timer: Timer) -> Owned {
        self.when(self.house.clock.after(ms), timer)
    }

    /// The same at a moment of the wall, which is what the log and the caller know.
    pub(super) fn at(&self, at: Timestamp, timer: Timer) -> Owned {
        self.when(self.house.clock.sleep_until(at), timer)
    }

    fn when(&self, time_comes: BoxFuture<'static, ()>, timer: Timer) -> Owned {
        let myself = self.myself.clone();
        Owned::spawn(async move {
            time_comes.await;
            tell(&myself, SessionMsg::Timer(timer));
        })
    }

    /// Whether nothing has been written or is about to be.
    pub(super) fn is_blank(&self) -> bool {
        self.state.opened.is_none() && self.flight.is_none() && self.queue.is_empty()
    }

    /// What a new start of this very incarnation needs, to go on from another log's frame.
    pub(super) fn start_again(&self, base: ForkPoint) -> Start {
        Start {
            session: self.id(),
            may_create: true,
            panic: None,
            base: Some(base),
            doors: self.doors.clone(),
        }
    }

    /// Whether a frame is in flight.
    pub(super) const fn is_committing(&self) -> bool {
        self.flight.is_some()
    }

    pub(super) fn id(&self) -> SessionId {
        self.state.session
    }
}

#[cfg(feature = "testing")]
impl Drop for Live {
    fn drop(&mut self) {
        assert!(!crate::fault::struck("session.let_go", self.id()), "struck at its end");
    }
}

/// A model call that we broke off.
pub(super) fn aborted() -> ModelFailure {
    ModelFailure::new(FailureKind::Aborted, "broken off".to_owned(), false)
}
