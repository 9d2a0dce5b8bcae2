//! A session dies at every point of its work, by its own panic and with the whole process, while
//! its agent is edited. What it asks its model afterwards is to the byte what a session asks that
//! never died.

use std::sync::Arc;

use greenroom_actors::{
    Runtime,
    bus::{Heard, Note},
    domain::{
        agent::AgentSpec,
        catalog::TotalsOf,
        event::{Event, RestartCause, UserInput},
        ids::{SessionId, TenantId},
        outcome::TurnOutcome,
        permission::Answer,
        tool::{EffectClass, Output, ToolOutcome},
    },
    ports::Probe,
    testing::harness::{Harness, PATIENCE_MS, bounded, ended, events, say},
};

use crate::{
    props::{
        Numbering, Prop, Recorder, agent, allow, asked, children, closures, count, is_whole,
        logged, seen,
    },
    stage::Stage,
};

mod process;
mod quarantine;

/// How a session dies.
#[derive(Clone, Copy, Debug)]
enum Death {
    Panic,
    Kill,
}

const DEATHS: [Death; 2] = [Death::Panic, Death::Kill];

/// The same agents with other instructions, sampling and tools, as an editor leaves them.
fn edited(agents: &[AgentSpec]) -> Vec<AgentSpec> {
    let mut agents = agents.to_vec();
    for agent in &mut agents {
        agent.instructions = "Edited meanwhile.".to_owned();
        agent.sampling.temperature_milli = Some(900);
        agent.tools.clear();
    }
    agents
}

impl Death {
    /// Lets a session die while its agent is edited, and waits until it is back at work.
    async fn strikes(self, mut stage: Stage, session: SessionId) -> Stage {
        stage.harness.agents = edited(&stage.harness.agents);
        match self {
            Self::Panic => {
                stage.runtime.add_agents(stage.harness.agents.clone()).expect("edited agents");
                panics(&stage.runtime, session).await;
                stage
            }
            Self::Kill => stage.crash().await,
        }
    }
}

/// Lets a session panic and waits until its log says that it was started again.
async fn panics(runtime: &Runtime, session: SessionId) {
    let before = count(&events(runtime, session).await, "session_restarted");
    seen("the session is awake", || runtime.panic_session(session, "struck")).await;
    logged(runtime, session, "it was started again", |events| {
        let now = count(events, "session_restarted");
        let off = count(events, "session_quarantined") > count(events, "session_released");
        (now > before || off).then_some(())
    })
    .await;
}

/// A stage whose prompts are kept and whose sessions are numbered.
async fn stage(script: &str, arrange: impl FnOnce(Harness) -> Harness) -> (Stage, Recorder) {
    let mut kept = None;
    let stage = Stage::set(script, |harness| {
        let mut harness = arrange(harness);
        kept = Some(Recorder::in_place(&mut harness));
        harness.deps.clock = Arc::new(Numbering::default());
        harness
    })
    .await;
    (stage, kept.expect("arranged"))
}

/// The last turn of every play: it shows the whole conversation to the model once more.
async fn encore(runtime: &Runtime, session: SessionId) {
    let patience = PATIENCE_MS;
    let said = runtime.run(session, "encore".into(), UserInput::text("encore"), patience).await;
    assert!(matches!(said, Ok(TurnOutcome::Completed { .. })), "{said:?}");
}

const ENCORE: &str = "\nagent * when encore\n  say As I said.\n";

/// One agent that looks something up and tells it; `first` and `second` stand in its two steps.
fn solo(first: &str, second: &str) -> String {
    format!(
        "{ENCORE}
agent solo
    think Where to look?
    {first}
    call look {{\"at\": \"the sky\"}}
  then
    say The result:
    | {{last}}
    {second}
"
    )
}

fn with_tool(prop: &Prop) -> impl FnOnce(Harness) -> Harness {
    let prop = prop.clone();
    move |harness| {
        let mut solo = agent("solo", &["look"], &[]);
        solo.instructions = "Look before you speak.".to_owned();
        allow(harness.agent(solo).tool(prop), &["look"])
    }
}

/// What the agent's prompts are when nothing happens to it.
async fn control(prop: &Prop) -> Vec<String> {
    let (stage, recorder) = stage(&solo("", ""), with_tool(prop)).await;
    let session = say(&stage.runtime, "solo", "k", "what is up?").await;
    ended(&stage.runtime, session, "k").await;
    encore(&stage.runtime, session).await;
    recorder.prompts(session)
}

/// Ends a play: the turn ends, an encore is given, and the log is whole.
async fn finish(stage: &Stage, recorder: &Recorder, session: SessionId) -> Vec<String> {
    let outcome = ended(&stage.runtime, session, "k").await;
    assert!(matches!(outcome, TurnOutcome::Completed { .. }), "{outcome:?}");
    encore(&stage.runtime, session).await;
    is_whole(&events(&stage.runtime, session).await);
    recorder.prompts(session)
}

async fn model_call_begun(runtime: &Runtime, session: SessionId, many: usize) {
    logged(runtime, session, "the model call is in the log", |events| {
        (count(events, "model_call_started") == many).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dead_before_the_model_answers_it_asks_the_same_under_a_new_call_id() {
    let prop = Prop::new("look", EffectClass::Once);
    let control = control(&prop).await;
    for death in DEATHS {
        let (stage, recorder) = stage(&solo("until call 2 hang", ""), with_tool(&prop)).await;
        let session = say(&stage.runtime, "solo", "k", "what is up?").await;
        model_call_begun(&stage.runtime, session, 1).await;
        let stage = death.strikes(stage, session).await;
        assert_eq!(finish(&stage, &recorder, session).await, control, "{death:?}");
        let sent = recorder.sent(session);
        let mut calls: Vec<u32> = sent.iter().map(|sent| sent.call.0).collect();
        calls.dedup();
        assert!(calls.windows(2).all(|two| two[0] < two[1]), "{death:?}: {calls:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dead_in_the_middle_of_a_stream_the_lost_call_is_booked_at_no_less_than_it_delivered() {
    let prop = Prop::new("look", EffectClass::Once);
    let control = control(&prop).await;
    for death in DEATHS {
        let (stage, recorder) = stage(&solo("", "until call 3 hang"), with_tool(&prop)).await;
        let mut heard = stage.runtime.subscribe();
        let session = say(&stage.runtime, "solo", "k", "what is up?").await;
        bounded("a piece of the second call", async {
            while let Some(Heard::Note(note)) = heard.next().await {
                if matches!(note, Note::Delta { call, .. } if call.to_string().contains("m2")) {
                    return;
                }
            }
        })
        .await;
        drop(heard);
        let stage = death.strikes(stage, session).await;
        assert_eq!(finish(&stage, &recorder, session).await, control, "{death:?}");
        let totals = stage.runtime.totals(TotalsOf::Session(session)).await.expect("totals");
        assert_eq!(totals.unsettled_calls, 1, "{death:?}");
        // Four bytes a token: the script's own measure of what had been delivered.
        let prompt = control[1].len() as u64 / 4;
        let delivered = prompt + "The result:".len() as u64 / 4;
        assert!(totals.unsettled_tokens_max >= delivered, "{death:?}: {totals:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dead_between_the_answer_and_its_tool_the_tool_runs_once_afterwards() {
    let prop = Prop::new("look", EffectClass::Once);
    let control = control(&prop).await;
    for death in DEATHS {
        let prop = Prop::new("look", EffectClass::Once);
        let blocker = Prop::new("block", EffectClass::Pure).hold();
        let script = format!("{}\nagent blocker\n  call block\n  then\n  say Gone.", solo("", ""));
        let (stage, recorder) = stage(&script, |harness| {
            let mut harness = with_tool(&prop)(harness);
            harness.options.pools.insert("props".into(), 1);
            let harness = harness.agent(agent("blocker", &["block"], &[]));
            allow(harness.tool(blocker.clone()), &["block"])
        })
        .await;
        // Number 1 in every play, so that the ids are those of the control.
        let session = stage.runtime.open(&"solo".into(), TenantId::from("test")).await;
        let session = session.expect("open");
        say(&stage.runtime, "blocker", "b", "go").await;
        seen("the slot is taken", || blocker.at_work() == 1).await;
        let input = UserInput::text("what is up?");
        stage.runtime.submit(session, "k".into(), input).await.expect("submit");
        logged(&stage.runtime, session, "a tool is wanted", |events| {
            (count(events, "tool_requested") == 1).then_some(())
        })
        .await;
        assert_eq!(count(&events(&stage.runtime, session).await, "tool_started"), 0);
        let stage = death.strikes(stage, session).await;
        blocker.cue();
        assert_eq!(finish(&stage, &recorder, session).await, control, "{death:?}");
        assert_eq!(prop.keys().len(), 1, "{death:?}");
    }
}

/// Dies while a tool runs; returns the prompts and the tool.
async fn dies_in_tool(death: Death, prop: &Prop) -> Vec<String> {
    let (stage, recorder) = stage(&solo("", ""), with_tool(prop)).await;
    let session = say(&stage.runtime, "solo", "k", "what is up?").await;
    seen("the tool runs", || prop.at_work() == 1).await;
    let stage = death.strikes(stage, session).await;
    prop.cue();
    let prompts = finish(&stage, &recorder, session).await;
    assert_eq!(closures(&events(&stage.runtime, session).await).len(), 1);
    prompts
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_once_tool_cut_off_is_never_run_again_and_its_outcome_is_said_to_be_unknown() {
    // In the control the tool itself says what recovery says of a lost one.
    let (output, _) = ToolOutcome::OutcomeUnknown.told();
    let told = ToolOutcome::Failed { output };
    let control = control(&Prop::with("look", EffectClass::Once, told, Probe::Unknown)).await;
    for death in DEATHS {
        let prop = Prop::new("look", EffectClass::Once).hold();
        assert_eq!(dies_in_tool(death, &prop).await, control, "{death:?}");
        assert_eq!(prop.keys().len(), 1, "{death:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pure_or_idempotent_tool_cut_off_is_run_again_under_the_same_key() {
    for effect in [EffectClass::Pure, EffectClass::Idempotent] {
        let control = control(&Prop::new("look", effect)).await;
        for death in DEATHS {
            let prop = Prop::new("look", effect).hold();
            assert_eq!(dies_in_tool(death, &prop).await, control, "{death:?}");
            let keys = prop.keys();
            assert_eq!(keys.len(), 2, "{effect:?} {death:?}");
            assert_eq!(keys[0], keys[1], "{effect:?} {death:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_started_call_whose_tool_is_gone_closes_instead_of_hanging() {
    let prop = Prop::new("look", EffectClass::Pure).hold();
    let (mut stage, _recorder) = stage(&solo("", ""), with_tool(&prop)).await;
    let session = say(&stage.runtime, "solo", "k1", "go").await;
    seen("the tool is at work", || prop.at_work() == 1).await;
    // The next host has neither the tool nor any other of its kind.
    stage.harness.tools.clear();
    stage.harness.agents.clear();
    let stage = stage.crash().await;
    ended(&stage.runtime, session, "k1").await;
    let closed = closures(&events(&stage.runtime, session).await);
    let told = format!("{closed:?}");
    assert!(told.contains("not registered in this runtime"), "{told}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn for_a_verifiable_tool_cut_off_the_world_is_asked_first() {
    let effect = EffectClass::Verifiable;
    let done = ToolOutcome::Done { output: Output::text("look done") };
    let (lost, _) = ToolOutcome::OutcomeUnknown.told();
    let lost = ToolOutcome::Failed { output: lost };
    let worlds = [
        (Probe::Happened(done.clone()), done.clone(), 1),
        (Probe::DidNot, done.clone(), 2),
        (Probe::Unknown, lost, 1),
    ];
    for (world, told, runs) in worlds {
        let control = control(&Prop::with("look", effect, told, world.clone())).await;
        for death in DEATHS {
            let prop = Prop::with("look", effect, done.clone(), world.clone()).hold();
            assert_eq!(dies_in_tool(death, &prop).await, control, "{death:?} {world:?}");
            assert_eq!((prop.keys().len(), prop.probes()), (runs, 1), "{death:?} {world:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_question_to_a_person_outlives_the_session_and_its_answer_counts_once() {
    let control = control(&Prop::new("look", EffectClass::Once)).await;
    for death in DEATHS {
        let prop = Prop::new("look", EffectClass::Once);
        let (stage, recorder) = stage(&solo("", ""), |harness| {
            let mut harness = with_tool(&prop)(harness);
            harness.options.layers.user.allow.clear();
            harness
        })
        .await;
        let session = say(&stage.runtime, "solo", "k", "what is up?").await;
        let before = asked(&stage.runtime, 1).await;
        let stage = death.strikes(stage, session).await;
        assert_eq!(asked(&stage.runtime, 1).await, before, "{death:?}");
        stage.runtime.decide(before[0], Answer::Once).await.expect("the answer");
        // The same answer again is the same answer; another one comes too late.
        stage.runtime.decide(before[0], Answer::Once).await.expect("the same answer");
        let other = stage.runtime.decide(before[0], Answer::Reject).await;
        assert!(other.is_err(), "{death:?}: an answer counts once");
        assert_eq!(finish(&stage, &recorder, session).await, control, "{death:?}");
        assert_eq!(prop.keys().len(), 1, "{death:?}");
    }
}

const PAIR: &str = "
agent lead
    call spawn_agent {\"agent\": \"worker\", \"task\": \"part one\"}
  then
    call await_agents {}
  then
    say All done: {last}
agent worker
    HANG
    say Did {input}.
";

fn pair(mut harness: Harness) -> Harness {
    harness = harness.agent(agent("lead", &[], &["worker"]));
    harness.agent(agent("worker", &[], &[]))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dead_while_it_awaits_its_agents_it_reads_their_results_all_the_same() {
    let script = |hang: &str| format!("{ENCORE}{}", PAIR.replace("HANG", hang));
    let (calm, recorder) = stage(&script(""), pair).await;
    let lead = say(&calm.runtime, "lead", "k", "go").await;
    let control = finish(&calm, &recorder, lead).await;
    for death in DEATHS {
        let (stage, recorder) = stage(&script("until call 2 hang"), pair).await;
        let lead = say(&stage.runtime, "lead", "k", "go").await;
        let child = logged(&stage.runtime, lead, "it awaits its agent", |events| {
            (count(events, "tool_started") == 2).then(|| children(events)[0])
        })
        .await;
        model_call_begun(&stage.runtime, child, 1).await;
        let stage = death.strikes(stage, lead).await;
        if matches!(death, Death::Panic) {
            // The process did not die, so its agent hangs on.
            panics(&stage.runtime, child).await;
        }
        assert_eq!(finish(&stage, &recorder, lead).await, control, "{death:?}");
        let told = count(&events(&stage.runtime, lead).await, "child_finished");
        assert_eq!(told, 1, "{death:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dead_during_a_pause_between_two_attempts_it_makes_the_next_one() {
    let prop = Prop::new("look", EffectClass::Once);
    let control = control(&prop).await;
    for death in DEATHS {
        let fail = "until call 2 fail overloaded after 1s unbilled: come back later";
        let (stage, recorder) = stage(&solo(fail, ""), with_tool(&prop)).await;
        let session = say(&stage.runtime, "solo", "k", "what is up?").await;
        let due = logged(&stage.runtime, session, "it pauses", |events| {
            events.iter().find_map(|event| match event {
                Event::TimerSet { at, .. } => Some(*at),
                _ => None,
            })
        })
        .await;
        let stage = death.strikes(stage, session).await;
        assert_eq!(finish(&stage, &recorder, session).await, control, "{death:?}");
        assert!(stage.harness.deps.clock.now() >= due, "{death:?}: the pause was kept");
        let totals = stage.runtime.totals(TotalsOf::Session(session)).await.expect("totals");
        assert_eq!(totals.unsettled_calls, 0, "{death:?}: nothing was in flight");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_that_slept_wakes_with_the_same_prompt() {
    let prop = Prop::new("look", EffectClass::Once);
    let control = control(&prop).await;
    let (mut stage, recorder) = stage(&solo("", ""), |harness| {
        let mut harness = with_tool(&prop)(harness);
        harness.options.idle_ms = 5;
        harness
    })
    .await;
    let session = say(&stage.runtime, "solo", "k", "what is up?").await;
    ended(&stage.runtime, session, "k").await;
    seen("it sleeps", || stage.runtime.awake() == 0).await;
    stage.harness.agents = edited(&stage.harness.agents);
    stage.runtime.add_agents(stage.harness.agents.clone()).expect("edited agents");
    assert_eq!(finish(&stage, &recorder, session).await, control);
    let events = events(&stage.runtime, session).await;
    assert_eq!(count(&events, "session_restarted"), 0, "sleep is no crash");
}

/// What the log says of restarts.
fn causes(events: &[Event]) -> Vec<RestartCause> {
    let restarted = events.iter().filter_map(|event| match event {
        Event::SessionRestarted { cause } => Some(cause.clone()),
        _ => None,
    });
    restarted.collect()
}
