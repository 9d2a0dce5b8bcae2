//! Who can be opened by name.

use axum::{Json, extract::State as Of};
use schemars::JsonSchema;
use serde::Serialize;

use super::{Ctx, problem::Answer, routes::Route, wire::Page};

pub(super) fn routes() -> Vec<Route> {
    vec![Route::get("/v1/agents", "Agents that can be opened", agents).gives::<Page<AgentWire>>()]
}

/// An agent.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct AgentWire {
    name: String,
    /// `coordinator`, `planner`, `executor` or `specialist`.
    role: String,
    model: String,
    provider: Option<String>,
    /// The tools it may have.
    tools: Vec<String>,
    /// The agents it may set to work.
    routes: Vec<String>,
}

async fn agents(Of(ctx): Of<Ctx>) -> Answer<Json<Page<AgentWire>>> {
    let wire = |rendered: greenroom_actors::domain::agent::Rendered| {
        let agent = rendered.agent;
        AgentWire {
            name: agent.name.to_string(),
            role: format!("{:?}", agent.role).to_lowercase(),
            model: agent.model.to_string(),
            provider: agent.provider.map(|name| name.to_string()),
            tools: rendered.tools.into_iter().map(|tool| tool.name.to_string()).collect(),
            routes: agent.routes.into_iter().map(|name| name.to_string()).collect(),
        }
    };
    let items = ctx.runtime.agents().into_iter().map(wire).collect();
    Ok(Json(Page { items, next: None }))
}
