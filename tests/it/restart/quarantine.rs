//! Sessions that panic again and again: started anew under the same id, then off the stage.

use greenroom_actors::{
    domain::{catalog::SessionFilter, outcome::ChildOutcome},
    runtime::CallError,
};

use super::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_panic_starts_the_session_again_and_its_siblings_never_notice() {
    let script = "
agent lead
    call spawn_agent {\"agent\": \"shaky\", \"task\": \"a\"}
    call spawn_agent {\"agent\": \"steady\", \"task\": \"b\"}
  then
    call await_agents {}
  then
    say {last}
agent shaky
    first 2 panic out of tune
    say Shaky did {input}.
agent steady
    say Steady did {input}.
";
    let stage = Stage::set(script, |harness| {
        let harness = harness.agent(agent("lead", &[], &["shaky", "steady"]));
        harness.agent(agent("shaky", &[], &[])).agent(agent("steady", &[], &[]))
    })
    .await;
    let lead = say(&stage.runtime, "lead", "k", "go").await;
    let outcome = ended(&stage.runtime, lead, "k").await;
    let both = outcome.text().contains("Shaky did a.") && outcome.text().contains("Steady did b.");
    assert!(both, "{outcome:?}");
    let family = children(&events(&stage.runtime, lead).await);
    let shaky = events(&stage.runtime, family[0]).await;
    let panic = RestartCause::Panic { message: "out of tune".to_owned() };
    let said = causes(&shaky);
    assert_eq!(said.len(), 2, "{said:?}");
    assert!(said.iter().all(|cause| format!("{cause:?}").contains("out of tune")), "{panic:?}");
    is_whole(&shaky);
    for other in [lead, family[1]] {
        let log = events(&stage.runtime, other).await;
        assert_eq!(count(&log, "session_restarted"), 0);
        is_whole(&log);
    }
    let totals = stage.runtime.totals(TotalsOf::Subtree(lead)).await.expect("totals");
    assert_eq!((totals.calls, totals.unsettled_calls), (5, 2));
}

/// A lead whose agent panics `first N` times, and the runtime it plays in.
async fn shaky(times: u32) -> (Stage, SessionId, SessionId) {
    let script = format!(
        "
agent lead
    call spawn_agent {{\"agent\": \"shaky\", \"task\": \"a\"}}
  then
    call await_agents {{}}
  then
    say {{last}}
agent shaky
    first {times} panic out of tune
    say Shaky did {{input}}.
"
    );
    let stage = Stage::set(&script, |harness| {
        harness.agent(agent("lead", &[], &["shaky"])).agent(agent("shaky", &[], &[]))
    })
    .await;
    let lead = say(&stage.runtime, "lead", "k", "go").await;
    let child =
        logged(&stage.runtime, lead, "it has an agent", |events| children(events).first().copied())
            .await;
    (stage, lead, child)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_panics_take_a_session_off_the_stage_and_its_parent_is_told_once() {
    let (stage, lead, child) = shaky(3).await;
    let outcome = ended(&stage.runtime, lead, "k").await;
    assert!(outcome.text().contains("quarantined"), "{outcome:?}");
    let log = events(&stage.runtime, child).await;
    let reason = log.iter().find_map(|event| match event {
        Event::SessionQuarantined { reason } => Some(reason.clone()),
        _ => None,
    });
    let reason = reason.expect("off the stage");
    assert!(reason.contains("3 panics") && reason.contains("model"), "the step: {reason}");
    let refused = stage.runtime.submit(child, "x".into(), UserInput::text("still there?")).await;
    assert!(matches!(refused, Err(CallError::Rejected(_))), "{refused:?}");

    // A crash of everything tells it no second time, and brings it not back.
    let stage = stage.crash().await;
    let rows = stage.runtime.sessions(SessionFilter { rows: 10, ..Default::default() }).await;
    let row = rows.expect("rows").into_iter().find(|row| row.session == child).expect("its row");
    assert_eq!(row.status.word(), "quarantined");
    let input = UserInput::text("once more");
    stage.runtime.run(lead, "more".into(), input, PATIENCE_MS).await.expect("a turn");
    let told: Vec<ChildOutcome> = events(&stage.runtime, lead)
        .await
        .iter()
        .filter_map(|event| match event {
            Event::ChildFinished { child: who, report, .. } if *who == child => {
                Some(report.outcome.clone())
            }
            _ => None,
        })
        .collect();
    assert!(matches!(told.as_slice(), [ChildOutcome::Quarantined { .. }]), "{told:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_released_session_makes_its_step_again() {
    let (stage, lead, child) = shaky(3).await;
    ended(&stage.runtime, lead, "k").await;
    stage.runtime.release(child, false).await.expect("release");
    let done = logged(&stage.runtime, child, "its turn ended", |events| {
        events.iter().find_map(|event| match event {
            Event::TurnFinished { outcome, .. } => Some(outcome.clone()),
            _ => None,
        })
    })
    .await;
    assert_eq!(done.text(), "Shaky did a.");
    is_whole(&events(&stage.runtime, child).await);
    let told = count(&events(&stage.runtime, lead).await, "child_finished");
    assert_eq!(told, 1, "its parent had been told before");
    let again = stage.runtime.release(child, false).await;
    assert!(matches!(again, Err(CallError::Rejected(_))), "{again:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_release_that_skips_closes_the_failed_step_instead() {
    let (stage, lead, child) = shaky(9).await;
    ended(&stage.runtime, lead, "k").await;
    stage.runtime.release(child, true).await.expect("release");
    let done = logged(&stage.runtime, child, "its turn ended", |events| {
        events.iter().find_map(|event| match event {
            Event::TurnFinished { outcome, .. } => Some(outcome.clone()),
            _ => None,
        })
    })
    .await;
    assert!(
        matches!(&done, TurnOutcome::Failed { reason } if reason.contains("skipped")),
        "{done:?}"
    );
    is_whole(&events(&stage.runtime, child).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_count_of_panics_outlives_the_process() {
    let (stage, _) =
        stage("agent solo\n  hang", |harness| harness.agent(agent("solo", &[], &[]))).await;
    let session = say(&stage.runtime, "solo", "k", "go").await;
    for calls in 1..=2 {
        model_call_begun(&stage.runtime, session, calls).await;
        panics(&stage.runtime, session).await;
    }
    model_call_begun(&stage.runtime, session, 3).await;
    let stage = stage.crash().await;
    model_call_begun(&stage.runtime, session, 4).await;
    let log = events(&stage.runtime, session).await;
    assert_eq!(causes(&log).last(), Some(&RestartCause::Process));
    assert_eq!(count(&log, "session_quarantined"), 0, "the process's death is not its own");
    panics(&stage.runtime, session).await;
    let log = events(&stage.runtime, session).await;
    assert_eq!(count(&log, "session_quarantined"), 1, "{log:#?}");
}
