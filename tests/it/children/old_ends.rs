//! Ends that nobody heard and that their session does not hold in memory any more.

use greenroom_actors::{
    domain::{
        event::{Event, FailureKind, ModelFailure, UserInput},
        frame::LogId,
        ids::{Assignment, InputKey, ModelCallNo, SessionId, TurnId},
        outcome::TurnOutcome,
        usage::Settlement,
    },
    limits, log,
    ports::Clock as _,
    runtime::Deps,
    testing::harness::{Harness, bounded, ended, say},
};

use crate::{
    props::{children, count, logged},
    workshop::{Still, agent},
};

/// What a child wrote while nobody heard it, as its own actor would have.
async fn writes(harness: &Harness, child: SessionId, frames: &[Vec<Event>]) {
    let Deps { journal, clock, .. } = &harness.deps;
    let id = LogId::session(child);
    let claim = journal.claim(id).await.expect("a claim");
    let mut writer = log::Writer::new(id, claim, "test".into(), "test".into());
    for events in frames {
        let frame = writer.frame(events, Vec::new(), None, clock.now()).expect("a frame");
        writer.tail = journal.append(frame).await.expect("written");
    }
}

/// A child has ended so many assignments while its parent was away that the end the parent waits for
/// is in its log only. The parent hears that very end.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_end_of_long_ago_is_told_as_it_was() {
    let script = r#"
agent lead
    call spawn_agent {"agent": "worker", "task": "1"}
  then
    call await_agents
  then
    say {last}
agent worker
    hang
"#;
    let still = Still::set(script, |harness| {
        harness.agent(agent("lead", &[], &["worker"])).agent(agent("worker", &[], &[]))
    })
    .await;
    let lead = say(&still.runtime, "lead", "k", "go").await;
    let child = logged(&still.runtime, lead, "it waits for its agent", |log| {
        (count(log, "model_call_started") == 2).then(|| children(log).first().copied()).flatten()
    })
    .await;
    logged(&still.runtime, child, "it works", |log| {
        (count(log, "model_call_started") == 1).then_some(())
    })
    .await;
    let Still { store, clock, harness, runtime } = still;
    drop(runtime);
    store.reopen();
    let ended_well = |text: &str| TurnOutcome::Completed { text: text.into(), truncated: false };
    let (call, failure) = (ModelCallNo(1), lost());
    let mut frames = vec![vec![
        Event::ModelCallFailed { call, failure },
        Event::UsageSettled { call, model: "scripted".into(), settlement: Settlement::Free },
        Event::TurnFinished { turn: TurnId(1), outcome: ended_well("the first of many") },
    ]];
    for no in 2..=u32::try_from(limits::OUTCOMES).expect("few") + 5 {
        let (turn, key) = (TurnId(no), InputKey(format!("later {no}")));
        let mut input = UserInput::text("more");
        input.assignment = Some(Assignment(no));
        let deadline = clock.now().plus_ms(limits::TURN_MS);
        frames.push(vec![
            Event::InputAccepted { key: key.clone(), input },
            Event::TurnStarted { turn, key, deadline },
            Event::TurnFinished { turn, outcome: ended_well("another") },
        ]);
    }
    writes(&harness, child, &frames).await;
    let runtime = bounded("start", harness.start()).await;
    let still = Still { store, clock, harness, runtime };
    let _running = still.runs(50);
    let outcome = ended(&still.runtime, lead, "k").await;
    assert!(outcome.text().contains("the first of many"), "{outcome:?}");
}

/// The failure of a call that a death took.
fn lost() -> ModelFailure {
    ModelFailure::new(FailureKind::Lost, String::new(), true).unbilled()
}
