//! A ledger that hangs on its log, and room that somebody else holds.

use greenroom_actors::{
    domain::{
        agent::AgentSpec, budget::Budget, frame::LogKind, outcome::TurnOutcome, tool::EffectClass,
    },
    limits,
    ports::Clock as _,
    testing::harness::{bounded, ended, say},
};
use tokio::sync::watch;

use crate::workshop::{Still, agent, done, tool, until};

use super::{
    ECHO, LIVES, count,
    held::{Holding, holdable},
    kept, struck, turn_takes,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ledger_that_hangs_holds_a_turn_no_longer_than_the_turn_may_take() {
    for what in [Holding::Claims(LogKind::Ledger), Holding::Appends(LogKind::Ledger)] {
        let budget = Budget { model_calls: Some(10), ..Budget::default() };
        let (mut still, hold) = holdable(ECHO, |harness| {
            let mut patient = agent("echo", &[], &[]);
            patient.budget = budget;
            let mut hasty = AgentSpec { name: "hasty".into(), ..patient.clone() };
            hasty.limits.turn_ms = 90_000;
            harness.agent(patient).agent(hasty)
        })
        .await;
        hold.on(what);
        let patient = say(&still.runtime, "echo", "k", "one").await;
        for _life in LIVES {
            let start = still.clock.now();
            let held = hold.held();
            let hasty = say(&still.runtime, "hasty", "k", "one").await;
            let (outcome, took) = turn_takes(&still, (hasty, "k"), start, 200).await;
            assert!(matches!(outcome, TurnOutcome::Cancelled { .. }), "{what:?}: {outcome:?}");
            kept(took, 90_000, 200);
            // Its own wait ended before: it gave the tree up and was asked again.
            assert!(hold.held() >= held + 2, "{what:?}: {}", hold.held() - held);
            still = still.crash().await;
        }
        // The other still asks, again and again, also the ledger of the last runtime.
        hold.off();
        let _running = still.runs(200);
        let outcome = ended(&still.runtime, patient, "k").await;
        assert!(matches!(outcome, TurnOutcome::Completed { .. }), "{outcome:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_figures_of_a_ledger_that_hangs_are_none() {
    let (mut still, hold) = holdable(ECHO, |harness| {
        let mut echo = agent("echo", &[], &[]);
        echo.budget = Budget { model_calls: Some(10), ..Budget::default() };
        harness.agent(echo)
    })
    .await;
    let session = say(&still.runtime, "echo", "k", "one").await;
    ended(&still.runtime, session, "k").await;
    assert!(bounded("figures", still.runtime.accounts(session)).await.is_some());
    for _life in LIVES {
        still = still.crash().await;
        hold.on(Holding::Claims(LogKind::Ledger));
        assert!(bounded("figures", still.runtime.accounts(session)).await.is_none());
        hold.off();
        let known = || async { still.runtime.accounts(session).await };
        still.advancing("figures", 200, known).await;
    }
}

/// The room is held by a call that hangs; the wait ends at its own time, which a restart of who
/// waits does not begin anew.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn room_that_others_hold_is_waited_for_no_longer_than_was_said_also_after_a_restart() {
    let script = r#"
agent lead
    call spawn_agent {"agent": "model", "task": "go"}
    call lets {}
  then
    say Done.
agent model
    hang
"#;
    for dies in [false, true] {
        // The parent goes on when the agent has its room.
        let (go, gone) = watch::channel(false);
        let lets = tool("lets", EffectClass::Pure, move |_, _| {
            let mut gone = gone.clone();
            async move {
                gone.wait_for(|gone| *gone).await.expect("the test lives");
                done("go")
            }
        });
        let still = Still::set(script, |harness| {
            let mut lead = agent("lead", &["lets"], &["model"]);
            // Room for the bound of one call, not of two.
            lead.budget = Budget { tokens: Some(14_000), ..Budget::default() };
            let mut model = agent("model", &[], &[]);
            model.limits.model_ms = limits::TURN_MS;
            harness.tool(lets).agent(lead).agent(model)
        })
        .await;
        let lead = say(&still.runtime, "lead", "k", "go").await;
        // One slot of the tool, one place at the gate.
        until("the agent calls its model", || async {
            (still.runtime.leases_out() == 2).then_some(())
        })
        .await;
        go.send_replace(true);
        let waits = || async {
            let closed = count(&still, lead, "tool_finished").await;
            (closed == 2 && still.runtime.leases_out() == 1).then_some(())
        };
        until("its parent waits", waits).await;
        let start = still.clock.now();
        if dies {
            struck(&still, lead).await;
        }
        let (outcome, took) = turn_takes(&still, (lead, "k"), start, 1_000).await;
        assert!(matches!(outcome, TurnOutcome::BudgetExhausted { .. }), "{outcome:?}");
        kept(took + 100, limits::RESERVE_WAIT_MS, 1_000);
    }
}
