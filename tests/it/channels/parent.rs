//! The agent above, as somebody who may answer: never for more than it may do itself.

use greenroom::{Mode, TotalsOf};
use greenroom_actors::runtime::Consulted;

use super::*;

const TEAM: &str = r#"
agent lead
    call spawn_agent {"agent": "clerk", "task": "pay the bill"}
  then
    call await_agents
  then
    say {last}
agent clerk
    call pay {"cents": 900}
  then
    say {last}
agent lead.asked
    say ANSWER
"#;

fn lead() -> AgentSpec {
    AgentSpec::new("lead", "scripted").instructions("Run the office.").route("clerk")
}

fn team(folder: &Path, uses: &Arc<AtomicUsize>, answer: &str) -> Builder {
    house(folder, uses).script(TEAM.replace("ANSWER", answer)).ask_parents()
}

const YES: &str = r#"{"answer": "allow", "reason": "the bill is due"}"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_parents_model_allows_what_the_parent_itself_may_do() {
    let (folder, uses) = (Folder::new(), Arc::default());
    let runtime =
        team(folder.path(), &uses, YES).agent(lead().allowed_tool("pay")).start().await.unwrap();
    let session = runtime.open("lead").await.unwrap();
    let told = said(session.send("go").await.unwrap()).await;
    assert!(told.contains("paid 900"), "{told}");
    assert_eq!(uses.load(SeqCst), 1);
    let rows = runtime.list().await.unwrap();
    let clerk = rows.iter().find(|row| row.agent.as_str() == "clerk").expect("the clerk");
    let clerk = runtime.session(clerk.session);
    assert_eq!(answered_by(&runtime, &clerk).await, ["parent"]);
    let asked = rows.iter().find(|row| row.agent.as_str() == "lead.asked").expect("it was asked");
    assert_eq!(asked.parent, Some(session.id()), "it is seen in the parent's tree");
    let sum = runtime.totals(TotalsOf::Subtree(session.id())).await.unwrap();
    assert!(sum.calls >= 6, "and its call is counted there: {sum:?}");
    runtime.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_parents_no_reaches_the_agent_with_its_reason() {
    let (folder, uses) = (Folder::new(), Arc::default());
    let no = r#"{"answer": "deny", "reason": "too dear"}"#;
    let runtime =
        team(folder.path(), &uses, no).agent(lead().allowed_tool("pay")).start().await.unwrap();
    let session = runtime.open("lead").await.unwrap();
    let told = said(session.send("go").await.unwrap()).await;
    assert!(told.contains("Comment of parent: too dear"), "{told}");
    assert_eq!(uses.load(SeqCst), 0);
    runtime.shutdown().await;
}

/// Nobody has answered: the question waits, and `asks` says whether the model was asked at all.
async fn is_left_to_people(house: Builder, asks: bool) {
    let runtime = house.start().await.unwrap();
    let session = runtime.open("lead").await.unwrap();
    let turn = session.send("go").await.unwrap();
    let row = open(&runtime).await;
    if asks {
        let consulted = greenroom::SessionId::consulted(row.id);
        logged(&runtime, consulted, "its model has answered", |events| {
            (count(events, "turn_finished") == 1).then_some(())
        })
        .await;
    }
    runtime.decide(row.id, Answer::Reject).await.expect("it is open still");
    said(turn).await;
    let clerk = runtime.session(row.id.session);
    assert_eq!(answered_by(&runtime, &clerk).await, ["host"]);
    if !asks {
        let rows = runtime.list().await.unwrap();
        assert!(rows.iter().all(|row| row.agent.as_str() != "lead.asked"), "{rows:?}");
    }
    runtime.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_parent_may_not_do_by_itself_it_is_not_asked_about() {
    for lead in [lead(), lead().allowed_tool("pay").ask("pay"), lead().allowed_tool("read")] {
        let (folder, uses) = (Folder::new(), Arc::default());
        let read = TypedTool::new("read", "Reads.", |_ctx, args: Pay| async move {
            Ok::<_, ToolError>(args.cents.to_string())
        });
        is_left_to_people(team(folder.path(), &uses, YES).tool(read).agent(lead), false).await;
        assert_eq!(uses.load(SeqCst), 0);
    }
}

/// Else a tool that fails would be had back by a model, and nobody had seen it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tool_that_fails_is_a_persons_to_allow_and_no_parents() {
    let folder = Folder::new();
    let script = TEAM.replace("ANSWER", YES).replace(
        "call pay {\"cents\": 900}\n  then\n    say {last}",
        "call stamp {\"cents\": 1}\n  then\n    call stamp {\"cents\": 2}\n  then\n    say {last}",
    );
    let stamp = TypedTool::new("stamp", "Stamps.", |_ctx, _args: Pay| async move {
        Err::<String, ToolError>("no ink".into())
    });
    let mut clerk = AgentSpec::new("clerk", "scripted").allowed_tool("stamp");
    clerk.reliability = greenroom::Reliability { failures: 1, ..clerk.reliability };
    let house = Runtime::builder().store(file_in(folder.path())).script(script).tool(stamp);
    let lead = lead().allowed_tool("stamp");
    let runtime = house.agent(clerk).agent(lead).start().await.unwrap();
    let session = runtime.open("lead").await.unwrap();
    let turn = session.send("go").await.unwrap();
    let row = open(&runtime).await;
    assert!(row.ask.reasons.join(" ").contains("stamp failed 1 of"), "{:?}", row.ask.reasons);
    let consulted = bounded("the parent", runtime.consult_parent(&row)).await.unwrap();
    assert_eq!(consulted, Consulted::Silent("only a person may answer it".to_owned()));
    runtime.decide(row.id, Answer::Reject).await.unwrap();
    said(turn).await;
    runtime.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_parents_model_says_beside_a_yes_or_a_no_is_none() {
    for nonsense in
        ["yes", "once", r#"{"answer": "allow"}"#, r#"Sure! {"answer": "allow", "reason": "x"}"#]
    {
        let (folder, uses) = (Folder::new(), Arc::default());
        let lead = lead().allowed_tool("pay");
        is_left_to_people(team(folder.path(), &uses, nonsense).agent(lead), true).await;
        assert_eq!(uses.load(SeqCst), 0);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_parent_in_a_mode_that_asks_nothing_allows_nothing() {
    let (folder, uses) = (Folder::new(), Arc::default());
    let mut silent = lead();
    silent.authority.mode = Mode::DontAsk;
    let runtime = team(folder.path(), &uses, YES).agent(silent).start().await.unwrap();
    let session = runtime.open("lead").await.unwrap();
    let told = said(session.send("go").await.unwrap()).await;
    assert!(told.contains("Permission denied"), "{told}");
    assert_eq!(uses.load(SeqCst), 0);
    runtime.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_parents_model_that_was_asked_before_a_restart_is_not_asked_twice() {
    let (folder, uses) = (Folder::new(), Arc::default());
    let lead = || lead().allowed_tool("pay");
    // What it said then was no answer, and stands.
    let runtime = team(folder.path(), &uses, "hm").agent(lead()).start().await.unwrap();
    let session = runtime.open("lead").await.unwrap();
    let turn = session.send("go").await.unwrap();
    let row = open(&runtime).await;
    let consulted = greenroom::SessionId::consulted(row.id);
    let answered = |events: &[Event]| (count(events, "turn_finished") == 1).then_some(());
    logged(&runtime, consulted, "its model has answered", answered).await;
    let before = events(&runtime, consulted).await;
    drop(turn);
    runtime.shutdown().await;

    // After the restart another model would say yes; it is the first answer that counts.
    let (asks, asked_at) = (Arc::new(AtomicUsize::new(0)), row.id);
    let again = Arc::clone(&asks);
    let runtime = team(folder.path(), &uses, YES)
        .agent(lead())
        .on_question(move |_| {
            again.fetch_add(1, SeqCst);
            std::future::pending()
        })
        .start()
        .await
        .unwrap();
    seen("all ways are asked again", || asks.load(SeqCst) == 1).await;
    assert_eq!(asked(&runtime, 1).await, [asked_at]);
    runtime.decide(asked_at, Answer::Reject).await.expect("it is open still");
    let clerk = runtime.session(asked_at.session);
    goes_on(&runtime, &clerk).await;
    assert_eq!(answered_by(&runtime, &clerk).await, ["host"]);
    let after = events(&runtime, consulted).await;
    let calls = |events: &[Event]| count(events, "model_call_started");
    assert_eq!((calls(&before), calls(&after)), (1, 1), "its model was asked once");
    assert_eq!(uses.load(SeqCst), 0);
    runtime.shutdown().await;
}
