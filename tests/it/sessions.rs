//! What a host does with sessions: open, list, read, fork, rename, put away, come back to; and what
//! a tool is given.

use std::sync::Arc;

use greenroom_actors::{
    Runtime,
    bus::{Heard, Note},
    domain::{
        catalog::{SessionFilter, Status},
        event::{Event, Goal, UserInput},
        ids::{Position, SessionId, TenantId},
        outcome::TurnOutcome,
        permission::{Answer, Mode},
        tool::{Args, EffectClass, Output, ToolOutcome},
    },
    limits,
    policy::turn::Rejected,
    ports::Probe,
    runtime::CallError,
    testing::harness::{Harness, PATIENCE_MS, bounded, ended, events, say},
};
use uuid::Uuid;

use crate::{
    props::{
        Numbering, Prop, Recorder, agent, allow, asked, children, closures, count, is_whole,
        logged, seen,
    },
    stage::Stage,
};

mod models;
mod tools;

const ECHO: &str = "agent echo\n  say I heard {input}.";

fn echo(harness: Harness) -> Harness {
    harness.agent(agent("echo", &[], &[]))
}

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

async fn run(runtime: &Runtime, session: SessionId, key: &str, text: &str) -> TurnOutcome {
    let input = UserInput::text(text);
    runtime.run(session, key.into(), input, PATIENCE_MS).await.expect("a turn")
}

async fn status(runtime: &Runtime, session: SessionId) -> Status {
    let filter = SessionFilter { archived: true, rows: 100, ..SessionFilter::default() };
    let rows = runtime.sessions(filter).await.expect("rows");
    rows.into_iter().find(|row| row.session == session).expect("its row").status
}

fn rejected<T: std::fmt::Debug>(result: Result<T, CallError>) -> Rejected {
    match result {
        Err(CallError::Rejected(rejected)) => rejected,
        other => panic!("not refused: {other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sessions_are_listed_by_what_is_asked_and_read_from_any_frame() {
    let (stage, _) = stage(ECHO, echo).await;
    let runtime = &stage.runtime;
    let mine = runtime.open(&"echo".into(), TenantId::from("mine")).await.expect("open");
    let yours = runtime.open(&"echo".into(), TenantId::from("yours")).await.expect("open");
    run(runtime, mine, "k", "a").await;
    let filter = SessionFilter { tenant: Some("mine".into()), rows: 10, ..Default::default() };
    let rows = runtime.sessions(filter).await.expect("rows");
    assert_eq!(rows.iter().map(|row| row.session).collect::<Vec<_>>(), [mine]);
    assert_eq!((rows[0].status, rows[0].agent.as_str()), (Status::Idle, "echo"));
    let page = |after| SessionFilter { after, rows: 1, ..Default::default() };
    let first = runtime.sessions(page(None)).await.expect("a page");
    let second = runtime.sessions(page(Some(first[0].session))).await.expect("a page");
    assert_eq!([first[0].session, second[0].session], [mine, yours]);

    let whole = runtime.read(mine, Position(0)).await.expect("the log");
    let at = |frame: &greenroom_actors::log::Decoded<Event>| frame.envelope.position;
    assert!(whole.iter().map(at).eq((1..=whole.len() as u64).map(Position)), "no gap");
    let tail = runtime.read(mine, Position(1)).await.expect("its tail");
    assert_eq!(tail.len(), whole.len() - 1);
    let unknown = runtime.open(&"nobody".into(), TenantId::from("t")).await;
    assert!(unknown.expect_err("no such agent").to_string().contains("echo"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_key_twice_is_one_turn_also_after_a_kill() {
    let (stage, _) = stage(ECHO, echo).await;
    let session = say(&stage.runtime, "echo", "k", "a").await;
    let first = ended(&stage.runtime, session, "k").await;
    assert_eq!(run(&stage.runtime, session, "k", "a").await, first);
    let stage = stage.crash().await;
    assert_eq!(run(&stage.runtime, session, "k", "something else").await, first);
    let log = events(&stage.runtime, session).await;
    assert_eq!((count(&log, "input_accepted"), count(&log, "turn_started")), (1, 1));
}

/// A session holds only its latest ends in memory; the rest it looks up.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn how_a_turn_of_long_ago_ended_is_read_from_the_log() {
    let (stage, _) = stage(ECHO, echo).await;
    let session = say(&stage.runtime, "echo", "k0", "0").await;
    let first = ended(&stage.runtime, session, "k0").await;
    for no in 1..=limits::OUTCOMES {
        run(&stage.runtime, session, &format!("k{no}"), "more").await;
    }
    let state = stage.runtime.state(session).await.expect("its state");
    assert_eq!(state.outcomes.len(), limits::OUTCOMES);
    assert_eq!(run(&stage.runtime, session, "k0", "again").await, first);
    let stage = stage.crash().await;
    assert_eq!(run(&stage.runtime, session, "k0", "again").await, first);
    let log = events(&stage.runtime, session).await;
    assert_eq!(count(&log, "turn_started"), limits::OUTCOMES + 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_input_that_is_too_large_is_refused_and_leaves_nothing() {
    let (stage, _) = stage(ECHO, echo).await;
    let session = say(&stage.runtime, "echo", "k", "a").await;
    ended(&stage.runtime, session, "k").await;
    let before = events(&stage.runtime, session).await.len();
    let large = UserInput::text("x".repeat(limits::INPUT_BYTES));
    let refused = rejected(stage.runtime.submit(session, "l".into(), large).await);
    assert!(matches!(refused, Rejected::TooLarge { .. }), "{refused}");
    assert_eq!(events(&stage.runtime, session).await.len(), before);
    let fits = "y".repeat(limits::INPUT_BYTES - 200);
    assert_eq!(run(&stage.runtime, session, "f", &fits).await.word(), "completed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_that_does_not_exist_is_refused_and_not_created() {
    let (stage, _) = stage(ECHO, echo).await;
    let runtime = &stage.runtime;
    let nobody = SessionId(Uuid::from_u128(4_711));
    let input = UserInput::text("anyone?");
    assert_eq!(rejected(runtime.submit(nobody, "k".into(), input).await), Rejected::NotOpened);
    assert_eq!(rejected(runtime.rename(nobody, "x").await), Rejected::NotOpened);
    assert_eq!(rejected(runtime.release(nobody, false).await), Rejected::NotOpened);
    let call = ("look".into(), Args("{}".to_owned()));
    let called = runtime.invoke_tool(nobody, "k".into(), call, (None, None)).await;
    assert_eq!(rejected(called), Rejected::NotOpened);
    let outcome = runtime.outcome(nobody, "k".into(), PATIENCE_MS).await;
    assert_eq!(rejected(outcome), Rejected::NotOpened);
    assert!(runtime.fork(nobody, Position(1)).await.is_err());
    assert!(runtime.tree(nobody).await.is_err());
    assert!(runtime.read(nobody, Position(0)).await.expect("an empty log").is_empty());
    let filter = SessionFilter { archived: true, rows: 10, ..Default::default() };
    assert!(runtime.sessions(filter).await.expect("rows").is_empty());
    use greenroom_actors::{domain::frame::LogId, ports::Journal as _};
    let (tail, token) = stage.store.tail(LogId::session(nobody)).await.expect("the tail");
    assert_eq!((tail, token.0), (Position(0), 0), "it was not even claimed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_goals_and_checkpoints_outlive_a_kill() {
    let (stage, _) = stage(ECHO, echo).await;
    let session = say(&stage.runtime, "echo", "k", "a").await;
    ended(&stage.runtime, session, "k").await;
    let runtime = &stage.runtime;
    runtime.rename(session, "Rehearsal").await.expect("rename");
    for bad in [String::new(), "x".repeat(201)] {
        let refused = rejected(runtime.rename(session, &bad).await);
        assert!(matches!(refused, Rejected::BadValue { .. }), "{refused}");
    }
    let goal = Goal { objective: "play well".to_owned(), token_budget: Some(9) };
    runtime.set_goal(session, Some(goal.clone())).await.expect("goal");
    let last = runtime.read(session, Position(0)).await.expect("log").len() as u64;
    let stands = runtime.checkpoint(session, "one".into(), "my value".to_owned()).await;
    assert_eq!(stands.expect("checkpoint"), Position(last + 1));
    let large = "x".repeat(limits::INPUT_BYTES + 1);
    let refused = rejected(runtime.checkpoint(session, "big".into(), large).await);
    assert!(matches!(refused, Rejected::TooLarge { .. }), "{refused}");

    let stage = stage.crash().await;
    let runtime = &stage.runtime;
    let rows = runtime.checkpoints(session).await.expect("checkpoints");
    assert_eq!(rows.len(), 1);
    assert_eq!((rows[0].at, rows[0].value.as_str()), (Position(last), "my value"));
    let row = runtime.tree(session).await.expect("its row").row;
    assert_eq!((row.name.as_deref(), row.goal), (Some("Rehearsal"), Some(goal)));
    // The checkpoint is a place to go on from.
    let fork = runtime.fork(session, rows[0].at).await.expect("fork");
    assert_eq!(run(runtime, fork, "k", "b").await.text(), "I heard b.");
    runtime.set_goal(session, None).await.expect("no goal");
    assert_eq!(runtime.tree(session).await.expect("its row").row.goal, None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn put_away_it_takes_no_work_and_at_work_it_is_not_put_away() {
    let script = format!("{ECHO}\nagent idler\n  hang");
    let (stage, _) = stage(&script, |harness| echo(harness).agent(agent("idler", &[], &[]))).await;
    let runtime = &stage.runtime;
    let session = say(runtime, "echo", "k", "a").await;
    ended(runtime, session, "k").await;
    runtime.archive(session, true).await.expect("put away");
    runtime.archive(session, true).await.expect("twice is once");
    assert_eq!(status(runtime, session).await, Status::Archived);
    let listed = SessionFilter { rows: 10, ..Default::default() };
    let rows = runtime.sessions(listed).await.expect("rows");
    assert!(rows.iter().all(|row| row.session != session), "not among the others");

    let stage = stage.crash().await;
    let runtime = &stage.runtime;
    let refused = runtime.submit(session, "l".into(), UserInput::text("b")).await;
    assert_eq!(rejected(refused), Rejected::Archived);
    let call = ("look".into(), Args("{}".to_owned()));
    let refused = runtime.invoke_tool(session, "t".into(), call, (None, None)).await;
    assert_eq!(rejected(refused), Rejected::Archived);
    runtime.archive(session, false).await.expect("taken out");
    assert_eq!(run(runtime, session, "l", "b").await.text(), "I heard b.");

    let busy = say(runtime, "idler", "k", "a").await;
    assert_eq!(rejected(runtime.archive(busy, true).await), Rejected::Busy);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sleeper_wakes_on_demand_and_for_nobody_else() {
    let (stage, _) = stage(ECHO, |mut harness| {
        harness.options.idle_ms = 5;
        echo(harness)
    })
    .await;
    let runtime = &stage.runtime;
    let mut sessions = Vec::new();
    for _ in 0..5 {
        let session = say(runtime, "echo", "k", "a").await;
        ended(runtime, session, "k").await;
        sessions.push(session);
    }
    seen("all sleep", || runtime.awake() == 0).await;
    // Readers wake nobody.
    assert_eq!(status(runtime, sessions[0]).await, Status::Idle);
    let log = events(runtime, sessions[0]).await;
    runtime.tree(sessions[0]).await.expect("a tree");
    assert_eq!(runtime.awake(), 0);
    for session in &sessions {
        assert_eq!(run(runtime, *session, "l", "b").await.text(), "I heard b.");
    }
    seen("all sleep again", || runtime.awake() == 0).await;
    let after = events(runtime, sessions[0]).await;
    assert_eq!(&after[..log.len()], &log[..]);
    assert_eq!(count(&after, "session_restarted"), 0);
}

const FULL: &str = r#"
agent lead when encore
    say As I said.
agent lead
    call look {"n": 1}
  then
    call look {"n": 2}
    call beg {"n": 3}
    call spawn_agent {"agent": "idler", "task": "t"}
  then
    say Done.
agent idler
    hang
"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fork_carries_the_conversation_and_leaves_the_rest_behind() {
    let (look, beg) = (Prop::new("look", EffectClass::Once), Prop::new("beg", EffectClass::Once));
    let (stage, recorder) = stage(FULL, |harness| {
        let mut lead = agent("lead", &["look", "beg"], &["idler"]);
        lead.instructions = "Be thorough.".to_owned();
        let harness = harness.agent(lead).agent(agent("idler", &[], &[]));
        allow(harness.tool(look.clone()).tool(beg.clone()), &["look"])
    })
    .await;
    let runtime = &stage.runtime;
    let base = say(runtime, "lead", "k", "go").await;
    asked(runtime, 1).await;
    logged(runtime, base, "it has a child", |events| {
        (children(events).len() == 1 && look_done(events, 2)).then_some(())
    })
    .await;
    let frames = runtime.read(base, Position(0)).await.expect("log");
    let tail = frames.last().expect("frames").envelope.position;
    let fork = runtime.fork(base, tail).await.expect("fork");

    // Nothing of the base's is the fork's.
    let open = runtime.approvals(None).await.expect("the inbox");
    assert!(open.iter().all(|row| row.id.session == base), "{open:?}");
    let own = events(runtime, fork).await;
    assert!(closures(&own).iter().all(|closed| *closed == ToolOutcome::NotCarried), "{own:#?}");
    assert_eq!(closures(&own).len(), 1, "what was open: the question");
    assert_eq!(runtime.tree(fork).await.expect("its tree").children.len(), 0);

    // The prompt goes on where the base's was: same bytes in front.
    run(runtime, fork, "x", "encore").await;
    let sent = recorder.prompts(fork);
    let base_prompt = recorder.prompts(base).pop().expect("a prompt");
    let messages = |prompt: &str| {
        let value: serde_json::Value = serde_json::from_str(prompt).expect("JSON");
        (value["instructions"].clone(), value["tools"].clone(), value["messages"].clone())
    };
    let (instructions, tools, before) = messages(&base_prompt);
    let (forked_instructions, forked_tools, after) = messages(&sent[0]);
    assert_eq!((instructions, tools), (forked_instructions, forked_tools));
    let before = before.as_array().expect("messages");
    assert_eq!(&after.as_array().expect("messages")[..before.len()], &before[..]);
    assert!(sent[0].contains("not carried over"), "{}", sent[0]);
    let end = base_prompt.find(r#"],"sampling""#).expect("the messages' end");
    assert_eq!(sent[0].get(..end), base_prompt.get(..end), "to the byte");

    // The base goes on as if nothing had been, and forks of forks too.
    let open = asked(runtime, 1).await;
    runtime.decide(open[0], Answer::Once).await.expect("the answer");
    assert_eq!(ended(runtime, base, "k").await.text(), "Done.");
    let stage = stage.crash().await;
    let runtime = &stage.runtime;
    let tail = runtime
        .read(fork, Position(0))
        .await
        .expect("log")
        .last()
        .expect("frames")
        .envelope
        .position;
    let second = runtime.fork(fork, tail).await.expect("fork of the fork");
    run(runtime, second, "y", "encore").await;
    let again = recorder.prompts(second).pop().expect("a prompt");
    let end = sent[0].find(r#"],"sampling""#).expect("the messages' end");
    assert_eq!(again.get(..end), sent[0].get(..end), "to the byte");
}

fn look_done(events: &[Event], many: usize) -> bool {
    let done = |event: &&Event| matches!(event, Event::ToolFinished { outcome: ToolOutcome::Done { output }, .. } if output.shown() == "look done");
    events.iter().filter(done).count() == many
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fork_at_an_earlier_frame_forgets_what_came_later() {
    let (stage, recorder) = stage(ECHO, echo).await;
    let runtime = &stage.runtime;
    let base = say(runtime, "echo", "a", "first").await;
    ended(runtime, base, "a").await;
    let tail = runtime
        .read(base, Position(0))
        .await
        .expect("log")
        .last()
        .expect("frames")
        .envelope
        .position;
    run(runtime, base, "b", "second").await;
    let fork = runtime.fork(base, tail).await.expect("fork");
    // The same key is free in the fork: inputs are not inherited.
    assert_eq!(run(runtime, fork, "b", "third").await.text(), "I heard third.");
    let prompt = recorder.prompts(fork).pop().expect("a prompt");
    assert!(prompt.contains("first") && !prompt.contains("second"), "{prompt}");
    let mut control = recorder.prompts(base).pop().expect("a prompt");
    control = control.replace("second", "third");
    assert_eq!(prompt, control, "to the byte what the base would have asked");
    assert!(runtime.fork(base, Position(999)).await.is_err(), "no such frame");
    is_whole(&events(runtime, base).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn forks_of_forks_end_somewhere_and_the_last_one_still_reads_it_all() {
    let stage = Stage::set(ECHO, echo).await;
    let mut session = say(&stage.runtime, "echo", "k", "first").await;
    ended(&stage.runtime, session, "k").await;
    let mut forks = 0;
    let refused = loop {
        let at = stage.runtime.tree(session).await.expect("its line").row.position;
        match stage.runtime.fork(session, at).await {
            Ok(fork) => (session, forks) = (fork, forks + 1),
            Err(error) => break error,
        }
    };
    assert_eq!(forks, limits::FORK_DEPTH);
    assert!(matches!(refused, CallError::Read(_)), "{refused:?}");
    let stage = stage.crash().await;
    let state = stage.runtime.state(session).await.expect("it reads its whole line of ancestors");
    assert_eq!(state.conversation[0].text(), "first");
}
