//! Declaring an agent in a program: a word for each thing that is usually said. What is not here is
//! set in the fields, which stay the one truth; nothing is checked before the agent is registered
//! or opened.

use super::{AgentSpec, Limits, ModelChoice, Reliability, Role, Sampling};
use crate::domain::{
    budget::Budget,
    ids::{AgentName, ModelName, ProviderName, ToolName},
    permission::{Mode, RulePattern},
};

/// ```
/// use greenroom_actors::domain::{agent::{AgentSpec, Role}, budget::Budget, usage::NanoUsd};
///
/// let lead = AgentSpec::new("lead", "scripted")
///     .role(Role::Coordinator)
///     .instructions("Send everybody to work, then wait.")
///     .route("clerk")
///     .budget(Budget::default().tokens(50_000).money(NanoUsd::cents(20)));
/// let clerk = AgentSpec::new("clerk", "scripted").allowed_tool("look_up").tool("pay").ask("pay");
///
/// assert!(lead.routes.contains(&"clerk".into()));
/// assert_eq!(clerk.tools.len(), 2);
/// assert_eq!(clerk.authority.rules.allow[0].0, "look_up");
/// ```
impl AgentSpec {
    /// What it is told first.
    #[must_use]
    pub fn instructions(mut self, text: impl Into<String>) -> Self {
        self.instructions = text.into();
        self
    }

    /// Another model, at another provider or the same, that answers where those before it cannot.
    #[must_use]
    pub fn fall_back_to(
        mut self,
        model: impl Into<ModelName>,
        provider: Option<ProviderName>,
    ) -> Self {
        self.fallback.push(ModelChoice { model: model.into(), provider });
        self
    }

    /// Its part in a team.
    #[must_use]
    pub const fn role(mut self, role: Role) -> Self {
        self.role = role;
        self
    }

    /// When its tools are asked about because they fail.
    #[must_use]
    pub const fn reliability(mut self, reliability: Reliability) -> Self {
        self.reliability = reliability;
        self
    }

    /// A tool it has. Whether a call needs a person's answer is for the rules; where they say
    /// nothing, it does.
    #[must_use]
    pub fn tool(mut self, name: impl Into<ToolName>) -> Self {
        self.tools.entry(name.into()).or_default();
        self
    }

    /// A tool it has and may use without a question.
    #[must_use]
    pub fn allowed_tool(self, name: &str) -> Self {
        self.tool(name).allow(name)
    }

    /// An agent it may spawn.
    #[must_use]
    pub fn route(mut self, agent: impl Into<AgentName>) -> Self {
        self.routes.insert(agent.into());
        self
    }

    /// What it and everything below it may spend.
    #[must_use]
    pub const fn budget(mut self, budget: Budget) -> Self {
        self.budget = budget;
        self
    }

    /// What it may start.
    #[must_use]
    pub const fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// How its model samples.
    #[must_use]
    pub fn sampling(mut self, sampling: Sampling) -> Self {
        self.sampling = sampling;
        self
    }

    /// A JSON Schema that its answers must fit; vendors that can are told to keep to it.
    #[must_use]
    pub fn answers_in(mut self, schema: impl Into<String>) -> Self {
        self.sampling.output_schema = Some(schema.into());
        self
    }

    /// How what no rule decides is treated.
    #[must_use]
    pub const fn mode(mut self, mode: Mode) -> Self {
        self.authority.mode = mode;
        self
    }

    /// A rule: `Tool` or `Tool(what)` may be called without a question.
    #[must_use]
    pub fn allow(mut self, rule: impl Into<String>) -> Self {
        self.authority.rules.allow.push(RulePattern(rule.into()));
        self
    }

    /// A rule: a person is asked.
    #[must_use]
    pub fn ask(mut self, rule: impl Into<String>) -> Self {
        self.authority.rules.ask.push(RulePattern(rule.into()));
        self
    }

    /// A rule: never, here and in every agent below.
    #[must_use]
    pub fn deny(mut self, rule: impl Into<String>) -> Self {
        self.authority.rules.deny.push(RulePattern(rule.into()));
        self
    }
}
