//! What an agent is: everything that is pinned when a session opens.

mod declare;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use serde::{Deserialize, Serialize};

use super::{
    budget::Budget,
    ids::{AgentName, EngineId, ModelName, ProviderName, ToolName},
    permission::Authority,
    tool::{Overlay, ToolSpec},
};

/// An agent's part in a team.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Routes work to others.
    Coordinator,
    /// Makes plans.
    Planner,
    /// Carries plans out.
    Executor,
    /// Does one thing.
    #[default]
    Specialist,
}

/// How the model samples.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sampling {
    /// Temperature in thousandths, so that it is exact in the log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub temperature_milli: Option<u32>,
    /// Output cap in tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output_tokens_max: Option<u64>,
    /// Stop sequences.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stop: Vec<String>,
    /// Tokens for thinking; `None` is off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thinking_tokens: Option<u64>,
    /// A JSON Schema, as text, that the answer must fit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output_schema: Option<String>,
}

/// Bounds on what one agent may start. Defaults and their arithmetic are in `limits`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// How deep below this session agents may be spawned; 0 is none.
    pub depth: u32,
    /// Children alive at once.
    pub width: u32,
    /// Agents alive at once in the whole tree; read at the root.
    pub total: u32,
    /// Model calls in one turn.
    pub steps: u32,
    /// How often a failed model call is made again.
    pub retries: u32,
    /// A turn's whole time.
    pub turn_ms: u64,
    /// A model call's whole time.
    pub model_ms: u64,
    /// A tool call's whole time.
    pub tool_ms: u64,
    /// How long a person has to answer.
    pub approval_ms: u64,
}

impl Default for Limits {
    fn default() -> Self {
        use crate::limits as l;
        Self {
            depth: l::DEPTH,
            width: l::WIDTH,
            total: l::TOTAL,
            steps: l::STEPS,
            retries: l::MODEL_RETRIES,
            turn_ms: l::TURN_MS,
            model_ms: l::MODEL_MS,
            tool_ms: l::TOOL_MS,
            approval_ms: l::APPROVAL_MS,
        }
    }
}

/// How often a session's own panics are forgiven.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RestartPolicy {
    /// Panics without progress within the window before quarantine.
    pub panics_max: u32,
    /// The window.
    pub window_ms: u64,
    /// First backoff; doubled each time.
    pub backoff_ms: u64,
    /// Longest backoff.
    pub backoff_max_ms: u64,
}

impl Default for RestartPolicy {
    fn default() -> Self {
        use crate::limits as l;
        Self {
            panics_max: l::PANICS_MAX,
            window_ms: l::PANIC_WINDOW_MS,
            backoff_ms: l::BACKOFF_MS,
            backoff_max_ms: l::BACKOFF_MAX_MS,
        }
    }
}

/// When a tool that fails again and again is asked about for a while, although rules allow it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Reliability {
    /// How many of a tool's latest runs are looked at.
    pub runs: u32,
    /// So many of them failed, and it is asked about; 0 is never.
    pub failures: u32,
    /// Runs of longer ago are not looked at.
    pub window_ms: u64,
    /// For how long it is asked about, from the last such failure on.
    pub raised_ms: u64,
    /// So many runs in a row that worked, and all is as before.
    pub successes: u32,
}

impl Default for Reliability {
    fn default() -> Self {
        use crate::limits as l;
        Self {
            runs: l::TOOL_RUNS,
            failures: l::TOOL_FAILURES,
            window_ms: l::TOOL_WINDOW_MS,
            raised_ms: l::TOOL_RAISED_MS,
            successes: l::TOOL_SUCCESSES,
        }
    }
}

impl Reliability {
    /// Whether nobody said anything else: then it is not written, so that logs of before and after
    /// hold the same bytes.
    fn is_usual(&self) -> bool {
        *self == Self::default()
    }
}

/// What input during a turn does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InputPolicy {
    /// It waits its turn.
    #[default]
    Queue,
    /// It cancels the running turn and goes next.
    Interrupt,
    /// It is refused.
    Reject,
}

/// A model, and where it is served.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelChoice {
    /// The model.
    pub model: ModelName,
    /// Who serves it, where that is not clear from its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<ProviderName>,
}

impl fmt::Display for ModelChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.provider {
            Some(provider) => write!(f, "{} at {provider}", self.model),
            None => write!(f, "{}", self.model),
        }
    }
}

/// An agent as a user declares it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AgentSpec {
    /// Its name.
    pub name: AgentName,
    /// Its part.
    #[serde(default)]
    pub role: Role,
    /// Its model.
    pub model: ModelName,
    /// Where the model is served, where that is not clear from its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<ProviderName>,
    /// What answers instead, in this order, where its model cannot: within one turn, and stated in
    /// the log. No other model or vendor is ever taken.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fallback: Vec<ModelChoice>,
    /// Which engine runs its turns.
    #[serde(default = "loop_engine")]
    pub engine: EngineId,
    /// What it is told first.
    #[serde(default)]
    pub instructions: String,
    /// The tools it has, and no others, each with its configuration overlay.
    #[serde(default)]
    pub tools: BTreeMap<ToolName, Overlay>,
    /// Agents it may spawn.
    #[serde(default)]
    pub routes: BTreeSet<AgentName>,
    /// What it and everything below it may spend.
    #[serde(default)]
    pub budget: Budget,
    /// What it may start.
    #[serde(default)]
    pub limits: Limits,
    /// How its model samples.
    #[serde(default)]
    pub sampling: Sampling,
    /// How its panics are treated.
    #[serde(default)]
    pub restart: RestartPolicy,
    /// When its tools are asked about because they fail.
    #[serde(default, skip_serializing_if = "Reliability::is_usual")]
    pub reliability: Reliability,
    /// What input during a turn does.
    #[serde(default)]
    pub input: InputPolicy,
    /// What it may do.
    #[serde(default)]
    pub authority: Authority,
}

/// The `loop` engine: model and tools in turn.
#[must_use]
pub fn loop_engine() -> EngineId {
    EngineId("loop".to_owned())
}

impl AgentSpec {
    /// The models that it may call by its own declaration.
    pub fn models(&self) -> impl Iterator<Item = &ModelName> {
        std::iter::once(&self.model).chain(self.fallback.iter().map(|choice| &choice.model))
    }

    /// An agent with this name and model, no tools, default bounds.
    #[must_use]
    pub fn new(name: impl Into<AgentName>, model: impl Into<ModelName>) -> Self {
        Self {
            name: name.into(),
            role: Role::default(),
            model: model.into(),
            provider: None,
            fallback: Vec::new(),
            engine: loop_engine(),
            instructions: String::new(),
            tools: BTreeMap::new(),
            routes: BTreeSet::new(),
            budget: Budget::default(),
            limits: Limits::default(),
            sampling: Sampling::default(),
            restart: RestartPolicy::default(),
            reliability: Reliability::default(),
            input: InputPolicy::default(),
            authority: Authority::default(),
        }
    }
}

/// An agent as a session pins it: with its tools' descriptions and schemas as they were.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rendered {
    /// The declaration.
    pub agent: AgentSpec,
    /// Its tools, by name.
    pub tools: Vec<ToolSpec>,
}
