//! Checkpoints: pointers into a session's log under a name, each with a value of the caller's beside it.

use axum::{Json, extract::State as Of, http::StatusCode};
use greenroom_actors::domain::catalog::CheckpointRow;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Ctx,
    problem::Answer,
    routes::Route,
    take::{Id, Take, Who},
    token::Scope,
    wire::Page,
};

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::get("/v1/sessions/{session}/checkpoints", "Its checkpoints, oldest first", list)
            .gives::<Page<Checkpoint>>(),
        Route::post(
            "/v1/sessions/{session}/checkpoints",
            (Scope::Act, "Keeps a pointer to its last frame"),
            keep,
        )
        .takes::<NewCheckpoint>()
        .gives::<Kept>()
        .status(201),
    ]
}

/// A checkpoint.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Checkpoint {
    name: String,
    /// The frame it points to.
    at: u64,
    /// The caller's own value.
    value: String,
}

async fn list(
    Of(ctx): Of<Ctx>,
    Who(caller): Who,
    Id(session): Id,
) -> Answer<Json<Page<Checkpoint>>> {
    ctx.line(&caller, session).await?;
    let wire = |row: CheckpointRow| Checkpoint {
        name: row.name.to_string(),
        at: row.at.0,
        value: row.value,
    };
    let kept = ctx.reading.checkpoints(session).await?;
    Ok(Json(Page { items: kept.into_iter().map(wire).collect(), next: None }))
}

/// A checkpoint to be kept.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewCheckpoint {
    /// One of the same name takes its place.
    name: String,
    /// A value of the caller's own.
    #[serde(default)]
    value: String,
}

/// Where it stands.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Kept {
    session: String,
    /// The frame that says so.
    position: u64,
}

async fn keep(
    Of(ctx): Of<Ctx>,
    Who(caller): Who,
    Id(session): Id,
    Take(new): Take<NewCheckpoint>,
) -> Answer<(StatusCode, Json<Kept>)> {
    ctx.line(&caller, session).await?;
    let position = ctx.runtime.checkpoint(session, new.name.into(), new.value).await?;
    let kept = Kept { session: session.to_string(), position: position.0 };
    Ok((StatusCode::CREATED, Json(kept)))
}
