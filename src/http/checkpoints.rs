//! Checkpoints: pointers into a session's log under a name, each with a value of the caller's beside it.

use axum::{Json, extract::State as Of, http::StatusCode};
use greenroom_actors::domain::catalog::CheckpointRow;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Ctx,
    problem::Answer,
    routes::Route,
    take::{Asked, Id, Take, Who, is_name},
    token::Scope,
    wire::{Page, rows},
};

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::get("/v1/sessions/{session}/checkpoints", "Its checkpoints, oldest first", list)
            .asks::<Wishes>()
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

/// Which of them.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Wishes {
    /// The `next` of the page before.
    after: Option<usize>,
    /// At most so many.
    #[schemars(range(min = 1, max = 500))]
    limit: Option<usize>,
}

/// Values on one page: whoever keeps large ones gets them a few at a time.
const VALUES_BYTES: usize = 1_024 * 1_024;

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
    Asked(wishes): Asked<Wishes>,
) -> Answer<Json<Page<Checkpoint>>> {
    ctx.line(&caller, session).await?;
    let limit = rows(wishes.limit)?;
    let wire = |row: CheckpointRow| Checkpoint {
        name: row.name.to_string(),
        at: row.at.0,
        value: row.value,
    };
    let kept = ctx.reading.checkpoints(session).await?;
    let mut rest = kept.into_iter().skip(wishes.after.unwrap_or(0));
    let (mut items, mut bytes) = (Vec::new(), 0);
    while items.len() < limit
        && bytes < VALUES_BYTES
        && let Some(row) = rest.next()
    {
        bytes += row.value.len();
        items.push(wire(row));
    }
    let next = wishes.after.unwrap_or(0) + items.len();
    let next = rest.next().is_some().then(|| next.to_string());
    Ok(Json(Page { items, next }))
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
    is_name("name", &new.name)?;
    let position = ctx.runtime.checkpoint(session, new.name.into(), new.value).await?;
    let kept = Kept { session: session.to_string(), position: position.0 };
    Ok((StatusCode::CREATED, Json(kept)))
}
