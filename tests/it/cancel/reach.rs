//! How long a cancel takes to everybody it is for.

use greenroom_actors::{
    domain::{
        ids::{Position, SessionId, Timestamp},
        tool::EffectClass,
    },
    testing::harness::{ended, say},
};

use super::{TREE, at_work, below, cancel, tree};
use crate::{props::Prop, stage::Stage};

/// Three commits one below the other, with all the room a busy machine wants. It is well below the
/// pause after which a parent says it again, so nobody had to.
const REACH_MS: u64 = 2_000;

/// When a session's log took the cancel.
async fn cancelled_at(stage: &Stage, session: SessionId) -> Timestamp {
    let log = stage.runtime.read(session, Position(0)).await.expect("its log");
    let cancelled = log
        .iter()
        .find(|frame| frame.events.iter().any(|event| event.name() == "cancel_requested"));
    cancelled.map(|frame| frame.envelope.at).expect("a cancel in its log")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cancel_reaches_all_three_levels_without_being_said_twice() {
    let (work, beg) =
        (Prop::new("work", EffectClass::Once).hold(), Prop::new("beg", EffectClass::Once));
    let stage = Stage::set(TREE, tree(&work, &beg)).await;
    let root = say(&stage.runtime, "root", "k", "go").await;
    at_work(&stage, &work).await;
    cancel(&stage.runtime, root).await;
    ended(&stage.runtime, root, "k").await;
    let first = cancelled_at(&stage, root).await;
    let all = below(&stage.runtime, root).await;
    assert_eq!(all.len(), 8);
    for session in all {
        let took = cancelled_at(&stage, session).await.since_ms(first);
        assert!(took <= REACH_MS, "{session} heard of it after {took} ms");
    }
}
