//! A tool that fails again and again, across a kill: whether it is asked about follows from the log.

use super::*;
use greenroom_actors::{domain::tool::Output, ports::Probe};

/// Five turns in which the tool fails, and the process is killed when the last has ended.
pub const FIRST_HALF: &str = "a tool fails five times";

fn broken() -> Prop {
    let output = Output::text("no");
    Prop::with("look", EffectClass::Once, ToolOutcome::Failed { output }, Probe::Unknown)
}

fn failing(prop: &Prop) -> impl FnOnce(Harness) -> Harness {
    let arrange = caller(prop);
    |harness| allow(arrange(harness), &["look"])
}

async fn again(runtime: &Runtime, key: &str) {
    let input = UserInput::text("the sky");
    runtime.submit(killed::FIRST, key.into(), input).await.expect("it is taken");
}

pub fn first_half(folder: Folder, _more: String) -> BoxFuture<'static, Stage> {
    async move {
        let prop = broken();
        let stage = Stage::on(folder, CALLER, numbered(failing(&prop))).await;
        let session = say(&stage.runtime, "caller", "k1", "the sky").await;
        assert_eq!(session, killed::FIRST);
        ended(&stage.runtime, session, "k1").await;
        for key in ["k2", "k3", "k4", "k5"] {
            again(&stage.runtime, key).await;
            ended(&stage.runtime, session, key).await;
        }
        assert_eq!(prop.keys().len(), 5, "each of them ran");
        stage
    }
    .boxed()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tool_that_failed_before_a_kill_is_asked_about_after_it_and_brought_back_by_successes() {
    let prop = Prop::new("look", EffectClass::Once);
    let folder = killed::after(FIRST_HALF, "");
    let stage = Stage::on(folder, CALLER, numbered(failing(&prop))).await;
    for key in ["k6", "k7", "k8"] {
        again(&stage.runtime, key).await;
        let open = asked(&stage.runtime, 1).await;
        let rows = stage.runtime.approvals(None).await.expect("the inbox");
        let reason = rows[0].ask.reasons.first().expect("a reason");
        assert!(reason.starts_with("look failed 5 of its last "), "{reason}");
        stage.runtime.decide(open[0], Answer::Once).await.expect("the answer");
        ended(&stage.runtime, killed::FIRST, key).await;
    }
    again(&stage.runtime, "k9").await;
    ended(&stage.runtime, killed::FIRST, "k9").await;
    assert_eq!(prop.keys().len(), 4, "the last one without a question");
    is_whole(&events(&stage.runtime, killed::FIRST).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_nobody_is_there_a_tool_that_failed_is_refused_in_words_also_after_a_kill() {
    let prop = Prop::new("look", EffectClass::Once);
    let folder = killed::after(FIRST_HALF, "");
    let headless = |mut harness: Harness| {
        harness.options.desk = Desk::Headless;
        failing(&prop)(harness)
    };
    let stage = Stage::on(folder, CALLER, numbered(headless)).await;
    again(&stage.runtime, "k6").await;
    ended(&stage.runtime, killed::FIRST, "k6").await;
    let last = closures(&events(&stage.runtime, killed::FIRST).await).pop().expect("the sixth");
    let told = refusal(&last);
    assert!(told.contains("look failed 5 of its last 5 runs"), "{told}");
    assert!(told.contains("headless: nobody can be asked"), "{told}");
    assert!(prop.keys().is_empty());
}
