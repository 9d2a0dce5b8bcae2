//! The kill switch over HTTP, and the end of the server for streams that would not end by themselves. The
//! switch is the runtime's: this asks it, and keeps nothing of it.

use std::sync::{Mutex, OnceLock, PoisonError};

use axum::{Json, extract::State as Of};
use greenroom_actors::{Runtime, runtime::Rejected};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use super::{
    Ctx,
    problem::{Answer, Problem, problem},
    routes::Route,
    take::{Take, Who},
    token::Scope,
    wire::Nothing,
};

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::post("/v1/halt", (Scope::Admin, "Stops everything"), halt)
            .takes::<Why>()
            .gives::<Halted>(),
        Route::post("/v1/unhalt", (Scope::Admin, "Lets new work begin again"), unhalt)
            .takes::<Nothing>()
            .gives::<Halted>(),
    ]
}

/// Whether everything is stopped, and whether the server itself is ending.
#[derive(Debug)]
pub(super) struct Switch {
    runtime: Runtime,
    /// Of the server that serves it last.
    ends: Mutex<Option<watch::Receiver<bool>>>,
    /// Where nobody serves it, it ends with its streams' own connections.
    never: OnceLock<(watch::Sender<bool>, watch::Receiver<bool>)>,
}

impl Switch {
    /// Of this runtime.
    pub(super) fn new(runtime: Runtime) -> Self {
        Self { runtime, ends: Mutex::default(), never: OnceLock::new() }
    }

    /// Asked by whatever begins something, once it has all it needs for that: so it is refused in the
    /// words of the switch, and not for what else may be wrong with it. What only stops or mends does
    /// not ask.
    pub(super) fn lets_begin(&self) -> Result<(), Problem> {
        let halted = self.runtime.halted();
        halted.map_or(Ok(()), |halt| Err(Rejected::Halted { reason: halt.reason }.into()))
    }

    /// The server that serves it ends when this turns true.
    pub(super) fn ends_with(&self, stopped: watch::Receiver<bool>) {
        *self.ends.lock().unwrap_or_else(PoisonError::into_inner) = Some(stopped);
    }

    /// Turns true when the server ends.
    pub(super) fn end(&self) -> watch::Receiver<bool> {
        let never = || self.never.get_or_init(|| watch::channel(false)).1.clone();
        let ends = self.ends.lock().unwrap_or_else(PoisonError::into_inner).clone();
        ends.unwrap_or_else(never)
    }
}

/// Why everything is stopped.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Why {
    /// For the logs.
    #[serde(default)]
    reason: Option<String>,
}

/// What came of it.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Halted {
    /// Whether nothing new is begun now.
    halted: bool,
    /// Sessions with work in hand that were cancelled.
    cancelled: usize,
    /// Those whose cancel could not be written yet; each is stopped as soon as it can be, and the next
    /// call says how far that is.
    failed: usize,
}

async fn halt(Of(ctx): Of<Ctx>, Who(caller): Who, Take(why): Take<Why>) -> Answer<Json<Halted>> {
    if caller.tenant.is_some() {
        return Err(problem("forbidden", "this stops all tenants; this token is of one"));
    }
    let reason = why.reason.unwrap_or_else(|| "stopped over HTTP".to_owned());
    let acting = ctx.runtime.on_behalf_of(caller.name);
    let greenroom_actors::runtime::Halted { cancelled, failed } = acting.halt(&reason).await?;
    Ok(Json(Halted { halted: true, cancelled, failed }))
}

async fn unhalt(
    Of(ctx): Of<Ctx>,
    Who(caller): Who,
    Take(Nothing {}): Take<Nothing>,
) -> Answer<Json<Halted>> {
    if caller.tenant.is_some() {
        return Err(problem("forbidden", "this is for all tenants; this token is of one"));
    }
    ctx.runtime.on_behalf_of(caller.name).unhalt().await?;
    Ok(Json(Halted { halted: false, cancelled: 0, failed: 0 }))
}
