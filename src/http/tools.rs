//! Tools: what there are, with their schemas, and a call of one without a model. Such a call is decided
//! by the same rules as a model's, and stands in the session's log.

use axum::{Json, extract::State as Of};
use greenroom_actors::domain::tool::{ArgsObject, ToolOutcome};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Ctx,
    problem::{Answer, problem},
    routes::Route,
    take::{Key, Named, Take, Who},
    token::Scope,
    wire::Page,
};

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::get("/v1/tools", "Tools that are registered", list).gives::<Page<ToolWire>>(),
        Route::post(
            "/v1/sessions/{session}/tools/{name}",
            (Scope::Act, "Runs one of its tools, as the rules allow"),
            invoke,
        )
        .takes::<Call>()
        .gives::<Outcome>(),
    ]
}

/// A tool.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct ToolWire {
    name: String,
    description: String,
    /// The JSON Schema of its arguments.
    schema: serde_json::Map<String, serde_json::Value>,
    /// What repeating it does: `pure`, `idempotent`, `verifiable` or `once`.
    effect: String,
}

async fn list(Of(ctx): Of<Ctx>) -> Answer<Json<Page<ToolWire>>> {
    let wire = |spec: greenroom_actors::domain::tool::ToolSpec| ToolWire {
        name: spec.name.to_string(),
        description: spec.description.clone(),
        schema: serde_json::from_str(&spec.schema).unwrap_or_default(),
        effect: format!("{:?}", spec.effect).to_lowercase(),
    };
    let items = ctx.runtime.tool_specs().into_iter().map(wire).collect();
    Ok(Json(Page { items, next: None }))
}

/// A call.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Call {
    /// Its arguments.
    #[schemars(with = "serde_json::Map<String, serde_json::Value>")]
    arguments: ArgsObject,
    /// Where it is to work.
    #[serde(default)]
    cwd: Option<String>,
}

/// What came of it.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Outcome {
    /// `done`, or how it ended otherwise.
    outcome: &'static str,
    /// As it stands in the log.
    #[schemars(with = "serde_json::Map<String, serde_json::Value>")]
    detail: ToolOutcome,
}

async fn invoke(
    Of(ctx): Of<Ctx>,
    Who(caller): Who,
    Named(session, name): Named,
    Key(key): Key,
    Take(call): Take<Call>,
) -> Answer<Json<Outcome>> {
    ctx.line(&caller, session).await?;
    let pinned = ctx.runtime.state(session).await?;
    if !pinned.tools.iter().any(|tool| tool.name.as_str() == name) {
        let words = format!("no tool {name:?} was pinned when the session was opened");
        return Err(problem("not_found", words));
    }
    ctx.halt.lets_begin()?;
    let key = key.unwrap_or_else(|| ctx.runtime.fresh_key());
    let ArgsObject(args) = call.arguments;
    let acting = ctx.runtime.on_behalf_of(caller.name);
    let detail = acting.invoke_tool(session, key, (name.into(), args), (None, call.cwd)).await?;
    Ok(Json(Outcome { outcome: detail.word(), detail }))
}
