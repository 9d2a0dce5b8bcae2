//! Rendering: an agent's declaration becomes what a session pins. Everything that could be wrong
//! with it is said here, before a session exists.

use crate::{
    domain::{
        agent::{AgentSpec, ModelChoice, Rendered},
        ids::{AgentName, ToolName},
    },
    limits,
    policy::{
        rules::{self, Policy, Standing},
        turn::builtin,
    },
    session::house::Tables,
};

/// A declaration that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RenderError {
    /// A tool nobody registered.
    #[error("agent {agent}: tool {tool} is not registered; there is: {known}")]
    UnknownTool {
        /// The agent.
        agent: AgentName,
        /// The tool.
        tool: ToolName,
        /// What is registered.
        known: String,
    },
    /// A route to nobody, or to itself.
    #[error("agent {agent}: it routes to {route}, {why}")]
    BadRoute {
        /// The agent.
        agent: AgentName,
        /// The route.
        route: AgentName,
        /// What is wrong with it.
        why: &'static str,
    },
    /// A rule that cannot be read.
    #[error("agent {agent}: {why}")]
    BadRule {
        /// The agent.
        agent: AgentName,
        /// What is wrong.
        why: String,
    },
    /// A model to fall back to that is none.
    #[error("agent {agent}: it falls back to {model}, {why}")]
    BadFallback {
        /// The agent.
        agent: AgentName,
        /// The model.
        model: String,
        /// What is wrong with it.
        why: String,
    },
    /// An engine nobody registered.
    #[error("agent {agent}: engine {engine} does not exist; there is: loop")]
    UnknownEngine {
        /// The agent.
        agent: AgentName,
        /// The engine.
        engine: String,
    },
    /// Too large to be pinned.
    #[error("agent {agent}: {bytes} bytes with its tools, at most {max} can be pinned")]
    TooLarge {
        /// The agent.
        agent: AgentName,
        /// Its size.
        bytes: usize,
        /// The cap.
        max: usize,
    },
    /// Two agents of one name.
    #[error("agent {agent}: it is declared twice")]
    Twice {
        /// The agent.
        agent: AgentName,
    },
    /// Two tools of one name, or one with a name of ours.
    #[error("tool {tool}: the name is taken")]
    ToolTaken {
        /// The tool.
        tool: ToolName,
    },
}

/// Nobody falls back to where they are, or twice to the same: that would only repeat the failure.
fn fallback(agent: &AgentSpec) -> Result<(), RenderError> {
    let mut before =
        vec![ModelChoice { model: agent.model.clone(), provider: agent.provider.clone() }];
    for choice in &agent.fallback {
        let why = if before.first() == Some(choice) {
            "which is its own".to_owned()
        } else if before.contains(choice) {
            "which it does before".to_owned()
        } else if before.len() > limits::FALLBACKS {
            format!("one more than the {} that it may have", limits::FALLBACKS)
        } else {
            before.push(choice.clone());
            continue;
        };
        let (agent, model) = (agent.name.clone(), choice.to_string());
        return Err(RenderError::BadFallback { agent, model, why });
    }
    Ok(())
}

/// Renders a declaration against the tools that are registered.
pub(super) fn render(
    agent: &AgentSpec,
    tables: &Tables,
    policy: &Policy,
    is_known: impl Fn(&AgentName) -> bool,
) -> Result<Rendered, RenderError> {
    let name = || agent.name.clone();
    if agent.engine.as_str() != "loop" {
        return Err(RenderError::UnknownEngine { agent: name(), engine: agent.engine.to_string() });
    }
    if let Err(error) = rules::check(&agent.authority.rules) {
        return Err(RenderError::BadRule { agent: name(), why: error.to_string() });
    }
    for route in &agent.routes {
        let why = if *route == agent.name {
            "which is itself"
        } else if is_known(route) {
            continue;
        } else {
            "which is not declared"
        };
        return Err(RenderError::BadRoute { agent: name(), route: route.clone(), why });
    }
    fallback(agent)?;
    let mut tools = Vec::new();
    for tool in agent.tools.keys() {
        let Some(found) = tables.tools.get(tool) else {
            let known: Vec<&str> = tables.tools.keys().map(ToolName::as_str).collect();
            let known = known.join(", ");
            return Err(RenderError::UnknownTool { agent: name(), tool: tool.clone(), known });
        };
        tools.push(found.spec());
    }
    if !agent.routes.is_empty() {
        tools.extend(builtin::specs(&agent.routes));
    }
    // A tool that is denied whatever its arguments is not shown to the model at all.
    let standing = Standing::new(std::slice::from_ref(&agent.authority));
    tools.retain(|tool| !rules::hidden(policy, &standing, &tool.name));
    let rendered = Rendered { agent: agent.clone(), tools };
    let bytes = serde_json::to_vec(&rendered).map_or(usize::MAX, |bytes| bytes.len());
    if bytes > limits::AGENT_BYTES {
        return Err(RenderError::TooLarge { agent: name(), bytes, max: limits::AGENT_BYTES });
    }
    Ok(rendered)
}
