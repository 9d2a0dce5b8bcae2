//! Who can be opened by name, and which models are served.

use axum::{Json, extract::State as Of};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Ctx,
    problem::Answer,
    routes::Route,
    take::{Asked, Who},
    wire::Page,
};

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::get("/v1/agents", "Agents that can be opened", agents).gives::<Page<AgentWire>>(),
        Route::get("/v1/models", "Models that are served, by provider", models)
            .asks::<Wishes>()
            .gives::<Page<Served>>(),
    ]
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

/// Which models.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Wishes {
    /// What their names begin with.
    prefix: Option<String>,
}

/// The models of a provider.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Served {
    provider: String,
    models: Vec<String>,
    /// Why there is no list, as a kind of failure.
    failure: Option<&'static str>,
}

async fn models(
    Of(ctx): Of<Ctx>,
    Who(_caller): Who,
    Asked(wishes): Asked<Wishes>,
) -> Answer<Json<Page<Served>>> {
    let listed = ctx.runtime.models(wishes.prefix.as_deref().unwrap_or_default()).await;
    let items = listed.into_iter().map(|(provider, models)| match models {
        Ok(models) => Served {
            provider: provider.to_string(),
            models: models.into_iter().map(|model| model.to_string()).collect(),
            failure: None,
        },
        // What a vendor said is not passed on.
        Err(failure) => Served {
            provider: provider.to_string(),
            models: Vec::new(),
            failure: Some(failure.kind.word()),
        },
    });
    Ok(Json(Page { items: items.collect(), next: None }))
}
