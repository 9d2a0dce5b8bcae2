//! A fork may go on with another model. Its log says so in its first frame, as it pins everything else.

use greenroom_actors::{
    domain::{agent::ModelChoice, ids::ModelName},
    policy::turn::Rejected,
    runtime::CallError,
};

use super::*;

/// The models that a session called, in order.
fn called(events: &[Event]) -> Vec<ModelName> {
    let called = events.iter().filter_map(|event| match event {
        Event::ModelCallStarted { model, .. } => Some(model.clone()),
        _ => None,
    });
    called.collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fork_goes_on_with_another_model_and_pins_it() {
    let script = "agent talker\n    say You said {input}.\n";
    let stage = Stage::set(script, |harness| {
        let mut talker = agent("talker", &[], &[]);
        talker.fallback = vec![ModelChoice { model: "spare".into(), provider: None }];
        harness.agent(talker)
    })
    .await;
    let runtime = &stage.runtime;
    let base = say(runtime, "talker", "k", "one").await;
    ended(runtime, base, "k").await;
    let at = runtime
        .read(base, Position(0))
        .await
        .expect("log")
        .last()
        .expect("frames")
        .envelope
        .position;
    let other = ModelChoice { model: "other".into(), provider: None };
    let fork = runtime.fork_on(base, at, other).await.expect("a fork");
    let first = events(runtime, fork).await.remove(0);
    let Event::SessionOpened { rendered, fork: Some(point), .. } = first else {
        panic!("{first:?}")
    };
    assert_eq!((point.session, point.at), (base, at));
    assert_eq!(rendered.agent.model, "other".into());
    assert!(rendered.agent.fallback.is_empty(), "who names a model wants that one");
    run(runtime, fork, "x", "two").await;
    // Over a restart it is the same, and so is the base.
    let stage = stage.crash().await;
    let runtime = &stage.runtime;
    for (session, key) in [(fork, "y"), (base, "z")] {
        run(runtime, session, key, "three").await;
    }
    assert_eq!(called(&events(runtime, fork).await), ["other".into(), "other".into()]);
    assert_eq!(called(&events(runtime, base).await), ["scripted".into(), "scripted".into()]);
    // An auditor finds nothing in it that the machine would not have written.
    let replay = runtime.reading().replay(fork).await.expect("it is whole");
    assert_eq!(replay.sums().model_calls, 2);
    let second = ModelChoice { model: "third".into(), provider: None };
    let at = replay.position();
    let second = runtime.fork_on(fork, at, second).await.expect("a fork of the fork");
    run(runtime, second, "x", "four").await;
    assert_eq!(called(&events(runtime, second).await), ["third".into()]);
    runtime.reading().replay(second).await.expect("it is whole, too");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fork_on_a_model_that_nobody_serves_is_refused_before_it_is_there() {
    let stage = Stage::set("agent talker\n    say Well.\n", |harness| {
        harness.agent(agent("talker", &[], &[]))
    })
    .await;
    let base = say(&stage.runtime, "talker", "k", "one").await;
    ended(&stage.runtime, base, "k").await;
    for (model, provider, says) in
        [("m", Some("nobody"), "provider nobody is not configured"), (" ", None, "has 1 to")]
    {
        let choice = ModelChoice { model: model.into(), provider: provider.map(Into::into) };
        let refused = stage.runtime.fork_on(base, Position(1), choice).await;
        let Err(CallError::Rejected(Rejected::BadValue { what })) = refused else {
            panic!("{refused:?}")
        };
        assert!(what.contains(says), "{what}");
    }
    let all = stage.runtime.reading().sessions(Default::default()).await.expect("lines");
    assert_eq!(all.len(), 1);
}
