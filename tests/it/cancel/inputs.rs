//! Input while a turn runs: it interrupts, is refused, or waits, as the agent says.

use greenroom_actors::domain::{agent::InputPolicy, event::UserInput, ids::TurnId};

use super::*;
fn policy(policy: InputPolicy) -> impl FnOnce(Harness) -> Harness {
    move |harness| {
        let mut one = agent("one", &[], &[]);
        one.input = policy;
        harness.agent(one)
    }
}

const HANGS_ONCE: &str = "
agent one when first
    hang
agent one
    say I heard {input}.
";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn input_during_a_turn_interrupts_it_where_the_agent_says_so() {
    let stage = Stage::set(HANGS_ONCE, policy(InputPolicy::Interrupt)).await;
    let session = say(&stage.runtime, "one", "a", "first").await;
    logged(&stage.runtime, session, "it hangs", |events| {
        (count(events, "model_call_started") == 1).then_some(())
    })
    .await;
    let input = UserInput::text("second");
    stage.runtime.submit(session, "b".into(), input).await.expect("submit");
    // Across a kill, too: the wish was in the frame that acknowledged the input.
    let stage = stage.crash().await;
    let first = ended(&stage.runtime, session, "a").await;
    assert!(matches!(&first, TurnOutcome::Cancelled { reason } if reason.contains("interrupted")));
    assert_eq!(ended(&stage.runtime, session, "b").await.text(), "I heard second.");
    is_whole(&events(&stage.runtime, session).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn input_during_a_turn_is_refused_where_the_agent_says_so() {
    let stage = Stage::set(HANGS_ONCE, policy(InputPolicy::Reject)).await;
    let session = say(&stage.runtime, "one", "a", "first").await;
    logged(&stage.runtime, session, "it hangs", |events| {
        (count(events, "model_call_started") == 1).then_some(())
    })
    .await;
    let input = || UserInput::text("second");
    let refused = stage.runtime.submit(session, "b".into(), input()).await;
    let refused = refused.expect_err("refused").to_string();
    assert!(refused.contains("busy"), "{refused}");
    // The same input again is no new input.
    let same = stage.runtime.submit(session, "a".into(), UserInput::text("first")).await;
    assert!(same.is_ok(), "{same:?}");
    cancel(&stage.runtime, session).await;
    ended(&stage.runtime, session, "a").await;
    let heard = stage.runtime.run(session, "b".into(), input(), PATIENCE_MS).await;
    assert_eq!(heard.expect("a turn").text(), "I heard second.");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn input_during_a_turn_waits_by_default_and_a_cancelled_turn_lets_it_go_next() {
    let stage = Stage::set(HANGS_ONCE, policy(InputPolicy::Queue)).await;
    let session = say(&stage.runtime, "one", "a", "first").await;
    let input = UserInput::text("second");
    stage.runtime.submit(session, "b".into(), input).await.expect("submit");
    let turn = CancelTarget::Turn { turn: TurnId(1) };
    stage.runtime.cancel(session, turn, "skip it").await.expect("cancel");
    let first = bounded("the first turn", ended(&stage.runtime, session, "a")).await;
    assert_eq!(first.word(), "cancelled");
    assert_eq!(ended(&stage.runtime, session, "b").await.text(), "I heard second.");
    // And all of it, queue included, when everything is meant.
    for key in ["c", "d"] {
        let input = UserInput::text("first");
        stage.runtime.submit(session, key.into(), input).await.expect("submit");
    }
    cancel(&stage.runtime, session).await;
    for key in ["c", "d"] {
        assert_eq!(ended(&stage.runtime, session, key).await.word(), "cancelled", "{key}");
    }
    is_whole(&events(&stage.runtime, session).await);
}
