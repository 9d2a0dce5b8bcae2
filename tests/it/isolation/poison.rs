//! S2: what kills its session every time ends off the stage, after a bounded number of tries.

use super::*;

/// S2: an input that panics every time is tried three times, with growing pauses, and then waits
/// for a person; a process death changes nothing about that, and nobody else notices.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_poisonous_input_is_quarantined_after_three_tries_and_stays_so() {
    let script = format!(
        "{WORK}
agent eater when poison
    panic bad taste
agent eater
    say Fine.
"
    );
    let sink = Sink::default();
    let stage =
        Stage::set(&script, |harness| workers(&sink)(harness).agent(agent("eater", &[], &[])))
            .await;
    let eater = say(&stage.runtime, "eater", "k", "poison").await;
    let waited = stage.runtime.outcome(eater, "k".into(), PATIENCE_MS);
    let (refused, others) = join(waited, bystanders(&stage.runtime, 20, 2)).await;
    let Err(CallError::Rejected(Rejected::Quarantined { reason })) = refused else {
        panic!("not quarantined: {refused:?}");
    };
    assert!(reason.contains("3 panics without progress, at: "), "{reason}");
    let at = restarts(&stage.runtime, eater).await;
    assert_eq!(at.len(), 3, "three tries: the first, and two more");
    let frames = stage.runtime.read(eater, Position(0)).await.expect("its log");
    let calls: Vec<Timestamp> = frames
        .iter()
        .filter(|frame| frame.events.iter().any(|e| e.name() == "model_call_started"))
        .map(|frame| frame.envelope.at)
        .collect();
    assert_eq!(calls.len(), 3);
    assert!(at[0].since_ms(calls[0]) >= limits::BACKOFF_MS, "first pause");
    assert!(at[1].since_ms(calls[1]) >= 2 * limits::BACKOFF_MS, "second pause");
    let third = frames
        .iter()
        .find(|frame| frame.events.iter().any(|event| event.name() == "session_quarantined"));
    let third = third.expect("it says so itself").envelope.at;
    assert!(third.since_ms(calls[2]) >= 4 * limits::BACKOFF_MS, "third pause");
    assert!(!others.were_restarted());
    assert_eq!(stage.runtime.figures().held, None, "one that dies often is no storm");

    let stage = stage.crash().await;
    let again = stage.runtime.submit(eater, "k2".into(), UserInput::text("soup")).await;
    assert!(matches!(again, Err(CallError::Rejected(Rejected::Quarantined { .. }))), "{again:?}");
    stage.runtime.release(eater, true).await.expect("a person lets it back");
    let skipped = ended(&stage.runtime, eater, "k").await;
    assert!(matches!(&skipped, TurnOutcome::Failed { reason } if reason.contains("skipped")));
    let soup = stage.runtime.run(eater, "k2".into(), UserInput::text("soup"), PATIENCE_MS).await;
    assert!(matches!(soup, Ok(TurnOutcome::Completed { .. })), "{soup:?}");
    assert_eq!(restarts(&stage.runtime, eater).await.len(), 3, "no try without a person");
}

const UNBORN: &str = r#"
agent lead
    call spawn_agent {"agent": "stuck", "task": "go"}
  then
    call await_agents {}
  then
    say {results}
agent stuck
    until call 2 hang
    say Back.
"#;

/// What the house's own log says of a session's quarantine.
async fn house_says(stage: &Stage, session: SessionId) -> Vec<HouseEvent> {
    let journal: Arc<dyn Journal> = Arc::clone(&stage.store) as _;
    let frames = log::read_all::<HouseEvent>(&journal, LogId::HOUSE).await.expect("its log");
    let of_it = |event: &HouseEvent| match event {
        HouseEvent::Quarantined { session: who, .. }
        | HouseEvent::Released { session: who, .. } => *who == session,
        _ => false,
    };
    frames.into_iter().flat_map(|frame| frame.events).filter(of_it).collect()
}

/// Lets a session die so that no successor comes to its first frame; the reason it is refused with.
async fn never_begins(runtime: &Runtime, session: SessionId) -> String {
    hangs(runtime, session).await;
    fault::strike("session.loading", session, u32::MAX);
    assert!(runtime.kill(&Victim::Session(session)));
    // It waits with the session, and is refused with it.
    refusal(runtime, session, "more").await
}

async fn refusal(runtime: &Runtime, session: SessionId, key: &str) -> String {
    match runtime.submit(session, key.into(), UserInput::text("go")).await {
        Err(CallError::Rejected(Rejected::Quarantined { reason })) => reason,
        other => panic!("not quarantined: {other:?}"),
    }
}

async fn comes_back(runtime: &Runtime, session: SessionId) {
    fault::strike("session.loading", session, 0);
    runtime.release(session, false).await.expect("a person lets it back");
    let outcome = logged(runtime, session, "its turn ends", |log| {
        log.iter().find_map(|event| match event {
            Event::TurnFinished { outcome, .. } => Some(outcome.clone()),
            _ => None,
        })
    })
    .await;
    assert_eq!(outcome.text(), "Back.");
    assert_eq!(count(&events(runtime, session).await, "session_quarantined"), 0);
    let more = runtime.run(session, "again".into(), UserInput::text("go"), PATIENCE_MS).await;
    assert!(matches!(more, Ok(TurnOutcome::Completed { .. })), "{more:?}");
}

/// A session that dies before it can write a word about it is taken off the stage by the house,
/// whose log says why; a person lets it back, in the same process or in a later one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_never_comes_to_its_first_frame_is_quarantined_by_the_house() {
    let stage = Stage::set(UNBORN, |harness| {
        harness.agent(agent("lead", &[], &["stuck"])).agent(agent("stuck", &[], &[]))
    })
    .await;
    let runtime = &stage.runtime;
    let alone = say(runtime, "stuck", "k", "go").await;
    let lead = say(runtime, "lead", "k", "go").await;
    let child =
        logged(runtime, lead, "it has an agent", |log| children(log).first().copied()).await;
    let (of_one, of_child) = join(never_begins(runtime, alone), never_begins(runtime, child)).await;
    let deaths = format!("{} deaths before its first frame: ", limits::PANICS_MAX + 1);
    for reason in [&of_one, &of_child] {
        assert!(reason.starts_with(&deaths) && reason.contains("struck"), "{reason}");
    }
    // Its parent hears of it, once, although the child cannot say so itself.
    let outcome = ended(runtime, lead, "k").await;
    assert!(outcome.text().contains("quarantined"), "{outcome:?}");
    let told: Vec<ChildOutcome> =
        events(runtime, lead).await.iter().filter_map(outcome_of).collect();
    let quarantined = ChildOutcome::Quarantined { reason: of_child.clone(), stopped: false };
    assert_eq!(told, [quarantined]);

    comes_back(runtime, alone).await;
    assert_eq!(refusal(runtime, child, "meanwhile").await, of_child, "the other one stays away");
    let stage = stage.crash().await;
    assert_eq!(refusal(&stage.runtime, child, "later").await, of_child);
    comes_back(&stage.runtime, child).await;
    for (session, reason) in [(alone, of_one), (child, of_child)] {
        let said = house_says(&stage, session).await;
        let once = matches!(
            said.as_slice(),
            [HouseEvent::Quarantined { reason: why, .. }, HouseEvent::Released { .. }]
                if *why == reason
        );
        assert!(once, "{said:?}");
    }
    let told = events(&stage.runtime, lead).await.iter().filter_map(outcome_of).count();
    assert_eq!(told, 1, "and never again");
}

fn outcome_of(event: &Event) -> Option<ChildOutcome> {
    match event {
        Event::ChildFinished { report, .. } => Some(report.outcome.clone()),
        _ => None,
    }
}

/// One that the house took off the stage is let back without the step that failed: its log says so
/// once, whatever dies between the word and the deed, and the step is not made again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_release_by_the_house_that_skips_closes_the_step_once_also_after_a_death() {
    let stage = Stage::set(UNBORN, |harness| harness.agent(agent("stuck", &[], &[]))).await;
    let session = say(&stage.runtime, "stuck", "k", "go").await;
    let why = never_begins(&stage.runtime, session).await;
    until("the house has written it down", || async {
        (!house_says(&stage, session).await.is_empty()).then_some(())
    })
    .await;
    assert_eq!(refusal(&stage.runtime, session, "again").await, why);
    // It dies once more on its way back, and then the whole process does.
    fault::strike("session.loading", session, 1);
    stage.runtime.release(session, true).await.expect("a person lets it back");
    let stage = stage.crash().await;
    let runtime = &stage.runtime;
    let skipped = ended(runtime, session, "k").await;
    assert!(
        matches!(&skipped, TurnOutcome::Failed { reason } if reason.contains("skipped")),
        "{skipped:?}"
    );
    runtime.release(session, true).await.expect("the same release again");
    let log = events(runtime, session).await;
    assert_eq!(count(&log, "model_call_started"), 1, "{log:#?}");
    assert!(
        log.iter()
            .any(|event| matches!(event, Event::SessionQuarantined { reason } if *reason == why)),
        "its own log says why: {log:#?}"
    );
    let more = runtime.run(session, "more".into(), UserInput::text("go"), PATIENCE_MS).await;
    assert!(matches!(more, Ok(TurnOutcome::Completed { .. })), "{more:?}");
    let stage = stage.crash().await;
    let runtime = &stage.runtime;
    let more = runtime.run(session, "yet".into(), UserInput::text("go"), PATIENCE_MS).await;
    assert!(matches!(more, Ok(TurnOutcome::Completed { .. })), "{more:?}");
    let log = events(runtime, session).await;
    assert_eq!((count(&log, "session_quarantined"), count(&log, "session_released")), (1, 1));
}
