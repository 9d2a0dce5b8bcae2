//! The crew of an agents file: what the file says, joined with the models, tools and services of
//! this program. Files that it names are read here, relative to it.

use std::{
    fs::File,
    io::Read as _,
    path::{Path, PathBuf},
    sync::Arc,
};

use futures_util::future::BoxFuture;
use greenroom_actors::{
    domain::{
        ids::{AgentName, ToolName},
        tool::{Args, Output, ToolOutcome, ToolSpec},
    },
    limits,
    ports::{Tool, ToolCtx},
    scripted::ScriptedModel,
};

use crate::{
    agents_file::{AgentsFile, Mistakes, SearchSpec, StandIn, World},
    clock::SystemClock,
    config::Environment,
    providers::Key,
    registry::Registry,
    telemetry::chain,
    tools::{Fetch, WebSearch, files, web},
};

use super::{
    AppError, Approvals, Config, clock, hands,
    vendors::{self, Served},
    workspace,
};

/// Whose data sessions are where nobody says otherwise.
pub const TENANT: &str = "default";

/// What the tool is called that reads pages.
const FETCH: &str = "fetch";
/// And the one that finds them.
const SEARCH: &str = "web_search";

/// Tools that every crew may have, by name.
#[must_use]
pub fn tools() -> Vec<ToolName> {
    let own = files::NAMES.into_iter().chain([FETCH, SEARCH]).map(ToolName::from);
    own.chain(hands::names()).collect()
}

/// Everything that the agents of a file run on.
#[derive(Debug)]
pub struct Crew {
    /// What an app is made of.
    pub config: Config,
    /// Who of them leads.
    pub lead: Option<AgentName>,
    /// The file's providers, and vendors that its models name.
    pub served: Vec<Served>,
    /// What is known about models.
    pub registry: Registry,
    /// The search service's credential, where one of the agents may search.
    search: Option<Key>,
}

impl Crew {
    /// Every credential that an agent needs is there; whether a vendor takes it is not asked.
    ///
    /// # Errors
    /// The first that is not, with what to do.
    pub fn ready(&self) -> Result<(), AppError> {
        let used = self.served.iter().filter(|one| self.uses(one));
        for one in used {
            let provider = one.spec.name.clone();
            one.ready().map_err(|source| AppError::Key { provider, source })?;
        }
        match self.search.as_ref().map(Key::find) {
            Some(Err(source)) => Err(AppError::SearchKey(source)),
            Some(Ok(_)) | None => Ok(()),
        }
    }

    /// Whether an agent's model is served there, or one that it falls back to.
    #[must_use]
    pub fn uses(&self, served: &Served) -> bool {
        let name = Some(&served.spec.name);
        self.config.agents.iter().any(|agent| {
            let mut spare = agent.fallback.iter();
            agent.provider.as_ref() == name || spare.any(|model| model.provider.as_ref() == name)
        })
    }
}

/// Reads an agents file and sets up what it names.
///
/// # Errors
/// When the file cannot be read, with every mistake in it, or a vendor cannot be set up.
pub fn crew(agents: &Path, store: &Path, environment: &Environment) -> Result<Crew, AppError> {
    let file = check(agents)?;
    let mut config = Config::new(store);
    config.secrets = environment.secrets.clone();
    for (provider, script) in file.scripts {
        let model = ScriptedModel::parse(&script)?.with_name(provider);
        config.providers.push(Arc::new(model.with_clock(Arc::new(SystemClock))));
    }
    config.guarded.read_only.push(agents.to_owned());
    let keys = file.providers.iter().filter_map(|one| one.key.as_ref());
    let keys = keys.chain(file.search.as_ref().and_then(|spec| spec.key.as_ref()));
    let keys = keys.chain(file.approvals.webhook.as_ref().map(|way| &way.key));
    config.guarded.hidden.extend(keys.filter_map(|key| vendors::key_file(key, folder(agents))));
    let served = vendors::serve(file.providers, environment, folder(agents))?;
    config.options.gates = vendors::gates(&served);
    let kinds = served.iter().map(|one| (one.spec.name.clone(), one.spec.kind));
    config.exports.vendors.kinds = kinds.collect();
    let providers = served.iter().map(|one| Arc::new(one.vendor.clone()) as _);
    config.providers.extend(providers);
    let here = workspace::folder(&file.agents)?;
    config.tools = workspace::tools((&file.agents, here.as_deref()), agents, store)?;
    let works_here = !config.tools.is_empty() || hands::are_wanted(&file.agents);
    config.tools.push(Arc::new(Fetch::new(clock(), &file.fetch_ports)));
    let mut search = None;
    if let Some(spec) = file.search {
        environment.secrets.learn_address(&spec.url);
        let key = spec.key.as_ref().map(|at| vendors::key_at(at, environment, folder(agents)));
        let key = key.unwrap_or(Key::None).watched(&environment.secrets);
        config.tools.push(Arc::new(WebSearch::new(clock(), service(spec, key.clone())?)));
        let searches =
            file.agents.iter().any(|agent| agent.tools.contains_key(&ToolName::from(SEARCH)));
        search = searches.then_some(key);
    }
    config.tools.extend(file.stand_ins.into_iter().map(|tool| Arc::new(Canned(tool)) as _));
    for (name, value) in file.services {
        config.services = config.services.with(&name, value)?;
    }
    config.custody = file.custody;
    config.approvals = Approvals::of(file.approvals, environment, folder(agents));
    config.approvals.away_from.extend(works_here.then(|| PathBuf::from(".")));
    // Where it is started from, as for any program that works on files.
    config.options.places.workspace = here.as_deref().and_then(Path::to_str).map(str::to_owned);
    config.workspace = here.filter(|_| hands::are_wanted(&file.agents));
    config.agents = file.agents;
    config.prices = file.prices;
    Ok(Crew { config, lead: file.lead, served, registry: file.registry, search })
}

/// The search service as the tool asks it.
fn service(spec: SearchSpec, key: Key) -> Result<web::Service, AppError> {
    let SearchSpec { shape, url, is_private, key: _ } = spec;
    let url = url.parse().map_err(|_no_url| AppError::SearchUrl)?;
    let key = Arc::new(move || key.find().map_err(|error| chain(&error)));
    Ok(web::Service { shape, url, is_private, key })
}

/// Reads an agents file and what it names, and sets nothing up.
///
/// # Errors
/// When the file cannot be read, with every mistake in it.
pub fn check(agents: &Path) -> Result<AgentsFile, Mistakes> {
    let name = agents.display().to_string();
    let text = read(agents).map_err(|why| Mistakes::unreadable(&name, &why))?;
    let known = tools();
    let world = World {
        tools: &known,
        // What is told to some of ours is read from the file's own tables.
        plain: &known,
        text: &|path| read(&folder(agents).join(path)),
        script: &|text| ScriptedModel::parse(text).map(drop).map_err(|error| error.to_string()),
    };
    AgentsFile::read(&name, &text, &world)
}

/// What paths in an agents file are relative to.
fn folder(agents: &Path) -> &Path {
    agents.parent().unwrap_or(Path::new(""))
}

/// A text of a bounded size, or why there is none, without the path: who asks has it.
fn read(path: &Path) -> Result<String, String> {
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(|error| error.to_string())?;
    let read = file.take(limits::AGENTS_FILE_BYTES + 1).read_to_end(&mut bytes);
    read.map_err(|error| error.to_string())?;
    if bytes.len() as u64 > limits::AGENTS_FILE_BYTES {
        return Err(format!("it is larger than {} bytes", limits::AGENTS_FILE_BYTES));
    }
    String::from_utf8(bytes).map_err(|_not_text| "it is not UTF-8 text".to_owned())
}

/// A stand-in at work.
struct Canned(StandIn);

impl Tool for Canned {
    fn spec(&self) -> ToolSpec {
        self.0.spec.clone()
    }

    fn run(&self, _ctx: ToolCtx, _args: Args) -> BoxFuture<'static, ToolOutcome> {
        let output = Output::text(self.0.reply.clone());
        Box::pin(std::future::ready(ToolOutcome::Done { output }))
    }
}
