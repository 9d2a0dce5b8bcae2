//! A session at work: takes inputs one at a time, commits what they cause, then performs it.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
};

use ractor::ActorRef;
use tokio::sync::{OwnedSemaphorePermit, watch};

use crate::{
    bus::{Frame, Note},
    domain::{
        conversation::ReplyBlock,
        event::{Event, FailureKind, ForkPoint, ModelFailure},
        ids::{
            Assignment, CallNo, InputKey, ModelCallNo, Position, PrincipalId, SessionId, Timestamp,
            ToolCallNo, TurnId,
        },
        outcome::{ChildOutcome, ChildReport, TurnOutcome},
        tool::ToolOutcome,
    },
    fault, limits,
    log::Writer,
    owned::{Ended, Owned},
    policy::{
        catalog,
        turn::{self, Effect, Env, Input, Rejected, Run, State, builtin, prompt, state::Stage},
    },
    ports::{AppendError, JournalError},
    protocol::{
        lease::Lease,
        session::{Answer, Doors, Loaded, Mail, Request, SessionMsg, Timer},
        trouble::Trouble,
        wing::{Alarm, WingMsg},
    },
};

use super::{Start, house::House, left};

/// A session at work.
pub(crate) struct Live {
    pub(super) house: Arc<House>,
    pub(super) myself: ActorRef<SessionMsg>,
    doors: Doors,
    pub(super) state: State,
    pub(super) writer: Writer,
    queue: VecDeque<Job>,
    flight: Option<Flight>,
    pub(super) running: BTreeMap<CallNo, Running>,
    /// Slots held for calls that have not started.
    pub(super) leases: BTreeMap<ToolCallNo, Lease>,
    /// Tool calls for which the ledger has set room aside.
    pub(super) granted: BTreeSet<ToolCallNo>,
    /// Started calls that wait for a slot to run again.
    pub(super) again: BTreeMap<ToolCallNo, Run>,
    pub(super) timers: Timers,
    waiters: BTreeMap<InputKey, Vec<Answer<(TurnId, TurnOutcome)>>>,
    call_waiters: BTreeMap<InputKey, Vec<Answer<ToolOutcome>>>,
    touched_at: Timestamp,
    /// Whether the wing knows that this incarnation has come to work.
    settled: bool,
    stopped: bool,
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
}

/// What is done once no frame is in flight.
enum Job {
    /// An input goes to the machine.
    Step(Work),
    /// Somebody waits for a turn.
    Outcome { key: InputKey, reply: Answer<(TurnId, TurnOutcome)> },
    /// The host waits for a tool call.
    Call { key: InputKey, reply: Answer<ToolOutcome> },
}

/// An input and whoever waits for it.
struct Work {
    input: Input,
    by: PrincipalId,
    caused_by: Option<String>,
    answer: Answering,
    permit: Option<OwnedSemaphorePermit>,
}

/// What becomes of the asker once the input is in the log, or refused.
enum Answering {
    Nobody,
    Unit(Answer<()>),
    Position(Answer<Position>),
    /// A parent that must hear why its assignment was refused.
    Parent(Assignment),
}

/// A frame on its way into the log.
struct Flight {
    _task: Owned,
    events: Arc<[Event]>,
    at: Timestamp,
    effects: Vec<Effect>,
    answer: Answering,
    _permit: Option<OwnedSemaphorePermit>,
}

impl Live {
    pub(super) fn new(
        house: Arc<House>,
        myself: ActorRef<SessionMsg>,
        doors: Doors,
        loaded: Loaded,
    ) -> Self {
        let touched_at = house.clock.now();
        Self {
            house,
            myself,
            doors,
            state: *loaded.state,
            writer: loaded.writer,
            queue: VecDeque::new(),
            flight: None,
            running: BTreeMap::new(),
            leases: BTreeMap::new(),
            granted: BTreeSet::new(),
            again: BTreeMap::new(),
            timers: Timers::default(),
            waiters: BTreeMap::new(),
            call_waiters: BTreeMap::new(),
            touched_at,
            settled: false,
            stopped: false,
        }
    }

    /// The first input of every incarnation that finds a log.
    pub(super) fn recover(&mut self, panic: Option<String>) {
        // A fork that is being opened has a state but no log yet: nothing to recover.
        if self.writer.tail > Position(0) {
            self.enqueue(Input::Recovered { panic });
            self.pump();
        }
    }

    pub(super) fn handle(&mut self, message: SessionMsg) {
        if self.stopped {
            return;
        }
        match message {
            SessionMsg::Request(counted) => {
                self.touched_at = self.house.clock.now();
                self.request(counted.body, counted.permit);
            }
            SessionMsg::Mail(counted) => {
                self.touched_at = self.house.clock.now();
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
            SessionMsg::BudgetDecided { call, decision } => self.budget_decided(call, decision),
            SessionMsg::Slot { call, slot } => self.slot(call, slot),
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

    fn push(&mut self, work: Work) {
        self.queue.push_back(Job::Step(work));
    }

    fn request(&mut self, request: Request, permit: OwnedSemaphorePermit) {
        let permit = Some(permit);
        let (input, by, caused_by, answer) = match request {
            Request::Open { creation, fork, tenant, principal, reply } => {
                if self.state.opened.is_none() || fork.is_some() {
                    self.writer.tenant = tenant;
                    self.writer.principal = principal.clone();
                }
                let input = Input::Opened { creation, fork };
                (input, principal, None, Answering::Unit(reply))
            }
            Request::Submit { key, input, principal, reply } => {
                let cause = Some(key.0.clone());
                let input = Input::Submitted { key, input };
                (input, principal, cause, Answering::Unit(reply))
            }
            Request::Order { input, principal, reply } => {
                (*input, principal, None, Answering::Unit(reply))
            }
            Request::Checkpoint { name, value, principal, reply } => {
                let input = Input::Checkpointed { name, at: self.writer.tail, value };
                (input, principal, None, Answering::Position(reply))
            }
            Request::Outcome { key, reply } => {
                return self.queue.push_back(Job::Outcome { key, reply });
            }
            Request::CallOutcome { key, reply } => {
                return self.queue.push_back(Job::Call { key, reply });
            }
        };
        self.push(Work { input, by, caused_by, answer, permit });
    }

    fn wait_outcome(&mut self, key: InputKey, reply: Answer<(TurnId, TurnOutcome)>) {
        let answer = match self.state.inputs.get(&key) {
            _ if self.state.opened.is_none() => Err(Rejected::NotOpened),
            None => {
                let what = format!("no input {key} was accepted; submit it first");
                Err(Rejected::BadValue { what })
            }
            Some(turn) => {
                let ended = turn.and_then(|turn| Some((turn, self.state.outcomes.get(&turn)?)));
                match (ended, &self.state.quarantined) {
                    (Some((turn, outcome)), _) => Ok((turn, outcome.clone())),
                    (None, Some(reason)) => Err(Rejected::Quarantined { reason: reason.clone() }),
                    (None, None) => {
                        return self.waiters.entry(key).or_default().push(reply);
                    }
                }
            }
        };
        drop(reply.send(answer));
    }

    fn wait_call(&mut self, key: InputKey, reply: Answer<ToolOutcome>) {
        let known = self.state.host_calls.get(&key).map(|call| call.outcome.clone());
        match known {
            Some(Some(outcome)) => drop(reply.send(Ok(outcome))),
            Some(None) => self.call_waiters.entry(key).or_default().push(reply),
            None => {
                let what = format!("no tool call {key} was asked for; invoke it first");
                drop(reply.send(Err(Rejected::BadValue { what })));
            }
        }
    }

    fn mail(&mut self, mail: Mail, permit: OwnedSemaphorePermit) {
        let answer = Answering::Nobody;
        match mail {
            Mail::Assign { creation, assignment, input, tenant, principal } => {
                self.exist(&creation, tenant, &principal);
                let parent = creation.lineage.parent.as_ref().map(|link| link.session);
                let Some(parent) = parent else { return };
                let key = prompt::assignment_key(parent, assignment);
                let cause = Some(key.0.clone());
                let input = Input::Submitted { key, input };
                let answer = Answering::Parent(assignment);
                let permit = Some(permit);
                let by = principal;
                self.push(Work { input, by, caused_by: cause, answer, permit });
            }
            Mail::Cancel { creation, assignment, reason, tenant, principal } => {
                self.exist(&creation, tenant, &principal);
                let target = crate::domain::event::CancelTarget::Assignment { no: assignment };
                let input = Input::CancelRequested { target, reason };
                let permit = Some(permit);
                let by = principal;
                self.push(Work { input, by, caused_by: None, answer, permit });
            }
            Mail::Report { child, assignment, report } => {
                let input = Input::ChildFinished { child, assignment, report: *report };
                let by = self.writer.principal.clone();
                let permit = Some(permit);
                self.push(Work { input, by, caused_by: None, answer, permit });
            }
        }
    }

    /// Comes into being, if this is the first that is heard of it.
    fn exist(
        &mut self,
        creation: &Arc<crate::domain::event::Creation>,
        tenant: crate::domain::ids::TenantId,
        principal: &PrincipalId,
    ) {
        let coming = |job: &Job| match job {
            Job::Step(work) => matches!(work.input, Input::Opened { .. }),
            Job::Outcome { .. } | Job::Call { .. } => false,
        };
        if self.state.opened.is_none() && !self.queue.iter().any(coming) {
            self.writer.tenant = tenant;
            self.writer.principal = principal.clone();
            let creation = Box::new(creation.as_ref().clone());
            self.enqueue(Input::Opened { creation, fork: None });
        }
    }

    /// Takes inputs until one has something to commit.
    fn pump(&mut self) {
        while self.flight.is_none() && !self.stopped {
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
        let first = matches!(work.input, Input::Recovered { .. });
        self.hold_slots(&mut work.input);
        let now = self.house.clock.now();
        let (policy, tables) = (self.house.policy.borrow().clone(), self.tables());
        let env = Env {
            now,
            random: self.house.clock.random(),
            by: &work.by,
            policy: &policy,
            agents: &tables.agents,
            prices: &tables.prices,
        };
        let mut effects = match turn::step(&mut self.state, &env, work.input) {
            Ok(effects) => effects,
            Err(rejected) => return self.refuse(work.answer, rejected),
        };
        self.drop_unused();
        let events = match effects.first() {
            Some(Effect::Append { .. }) => match effects.remove(0) {
                Effect::Append { events } => events,
                _ => Vec::new(),
            },
            _ => Vec::new(),
        };
        if events.is_empty() {
            self.answer(work.answer);
            self.perform_all(effects);
            if first {
                self.settled();
            }
            return;
        }
        self.commit(events, effects, work.answer, (work.caused_by, work.permit, now));
    }

    fn commit(
        &mut self,
        events: Vec<Event>,
        effects: Vec<Effect>,
        answer: Answering,
        (caused_by, permit, at): (Option<String>, Option<OwnedSemaphorePermit>, Timestamp),
    ) {
        fault::point("input.before_append");
        let position = self.writer.tail.next();
        let changes = catalog::changes(&self.state, &self.writer.tenant, position, &events);
        let append = match self.writer.frame(&events, changes, caused_by, at) {
            Ok(append) => append,
            Err(error) => {
                // Everything that comes from outside was measured at the door, so this is a bug,
                // and the state has moved: the log is the truth, so start again from it.
                std::panic::resume_unwind(Box::new(format!("write a frame: {error}")));
            }
        };
        fault::point("append.before_send");
        let (write, clock) = (self.house.journal.append(append), Arc::clone(&self.house.clock));
        let late = at.plus_ms(limits::APPEND_MS);
        let write = async move {
            tokio::select! {
                biased;
                result = write => result.map_err(trouble),
                // Whether the frame is in the log is not known; the next owner will find out.
                () = clock.sleep_until(late) => {
                    Err(Trouble::Unavailable("the journal does not answer".to_owned()))
                }
            }
        };
        let myself = self.myself.clone();
        let task = Owned::watched(write, move |ended| {
            let result = match ended {
                Ended::Value(result) => result,
                Ended::Panicked(why) => Err(Trouble::Poisoned(why)),
                Ended::Aborted => return,
            };
            // The session has gone: its successor reads the frame from the log.
            let _ = myself.cast(SessionMsg::Appended(result));
        });
        self.flight = Some(Flight {
            _task: task,
            events: events.into(),
            at,
            effects,
            answer,
            _permit: permit,
        });
    }

    fn appended(&mut self, result: Result<Position, Trouble>) {
        let Some(flight) = self.flight.take() else { return };
        let position = match result {
            Ok(position) => position,
            Err(error) => return self.append_failed(&error),
        };
        fault::point("append.acknowledged");
        self.writer.tail = position;
        self.house.bus.publish(Note::Frame(Frame {
            session: self.state.session,
            tenant: self.writer.tenant.clone(),
            position,
            token: self.writer.token,
            at: flight.at,
            events: Arc::clone(&flight.events),
        }));
        self.answer(flight.answer);
        self.perform_all(flight.effects);
        // The first frame after a recovery is written: whatever killed it before, this worked.
        self.settled();
    }

    fn append_failed(&mut self, trouble: &Trouble) {
        tracing::warn!(session = %self.state.session, error = %trouble, "append failed");
        let reason = match trouble {
            Trouble::Fenced => left::FENCED,
            Trouble::Unavailable(_) => left::SUSPENDED,
            Trouble::Poisoned(why) => {
                self.house.alarm.send(Alarm::Poisoned { why: why.clone() });
                left::SUSPENDED
            }
            Trouble::Damaged(why) => {
                let (session, reason) = (self.state.session, why.clone());
                self.house.board.to_wing(session, WingMsg::Quarantined { session, reason });
                left::DAMAGED
            }
        };
        self.stop(reason);
    }

    pub(super) fn stop(&mut self, reason: &str) {
        self.stopped = true;
        self.myself.stop(Some(reason.to_owned()));
    }

    fn settled(&mut self) {
        if std::mem::replace(&mut self.settled, true) {
            return;
        }
        let session = self.state.session;
        self.house.board.to_wing(session, WingMsg::Settled { session });
    }

    fn answer(&mut self, answer: Answering) {
        // Whoever asked may have given up; the log does not care.
        match answer {
            Answering::Nobody | Answering::Parent(_) => {}
            Answering::Unit(reply) => drop(reply.send(Ok(()))),
            Answering::Position(reply) => drop(reply.send(Ok(self.writer.tail))),
        }
    }

    fn refuse(&mut self, answer: Answering, rejected: Rejected) {
        match answer {
            Answering::Nobody => {}
            Answering::Unit(reply) => drop(reply.send(Err(rejected))),
            Answering::Position(reply) => drop(reply.send(Err(rejected))),
            Answering::Parent(assignment) => {
                let Some(parent) = self.state.parent() else { return };
                let outcome = match rejected {
                    Rejected::Quarantined { reason } => ChildOutcome::Quarantined { reason },
                    // Busy passes; the parent's sweep brings the assignment again.
                    Rejected::Busy => return,
                    other => ChildOutcome::Turn {
                        outcome: TurnOutcome::Failed { reason: other.to_string() },
                    },
                };
                let report = Box::new(ChildReport { outcome, usage: self.state.usage });
                let child = self.state.session;
                self.house.board.mail(parent, Mail::Report { child, assignment, report });
            }
        }
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
            Timer::Overdue(CallNo::Tool(call)) => {
                let outcome = ToolOutcome::Cancelled { effect_unknown: true };
                self.enqueue(Input::ToolFinished { call, outcome });
            }
            Timer::Overdue(CallNo::Model(call)) => {
                self.enqueue(Input::ModelFailed { call, failure: aborted() });
            }
        }
    }

    fn tick(&mut self) {
        use crate::domain::catalog::Status;
        let now = self.house.clock.now();
        let restless = match self.state.status() {
            Status::Running => self.state.opened.is_some(),
            Status::Idle | Status::Waiting | Status::Quarantined | Status::Archived => false,
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

    fn has_waiters(&mut self) -> bool {
        self.waiters.retain(|_, waiters| waiters.iter().any(|reply| !reply.is_closed()));
        self.call_waiters.retain(|_, waiters| waiters.iter().any(|reply| !reply.is_closed()));
        !self.waiters.is_empty() || !self.call_waiters.is_empty()
    }

    pub(super) fn finished(&mut self, turn: TurnId, key: &InputKey, outcome: &TurnOutcome) {
        for reply in self.waiters.remove(key).unwrap_or_default() {
            drop(reply.send(Ok((turn, outcome.clone()))));
        }
    }

    pub(super) fn call_finished(&mut self, key: &InputKey, outcome: &ToolOutcome) {
        for reply in self.call_waiters.remove(key).unwrap_or_default() {
            drop(reply.send(Ok(outcome.clone())));
        }
    }

    pub(super) fn off_stage(&mut self, reason: &str) {
        let refused = || Rejected::Quarantined { reason: reason.to_owned() };
        for reply in std::mem::take(&mut self.waiters).into_values().flatten() {
            drop(reply.send(Err(refused())));
        }
        for reply in std::mem::take(&mut self.call_waiters).into_values().flatten() {
            drop(reply.send(Err(refused())));
        }
        let (session, reason) = (self.state.session, reason.to_owned());
        self.house.board.to_wing(session, WingMsg::Quarantined { session, reason });
    }

    /// Sends this session a timer message after a while; dropping the task forgets it.
    pub(super) fn after(&self, ms: u64, timer: Timer) -> Owned {
        self.at(self.house.clock.now().plus_ms(ms), timer)
    }

    pub(super) fn at(&self, at: Timestamp, timer: Timer) -> Owned {
        let (clock, myself) = (Arc::clone(&self.house.clock), self.myself.clone());
        Owned::spawn(async move {
            clock.sleep_until(at).await;
            let _ = myself.cast(SessionMsg::Timer(timer));
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

/// The store's trouble, as the session's messages carry it.
fn trouble(error: AppendError) -> Trouble {
    match error {
        AppendError::Fenced { .. } => Trouble::Fenced,
        AppendError::Journal(JournalError::Unavailable { why }) => Trouble::Unavailable(why),
        AppendError::Journal(JournalError::Poisoned { why }) => Trouble::Poisoned(why),
        AppendError::Journal(error @ JournalError::Damaged { .. }) => {
            Trouble::Damaged(error.to_string())
        }
    }
}

/// A model call that we broke off.
pub(super) fn aborted() -> ModelFailure {
    ModelFailure {
        kind: FailureKind::Aborted,
        message: "broken off".to_owned(),
        retryable: false,
        retry_after_ms: None,
        unbilled: false,
    }
}
