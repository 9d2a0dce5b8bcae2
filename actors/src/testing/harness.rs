//! A runtime on a memory journal and a scripted model, for tests that need no disk. It can be
//! crashed as a whole: everything in memory goes, the journal stays, a new runtime starts on it.

use std::{future::Future, sync::Arc, time::Duration};

use crate::{
    domain::{
        agent::AgentSpec,
        event::{Event, UserInput},
        ids::{AgentName, CallId, InputKey, Position, SessionId, TenantId, Timestamp, ToolCallNo},
        outcome::TurnOutcome,
        span::traceparent,
        tool::Overlay,
    },
    ports::{Cancel, Clock, Progress, Services, Sight, Tool, ToolCtx},
    runtime::{Deps, Runtime, Setup},
    scripted::ScriptedModel,
};

/// What a tool is given that no session has called: nobody's, without an end, reporting to nobody. A test
/// says otherwise what it is about.
#[must_use]
pub fn tool_ctx(cancel: Cancel) -> ToolCtx {
    let call = CallId::tool(SessionId(uuid::Uuid::nil()), ToolCallNo(1));
    ToolCtx {
        call,
        idempotency_key: call.to_string(),
        traceparent: traceparent(call.session, call),
        tenant: "t".into(),
        principal: "p".into(),
        cwd: None,
        deadline: Timestamp(i64::MAX),
        cancel,
        progress: Progress::new(Arc::new(drop)),
        overlay: Overlay::default(),
        services: Services::default(),
        sight: Sight::default(),
    }
}

/// What a runtime is made of; a test changes it before the start or between two.
pub type Harness = Setup;

impl Setup {
    /// On these ports, with this script for a model.
    ///
    /// # Panics
    /// When the script cannot be read: that is the test's mistake.
    #[must_use]
    pub fn scripted(deps: Deps, script: &str) -> Self {
        let model = match ScriptedModel::parse(script) {
            Ok(model) => model.with_clock(Arc::clone(&deps.clock)),
            Err(error) => panic!("the test's script: {error}"),
        };
        let mut setup = Self::new(deps);
        setup.providers.push(Arc::new(model));
        setup
    }

    /// With one more agent.
    #[must_use]
    pub fn agent(mut self, agent: AgentSpec) -> Self {
        self.agents.push(agent);
        self
    }

    /// With one more tool.
    #[must_use]
    pub fn tool(mut self, tool: impl Tool) -> Self {
        self.tools.push(Arc::new(tool));
        self
    }

    /// Starts a runtime.
    ///
    /// # Panics
    /// When it does not start.
    pub async fn start(&self) -> Runtime {
        match Runtime::start(self.clone()).await {
            Ok(runtime) => runtime,
            Err(error) => panic!("start the runtime: {error:?}"),
        }
    }
}

/// Patience of tests: far above what anything takes, so that only a hang reaches it.
pub const PATIENCE_MS: u64 = 30_000;

/// Opens a session and says one thing.
///
/// # Panics
/// When either fails.
pub async fn say(runtime: &Runtime, agent: &str, key: &str, text: &str) -> SessionId {
    let agent = AgentName::from(agent);
    let session = match runtime.open(&agent, TenantId::from("test")).await {
        Ok(session) => session,
        Err(error) => panic!("open {agent}: {error:?}"),
    };
    let (key, input) = (InputKey::from(key), UserInput::text(text));
    if let Err(error) = runtime.submit(session, key, input).await {
        panic!("submit to {session}: {error:?}");
    }
    session
}

/// How the turn that answers an input ended.
///
/// # Panics
/// When it does not end.
pub async fn ended(runtime: &Runtime, session: SessionId, key: &str) -> TurnOutcome {
    match runtime.outcome(session, InputKey::from(key), PATIENCE_MS).await {
        Ok((_, outcome)) => outcome,
        Err(error) => panic!("wait for {key} of {session}: {error:?}"),
    }
}

/// All events of a session, in order.
///
/// # Panics
/// When its log cannot be read.
pub async fn events(runtime: &Runtime, session: SessionId) -> Vec<Event> {
    match runtime.read(session, Position(0)).await {
        Ok(frames) => frames.into_iter().flat_map(|frame| frame.events).collect(),
        Err(error) => panic!("read {session}: {error:?}"),
    }
}

/// Waits until a question has an answer: asked again and again, on a value, never on "something
/// changed".
///
/// # Panics
/// When it has none in time; `what` says what was waited for.
pub async fn eventually<T, F: Future<Output = Option<T>>>(
    clock: &Arc<dyn Clock>,
    what: &str,
    mut question: impl FnMut() -> F,
) -> T {
    let deadline = clock.running().plus_ms(PATIENCE_MS);
    loop {
        if let Some(answer) = question().await {
            return answer;
        }
        assert!(clock.running() < deadline, "waited in vain: {what}");
        clock.after(2).await;
    }
}

/// Bounds a future by real time, for tests of waits that must not hang.
///
/// # Panics
/// When it takes longer.
#[expect(clippy::disallowed_methods, reason = "the bound of a test that would hang otherwise")]
pub async fn bounded<T>(what: &str, wait: impl Future<Output = T>) -> T {
    match tokio::time::timeout(Duration::from_millis(PATIENCE_MS), wait).await {
        Ok(value) => value,
        Err(_elapsed) => panic!("hung: {what}"),
    }
}
