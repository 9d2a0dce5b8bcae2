//! What a tool that goes through a tree must pass by. Permission judged the folder it starts from;
//! a rule that tightens may mean something below it, which no question was asked about. Deny and ask
//! are one here: a walk cannot wait for a person at each file.

use std::sync::Arc;

use serde_json::json;

use crate::domain::{
    ids::ToolName,
    permission::{Authority, Request, RuleSet},
    tool::Args,
};

use super::{
    Policy, Side,
    facts::{self, Facts},
    fence::Ground,
    layer::{Layer, LayerName, Say},
    pattern::Pattern,
    subject::Subject,
    tools::{self, Kind},
};

/// The rules with a path that narrow one tool of one session.
#[derive(Clone, Debug)]
pub struct Sight {
    tool: ToolName,
    cwd: Option<String>,
    layers: Vec<Layer>,
    ground: Arc<Ground>,
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
        let own = own.map(|(name, rules)| Layer::lenient(name, rules));
        let row = tools::row(tool.as_str()).filter(|row| row.kind == Kind::Path);
        let means = |pattern: &Pattern| {
            pattern.spec.is_some() && facts::names(&pattern.name, tool.as_str(), row, Side::Tighten)
        };
        let layers = policy.layers.iter().cloned().chain(own);
        let layers = layers.filter_map(|layer| layer.narrowing(means));
        let layers = if row.is_some() { layers.collect() } else { Vec::new() };
        let cwd = cwd.map(str::to_owned);
        Self { tool: tool.clone(), cwd, layers, ground: Arc::clone(&policy.ground) }
    }

    /// Whether a path is to be passed by.
    #[must_use]
    pub fn hides(&self, path: &str) -> bool {
        if self.layers.is_empty() {
            return false;
        }
        let args = Args(json!({ "path": path }).to_string());
        let request = Request { tool: self.tool.clone(), args, cwd: self.cwd.clone() };
        let facts = Facts::of(&request, &self.ground);
        let strict = |layer: &Layer, subject: &Subject| {
            let found = layer.ask_all((&facts, subject), &self.ground, &mut Vec::new());
            matches!(found.say, Say::Ask | Say::FirmAsk | Say::Deny)
        };
        let about = |layer: &Layer| facts.subjects().iter().any(|one| strict(layer, one));
        self.layers.iter().any(about)
    }
}
