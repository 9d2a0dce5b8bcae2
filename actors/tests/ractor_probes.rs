//! What the design relies on in ractor, asked of the pinned release, so that an upgrade that changes
//! it is told here and not in production. Each test is one fact.
//!
//! It owns no behaviour of ours. Handlers are held and released through channels; a time-out stands
//! only where the fact is that something does not happen.

#![allow(
    clippy::unwrap_used,
    reason = "tests; the lint's own exception covers test functions only"
)]
#![allow(
    clippy::disallowed_methods,
    reason = "the library under probe runs on its own clock, and bare tasks and names are the point"
)]

use std::{
    sync::{
        Arc, Once,
        atomic::{AtomicU32, Ordering::SeqCst},
        mpsc as thread_mpsc,
    },
    time::Duration,
};

use ractor::{
    Actor, ActorCell, ActorProcessingErr, ActorRef, ActorRuntime, ActorStatus, RpcReplyPort,
    SpawnErr, SupervisionEvent, rpc::CallResult,
};
use tokio::sync::{mpsc, oneshot};

/// Long enough for any machine; reached only when a fact no longer holds.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long "does not happen" is watched.
const A_WHILE: Duration = Duration::from_millis(100);

type Done = Result<(), ActorProcessingErr>;
/// A way to end an actor.
type Way = fn(&ActorCell);

/// A place where a handler waits until the test lets it pass.
struct Gate {
    entered: oneshot::Sender<()>,
    release: oneshot::Receiver<()>,
}

/// The test's side of a gate.
struct Latch {
    entered: oneshot::Receiver<()>,
    release: oneshot::Sender<()>,
}

fn gate() -> (Gate, Latch) {
    let (entered, has_entered) = oneshot::channel();
    let (release, released) = oneshot::channel();
    (Gate { entered, release: released }, Latch { entered: has_entered, release })
}

impl Gate {
    async fn pass(self) {
        self.entered.send(()).unwrap();
        // A latch that was dropped opens as well: the test is over.
        self.release.await.ok();
    }
}

/// What a probed child is told.
enum Order {
    Note,
    Count(RpcReplyPort<u32>),
    Hold(Gate),
    HoldThread(oneshot::Sender<()>, thread_mpsc::Receiver<()>),
    Panic,
    Fail,
    CallSelf(oneshot::Sender<String>),
    CastSelfAfter(Gate, oneshot::Sender<bool>),
}

/// How a probed child is born, and how it dies.
#[derive(Default)]
struct Life {
    panics_at_birth: bool,
    birth: Option<Gate>,
    death: Option<Gate>,
    post_stops: Arc<AtomicU32>,
}

struct Child;

struct Memory {
    notes: u32,
    life: Life,
}

impl Actor for Child {
    type Msg = Order;
    type State = Memory;
    type Arguments = Life;

    async fn pre_start(
        &self,
        _: ActorRef<Order>,
        mut life: Life,
    ) -> Result<Memory, ActorProcessingErr> {
        assert!(!life.panics_at_birth, "on purpose");
        if let Some(birth) = life.birth.take() {
            birth.pass().await;
        }
        Ok(Memory { notes: 0, life })
    }

    async fn handle(&self, me: ActorRef<Order>, order: Order, memory: &mut Memory) -> Done {
        match order {
            Order::Note => memory.notes += 1,
            Order::Count(reply) => reply.send(memory.notes)?,
            Order::Hold(gate) => gate.pass().await,
            Order::HoldThread(entered, release) => {
                entered.send(()).unwrap();
                release.recv().ok();
            }
            Order::Panic => panic!("on purpose"),
            Order::Fail => return Err("a failure".into()),
            Order::CallSelf(answer) => {
                let result = me.call(Order::Count, Some(A_WHILE)).await;
                answer.send(format!("{result:?}")).unwrap();
            }
            Order::CastSelfAfter(gate, accepted) => {
                gate.pass().await;
                accepted.send(me.cast(Order::Note).is_ok()).unwrap();
            }
        }
        Ok(())
    }

    async fn post_stop(&self, _: ActorRef<Order>, memory: &mut Memory) -> Done {
        memory.life.post_stops.fetch_add(1, SeqCst);
        if let Some(death) = memory.life.death.take() {
            death.pass().await;
        }
        Ok(())
    }
}

/// A parent with ractor's own reaction to a child's end.
struct Plain;

impl Actor for Plain {
    type Msg = ();
    type State = ();
    type Arguments = ();

    async fn pre_start(&self, _: ActorRef<()>, (): ()) -> Done {
        Ok(())
    }
}

/// What a watcher does at a child's end.
#[derive(Clone, Copy)]
enum Reaction {
    Nothing,
    Fail,
    Respawn(&'static str),
}

/// A parent that tells the test what it hears and lives on.
struct Watcher {
    heard: mpsc::Sender<String>,
    reaction: Reaction,
}

enum Watch {
    Hold(Gate),
    Spawn(Box<Life>),
    Ping(RpcReplyPort<()>),
}

impl Actor for Watcher {
    type Msg = Watch;
    type State = ();
    type Arguments = ();

    async fn pre_start(&self, _: ActorRef<Watch>, (): ()) -> Done {
        Ok(())
    }

    async fn handle(&self, me: ActorRef<Watch>, order: Watch, (): &mut ()) -> Done {
        match order {
            Watch::Hold(gate) => gate.pass().await,
            Watch::Spawn(life) => {
                Actor::spawn_linked(None, Child, *life, me.get_cell()).await?;
            }
            // Whoever asked may have stopped waiting.
            Watch::Ping(reply) => drop(reply.send(())),
        }
        Ok(())
    }

    async fn handle_supervisor_evt(
        &self,
        me: ActorRef<Watch>,
        event: SupervisionEvent,
        (): &mut (),
    ) -> Done {
        let text = match event {
            SupervisionEvent::ActorTerminated(_, state, reason) => {
                format!("terminated, state {}, {}", state.is_some(), reason.unwrap_or_default())
            }
            SupervisionEvent::ActorFailed(_, error) => format!("failed: {error}"),
            _ => return Ok(()),
        };
        let fails = matches!(self.reaction, Reaction::Fail);
        if let Reaction::Respawn(name) = self.reaction {
            let name = Some(name.to_owned());
            Actor::spawn_linked(name, Child, Life::default(), me.get_cell()).await?;
        }
        self.heard.send(text).await?;
        if fails { Err("the supervisor's own failure".into()) } else { Ok(()) }
    }
}

async fn watcher(reaction: Reaction) -> (ActorRef<Watch>, mpsc::Receiver<String>) {
    static QUIET: Once = Once::new();
    QUIET.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            if panic.payload().downcast_ref::<&str>() != Some(&"on purpose") {
                before(panic);
            }
        }));
    });
    let (heard, hears) = mpsc::channel(16);
    let (watcher, _) = Actor::spawn(None, Watcher { heard, reaction }, ()).await.unwrap();
    (watcher, hears)
}

async fn child_of(parent: ActorCell, life: Life) -> ActorRef<Order> {
    Actor::spawn_linked(None, Child, life, parent).await.unwrap().0
}

async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future).await.expect("it happens in time")
}

/// Tells a child to hold, and returns once it does.
async fn hold(child: &ActorRef<Order>) -> oneshot::Sender<()> {
    let (gate, latch) = gate();
    child.cast(Order::Hold(gate)).unwrap();
    within(latch.entered).await.unwrap();
    latch.release
}

async fn ends(cell: ActorCell) {
    cell.wait(Some(PATIENCE)).await.expect("the actor ends");
    assert_eq!(cell.get_status(), ActorStatus::Stopped);
}

async fn lives_on(cell: &ActorCell) {
    assert!(cell.wait(Some(A_WHILE)).await.is_err(), "the actor ended");
}

#[tokio::test]
async fn fact_01_the_default_handler_stops_the_parent_on_a_clean_exit() {
    let (parent, _) = Actor::spawn(None, Plain, ()).await.unwrap();
    child_of(parent.get_cell(), Life::default()).await.stop(None);
    ends(parent.get_cell()).await;
}

#[tokio::test]
async fn fact_02_a_stopping_parent_kills_its_child_amid_an_await_without_post_stop() {
    let (parent, _hears) = watcher(Reaction::Nothing).await;
    let life = Life::default();
    let post_stops = Arc::clone(&life.post_stops);
    let child = child_of(parent.get_cell(), life).await;
    let mut release = hold(&child).await;
    parent.stop(None);
    // Dropping what the handler held is the only clean-up there is.
    within(release.closed()).await;
    ends(child.get_cell()).await;
    assert_eq!(post_stops.load(SeqCst), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fact_03_stop_waits_for_the_handler_and_kill_for_its_next_await() {
    let (parent, _hears) = watcher(Reaction::Nothing).await;
    let stopped = child_of(parent.get_cell(), Life::default()).await;
    let release = hold(&stopped).await;
    stopped.stop(None);
    lives_on(&stopped).await;
    release.send(()).unwrap();
    ends(stopped.get_cell()).await;

    let killed = child_of(parent.get_cell(), Life::default()).await;
    let _held = hold(&killed).await;
    killed.kill();
    ends(killed.get_cell()).await;

    let blocked = child_of(parent.get_cell(), Life::default()).await;
    let (entered, has_entered) = oneshot::channel();
    let (release, released) = thread_mpsc::sync_channel(1);
    blocked.cast(Order::HoldThread(entered, released)).unwrap();
    within(has_entered).await.unwrap();
    blocked.kill();
    lives_on(&blocked).await;
    release.send(()).unwrap();
    ends(blocked.get_cell()).await;
}

#[tokio::test]
async fn fact_04_a_call_behind_a_panic_is_a_sender_error_and_later_sends_fail() {
    let (parent, mut hears) = watcher(Reaction::Nothing).await;
    let child = child_of(parent.get_cell(), Life::default()).await;
    let release = hold(&child).await;
    child.cast(Order::Panic).unwrap();
    let (answer, ()) = within(async {
        tokio::join!(child.call(Order::Count, None), async { release.send(()).unwrap() })
    })
    .await;
    assert!(matches!(answer.unwrap(), CallResult::SenderError));
    ends(child.get_cell()).await;
    assert!(child.cast(Order::Note).is_err());
    assert_eq!(within(hears.recv()).await.unwrap(), "failed: on purpose");
}

#[tokio::test]
async fn fact_05_an_error_from_handle_is_a_failure_as_a_panic_is() {
    let (parent, mut hears) = watcher(Reaction::Nothing).await;
    let child = child_of(parent.get_cell(), Life::default()).await;
    child.cast(Order::Fail).unwrap();
    ends(child.get_cell()).await;
    assert_eq!(within(hears.recv()).await.unwrap(), "failed: a failure");
}

#[tokio::test]
async fn fact_06_stop_kill_and_drain_are_told_apart() {
    let (parent, mut hears) = watcher(Reaction::Nothing).await;
    let ways: [(Way, &str); 3] = [
        (|child| child.stop(Some("bye".to_owned())), "terminated, state true, bye"),
        (|child| child.drain().unwrap(), "terminated, state true, Drained"),
        (ActorCell::kill, "terminated, state true, killed"),
    ];
    for (end, expected) in ways {
        let child = child_of(parent.get_cell(), Life::default()).await;
        // Answered, so that it has started and is idle.
        within(child.call(Order::Count, None)).await.unwrap();
        end(&child);
        assert_eq!(within(hears.recv()).await.unwrap(), expected);
    }

    // Amid a handler too the state is handed over, half changed: not to be used for a restart.
    let child = child_of(parent.get_cell(), Life::default()).await;
    let _held = hold(&child).await;
    child.kill();
    assert_eq!(within(hears.recv()).await.unwrap(), "terminated, state true, killed");
}

#[tokio::test]
async fn fact_07_a_failed_birth_is_told_to_the_spawner_only_and_frees_the_name() {
    let (parent, mut hears) = watcher(Reaction::Nothing).await;
    let stillborn = || Life { panics_at_birth: true, ..Life::default() };
    let name = || Some("probe-07".to_owned());
    let result = Actor::spawn_linked(name(), Child, stillborn(), parent.get_cell()).await;
    assert!(matches!(result, Err(SpawnErr::StartupFailed(_))));
    let (_, handle) =
        ActorRuntime::spawn_linked_instant(None, Child, stillborn(), parent.get_cell()).unwrap();
    assert!(within(handle).await.unwrap().is_err());

    // The first end that the parent hears of is that of the child that did live.
    let (child, _) =
        Actor::spawn_linked(name(), Child, Life::default(), parent.get_cell()).await.unwrap();
    child.stop(Some("the first".to_owned()));
    assert_eq!(within(hears.recv()).await.unwrap(), "terminated, state true, the first");
}

#[tokio::test]
async fn fact_08_a_name_is_refused_while_it_lives_and_free_before_post_stop_ends() {
    let (parent, mut hears) = watcher(Reaction::Respawn("probe-08")).await;
    let spawn =
        |life| Actor::spawn_linked(Some("probe-08".to_owned()), Child, life, parent.get_cell());
    let (first, _) = spawn(Life::default()).await.unwrap();
    let refused = spawn(Life::default()).await;
    assert!(matches!(refused, Err(SpawnErr::ActorAlreadyRegistered(_))));
    first.cast(Order::Panic).unwrap();
    assert_eq!(within(hears.recv()).await.unwrap(), "failed: on purpose");
    let respawned = ractor::registry::where_is("probe-08").expect("respawned from the handler");
    assert_ne!(respawned.get_id(), first.get_id());

    let (death, latch) = gate();
    let name = || Some("probe-08-slow".to_owned());
    let slow = Life { death: Some(death), ..Life::default() };
    let (dying, _) = Actor::spawn(name(), Child, slow).await.unwrap();
    dying.stop(None);
    within(latch.entered).await.unwrap();
    let (successor, _) = Actor::spawn(name(), Child, Life::default()).await.unwrap();
    assert_ne!(dying.get_status(), ActorStatus::Stopped);
    latch.release.send(()).unwrap();
    ends(dying.get_cell()).await;
    successor.stop(None);
    ends(successor.get_cell()).await;
}

#[tokio::test]
async fn fact_09_an_error_of_the_supervision_handler_takes_innocent_siblings_down() {
    let (parent, _hears) = watcher(Reaction::Fail).await;
    let guilty = child_of(parent.get_cell(), Life::default()).await;
    let innocent = child_of(parent.get_cell(), Life::default()).await;
    guilty.cast(Order::Panic).unwrap();
    ends(parent.get_cell()).await;
    ends(innocent.get_cell()).await;
}

#[tokio::test]
async fn fact_10_a_call_to_oneself_is_never_answered() {
    let (parent, _hears) = watcher(Reaction::Nothing).await;
    let child = child_of(parent.get_cell(), Life::default()).await;
    let (answer, answered) = oneshot::channel();
    child.cast(Order::CallSelf(answer)).unwrap();
    assert_eq!(within(answered).await.unwrap(), "Ok(Timeout)");
}

#[tokio::test]
async fn fact_11_a_busy_supervisor_is_deaf_and_a_slow_birth_keeps_it_busy() {
    let (parent, mut hears) = watcher(Reaction::Nothing).await;
    let child = child_of(parent.get_cell(), Life::default()).await;
    let (busy, latch) = gate();
    parent.cast(Watch::Hold(busy)).unwrap();
    within(latch.entered).await.unwrap();
    child.cast(Order::Panic).unwrap();
    ends(child.get_cell()).await;
    assert!(hears.try_recv().is_err());
    latch.release.send(()).unwrap();
    assert_eq!(within(hears.recv()).await.unwrap(), "failed: on purpose");

    let (birth, latch) = gate();
    parent.cast(Watch::Spawn(Box::new(Life { birth: Some(birth), ..Life::default() }))).unwrap();
    within(latch.entered).await.unwrap();
    let answer = parent.call(Watch::Ping, Some(A_WHILE)).await.unwrap();
    assert!(matches!(answer, CallResult::Timeout));
    latch.release.send(()).unwrap();
    let answer = parent.call(Watch::Ping, Some(PATIENCE)).await.unwrap();
    assert!(matches!(answer, CallResult::Success(())));
}

#[tokio::test]
async fn fact_13_an_aborted_join_handle_is_reported_as_cancelled_without_state() {
    let (parent, mut hears) = watcher(Reaction::Nothing).await;
    let (child, handle) =
        Actor::spawn_linked(None, Child, Life::default(), parent.get_cell()).await.unwrap();
    within(child.call(Order::Count, None)).await.unwrap();
    handle.abort();
    let heard = within(hears.recv()).await.unwrap();
    assert_eq!(heard, "terminated, state false, actor_task_cancelled");
}

#[tokio::test]
async fn fact_14_a_task_survives_the_actor_it_was_started_for() {
    let (parent, _hears) = watcher(Reaction::Nothing).await;
    let child = child_of(parent.get_cell(), Life::default()).await;
    let (gate, latch) = gate();
    let task = tokio::spawn(gate.pass());
    within(latch.entered).await.unwrap();
    child.kill();
    ends(child.get_cell()).await;
    latch.release.send(()).expect("the task still waits");
    within(task).await.unwrap();
}

#[tokio::test]
async fn fact_18_drain_answers_what_is_queued_and_rejects_what_comes_later_even_from_itself() {
    let (parent, mut hears) = watcher(Reaction::Nothing).await;
    let child = child_of(parent.get_cell(), Life::default()).await;
    let (gate, latch) = gate();
    let (accepted, was_accepted) = oneshot::channel();
    child.cast(Order::CastSelfAfter(gate, accepted)).unwrap();
    within(latch.entered).await.unwrap();
    child.cast(Order::Note).unwrap();
    let (answer, ()) = within(async {
        tokio::join!(child.call(Order::Count, None), async {
            child.drain().unwrap();
            assert!(child.cast(Order::Note).is_err());
            latch.release.send(()).unwrap();
        })
    })
    .await;
    assert!(matches!(answer.unwrap(), CallResult::Success(1)));
    assert!(!within(was_accepted).await.unwrap());
    assert_eq!(within(hears.recv()).await.unwrap(), "terminated, state true, Drained");
}
