//! What happens to one session happens to nobody else: panics, kills, storms, and deaths of the
//! house's own actors, each compared with a run in which nothing happened.

use std::{collections::BTreeMap, sync::Arc};

use futures_util::future::{join, join_all};
use greenroom_actors::{
    Runtime,
    bus::{Heard, Note},
    domain::{
        agent::RestartPolicy,
        budget::Budget,
        event::{CancelTarget, Event, RestartCause, UserInput},
        frame::LogId,
        house::HouseEvent,
        ids::{InputKey, Position, SessionId, Timestamp},
        outcome::{ChildOutcome, TurnOutcome},
        tool::EffectClass,
    },
    fault, limits, log,
    policy::turn::Rejected,
    ports::{Clock as _, Journal},
    runtime::{CallError, Victim},
    testing::harness::{Harness, PATIENCE_MS, bounded, ended, events, say},
};

use crate::{
    props::{Recorder, children, closures, count, logged},
    stage::Stage,
    workshop::{Count, Prop, Sink, Still, agent, done, memory, tool, until, wall},
};

mod circle;
mod family;
mod flood;
mod generations;
mod house;
mod kinds;
mod poison;
mod storm;

const WORK: &str = r#"
agent worker
    wait 2ms
    say On it.
    call note {"text": "{input} one"}
    call note {"text": "{input} two"}
  then
    wait 2ms
    call note {"text": "{input} three"}
  then
    say {results}
"#;

/// Notes what it is told; the same key again is the same note.
fn note(sink: &Sink) -> Prop {
    let sink = sink.clone();
    tool("note", EffectClass::Idempotent, move |ctx, args| {
        sink.took(&ctx.idempotency_key);
        async move { done(format!("noted {}", args.0)) }
    })
}

fn workers(sink: &Sink) -> impl FnOnce(Harness) -> Harness {
    let note = note(sink);
    move |harness| harness.tool(note).agent(agent("worker", &["note"], &[]))
}

/// Sessions that work while something happens to others.
struct Crowd {
    sessions: Vec<SessionId>,
    /// How each of their turns ended.
    outcomes: Vec<Vec<TurnOutcome>>,
    /// What each wrote into its log, without times and its own id.
    logs: Vec<Vec<String>>,
    /// How long each turn took.
    took_ms: Vec<u64>,
}

impl Crowd {
    fn were_restarted(&self) -> bool {
        self.logs.iter().flatten().any(|line| line.contains("session_restarted"))
    }

    fn p99_ms(&self) -> u64 {
        let mut all = self.took_ms.clone();
        all.sort_unstable();
        all.get(all.len().saturating_sub(1) * 99 / 100).copied().unwrap_or(0)
    }
}

/// An event as its log holds it, without what differs between two runs of one piece.
fn line(event: &Event, session: SessionId) -> String {
    let mut value = serde_json::to_value(event).expect("JSON");
    if let Some(fields) = value.as_object_mut() {
        fields.retain(|name, _| !matches!(name.as_str(), "deadline" | "at"));
    }
    value.to_string().replace(&session.to_string(), "myself")
}

/// Runs some turns in each of some sessions, all at once.
async fn bystanders(runtime: &Runtime, sessions: usize, turns: usize) -> Crowd {
    let one = |at: usize| async move {
        let session = runtime.open(&"worker".into(), "test".into()).await.expect("open");
        let (mut outcomes, mut took_ms) = (Vec::new(), Vec::new());
        for turn in 0..turns {
            let (key, began) = (InputKey(format!("k{turn}")), wall().now());
            let input = UserInput::text(format!("part {at} {turn}"));
            let outcome = runtime.run(session, key, input, PATIENCE_MS).await;
            outcomes.push(outcome.expect("a turn"));
            took_ms.push(wall().now().since_ms(began));
        }
        let log = events(runtime, session).await;
        let mut log: Vec<_> = log.iter().map(|event| line(event, session)).collect();
        // Tools of one reply run side by side: which of them starts and ends first is chance.
        log.sort_unstable();
        (session, outcomes, log, took_ms)
    };
    let mut crowd = Crowd { sessions: vec![], outcomes: vec![], logs: vec![], took_ms: vec![] };
    for (session, outcomes, log, took_ms) in join_all((0..sessions).map(one)).await {
        crowd.sessions.push(session);
        crowd.outcomes.push(outcomes);
        crowd.logs.push(log);
        crowd.took_ms.extend(took_ms);
    }
    crowd
}

/// Waits until a session's model hangs.
async fn hangs(runtime: &Runtime, session: SessionId) {
    logged(runtime, session, "its model is called", |log| {
        (count(log, "model_call_started") > 0).then_some(())
    })
    .await;
}

/// How often a log says that its session was started again, and when.
async fn restarts(runtime: &Runtime, session: SessionId) -> Vec<Timestamp> {
    let frames = runtime.read(session, Position(0)).await.expect("its log");
    let restarted = |event: &Event| matches!(event, Event::SessionRestarted { .. });
    let frames = frames.iter().filter(|frame| frame.events.iter().any(restarted));
    frames.map(|frame| frame.envelope.at).collect()
}

/// Every log of the store: tokens never fall, positions follow one another.
async fn tokens_never_fall(journal: &Arc<dyn Journal>, logs: &[LogId]) -> usize {
    let mut seen = 0;
    for log in logs {
        let mut last = (Position(0), Default::default());
        let frames = journal.read(*log, Position(0), usize::MAX).await.expect("its frames");
        for frame in frames {
            let now = (frame.envelope.position, frame.envelope.token);
            assert_eq!(now.0, last.0.next(), "{log}");
            assert!(now.1 >= last.1, "{log}: an older owner wrote after a newer one");
            last = now;
            seen += 1;
        }
    }
    seen
}
