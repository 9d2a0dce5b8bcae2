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

/// Also where the conversation has a part that was put away, and of a fork.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_last_step_is_asked_for_with_the_bytes_that_the_log_had_and_leaves_no_trace() {
    let look = Prop::new("look", EffectClass::Once);
    let script = "agent talker when look\n    call look\n  then\n    say Seen.\nagent talker\n    say You said {input}.\n";
    let (stage, recorder) = stage(script, |harness| {
        let mut talker = agent("talker", &["look"], &[]);
        talker.instructions = "Be brief.".to_owned();
        allow(harness.agent(talker).tool(look.clone()), &["look"])
    })
    .await;
    let session = say(&stage.runtime, "talker", "k", &"long ".repeat(10_000)).await;
    ended(&stage.runtime, session, "k").await;
    let fork = stage.runtime.fork(session, tail(&stage.runtime, session).await).await;
    let fork = fork.expect("a fork");
    run(&stage.runtime, fork, "l", "look").await;
    let none = stage.runtime.fork(session, Position(1)).await.expect("a fork of nothing said");
    // After a death, too: it is the log that is asked.
    let stage = stage.crash().await;
    let clock = stage.runtime.clock();
    let reading = stage.runtime.reading();
    for session in [session, fork] {
        let sent = recorder.prompts(session).pop().expect("a prompt");
        let before = stage.runtime.read(session, Position(0)).await.expect("log");
        let step = reading.last_step(session, clock.now()).await.expect("a step");
        let bytes = step.request.prompt_bytes();
        assert_eq!(String::from_utf8(bytes).expect("JSON"), sent, "to the byte");
        let provider = &stage.harness.providers[0];
        let again = step.ask(provider, &clock).await.expect("an answer");
        assert_eq!(again, step.reply, "a scripted model says the same again");
        let after = stage.runtime.read(session, Position(0)).await.expect("log");
        assert_eq!(after.len(), before.len(), "nothing was written");
    }
    assert_eq!(look.keys().len(), 1, "no tool is run for it");
    let missing = reading.last_step(none, clock.now()).await.expect_err("nothing was said in it");
    assert!(missing.to_string().contains("no model has answered"), "{missing}");
}

async fn tail(runtime: &Runtime, session: SessionId) -> Position {
    runtime.reading().tail(session).await.expect("its tail")
}
