//! The embedding API, as a program that embeds the runtime uses it.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

use futures_util::StreamExt as _;
use greenroom::{
    AgentSpec, Answer, Approval, CallError, EffectClass, Event, Inbox, Mode, Output, Probe,
    RestartPolicy, Runtime, ScriptedModel, ToolError, ToolOutcome, TurnEvent, TurnOverrides,
    TurnStream, TypedTool, UserInput,
};
use greenroom_actors::{limits, testing::harness::bounded};

mod gap;
mod images;

#[derive(schemars::JsonSchema, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Add {
    a: i64,
    b: i64,
}

const SCRIPT: &str = r#"
agent clerk
    call add {"a": 2, "b": "three"}
  then
    call add {"a": 2, "b": 3}
  then
    stream 4 every 1ms
    say The sum is {results}.
"#;

fn clerk() -> AgentSpec {
    AgentSpec::new("clerk", "scripted").allowed_tool("add")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_turn_streams_and_wrong_arguments_are_mended_before_anything_starts() {
    let folder = tempfile::tempdir().unwrap();
    let add = TypedTool::new("add", "Adds.", |_ctx, args: Add| async move {
        Ok((args.a + args.b).to_string())
    })
    .effect(EffectClass::Pure);
    let runtime = Runtime::builder()
        .store(folder.path().join("green.db"))
        .script(SCRIPT)
        .tool(add)
        .start()
        .await
        .unwrap();
    let session = runtime.spawn(&clerk()).await.unwrap();
    let mut turn = session.send("what is 2 and 3?").await.unwrap();
    let (mut said, mut closed, mut started) = (String::new(), Vec::new(), 0);
    while let Some(event) = turn.next().await {
        match event {
            TurnEvent::Text(text) => said.push_str(&text),
            TurnEvent::Happened(_, event) => match *event {
                Event::ToolFinished { outcome, .. } => closed.push(outcome),
                Event::ToolStarted { .. } => started += 1,
                _ => {}
            },
            TurnEvent::Thinking(_) | TurnEvent::Progress(_) | TurnEvent::Lagged(_) => {}
        }
    }
    assert_eq!(turn.outcome().await.unwrap().text(), said, "what was streamed is what was said");
    assert_eq!(started, 1, "the call with wrong arguments never started");
    let [ToolOutcome::Failed { output: wrong }, ToolOutcome::Done { output: right }] =
        closed.as_slice()
    else {
        panic!("{closed:?}")
    };
    let mend = "add: at b: expected a whole number, found the text \"three\"";
    assert_eq!(wrong.shown(), mend, "in words that a model can mend");
    assert_eq!(right.shown(), "5");
    assert_eq!(runtime.tools().len(), 1);
    let order = runtime.shutdown().await;
    assert_eq!(order.last().map(String::as_str), Some("store"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_is_found_again_by_its_id_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let start = || {
        let path = folder.path().join("green.db");
        Runtime::builder().store(path).script("agent *\n  say {input}").start()
    };
    let runtime = start().await.unwrap();
    let session = runtime.spawn(&AgentSpec::new("echo", "scripted")).await.unwrap();
    let key = session.send("one").await.unwrap().key().clone();
    runtime.session(session.id()).send("two").await.unwrap().outcome().await.unwrap();
    let id = session.id();
    runtime.shutdown().await;
    let runtime = start().await.unwrap();
    let (_, outcome) = runtime.outcome(id, key, 30_000).await.unwrap();
    assert_eq!(outcome.text(), "one", "an old turn is still known by its key");
    let outcome = runtime.session(id).send("three").await.unwrap().outcome().await.unwrap();
    assert_eq!(outcome.text(), "three");
}

async fn house(folder: &Path, script: &str) -> Runtime {
    let pay = TypedTool::new("pay", "Pays.", |_ctx, args: Pay| async move {
        Ok(format!("paid {}", args.cents))
    });
    let store = folder.join("green.db");
    Runtime::builder().store(store).script(script).tool(pay).start().await.unwrap()
}

#[derive(schemars::JsonSchema, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Pay {
    cents: u64,
}

const PAYS: &str = "agent *\n  call-raw pay {\"cents\": {input}}\n then\n  say {last}";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_waits_for_questions_has_read_no_answer_and_a_call_that_broke_off_is_made_again() {
    let folder = tempfile::tempdir().unwrap();
    let script = "agent *\n    say Once upon\n    first 1 end\n    say  a time.\n";
    let runtime = house(folder.path(), script).await;
    let session = runtime.spawn(&AgentSpec::new("teller", "scripted")).await.unwrap();
    let _inboxes = (runtime.inbox(), session.inbox());
    runtime.submit(session.id(), "k".into(), UserInput::text("go")).await.unwrap();
    let (_, outcome) = runtime.outcome(session.id(), "k".into(), 30_000).await.unwrap();
    assert_eq!(outcome.text(), "Once upona time.");
}

/// What is left of a turn, as the names of its events.
async fn rest(turn: TurnStream) -> Vec<&'static str> {
    let named = |event| async move {
        if let TurnEvent::Happened(_, event) = event { Some(event.name()) } else { None }
    };
    // It is a stream like any other.
    bounded("the turn", turn.filter_map(named).collect()).await
}

async fn question(inbox: &mut Inbox) -> Approval {
    bounded("a question", inbox.next()).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_key_again_is_the_same_turn_from_wherever_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let runtime = house(folder.path(), PAYS).await;
    let session = runtime.spawn(&AgentSpec::new("clerk", "scripted").tool("pay")).await.unwrap();
    let say = || session.send_as("bill", UserInput::text("7"));
    let first = say().await.unwrap();
    let question = question(&mut session.inbox()).await;
    let second = say().await.unwrap();
    question.approve().await.unwrap();
    let seen = rest(first).await;
    assert_eq!(seen.first(), Some(&"turn_started"));
    let rest_of_it = rest(second).await;
    assert_eq!(rest_of_it.first(), Some(&"approval_decided"), "from where it was");
    assert!(seen.ends_with(&rest_of_it), "{seen:?} and {rest_of_it:?}");
    let third = say().await.unwrap();
    assert!(rest(third).await.is_empty(), "it is over");
    assert_eq!(say().await.unwrap().outcome().await.unwrap().text(), "paid 7");
    assert_eq!(session.totals().await.unwrap().calls, 2, "one turn");
    runtime.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_turn_whose_session_leaves_the_stage_ends_and_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let runtime = house(folder.path(), "agent *\n  panic no such line").await;
    let mut agent = AgentSpec::new("clerk", "scripted");
    agent.restart = RestartPolicy { backoff_ms: 1, backoff_max_ms: 1, ..agent.restart };
    let session = runtime.spawn(&agent).await.unwrap();
    let turn = session.send("go").await.unwrap();
    let key = turn.key().clone();
    assert_eq!(rest(turn).await.last(), Some(&"session_quarantined"));
    let why = runtime.outcome(session.id(), key, 30_000).await.unwrap_err().to_string();
    assert!(why.contains("3 panics without progress"), "{why}");
    runtime.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_inbox_has_the_questions_of_its_tree_or_tenant_each_once_and_no_others() {
    let folder = tempfile::tempdir().unwrap();
    let script = "agent lead\n  call spawn_agent {\"agent\": \"clerk\", \"task\": \"{input}\"}\n \
                  then\n  call await_agents\n then\n  say {last}\n\
                  agent clerk\n  call-raw pay {\"cents\": {input}}\n then\n  say {last}";
    let runtime = house(folder.path(), script).await;
    let clerk = AgentSpec::new("clerk", "scripted").tool("pay");
    let lead = AgentSpec::new("lead", "scripted").tool("pay").route("clerk");
    runtime.add_agent(clerk.clone()).unwrap();
    let (ann, bob) = (runtime.tenant("ann"), runtime.tenant("bob"));
    let (hers, his) = (ann.spawn(&lead).await.unwrap(), bob.spawn(&clerk).await.unwrap());
    let her_turn = hers.send("1").await.unwrap();
    let his_turn = his.send("2").await.unwrap();

    let (mut tree, mut tenant) = (hers.inbox(), bob.inbox());
    let from_below = question(&mut tree).await;
    assert_eq!(from_below.what(), r#"pay {"cents":1}"#);
    assert_ne!(from_below.id().session, hers.id(), "a subagent asks");
    let own = question(&mut tenant).await;
    assert_eq!((own.what().as_str(), own.id().session), (r#"pay {"cents":2}"#, his.id()));

    // One that comes later is told, one that is open still is not told again.
    let later = ann.spawn(&clerk).await.unwrap().send("3").await.unwrap();
    let mut hers_again = ann.inbox();
    let two = [question(&mut hers_again).await.what(), question(&mut hers_again).await.what()];
    assert!(two.contains(&r#"pay {"cents":3}"#.to_owned()), "{two:?}");
    let more = his.send("4").await.unwrap();
    own.edit(serde_json::json!({"cents": "none"})).await.unwrap_err();
    own.edit(serde_json::json!({"cents": 20})).await.unwrap();
    let next = question(&mut tenant).await;
    assert_eq!(next.what(), r#"pay {"cents":4}"#, "not the open one, not anybody else's");
    next.revise("less").await.unwrap();
    assert_eq!(his_turn.outcome().await.unwrap().text(), "paid 20");
    assert!(more.outcome().await.unwrap().text().contains("less"));
    assert!(own.approve().await.is_err(), "it is answered");

    let open = ann.approvals().await.unwrap();
    assert_eq!(open.len(), 2);
    for approval in open {
        approval.answer_as("ann", Answer::Once).await.unwrap();
    }
    assert!(her_turn.outcome().await.unwrap().text().contains("paid 1"));
    assert_eq!(later.outcome().await.unwrap().text(), "paid 3");
    runtime.shutdown().await;
    let ended = tree.next().await.unwrap_err();
    assert!(matches!(ended, CallError::Ended { .. }), "{ended}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_registered_later_serves_sessions_from_then_on() {
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("green.db");
    let runtime = Runtime::builder().store(store).start().await.unwrap();
    runtime.add_provider(ScriptedModel::parse(PAYS).unwrap()).await;
    let clerk = AgentSpec::new("clerk", "scripted").allowed_tool("pay");
    let why = runtime.add_agent(clerk.clone()).unwrap_err().to_string();
    assert!(why.contains("tool pay is not registered"), "{why}");
    let pay = |ok: bool| {
        TypedTool::new("pay", "Pays.", move |_ctx, args: Pay| async move {
            if ok { Ok(args.cents) } else { Err("7".parse::<bool>().unwrap_err().into()) }
        })
    };
    runtime.add_tool(pay(true)).await.unwrap();
    runtime.add_tool(pay(false)).await.unwrap_err();
    runtime.add_agent(clerk).unwrap();
    let session = runtime.open("clerk").await.unwrap();
    assert_eq!(session.send("5").await.unwrap().outcome().await.unwrap().text(), "5");
    let tools = session.tools().await.unwrap();
    assert_eq!(tools.iter().map(|tool| tool.name.as_str()).collect::<Vec<_>>(), ["pay"]);
    let outcome = session.run_tool("steal", serde_json::json!({})).await.unwrap();
    assert_eq!(outcome.word(), "refused", "its set is closed");
    let careful = TurnOverrides { mode: Some(Mode::Plan), ..TurnOverrides::default() };
    let turn = session.send_with("5", careful).await.unwrap();
    assert!(turn.outcome().await.unwrap().text().contains("plan"), "the mode holds for this turn");
    runtime.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_too_slow_is_told_how_much_was_missed_and_hears_the_end() {
    let folder = tempfile::tempdir().unwrap();
    let long = "x".repeat(2 * limits::FOLLOWER_EVENTS);
    let script = format!("agent *\n  stream 1 every 0ms\n  say {long}\n  call-raw pay {{input}}");
    let runtime = house(folder.path(), &script).await;
    let clerk = AgentSpec::new("clerk", "scripted").tool("pay");
    let session = runtime.spawn(&clerk).await.unwrap();
    let mut house = runtime.inbox();
    // Nobody listens while all is said; then a question is open and the turn is not over.
    let mut turn = session.send("{\"cents\": 7}").await.unwrap();
    let question = question(&mut house).await;
    let (mut heard, mut missed) = (0, 0);
    while missed == 0 {
        match bounded("the gap", turn.next()).await.unwrap() {
            TurnEvent::Lagged(count) => missed = count,
            TurnEvent::Text(_) | TurnEvent::Happened(..) => heard += 1,
            TurnEvent::Thinking(_) | TurnEvent::Progress(_) => {}
        }
    }
    assert!(heard > 0 && missed > 0, "{heard} heard, {missed} missed");
    question.reject().await.unwrap();
    assert!(rest(turn).await.contains(&"turn_finished"), "and from then on everything");
    runtime.shutdown().await;
}

/// A failure with a cause.
#[derive(Debug)]
struct Broken(std::num::ParseIntError);

impl std::fmt::Display for Broken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the till is broken")
    }
}

impl std::error::Error for Broken {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.0)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failure_of_an_own_tool_is_read_with_its_causes() {
    let folder = tempfile::tempdir().unwrap();
    let till = TypedTool::new("till", "Counts.", |_ctx, _: Pay| async move {
        Ok("many".parse::<u64>().map_err(Broken)?)
    });
    let store = folder.path().join("green.db");
    let runtime = Runtime::builder().store(store).script("").tool(till).start().await.unwrap();
    let clerk = AgentSpec::new("clerk", "scripted").allowed_tool("till");
    let session = runtime.spawn(&clerk).await.unwrap();
    let outcome = session.run_tool("till", serde_json::json!({"cents": 1})).await.unwrap();
    let (said, failed) = outcome.told();
    assert!(failed);
    assert_eq!(said.shown(), "the till is broken: invalid digit found in string");
    runtime.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tool_with_a_probe_is_asked_after_a_crash_and_not_run_again() {
    let folder = tempfile::tempdir().unwrap();
    let start = |lives: u32, runs: Arc<AtomicU32>| {
        let pay = TypedTool::new("pay", "Pays.", move |_ctx, _: Pay| {
            let runs = Arc::clone(&runs);
            async move {
                runs.fetch_add(1, Ordering::SeqCst);
                // Its result never comes.
                std::future::pending::<Result<u32, ToolError>>().await
            }
        });
        let pay = pay.probe(move |_ctx, args: Pay| async move {
            let output = Output::text(format!("paid {} in life {lives}", args.cents));
            Probe::Happened(ToolOutcome::Done { output })
        });
        let store = folder.path().join("green.db");
        Runtime::builder().store(store).script(PAYS).tool(pay).start()
    };
    let runs = Arc::new(AtomicU32::new(0));
    let runtime = start(1, Arc::clone(&runs)).await.unwrap();
    let clerk = AgentSpec::new("clerk", "scripted").allowed_tool("pay");
    let session = runtime.spawn(&clerk).await.unwrap();
    let mut turn = session.send_as("bill", UserInput::text("7")).await.unwrap();
    while let Some(event) = bounded("the tool", turn.next()).await {
        let TurnEvent::Happened(_, event) = event else { continue };
        if matches!(*event, Event::ToolStarted { .. }) {
            break;
        }
    }
    let id = session.id();
    drop((turn, session));
    runtime.shutdown().await;
    let runtime = start(2, Arc::clone(&runs)).await.unwrap();
    let turn = runtime.session(id).send_as("bill", UserInput::text("7")).await.unwrap();
    assert_eq!(turn.outcome().await.unwrap().text(), "paid 7 in life 2");
    assert!(runs.load(Ordering::SeqCst) <= 1, "never again");
    runtime.shutdown().await;
}
