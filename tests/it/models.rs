//! What models do to the turns of sessions: limits that are waited out, answers that break off, chains
//! of models that stand in for one another.

use std::sync::Arc;

use greenroom_actors::{
    Runtime,
    bus::{Heard, Listener, Note},
    domain::{
        agent::AgentSpec,
        event::{Event, UserInput},
        ids::{Position, SessionId},
        model::ModelEvent,
        outcome::TurnOutcome,
    },
    limits,
    ports::Clock as _,
    scripted::ScriptedModel,
    testing::harness::{Harness, bounded, ended, events, say},
};

use crate::{
    props::{agent, logged},
    stage::Stage,
    workshop::{self, Still, until},
};

/// A second place where models are served, with a script of its own.
fn serving(mut harness: Harness, name: &str, script: &str) -> Harness {
    let model = ScriptedModel::parse(script).unwrap_or_else(|error| panic!("{error}"));
    let clock = Arc::clone(&harness.deps.clock);
    harness.providers.push(Arc::new(model.with_name(name).with_clock(clock)));
    harness
}

fn lead() -> AgentSpec {
    let mut lead = agent("lead", &[], &[]).fall_back_to("spare", Some("other".into()));
    lead.limits.retries = 0;
    lead
}

/// Which models were called, in order.
fn called(log: &[Event]) -> Vec<String> {
    let called = log.iter().filter_map(|event| match event {
        Event::ModelCallStarted { model, .. } => Some(model.to_string()),
        _ => None,
    });
    called.collect()
}

fn fell(log: &[Event]) -> Vec<(String, String)> {
    let fell = log.iter().filter_map(|event| match event {
        Event::ModelFellBack { from, to, .. } => Some((from.to_string(), to.to_string())),
        _ => None,
    });
    fell.collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_turn_stays_on_the_model_it_fell_back_to_after_a_crash_and_the_next_begins_with_the_first()
 {
    let first = "agent lead turn 1\n    fail quota unbilled: no credit\n\
                 agent lead\n    say First again.\n";
    let other = "agent lead\n    until call 3 hang\n    say The spare.\n";
    let stage = Stage::set(first, |harness| serving(harness.agent(lead()), "other", other)).await;
    let session = say(&stage.runtime, "lead", "k1", "go").await;
    logged(&stage.runtime, session, "the spare is called", |log| {
        (called(log) == ["scripted", "spare"]).then_some(())
    })
    .await;

    let stage = stage.crash().await;
    assert_eq!(ended(&stage.runtime, session, "k1").await.text(), "The spare.");
    let log = events(&stage.runtime, session).await;
    assert_eq!(called(&log), ["scripted", "spare", "spare"], "the crash changed the model");
    assert_eq!(fell(&log), [("scripted".to_owned(), "spare at other".to_owned())]);

    let (key, input) = ("k2".into(), UserInput::text("again"));
    bounded("submit", stage.runtime.submit(session, key, input)).await.unwrap();
    assert_eq!(ended(&stage.runtime, session, "k2").await.text(), "First again.");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn at_the_end_of_its_chain_a_turn_fails_and_says_why() {
    let first = "agent lead\n    fail auth unbilled: no such key\n";
    let other = "agent lead\n    fail transport: broken off\n";
    let stage = Stage::set(first, |harness| serving(harness.agent(lead()), "other", other)).await;
    let session = say(&stage.runtime, "lead", "k", "go").await;
    let TurnOutcome::Failed { reason } = ended(&stage.runtime, session, "k").await else {
        panic!("it did not fail");
    };
    assert_eq!(reason, "the model call failed once: broken off");
    // A provider that nobody configured is no reason to take another than the declared one.
    let lost = Stage::set(first, |harness| harness.agent(lead())).await;
    let session = say(&lost.runtime, "lead", "k", "go").await;
    let TurnOutcome::Failed { reason } = ended(&lost.runtime, session, "k").await else {
        panic!("it did not fail");
    };
    assert!(reason.contains("provider other is not configured; there is: scripted"), "{reason}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_limit_is_waited_out_however_often_and_whoever_looks_sees_until_when() {
    let script =
        "agent worker\n    first 12 fail rate_limited after 40s unbilled\n    say There.\n";
    let still = Still::set(script, |harness| {
        let mut worker = workshop::agent("worker", &[], &[]);
        worker.limits.retries = 0;
        harness.agent(worker)
    })
    .await;
    let start = still.clock.now();
    let session = say(&still.runtime, "worker", "k", "go").await;
    let waits = || async {
        let row = still.runtime.reading().session(session).await.ok()??;
        row.waiting_on.filter(|on| on.starts_with("rate limit of scripted, until "))
    };
    until("it says what it waits for", waits).await;
    let over = || async {
        let log = events(&still.runtime, session).await;
        log.iter().find_map(|event| match event {
            Event::TurnFinished { outcome, .. } => Some(outcome.clone()),
            _ => None,
        })
    };
    let outcome = still.advancing("the turn ends", 1_000, over).await;
    assert_eq!(outcome.text(), "There.");
    let took = still.clock.now().since_ms(start);
    assert!(took >= 12 * 40_000, "{took} ms are less than the vendor asked for");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_is_kept_whatever_its_vendor_calls_the_model() {
    let name = "m".repeat(limits::EVENT_BYTES);
    let script = format!("agent teller\n    served-by {name}\n    say There.\n");
    let stage = Stage::set(&script, |harness| harness.agent(agent("teller", &[], &[]))).await;
    let session = say(&stage.runtime, "teller", "k", "go").await;
    assert_eq!(ended(&stage.runtime, session, "k").await.text(), "There.");
}

/// What is heard of a session until its turn has ended: pieces of text.
async fn pieces(heard: &mut Listener) -> Vec<String> {
    let mut pieces = Vec::new();
    while let Some(Heard::Note(note)) = bounded("the next note", heard.next()).await {
        match note {
            Note::Delta { event: ModelEvent::Text { delta }, .. } => pieces.push(delta),
            Note::Frame(frame) => {
                let ends = |event: &Event| matches!(event, Event::TurnFinished { .. });
                if frame.events.iter().any(ends) {
                    break;
                }
            }
            Note::Delta { .. } | Note::Progress { .. } => {}
        }
    }
    pieces
}

async fn opened(runtime: &Runtime) -> SessionId {
    bounded("open", runtime.open(&"teller".into(), "test".into())).await.unwrap()
}

async fn told(runtime: &Runtime, session: SessionId) {
    let input = UserInput::text("tell me");
    bounded("submit", runtime.submit(session, "k".into(), input)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_somebody_has_heard_is_not_said_again_and_what_nobody_heard_is() {
    let script = "agent teller\n    say Once upon\n    first 1 end\n    say  a time.\n";
    let stage = Stage::set(script, |harness| {
        harness.agent(agent("teller", &[], &[]).fall_back_to("spare", None))
    })
    .await;
    // Nobody listens, or only for what is committed: the call that broke off is made again.
    let _frames = stage.runtime.subscribe_to_frames();
    let alone = opened(&stage.runtime).await;
    told(&stage.runtime, alone).await;
    assert_eq!(ended(&stage.runtime, alone, "k").await.text(), "Once upona time.");
    assert_eq!(called(&events(&stage.runtime, alone).await).len(), 2);

    let heard_by_one = opened(&stage.runtime).await;
    let mut listener = stage.runtime.follow(heard_by_one);
    told(&stage.runtime, heard_by_one).await;
    assert_eq!(pieces(&mut listener).await, ["Once upon"]);
    let outcome = ended(&stage.runtime, heard_by_one, "k").await;
    let TurnOutcome::Failed { reason } = outcome else { panic!("{outcome:?}") };
    assert!(reason.contains("after pieces of it had been given out"), "{reason}");
    let log = events(&stage.runtime, heard_by_one).await;
    assert_eq!((called(&log).len(), fell(&log).len()), (1, 0), "neither again nor by another");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_its_vendor_breaks_off_is_one_answer_also_over_a_crash() {
    let script = "agent teller\n    say One, \n    stop paused\n  then\n    until call 3 hang\n    \
                  say two.\n";
    let stage = Stage::set(script, |harness| harness.agent(agent("teller", &[], &[]))).await;
    let session = opened(&stage.runtime).await;
    told(&stage.runtime, session).await;
    logged(&stage.runtime, session, "the rest is asked for", |log| {
        (called(log).len() == 2).then_some(())
    })
    .await;
    let stage = stage.crash().await;
    assert_eq!(ended(&stage.runtime, session, "k").await.text(), "One,two.");
    let log = stage.runtime.read(session, Position(0)).await.expect("its log");
    let turns = log.iter().flat_map(|frame| &frame.events);
    assert_eq!(turns.filter(|event| matches!(event, Event::TurnFinished { .. })).count(), 1);
}
