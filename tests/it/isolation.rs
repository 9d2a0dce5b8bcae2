//! What happens to one session happens to nobody else: panics, kills, storms, and deaths of the
//! house's own actors, each compared with a run in which nothing happened.

use std::{collections::BTreeMap, sync::Arc};

use futures_util::future::{join, join_all};
use greenroom_actors::{
    Runtime,
    bus::{Heard, Note},
    domain::{
        agent::RestartPolicy,
        budget::Budget,
        event::{Event, RestartCause, UserInput},
        frame::LogId,
        ids::{InputKey, Position, SessionId, Timestamp},
        outcome::{ChildOutcome, TurnOutcome},
        tool::EffectClass,
    },
    limits, log,
    policy::turn::Rejected,
    ports::{Clock as _, Journal},
    runtime::{CallError, Victim},
    testing::harness::{Harness, PATIENCE_MS, bounded, ended, events, say},
};

use crate::{
    stage::Stage,
    workshop::{Count, Prop, Sink, Still, agent, done, tool, until, wall},
};

const WORK: &str = r#"
agent worker
    wait 2ms
    say On it.
    call note {"text": "{input} one"}
    call note {"text": "{input} two"}
  then
    wait 2ms
    call note {"text": "{input} three"}
  then
    say {results}
"#;

/// Notes what it is told; the same key again is the same note.
fn note(sink: &Sink) -> Prop {
    let sink = sink.clone();
    tool("note", EffectClass::Idempotent, move |ctx, args| {
        sink.took(&ctx.idempotency_key);
        async move { done(format!("noted {}", args.0)) }
    })
}

fn workers(sink: &Sink) -> impl FnOnce(Harness) -> Harness {
    let note = note(sink);
    move |harness| harness.tool(note).agent(agent("worker", &["note"], &[]))
}

/// Runs some turns in each of some sessions, all at once; what each said, and what its log holds.
async fn bystanders(
    runtime: &Runtime,
    sessions: usize,
    turns: usize,
) -> Vec<(Vec<TurnOutcome>, Vec<&'static str>)> {
    let one = |at: usize| async move {
        let session = say(runtime, "worker", "k0", &format!("part {at} 0")).await;
        let mut outcomes = vec![ended(runtime, session, "k0").await];
        for turn in 1..turns {
            let key = InputKey(format!("k{turn}"));
            let input = UserInput::text(format!("part {at} {turn}"));
            let outcome = runtime.run(session, key, input, PATIENCE_MS).await;
            outcomes.push(outcome.expect("a turn"));
        }
        let log = events(runtime, session).await;
        let mut names: Vec<_> = log.iter().map(Event::name).collect();
        // Tools of one reply run side by side: which of them starts and ends first is chance.
        names.sort_unstable();
        (outcomes, names)
    };
    join_all((0..sessions).map(one)).await
}

/// S1: a session that panics in its provider's stream, a tool that panics, an actor that is
/// killed, each many times, change not a word of what the others say and log.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn panics_of_some_sessions_change_nothing_in_the_others() {
    let script = format!(
        "{WORK}
agent streams
    say Half a
    first 2 panic in the stream
    say whole.
agent tools
    call burst {{}}
  then
    say {{results}}
agent dies
    until call 2 hang
    say Back.
"
    );
    let control = Stage::set(&script, workers(&Sink::default())).await;
    let began = wall().now();
    let undisturbed = bystanders(&control.runtime, 199, 3).await;
    let control_ms = wall().now().since_ms(began);

    let burst = tool("burst", EffectClass::Pure, |_, _| async { panic!("in the tool") });
    let stage = Stage::set(&script, |harness| {
        let harness = workers(&Sink::default())(harness).tool(burst);
        let harness = harness.agent(agent("streams", &[], &[])).agent(agent("dies", &[], &[]));
        harness.agent(agent("tools", &["burst"], &[]))
    })
    .await;
    let runtime = &stage.runtime;
    let faults = async {
        for round in 0..12 {
            let streams = say(runtime, "streams", "k", "go").await;
            let tools = say(runtime, "tools", "k", "go").await;
            let dies = say(runtime, "dies", "k", "go").await;
            until("the model hangs", || async {
                let calls = events(runtime, dies).await;
                calls.iter().any(|e| e.name() == "model_call_started").then_some(())
            })
            .await;
            assert!(runtime.kill(&Victim::Session(dies)));
            let said = |text: &str| TurnOutcome::Completed { text: text.into(), truncated: false };
            let (streams, (tools, dies)) = join(
                ended(runtime, streams, "k"),
                join(ended(runtime, tools, "k"), ended(runtime, dies, "k")),
            )
            .await;
            assert_eq!(streams, said("Half awhole."), "round {round}");
            assert_eq!(tools, said("the tool panicked: in the tool"), "round {round}");
            assert_eq!(dies, said("Back."), "round {round}");
        }
    };
    let began = wall().now();
    let timed = async {
        let all = bystanders(runtime, 199, 3).await;
        (all, wall().now().since_ms(began))
    };
    let ((disturbed, ms), ()) = join(timed, faults).await;
    println!("others: {control_ms} ms undisturbed, {ms} ms beside 36 failing sessions");
    assert_eq!(disturbed, undisturbed);
    assert_eq!(runtime.leases_out(), 0);
}

/// How often a log says that its session was started again, and when.
async fn restarts(runtime: &Runtime, session: SessionId) -> Vec<Timestamp> {
    let frames = runtime.read(session, Position(0)).await.expect("its log");
    let restarted = |event: &Event| matches!(event, Event::SessionRestarted { .. });
    let frames = frames.iter().filter(|frame| frame.events.iter().any(restarted));
    frames.map(|frame| frame.envelope.at).collect()
}

/// S2: an input that panics every time is tried three times, with growing pauses, and then waits
/// for a person; a process death changes nothing about that, and nobody else notices.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_poisonous_input_is_quarantined_after_three_tries_and_stays_so() {
    let script = format!(
        "{WORK}
agent eater when poison
    panic bad taste
agent eater
    say Fine.
"
    );
    let sink = Sink::default();
    let stage =
        Stage::set(&script, |harness| workers(&sink)(harness).agent(agent("eater", &[], &[])))
            .await;
    let eater = say(&stage.runtime, "eater", "k", "poison").await;
    let waited = stage.runtime.outcome(eater, "k".into(), PATIENCE_MS);
    let (refused, others) = join(waited, bystanders(&stage.runtime, 20, 2)).await;
    let Err(CallError::Rejected(Rejected::Quarantined { reason })) = refused else {
        panic!("not quarantined: {refused:?}");
    };
    assert!(reason.contains("3 panics without progress, at: "), "{reason}");
    let at = restarts(&stage.runtime, eater).await;
    assert_eq!(at.len(), 3, "three tries: the first, and two more");
    let frames = stage.runtime.read(eater, Position(0)).await.expect("its log");
    let calls: Vec<Timestamp> = frames
        .iter()
        .filter(|frame| frame.events.iter().any(|e| e.name() == "model_call_started"))
        .map(|frame| frame.envelope.at)
        .collect();
    assert_eq!(calls.len(), 3);
    assert!(at[0].since_ms(calls[0]) >= limits::BACKOFF_MS, "first pause");
    assert!(at[1].since_ms(calls[1]) >= 2 * limits::BACKOFF_MS, "second pause");
    assert!(others.iter().all(|(_, names)| !names.contains(&"session_restarted")));

    let stage = stage.crash().await;
    let again = stage.runtime.submit(eater, "k2".into(), UserInput::text("soup")).await;
    assert!(matches!(again, Err(CallError::Rejected(Rejected::Quarantined { .. }))), "{again:?}");
    stage.runtime.release(eater, true).await.expect("a person lets it back");
    let skipped = ended(&stage.runtime, eater, "k").await;
    assert!(matches!(&skipped, TurnOutcome::Failed { reason } if reason.contains("skipped")));
    let soup = stage.runtime.run(eater, "k2".into(), UserInput::text("soup"), PATIENCE_MS).await;
    assert!(matches!(soup, Ok(TurnOutcome::Completed { .. })), "{soup:?}");
    assert_eq!(restarts(&stage.runtime, eater).await.len(), 3, "no try without a person");
}

/// S3: 200 sessions fail in the same moment. The house stands, they come back no faster than the
/// limit, and all of them finish.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_failures_at_once_come_back_at_a_bounded_rate() {
    let script = "agent worker\n    until call 2 hang\n    say Back.\n";
    let stage = Stage::set(script, |harness| harness.agent(agent("worker", &[], &[]))).await;
    let runtime = &stage.runtime;
    let sessions = join_all((0..200).map(|_| say(runtime, "worker", "k", "go"))).await;
    for session in &sessions {
        until("its model hangs", || async {
            let calls = events(runtime, *session).await;
            calls.iter().any(|e| e.name() == "model_call_started").then_some(())
        })
        .await;
    }
    let began = wall().now();
    for session in &sessions {
        assert!(runtime.kill(&Victim::Session(*session)));
    }
    for outcome in join_all(sessions.iter().map(|one| ended(runtime, *one, "k"))).await {
        assert!(matches!(outcome, TurnOutcome::Completed { .. }), "{outcome:?}");
    }
    println!("200 sessions were back after {} ms", wall().now().since_ms(began));
    let mut at = Vec::new();
    for session in &sessions {
        let of_one = restarts(runtime, *session).await;
        assert_eq!(of_one.len(), 1, "one death, one restart");
        at.extend(of_one);
    }
    at.sort_unstable();
    let within = |from: &Timestamp| {
        at.iter().filter(|one| *one >= from && one.since_ms(*from) < 1_000).count()
    };
    let most = at.iter().map(within).max().unwrap_or(0);
    println!("at most {most} restarts within a second");
    // One second's worth at once and one over the second; the third allows for a machine that
    // stalls and bunches what was spread.
    assert!(most <= 3 * limits::RESTARTS_PER_SECOND as usize, "{most} restarts within a second");
    let fresh = say(runtime, "worker", "k", "go").await;
    assert!(runtime.tree(fresh).await.is_ok(), "the house stands");
}

const FAMILY: &str = r#"
agent lead
    call spawn_agent {"agent": "good", "task": "one"}
    call spawn_agent {"agent": "panics", "task": "two"}
    call spawn_agent {"agent": "hangs", "task": "three"}
    call spawn_agent {"agent": "poor", "task": "four"}
    call spawn_agent {"agent": "deep", "task": "five"}
    call spawn_agent {"agent": "good", "task": "six"}
  then
    call await_agents {}
  then
    say {results}
agent good
    say Did {input}.
agent panics
    panic every time
agent hangs
    hang
agent poor
    say Too dear.
agent deep
    call spawn_agent {"agent": "deeper", "task": "down"}
  then when *agent_id*
    call await_agents {}
  then
    say {results}
  else
    say {results}
agent deeper
    call spawn_agent {"agent": "deep", "task": "down"}
  then when *agent_id*
    call await_agents {}
  then
    say {results}
  else
    say {results}
"#;

/// S8: a subagent that panics, hangs, runs out of budget or spawns without end: its parent gets
/// one typed result for each, and the siblings do not notice.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_end_of_a_subagent_reaches_its_parent_once_and_typed() {
    let stage = Stage::set(FAMILY, |harness| {
        let routes = ["good", "panics", "hangs", "poor", "deep"];
        let mut hangs = agent("hangs", &[], &[]);
        hangs.limits.turn_ms = 1_000;
        let mut poor = agent("poor", &[], &[]);
        poor.budget = Budget { tokens: Some(10), ..Budget::default() };
        let mut panics = agent("panics", &[], &[]);
        panics.restart = RestartPolicy { panics_max: 2, ..RestartPolicy::default() };
        let harness = harness.agent(agent("lead", &[], &routes)).agent(agent("good", &[], &[]));
        let harness = harness.agent(panics).agent(hangs).agent(poor);
        harness.agent(agent("deep", &[], &["deeper"])).agent(agent("deeper", &[], &["deep"]))
    })
    .await;
    let lead = say(&stage.runtime, "lead", "k", "go").await;
    let outcome = ended(&stage.runtime, lead, "k").await;
    let TurnOutcome::Completed { text, .. } = outcome else { panic!("{outcome:?}") };
    let log = events(&stage.runtime, lead).await;
    let mut told = BTreeMap::new();
    let agents: BTreeMap<SessionId, String> = log
        .iter()
        .filter_map(|event| match event {
            Event::ChildSpawned { child, agent, .. } => Some((*child, agent.to_string())),
            _ => None,
        })
        .collect();
    for event in &log {
        if let Event::ChildFinished { child, report, .. } = event {
            assert!(told.insert(*child, report.outcome.clone()).is_none(), "{child} told twice");
        }
    }
    assert_eq!(told.len(), 6);
    for (child, outcome) in &told {
        let right = match (agents[child].as_str(), outcome) {
            ("good" | "deep", ChildOutcome::Turn { outcome }) => outcome.word() == "completed",
            ("panics", ChildOutcome::Quarantined { reason }) => reason.contains("2 panics"),
            ("hangs", ChildOutcome::Turn { outcome }) => outcome.word() == "cancelled",
            ("poor", ChildOutcome::Turn { outcome }) => outcome.word() == "budget_exhausted",
            _ => false,
        };
        assert!(right, "{}: {outcome:?}", agents[child]);
    }
    assert!(text.contains("Did one.") && text.contains("Did six."), "{text}");
    let mut depth = 0;
    let mut row = stage.runtime.tree(lead).await.expect("the tree");
    assert!(text.contains("may not be started any deeper"), "{text}");
    while let Some(deepest) = row.children.into_iter().max_by_key(|node| node.children.len()) {
        depth += 1;
        row = deepest;
    }
    assert_eq!(depth, limits::DEPTH, "and no deeper");
}

/// S9: a session waits for itself, through the host, while the answer can never come; and a
/// caller waits for a turn that never ends. Both waits end with their deadline, not before and
/// not after: the clock stands still in between.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_circle_of_calls_waits_no_longer_than_its_deadline() {
    const PATIENCE: u64 = 5_000;
    let script = "
agent * when your turn
    say Here I am.
agent a
    call cross {\"to\": \"b\"}
  then
    say {results}
agent b
    call cross {\"to\": \"a\"}
  then
    say {results}
agent keeps
    hang
";
    let runtime_of = Arc::new(std::sync::OnceLock::<Runtime>::new());
    let pair = Arc::new(std::sync::OnceLock::<(SessionId, SessionId)>::new());
    let (gave_up, asked) = (Count::default(), Count::default());
    let cross = {
        let (runtime_of, pair) = (Arc::clone(&runtime_of), Arc::clone(&pair));
        let (gave_up, asked) = (gave_up.clone(), asked.clone());
        tool("cross", EffectClass::Pure, move |ctx, _| {
            let runtime = runtime_of.get().expect("set before any call").clone();
            let (a, b) = *pair.get().expect("set before any call");
            let to = if ctx.call.session == a { b } else { a };
            let (gave_up, asked) = (gave_up.clone(), asked.clone());
            async move {
                asked.up();
                // Neither asks before the other is busy asking.
                until("both", || async { (asked.get() >= 2).then_some(()) }).await;
                let input = UserInput::text("your turn");
                let answer = runtime.run(to, "crossed".into(), input, PATIENCE).await;
                match answer {
                    Err(CallError::TimedOut { waited_ms: PATIENCE }) => _ = gave_up.up(),
                    // Both waits end at the same moment; the first to give up sets the other free.
                    Ok(TurnOutcome::Completed { .. }) => {}
                    other => panic!("{other:?}"),
                }
                done("nobody answered")
            }
        })
    };
    let still = Still::set(script, |harness| {
        let harness = harness.tool(cross).agent(agent("a", &["cross"], &[]));
        harness.agent(agent("b", &["cross"], &[])).agent(agent("keeps", &[], &[]))
    })
    .await;
    runtime_of.set(still.runtime.clone()).expect("set once");
    let a = still.runtime.open(&"a".into(), "test".into()).await.expect("a");
    let b = still.runtime.open(&"b".into(), "test".into()).await.expect("b");
    pair.set((a, b)).expect("set once");
    let start = still.clock.now();
    for session in [a, b] {
        let input = UserInput::text("go");
        still.runtime.submit(session, "k".into(), input).await.expect("submit");
    }
    let kept = say(&still.runtime, "keeps", "k", "go").await;
    until("both ask", || async { (asked.get() == 2).then_some(()) }).await;
    let crossed = || async {
        let logs = join(events(&still.runtime, a), events(&still.runtime, b)).await;
        let accepted = |log: &[Event]| {
            log.iter().any(|e| matches!(e, Event::InputAccepted { key, .. } if key.0 == "crossed"))
        };
        (accepted(&logs.0) && accepted(&logs.1)).then_some(())
    };
    until("both inputs wait in the other's queue", crossed).await;
    let waiting = still.runtime.outcome(kept, "k".into(), PATIENCE - 1);
    let watching = async {
        // Some of these sleepers belong to the house; the waits are among them.
        until("everybody waits", || async { (still.clock.sleepers() >= 3).then_some(()) }).await;
        still.clock.set(start.plus_ms(PATIENCE - 1));
        until("the shortest wait is over", || async {
            (still.clock.now() == start.plus_ms(PATIENCE - 1)).then_some(())
        })
        .await;
        assert_eq!(gave_up.get(), 0, "not a moment early");
        still.clock.set(start.plus_ms(PATIENCE));
    };
    let (kept, ()) = bounded("a wait beyond its deadline", join(waiting, watching)).await;
    assert!(matches!(kept, Err(CallError::TimedOut { .. })), "{kept:?}");
    let both = join(ended(&still.runtime, a, "k"), ended(&still.runtime, b, "k"));
    for outcome in <[TurnOutcome; 2]>::from(bounded("both turns end", both).await) {
        assert!(matches!(outcome, TurnOutcome::Completed { .. }), "{outcome:?}");
    }
    assert!(gave_up.get() >= 1, "a circle ends because somebody gives up");
    // The tools hold the handle that holds the tools.
    still.runtime.shutdown().await;
}

/// Every log of the store: tokens never fall, positions follow one another.
async fn tokens_never_fall(journal: &Arc<dyn Journal>, logs: &[LogId]) -> usize {
    let mut seen = 0;
    for log in logs {
        let mut last = (Position(0), Default::default());
        let frames = journal.read(*log, Position(0), usize::MAX).await.expect("its frames");
        for frame in frames {
            let now = (frame.envelope.position, frame.envelope.token);
            assert_eq!(now.0, last.0.next(), "{log}");
            assert!(now.1 >= last.1, "{log}: an older owner wrote after a newer one");
            last = now;
            seen += 1;
        }
    }
    seen
}

/// S11: one session is started again 300 times, its tools and children slow to die. No owner
/// writes after its successor, and no effect happens twice.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_hundred_incarnations_never_write_after_one_another() {
    const TIMES: usize = 300;
    let script = r#"
agent lead turn 1
    call spawn_agent {"agent": "slow", "task": "one"}
    call spawn_agent {"agent": "slow", "task": "two"}
    say Started.
  then
    say Started.
agent lead
    call press {"which": "{input}"}
    call press {"which": "{input} again"}
  then
    say {results}
agent slow
    hang
"#;
    let (pressed, started) = (Sink::default(), Count::default());
    let press = {
        let (pressed, started) = (pressed.clone(), started.clone());
        tool("press", EffectClass::Once, move |ctx, _| {
            let (pressed, started) = (pressed.clone(), started.clone());
            async move {
                pressed.took(&ctx.idempotency_key);
                started.up();
                // Deaf to every wish to stop; a thread of its own outlives it for a while.
                let late = ctx.progress.clone();
                std::thread::spawn(move || {
                    std::thread::yield_now();
                    late.report("still here");
                });
                std::future::pending().await
            }
        })
    };
    let still = Still::set(script, |harness| {
        let mut lead = agent("lead", &["press"], &["slow"]);
        lead.restart = RestartPolicy { panics_max: u32::MAX, ..RestartPolicy::default() };
        harness.tool(press).agent(lead).agent(agent("slow", &[], &[]))
    })
    .await;
    // Slow enough that no tool's deadline comes in the middle of a step.
    let _running = still.runs(500);
    let runtime = &still.runtime;
    let lead = say(runtime, "lead", "k", "go").await;
    ended(runtime, lead, "k").await;
    for time in 0..TIMES {
        let (key, before) = (InputKey(format!("k{time}")), started.get());
        let input = UserInput::text(format!("button {time}"));
        runtime.submit(lead, key.clone(), input).await.expect("submit");
        until("both tools run", || async { (started.get() >= before + 2).then_some(()) }).await;
        until("it is there to be killed", || async {
            runtime.kill(&Victim::Session(lead)).then_some(())
        })
        .await;
        let outcome = bounded("the turn", runtime.outcome(lead, key, u64::MAX / 4)).await;
        let (_, outcome) = outcome.expect("the turn goes on");
        let TurnOutcome::Completed { text, .. } = outcome else { panic!("{outcome:?}") };
        assert_eq!(text.matches("outcome_unknown").count(), 2, "{text}");
    }
    let twice: Vec<_> = pressed.all().into_iter().filter(|(_, times)| *times > 1).collect();
    assert!(twice.is_empty(), "pressed twice: {twice:?}");
    assert_eq!(pressed.len(), 2 * TIMES);
    let journal: Arc<dyn Journal> = Arc::new(still.store.clone());
    let frames = tokens_never_fall(&journal, &still.store.logs()).await;
    assert!(frames > 3 * TIMES, "{frames} frames were looked at");
    let (_, token) = journal.tail(LogId::session(lead)).await.expect("its tail");
    assert!(token.0 > TIMES as u64, "every incarnation took a token of its own");
    let children = runtime.tree(lead).await.expect("the tree").children;
    assert!(children.iter().all(|child| child.row.restarts == 0), "the children never noticed");
    assert_eq!(children.len(), 2);
}

/// Fifty sessions work while an actor of the house is killed again and again; all of them end as
/// in a run in which nothing happened, and every effect happened once.
async fn fifty_work_while(victim: impl Fn(usize) -> Victim) {
    let control = Stage::set(WORK, workers(&Sink::default())).await;
    let undisturbed = bystanders(&control.runtime, 50, 4).await;
    let sink = Sink::default();
    let stage = Stage::set(WORK, |harness| {
        let mut harness = workers(&sink)(harness);
        // A budget on every path, so that the ledger has something to do; narrow doors, so that
        // there are queues to lose.
        let plenty =
            Budget { tokens: Some(1 << 40), tool_calls: Some(1 << 20), ..Budget::default() };
        harness.agents.iter_mut().for_each(|agent| agent.budget = plenty);
        harness.options.pools.insert("work".into(), 3);
        harness.options.gates.insert("scripted".into(), 8);
        harness
    })
    .await;
    let runtime = &stage.runtime;
    let kills = async {
        for time in 0..4 {
            let marks = sink.len() + 60;
            until("some work is done", || async { (sink.len() >= marks.min(590)).then_some(()) })
                .await;
            until("it is there", || async { runtime.kill(&victim(time)).then_some(()) }).await;
        }
    };
    let (outcomes, ()) = bounded("all turns", join(bystanders(runtime, 50, 4), kills)).await;
    for ((disturbed, _), (quiet, _)) in outcomes.iter().zip(&undisturbed) {
        assert_eq!(disturbed, quiet);
    }
    assert_eq!(sink.len(), 50 * 4 * 3);
    until("every slot is back", || async { (runtime.leases_out() == 0).then_some(()) }).await;
    let fresh = bounded("a new session", async {
        let fresh = say(runtime, "worker", "k", "after").await;
        ended(runtime, fresh, "k").await
    })
    .await;
    assert!(matches!(fresh, TurnOutcome::Completed { .. }), "{fresh:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_ledger_dies_while_fifty_sessions_work() {
    fifty_work_while(|_| Victim::Ledger).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn permission_dies_while_fifty_sessions_work() {
    fifty_work_while(|_| Victim::Permission).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_gate_dies_while_fifty_sessions_work() {
    fifty_work_while(|_| Victim::Gate("scripted".into())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_pool_dies_while_fifty_sessions_work() {
    fifty_work_while(|_| Victim::Pool("work".into())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wings_die_while_fifty_sessions_work() {
    fifty_work_while(|time| Victim::Wing(time * 5 % limits::WINGS)).await;
}

/// A wing that is killed takes its sessions along; they come back by themselves although nobody
/// asks for them, whenever in the rhythm of the house it happens.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sessions_of_a_killed_wing_come_back_although_nobody_asks() {
    let script = "agent worker\n    until call 2 hang\n    say Back.\n";
    for round in 0_u64..12 {
        let still = Still::set(script, |harness| harness.agent(agent("worker", &[], &[]))).await;
        let runtime = &still.runtime;
        let mut heard = runtime.subscribe();
        let session = say(runtime, "worker", "k", "go").await;
        until("its model hangs", || async {
            let calls = events(runtime, session).await;
            calls.iter().any(|e| e.name() == "model_call_started").then_some(())
        })
        .await;
        // Some moment between two looks of the root for sleepers.
        still.clock.advance(round * 45);
        assert!(runtime.kill(&Victim::Wing(Runtime::wing_of(session))));
        until("it is gone", || async { (runtime.awake() == 0).then_some(()) }).await;
        let start = still.clock.now();
        let back = async {
            loop {
                let heard = heard.next().await.expect("the house stands");
                if let Heard::Note(Note::Frame(frame)) = heard
                    && frame.events.iter().any(|e| e.name() == "turn_finished")
                {
                    let restarted = Event::SessionRestarted { cause: RestartCause::Process };
                    return events(runtime, session).await.contains(&restarted);
                }
            }
        };
        let running = still.runs(5);
        assert!(bounded("it comes back", back).await, "it had work in hand");
        drop(running);
        let took = still.clock.now().since_ms(start);
        assert!(took < 5_000, "round {round}: it took {took} ms of the house's time");
    }
}

/// The log that a killed process leaves is verified by whoever reads it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_full_of_deaths_leaves_logs_that_verify() {
    let sink = Sink::default();
    let stage = Stage::set(WORK, workers(&sink)).await;
    let runtime = &stage.runtime;
    let sessions = join_all((0..20).map(|_| say(runtime, "worker", "k", "go"))).await;
    for session in sessions.iter().step_by(2) {
        // Some have finished and left by now; that is as good.
        let _ = runtime.kill(&Victim::Session(*session));
    }
    join_all(sessions.iter().map(|session| ended(runtime, *session, "k"))).await;
    let stage = stage.crash().await;
    let journal: Arc<dyn Journal> = Arc::clone(&stage.store) as _;
    for session in sessions {
        let log = LogId::session(session);
        let frames = log::read_all::<Event>(&journal, log).await.expect("it verifies");
        assert!(frames.len() > 3);
        tokens_never_fall(&journal, &[log]).await;
    }
}
