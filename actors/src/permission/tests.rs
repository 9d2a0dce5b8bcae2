//! The house log as permission writes it: what is said again stands there once.

use uuid::Uuid;

use super::*;
use crate::testing::{clock::ManualClock, harness::bounded, memory::MemoryStore};

type Switch = watch::Sender<Option<Arc<Halt>>>;

async fn permission(journal: Arc<dyn Journal>, halt: Switch) -> ActorRef<PermissionMsg> {
    seated(journal, halt, watch::channel(None).0).await
}

/// Has it recorded, and tells when that is written.
fn record(
    actor: &ActorRef<PermissionMsg>,
    event: HouseEvent,
) -> oneshot::Receiver<Result<(), String>> {
    let (reply, written) = oneshot::channel();
    actor
        .cast(PermissionMsg::Record { event: Box::new(event), reply: Some(reply) })
        .expect("it listens");
    written
}

/// Every event of the house's log.
async fn recorded(journal: &Arc<dyn Journal>) -> Vec<HouseEvent> {
    let log = log::read_all::<HouseEvent>(journal, LogId::HOUSE).await.expect("it is read");
    log.into_iter().flat_map(|frame| frame.events).collect()
}

/// One that owes what the one before on its seat did.
async fn seated(journal: Arc<dyn Journal>, halt: Switch, owed: Switch) -> ActorRef<PermissionMsg> {
    let desk = Desk::Staffed;
    let permission = Permission {
        journal,
        clock: Arc::new(ManualClock::new(1)),
        desk,
        places: Places::default(),
        layers: watch::channel(Layers::default()).0,
        policy: watch::channel(Arc::new(
            Policy::compile(&Layers::default(), desk).expect("no rules compile"),
        ))
        .0,
        damaged: watch::channel(Arc::default()).0,
        readmitted: watch::channel(Arc::default()).0,
        deleted: watch::channel(Arc::default()).0,
        halt,
        owed,
        alarm: ReplyTo::new(|alarm| panic!("{alarm:?}")),
    };
    Actor::spawn(None, permission, ()).await.expect("it starts").0
}

/// Several callers find one log damaged before the house has written the first word of it.
#[tokio::test]
async fn a_quarantine_is_recorded_once_until_the_session_is_released() {
    let journal: Arc<dyn Journal> = Arc::new(MemoryStore::new());
    let actor = permission(Arc::clone(&journal), watch::channel(None).0).await;
    let session = SessionId(Uuid::from_u128(7));
    let off = |reason: &str| HouseEvent::Quarantined { session, reason: reason.to_owned() };
    let back = HouseEvent::Released { session, skip: false, by: "p".into() };
    let last = HouseEvent::PricesSet { prices: Vec::new() };
    for event in [
        off("damaged"),
        off("damaged"),
        off("worse"),
        back.clone(),
        off("again"),
        off("again"),
        last.clone(),
    ] {
        actor.cast(PermissionMsg::Record { event: Box::new(event), reply: None }).unwrap();
    }
    let written = record(&actor, off("asked"));
    assert_eq!(written.await.unwrap(), Ok(()), "who waits for it hears that it stands");
    let events = recorded(&journal).await;
    assert_eq!(events, [off("damaged"), back, off("again"), last]);
    actor.stop_and_wait(None, None).await.unwrap();
}

/// A store that is away must not keep the switch from working, and must not lift it either.
#[tokio::test]
async fn everything_is_stopped_before_that_is_written_and_let_go_on_once_it_is() {
    let store = MemoryStore::new();
    let journal: Arc<dyn Journal> = Arc::new(store.clone());
    let (switch, mut seen) = watch::channel(None);
    store.hold_appends();
    let actor = permission(Arc::clone(&journal), switch).await;
    let record = |event| record(&actor, event);
    let stops = |reason: &str| HouseEvent::Halted { reason: reason.to_owned(), by: "p".into() };
    let reason = |halt: &Option<Arc<Halt>>| halt.as_ref().map(|halt| halt.reason.clone());
    let mut stopped = record(stops("drill"));
    let first = seen.wait_for(Option::is_some).await.unwrap().clone();
    assert_eq!(reason(&first).as_deref(), Some("drill"));
    assert!(stopped.try_recv().is_err(), "and it is not written");
    let mut lifted = record(HouseEvent::Unhalted { by: "p".into() });
    let again = record(stops("drill"));
    store.release_appends();
    assert_eq!(stopped.await.unwrap(), Ok(()));
    assert_eq!(again.await.unwrap(), Ok(()));
    assert_eq!(lifted.try_recv(), Ok(Ok(())), "in their order");
    assert_eq!(reason(&seen.borrow()).as_deref(), Some("drill"), "the last word counts");
    // Said again it is the same word.
    assert_eq!(record(stops("drill")).await.unwrap(), Ok(()));
    assert_eq!(record(HouseEvent::Unhalted { by: "p".into() }).await.unwrap(), Ok(()));
    assert_eq!(record(HouseEvent::Unhalted { by: "q".into() }).await.unwrap(), Ok(()));
    assert_eq!(reason(&seen.borrow()), None);
    let events = recorded(&journal).await;
    let lifts = HouseEvent::Unhalted { by: "p".into() };
    assert_eq!(events, [stops("drill"), lifts.clone(), stops("drill"), lifts]);
    actor.stop_and_wait(None, None).await.unwrap();
}

/// Who sits there dies with the record in hand; the next on the seat owes it.
#[tokio::test]
async fn a_death_before_it_is_written_does_not_lift_what_stops_everything() {
    let store = MemoryStore::new();
    let journal: Arc<dyn Journal> = Arc::new(store.clone());
    let ((switch, mut seen), owed) = (watch::channel(None), watch::channel(None).0);
    let stops = HouseEvent::Halted { reason: "drill".to_owned(), by: "p".into() };
    let lifts = HouseEvent::Unhalted { by: "p".into() };
    for is_lifted in [false, true] {
        store.hold_appends();
        let actor = seated(Arc::clone(&journal), switch.clone(), owed.clone()).await;
        actor.cast(PermissionMsg::Record { event: Box::new(stops.clone()), reply: None }).unwrap();
        seen.wait_for(Option::is_some).await.unwrap();
        actor.kill_and_wait(None).await.unwrap();
        store.release_appends();
        let actor = seated(Arc::clone(&journal), switch.clone(), owed.clone()).await;
        let last = HouseEvent::PricesSet { prices: Vec::new() };
        for event in is_lifted.then(|| lifts.clone()).into_iter().chain([last]) {
            assert_eq!(record(&actor, event).await.unwrap(), Ok(()));
        }
        assert_eq!(seen.borrow_and_update().is_some(), !is_lifted, "as it was said last");
        actor.stop_and_wait(None, None).await.unwrap();
        let halts = recorded(&journal).await.into_iter().filter(|event| *event == stops);
        assert_eq!(halts.count(), 1, "and it is written once");
    }
}

/// A disk that is away fills the queue with answers that are kept for every session.
#[tokio::test]
async fn a_full_queue_still_takes_the_word_that_stops_everything() {
    let store = MemoryStore::new();
    let journal: Arc<dyn Journal> = Arc::new(store.clone());
    let (switch, mut seen) = watch::channel(None);
    store.hold_appends();
    let actor = permission(Arc::clone(&journal), switch).await;
    let record = |event| record(&actor, event);
    let prices = || HouseEvent::PricesSet { prices: Vec::new() };
    let many: Vec<_> = (0..limits::HOUSE_QUEUE + 2).map(|_| record(prices())).collect();
    let stopped = record(HouseEvent::Halted { reason: "drill".to_owned(), by: "p".into() });
    let refused = record(prices()).await.unwrap();
    assert!(refused.unwrap_err().contains("too many records"));
    bounded("it is said", seen.wait_for(Option::is_some)).await.unwrap();
    store.release_appends();
    assert_eq!(stopped.await.unwrap(), Ok(()));
    drop(many);
    actor.stop_and_wait(None, None).await.unwrap();
}
