//! The gate under a clock that a test moves: turns, deadlines, pauses, restarts.

use std::{
    sync::atomic::{AtomicU64, Ordering::SeqCst},
    time::Duration,
};

use futures_util::future::BoxFuture;
use tokio::{
    sync::{mpsc, watch},
    task::JoinHandle,
};
use uuid::Uuid;

use super::*;
use crate::{
    domain::ids::{CallId, ModelCallNo, SessionId},
    protocol::{
        gate::{GateRefused, Pass},
        lease::Figures,
    },
};

mod vendor;

/// Time that moves when a test says so; randomness that repeats.
struct Hand {
    now: watch::Sender<i64>,
    seed: AtomicU64,
}

impl Hand {
    fn new() -> Arc<Self> {
        Arc::new(Self { now: watch::channel(1_000).0, seed: AtomicU64::new(7) })
    }

    fn forward_to(&self, at: Timestamp) {
        self.now.send_modify(|now| *now = (*now).max(at.0));
    }
}

impl Clock for Hand {
    fn now(&self) -> Timestamp {
        Timestamp(*self.now.borrow())
    }

    fn sleep_until(&self, at: Timestamp) -> BoxFuture<'static, ()> {
        let mut now = self.now.subscribe();
        Box::pin(async move {
            now.wait_for(|now| *now >= at.0).await.unwrap();
        })
    }

    fn running(&self) -> Timestamp {
        self.now()
    }

    fn after(&self, ms: u64) -> BoxFuture<'static, ()> {
        self.sleep_until(self.now().plus_ms(ms))
    }

    fn random(&self) -> u64 {
        self.seed.fetch_add(0x9E37_79B9_7F4A_7C15, SeqCst).rotate_left(17)
    }

    fn new_session(&self) -> SessionId {
        session(u128::from(self.random()))
    }
}

fn session(no: u128) -> SessionId {
    SessionId(Uuid::from_u128(no))
}

/// A first try of a root, as light as can be.
fn claim(who: u128) -> Claim {
    let session = session(who);
    Claim { session, behind: false, attempt: 0, input_tokens: 0, output_tokens: 1 }
}

struct House {
    clock: Arc<Hand>,
    gate: GateHandle,
    seat: Seat,
    actor: ActorRef<GateMsg>,
}

const FAR: Timestamp = Timestamp(1_000_000_000);

impl House {
    async fn new(calls: u32) -> Self {
        let clock = Hand::new();
        let port: Arc<dyn Clock> = Arc::<Hand>::clone(&clock);
        let (seat, gate) = channel(CredentialName::from("key"), calls, &port);
        let actor = Self::seat(&seat, &gate, &clock).await;
        Self { clock, gate, seat, actor }
    }

    async fn seat(seat: &Seat, gate: &GateHandle, clock: &Arc<Hand>) -> ActorRef<GateMsg> {
        let clock: Arc<dyn Clock> = Arc::<Hand>::clone(clock);
        let (actor, _) = Actor::spawn(None, Gate::new(gate.clone(), clock), ()).await.unwrap();
        seat.send_replace(Some(actor.clone()));
        actor
    }

    async fn restart(&mut self) {
        self.actor.kill();
        self.actor.wait(None).await.unwrap();
        self.actor = Self::seat(&self.seat, &self.gate, &self.clock).await;
    }

    /// A task that waits at the gate and hands on who got a lease.
    #[expect(clippy::disallowed_methods, reason = "a test needs the task's result")]
    fn claims(
        &self,
        claim: Claim,
        deadline: Timestamp,
        to: &mpsc::Sender<(u128, Pass)>,
    ) -> JoinHandle<Result<(), GateRefused>> {
        let (gate, to) = (self.gate.clone(), to.clone());
        tokio::spawn(async move {
            let call = CallId::model(claim.session, ModelCallNo(1));
            let pass = gate.acquire(claim, call, deadline).await?;
            to.send((claim.session.0.as_u128(), pass)).await.unwrap();
            Ok(())
        })
    }

    /// The same, of a light call.
    fn task(
        &self,
        who: u128,
        deadline: Timestamp,
        to: &mpsc::Sender<(u128, Pass)>,
    ) -> JoinHandle<Result<(), GateRefused>> {
        self.claims(claim(who), deadline, to)
    }

    fn paused(&self) -> Option<i64> {
        self.gate.bars().paused_until.map(|until| until.0)
    }

    async fn waiting(&self, waiting: usize) {
        eventually(|| self.gate.figures().waiting == waiting).await;
    }

    /// Runs every task there is until none of them can go on.
    async fn quiet() {
        for _ in 0..200 {
            tokio::task::yield_now().await;
        }
    }
}

/// A test that hangs ends here.
#[expect(clippy::disallowed_methods, reason = "the bound of a test's patience is real time")]
async fn in_time<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(10), what).await.expect("it never happened")
}

async fn eventually(what: impl Fn() -> bool) {
    let wait = async {
        while !what() {
            tokio::task::yield_now().await;
        }
    };
    in_time(wait).await;
}

async fn next(leases: &mut mpsc::Receiver<(u128, Pass)>) -> (u128, Pass) {
    in_time(leases.recv()).await.unwrap()
}

#[tokio::test]
async fn no_more_calls_run_at_once_than_the_credential_allows() {
    let house = House::new(3).await;
    let (to, mut leases) = mpsc::channel(100);
    for who in 0..10 {
        drop(house.task(who, FAR, &to));
    }
    let mut held = Vec::new();
    for _ in 0..3 {
        held.push(next(&mut leases).await);
    }
    house.waiting(7).await;
    assert_eq!(house.gate.figures(), Figures { places: 3, taken: 3, waiting: 7 });
    assert!(leases.try_recv().is_err());
    for left in (0..7).rev() {
        drop(held.remove(0));
        held.push(next(&mut leases).await);
        assert_eq!(house.gate.figures(), Figures { places: 3, taken: 3, waiting: left });
    }
}

#[tokio::test]
async fn a_deadline_ends_the_wait_and_leaves_nothing_behind() {
    let house = House::new(1).await;
    let (to, mut leases) = mpsc::channel(100);
    drop(house.task(0, FAR, &to));
    let held = next(&mut leases).await;
    let late = house.task(1, Timestamp(2_000), &to);
    house.waiting(1).await;
    house.clock.forward_to(Timestamp(2_000));
    assert!(matches!(late.await.unwrap(), Err(GateRefused::TimedOut { .. })));
    let aborted = house.task(2, FAR, &to);
    house.waiting(1).await;
    aborted.abort();
    house.waiting(0).await;
    drop(held);
    eventually(|| house.gate.figures().taken == 0).await;
}

#[tokio::test]
async fn one_refusal_pauses_every_sibling_and_they_come_back_spread_out() {
    let house = House::new(10).await;
    let (to, mut leases) = mpsc::channel(100);
    house.gate.pause(10_000);
    eventually(|| house.paused() == Some(11_000)).await;
    // A shorter wait heard by a sibling does not shorten it.
    house.gate.pause(1_000);
    for who in 0..10 {
        drop(house.task(who, FAR, &to));
    }
    house.waiting(10).await;
    House::quiet().await;
    assert_eq!(house.paused(), Some(11_000));
    assert!(leases.try_recv().is_err(), "nobody calls during the pause");
    let mut moments = Vec::new();
    for ms in (10_900..13_100).step_by(5) {
        house.clock.forward_to(Timestamp(ms));
        House::quiet().await;
        while let Ok((_, lease)) = leases.try_recv() {
            moments.push(ms);
            // It stays out: this is about moments, not about places.
            std::mem::forget(lease);
        }
    }
    assert_eq!(moments.len(), 10, "within the spread of 20 percent everybody is back");
    assert!(moments[0] >= 11_000, "not one before the pause has ended: {moments:?}");
    let different: std::collections::BTreeSet<_> = moments.iter().collect();
    assert!(different.len() >= 5, "spread out: {moments:?}");
}

#[tokio::test]
async fn a_restart_of_the_gate_keeps_the_pause_the_leases_and_the_waiters() {
    let mut house = House::new(2).await;
    let (to, mut leases) = mpsc::channel(100);
    drop(house.task(0, FAR, &to));
    let (_, held) = next(&mut leases).await;
    house.gate.pause(5_000);
    eventually(|| house.paused() == Some(6_000)).await;
    for who in 1..=3 {
        drop(house.task(who, FAR, &to));
    }
    house.waiting(3).await;
    house.restart().await;
    house.waiting(3).await;
    House::quiet().await;
    assert!(leases.try_recv().is_err(), "the pause holds");
    house.clock.forward_to(Timestamp(12_000));
    let (_, second) = next(&mut leases).await;
    House::quiet().await;
    assert!(leases.try_recv().is_err(), "two places, both out");
    drop((held, second));
    drop(next(&mut leases).await);
    drop(next(&mut leases).await);
    eventually(|| house.gate.figures() == Figures { places: 2, taken: 0, waiting: 0 }).await;
}

#[tokio::test]
async fn who_comes_when_too_many_wait_at_the_gate_is_refused() {
    let house = House::new(1).await;
    let inside: Vec<_> =
        (0..limits::GATE_QUEUE).map(|_| house.gate.room().queue().unwrap()).collect();
    let call = CallId::model(session(1), ModelCallNo(1));
    let refused = in_time(house.gate.acquire(claim(1), call, FAR)).await;
    let full = limits::GATE_QUEUE;
    assert!(matches!(refused, Err(GateRefused::Full { waiting, .. }) if waiting == full));
    drop(inside);
    assert!(in_time(house.gate.acquire(claim(1), call, FAR)).await.is_ok());
}

#[tokio::test]
async fn a_gate_whose_supervisor_has_gone_says_so() {
    let house = House::new(1).await;
    let (to, _leases) = mpsc::channel(100);
    house.actor.kill();
    house.actor.wait(None).await.unwrap();
    let task = house.task(1, FAR, &to);
    House::quiet().await;
    drop(house.seat);
    assert!(matches!(task.await.unwrap(), Err(GateRefused::Closed { .. })));
}
