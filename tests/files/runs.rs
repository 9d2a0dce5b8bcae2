//! The tools in a runtime: rules read their paths, and a call that nobody wants any more ends.

use std::{
    future::poll_fn,
    sync::{Arc, Mutex, mpsc},
    task::Poll,
};

use greenroom::{
    AgentSpec, Args, Layers, RulePattern, RuleSet, Runtime, ToolOutcome, tools::files,
};
use greenroom_actors::{
    ports::{Cancel, Progress},
    testing::harness::bounded,
};
use serde_json::{Value, json};
use tokio::sync::Notify;

use crate::stage::Stage;

fn rules(allow: &[&str], deny: &[&str]) -> Layers {
    let list = |rules: &[&str]| rules.iter().map(|rule| RulePattern((*rule).to_owned())).collect();
    let user = RuleSet { allow: list(allow), deny: list(deny), ..RuleSet::default() };
    Layers { user, ..Layers::default() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rules_for_reading_and_editing_hold_for_every_file_tool() {
    let stage = Stage::new();
    stage.put("open/a.txt", "needle");
    stage.put("secret/b.txt", "needle");
    let folder = tempfile::tempdir().unwrap();
    let mut builder = Runtime::builder()
        .store(folder.path().join("greenroom.db"))
        .script("agent *\n  say Yes.")
        .headless()
        .rules(rules(&["Read", "Edit(open/**)"], &["Read(secret/**)", "Edit(open/kept.txt)"]));
    let mut agent = AgentSpec::new("clerk", "scripted");
    let names = ["read_file", "write_file", "edit_file", "list_files", "search_files", "todo"];
    for name in names {
        builder = builder.tool(Shared(stage.tool(name)));
        agent = agent.tool(name);
    }
    let runtime = builder.start().await.unwrap();
    let session = runtime.spawn(&agent).await.unwrap();
    let call = async |name: &str, args: Value| {
        let outcome = bounded(name, session.run_tool(name, args)).await.unwrap();
        let (output, is_error) = outcome.told();
        (output.shown().to_owned(), is_error)
    };
    for (name, args) in [
        ("read_file", json!({"path": "secret/b.txt"})),
        ("list_files", json!({"path": "secret/sub"})),
        ("search_files", json!({"path": "secret/b.txt", "pattern": "needle"})),
        ("write_file", json!({"path": "open/kept.txt", "content": ""})),
        (
            "edit_file",
            json!({"path": "open/kept.txt", "edits": [{"old_text": "a", "new_text": "b"}]}),
        ),
        ("write_file", json!({"path": "elsewhere", "content": ""})),
    ] {
        let (said, is_error) = call(name, args.clone()).await;
        assert!(is_error && !said.contains("does not exist"), "{name} {args}: {said}");
        assert!(!said.contains("needle"), "{name} {args}: {said}");
    }
    let read = call("read_file", json!({"path": "open/a.txt"})).await;
    assert_eq!(read, ("1\tneedle".to_owned(), false));
    let found = call("search_files", json!({"path": "open", "pattern": "needle"})).await;
    assert_eq!(found, ("open/a.txt\n1: needle".to_owned(), false));
    let found = call("search_files", json!({"path": ".", "pattern": "needle"})).await;
    let kept = "open/a.txt\n1: needle\n[1 entries are kept by rules]".to_owned();
    assert_eq!(found, (kept, false), "what a rule keeps is not found from above either");
    let listed = call("list_files", json!({"path": "."})).await;
    let kept = "open/\nopen/a.txt\nsecret/\n[1 entries are kept by rules]".to_owned();
    assert_eq!(listed, (kept, false));
    let (wrote, is_error) = call("write_file", json!({"path": "open/n", "content": "x"})).await;
    assert!(!is_error, "{wrote}");
    let figures = runtime.figures();
    assert!(figures.pools.keys().any(|kind| kind.as_str() == files::POOL));
    runtime.shutdown().await;
}

/// A search that stops at its first word of progress until it is let go.
struct Held {
    run: futures_util::future::BoxFuture<'static, ToolOutcome>,
    wish: tokio::sync::watch::Sender<bool>,
    go: mpsc::SyncSender<()>,
    /// Ends when the thread has let go of everything.
    over: mpsc::Receiver<()>,
}

async fn held(stage: &Stage) -> Held {
    for no in 0..2_100 {
        stage.put(&format!("d/{no}"), "x");
    }
    let (wish, cancel) = Cancel::channel();
    let reached = Arc::new(Notify::new());
    let (go, wait) = mpsc::sync_channel(1);
    let (gone, over) = mpsc::sync_channel::<()>(1);
    let (signal, wait) = (Arc::clone(&reached), Mutex::new(wait));
    let mut ctx = stage.ctx(cancel);
    ctx.progress = Progress::new(Arc::new(move |_label| {
        let _held_as_long_as_this = &gone;
        signal.notify_one();
        wait.lock().unwrap().recv().unwrap();
    }));
    let args = Args(json!({"path": ".", "pattern": "needle"}).to_string());
    let mut run = stage.tool("search_files").run(ctx, args);
    tokio::select! {
        outcome = &mut run => panic!("it did not stop: {outcome:?}"),
        () = bounded("progress", reached.notified()) => {}
    }
    Held { run, wish, go, over }
}

#[tokio::test]
async fn a_search_that_is_cancelled_stops_and_says_that_nothing_happened() {
    let stage = Stage::new();
    let Held { mut run, wish, go, .. } = held(&stage).await;
    wish.send_replace(true);
    poll_fn(|cx| {
        assert!(run.as_mut().poll(cx).is_pending(), "its thread is held");
        Poll::Ready(())
    })
    .await;
    go.send(()).unwrap();
    let outcome = bounded("the end", run).await;
    assert_eq!(outcome, ToolOutcome::Cancelled { effect_unknown: false });
}

#[tokio::test]
async fn a_search_that_nobody_waits_for_any_more_ends() {
    let stage = Stage::new();
    let Held { run, go, over, .. } = held(&stage).await;
    // As the deadline does it.
    drop(run);
    go.send(()).unwrap();
    let over = bounded("the thread", tokio::task::spawn_blocking(move || over.recv())).await;
    assert!(over.unwrap().is_err(), "it has let go of everything");
}

#[tokio::test]
async fn a_write_that_is_cancelled_before_it_is_in_place_changes_nothing() {
    let stage = Stage::new();
    stage.put("f", "old");
    let (wish, cancel) = Cancel::channel();
    wish.send_replace(true);
    let args = Args(json!({"path": "f", "content": "new", "replace": true}).to_string());
    let outcome = bounded("write", stage.tool("write_file").run(stage.ctx(cancel), args)).await;
    assert_eq!(outcome, ToolOutcome::Cancelled { effect_unknown: false });
    assert_eq!(std::fs::read_to_string(stage.at("f")).unwrap(), "old");
    assert_eq!(std::fs::read_dir(stage.at("")).unwrap().count(), 1);
}

#[tokio::test]
async fn a_list_of_things_to_do_is_its_call() {
    let stage = Stage::new();
    let items = json!({"items": [
        {"text": "Read it", "state": "done"},
        {"text": "Change it\u{1b}[2J", "state": "doing"},
        {"text": "Try it", "state": "open"},
    ]});
    let said = stage.done("todo", items).await;
    assert_eq!(said, "1 of 3 done\n[x] Read it\n[>] Change it\\u{1b}[2J\n[ ] Try it");
    let two = json!({"items": [{"text": "a", "state": "doing"}, {"text": "b", "state": "doing"}]});
    assert_eq!(stage.refused("todo", two).await, "2 items are `doing`; at most one is");
}

/// A tool that is shared.
struct Shared(Arc<dyn greenroom::Tool>);

impl greenroom::Tool for Shared {
    fn spec(&self) -> greenroom::ToolSpec {
        self.0.spec()
    }

    fn check(&self, args: &Args) -> Result<(), String> {
        self.0.check(args)
    }

    fn run(
        &self,
        ctx: greenroom::ToolCtx,
        args: Args,
    ) -> futures_util::future::BoxFuture<'static, ToolOutcome> {
        self.0.run(ctx, args)
    }
}
