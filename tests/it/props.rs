//! What a stage is furnished with: a tool that waits for its cue and remembers who ran it, a
//! provider that keeps every prompt, a clock that numbers sessions so that two plays are alike.

use std::{
    collections::BTreeSet,
    fs::{self, OpenOptions},
    io::Write as _,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering::SeqCst},
    },
};

use futures_util::{future::BoxFuture, stream::BoxStream};
use greenroom::clock::SystemClock;
use greenroom_actors::{
    Runtime,
    domain::{
        agent::AgentSpec,
        event::{Event, ModelFailure},
        ids::{
            ApprovalId, CallNo, CredentialName, ModelCallNo, ModelName, ProviderName, SessionId,
            Timestamp,
        },
        permission::RulePattern,
        tool::{Args, EffectClass, Output, Overlay, ToolOutcome, ToolSpec},
    },
    ports::{Clock, ModelEvent, ModelProvider, ModelRequest, Probe, Tool, ToolCtx},
    testing::harness::{Harness, events, eventually},
};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use uuid::Uuid;

/// A tool of the stage. Clones are the same tool.
#[derive(Clone)]
pub struct Prop(Arc<Inner>);

struct Inner {
    spec: ToolSpec,
    cue: watch::Sender<bool>,
    outcome: ToolOutcome,
    probe: Probe,
    runs: Mutex<Vec<ToolCtx>>,
    args: Mutex<Vec<String>>,
    at_work: AtomicUsize,
}

/// Somebody is in the tool, until the run ends or is dropped.
struct AtWork(Prop);

impl Drop for AtWork {
    fn drop(&mut self) {
        self.0.0.at_work.fetch_sub(1, SeqCst);
    }
}

impl Prop {
    /// A tool that answers at once, with "NAME done".
    pub fn new(name: &str, effect: EffectClass) -> Self {
        let output = Output::text(format!("{name} done"));
        Self::with(name, effect, ToolOutcome::Done { output }, Probe::Unknown)
    }

    /// A tool that answers with this, and says this when it is asked what happened.
    pub fn with(name: &str, effect: EffectClass, outcome: ToolOutcome, probe: Probe) -> Self {
        let spec = ToolSpec {
            name: name.into(),
            description: format!("The {name} of the stage."),
            schema: r#"{"type":"object"}"#.to_owned(),
            effect,
            pool: "props".into(),
        };
        let (runs, args) = (Mutex::default(), Mutex::default());
        let at_work = AtomicUsize::new(0);
        let cue = watch::Sender::new(true);
        Self(Arc::new(Inner { spec, cue, outcome, probe, runs, args, at_work }))
    }

    /// From now on runs wait for their cue.
    pub fn hold(self) -> Self {
        self.0.cue.send_replace(false);
        self
    }

    /// Runs go on, and later ones do not wait.
    pub fn cue(&self) {
        self.0.cue.send_replace(true);
    }

    /// What every run so far was given.
    pub fn contexts(&self) -> Vec<ToolCtx> {
        self.0.runs.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The keys of every run so far.
    pub fn keys(&self) -> Vec<String> {
        self.contexts().into_iter().map(|ctx| ctx.idempotency_key).collect()
    }

    /// The arguments of every run so far.
    pub fn args(&self) -> Vec<String> {
        self.0.args.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How many runs are under way.
    pub fn at_work(&self) -> usize {
        self.0.at_work.load(SeqCst)
    }
}

impl Tool for Prop {
    fn spec(&self) -> ToolSpec {
        self.0.spec.clone()
    }

    fn run(&self, ctx: ToolCtx, args: Args) -> BoxFuture<'static, ToolOutcome> {
        let (prop, mut cue) = (self.clone(), self.0.cue.subscribe());
        Box::pin(async move {
            prop.0.at_work.fetch_add(1, SeqCst);
            let _at_work = AtWork(prop.clone());
            ctx.progress.report("on stage");
            prop.0.runs.lock().unwrap_or_else(PoisonError::into_inner).push(ctx);
            prop.0.args.lock().unwrap_or_else(PoisonError::into_inner).push(args.0);
            // The sender lives in the prop, so the cue cannot be lost.
            let _ = cue.wait_for(|open| *open).await;
            prop.0.outcome.clone()
        })
    }

    fn probe(&self, _ctx: ToolCtx, _args: Args) -> BoxFuture<'static, Probe> {
        Box::pin(std::future::ready(self.0.probe.clone()))
    }
}

/// Adds a line to a file that outlives its process: it is the kernel's when this returns.
pub fn note(file: &Path, line: &impl Serialize) {
    let mut line = serde_json::to_vec(line).expect("JSON");
    line.push(b'\n');
    let file = OpenOptions::new().create(true).append(true).open(file);
    file.and_then(|mut file| file.write_all(&line)).expect("add a line");
}

/// The lines of such a file, in order; none when there is no file.
pub fn noted<T: for<'a> Deserialize<'a>>(file: &Path) -> Vec<T> {
    let text =
        if file.exists() { fs::read_to_string(file).expect("the file") } else { String::new() };
    text.lines().map(|line| serde_json::from_str(line).expect("a whole line")).collect()
}

/// Puts a test before the harness's provider: each call comes to `call`, with the provider behind it,
/// and all else goes to that as ever.
pub fn before_provider(
    harness: &mut Harness,
    call: impl Fn(&Arc<dyn ModelProvider>, ModelRequest) -> Answer + Send + Sync + 'static,
) {
    let inner = harness.providers.remove(0);
    harness.providers.insert(0, Arc::new(Before { inner, call }));
}

/// What a provider answers.
pub type Answer = BoxStream<'static, Result<ModelEvent, ModelFailure>>;

struct Before<F> {
    inner: Arc<dyn ModelProvider>,
    call: F,
}

impl<F> ModelProvider for Before<F>
where
    F: Fn(&Arc<dyn ModelProvider>, ModelRequest) -> Answer + Send + Sync + 'static,
{
    fn name(&self) -> ProviderName {
        self.inner.name()
    }

    fn credential(&self) -> CredentialName {
        self.inner.credential()
    }

    fn call(&self, request: ModelRequest) -> Answer {
        (self.call)(&self.inner, request)
    }

    fn list_models(
        &self,
        prefix: String,
    ) -> BoxFuture<'static, Result<Vec<ModelName>, ModelFailure>> {
        self.inner.list_models(prefix)
    }

    fn verify_auth(&self) -> BoxFuture<'static, Result<(), ModelFailure>> {
        self.inner.verify_auth()
    }
}

/// A prompt that was sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sent {
    pub session: SessionId,
    pub call: ModelCallNo,
    pub prompt: String,
}

/// A provider that keeps what it is asked.
#[derive(Clone)]
pub struct Recorder {
    sent: Arc<Mutex<Vec<Sent>>>,
    file: Option<PathBuf>,
}

impl Recorder {
    /// Stands before the harness's provider.
    pub fn in_place(harness: &mut Harness) -> Self {
        Self { sent: Arc::default(), file: None }.before(harness)
    }

    /// The same, and what it is asked stands in this file before it is asked: so it remembers
    /// what a process sent that is dead by now.
    pub fn in_file(harness: &mut Harness, file: PathBuf) -> Self {
        let sent = Arc::new(Mutex::new(noted(&file)));
        Self { sent, file: Some(file) }.before(harness)
    }

    fn before(self, harness: &mut Harness) -> Self {
        let recorder = self.clone();
        before_provider(harness, move |inner, request| {
            recorder.keep(&request);
            inner.call(request)
        });
        self
    }

    fn keep(&self, request: &ModelRequest) {
        if let CallNo::Model(call) = request.call.no {
            let prompt = String::from_utf8(request.prompt_bytes()).expect("JSON");
            let sent = Sent { session: request.call.session, call, prompt };
            if let Some(file) = &self.file {
                note(file, &sent);
            }
            self.sent.lock().unwrap_or_else(PoisonError::into_inner).push(sent);
        }
    }

    /// Who sent anything.
    pub fn senders(&self) -> BTreeSet<SessionId> {
        let sent = self.sent.lock().unwrap_or_else(PoisonError::into_inner);
        sent.iter().map(|sent| sent.session).collect()
    }

    /// Everything a session sent.
    pub fn sent(&self, session: SessionId) -> Vec<Sent> {
        let sent = self.sent.lock().unwrap_or_else(PoisonError::into_inner);
        sent.iter().filter(|sent| sent.session == session).cloned().collect()
    }

    /// The prompts of a session; one that was sent again and again, the same to the byte, counts
    /// once.
    pub fn prompts(&self, session: SessionId) -> Vec<String> {
        let mut prompts: Vec<String> =
            self.sent(session).into_iter().map(|sent| sent.prompt).collect();
        prompts.dedup();
        prompts
    }
}

/// The machine's clock, but sessions are numbered: two plays of one piece have the same ids.
#[derive(Default)]
pub struct Numbering(AtomicU64);

impl Clock for Numbering {
    fn now(&self) -> Timestamp {
        SystemClock.now()
    }

    fn sleep_until(&self, at: Timestamp) -> BoxFuture<'static, ()> {
        SystemClock.sleep_until(at)
    }

    fn running(&self) -> Timestamp {
        SystemClock.running()
    }

    fn after(&self, ms: u64) -> BoxFuture<'static, ()> {
        SystemClock.after(ms)
    }

    fn random(&self) -> u64 {
        SystemClock.random()
    }

    fn new_session(&self) -> SessionId {
        SessionId(Uuid::from_u128(u128::from(self.0.fetch_add(1, SeqCst) + 1)))
    }
}

/// An agent with these tools and routes.
pub fn agent(name: &str, tools: &[&str], routes: &[&str]) -> AgentSpec {
    let mut agent = AgentSpec::new(name, "scripted");
    agent.tools = tools.iter().map(|tool| ((*tool).into(), Overlay::new())).collect();
    agent.routes = routes.iter().map(|route| (*route).into()).collect();
    agent
}

/// Rules of the user that allow these tools.
pub fn allow(mut harness: Harness, tools: &[&str]) -> Harness {
    let rules = tools.iter().map(|tool| RulePattern((*tool).to_owned()));
    harness.options.layers.user.allow.extend(rules);
    harness
}

/// Waits until a session's log says so.
pub async fn logged<T>(
    runtime: &Runtime,
    session: SessionId,
    what: &str,
    find: impl Fn(&[Event]) -> Option<T>,
) -> T {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let find = &find;
    eventually(&clock, what, || async move { find(&events(runtime, session).await) }).await
}

/// Waits until something outside the logs is so.
pub async fn seen(what: &str, is_so: impl Fn() -> bool) {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let is_so = &is_so;
    eventually(&clock, what, || async move { is_so().then_some(()) }).await;
}

/// Waits until so many approvals are open.
pub async fn asked(runtime: &Runtime, many: usize) -> Vec<ApprovalId> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    eventually(&clock, &format!("{many} approvals"), || async move {
        let open = runtime.approvals(None).await.expect("the inbox");
        (open.len() == many).then(|| open.into_iter().map(|row| row.id).collect())
    })
    .await
}

/// How many events there are of a kind.
pub fn count(events: &[Event], name: &str) -> usize {
    events.iter().filter(|event| event.name() == name).count()
}

/// The children a session spawned, oldest first.
pub fn children(events: &[Event]) -> Vec<SessionId> {
    let spawned = events.iter().filter_map(|event| match event {
        Event::ChildSpawned { child, creation: Some(_), .. } => Some(*child),
        _ => None,
    });
    spawned.collect()
}

/// How the tool calls of a session closed, in order.
pub fn closures(events: &[Event]) -> Vec<ToolOutcome> {
    let closed = events.iter().filter_map(|event| match event {
        Event::ToolFinished { outcome, .. } => Some(outcome.clone()),
        _ => None,
    });
    closed.collect()
}

/// What every log must say whatever happened to its session: each call that was asked for closed
/// once, each turn ended once, each model call ended and was booked, each child reported once.
pub fn is_whole(events: &[Event]) {
    let turns = count(events, "turn_started");
    assert_eq!(turns, count(events, "turn_finished"), "turns: {events:#?}");
    let calls = count(events, "tool_requested");
    assert_eq!(calls, count(events, "tool_finished"), "tool calls: {events:#?}");
    let ended = count(events, "model_call_finished") + count(events, "model_call_failed");
    assert_eq!(count(events, "model_call_started"), ended, "model calls: {events:#?}");
    assert_eq!(count(events, "usage_settled"), ended, "bookings: {events:#?}");
    let spawned = count(events, "child_spawned");
    assert_eq!(spawned, count(events, "child_finished"), "assignments: {events:#?}");
}
