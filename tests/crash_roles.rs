//! The crash driver's roles, each tried on its own before anything is proven with them: what a
//! role notes must be what happened, or every conclusion drawn from its journal is worthless.
#![expect(clippy::unwrap_used, reason = "what a test cannot set up, it fails with")]

#[path = "crash/wire.rs"]
#[allow(dead_code, reason = "the driver uses what this test does not")]
mod wire;

#[path = "crash/model.rs"]
#[allow(dead_code, reason = "the driver uses what this test does not")]
mod model;

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
        conversation::Message,
        event::ModelFailure,
        ids::{CallId, ModelCallNo, SessionId, Timestamp, ToolCallNo, TurnId},
        tool::{Args, EffectClass, Output, Overlay, ToolOutcome},
        usage::Usage,
    },
    ports::{
        Cancel, ModelEvent, ModelProvider, ModelRequest, Probe, Progress, Services, Tool, ToolCtx,
    },
};
use tokio::{io::AsyncWriteExt, net::TcpListener, task::JoinSet};

use model::{ModelRecord, WireRequest};
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
    role(move |listener, path| async move { model::serve_on(listener, script, &path).await }).await
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
    RemoteModel::new(role.addr).call(request).collect().await
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
    assert_eq!(events.len(), 2);
    let [ModelRecord::Arrived { call, prompt, sha256, .. }, delivered] = records.as_slice() else {
        panic!("unexpected records {records:?}");
    };
    assert_eq!(*call, asked.call);
    assert_eq!(prompt.as_bytes(), asked.prompt_bytes());
    assert_eq!(sha256.len(), 64);
    let usage = Some(Usage { input: 5, output: 2, ..Usage::default() });
    assert_eq!(*delivered, ModelRecord::Delivered { call: asked.call, usage });
}

#[tokio::test]
async fn a_request_travels_without_changing_its_prompt() {
    let asked = request(1, "žluťoučký \" kůň \u{0}");
    let travelled = WireRequest::of(&asked).request().unwrap();
    assert_eq!(travelled.prompt_bytes(), asked.prompt_bytes());
    assert_eq!((travelled.call, travelled.turn), (asked.call, asked.turn));
}

#[tokio::test]
async fn a_client_that_leaves_midway_is_noted_as_broken_with_what_it_cost() {
    let role = vendor("say 12345678\nhang").await;
    let asked = request(1, "x");
    let mut stream = RemoteModel::new(role.addr).call(asked.clone());
    assert!(stream.next().await.is_some());
    drop(stream);
    let records = settled(&role.journal(), 2).await;
    let input = u64::try_from(asked.prompt_bytes().len().div_ceil(4)).unwrap();
    let usage = Usage { input, output: 2, ..Usage::default() };
    let broken = ModelRecord::Broken { call: asked.call, usage, finished: false };
    assert_eq!(records.last(), Some(&broken));
}

#[tokio::test]
async fn an_end_that_was_sent_and_not_acknowledged_is_broken_at_its_full_price() {
    let role = vendor("say hi\nusage input=5 output=2").await;
    let mut socket = wire::Wire::connect(role.addr).await.unwrap();
    socket.write(&WireRequest::of(&request(1, "x"))).await.unwrap();
    socket.read::<serde_json::Value>().await.unwrap();
    socket.read::<serde_json::Value>().await.unwrap();
    drop(socket);
    let records = settled(&role.journal(), 2).await;
    let usage = Usage { input: 5, output: 2, ..Usage::default() };
    let call = request(1, "x").call;
    let broken = ModelRecord::Broken { call, usage, finished: true };
    assert_eq!(records.last(), Some(&broken));
}

#[tokio::test]
async fn failures_early_ends_and_panics_reach_the_client() {
    let role = vendor(
        "agent * when fail\nfail overloaded unbilled\nagent * when end\nsay a\nend\nagent *\npanic as asked",
    )
    .await;
    let failed = ask(&role, request(1, "fail")).await;
    assert!(matches!(failed.as_slice(), [Err(failure)] if failure.unbilled));
    let ended = ask(&role, request(2, "end")).await;
    assert_eq!(ended, [Ok(ModelEvent::Text { delta: "a".into() })]);
    let mut tasks = JoinSet::new();
    let addr = role.addr;
    tasks.spawn(async move {
        RemoteModel::new(addr).call(request(3, "panic")).collect::<Vec<_>>().await
    });
    assert!(tasks.join_next().await.unwrap().unwrap_err().is_panic());
    let records = settled(&role.journal(), 6).await;
    let free = |record: &&ModelRecord| matches!(record, ModelRecord::Failed { usage, .. } if *usage == Usage::default());
    assert_eq!(records.iter().filter(free).count(), 1);
}

#[tokio::test]
async fn a_vendor_that_is_not_there_is_a_transport_failure() {
    let listener = TcpListener::bind(wire::local(0)).await.unwrap();
    let addr = listener.local_addr().unwrap();
    drop(listener);
    let events: Vec<_> = RemoteModel::new(addr).call(request(1, "x")).collect().await;
    assert!(matches!(events.as_slice(), [Err(failure)] if failure.retryable));
}

fn ctx(key: &str) -> ToolCtx {
    let (_sender, cancel) = Cancel::channel();
    ToolCtx {
        call: CallId::tool(SESSION, ToolCallNo(1)),
        idempotency_key: key.into(),
        tenant: "t".into(),
        principal: "p".into(),
        cwd: None,
        deadline: Timestamp(0),
        cancel,
        progress: Progress::new(Arc::new(|_| {})),
        overlay: Overlay::default(),
        services: Services::default(),
    }
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
