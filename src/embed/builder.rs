//! What a runtime is made of, said step by step.

use std::{future::Future, path::PathBuf, sync::Arc};

use greenroom_actors::{
    ModelProvider, ServiceError, Tool,
    domain::{
        agent::AgentSpec,
        catalog::ApprovalRow,
        ids::{CredentialName, PoolKind, PrincipalId, QueueName, TenantId},
        permission::Answer,
        usage::PriceBook,
    },
    runtime::{Desk, Layers},
};

use opentelemetry_sdk::{metrics::exporter::PushMetricExporter, trace::SpanExporter};
use secrecy::SecretString;

use super::Runtime;
use crate::{
    app::{App, AppError, Channel, Config, Hook, TENANT},
    telemetry::{otel::Collector, trace::Level},
};

/// A runtime that has not started.
///
/// ```
/// use greenroom::{AgentSpec, Budget, NanoUsd, Price, PriceBook, Runtime};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("greenroom.db");
/// // Three dollars in, fifteen out, per million tokens.
/// let price = Price { input: 3_000_000, output: 15_000_000, ..Price::default() };
/// let runtime = Runtime::builder()
///     .store(path)
///     .script("agent *\n  say Done.")
///     .prices(PriceBook::default().with("scripted", price))
///     .agent(AgentSpec::new("clerk", "scripted").budget(Budget::default().money(NanoUsd::cents(50))))
///     .start()
///     .await?;
/// let session = runtime.open("clerk").await?;
/// assert_eq!(session.send("Go.").await?.outcome().await?.word(), "completed");
/// assert!(session.totals().await?.cost > NanoUsd(0));
/// runtime.shutdown().await;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Builder {
    config: Config,
    tenant: TenantId,
}

impl Builder {
    pub(super) fn new() -> Self {
        Self { config: Config::new("greenroom.db"), tenant: TenantId::from(TENANT) }
    }

    /// Where its store is; `greenroom.db` in the current folder unless said.
    #[must_use]
    pub fn store(mut self, path: impl Into<PathBuf>) -> Self {
        self.config.store = path.into();
        self
    }

    /// A script that answers in place of a model; for tests and for trying things out. Its
    /// provider is called `scripted`. The format: [`crate::ScriptedModel`].
    #[must_use]
    pub fn script(mut self, script: impl Into<String>) -> Self {
        self.config.script = Some(script.into());
        self
    }

    /// Somewhere models are served; the first serves agents that name none.
    #[must_use]
    pub fn provider(mut self, provider: impl ModelProvider) -> Self {
        self.config.providers.push(Arc::new(provider));
        self
    }

    /// A vendor by its name, such as `anthropic`, with the credential that the environment holds
    /// for it. Agents name its models as the vendor does. A vendor that nobody knows is said when
    /// the runtime starts; a credential that is missing, when it is needed.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let folder = tempfile::tempdir()?;
    /// # let path = folder.path().join("greenroom.db");
    /// use greenroom::{AgentSpec, Runtime};
    ///
    /// let runtime = Runtime::builder().store(path).vendor("groq").start().await?;
    /// let session = runtime.spawn(&AgentSpec::new("clerk", "openai/gpt-oss-20b")).await?;
    /// # drop(session);
    /// runtime.shutdown().await;
    ///
    /// let wrong = Runtime::builder().vendor("gorq").start().await.unwrap_err();
    /// assert!(wrong.to_string().contains("did you mean \"groq\"?"));
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn vendor(mut self, name: impl Into<String>) -> Self {
        self.config.vendors.push((name.into(), None));
        self
    }

    /// The same with a credential of the program's own. It is never written or shown.
    #[must_use]
    pub fn vendor_with_key(mut self, name: impl Into<String>, key: impl Into<String>) -> Self {
        self.config.vendors.push((name.into(), Some(SecretString::from(key.into()))));
        self
    }

    /// A value that nobody may read: it is masked in whatever tools and models say, before that is
    /// written or given out. Credentials of vendors, and variables of the environment that are called
    /// like a secret, are known without this.
    #[must_use]
    pub fn secret(self, value: impl AsRef<str>) -> Self {
        self.config.secrets.learn(value.as_ref());
        self
    }

    /// A tool agents may have.
    #[must_use]
    pub fn tool(mut self, tool: impl Tool) -> Self {
        self.config.tools.push(Arc::new(tool));
        self
    }

    /// Where agents' commands run: those that are allowed to have `exec` and `shell`, and may do there
    /// what their permissions say. Every process is held and ends with its call, or with this program.
    #[must_use]
    pub fn workspace(mut self, folder: impl Into<PathBuf>) -> Self {
        self.config.workspace = Some(folder.into());
        self
    }

    /// Layers of custody without which nothing is started: `users`, `processes`, `mounts`, `frozen`, `proc`,
    /// `network`, `ipc`, `privileges`, `limits`, `count`, `files`, `calls`. Whoever starts the runtime
    /// where one of them cannot be had is refused, with the reason.
    #[must_use]
    pub fn require_custody<'a>(mut self, layers: impl IntoIterator<Item = &'a str>) -> Self {
        self.config.custody.require.extend(layers.into_iter().map(str::to_owned));
        self
    }

    /// How many processors agents' commands leave to everybody else once they have run for a moment: one,
    /// unless said. With none, builds are done sooner, and whoever wakes beside them later.
    #[must_use]
    pub const fn spared_processors(mut self, count: u64) -> Self {
        self.config.custody.spared_processors = count;
        self
    }

    /// An agent that can be opened by name and spawned by others.
    #[must_use]
    pub fn agent(mut self, agent: AgentSpec) -> Self {
        self.config.agents.push(agent);
        self
    }

    /// What models cost.
    #[must_use]
    pub fn prices(mut self, prices: PriceBook) -> Self {
        self.config.prices = prices;
        self
    }

    /// Rules of the user and of the project.
    #[must_use]
    pub fn rules(mut self, layers: Layers) -> Self {
        self.config.options.layers = layers;
        self
    }

    /// Nobody can be asked: what would be asked is denied.
    #[must_use]
    pub fn headless(mut self) -> Self {
        self.config.options.desk = Desk::Headless;
        self
    }

    /// A way of the program's own by which questions reach somebody. Several may be named: each is
    /// asked, and the first answer counts.
    #[must_use]
    pub fn channel(mut self, channel: impl Channel) -> Self {
        self.config.approvals.own.push(Arc::new(channel));
        self
    }

    /// A function that is handed each question and may answer it. Nothing is no answer, and neither
    /// is a panic; the question stays open then for others, until it expires.
    ///
    /// ```
    /// use greenroom::{AgentSpec, Answer, Runtime, TypedTool};
    ///
    /// #[derive(schemars::JsonSchema, serde::Deserialize)]
    /// struct Pay {
    ///     cents: u64,
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let folder = tempfile::tempdir()?;
    /// # let path = folder.path().join("greenroom.db");
    /// let script = "agent *\n  call pay {\"cents\": 900}\n then\n  say {last}";
    /// let pay = TypedTool::new("pay", "Pays.", |_ctx, args: Pay| async move {
    ///     Ok(format!("paid {}", args.cents))
    /// });
    /// let runtime = Runtime::builder()
    ///     .store(path)
    ///     .script(script)
    ///     .tool(pay)
    ///     .on_question(|question| async move {
    ///         (question.agent.as_str() == "clerk").then_some(Answer::Once)
    ///     })
    ///     .start()
    ///     .await?;
    /// let session = runtime.spawn(&AgentSpec::new("clerk", "scripted").tool("pay")).await?;
    /// assert_eq!(session.send("pay").await?.outcome().await?.text(), "paid 900");
    /// # runtime.shutdown().await;
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn on_question<F, Fut>(mut self, ask: F) -> Self
    where
        F: Fn(Arc<ApprovalRow>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Option<Answer>> + Send + 'static,
    {
        self.config.approvals.ask(ask);
        self
    }

    /// An address to which each question is sent, signed with this key; its answer may be the
    /// response. Only https, or an address of this machine.
    #[must_use]
    pub fn webhook(mut self, url: impl Into<String>, key: impl Into<String>) -> Self {
        let key = SecretString::from(key.into());
        self.config.approvals.webhook = Some(Hook::with_key(url.into(), key));
        self
    }

    /// An address to which the ends of jobs are told that name it, signed with this key. Only https, or
    /// an address of this machine.
    #[must_use]
    pub fn job_webhook(
        mut self,
        name: impl Into<String>,
        url: impl Into<String>,
        key: impl Into<String>,
    ) -> Self {
        let hook = Hook::with_key(url.into(), SecretString::from(key.into()));
        self.config.hooks.push((name.into(), hook));
        self
    }

    /// How many jobs of a queue are at work at once, for each tenant.
    #[must_use]
    pub fn queue(mut self, queue: impl Into<QueueName>, places: u32) -> Self {
        self.config.options.queues.insert(queue.into(), places);
        self
    }

    /// A folder in which each question is a file, and each answer one that is put beside it.
    #[must_use]
    pub fn question_folder(mut self, folder: impl Into<PathBuf>) -> Self {
        self.config.approvals.folder = Some(folder.into());
        self
    }

    /// The model of the agent above is asked as well, and may allow what that agent's own permissions
    /// allow without a question.
    #[must_use]
    pub fn ask_parents(mut self) -> Self {
        self.config.approvals.parent = true;
        self
    }

    /// A folder in which each session has a trace: a file of JSON lines that holds its frames, with
    /// every content taken out or as it is.
    #[must_use]
    pub fn trace_dir(mut self, folder: impl Into<PathBuf>, level: Level) -> Self {
        self.config.traces = Some((folder.into(), level));
        self
    }

    /// A collector of OpenTelemetry spans and metrics, by its address or with all that is to be said of it.
    /// They have names, numbers and times in them, and nothing that was said.
    ///
    /// ```
    /// use greenroom::{Runtime, telemetry::otel::{Collector, Protocol}};
    ///
    /// let near = Collector::at("http://127.0.0.1:4317").protocol(Protocol::Grpc).service("stage");
    /// let builder = Runtime::builder().collector(near);
    /// ```
    #[must_use]
    pub fn collector(mut self, collector: Collector) -> Self {
        self.config.exports.collector = Some(collector);
        self
    }

    /// Somebody of the program's own who takes the same spans: any exporter of the OpenTelemetry SDK. What
    /// it refuses with an error is offered again with the next lot; it may think about one for ten seconds.
    /// It may block its thread, and a panic costs the lot that it was offered.
    ///
    /// ```
    /// use std::sync::{Arc, Mutex};
    ///
    /// use greenroom::{
    ///     AgentSpec, Runtime,
    ///     telemetry::otel::sdk::{error::OTelSdkResult, trace::{SpanData, SpanExporter}},
    /// };
    ///
    /// #[derive(Clone, Debug, Default)]
    /// struct Names(Arc<Mutex<Vec<String>>>);
    ///
    /// impl SpanExporter for Names {
    ///     async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
    ///         let names = batch.into_iter().map(|span| span.name.into_owned());
    ///         self.0.lock().expect("nobody panics here").extend(names);
    ///         Ok(())
    ///     }
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let folder = tempfile::tempdir()?;
    /// # let path = folder.path().join("greenroom.db");
    /// let names = Names::default();
    /// let builder = Runtime::builder().store(path).script("agent *\n  say Hello.");
    /// let runtime = builder.span_exporter(names.clone()).start().await?;
    /// let session = runtime.spawn(&AgentSpec::new("greeter", "scripted")).await?;
    /// session.send("Hello?").await?.outcome().await?;
    /// runtime.shutdown().await;
    /// assert_eq!(*names.0.lock().expect("nobody panics here"), ["chat scripted", "invoke_agent greeter"]);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn span_exporter(mut self, exporter: impl SpanExporter + 'static) -> Self {
        self.config.exports.spans.push(Box::new(exporter));
        self
    }

    /// The same for metrics.
    #[must_use]
    pub fn metric_exporter(mut self, exporter: impl PushMetricExporter) -> Self {
        self.config.exports.metrics.push(Box::new(exporter));
        self
    }

    /// After how long a session with nothing to do leaves memory.
    #[must_use]
    pub fn idle_ms(mut self, idle_ms: u64) -> Self {
        self.config.options.idle_ms = idle_ms;
        self
    }

    /// Who acts when nobody else is named; `host` unless said.
    #[must_use]
    pub fn principal(mut self, principal: impl Into<PrincipalId>) -> Self {
        self.config.options.principal = principal.into();
        self
    }

    /// How many calls to models run at once under a credential.
    #[must_use]
    pub fn calls_at_once(mut self, credential: impl Into<CredentialName>, calls: u32) -> Self {
        self.config.options.gates.insert(credential.into(), calls);
        self
    }

    /// How many calls of a kind of tool run at once.
    #[must_use]
    pub fn slots(mut self, pool: impl Into<PoolKind>, slots: u32) -> Self {
        self.config.options.pools.insert(pool.into(), slots);
        self
    }

    /// Whose data sessions are, unless said otherwise.
    #[must_use]
    pub fn tenant(mut self, tenant: impl Into<TenantId>) -> Self {
        self.tenant = tenant.into();
        self
    }

    /// A value the program offers to its tools, by name and type.
    ///
    /// # Errors
    /// When the name is reserved or taken.
    pub fn service<T: Send + Sync + 'static>(
        mut self,
        name: &str,
        service: T,
    ) -> Result<Self, ServiceError> {
        self.config.services = self.config.services.with(name, service)?;
        Ok(self)
    }

    /// Opens the store, starts the runtime and takes up whatever was in hand.
    ///
    /// # Errors
    /// When the store is refused or something declared cannot be used; then nothing runs.
    pub async fn start(self) -> Result<Runtime, AppError> {
        Ok(Runtime::new(App::start(self.config).await?, self.tenant))
    }
}
