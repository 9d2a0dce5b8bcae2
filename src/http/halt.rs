//! The kill switch: from one moment on nothing new is begun over HTTP, and everything at work is
//! cancelled, trees and all. It is a cancel of everybody, so it stands in every log; what it stopped does
//! not go on by itself, here or after a restart.

use std::sync::{Mutex, OnceLock, PoisonError};

use axum::{Json, extract::State as Of};
use futures_util::{StreamExt as _, stream::FuturesUnordered};
use greenroom_actors::domain::{
    catalog::{SessionFilter, Status},
    event::CancelTarget,
};
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

/// Trees that are cancelled at once: each is one commit, and they share the writer.
const AT_ONCE: usize = 64;

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

/// Whether everything was stopped, and whether the server itself is ending.
#[derive(Debug, Default)]
pub(super) struct Switch {
    why: Mutex<Option<String>>,
    /// Of the server that serves it last.
    ends: Mutex<Option<watch::Receiver<bool>>>,
    /// Where nobody serves it, it ends with its streams' own connections.
    never: OnceLock<(watch::Sender<bool>, watch::Receiver<bool>)>,
}

impl Switch {
    /// Why everything was stopped, if it was.
    pub(super) fn why(&self) -> Option<String> {
        self.why.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set(&self, why: Option<String>) {
        *self.why.lock().unwrap_or_else(PoisonError::into_inner) = why;
    }

    /// Asked by whatever begins something, once it has all it needs for that. What only stops or mends
    /// does not ask.
    pub(super) fn lets_begin(&self) -> Result<(), Problem> {
        match self.why() {
            None => Ok(()),
            Some(why) => Err(problem("halted", format!("everything was stopped: {why}"))),
        }
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
    /// Trees that were cancelled.
    cancelled: usize,
    /// Trees whose cancel could not be written; they are tried again with the next call.
    failed: usize,
}

async fn halt(Of(ctx): Of<Ctx>, Who(caller): Who, Take(why): Take<Why>) -> Answer<Json<Halted>> {
    if caller.tenant.is_some() {
        return Err(problem("forbidden", "this stops all tenants; this token is of one"));
    }
    let reason = why.reason.unwrap_or_else(|| "stopped over HTTP".to_owned());
    ctx.halt.set(Some(reason.clone()));
    ctx.runtime.hold_jobs(true);
    // Each that works by itself too: a cancel then need not find its way down the tree first.
    let filter = SessionFilter {
        status: vec![Status::Running, Status::Waiting],
        ..SessionFilter::default()
    };
    let rows = ctx.reading.all_sessions(filter).await?;
    let acting = ctx.runtime.on_behalf_of(caller.name);
    let mut cancels = FuturesUnordered::new();
    let (mut cancelled, mut failed) = (0, 0);
    let mut left = rows.iter();
    loop {
        while cancels.len() < AT_ONCE
            && let Some(row) = left.next()
        {
            cancels.push(acting.cancel(row.session, CancelTarget::Everything, &reason));
        }
        match cancels.next().await {
            Some(Ok(())) => cancelled += 1,
            Some(Err(_not_written)) => failed += 1,
            None => return Ok(Json(Halted { halted: true, cancelled, failed })),
        }
    }
}

async fn unhalt(
    Of(ctx): Of<Ctx>,
    Who(caller): Who,
    Take(Nothing {}): Take<Nothing>,
) -> Answer<Json<Halted>> {
    if caller.tenant.is_some() {
        return Err(problem("forbidden", "this is for all tenants; this token is of one"));
    }
    ctx.halt.set(None);
    ctx.runtime.hold_jobs(false);
    Ok(Json(Halted { halted: false, cancelled: 0, failed: 0 }))
}
