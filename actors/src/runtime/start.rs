//! Starting: the house log is read, the house is built from the ground up, and sessions with work
//! in hand are woken. What cannot be read fails the start; nothing begins empty by mistake.

use std::{collections::BTreeMap, sync::Arc};

use ractor::{Actor, ActorRef};
use tokio::sync::{oneshot, watch};

use crate::{
    bus::Bus,
    domain::{
        agent::AgentSpec,
        house::HouseEvent,
        ids::{CredentialName, PoolKind, PrincipalId, ProviderName, QueueName},
        usage::PriceBook,
    },
    limits, log, permission,
    policy::rules::{Desk, Layers, Places, Policy},
    ports::{Blobs, Calendar, Catalog, Clock, HookTable, Journal, ModelProvider, Services, Tool},
    protocol::{
        address::{ReplyTo, tell},
        permission::PermissionMsg,
        wing::Alarm,
    },
    session::house::{House, Tables},
    supervisor::{Ended, Root, RootMsg, Seat, Seats, Sleepers, builtin_rules},
};

use super::{Inner, Runtime, render::RenderError, scrub::Scrub};

/// The ports a runtime stands on.
#[derive(Clone)]
pub struct Deps {
    /// The logs.
    pub journal: Arc<dyn Journal>,
    /// The read model.
    pub catalog: Arc<dyn Catalog>,
    /// Large values.
    pub blobs: Arc<dyn Blobs>,
    /// Time.
    pub clock: Arc<dyn Clock>,
}

impl std::fmt::Debug for Deps {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Deps")
    }
}

/// What can be set.
#[derive(Clone, Debug)]
pub struct Options {
    /// After how long a session with nothing to do leaves memory.
    pub idle_ms: u64,
    /// Slots of tool pools that differ from `limits::POOL_SLOTS`.
    pub pools: BTreeMap<PoolKind, u32>,
    /// Calls at once per credential that differ from `limits::GATE_CALLS`.
    pub gates: BTreeMap<CredentialName, u32>,
    /// How many jobs of a queue are at work at once, where that differs from `limits::QUEUE_PLACES`.
    pub queues: BTreeMap<QueueName, u32>,
    /// Rules of the user and the project.
    pub layers: Layers,
    /// The folders that path rules are relative to, where they are known.
    pub places: Places,
    /// Whether a person can answer.
    pub desk: Desk,
    /// A dark house writes down what it is told, answers, releases, forks, names, and sets nothing
    /// in motion: no model is called, no tool runs, nobody is woken. For those who have the store
    /// and not what its agents need.
    pub dark: bool,
    /// Who acts when nobody else is named.
    pub principal: PrincipalId,
    /// The program's version, for the house log.
    pub version: String,
    /// The process's id, for the house log.
    pub pid: u32,
    /// What holds the processes of tools, for the house log; nothing where none are started.
    pub custody: Option<String>,
    /// What is taken out of what people and programs say, before it is recorded.
    pub scrub: Scrub,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            idle_ms: limits::IDLE_MS,
            pools: BTreeMap::new(),
            gates: BTreeMap::new(),
            queues: BTreeMap::new(),
            layers: Layers::default(),
            places: Places::default(),
            desk: Desk::Staffed,
            dark: false,
            principal: PrincipalId::from("host"),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: 0,
            custody: None,
            scrub: Scrub::default(),
        }
    }
}

/// Everything a runtime starts with. A copy shares the ports, tools and services.
#[derive(Clone)]
pub struct Setup {
    /// The ports.
    pub deps: Deps,
    /// The settings.
    pub options: Options,
    /// Agents that can be opened by name and spawned.
    pub agents: Vec<AgentSpec>,
    /// Tools they may have.
    pub tools: Vec<Arc<dyn Tool>>,
    /// Where models are served; the first serves agents that name none.
    pub providers: Vec<Arc<dyn ModelProvider>>,
    /// Prices.
    pub prices: PriceBook,
    /// What the host offers to its tools.
    pub services: Services,
    /// Who reads calendars, for jobs that recur.
    pub calendar: Option<Arc<dyn Calendar>>,
    /// Who can be told of the ends of jobs.
    pub hooks: HookTable,
}

impl std::fmt::Debug for Setup {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Setup").field("options", &self.options).finish_non_exhaustive()
    }
}

impl Setup {
    /// Ports, and defaults for everything else.
    #[must_use]
    pub fn new(deps: Deps) -> Self {
        Self {
            deps,
            options: Options::default(),
            agents: Vec::new(),
            tools: Vec::new(),
            providers: Vec::new(),
            prices: PriceBook::default(),
            services: Services::default(),
            calendar: None,
            hooks: HookTable::new(),
        }
    }
}

/// Why a runtime did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The house log cannot be read or written.
    #[error("start the runtime: its house log: {why}")]
    HouseLog {
        /// Why.
        why: String,
    },
    /// A rule cannot be read.
    #[error("start the runtime: {why}")]
    Rules {
        /// Why.
        why: String,
    },
    /// An agent or a tool cannot be used.
    #[error("start the runtime")]
    Render(#[from] RenderError),
    /// An actor did not start.
    #[error("start the runtime: its root: {why}")]
    Root {
        /// Why.
        why: String,
    },
}

impl Runtime {
    /// Builds the house and wakes what had work in hand.
    ///
    /// # Errors
    /// When something durable cannot be read, or something declared cannot be used.
    pub async fn start(setup: Setup) -> Result<Self, StartError> {
        let recurring = (setup.calendar.clone(), setup.hooks.clone());
        let Setup { deps, mut options, agents, tools, providers, prices, services, .. } = setup;
        let (deps, appends) = super::appends::measured(super::patience::patient(deps));
        options.layers.builtin = builtin_rules();
        Policy::compile(&options.layers, options.desk)
            .map_err(|error| StartError::Rules { why: error.to_string() })?;
        let house_log = permission::load(Arc::clone(&deps.journal)).await;
        let house_log = house_log.map_err(|trouble| house_error(&trouble))?.fold;
        let (boot, known_prices) = (house_log.boots + 1, house_log.prices);

        let (root_end, root_address) = watch::channel(None::<ActorRef<RootMsg>>);
        let alarm = ReplyTo::new(move |alarm: Alarm| {
            if let Some(root) = root_address.borrow().clone() {
                // A root that has gone has said why.
                tell(&root, RootMsg::Alarm(alarm));
            }
        });
        let rules = (boot, options.layers.clone(), options.desk, options.places.clone());
        let (journal, clock) = (Arc::clone(&deps.journal), Arc::clone(&deps.clock));
        let seats = Arc::new(Seats::new(journal, clock, rules, alarm.clone()));
        let (journal, catalog) = (Arc::clone(&deps.journal), Arc::clone(&deps.catalog));
        let dark = options.dark;
        let bus = Bus::default();
        let sleepers = Sleepers::new(journal, catalog, (&seats, bus.clone()));
        let (root, ended) = rooted(&seats, &sleepers, (bus.clone(), dark)).await?;
        root_end.send_replace(Some(root.clone()));

        let tables = watch::Sender::new(Arc::new(Tables { prices, ..Tables::default() }));
        let house = Arc::new(House {
            journal: Arc::clone(&deps.journal),
            catalog: Arc::clone(&deps.catalog),
            blobs: Arc::clone(&deps.blobs),
            clock: Arc::clone(&deps.clock),
            bus: bus.clone(),
            board: seats.board().clone(),
            ledger: seats.ledger().clone(),
            permission: seats.permission().clone(),
            policy: seats.policy(),
            tables: tables.subscribe(),
            readmitted: seats.readmitted(),
            halt: seats.halt(),
            services,
            alarm: alarm.clone(),
            idle_ms: options.idle_ms,
            dark: options.dark,
        });
        seats.employ(super::jobs::house(&house, &options, boot, recurring));
        seats.furnish(house);
        let Deps { journal, catalog, blobs, clock } = deps;
        let inner = Inner {
            principal: options.principal.clone(),
            seats,
            root,
            journal,
            catalog,
            blobs,
            clock,
            appends,
            bus,
            tables,
            options,
            ended,
        };
        let runtime = Self { inner: Arc::new(inner) };
        runtime.fill(agents, tools, providers, &sleepers).await?;
        // Cloned first: the borrow is a lock, and setting prices takes it.
        let prices = runtime.inner.tables.borrow().prices.clone();
        // In the dark nobody says what anything costs, so what was said last stands.
        if !dark && prices.0 != known_prices {
            runtime.set_prices(prices);
        }
        Ok(runtime)
    }

    async fn fill(
        &self,
        agents: Vec<AgentSpec>,
        tools: Vec<Arc<dyn Tool>>,
        providers: Vec<Arc<dyn ModelProvider>>,
        sleepers: &Sleepers,
    ) -> Result<(), StartError> {
        self.seat(Seat::Permission).await;
        self.seat(Seat::Ledger).await;
        self.booted().await?;
        for provider in providers {
            self.add_provider(provider).await;
        }
        for tool in tools {
            self.add_tool(tool).await?;
        }
        self.add_agents(agents)?;
        // Before anything is decided by it. What is not done in time is left to the root's looks:
        // a thousand sessions to rebuild, or a store that hangs at each, must not hold up a start.
        tokio::select! {
            biased;
            _rebuilt = sleepers.catch_up(true) => {}
            () = self.inner.clock.after(limits::CALL_MS) => {
                tracing::warn!("the catalog is still behind; the start does not wait for it");
            }
        }
        self.finish_deleting().await;
        for wing in 0..limits::WINGS {
            self.seat(Seat::Wing(wing)).await;
        }
        // Last: what it sets to work needs all of the others.
        self.seat(Seat::Jobs).await;
        Ok(())
    }

    /// The boot is recorded, which also proves that the house log can be written and that the
    /// standing rules, and a halt, are in force before anybody acts.
    async fn booted(&self) -> Result<(), StartError> {
        let event = HouseEvent::Booted {
            version: self.inner.options.version.clone(),
            pid: self.inner.options.pid,
            custody: self.inner.options.custody.clone(),
        };
        let (reply, answer) = oneshot::channel();
        let message = PermissionMsg::Record { event: Box::new(event), reply: Some(reply) };
        if !self.inner.seats.permission().0.cast(message) {
            return Err(StartError::HouseLog { why: "permission did not start".to_owned() });
        }
        let why = tokio::select! {
            biased;
            answer = answer => match answer {
                Ok(Ok(())) => return Ok(()),
                Ok(Err(why)) => why,
                Err(_gone) => "permission died".to_owned(),
            },
            () = self.inner.clock.after(limits::CALL_MS) => "it could not be written in time".to_owned(),
        };
        Err(StartError::HouseLog { why })
    }

    async fn seat(&self, seat: Seat) {
        let (done, started) = oneshot::channel();
        // The root answers as soon as it has tried; a seat that failed is tried again by it.
        if self.inner.root.cast(RootMsg::Start { seat, done: Some(done) }).is_ok() {
            tokio::select! {
                biased;
                _tried = started => {}
                () = self.inner.clock.after(limits::CALL_MS) => {}
            }
        }
    }

    /// Registers a provider; its credential's gate is opened.
    pub async fn add_provider(&self, provider: Arc<dyn ModelProvider>) {
        let credential = provider.credential();
        let calls = self.inner.options.gates.get(&credential).copied();
        let calls = calls.unwrap_or(limits::GATE_CALLS);
        let (gate, new) = self.inner.seats.gate(&credential, calls);
        if new {
            self.seat(Seat::Gate(credential.clone())).await;
        }
        self.change_tables(|tables| {
            let name: ProviderName = provider.name();
            tables.default_provider.get_or_insert_with(|| name.clone());
            tables.gates.insert(credential, gate);
            tables.providers.insert(name, provider);
        });
    }

    /// Registers a tool; its kind's pool is opened.
    ///
    /// # Errors
    /// When the name is one of the runtime's own, or taken.
    pub async fn add_tool(&self, tool: Arc<dyn Tool>) -> Result<(), RenderError> {
        let spec = tool.spec();
        let taken = self.inner.tables.borrow().tools.contains_key(&spec.name);
        if taken || crate::policy::turn::builtin::is_builtin(&spec.name) {
            return Err(RenderError::ToolTaken { tool: spec.name });
        }
        let slots = self.inner.options.pools.get(&spec.pool).copied();
        let (slots, new) = self.inner.seats.pool(&spec.pool, slots.unwrap_or(limits::POOL_SLOTS));
        if new {
            self.seat(Seat::Pool(spec.pool.clone())).await;
        }
        self.change_tables(|tables| {
            tables.pools.insert(spec.pool, slots);
            tables.tools.insert(spec.name, tool);
        });
        Ok(())
    }

    /// Registers agents; they may route to one another. Sessions that are open keep what they
    /// pinned.
    ///
    /// # Errors
    /// When one of them cannot be used; then none is registered.
    pub fn add_agents(&self, agents: Vec<AgentSpec>) -> Result<(), RenderError> {
        let tables = Arc::clone(&self.inner.tables.borrow());
        let policy = Arc::clone(&self.inner.seats.policy().borrow());
        let mut rendered = tables.agents.clone();
        for (at, agent) in agents.iter().enumerate() {
            if agents.iter().take(at).any(|other| other.name == agent.name) {
                return Err(RenderError::Twice { agent: agent.name.clone() });
            }
            let known = |name: &crate::domain::ids::AgentName| {
                tables.agents.contains_key(name) || agents.iter().any(|agent| agent.name == *name)
            };
            let agent = self.inner.options.scrub.agent(agent);
            let done = super::render::render(&agent, &tables, &policy, known)?;
            rendered.insert(agent.name, done);
        }
        self.change_tables(|tables| tables.agents = rendered);
        Ok(())
    }

    /// Sets the prices from now on.
    pub fn set_prices(&self, prices: PriceBook) {
        let event = HouseEvent::PricesSet { prices: prices.0.clone() };
        self.inner.seats.permission().record(event);
        self.change_tables(|tables| tables.prices = prices);
    }

    pub(super) fn change_tables(&self, change: impl FnOnce(&mut Tables)) {
        self.inner.tables.send_modify(|tables| {
            let mut next = Tables::clone(tables);
            change(&mut next);
            *tables = Arc::new(next);
        });
    }
}

/// Starts the root, which closes the bus, with the place where it says why it ended.
async fn rooted(
    seats: &Arc<Seats>,
    sleepers: &Sleepers,
    (bus, dark): (Bus, bool),
) -> Result<(ActorRef<RootMsg>, watch::Receiver<Option<Ended>>), StartError> {
    let (ended_end, ended) = watch::channel(None);
    let root =
        Root { seats: Arc::clone(seats), sleepers: sleepers.clone(), ended: ended_end, bus, dark };
    let (root, _) = Actor::spawn(None, root, ())
        .await
        .map_err(|error| StartError::Root { why: error.to_string() })?;
    Ok((root, ended))
}

fn house_error(trouble: &log::Trouble) -> StartError {
    StartError::HouseLog { why: trouble.to_string() }
}
