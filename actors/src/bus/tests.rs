//! Who hears what, and what whoever is too slow is told.

use uuid::Uuid;

use super::*;
use crate::domain::ids::{CallNo, ToolCallNo};

fn session(no: u128) -> SessionId {
    SessionId(Uuid::from_u128(no))
}

fn progress(of: SessionId, label: usize) -> Note {
    let call = CallId { session: of, no: CallNo::Tool(ToolCallNo(1)) };
    Note::Progress { call, label: label.to_string() }
}

fn label(heard: Option<Heard>) -> String {
    match heard {
        Some(Heard::Note(Note::Progress { label, .. })) => label,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_follower_hears_its_session_and_a_watcher_of_the_house_hears_all() {
    let bus = Bus::default();
    let (mut one, mut house) = (bus.follow(session(1)), bus.listen());
    bus.publish(progress(session(2), 0));
    bus.publish(progress(session(1), 1));
    assert_eq!(label(one.next().await), "1");
    assert_eq!(label(house.next().await), "0");
    assert_eq!(label(house.next().await), "1");
    drop(house);
    assert!(bus.is_heard(session(1)) && !bus.is_heard(session(2)));
    drop(bus);
    assert!(one.next().await.is_none(), "nobody speaks any more");
}

#[tokio::test]
async fn who_watches_frames_alone_hears_no_pieces_and_counts_for_none() {
    let bus = Bus::default();
    let mut frames = bus.listen_to_frames();
    assert!(bus.is_heard(session(1)) && !bus.pieces_are_heard(session(1)));
    bus.publish(progress(session(1), 0));
    bus.publish(Note::Frame(Frame {
        session: session(1),
        agent: "clerk".into(),
        tenant: "test".into(),
        position: Position(1),
        token: Token(1),
        principal: "host".into(),
        at: Timestamp(0),
        events: Arc::new([]),
    }));
    assert!(matches!(frames.next().await, Some(Heard::Note(Note::Frame(_)))));
    bus.close();
    assert!(frames.next().await.is_none());
}

#[tokio::test]
async fn a_follower_that_is_too_slow_is_told_where_and_how_much_it_missed() {
    let bus = Bus::default();
    let mut slow = bus.follow(session(1));
    let all = limits::FOLLOWER_EVENTS + 7;
    (0..all).for_each(|no| bus.publish(progress(session(1), no)));
    for no in 0..limits::FOLLOWER_EVENTS {
        assert_eq!(label(slow.next().await), no.to_string());
        // Room alone does not close the gap: what comes now belongs to it.
        bus.publish(progress(session(1), all + no));
    }
    let missed = 7 + limits::FOLLOWER_EVENTS as u64;
    assert!(matches!(slow.next().await, Some(Heard::Lagged { missed: told }) if told == missed));
    bus.publish(progress(session(1), 9));
    assert_eq!(label(slow.next().await), "9");
}

#[tokio::test]
async fn a_watcher_of_the_house_that_is_too_slow_is_told_how_much_it_missed() {
    let bus = Bus::default();
    let mut slow = bus.listen();
    (0..limits::BUS_EVENTS + 7).for_each(|no| bus.publish(progress(session(1), no)));
    assert!(matches!(slow.next().await, Some(Heard::Lagged { missed: 7 })));
    assert_eq!(label(slow.next().await), "7");
}

#[tokio::test]
async fn who_stops_following_leaves_nothing_behind() {
    let bus = Bus::default();
    let (first, second) = (bus.follow(session(1)), bus.follow(session(1)));
    drop(first);
    assert!(bus.is_heard(session(1)));
    drop(second);
    assert!(!bus.is_heard(session(1)));
    assert!(bus.followers.is_empty());
}

#[tokio::test]
async fn a_closed_bus_tells_what_was_said_then_the_gap_and_then_the_end() {
    let bus = Bus::default();
    let (mut follower, mut house) = (bus.follow(session(1)), bus.listen());
    let all = limits::FOLLOWER_EVENTS + 7;
    (0..all).for_each(|no| bus.publish(progress(session(1), no)));
    bus.close();
    for no in 0..limits::FOLLOWER_EVENTS {
        assert_eq!(label(follower.next().await), no.to_string());
    }
    assert!(matches!(follower.next().await, Some(Heard::Lagged { missed: 7 })));
    assert!(follower.next().await.is_none());
    for no in 0..all {
        assert_eq!(label(house.next().await), no.to_string());
    }
    assert!(house.next().await.is_none());
    // Whoever comes too late is told at once.
    assert!(bus.listen().next().await.is_none());
    assert!(bus.follow(session(1)).next().await.is_none());
}

#[tokio::test]
async fn a_follower_of_a_bus_that_has_gone_is_told_the_last_gap_as_well() {
    let bus = Bus::default();
    let mut slow = bus.follow(session(1));
    let all = limits::FOLLOWER_EVENTS + 7;
    (0..all).for_each(|no| bus.publish(progress(session(1), no)));
    drop(bus);
    for no in 0..limits::FOLLOWER_EVENTS {
        assert_eq!(label(slow.next().await), no.to_string());
    }
    assert!(matches!(slow.next().await, Some(Heard::Lagged { missed: 7 })));
    assert!(slow.next().await.is_none());
}

#[tokio::test]
async fn who_waits_on_a_silent_bus_is_told_when_it_closes() {
    let bus = Bus::default();
    let (mut follower, mut house) = (bus.follow(session(1)), bus.listen());
    let (ended, watched) = {
        let wait = futures_util::future::join(follower.next(), house.next());
        let close = async { bus.close() };
        futures_util::future::join(wait, close).await.0
    };
    assert!(ended.is_none() && watched.is_none());
}
