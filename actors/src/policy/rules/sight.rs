//! What a tool that goes through a tree must pass by. Permission judged the folder it starts from;
//! a rule that tightens may mean something below it, which no question was asked about. Deny and ask
//! are one here: a walk cannot wait for a person at each file.
//!
//! For commands it is what their processes must not see or change, whatever they were asked for: what
//! a rule denies, and what it may deny. What a rule asks about they see, for a person who is asked
//! about a command that names such a file says yes to that command.

use std::sync::Arc;

use serde_json::json;

use crate::domain::{
    ids::ToolName,
    permission::{Authority, Request, RuleSet, Trees},
    tool::Args,
};

use super::{
    Policy, Side,
    facts::{self, Facts},
    fence::Ground,
    layer::{Layer, LayerName, Say},
    pattern::Pattern,
    place::Names,
    subject::Subject,
    tools::{self, Kind, Row},
};

/// The rules with a path that narrow one tool of one session.
#[derive(Clone, Debug)]
pub struct Sight {
    hidden: Lens,
    kept: Lens,
    cwd: Option<String>,
    folder: Option<Names>,
    ground: Arc<Ground>,
    trees: Option<Trees>,
}

/// Rules about one use of files.
#[derive(Clone, Debug)]
struct Lens {
    tool: ToolName,
    layers: Vec<Layer>,
    /// The least that one must say.
    least: Say,
}

impl Sight {
    /// Those in force for a call: the policy's, the session's answers and every link's.
    #[must_use]
    pub fn of(
        policy: &Policy,
        (authority, answers): (&[Authority], &RuleSet),
        (tool, cwd): (&ToolName, Option<&str>),
    ) -> Self {
        let links = authority.iter().zip((0..authority.len()).rev());
        let links = links.map(|(link, above)| (LayerName::Link(above), &link.rules));
        let own = links.chain([(LayerName::Answers, answers)]);
        let own: Vec<Layer> = own.map(|(name, rules)| Layer::lenient(name, rules)).collect();
        let all = || policy.layers.iter().chain(&own);
        let by = |row: &'static Row, least| {
            let name = row.names.first().copied().unwrap_or_default();
            Lens::of(all(), (&ToolName::from(name), row), least)
        };
        let row = tools::row(tool.as_str());
        let (hidden, kept, trees) = match row.map(|row| (row, row.kind)) {
            Some((row, Kind::Path)) => {
                (Lens::of(all(), (tool, row), Say::Ask), Lens::none(tool), None)
            }
            Some((_, Kind::Shell | Kind::Argv)) => {
                let trees = policy.ground.trees(&policy.ground.fences(authority));
                (by(&tools::READ, Say::FirmAsk), by(&tools::WRITE, Say::FirmAsk), trees)
            }
            Some((_, Kind::Url)) | None => (Lens::none(tool), Lens::none(tool), None),
        };
        let (cwd, folder) = (cwd.map(str::to_owned), cwd.map(Names::of));
        Self { hidden, kept, cwd, folder, ground: Arc::clone(&policy.ground), trees }
    }

    /// Whether a path is to be passed by.
    #[must_use]
    pub fn hides(&self, path: &str) -> bool {
        self.means(&self.hidden, path)
    }

    /// Whether a process may not change what lies there.
    #[must_use]
    pub fn keeps(&self, path: &str) -> bool {
        self.means(&self.kept, path)
    }

    /// The folders of processes, where fences say which.
    #[must_use]
    pub const fn trees(&self) -> Option<&Trees> {
        self.trees.as_ref()
    }

    fn means(&self, lens: &Lens, path: &str) -> bool {
        if lens.layers.is_empty() {
            return false;
        }
        let target = self.ground.target(path, self.cwd.as_deref());
        let at = (&target, self.folder.as_ref());
        let quick = lens.layers.iter().map(|layer| layer.narrows(at, &self.ground, lens.least));
        let quick = quick.reduce(|one, other| Some(one? | other?)).flatten();
        if let Some(found) = quick {
            return found;
        }
        let args = Args(json!({ "path": path }).to_string());
        let request = Request { tool: lens.tool.clone(), args, cwd: self.cwd.clone() };
        let facts = Facts::of(&request, &self.ground);
        let strict = |layer: &Layer, subject: &Subject| {
            let found = layer.ask_all((&facts, subject), &self.ground, &mut Vec::new());
            found.say >= lens.least
        };
        let about = |layer: &Layer| facts.subjects().iter().any(|one| strict(layer, one));
        lens.layers.iter().any(about)
    }
}

impl Lens {
    fn of<'a>(
        layers: impl Iterator<Item = &'a Layer>,
        (tool, row): (&ToolName, &'static Row),
        least: Say,
    ) -> Self {
        let means = |pattern: &Pattern| {
            let meant = || facts::names(&pattern.name, tool.as_str(), Some(row), Side::Tighten);
            pattern.spec.is_some() && meant()
        };
        let layers = layers.filter_map(|layer| layer.narrowing(means)).collect();
        Self { tool: tool.clone(), layers, least }
    }

    fn none(tool: &ToolName) -> Self {
        Self { tool: tool.clone(), layers: Vec::new(), least: Say::Deny }
    }
}
