//! The pool under crowds, absent requesters and repeated deaths: turns are fair, slots come back.

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::sync::{mpsc, watch};
use uuid::Uuid;

use super::*;
use crate::{
    domain::ids::{PoolKind, SessionId, Token, ToolCallNo},
    protocol::{address::ReplyTo, lease::Figures, tool_pool::Refused},
};

type Seat = watch::Sender<Option<ActorRef<PoolMsg>>>;

fn session(no: u128) -> SessionId {
    SessionId(Uuid::from_u128(no))
}

fn call(of: u128, no: u32) -> CallId {
    CallId::tool(session(of), ToolCallNo(no))
}

async fn start(slots: u32) -> (Slots, Seat, ActorRef<PoolMsg>) {
    let (seat, slots) = Slots::channel(PoolKind::from("test"), slots);
    let actor = seat_new(&seat, &slots).await;
    (slots, seat, actor)
}

async fn seat_new(seat: &Seat, slots: &Slots) -> ActorRef<PoolMsg> {
    let (actor, _) = Actor::spawn(None, ToolPool::new(slots.clone()), ()).await.unwrap();
    seat.send_replace(Some(actor.clone()));
    actor
}

/// Where grants arrive.
fn inbox(room: usize) -> (ReplyTo<Granted>, mpsc::Receiver<Granted>) {
    let (sender, receiver) = mpsc::channel(room);
    (ReplyTo::new(move |granted| drop(sender.try_send(granted))), receiver)
}

async fn next(inbox: &mut mpsc::Receiver<Granted>) -> Granted {
    in_time(inbox.recv()).await.unwrap()
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

fn ask(slots: &Slots, call: CallId, reply: &ReplyTo<Granted>) -> Result<(), Refused> {
    slots.request(call.session, call, Token(1), reply.clone())
}

#[tokio::test]
async fn one_session_with_a_thousand_calls_delays_the_others_by_one_turn() {
    let (slots, _seat, _pool) = start(1).await;
    let held = slots.try_take().unwrap();
    let (reply, mut grants) = inbox(2_000);
    for no in 0..1_000 {
        ask(&slots, call(0, no), &reply).unwrap();
    }
    for other in 1..100 {
        ask(&slots, call(other, 0), &reply).unwrap();
    }
    // On one thread the pool runs whenever this task yields: all requests are queued then.
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    drop(held);
    let mut first = BTreeSet::new();
    let mut of_the_long_line = Vec::new();
    for _ in 0..100 {
        let call = next(&mut grants).await.call;
        first.insert(call.session);
        of_the_long_line.extend((call.session == session(0)).then_some(call));
    }
    assert_eq!(first.len(), 100, "everybody had a slot before anybody had two");
    while of_the_long_line.len() < 1_000 {
        of_the_long_line.push(next(&mut grants).await.call);
    }
    assert_eq!(of_the_long_line, (0..1_000).map(|no| call(0, no)).collect::<Vec<_>>());
    eventually(|| slots.figures() == Figures { places: 1, taken: 0, waiting: 0 }).await;
}

#[tokio::test]
async fn slots_granted_to_requesters_who_have_gone_come_back() {
    let (slots, _seat, _pool) = start(2).await;
    let held = [slots.try_take().unwrap(), slots.try_take().unwrap()];
    let (reply, grants) = inbox(1);
    for no in 0..1_000 {
        ask(&slots, call(1, no), &reply).unwrap();
    }
    drop(grants);
    let (reply, mut alive) = inbox(1);
    ask(&slots, call(2, 0), &reply).unwrap();
    drop(held);
    assert_eq!(next(&mut alive).await.call, call(2, 0));
    eventually(|| slots.figures() == Figures { places: 2, taken: 0, waiting: 0 }).await;
}

#[tokio::test]
async fn a_forgotten_session_gets_nothing_and_others_move_up() {
    let (slots, _seat, _pool) = start(1).await;
    let held = slots.try_take().unwrap();
    let (forgotten, mut nothing) = inbox(10);
    let (reply, mut grants) = inbox(10);
    for no in 0..5 {
        ask(&slots, call(1, no), &forgotten).unwrap();
    }
    ask(&slots, call(2, 0), &reply).unwrap();
    slots.forget(session(1));
    eventually(|| slots.figures().waiting == 1).await;
    drop(held);
    assert_eq!(next(&mut grants).await.call, call(2, 0));
    assert!(nothing.try_recv().is_err());
}

#[tokio::test]
async fn taking_at_once_never_overtakes_the_queue() {
    let (slots, _seat, _pool) = start(1).await;
    let held = slots.try_take().unwrap();
    let (reply, mut grants) = inbox(10);
    ask(&slots, call(1, 0), &reply).unwrap();
    drop(held);
    // From the request on, whoever asks without queueing hears no, also while the slot that came
    // back is on its way to the queue.
    assert!(slots.try_take().is_none());
    let granted = next(&mut grants).await;
    assert_eq!(granted.call, call(1, 0));
    assert!(slots.try_take().is_none(), "it is lent");
    drop(granted);
    assert!(slots.try_take().is_some(), "nobody waits");
}

#[tokio::test]
async fn the_same_call_asked_twice_waits_once() {
    let (slots, _seat, _pool) = start(1).await;
    let held = slots.try_take().unwrap();
    let (reply, mut grants) = inbox(10);
    ask(&slots, call(1, 0), &reply).unwrap();
    slots.request(session(1), call(1, 0), Token(2), reply.clone()).unwrap();
    eventually(|| slots.figures().waiting == 1).await;
    drop(held);
    assert_eq!(next(&mut grants).await.token, Token(2), "the later owner's question counts");
    eventually(|| slots.figures() == Figures { places: 1, taken: 0, waiting: 0 }).await;
    assert!(grants.try_recv().is_err());
}

#[tokio::test]
async fn a_full_queue_refuses_at_the_door() {
    let (slots, _seat, pool) = start(1).await;
    let _held = slots.try_take().unwrap();
    let (reply, _grants) = inbox(1);
    for no in 0..u32::try_from(limits::POOL_QUEUE).unwrap() {
        ask(&slots, call(1, no), &reply).unwrap();
    }
    let full = Refused::Full { kind: PoolKind::from("test"), waiting: limits::POOL_QUEUE };
    assert_eq!(ask(&slots, call(2, 0), &reply), Err(full));
    pool.kill();
    pool.wait(None).await.unwrap();
    assert_eq!(
        ask(&slots, call(2, 0), &reply),
        Err(Refused::Away { kind: PoolKind::from("test") })
    );
    eventually(|| slots.figures() == Figures { places: 1, taken: 1, waiting: 0 }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pool_killed_again_and_again_never_lends_more_than_it_has() {
    const SLOTS: usize = 4;
    let (slots, seat, mut pool) = start(u32::try_from(SLOTS).unwrap()).await;
    let (running, most, done) = (
        Arc::new(AtomicUsize::new(0)),
        Arc::new(AtomicUsize::new(0)),
        Arc::new(AtomicUsize::new(0)),
    );
    let mut sessions = tokio::task::JoinSet::new();
    for who in 0..32 {
        let (slots, running) = (slots.clone(), Arc::clone(&running));
        let (most, done) = (Arc::clone(&most), Arc::clone(&done));
        sessions.spawn(async move {
            for no in 0..10 {
                let (reply, mut grants) = inbox(4);
                // Asks again and again until it has a slot, as a session does by its timer.
                let granted = loop {
                    drop(ask(&slots, call(who, no), &reply));
                    for _ in 0..20 {
                        tokio::task::yield_now().await;
                    }
                    if let Ok(granted) = grants.try_recv() {
                        break granted;
                    }
                };
                most.fetch_max(running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                for _ in 0..50 {
                    tokio::task::yield_now().await;
                }
                running.fetch_sub(1, Ordering::SeqCst);
                done.fetch_add(1, Ordering::SeqCst);
                drop(granted);
            }
        });
    }
    for kills in 1..=10 {
        eventually(|| done.load(Ordering::SeqCst) >= kills * 20).await;
        pool.kill();
        pool.wait(None).await.unwrap();
        pool = seat_new(&seat, &slots).await;
    }
    while let Some(ended) = sessions.join_next().await {
        ended.unwrap();
    }
    assert_eq!(done.load(Ordering::SeqCst), 320);
    assert!(most.load(Ordering::SeqCst) <= SLOTS);
    eventually(|| slots.figures() == Figures { places: SLOTS, taken: 0, waiting: 0 }).await;
}
