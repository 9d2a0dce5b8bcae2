//! Tools as the host runs them, and what a running tool is given.

use greenroom_actors::{
    domain::{conversation::BlobRef, event::Caller},
    ports::Services,
};

use super::*;

fn args(text: &str) -> Args {
    Args(text.to_owned())
}

fn keeper(prop: &Prop) -> impl FnOnce(Harness) -> Harness {
    let prop = prop.clone();
    move |harness| harness.agent(agent("keeper", &["look"], &[])).tool(prop)
}

const KEEPER: &str = "agent keeper\n  call look {\"at\": \"{input}\"}\n  then\n  say {last}";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_host_runs_one_tool_under_policy_and_the_same_key_is_one_run() {
    let look = Prop::new("look", EffectClass::Once);
    let (stage, recorder) = stage(KEEPER, keeper(&look)).await;
    let runtime = &stage.runtime;
    let session = runtime.open(&"keeper".into(), "t".into()).await.expect("open");
    let call = || ("look".into(), args("{}"));
    // Asked, because no rule says otherwise; stricter modes deny.
    for (key, mode) in [("p", Mode::Plan), ("d", Mode::DontAsk)] {
        let outcome = runtime.invoke_tool(session, key.into(), call(), (Some(mode), None)).await;
        assert_eq!(outcome.expect("an outcome").word(), "refused", "{mode:?}");
    }
    let invoked = runtime.invoke_tool(session, "k".into(), call(), (None, Some("/tmp".to_owned())));
    let (outcome, ()) = futures_util::future::join(invoked, async {
        let open = asked(runtime, 1).await;
        runtime.decide(open[0], Answer::Once).await.expect("the answer");
    })
    .await;
    assert_eq!(outcome.as_ref().expect("an outcome").word(), "done");
    assert_eq!(look.contexts()[0].cwd.as_deref(), Some("/tmp"));
    let stage = stage.crash().await;
    let runtime = &stage.runtime;
    let again = runtime.invoke_tool(session, "k".into(), call(), (None, None)).await;
    assert_eq!(again.expect("the same"), outcome.expect("an outcome"));
    assert_eq!(look.keys().len(), 1);
    // A weaker mode than the session's changes nothing.
    let bypass = Some(Mode::BypassPermissions);
    let invoked = runtime.invoke_tool(session, "b".into(), call(), (bypass, None));
    let (outcome, ()) = futures_util::future::join(invoked, async {
        let open = asked(runtime, 1).await;
        runtime.decide(open[0], Answer::Reject).await.expect("the answer");
    })
    .await;
    assert_eq!(outcome.expect("an outcome").word(), "refused");
    for (key, name, bad) in [("x", "nothing", "{}"), ("y", "look", "no json")] {
        let call = (name.into(), args(bad));
        let outcome = runtime.invoke_tool(session, key.into(), call, (None, None)).await;
        let word = outcome.expect("an outcome").word();
        assert!(matches!(word, "refused" | "failed"), "{name} {bad}: {word}");
    }
    let log = events(runtime, session).await;
    is_whole(&log);
    let by_host =
        |event: &Event| matches!(event, Event::ToolRequested { by: Caller::Host { .. }, .. });
    assert_eq!(log.iter().filter(|event| by_host(event)).count(), 6);
    assert!(recorder.sent(session).is_empty(), "no model was asked");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tool_is_given_its_key_deadline_overlay_services_and_a_way_to_report() {
    let look = Prop::new("look", EffectClass::Once);
    let (stage, _) = stage(KEEPER, |harness| {
        let mut harness = allow(keeper(&look)(harness), &["look"]);
        let keeper = &mut harness.agents[0];
        keeper.limits.tool_ms = 60_000;
        let overlay = [("region".to_owned(), "north".to_owned())];
        keeper.tools.insert("look".into(), overlay.into_iter().collect());
        harness.services = Services::default().with("lamp", 40_u32).expect("offered");
        harness
    })
    .await;
    let mut heard = stage.runtime.subscribe();
    let started = stage.harness.deps.clock.now();
    let session = say(&stage.runtime, "keeper", "k", "the sky").await;
    ended(&stage.runtime, session, "k").await;
    let ctx = look.contexts().remove(0);
    assert_eq!(ctx.call.session, session);
    assert_eq!(ctx.idempotency_key, ctx.call.to_string());
    assert_eq!((ctx.tenant.as_str(), ctx.principal.as_str()), ("test", "host"));
    assert_eq!(ctx.overlay.get("region").map(String::as_str), Some("north"));
    assert_eq!(ctx.services.get::<u32>("lamp").as_deref(), Some(&40));
    assert!(ctx.services.get::<String>("lamp").is_none(), "by name and type");
    let now = stage.harness.deps.clock.now();
    assert!(ctx.deadline >= started.plus_ms(60_000) && ctx.deadline <= now.plus_ms(60_000));
    assert!(!ctx.cancel.is_requested());
    let label = bounded("its progress", async {
        loop {
            match heard.next().await {
                Some(Heard::Note(Note::Progress { call, label })) if call == ctx.call => {
                    return label;
                }
                Some(_) => {}
                None => panic!("the runtime has gone"),
            }
        }
    })
    .await;
    assert_eq!(label, "on stage");
    let taken = Services::default().with("services", 1);
    assert!(taken.expect_err("reserved").to_string().contains("reserved"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tool_that_outstays_its_deadline_is_told_to_have_timed_out() {
    let look = Prop::new("look", EffectClass::Once).hold();
    let (stage, _) = stage(KEEPER, |harness| {
        let mut harness = allow(keeper(&look)(harness), &["look"]);
        harness.agents[0].limits.tool_ms = 50;
        harness
    })
    .await;
    let session = say(&stage.runtime, "keeper", "k", "the sky").await;
    let outcome = ended(&stage.runtime, session, "k").await;
    assert!(outcome.text().contains("timed out; whether its effect happened is unknown"));
    seen("nobody is in it", || look.at_work() == 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_output_is_kept_whole_and_shown_by_its_ends() {
    let text = format!("BEGIN {} END", "lorem ipsum ".repeat(20_000));
    let outcome = ToolOutcome::Done { output: Output::text(text.clone()) };
    let look = Prop::with("look", EffectClass::Once, outcome, Probe::Unknown);
    let (stage, recorder) = stage(KEEPER, |harness| allow(keeper(&look)(harness), &["look"])).await;
    let session = say(&stage.runtime, "keeper", "k", "the sky").await;
    ended(&stage.runtime, session, "k").await;
    let log = events(&stage.runtime, session).await;
    let blob: BlobRef = match closures(&log).remove(0) {
        ToolOutcome::Done { output: Output::Stored { preview, blob } } => {
            assert!(preview.starts_with("BEGIN") && preview.ends_with("END"));
            assert!(preview.len() < limits::INLINE_BYTES);
            blob
        }
        other => panic!("{other:?}"),
    };
    let prompt = recorder.prompts(session).pop().expect("a prompt");
    assert!(prompt.len() < text.len() && prompt.contains("bytes in all"), "{}", prompt.len());
    let stage = stage.crash().await;
    let kept = stage.runtime.blob(blob).await.expect("the store").expect("kept");
    assert!(kept == text.into_bytes(), "the whole of it");
}

/// A session holds only the latest results of its host's calls in memory; the rest it looks up.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn how_a_call_of_long_ago_closed_is_read_from_the_log_and_it_is_not_made_again() {
    let look = Prop::new("look", EffectClass::Once);
    let (stage, _) = stage(KEEPER, |harness| allow(keeper(&look)(harness), &["look"])).await;
    let runtime = &stage.runtime;
    let session = runtime.open(&"keeper".into(), "t".into()).await.expect("open");
    let invoke = |no: usize| {
        let call = ("look".into(), args(&format!("{{\"at\":\"{no}\"}}")));
        runtime.invoke_tool(session, format!("k{no}").into(), call, (None, None))
    };
    let first = invoke(0).await.expect("an outcome");
    assert_eq!(first.word(), "done");
    for no in 1..=limits::CALL_OUTCOMES {
        invoke(no).await.expect("an outcome");
    }
    let state = runtime.state(session).await.expect("its state");
    assert_eq!(state.host_calls.values().filter(|call| call.outcome.is_none()).count(), 1);
    assert_eq!(invoke(0).await.expect("the same"), first);
    assert_eq!(look.keys().len(), limits::CALL_OUTCOMES + 1);
}
