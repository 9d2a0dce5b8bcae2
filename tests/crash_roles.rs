//! The crash driver's roles, each tried on its own before anything is proven with them: what a
//! role notes must be what happened, or every conclusion drawn from its journal is worthless.
#![expect(clippy::unwrap_used, reason = "what a test cannot set up, it fails with")]

#[path = "crash/socket.rs"]
mod socket;

#[path = "crash/wire.rs"]
#[allow(dead_code, reason = "the driver uses what this test does not")]
mod wire;

#[path = "crash/http.rs"]
mod http;

#[path = "crash/chunks.rs"]
mod chunks;

#[path = "crash/model.rs"]
#[allow(dead_code, reason = "the driver uses what this test does not")]
mod model;

#[path = "crash/vendor.rs"]
#[allow(dead_code, reason = "the driver uses what this test does not")]
mod vendor;

#[path = "crash/remote.rs"]
mod remote;

#[path = "crash/sink.rs"]
#[allow(dead_code, reason = "the driver uses what this test does not")]
mod sink;

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
};

use futures_util::StreamExt;
use greenroom_actors::{
    domain::{
        agent::Sampling,
        conversation::{Block, Message, Reply, ReplyBlock, Stop},
        event::{FailureKind, ModelFailure},
        ids::{CallId, ModelCallNo, SessionId, Timestamp, ToolCallNo, TurnId},
        tool::{Args, EffectClass, Output, ToolOutcome},
        usage::Usage,
    },
    ports::{Cancel, ModelEvent, ModelProvider, ModelRequest, Probe, Tool, ToolCtx},
    testing::harness::tool_ctx,
};
use tokio::{io::AsyncWriteExt, net::TcpListener, task::JoinSet};

use model::{Announced, ModelRecord};
use remote::RemoteModel;
use sink::{SinkAnswer, SinkRecord, SinkRequest};

const SESSION: SessionId = SessionId(uuid::Uuid::from_u128(7));

/// A role in this process, gone when dropped, and its journal in a folder of its own.
struct Role {
    addr: SocketAddr,
    folder: tempfile::TempDir,
    _serving: JoinSet<std::io::Result<()>>,
}

impl Role {
    fn journal(&self) -> PathBuf {
        self.folder.path().join("journal.jsonl")
    }
}

async fn role<F>(serve: impl FnOnce(TcpListener, PathBuf) -> F) -> Role
where
    F: Future<Output = std::io::Result<()>> + Send + 'static,
{
    let listener = TcpListener::bind(wire::local(0)).await.unwrap();
    let addr = listener.local_addr().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let mut serving = JoinSet::new();
    serving.spawn(serve(listener, folder.path().join("journal.jsonl")));
    Role { addr, folder, _serving: serving }
}

async fn vendor(script: &'static str) -> Role {
    role(move |listener, path| async move { vendor::serve_on(listener, script, &path).await }).await
}

async fn effects() -> Role {
    role(|listener, path| async move { sink::serve_on(listener, &path).await }).await
}

fn request(no: u32, input: &str) -> ModelRequest {
    ModelRequest {
        call: CallId::model(SESSION, ModelCallNo(no)),
        agent: "worker".into(),
        turn: TurnId(1),
        deadline: Timestamp(0),
        model: "m".into(),
        instructions: "be brief".into(),
        tools: Arc::new(sink::tools(wire::local(1)).iter().map(|tool| tool.spec()).collect()),
        messages: vec![Arc::new(Message::user(input))],
        sampling: Sampling::default(),
        images: std::collections::BTreeMap::new(),
    }
}

async fn ask(role: &Role, request: ModelRequest) -> Vec<Result<ModelEvent, ModelFailure>> {
    RemoteModel::new(role.addr).unwrap().call(request).collect().await
}

/// Looks again until the value is there; ten seconds are far more than any machine needs.
async fn eventually<T>(mut look: impl FnMut() -> Option<T>) -> T {
    for _ in 0..1_000 {
        if let Some(found) = look() {
            return found;
        }
        wire::pause_ms(10).await;
    }
    panic!("nothing came");
}

async fn settled(path: &Path, records: usize) -> Vec<ModelRecord> {
    eventually(|| {
        let all = model::read_journal(path).unwrap();
        (all.len() >= records && model::open_calls(&all).is_empty()).then_some(all)
    })
    .await
}

#[tokio::test]
async fn a_delivered_call_is_noted_before_the_client_goes_on() {
    let role = vendor("say hello {input}\nusage input=5 output=2").await;
    let asked = request(1, "you");
    let events = ask(&role, asked.clone()).await;
    let records = model::read_journal(&role.journal()).unwrap();
    assert!(matches!(events.last(), Some(Ok(ModelEvent::Finished { .. }))), "{events:?}");
    let [ModelRecord::Arrived { call, prompt, sha256, body, .. }, delivered] = records.as_slice()
    else {
        panic!("unexpected records {records:?}");
    };
    assert_eq!(*call, asked.call);
    assert!(body.contains(r#"{"role":"system","content":"be brief"}"#), "{body}");
    assert_eq!(prompt.as_bytes(), asked.prompt_bytes());
    assert_eq!(sha256.len(), 64);
    let usage = Some(Usage { input: 5, output: 2, ..Usage::default() });
    assert_eq!(*delivered, ModelRecord::Delivered { call: asked.call, usage });
}

#[tokio::test]
async fn a_call_is_announced_without_changing_its_prompt() {
    let asked = request(1, "žluťoučký \" kůň \u{0}");
    let travelled = Announced::of(&asked).request().unwrap();
    assert_eq!(travelled.prompt_bytes(), asked.prompt_bytes());
    assert_eq!((travelled.call, travelled.turn), (asked.call, asked.turn));
}

#[tokio::test]
async fn a_client_that_leaves_midway_is_noted_as_broken_with_what_it_cost() {
    let role = vendor("say 12345678\nhang").await;
    let asked = request(1, "x");
    let mut stream = RemoteModel::new(role.addr).unwrap().call(asked.clone());
    for _piece in ["123456", "78"] {
        assert!(matches!(stream.next().await, Some(Ok(ModelEvent::Text { .. }))));
    }
    drop(stream);
    let records = settled(&role.journal(), 2).await;
    let input = u64::try_from(asked.prompt_bytes().len().div_ceil(4)).unwrap();
    let usage = Usage { input, output: 2, ..Usage::default() };
    let broken = ModelRecord::Broken { call: asked.call, usage, pieces: 2, finished: false };
    assert_eq!(records.last(), Some(&broken));
}

#[tokio::test]
async fn an_end_that_was_sent_and_not_acknowledged_is_broken_at_its_full_price() {
    let role = vendor("say hi\nusage input=5 output=2").await;
    let asked = request(1, "x");
    let beside = remote::announce(role.addr, &Announced::of(&asked)).await.unwrap();
    let read: Vec<_> = remote::adapter(role.addr).unwrap().call(asked.clone()).collect().await;
    assert!(matches!(read.last(), Some(Ok(ModelEvent::Finished { .. }))), "{read:?}");
    drop(beside);
    let records = settled(&role.journal(), 2).await;
    let usage = Usage { input: 5, output: 2, ..Usage::default() };
    let Some(ModelRecord::Broken { call, usage: spent, finished: true, .. }) = records.last()
    else {
        panic!("unexpected records {records:?}");
    };
    assert_eq!((*call, *spent), (asked.call, usage));
}

/// How a stream ended: its kind of failure, whether it certainly cost nothing, and for how long it
/// asks to be left alone.
fn end(events: &[Result<ModelEvent, ModelFailure>]) -> Option<(FailureKind, bool, Option<u64>)> {
    let failure = events.last()?.as_ref().err()?;
    Some((failure.kind, failure.unbilled, failure.retry_after_ms))
}

#[tokio::test]
async fn every_failure_of_the_script_reaches_the_client_as_the_adapter_reads_it() {
    let table = [
        ("fail rate_limited after 70ms unbilled", FailureKind::RateLimited, true, Some(70)),
        ("fail overloaded unbilled", FailureKind::Overloaded, true, None),
        ("fail auth final unbilled", FailureKind::Auth, true, None),
        ("fail bad_request final unbilled", FailureKind::BadRequest, true, None),
        ("say 12\n    fail overloaded", FailureKind::Overloaded, false, None),
        ("say 12\n    fail rate_limited", FailureKind::RateLimited, false, None),
        ("say 12\n    fail timed_out", FailureKind::TimedOut, false, None),
        ("say 12\n    fail malformed", FailureKind::Malformed, false, None),
        ("say 12\n    fail transport", FailureKind::Transport, false, None),
        ("fail transport", FailureKind::Transport, false, None),
        ("say 12\n    end", FailureKind::EndedEarly, false, None),
        ("fail ended_early", FailureKind::EndedEarly, false, None),
    ];
    for (line, kind, unbilled, after) in table {
        let script: &'static str = format!("agent *\n    {line}").leak();
        let role = vendor(script).await;
        let events = ask(&role, request(1, "x")).await;
        assert_eq!(end(&events), Some((kind, unbilled, after)), "{line}: {events:?}");
        let records = settled(&role.journal(), 2).await;
        let cost = match records.last() {
            Some(ModelRecord::Failed { usage, .. } | ModelRecord::Broken { usage, .. }) => *usage,
            other => panic!("{line}: {other:?}"),
        };
        assert_eq!(cost == Usage::default(), unbilled, "{line}: {cost:?}");
    }
}

#[tokio::test]
async fn an_answer_arrives_as_the_script_says_it() {
    let role = vendor(
        r#"think Žluťoučký kůň, at length.
say It said: "{input}".
call sink_once {"note":"a long note of many pieces"}
call sink_pure {}
usage input=61 cache_read=40 cache_write=7 output=19 reasoning=3"#,
    )
    .await;
    let events = ask(&role, request(1, "hello")).await;
    let call =
        |name: &str, args: &str| ReplyBlock::ToolUse { name: name.into(), args: Args(args.into()) };
    let thinking =
        Block::Thinking { text: "Žluťoučký kůň, at length.".into(), signature: None };
    let text = Block::Text { text: r#"It said: "hello"."#.into() };
    let blocks = vec![
        ReplyBlock::Said { block: thinking },
        ReplyBlock::Said { block: text },
        call("sink_once", r#"{"note":"a long note of many pieces"}"#),
        call("sink_pure", "{}"),
    ];
    let usage = Usage { input: 61, cache_read: 40, cache_write: 7, output: 19, reasoning: 3 };
    let served_by = Some("m".into());
    let reply = Reply { blocks, stop: Stop::ToolUse, usage: Some(usage), served_by };
    assert_eq!(events.last(), Some(&Ok(ModelEvent::Finished { reply: Box::new(reply) })));
    assert!(events.len() > 6, "it came in {} pieces", events.len());
}

#[tokio::test]
async fn a_panic_of_the_script_is_the_clients_own() {
    let role = vendor("say a\npanic as asked").await;
    let mut tasks = JoinSet::new();
    let remote = RemoteModel::new(role.addr).unwrap();
    tasks.spawn(async move { remote.call(request(3, "panic")).collect::<Vec<_>>().await });
    let panicked = tasks.join_next().await.unwrap().unwrap_err().into_panic();
    assert_eq!(greenroom_actors::owned::panic_text(panicked.as_ref()), "as asked");
    let records = settled(&role.journal(), 2).await;
    assert!(matches!(records.last(), Some(ModelRecord::Broken { finished: false, .. })));
}

#[tokio::test]
async fn a_call_that_comes_again_is_noted_again_and_one_that_nobody_waits_for_is_not() {
    let role = vendor("say a").await;
    let adapter = remote::adapter(role.addr).unwrap();
    let unheard: Vec<_> = adapter.call(request(1, "x")).collect().await;
    assert_eq!(end(&unheard).map(|(kind, ..)| kind), Some(FailureKind::Overloaded));
    let asked = request(2, "x");
    let beside = remote::announce(role.addr, &Announced::of(&asked)).await.unwrap();
    for _time in ["first", "again"] {
        let events: Vec<_> = adapter.call(asked.clone()).collect().await;
        assert!(matches!(events.last(), Some(Ok(ModelEvent::Finished { .. }))), "{events:?}");
    }
    drop(beside);
    let records = settled(&role.journal(), 3).await;
    let came = |record: &&ModelRecord| matches!(record, ModelRecord::Arrived { .. });
    assert_eq!(records.iter().filter(came).count(), 2, "{records:?}");
    assert!(records.iter().all(|record| record.call() == asked.call), "{records:?}");
}

#[tokio::test]
async fn a_vendor_that_is_not_there_is_a_transport_failure() {
    let listener = TcpListener::bind(wire::local(0)).await.unwrap();
    let addr = listener.local_addr().unwrap();
    drop(listener);
    let events: Vec<_> = RemoteModel::new(addr).unwrap().call(request(1, "x")).collect().await;
    assert!(matches!(events.as_slice(), [Err(failure)] if failure.retryable));
}

fn ctx(key: &str) -> ToolCtx {
    let (_sender, cancel) = Cancel::channel();
    let call = CallId::tool(SESSION, ToolCallNo(1));
    ToolCtx { call, idempotency_key: key.into(), ..tool_ctx(cancel) }
}

fn tool(role: &Role, name: &str) -> Arc<dyn Tool> {
    let mut tools = sink::tools(role.addr).into_iter();
    tools.find(|tool| tool.spec().name.as_str() == name).unwrap()
}

fn done(text: &str) -> ToolOutcome {
    ToolOutcome::Done { output: Output::text(text) }
}

#[tokio::test]
async fn every_tool_notes_its_key_and_class_before_it_is_answered() {
    let role = effects().await;
    for (name, class) in [
        ("sink_pure", EffectClass::Pure),
        ("sink_idempotent", EffectClass::Idempotent),
        ("sink_verifiable", EffectClass::Verifiable),
        ("sink_once", EffectClass::Once),
    ] {
        let args = Args(r#"{"note": "n", "delay_ms": 2}"#.into());
        assert_eq!(tool(&role, name).run(ctx(name), args).await, done("noted: n"));
        let counts = sink::counts(&sink::read_journal(&role.journal()).unwrap());
        assert_eq!(counts.get(name), Some(&(class, 1)));
    }
}

#[tokio::test]
async fn a_probe_says_whether_the_effect_happened_and_fences_what_was_sent_before() {
    let role = effects().await;
    let tool = tool(&role, "sink_verifiable");
    let args = || Args(r#"{"note": "n"}"#.into());
    let sent_ns = wire::wall_ns();
    assert_eq!(tool.probe(ctx("k"), args()).await, Probe::DidNot);
    let late = SinkRequest::Effect {
        key: "k".into(),
        class: EffectClass::Verifiable,
        payload: "n".into(),
        delay_ms: 0,
        sent_ns,
    };
    assert_eq!(sink::send(role.addr, &late).await.unwrap(), SinkAnswer::Fenced);
    assert_eq!(tool.run(ctx("k"), args()).await, done("noted: n"));
    assert_eq!(tool.probe(ctx("k"), args()).await, Probe::Happened(done("noted: n")));
    let records = sink::read_journal(&role.journal()).unwrap();
    assert!(records.contains(&SinkRecord::Fenced { key: "k".into() }));
    assert_eq!(sink::counts(&records).get("k"), Some(&(EffectClass::Verifiable, 1)));
}

#[tokio::test]
async fn the_same_key_twice_is_counted_twice() {
    let role = effects().await;
    let tool = tool(&role, "sink_idempotent");
    for _ in 0..2 {
        tool.run(ctx("k"), Args(r#"{"note": "n"}"#.into())).await;
    }
    let counts = sink::counts(&sink::read_journal(&role.journal()).unwrap());
    assert_eq!(counts.get("k"), Some(&(EffectClass::Idempotent, 2)));
}

#[tokio::test]
async fn arguments_of_another_shape_fail_without_an_effect() {
    let role = effects().await;
    let outcome = tool(&role, "sink_once").run(ctx("k"), Args("{}".into())).await;
    assert!(matches!(outcome, ToolOutcome::Failed { .. }));
    assert!(sink::read_journal(&role.journal()).unwrap().is_empty());
}

#[tokio::test]
async fn a_line_without_an_end_is_not_believed() {
    let mut whole = &b"\"a\"\n\"b"[..];
    assert_eq!(wire::read_line::<String>(&mut whole).await.unwrap(), Some("a".into()));
    assert!(wire::read_line::<String>(&mut whole).await.is_err());
    let mut written = Vec::new();
    wire::write_line(&mut written, &"a\nb").await.unwrap();
    written.flush().await.unwrap();
    assert_eq!(written, b"\"a\\nb\"\n");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("torn.jsonl");
    std::fs::write(&path, "1\n2\n3").unwrap();
    assert_eq!(wire::read_journal::<u32>(&path).unwrap(), [1, 2]);
    assert_eq!(wire::port_of("listening 4711\n"), Some(4711));
}
