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
    agents_file::{AgentsFile, Mistakes, StandIn, World},
    clock::SystemClock,
};

use super::{AppError, Config, hands};

/// Whose data sessions are where nobody says otherwise.
pub const TENANT: &str = "default";

/// Tools that every crew may have.
#[must_use]
pub fn tools() -> Vec<Arc<dyn Tool>> {
    Vec::new()
}

/// Everything that the agents of a file run on, and who of them leads.
///
/// # Errors
/// When the file cannot be read, with every mistake in it.
pub fn crew(agents: &Path, store: &Path) -> Result<(Config, Option<AgentName>), AppError> {
    let name = agents.display().to_string();
    let text = read(agents).map_err(|why| Mistakes::unreadable(&name, &why))?;
    let folder = agents.parent().unwrap_or(Path::new(""));
    let tools = tools();
    let known = tools.iter().map(|tool| tool.spec().name).chain(hands::names());
    let known: Vec<ToolName> = known.collect();
    let world = World {
        tools: &known,
        text: &|path| read(&folder.join(path)),
        script: &|text| ScriptedModel::parse(text).map(drop).map_err(|error| error.to_string()),
    };
    let file = AgentsFile::read(&name, &text, &world)?;
    let mut config = Config::new(store);
    for (provider, script) in file.scripts {
        let model = ScriptedModel::parse(&script)?.with_name(provider);
        config.providers.push(Arc::new(model.with_clock(Arc::new(SystemClock))));
    }
    config.tools = tools;
    config.tools.extend(file.stand_ins.into_iter().map(|tool| Arc::new(Canned(tool)) as _));
    for (name, value) in file.services {
        config.services = config.services.with(&name, value)?;
    }
    // Where it is started from, as for any program that works on files.
    config.workspace = hands::are_wanted(&file.agents).then(|| PathBuf::from("."));
    config.agents = file.agents;
    config.prices = file.prices;
    Ok((config, file.lead))
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
