//! How the house is: for people, for programs that watch it, and for whoever only asks whether it is
//! alive.

use axum::{Json, extract::State as Of, http::header, response::IntoResponse};
use futures_util::FutureExt as _;
use greenroom_actors::domain::{
    catalog::{Status, TotalsOf},
    job::{JobFilter, JobOrder, JobRow, JobState},
};
use schemars::JsonSchema;
use serde::Serialize;

use super::{
    Ctx, House,
    jobs::JobWire,
    problem::{Answer, problem},
    pulse::{Point, SAMPLE_MS, breaker},
    routes::Route,
    take::Who,
    token::{Caller, Scope},
    wire::Spent,
};

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::get("/v1/status", "How the house is", status).gives::<StatusWire>(),
        Route::get("/v1/history", "Figures over the last hour", history).gives::<History>(),
    ]
}

/// `GET /healthz`: that somebody answers, and nothing of what.
pub(super) async fn healthy() -> &'static str {
    "ok\n"
}

/// `GET /readyz`: that the runtime works and its store can be read.
pub(super) async fn ready(Of(ctx): Of<Ctx>) -> Answer<&'static str> {
    if ctx.runtime.ended().now_or_never().is_some() {
        return Err(problem("unavailable", "the runtime has ended"));
    }
    ctx.reading.census(None).await?;
    Ok("ready\n")
}

/// `GET /metrics`.
pub(super) async fn metrics(Of(ctx): Of<Ctx>, Who(caller): Who) -> Answer<impl IntoResponse> {
    if caller.tenant.is_some() {
        return Err(problem("forbidden", "the metrics are of all tenants; this token is of one"));
    }
    let text = ctx.scraped().await?;
    Ok(([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text))
}

/// How many sessions do what.
#[derive(Debug, Default, Serialize, JsonSchema)]
pub(super) struct SessionsWire {
    total: u64,
    awake: usize,
    idle: u64,
    running: u64,
    waiting: u64,
    quarantined: u64,
    archived: u64,
}

/// How full a tool pool is.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Pool {
    kind: String,
    places: usize,
    taken: usize,
    waiting: usize,
}

/// How full a credential's gate is, and what holds calls up there.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct GateWire {
    credential: String,
    places: usize,
    taken: usize,
    waiting: usize,
    /// The end of the pause that its vendor asked for.
    paused_until: Option<i64>,
    /// `closed`, `open` or `probing`.
    breaker: &'static str,
}

/// Restarts that wait, because many died together.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct HeldWire {
    since: i64,
    waiting: usize,
}

/// Jobs for which something is left to be done.
#[derive(Debug, Default, Serialize, JsonSchema)]
pub(super) struct JobsWire {
    queued: u64,
    running: u64,
    stopping: u64,
    paused: u64,
    /// Those that have ended, whose end somebody is still to be told.
    ended: u64,
    /// Those of them that changed last, the latest first.
    latest: Vec<JobWire>,
}

/// Open jobs that are shown; `GET /v1/jobs` has all.
const LATEST: usize = 20;

impl JobsWire {
    fn of(counted: Vec<(JobState, u64)>, latest: Vec<JobRow>) -> Self {
        let mut jobs = Self::default();
        for (state, many) in counted {
            *match state {
                JobState::Queued => &mut jobs.queued,
                JobState::Running => &mut jobs.running,
                JobState::Stopping => &mut jobs.stopping,
                JobState::Paused => &mut jobs.paused,
                JobState::Completed | JobState::Failed | JobState::Cancelled | JobState::Lost => {
                    &mut jobs.ended
                }
            } += many;
        }
        jobs.latest = latest.into_iter().map(JobWire::from).collect();
        jobs
    }
}

/// How the house is.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct StatusWire {
    name: &'static str,
    version: String,
    /// When the server began.
    started_at: i64,
    now: i64,
    /// What holds tools' processes.
    tools_custody: Option<String>,
    /// What the token that asks may be used for, so that a face offers nothing that would be refused.
    scopes: Vec<Scope>,
    /// Whether everything was stopped, and why.
    halted: Option<String>,
    sessions: SessionsWire,
    approvals_open: u64,
    jobs: JobsWire,
    /// Restarts of sessions that exist.
    restarts: u64,
    spent: Spent,
    /// Turns that ended since the server began.
    turns_finished: u64,
    pools: Vec<Pool>,
    gates: Vec<GateWire>,
    held: Option<HeldWire>,
}

async fn status(Of(ctx): Of<Ctx>, Who(caller): Who) -> Answer<Json<StatusWire>> {
    Ok(Json(ctx.status(&caller).await?))
}

impl House {
    /// The status as one caller may see it: what is shared by all tenants is for who sees them all.
    pub(super) async fn status(&self, caller: &Caller) -> Answer<StatusWire> {
        let tenant = caller.tenant.clone();
        let mut sessions = SessionsWire::default();
        let mut restarts = 0;
        for one in self.reading.census(tenant.clone()).await? {
            sessions.total += one.sessions;
            restarts += one.restarts;
            *match one.status {
                Status::Idle => &mut sessions.idle,
                Status::Running => &mut sessions.running,
                Status::Waiting => &mut sessions.waiting,
                Status::Quarantined => &mut sessions.quarantined,
                Status::Archived => &mut sessions.archived,
            } += one.sessions;
        }
        let of = tenant.clone().map_or(TotalsOf::Runtime, TotalsOf::Tenant);
        let spent = self.reading.totals(of).await?.into();
        let open = self.reading.open(tenant.clone()).await?;
        let order = JobOrder::Changed;
        let latest = JobFilter { open: true, order, rows: LATEST, ..JobFilter::default() };
        let jobs = JobsWire::of(open.jobs, self.jobs(caller).list(latest).await?);
        let mut status = StatusWire {
            name: "greenroom",
            version: self.options.version.clone(),
            started_at: self.began.0,
            now: self.clock.now().0,
            tools_custody: self.options.custody.clone(),
            scopes: caller.scopes(),
            halted: self.runtime.halted().map(|halt| halt.reason),
            sessions,
            approvals_open: open.approvals,
            jobs,
            restarts,
            spent,
            turns_finished: 0,
            pools: Vec::new(),
            gates: Vec::new(),
            held: None,
        };
        if tenant.is_none() {
            self.shared(&mut status);
        }
        Ok(status)
    }

    fn shared(&self, status: &mut StatusWire) {
        status.sessions.awake = self.runtime.awake();
        status.turns_finished = self.pulse.counted().0;
        let figures = self.runtime.figures();
        status.held =
            figures.held.map(|held| HeldWire { since: held.since.0, waiting: held.waiting });
        let pool = |(kind, pool): (_, greenroom_actors::runtime::Figures)| Pool {
            kind: greenroom_actors::domain::ids::PoolKind::to_string(&kind),
            places: pool.places,
            taken: pool.taken,
            waiting: pool.waiting,
        };
        status.pools = figures.pools.into_iter().map(pool).collect();
        for (credential, gate) in figures.gates {
            let bars = figures.bars.get(&credential);
            status.gates.push(GateWire {
                credential: credential.to_string(),
                places: gate.places,
                taken: gate.taken,
                waiting: gate.waiting,
                paused_until: bars.and_then(|bars| bars.paused_until).map(|until| until.0),
                breaker: breaker(bars.map(|bars| bars.breaker)).word(),
            });
        }
    }
}

/// Figures over time.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct History {
    /// How far apart they are.
    every_ms: u64,
    /// The oldest first.
    points: Vec<Point>,
}

async fn history(Of(ctx): Of<Ctx>, Who(caller): Who) -> Answer<Json<History>> {
    // They are sums over all tenants.
    let points = if caller.tenant.is_none() { ctx.pulse.points() } else { Vec::new() };
    Ok(Json(History { every_ms: SAMPLE_MS, points }))
}
