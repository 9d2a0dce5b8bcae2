//! A budget that is nearly spent says so in its session's log: once, whatever dies.

use std::sync::{Arc, OnceLock};

use greenroom_actors::{
    Runtime,
    domain::{
        budget::{Budget, Dimension},
        event::{Event, UserInput},
        frame::LogKind,
        ids::SessionId,
        outcome::TurnOutcome,
    },
    runtime::Victim,
    testing::harness::{PATIENCE_MS, ended, events, say},
};

use super::{LOOP, capped, steps};
use crate::{
    stage::Stage,
    workshop::{Count, Watched, until},
};

fn warned(log: Vec<Event>) -> Vec<Event> {
    log.into_iter().filter(|event| matches!(event, Event::BudgetWarned { .. })).collect()
}

const fn warning(account: SessionId) -> Event {
    Event::BudgetWarned { account, percent: 80, dimension: Some(Dimension::ModelCalls) }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_budget_warns_once_when_most_of_it_is_spent() {
    let stage = Stage::set(LOOP, |harness| {
        let budget = Budget { model_calls: Some(10), ..Budget::default() };
        steps(harness).agent(capped("loops", &["step"], &[], budget))
    })
    .await;
    let session = say(&stage.runtime, "loops", "k", "go").await;
    ended(&stage.runtime, session, "k").await;
    let warning = warning(session);
    until("the warning", || async {
        let found = warned(events(&stage.runtime, session).await);
        (!found.is_empty()).then_some(())
    })
    .await;
    let stage = stage.crash().await;
    // Another turn, refused at once, has the ledger read its tree again.
    let again = stage.runtime.run(session, "k2".into(), UserInput::text("more"), PATIENCE_MS).await;
    assert!(matches!(again, Ok(TurnOutcome::BudgetExhausted { .. })), "{again:?}");
    assert_eq!(warned(events(&stage.runtime, session).await), [warning]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_budget_warns_once_also_when_the_ledger_dies_before_it_has_told() {
    let (seat, settled, kills) =
        (Arc::new(OnceLock::<Runtime>::new()), Count::default(), Count::default());
    let (struck, killed) = (Arc::clone(&seat), kills.clone());
    let stage = Stage::set(LOOP, |mut harness| {
        Watched::on_append(&mut harness.deps, move |append| {
            let settles = append.body.contains(r#""type":"settled""#);
            // The eighth of ten calls passes the mark: durable, and nobody was told.
            if append.envelope.log.kind == LogKind::Ledger
                && settles
                && [8, 9].contains(&settled.up())
                && struck.get().is_some_and(|runtime| runtime.kill(&Victim::Ledger))
            {
                killed.up();
            }
        });
        let budget = Budget { model_calls: Some(10), ..Budget::default() };
        steps(harness).agent(capped("loops", &["step"], &[], budget))
    })
    .await;
    assert!(seat.set(stage.runtime.clone()).is_ok());
    let session = say(&stage.runtime, "loops", "k", "go").await;
    let outcome = ended(&stage.runtime, session, "k").await;
    assert!(matches!(outcome, TurnOutcome::BudgetExhausted { .. }), "{outcome:?}");
    assert_eq!(kills.get(), 2);
    until("the warning", || async {
        (!warned(events(&stage.runtime, session).await).is_empty()).then_some(())
    })
    .await;
    assert_eq!(warned(events(&stage.runtime, session).await), [warning(session)]);
}
