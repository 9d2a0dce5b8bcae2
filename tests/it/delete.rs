//! Deleting trees: all of one is gone and none of another, nothing at work is taken away, and a death in
//! the middle leaves neither half of a tree nor a deletion that nobody finishes.

use greenroom_actors::{
    Runtime,
    domain::{
        catalog::{Hindrance, SessionFilter, TotalsOf},
        event::{CancelTarget, UserInput},
        frame::{LogId, LogKind},
        house::HouseEvent,
        ids::{InputKey, Position, SessionId, TenantId},
        tool::{EffectClass, ToolOutcome},
    },
    owned::Owned,
    policy::turn::Rejected,
    ports::Journal as _,
    runtime::{CallError, DeletionHeard},
    testing::harness::{Harness, bounded, ended, events, say},
};

use crate::{
    props::{Prop, agent, allow, children, count, logged, seen},
    stage::Stage,
    waits::held::{Hold, Holding, holdable},
    workshop::{self, Still, until},
};

pub mod cut_off;

const SCRIPT: &str = r#"
agent lead
    call spawn_agent {"agent": "hand", "task": "do it"}
  then
    call await_agents
  then
    say {last}
agent hand
    call work
  then
    say done
agent talker
    say You said {input}.
"#;

fn house(work: &Prop) -> impl FnOnce(Harness) -> Harness {
    let work = work.clone();
    move |harness| {
        let harness = harness.agent(agent("lead", &[], &["hand"]));
        let harness = harness.agent(agent("hand", &["work"], &[])).agent(agent("talker", &[], &[]));
        allow(harness.tool(work), &["work"])
    }
}

async fn words_of(runtime: &Runtime, root: SessionId) -> Vec<&'static str> {
    let words = runtime.house().await.expect("its log");
    let words = words.into_iter().filter(|word| word.session() == Some(root));
    words
        .map(|word| match word {
            HouseEvent::Deleting { .. } => "deleting",
            HouseEvent::Deleted { .. } => "deleted",
            HouseEvent::Kept { .. } => "kept",
            other => panic!("{other:?}"),
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deleted_tree_is_gone_for_whoever_asks_and_what_it_spent_stays_spent() {
    // So long that the whole of it is a blob.
    let output = "the long output ".repeat(10_000);
    let output = ToolOutcome::Done { output: greenroom_actors::domain::tool::Output::text(output) };
    let work =
        Prop::with("work", EffectClass::Once, output, greenroom_actors::ports::Probe::Unknown);
    let stage = Stage::set(SCRIPT, house(&work)).await;
    let runtime = &stage.runtime;
    let key = InputKey::from("the lead");
    let ann = runtime.on_behalf_of("ann".into());
    let tenant = TenantId::from("test");
    let lead = ann.open(&"lead".into(), tenant.clone(), Some(&key)).await.expect("opened");
    runtime.submit(lead, "k".into(), UserInput::text("go")).await.expect("said");
    ended(runtime, lead, "k").await;
    let hand = children(&events(runtime, lead).await).remove(0);
    let other = say(runtime, "talker", "k", "hello").await;
    ended(runtime, other, "k").await;
    let before = runtime.totals(TotalsOf::Tenant(tenant.clone())).await.expect("totals");
    let of_other = events(runtime, other).await;

    let child = runtime.delete(hand).await;
    assert!(
        matches!(child, Err(CallError::NotARoot { session, root }) if (session, root) == (hand, lead)),
        "{child:?}"
    );
    assert_eq!(ann.delete(lead).await.expect("deleted"), 2);
    let again = ann.delete(lead).await;
    assert!(matches!(again, Err(CallError::Rejected(Rejected::Gone))), "{again:?}");
    for session in [lead, hand] {
        assert_eq!(runtime.reading().session(session).await.expect("a store"), None);
        assert!(events(runtime, session).await.is_empty());
        let tail = stage.store.tail(LogId::session(session)).await.expect("a store");
        assert_eq!(tail.0, Position(0));
    }
    assert!(runtime.tree(lead).await.is_err());
    let all = SessionFilter { archived: true, ..SessionFilter::default() };
    let left = runtime.reading().sessions(all).await;
    let left: Vec<_> = left.expect("lines").into_iter().map(|row| row.session).collect();
    assert_eq!(left, [other]);
    assert_eq!(events(runtime, other).await, of_other, "another's log is as it was");
    let totals = runtime.totals(TotalsOf::Tenant(tenant.clone())).await.expect("totals");
    assert_eq!(totals, before, "spent is spent");
    // Nothing comes back under its id, by its key or by a message, now or after a restart.
    let stage = stage.crash().await;
    let runtime = &stage.runtime;
    let ann = runtime.on_behalf_of("ann".into());
    let again = ann.open(&"lead".into(), tenant.clone(), Some(&key)).await;
    assert!(is_gone(&again), "{again:?}");
    assert!(is_gone(&runtime.submit(lead, "l".into(), UserInput::text("hello?")).await));
    let below = runtime.submit(hand, "l".into(), UserInput::text("hello?")).await;
    assert!(matches!(below, Err(CallError::Rejected(Rejected::NotOpened))), "{below:?}");
    assert_eq!(words_of(runtime, lead).await, ["deleting", "deleted"]);
    let by = runtime.house().await.expect("its log").into_iter().find_map(|word| match word {
        HouseEvent::Deleting { root, sessions, by } if root == lead => Some((sessions, by)),
        _ => None,
    });
    assert_eq!(by, Some((2, "ann".into())), "the house says who did it");
}

fn is_gone<T>(answer: &Result<T, CallError>) -> bool {
    matches!(answer, Err(CallError::Rejected(Rejected::Gone)))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_at_work_and_no_base_of_a_fork_is_deleted() {
    let work = Prop::new("work", EffectClass::Once).hold();
    let stage = Stage::set(SCRIPT, house(&work)).await;
    let runtime = &stage.runtime;
    let lead = say(runtime, "lead", "k", "go").await;
    seen("the hand is at work", || work.at_work() == 1).await;
    let refused = runtime.delete(lead).await;
    let Err(CallError::Hindered { root, hindrance: Hindrance::AtWork { .. } }) = refused else {
        panic!("{refused:?}")
    };
    assert_eq!(root, lead);
    assert_eq!(work.at_work(), 1, "it goes on");
    runtime.cancel(lead, CancelTarget::Everything, "enough").await.expect("cancelled");
    ended(runtime, lead, "k").await;
    let fork = runtime.fork(lead, Position(1)).await.expect("a fork");
    let refused = runtime.delete(lead).await.expect_err("a fork goes on from it").to_string();
    assert!(refused.contains(&format!("{fork} is a fork")), "{refused}");
    assert_eq!(runtime.delete(fork).await.expect("deleted"), 1);
    assert_eq!(runtime.delete(lead).await.expect("deleted"), 2);
    let unknown = runtime.delete(SessionId(uuid::Uuid::from_u128(77))).await;
    assert!(matches!(unknown, Err(CallError::UnknownSession { .. })), "{unknown:?}");
    assert_eq!(words_of(runtime, lead).await, ["deleting", "deleted"], "refusals are no record");
}

/// One who has talked and is at rest, on a store that can be held.
async fn rested(script: &str) -> (Still, Hold, SessionId) {
    let furnish = |harness: Harness| harness.agent(workshop::agent("talker", &[], &[]));
    let (still, hold) = holdable(script, furnish).await;
    let session = say(&still.runtime, "talker", "k", "first").await;
    ended(&still.runtime, session, "k").await;
    (still, hold, session)
}

/// A deletion under way, held back at this.
async fn delete_until(still: &Still, session: SessionId, hold: (&Hold, Holding)) -> Owned {
    let (hold, at) = hold;
    hold.on(at);
    let runtime = still.runtime.clone();
    let deleting = Owned::spawn(async move { drop(runtime.delete(session).await) });
    until("it is held back", || async { (hold.held() > 0).then_some(()) }).await;
    deleting
}

/// The word was written, and then the house died before anything was erased.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deletion_that_a_death_cut_off_is_finished_by_the_next_start() {
    let (still, hold, session) = rested(SCRIPT).await;
    let _running = still.runs(50);
    let deleting = delete_until(&still, session, (&hold, Holding::Erasures)).await;
    assert_eq!(words_of(&still.runtime, session).await, ["deleting"]);
    // Nobody can speak to it meanwhile, and nobody is told how that will end.
    let late = still.runtime.submit(session, "l".into(), UserInput::text("now")).await;
    assert!(matches!(late, Err(CallError::TimedOut { .. })), "{late:?}");
    drop((deleting, _running));
    hold.off();
    let still = still.crash().await;
    let _running = still.runs(50);
    assert_eq!(words_of(&still.runtime, session).await, ["deleting", "deleted"]);
    assert_eq!(still.runtime.reading().session(session).await.expect("a store"), None);
    assert!(!still.store.logs().contains(&LogId::session(session)));
    let again = still.runtime.delete(session).await;
    assert!(is_gone(&again), "{again:?}");
    drop(_running);
    let still = still.crash().await;
    assert_eq!(words_of(&still.runtime, session).await, ["deleting", "deleted"], "once");
}

/// An order that lost its caller, not its house: said again it goes on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deletion_whose_caller_left_is_finished_by_the_same_order_again() {
    let (still, hold, session) = rested(SCRIPT).await;
    let _running = still.runs(50);
    let deleting = delete_until(&still, session, (&hold, Holding::Erasures)).await;
    drop(deleting);
    hold.off();
    assert_eq!(still.runtime.delete(session).await.expect("deleted"), 1);
    assert_eq!(words_of(&still.runtime, session).await, ["deleting", "deleted"]);
}

/// Who asked has gone, and the word stands in the house's log: it would keep a tree from waking for ever.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deletion_whose_caller_left_is_finished_by_the_house() {
    let (still, hold, session) = rested(SCRIPT).await;
    let _running = still.runs(500);
    let mut told = still.runtime.subscribe_to_deletions();
    let deleting = delete_until(&still, session, (&hold, Holding::Erasures)).await;
    drop(deleting);
    hold.off();
    until("it is gone", || async {
        (words_of(&still.runtime, session).await == ["deleting", "deleted"]).then_some(())
    })
    .await;
    assert_eq!(still.runtime.reading().session(session).await.expect("a store"), None);
    let Some(DeletionHeard::Gone(gone)) = bounded("it is told", told.next()).await else {
        panic!("nothing missed")
    };
    assert_eq!((gone.root, gone.tenant.as_str()), (session, "test"));
}

/// The base was read for the fork, and is gone as its first frame comes to be written.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fork_whose_base_goes_meanwhile_is_refused_and_nothing_of_it_is_left() {
    for moment in [Holding::Appends(LogKind::Session), Holding::Reads(LogKind::Session)] {
        let (still, hold, base) = rested(SCRIPT).await;
        let _running = still.runs(50);
        hold.on(moment);
        let key = InputKey::from("fork");
        let acting = still.runtime.on_behalf_of("ann".into());
        let forking = acting.fork(base, Position(1), Some(&key));
        let deleting = async {
            until("it is under way", || async { (hold.held() > 0).then_some(()) }).await;
            let gone = still.runtime.delete(base).await;
            hold.off();
            gone
        };
        let (forked, gone) = futures_util::join!(forking, deleting);
        assert_eq!(gone.expect("nothing hinders it"), 1, "{moment:?}");
        let forked = forked.expect_err("there is nothing to go on from").to_string();
        assert!(forked.contains(&base.to_string()), "{moment:?}: {forked}");
        let all = SessionFilter { archived: true, ..SessionFilter::default() };
        let left = still.runtime.reading().sessions(all).await.expect("lines");
        assert!(left.is_empty(), "{moment:?}: {left:?}");
        let words = still.runtime.house().await.expect("its log");
        let off = words.iter().filter(|word| matches!(word, HouseEvent::Quarantined { .. }));
        assert_eq!(off.count(), 0, "{moment:?}: {words:?}");
    }
}

/// Whoever comes second hears what whoever comes later hears.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_deletions_at_once_one_counts() {
    let (still, hold, session) = rested(SCRIPT).await;
    let _running = still.runs(50);
    hold.on(Holding::Lines);
    let first = still.runtime.delete(session);
    let second = still.runtime.delete(session);
    let letting = async {
        until("both may", || async { (hold.held() == 2).then_some(()) }).await;
        hold.off();
    };
    let (first, second, ()) = futures_util::join!(first, second, letting);
    let (done, late) = if first.is_ok() { (first, second) } else { (second, first) };
    assert_eq!(done.expect("one of them"), 1);
    assert!(is_gone(&late), "{late:?}");
    assert_eq!(words_of(&still.runtime, session).await, ["deleting", "deleted"]);
}

/// It took an input a moment before, and was put to sleep amid its work.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_put_to_sleep_for_a_deletion_that_did_not_come_about_goes_on() {
    let script = "agent talker when first\n    say Well.\nagent talker\n    hang\n";
    let (still, hold, session) = rested(script).await;
    let deleting = delete_until(&still, session, (&hold, Holding::Lines)).await;
    still.runtime.submit(session, "l".into(), UserInput::text("now")).await.expect("taken");
    hold.off();
    seen("nobody is awake", || still.runtime.awake() == 0).await;
    drop(deleting);
    logged(&still.runtime, session, "it goes on", |events| {
        (count(events, "session_restarted") == 1).then_some(())
    })
    .await;
    assert!(words_of(&still.runtime, session).await.is_empty(), "nothing was recorded");
}

/// Either the message came first, and its session is kept with it, or the deletion, and it is refused.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_message_and_a_deletion_at_once_one_counts_whole() {
    let stage = Stage::set(SCRIPT, house(&Prop::new("work", EffectClass::Once))).await;
    for round in 0..24 {
        let session = say(&stage.runtime, "talker", "k", "hello").await;
        ended(&stage.runtime, session, "k").await;
        let deleting = stage.runtime.delete(session);
        let saying = stage.runtime.submit(session, "l".into(), UserInput::text("once more"));
        // Now this one is a step ahead, now the other.
        let yields = |many: u32| async move {
            for _ in 0..many {
                tokio::task::yield_now().await;
            }
        };
        let saying = async {
            yields(round * 4).await;
            saying.await
        };
        let deleting = async {
            yields(round % 3 * 8).await;
            deleting.await
        };
        let both = async { futures_util::join!(saying, deleting) };
        match bounded("both", both).await {
            (Ok(()), Err(CallError::Hindered { .. })) => {
                assert_eq!(ended(&stage.runtime, session, "l").await.word(), "completed");
            }
            // Or it was said and answered before anybody asked what hinders a deletion.
            (Ok(()) | Err(CallError::Rejected(Rejected::Gone)), Ok(sessions)) => {
                assert_eq!(sessions, 1);
                assert!(events(&stage.runtime, session).await.is_empty());
            }
            other => panic!("{other:?}"),
        }
    }
}

/// What is off the stage because its log is damaged can be deleted, whatever its line says.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_whose_log_is_damaged_can_be_deleted() {
    let furnish = |harness: Harness| harness.agent(workshop::agent("talker", &[], &[]));
    let still = Still::set(SCRIPT, furnish).await;
    let session = say(&still.runtime, "talker", "k", "hello").await;
    ended(&still.runtime, session, "k").await;
    assert!(still.store.damage(LogId::session(session), Position(1)));
    let still = still.crash().await;
    let _running = still.runs(50);
    let refused = still.runtime.set_goal(session, None).await;
    assert!(refused.is_err(), "{refused:?}");
    until("the house has written it down", || async {
        let words = still.runtime.house().await.ok()?;
        words.iter().any(|word| word.session() == Some(session)).then_some(())
    })
    .await;
    assert_eq!(still.runtime.delete(session).await.expect("deleted"), 1);
    assert!(is_gone(&still.runtime.set_goal(session, None).await));
}
