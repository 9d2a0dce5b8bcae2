//! Props of the integration tests: tools that tests hold, break and count, a clock that runs by
//! itself, and a stage in memory.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
};

use futures_util::future::BoxFuture;
use greenroom::clock::SystemClock;
use greenroom_actors::{
    Runtime,
    domain::{
        agent::AgentSpec,
        ids::Position,
        permission::Mode,
        tool::{Args, EffectClass, Output, Overlay, ToolOutcome, ToolSpec},
    },
    owned::Owned,
    ports::{Append, AppendError, Around, Clock, Journal, Through, Tool, ToolCtx},
    runtime::Deps,
    testing::{
        clock::ManualClock,
        harness::{Harness, bounded},
        memory::MemoryStore,
    },
};

type Act = Arc<dyn Fn(ToolCtx, Args) -> BoxFuture<'static, ToolOutcome> + Send + Sync>;

/// A tool that does what the test says.
pub struct Prop {
    spec: ToolSpec,
    act: Act,
}

/// A tool of the pool "work".
pub fn tool<F>(
    name: &str,
    effect: EffectClass,
    act: impl Fn(ToolCtx, Args) -> F + Send + Sync + 'static,
) -> Prop
where
    F: Future<Output = ToolOutcome> + Send + 'static,
{
    let spec = ToolSpec {
        name: name.into(),
        description: name.to_owned(),
        schema: r#"{"type":"object"}"#.to_owned(),
        effect,
        pool: "work".into(),
    };
    Prop { spec, act: Arc::new(move |ctx, args| Box::pin(act(ctx, args))) }
}

impl Tool for Prop {
    fn spec(&self) -> ToolSpec {
        self.spec.clone()
    }

    fn run(&self, ctx: ToolCtx, args: Args) -> BoxFuture<'static, ToolOutcome> {
        (self.act)(ctx, args)
    }
}

/// A result.
pub fn done(text: impl Into<String>) -> ToolOutcome {
    ToolOutcome::Done { output: Output::text(text) }
}

/// The world outside: counts what was done to it, by idempotency key.
#[derive(Clone, Debug, Default)]
pub struct Sink(Arc<Mutex<BTreeMap<String, usize>>>);

impl Sink {
    /// Something was done under this key.
    pub fn took(&self, key: &str) {
        *self.0.lock().expect("no test panics here").entry(key.to_owned()).or_default() += 1;
    }

    /// Keys and how often each was used.
    pub fn all(&self) -> BTreeMap<String, usize> {
        self.0.lock().expect("no test panics here").clone()
    }

    /// How many keys.
    pub fn len(&self) -> usize {
        self.all().len()
    }
}

/// A count that tests wait on.
#[derive(Clone, Debug, Default)]
pub struct Count(Arc<AtomicUsize>);

impl Count {
    /// One more.
    pub fn up(&self) -> usize {
        self.0.fetch_add(1, SeqCst) + 1
    }

    /// So far.
    pub fn get(&self) -> usize {
        self.0.load(SeqCst)
    }
}

/// An agent on the scripted model that is never asked.
pub fn agent(name: &str, tools: &[&str], routes: &[&str]) -> AgentSpec {
    let mut agent = AgentSpec::new(name, "scripted");
    agent.tools = tools.iter().map(|tool| ((*tool).into(), Overlay::default())).collect();
    agent.routes = routes.iter().map(|route| (*route).into()).collect();
    agent.authority.mode = Mode::BypassPermissions;
    agent
}

/// A stage in memory, on a clock in the test's hand.
pub struct Still {
    pub store: MemoryStore,
    pub clock: ManualClock,
    pub harness: Harness,
    pub runtime: Runtime,
}

/// The real clock, for waiting on values.
pub fn wall() -> Arc<dyn Clock> {
    Arc::new(SystemClock)
}

/// Waits by the real clock until a question has an answer.
pub async fn until<T, F: Future<Output = Option<T>>>(what: &str, question: impl FnMut() -> F) -> T {
    greenroom_actors::testing::harness::eventually(&wall(), what, question).await
}

pub fn memory(store: &MemoryStore, clock: &Arc<dyn Clock>) -> Deps {
    Deps {
        journal: Arc::new(store.clone()),
        catalog: Arc::new(store.clone()),
        blobs: Arc::new(store.clone()),
        clock: Arc::clone(clock),
    }
}

impl Still {
    /// Starts with this script; `arrange` adds agents and tools.
    pub async fn set(script: &str, arrange: impl FnOnce(Harness) -> Harness) -> Self {
        let (store, clock) = (MemoryStore::new(), ManualClock::new(7));
        let port: Arc<dyn Clock> = Arc::new(clock.clone());
        let harness = arrange(Harness::scripted(memory(&store, &port), script));
        let runtime = bounded("start", harness.start()).await;
        Self { store, clock, harness, runtime }
    }

    /// Everything in memory dies; a new runtime starts on the same store.
    pub async fn crash(self) -> Self {
        let Self { store, clock, harness, runtime } = self;
        drop(runtime);
        store.reopen();
        let runtime = bounded("start", harness.start()).await;
        Self { store, clock, harness, runtime }
    }

    /// Lets the clock run by itself, `ms` at a time, until the task is dropped.
    pub fn runs(&self, ms: u64) -> Owned {
        let clock = self.clock.clone();
        Owned::spawn(async move {
            loop {
                clock.advance(ms);
                SystemClock.sleep_until(SystemClock.now().plus_ms(1)).await;
            }
        })
    }

    /// Advances the clock, step by step, until a question has an answer.
    pub async fn advancing<T, F: Future<Output = Option<T>>>(
        &self,
        what: &str,
        step_ms: u64,
        question: impl FnMut() -> F,
    ) -> T {
        let _running = self.runs(step_ms);
        until(what, question).await
    }
}

/// Tells a test of every frame as soon as it is durable, before its writer hears.
pub struct Watched(Arc<dyn Fn(&Append) + Send + Sync>);

impl Watched {
    pub fn on_append(deps: &mut Deps, seen: impl Fn(&Append) + Send + Sync + 'static) {
        let watched = Arc::new(Self(Arc::new(seen)));
        deps.journal = Arc::new(Through::new(Arc::clone(&deps.journal), &watched));
    }
}

impl Around for Watched {
    fn append(
        &self,
        journal: &dyn Journal,
        append: Append,
    ) -> BoxFuture<'static, Result<Position, AppendError>> {
        let (written_frame, seen) = (append.clone(), Arc::clone(&self.0));
        let write = journal.append(append);
        Box::pin(async move {
            let written = write.await;
            if written.is_ok() {
                seen(&written_frame);
            }
            written
        })
    }
}
