//! What the host waits for: answers, outcomes, calls of its own.

use greenroom_actors::{
    domain::{event::UserInput, tool::Args},
    limits,
    ports::{Clock as _, JournalError},
    runtime::CallError,
    testing::harness::{bounded, say},
};

use crate::workshop::{Still, agent};

use super::{
    ECHO, HANGS, LIVES, count, echo, hanging, happened,
    held::{Holding, holdable},
    kept, never_ends,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_outcome_is_waited_for_as_long_as_was_said_also_after_a_restart() {
    let mut still = Still::set(HANGS, hanging).await;
    let session = say(&still.runtime, "model", "k", "go").await;
    for _life in LIVES {
        happened(&still, session, "model_call_started").await;
        let start = still.clock.now();
        let running = still.runs(50);
        let wait = still.runtime.outcome(session, "k".into(), 7_000);
        let outcome = bounded("the wait ends", wait).await;
        assert!(matches!(outcome, Err(CallError::TimedOut { waited_ms: 7_000 })), "{outcome:?}");
        kept(still.clock.now().since_ms(start), 7_000, 50);
        drop(running);
        still = still.crash().await;
    }
}

/// The agent lets its tools run longer than a host waits; the call goes on under its key.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_of_the_host_is_waited_for_no_longer_than_a_tool_and_a_call_take() {
    let mut still = Still::set(HANGS, |harness| {
        let mut slow = agent("tool", &["hangs"], &[]);
        slow.limits.tool_ms = limits::TURN_MS;
        harness.tool(never_ends()).agent(slow)
    })
    .await;
    let session = still.runtime.open(&"tool".into(), "test".into()).await.expect("open");
    for _life in LIVES {
        let start = still.clock.now();
        let running = still.runs(500);
        let call = still.runtime.invoke_tool(
            session,
            "call".into(),
            ("hangs".into(), Args("{}".to_owned())),
            (None, None),
        );
        let outcome = bounded("the host's call", call).await;
        assert!(matches!(outcome, Err(CallError::TimedOut { .. })), "{outcome:?}");
        kept(still.clock.now().since_ms(start), limits::TOOL_MS + limits::CALL_MS, 500);
        drop(running);
        still = still.crash().await;
    }
    assert_eq!(count(&still, session, "tool_requested").await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_image_is_waited_for_no_longer_than_a_blob_may_take_to_be_kept_or_found() {
    let (mut still, hold) = holdable(ECHO, echo).await;
    let echo = "echo".into();
    let open = bounded("open", still.runtime.open(&echo, "test".into()));
    let session = open.await.expect("open");
    let gif = || b"GIF89a and so on".to_vec();
    for _life in LIVES {
        let block = bounded("keep", still.runtime.keep_image(gif())).await.expect("it is kept");
        hold.on(Holding::Blobs);
        let start = still.clock.now();
        let running = still.runs(50);
        let told = bounded("keep", still.runtime.keep_image(gif())).await;
        assert!(
            matches!(told, Err(CallError::Journal(JournalError::Unavailable { .. }))),
            "{told:?}"
        );
        kept(still.clock.now().since_ms(start), limits::APPEND_MS, 50);

        let start = still.clock.now();
        let mut input = UserInput::text("look");
        input.blocks = vec![block.clone(), block];
        let told = bounded("submit", still.runtime.submit(session, "k".into(), input)).await;
        assert!(
            matches!(told, Err(CallError::TimedOut { .. } | CallError::Journal(_))),
            "{told:?}"
        );
        kept(still.clock.now().since_ms(start), limits::CALL_MS, 50);
        drop(running);
        hold.off();
        assert_eq!(count(&still, session, "input_accepted").await, 0);
        still = still.crash().await;
    }
}
