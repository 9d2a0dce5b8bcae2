//! The agents file: who there is, with which models, tools, budgets and permissions, in TOML. It is
//! read into the runtime's own values, or refused with every mistake in it at once, each with its
//! line and what was expected there. Nothing is guessed and nothing is left out in silence.
//!
//! Reading is pure: files that it names are asked for through [`World`]. The format is described in
//! `docs/agents-file.md`.

mod agents;
mod approvals;
mod budgets;
mod custody;
mod fetch;
mod models;
mod permissions;
mod providers;
mod search;
mod team;
mod tools;

#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, path::Path};

use greenroom_actors::domain::{
    agent::AgentSpec,
    ids::{AgentName, ProviderName, ToolName},
    tool::ToolSpec,
    usage::PriceBook,
};

use crate::{
    document::{Section, Sheet},
    registry::Registry,
    tools::Holding,
};

pub use crate::document::Mistakes;
pub(crate) use approvals::read as approvals;
pub use approvals::{Approvals, Webhook};
pub(crate) use permissions::{bounds, rules};
pub use providers::{KeyAt, ProviderSpec};
pub use search::SearchSpec;

/// What a file comes to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AgentsFile {
    /// Its agents, by name.
    pub agents: Vec<AgentSpec>,
    /// Who is spoken to unless said otherwise: the coordinator, or the only agent.
    pub lead: Option<AgentName>,
    /// Where its models are served: its own providers, and vendors that its models name.
    pub providers: Vec<ProviderSpec>,
    /// What is known about models, its own data over what is built in.
    pub registry: Registry,
    /// Scripts that answer in place of models: as which provider, and the script's text.
    pub scripts: Vec<(ProviderName, String)>,
    /// What models cost.
    pub prices: PriceBook,
    /// Tools that always give the same answer.
    pub stand_ins: Vec<StandIn>,
    /// Whom the search tool asks.
    pub search: Option<SearchSpec>,
    /// Ports that the tool which fetches pages reaches beside the Web's own.
    pub fetch_ports: Vec<u16>,
    /// Values that tools find by name.
    pub services: BTreeMap<String, String>,
    /// How questions reach somebody.
    pub approvals: Approvals,
    /// How tools' processes are held.
    pub custody: Holding,
}

/// A tool that touches nothing and always gives the same answer: for trials, as a script is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StandIn {
    /// What it is.
    pub spec: ToolSpec,
    /// Its answer.
    pub reply: String,
}

/// What reading a file needs of the world.
pub struct World<'w> {
    /// Tools that the program has.
    pub tools: &'w [ToolName],
    /// Those of them that read no settings: one that is given some would do as if there were none.
    pub plain: &'w [ToolName],
    /// Reads a text whose path stands in the file, relative to it; or says why it cannot.
    pub text: &'w dyn Fn(&Path) -> Result<String, String>,
    /// Whether a script can be followed, and why not.
    pub script: &'w dyn Fn(&str) -> Result<(), String>,
}

impl std::fmt::Debug for World<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("World").field("tools", &self.tools).finish_non_exhaustive()
    }
}

const KEYS: [&str; 10] = [
    "agents",
    "models",
    "providers",
    "registry",
    "tools",
    "budgets",
    "permissions",
    "approvals",
    "custody",
    "services",
];

impl AgentsFile {
    /// Reads a file; `name` is what to call it in an error.
    ///
    /// # Errors
    /// Every mistake in it.
    pub fn read(name: &str, text: &str, world: &World<'_>) -> Result<Self, Mistakes> {
        let sheet = Sheet::new(name, text);
        let mut file = Self::default();
        if let Some(table) = sheet.parse() {
            file.fill(&Section::outermost(&sheet, &table), world);
        }
        sheet.finish()?;
        Ok(file)
    }

    fn fill(&mut self, all: &Section<'_, '_>, world: &World<'_>) {
        all.only(&KEYS);
        self.registry = registry(all, world);
        let providers = providers::read(all);
        let models =
            models::read(all, &models::Parts { providers, registry: &self.registry }, world);
        let mut tools = tools::read(all, world);
        let budgets = budgets::named(all);
        self.services = tools::services(all);
        self.approvals = approvals::read(all);
        self.custody = custody::read(all);
        let drafts =
            agents::read(all, &agents::Parts { models: &models, tools: &tools, budgets }, world);
        self.lead = team::check(all, &drafts, &models);
        self.agents = drafts.into_iter().map(|draft| draft.spec).collect();
        self.prices = models.prices();
        self.providers = models.providers();
        self.scripts = models.scripts();
        self.search = tools.search();
        self.fetch_ports = std::mem::take(&mut tools.fetch_ports);
        self.stand_ins = tools.stand_ins;
    }
}

/// What is known about models: the file's own data lies over what is built in.
fn registry(all: &Section<'_, '_>, world: &World<'_>) -> Registry {
    let built_in = Registry::built_in();
    let Some(path) = all.words("registry") else { return built_in };
    let text = (world.text)(Path::new(&path.value));
    let read = text.and_then(|text| {
        let own = built_in.clone().with(&path.value, &text);
        own.map_err(|mistakes| mistakes.to_string())
    });
    read.unwrap_or_else(|why| {
        let what = format!("registry {:?}: {why}", path.value);
        all.sheet.note(path.span, what, "models by vendor, as in docs/agents-file.md".to_owned());
        built_in
    })
}
