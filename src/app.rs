//! The only file that knows both sides: it opens the adapters, starts the runtime on them, and ends
//! both in order. Faces get the handle, and a reader for stores that nobody runs on.

mod channels;
mod closing;
mod company;
mod crew;
mod error;
mod hands;
mod masked;
mod spans;
mod traces;
mod vendors;
mod workspace;

use std::{
    borrow::Cow,
    path::{Path, PathBuf},
    sync::Arc,
};

use greenroom_actors::{
    Runtime,
    domain::{agent::AgentSpec, usage::PriceBook},
    owned::Owned,
    ports::{Clock, ModelProvider, Services, Tool},
    runtime::{Deps, Options, Places, Reading, Scrub, Setup},
    scripted::ScriptedModel,
};

use secrecy::SecretString;
use tokio::sync::watch;

use crate::{
    calendar::SystemCalendar,
    clock::SystemClock,
    config::{self, Environment},
    store::{Checkup, OpenError, Store, StoreOptions},
    telemetry::{
        redact::{SECRETS, Secrets},
        trace::{Folder, Level},
    },
};

pub use crate::channels::Channel;
pub use crate::store::Holder;
pub use crate::tools::{Holding, output::plain};
pub use channels::{Approvals, Hook};
pub use company::{COMPANY_TENANT, COMPANY_TURN_MS, LEAD, SHEET, company, sheet};
pub use crew::{Crew, TENANT, check, crew, tools};
pub use error::AppError;
pub use hands::{Guarded, Held, custody};
pub use spans::Exports;
pub use vendors::{Served, at_hand, key_variables, serve_one, vendor_called};

/// What an app is made of.
pub struct Config {
    /// Its store; made where there is none.
    pub store: PathBuf,
    /// A script that answers in place of a model; its provider is called `scripted`.
    pub script: Option<String>,
    /// Where models are served, beside the script.
    pub providers: Vec<Arc<dyn ModelProvider>>,
    /// Vendors by name, each with its key, or with none for the one of the environment.
    pub vendors: Vec<(String, Option<SecretString>)>,
    /// Agents that can be opened by name.
    pub agents: Vec<AgentSpec>,
    /// Tools they may have.
    pub tools: Vec<Arc<dyn Tool>>,
    /// Where their commands run: with it they may have `exec` and `shell`.
    pub workspace: Option<PathBuf>,
    /// How their processes are held, and what they have neither without.
    pub custody: Holding,
    /// What else is kept from those commands where it lies in their folders.
    pub guarded: Guarded,
    /// What models cost.
    pub prices: PriceBook,
    /// What the host offers to its tools.
    pub services: Services,
    /// How questions reach somebody, beside whoever asks the runtime for them.
    pub approvals: Approvals,
    /// Who is told of the ends of jobs, by name.
    pub hooks: Vec<(String, Hook)>,
    /// What nobody may read: kept out of the sessions' logs and of all that is said about them. The
    /// environment's and the vendors' are added when the app starts.
    pub secrets: Secrets,
    /// The folder of its traces, where it writes some, and how much they say.
    pub traces: Option<(PathBuf, Level)>,
    /// Who takes its spans and metrics, where anybody does.
    pub exports: Exports,
    /// The runtime's settings.
    pub options: Options,
}

impl Config {
    /// A store, and nothing else yet.
    #[must_use]
    pub fn new(store: impl Into<PathBuf>) -> Self {
        let options = Options {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            ..Options::default()
        };
        Self {
            store: store.into(),
            script: None,
            providers: Vec::new(),
            vendors: Vec::new(),
            agents: Vec::new(),
            tools: Vec::new(),
            workspace: None,
            custody: Holding::default(),
            guarded: Guarded::default(),
            prices: PriceBook::default(),
            services: Services::default(),
            approvals: Approvals::default(),
            hooks: Vec::new(),
            secrets: Secrets::default(),
            traces: None,
            exports: Exports::default(),
            options,
        }
    }
}

impl std::fmt::Debug for Config {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Config").field("store", &self.store).finish_non_exhaustive()
    }
}

/// A running runtime on an embedded store.
#[derive(Debug)]
pub struct App {
    runtime: Runtime,
    store: Arc<Store>,
    secrets: Secrets,
    custody: Option<String>,
    /// Who asks questions through channels, where there are any.
    asking: Option<Owned>,
    /// Who writes traces, where that is wanted.
    tracing: Option<traces::Tracing>,
    /// Who sends spans and metrics, where anybody takes them.
    exporting: Option<spans::Exporting>,
}

impl App {
    /// Opens the store, starts the runtime on it, and takes up whatever was in hand.
    ///
    /// # Errors
    /// When the store is refused or something declared cannot be used; then nothing runs.
    pub async fn start(mut config: Config) -> Result<Self, AppError> {
        vendors(&mut config)?;
        all_kept_out(&config.secrets)?;
        let Config {
            store,
            script,
            mut providers,
            agents,
            mut tools,
            workspace,
            custody,
            mut guarded,
            prices,
            services,
            approvals,
            hooks,
            secrets,
            traces,
            exports,
            mut options,
            vendors: _,
        } = config;
        // A dark house asks nobody anything.
        let mut approvals = if options.dark { Approvals::default() } else { approvals };
        apart(&mut approvals, &mut guarded, (&options.places, &agents, workspace.as_deref()));
        // First of all: its host is a copy of this process, which is small now.
        let home = options.places.home.as_deref();
        let holder = workspace.as_ref().map(|_| hands::hold(&custody, home)).transpose()?;
        options.custody = holder.as_ref().map(hands::Holder::level);
        let level = options.custody.clone();
        options.scrub = scrub(&secrets);
        let ways = approvals.open(&secrets)?;
        let traces = traces.map(|(folder, level)| Folder::open(&folder, level)).transpose()?;
        let hooks = if options.dark { Vec::new() } else { hooks };
        let hooks = channels::hooks(hooks, &secrets)?;
        if let Some(workspace) = &workspace {
            let at = |source| AppError::Workspace { path: workspace.clone(), source };
            let folder = workspace.canonicalize().map_err(at)?;
            // Rules are about the folder that commands really run in.
            let named = &mut options.places.workspace;
            *named = named.take().or_else(|| folder.to_str().map(str::to_owned));
        }
        if let Some(script) = script {
            let model = ScriptedModel::parse(&script)?.with_clock(Arc::new(SystemClock));
            providers.push(Arc::new(model));
        }
        let path = store;
        let store = Arc::new(Store::open(&path, StoreOptions::default())?);
        if let (Some(holder), Some(workspace)) = (holder, workspace) {
            let blobs = Arc::clone(&store) as _;
            let settings = options.places.user.as_deref().map(Path::new);
            guarded.read_only.extend(settings.map(|folder| folder.join(config::FILE)));
            let around = hands::Around { store: &path, blobs, secrets: &secrets, guarded };
            tools.extend(hands::hands(holder, &workspace, &around)?);
        }
        let mut setup = Setup::new(deps(&store));
        setup.options = options;
        setup.agents = agents;
        setup.tools = tools.into_iter().map(|tool| masked::tool(tool, &secrets)).collect();
        let masked = |provider| masked::provider(provider, &secrets);
        setup.providers = providers.into_iter().map(masked).collect();
        setup.prices = prices;
        setup.services = services;
        setup.calendar = Some(Arc::new(SystemCalendar));
        setup.hooks = hooks;
        let exports = exports.open(&secrets, &setup).await?;
        let runtime = Runtime::start(setup).await?;
        let asking = ways.staff(&runtime);
        let tracing =
            traces.map(|folder| traces::Tracing::staff(&runtime, folder, secrets.clone()));
        let exporting = exports.staff(&runtime, clock());
        Ok(Self { runtime, store, secrets, custody: level, asking, tracing, exporting })
    }

    /// What is kept out of everything that is written.
    #[must_use]
    pub const fn secrets(&self) -> &Secrets {
        &self.secrets
    }

    /// A tool whose output holds no secret, to be registered later.
    #[must_use]
    pub fn masked_tool(&self, tool: Arc<dyn Tool>) -> Arc<dyn Tool> {
        masked::tool(tool, &self.secrets)
    }

    /// Models whose answers hold no secret, to be registered later.
    #[must_use]
    pub fn masked_provider(&self, provider: Arc<dyn ModelProvider>) -> Arc<dyn ModelProvider> {
        masked::provider(provider, &self.secrets)
    }

    /// What holds its tools' processes, in words; nothing where it starts none.
    #[must_use]
    pub fn custody(&self) -> Option<String> {
        self.custody.clone()
    }

    /// The handle.
    #[must_use]
    pub const fn runtime(&self) -> &Runtime {
        &self.runtime
    }

    /// Why the store can write nothing for now, and when that changes.
    #[must_use]
    pub fn hindrance(&self) -> watch::Receiver<Option<String>> {
        self.store.hindrance()
    }

    /// Ends in order: the runtime with everybody in it, then the store. What has work in hand goes
    /// on when an app starts on the same store. Returns the order; without the store, if that was not
    /// closed in time.
    pub async fn shutdown(self) -> Vec<String> {
        // Nobody is asked any more; what is open stands in the log.
        drop(self.asking);
        let mut order = self.runtime.shutdown().await;
        if let Some(tracing) = self.tracing
            && tracing.ended(&clock()).await
        {
            order.push("traces".to_owned());
        }
        if let Some(exporting) = self.exporting
            && exporting.ended(&clock()).await
        {
            order.push("spans".to_owned());
        }
        let store = self.store;
        if closing::in_time(&clock(), move || store.close()).await {
            order.push("store".to_owned());
        }
        order
    }
}

/// Keeps the folder of questions from where agents write, and from every process of a tool, wherever
/// it lies: who could see it, would answer itself.
fn apart(
    approvals: &mut Approvals,
    guarded: &mut Guarded,
    (places, agents, workspace): (&Places, &[AgentSpec], Option<&Path>),
) {
    approvals.away_from.extend(channels::roots(places, agents, workspace));
    guarded.hidden.extend(approvals.folder.clone());
}

/// Refuses more secrets than can be kept out: those beyond would be written.
fn all_kept_out(secrets: &Secrets) -> Result<(), AppError> {
    match secrets.beyond() {
        0 => Ok(()),
        beyond => Err(AppError::Secrets { max: SECRETS, beyond }),
    }
}

/// What takes secrets out of what comes in at the runtime's doors.
fn scrub(secrets: &Secrets) -> Scrub {
    let secrets = secrets.clone();
    Scrub::new(move |text| match secrets.clean(text) {
        Cow::Borrowed(_) => None,
        Cow::Owned(clean) => Some(clean),
    })
}

/// Learns the environment's secrets, and sets up the vendors that a program named: they serve before its other providers, and their models
/// cost what the registry says where the program says nothing.
fn vendors(config: &mut Config) -> Result<(), AppError> {
    let mut environment = Environment::read();
    config.secrets.learn_all(&environment.secrets);
    environment.secrets = config.secrets.clone();
    let wanted = std::mem::take(&mut config.vendors);
    if wanted.is_empty() {
        return Ok(());
    }
    let mut served = Vec::new();
    for (name, key) in wanted {
        served.push(vendors::named(&name, key, &environment)?);
    }
    let kinds = served.iter().map(|one| (one.spec.name.clone(), one.spec.kind));
    config.exports.vendors.kinds.extend(kinds);
    config.prices = vendors::with_known(std::mem::take(&mut config.prices), &served);
    let vendors = served.into_iter().map(|one| Arc::new(one.vendor) as Arc<dyn ModelProvider>);
    config.providers.splice(0..0, vendors);
    Ok(())
}

/// A store to look at, also while a runtime holds it.
///
/// # Errors
/// When it is not there, is not ours, or has another form.
pub fn look(store: &Path) -> Result<Reading, AppError> {
    let store = Arc::new(Store::look(store)?);
    Ok(Reading::new(&deps(&store)))
}

/// A store to look at where something is in it. A file that is not there, or is still empty because
/// whoever made it died at once, is one to begin with.
///
/// # Errors
/// As `look`, but for these.
pub fn look_if_any(store: &Path) -> Result<Option<Reading>, AppError> {
    match look(store) {
        Ok(reading) => Ok(Some(reading)),
        Err(AppError::Open(OpenError::Missing { .. } | OpenError::Empty { .. })) => Ok(None),
        Err(error) => Err(error),
    }
}

/// A dark runtime on a store that is there: it writes down what it is told and sets nothing in
/// motion, so it needs neither agents nor tools nor models.
///
/// # Errors
/// As `look`, and when a runtime holds the store.
pub async fn dark(store: &Path) -> Result<App, AppError> {
    // Looked at first: a mistyped path must not become a new store.
    drop(Store::look(store)?);
    let mut config = Config::new(store);
    config.options.dark = true;
    App::start(config).await
}

/// The process that works on a store, where one does and says so.
#[must_use]
pub fn holder(store: &Path) -> Option<u32> {
    match Store::holder(store) {
        Holder::Nobody => None,
        Holder::Process(pid) => pid,
    }
}

/// How a store's file is, and who works on it.
///
/// # Errors
/// As `look`.
pub async fn checkup(path: &Path) -> Result<Checkup, AppError> {
    let store = Store::look(path)?;
    Ok(store.checkup(path).await?)
}

/// The machine's clock.
#[must_use]
pub fn clock() -> Arc<dyn Clock> {
    Arc::new(SystemClock)
}

fn deps(store: &Arc<Store>) -> Deps {
    Deps {
        journal: Arc::clone(store) as _,
        catalog: Arc::clone(store) as _,
        blobs: Arc::clone(store) as _,
        clock: Arc::new(SystemClock),
    }
}
