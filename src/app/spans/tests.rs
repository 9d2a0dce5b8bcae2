//! Which frames are told, whatever the wall shows, and where what they make hangs.

use greenroom_actors::{
    domain::{agent::AgentSpec, event::UserInput, ids::InputKey},
    runtime::Deps,
    testing::{
        clock::{ManualClock, START},
        harness::{Harness, ended, say},
        memory::MemoryStore,
    },
};
use opentelemetry_sdk::{Resource, trace::SpanData};

use super::*;

const HOUR_MS: i64 = 3_600_000;

const SCRIPT: &str = r#"
agent lead
    call spawn_agent {"agent": "hand", "task": "one"}
  then
    call await_agents
  then
    call send_agent {"agent_id": "{child:1}", "task": "two"}
    call send_agent {"agent_id": "{child:1}", "task": "three"}
  then
    call await_agents
  then
    say done
agent hand
    say done
"#;

async fn house(clock: &ManualClock) -> Runtime {
    let store = MemoryStore::new();
    let deps = Deps {
        journal: Arc::new(store.clone()),
        catalog: Arc::new(store.clone()),
        blobs: Arc::new(store),
        clock: Arc::new(clock.clone()),
    };
    let harness = Harness::scripted(deps, SCRIPT);
    let hand = AgentSpec::new("hand", "scripted");
    let mut lead = AgentSpec::new("lead", "scripted");
    lead.routes = [hand.name.clone()].into();
    harness.agent(lead).agent(hand).start().await
}

/// One who has heard nothing yet, in a house that began then.
fn hearing(runtime: &Runtime, since: Timestamp) -> Hearing {
    Hearing {
        reading: runtime.reading(),
        since,
        follower: Follower::default(),
        unread: HashSet::new(),
        instruments: Instruments::new(Resource::builder_empty().build(), []),
        posts: vec![Arc::default()],
        closings: Vec::new(),
    }
}

fn told(hearing: &Hearing) -> Vec<SpanData> {
    hearing.posts[0].lot()
}

async fn again(runtime: &Runtime, session: SessionId, key: &str) {
    let input = UserInput::text("more");
    runtime.submit(session, InputKey::from(key), input).await.expect("it is heard");
    ended(runtime, session, key).await;
}

#[tokio::test]
async fn what_is_behind_a_frame_that_was_heard_is_told_although_the_clock_was_set_back() {
    let clock = ManualClock::default();
    let runtime = house(&clock).await;
    let mut hearing = hearing(&runtime, START);
    let session = say(&runtime, "hand", "k1", "go").await;
    ended(&runtime, session, "k1").await;
    hearing.sweep().await;
    assert_eq!(told(&hearing).len(), 2, "a turn and its call");
    clock.set(Timestamp(START.0 - HOUR_MS));
    again(&runtime, session, "k2").await;
    hearing.sweep().await;
    assert_eq!(told(&hearing).len(), 2);
}

#[tokio::test]
async fn a_clock_behind_the_store_tells_nothing_twice_and_what_is_heard_now_is_told() {
    let clock = ManualClock::default();
    let runtime = house(&clock).await;
    let session = say(&runtime, "hand", "k1", "go").await;
    ended(&runtime, session, "k1").await;
    let before = runtime.reading().tail(session).await.expect("its log");
    // Somebody told that, and the next start has another clock.
    clock.set(Timestamp(START.0 - HOUR_MS));
    let since = behind(&runtime.reading(), clock.now()).await;
    let mut hearing = hearing(&runtime, since);
    hearing.sweep().await;
    hearing.read_on(session, None).await;
    assert_eq!(told(&hearing), []);
    again(&runtime, session, "k2").await;
    hearing.follower = Follower::default();
    hearing.read_on(session, Some(before.next())).await;
    assert_eq!(told(&hearing).len(), 2);
}

#[tokio::test]
async fn whoever_is_heard_first_an_agent_hangs_below_the_call_that_each_of_its_tasks_came_by() {
    let runtime = house(&ManualClock::default()).await;
    let lead = say(&runtime, "lead", "k", "go").await;
    ended(&runtime, lead, "k").await;
    let rows = runtime.reading().all_sessions(SessionFilter::default()).await.expect("rows");
    let hand = rows.iter().find(|row| row.session != lead).expect("an agent").session;
    for both in [[hand, lead], [lead, hand]] {
        let mut hearing = hearing(&runtime, START);
        for session in both {
            hearing.read_on(session, None).await;
        }
        let spans = told(&hearing);
        let mut calls: Vec<_> = spans
            .iter()
            .filter(|span| {
                ["execute_tool spawn_agent", "execute_tool send_agent"].contains(&&*span.name)
            })
            .map(|span| span.span_context.span_id())
            .collect();
        let mut above: Vec<_> = spans
            .iter()
            .filter(|span| span.name == "invoke_agent hand")
            .map(|span| span.parent_span_id)
            .collect();
        assert_eq!(above.len(), 3, "{both:?}");
        calls.sort_unstable_by_key(|id| id.to_bytes());
        above.sort_unstable_by_key(|id| id.to_bytes());
        assert_eq!(above, calls, "{both:?}");
    }
}

#[tokio::test]
async fn a_fork_tells_its_own_turns_in_a_trace_of_its_own_and_its_base_once() {
    let runtime = house(&ManualClock::default()).await;
    let mut hearing = hearing(&runtime, START);
    let base = say(&runtime, "hand", "k1", "go").await;
    ended(&runtime, base, "k1").await;
    let last = runtime.reading().tail(base).await.expect("its log");
    let mut forks = Vec::new();
    // Before its turn, amid it with its call open, and behind it.
    for at in 1..=last.0 {
        let fork = runtime.fork(base, Position(at)).await.expect("a fork");
        again(&runtime, fork, "k2").await;
        forks.push(fork);
    }
    hearing.sweep().await;
    hearing.sweep().await;
    let spans = told(&hearing);
    let of = |session: &SessionId| {
        let trace = session.0.as_bytes();
        spans.iter().filter(|span| span.span_context.trace_id().to_bytes() == *trace).count()
    };
    assert_eq!((of(&base), spans.len()), (2, 2 + 2 * forks.len()));
    assert!(forks.len() > 2 && forks.iter().all(|fork| of(fork) == 2), "{spans:?}");
}
