//! The house log as permission writes it: what is said again stands there once.

use uuid::Uuid;

use super::*;
use crate::testing::{clock::ManualClock, memory::MemoryStore};

async fn permission(journal: Arc<dyn Journal>) -> ActorRef<PermissionMsg> {
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
        alarm: ReplyTo::new(|alarm| panic!("{alarm:?}")),
    };
    Actor::spawn(None, permission, ()).await.expect("it starts").0
}

/// Several callers find one log damaged before the house has written the first word of it.
#[tokio::test]
async fn a_quarantine_is_recorded_once_until_the_session_is_released() {
    let journal: Arc<dyn Journal> = Arc::new(MemoryStore::new());
    let actor = permission(Arc::clone(&journal)).await;
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
    let (reply, written) = oneshot::channel();
    let same = PermissionMsg::Record { event: Box::new(off("asked")), reply: Some(reply) };
    actor.cast(same).unwrap();
    assert_eq!(written.await.unwrap(), Ok(()), "who waits for it hears that it stands");
    let log = log::read_all::<HouseEvent>(&journal, LogId::HOUSE).await.unwrap();
    let events: Vec<HouseEvent> = log.into_iter().flat_map(|frame| frame.events).collect();
    assert_eq!(events, [off("damaged"), back, off("again"), last]);
    actor.stop_and_wait(None, None).await.unwrap();
}
