//! Jobs: asked for, listed, ordered, and driven by hosts that are other programs. Every order is in the
//! job's log when it is answered.

mod wire;

use axum::{
    Json,
    extract::{FromRequestParts, Path, State as Of},
    http::{StatusCode, request::Parts},
};
use greenroom_actors::{
    domain::{
        ids::{TenantId, Timestamp},
        job::{HistoryEntry, JobFilter, JobId, JobOrder, JobSpec, JobState, JobView},
    },
    runtime::{CallError, JobError, JobRefused, Jobs},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Ctx, House,
    problem::{Answer, Problem, problem},
    routes::Route,
    take::{Asked, Key, Take, Who},
    token::{Caller, Scope},
    wire::{Nothing, Page, next, rows},
};

pub(super) use wire::JobWire;
use wire::{NewJob, States, TakenWire};

pub(super) fn routes() -> Vec<Route> {
    let act = |summary| (Scope::Act, summary);
    vec![
        Route::get("/v1/jobs", "Jobs", list).asks::<Wishes>().gives::<Page<JobWire>>(),
        Route::post("/v1/jobs", act("Asks for a job"), enqueue)
            .takes::<NewJob>()
            .gives::<JobWire>()
            .status(201),
        Route::get("/v1/jobs/{job}", "A job, with its history", show).gives::<Whole>(),
        Route::get("/v1/jobs/{job}/result", "What it left", result).gives::<Left>(),
        Route::post("/v1/jobs/{job}/cancel", act("Cancels it"), cancel)
            .takes::<Why>()
            .gives::<JobWire>(),
        Route::post("/v1/jobs/{job}/pause", act("Holds it"), pause)
            .takes::<Note>()
            .gives::<JobWire>(),
        Route::post("/v1/jobs/{job}/resume", act("Lets it go on"), resume)
            .takes::<Note>()
            .gives::<JobWire>(),
        Route::post("/v1/jobs/{job}/retry", act("Tries it again"), retry)
            .takes::<Nothing>()
            .gives::<JobWire>(),
        Route::post("/v1/jobs/{job}/start", act("Begins its next attempt, by a host"), start)
            .takes::<Nothing>()
            .gives::<TakenWire>(),
        Route::post("/v1/jobs/take", act("Begins whatever is due in a queue, by a host"), take)
            .takes::<Queue>()
            .gives::<Option<TakenWire>>(),
        Route::post("/v1/jobs/{job}/progress", act("Says how far an attempt is"), progress)
            .takes::<Progress>()
            .gives::<JobWire>(),
        Route::post("/v1/jobs/{job}/complete", act("An attempt worked"), complete)
            .takes::<Complete>()
            .gives::<JobWire>(),
        Route::post("/v1/jobs/{job}/fail", act("An attempt failed"), fail)
            .takes::<Fail>()
            .gives::<JobWire>(),
    ]
}

/// The job of a path.
struct Id(JobId);

impl FromRequestParts<Ctx> for Id {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, ctx: &Ctx) -> Result<Self, Problem> {
        let path = Path::<String>::from_request_parts(parts, ctx).await.ok();
        let id = path
            .and_then(|Path(text)| text.parse().ok().filter(|job: &JobId| job.to_string() == text));
        id.map(Self).ok_or_else(|| problem("not_found", "no such job: expected its id"))
    }
}

impl From<JobError> for Problem {
    fn from(error: JobError) -> Self {
        match error {
            JobError::Refused(refused) => refused.into(),
            JobError::Journal(error) => CallError::Journal(error).into(),
            JobError::Read(error) => CallError::Read(error).into(),
            JobError::TimedOut { .. } => problem("timed_out", error.to_string()).again_in(1),
            JobError::Ended { .. } => problem("unavailable", "the runtime has ended").again_in(5),
        }
    }
}

impl From<JobRefused> for Problem {
    fn from(refused: JobRefused) -> Self {
        let words = refused.to_string();
        match refused {
            JobRefused::Unknown { .. } | JobRefused::UnknownAgent { .. } => {
                problem("not_found", words)
            }
            JobRefused::Full { .. } => problem("busy", words).again_in(1),
            JobRefused::Halted { .. } => problem("halted", words),
            JobRefused::BadValue { .. } => problem("unprocessable", words),
            _ => problem("conflict", words),
        }
    }
}

impl House {
    /// The jobs that a caller may see, on its behalf.
    pub(super) fn jobs(&self, caller: &Caller) -> Jobs {
        let all = self.runtime.jobs().on_behalf_of(caller.name.clone());
        match &caller.tenant {
            Some(tenant) => all.of(tenant.clone()),
            None => all,
        }
    }

    /// Whose jobs it asks for.
    fn tenant_of(&self, caller: &Caller) -> TenantId {
        caller.tenant.clone().unwrap_or_else(|| self.options.tenant.clone())
    }
}

/// Which jobs.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Wishes {
    /// The `next` of the page before.
    #[schemars(regex(
        pattern = r"^(0|[1-9][0-9]{0,17}):[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$"
    ))]
    after: Option<String>,
    /// From which end; `oldest` where nothing is said.
    order: Option<Order>,
    /// At most so many.
    #[schemars(range(min = 1, max = 500))]
    limit: Option<usize>,
    /// Only of this queue.
    queue: Option<String>,
    /// Only in this state.
    #[schemars(with = "Option<States>")]
    state: Option<JobState>,
}

/// By when they were asked for.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Order {
    /// Those that were asked for first come first.
    Oldest,
    /// Those that were asked for last come first.
    Newest,
}

/// A place in the list: of the job that was the last on a page. By the order and not by the job, which may
/// be gone, and so that those that come meanwhile move nobody.
fn cursor(text: &str) -> Result<(Timestamp, JobId), ()> {
    let (created_at, job) = text.split_once(':').ok_or(())?;
    Ok((Timestamp(created_at.parse().map_err(drop)?), job.parse().map_err(drop)?))
}

async fn list(
    Of(ctx): Of<Ctx>,
    Who(caller): Who,
    Asked(wishes): Asked<Wishes>,
) -> Answer<Json<Page<JobWire>>> {
    let limit = rows(wishes.limit)?;
    let is_cursor =
        |_odd| problem("invalid", "`after` is no cursor: expected the `next` of a page");
    let filter = JobFilter {
        queue: wishes.queue.map(Into::into),
        states: wishes.state.into_iter().collect(),
        order: match wishes.order {
            None | Some(Order::Oldest) => JobOrder::Oldest,
            Some(Order::Newest) => JobOrder::Newest,
        },
        after: wishes.after.as_deref().map(cursor).transpose().map_err(is_cursor)?,
        rows: limit,
        ..JobFilter::default()
    };
    let found = ctx.jobs(&caller).list(filter).await?;
    let next = next(&found, limit, |row| format!("{}:{}", row.created_at.0, row.job));
    Ok(Json(Page { items: found.into_iter().map(JobWire::from).collect(), next }))
}

async fn enqueue(
    Of(ctx): Of<Ctx>,
    Who(caller): Who,
    Key(key): Key,
    Take(new): Take<NewJob>,
) -> Answer<(StatusCode, Json<JobWire>)> {
    ctx.halt.lets_begin()?;
    let jobs = ctx.jobs(&caller);
    let job = jobs.enqueue(&ctx.tenant_of(&caller), new.spec()?, key).await?;
    Ok((StatusCode::CREATED, Json(jobs.show(job).await?.row.into())))
}

/// A job with all that is known of it.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Whole {
    #[serde(flatten)]
    job: JobWire,
    /// What is to be done, when, and what is done about failures.
    #[schemars(with = "serde_json::Map<String, serde_json::Value>")]
    spec: JobSpec,
    /// What happened, the oldest that is kept first.
    #[schemars(with = "Vec<serde_json::Map<String, serde_json::Value>>")]
    history: Vec<HistoryEntry>,
    /// How much of it was dropped.
    history_dropped: u64,
}

async fn show(Of(ctx): Of<Ctx>, Who(caller): Who, Id(job): Id) -> Answer<Json<Whole>> {
    let JobView { row, spec, history, history_dropped, .. } = ctx.jobs(&caller).show(job).await?;
    Ok(Json(Whole { job: row.into(), spec, history, history_dropped }))
}

/// What a job left.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Left {
    /// Nothing where it has not completed with something.
    result: Option<String>,
}

async fn result(Of(ctx): Of<Ctx>, Who(caller): Who, Id(job): Id) -> Answer<Json<Left>> {
    Ok(Json(Left { result: ctx.jobs(&caller).result(job).await? }))
}

/// Why.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Why {
    /// For the log.
    #[serde(default)]
    reason: Option<String>,
}

async fn cancel(
    Of(ctx): Of<Ctx>,
    Who(caller): Who,
    Id(job): Id,
    Take(why): Take<Why>,
) -> Answer<Json<JobWire>> {
    let reason = why.reason.unwrap_or_else(|| "cancelled over HTTP".to_owned());
    Ok(Json(ctx.jobs(&caller).cancel(job, reason).await?.into()))
}

/// A word on it.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Note {
    /// For whoever looks.
    #[serde(default)]
    detail: Option<String>,
}

async fn pause(
    Of(ctx): Of<Ctx>,
    Who(caller): Who,
    Id(job): Id,
    Take(note): Take<Note>,
) -> Answer<Json<JobWire>> {
    Ok(Json(ctx.jobs(&caller).pause(job, note.detail).await?.into()))
}

async fn resume(
    Of(ctx): Of<Ctx>,
    Who(caller): Who,
    Id(job): Id,
    Take(note): Take<Note>,
) -> Answer<Json<JobWire>> {
    ctx.halt.lets_begin()?;
    Ok(Json(ctx.jobs(&caller).resume(job, note.detail).await?.into()))
}

async fn retry(
    Of(ctx): Of<Ctx>,
    Who(caller): Who,
    Id(job): Id,
    Take(Nothing {}): Take<Nothing>,
) -> Answer<Json<JobWire>> {
    ctx.halt.lets_begin()?;
    Ok(Json(ctx.jobs(&caller).retry(job).await?.into()))
}

async fn start(
    Of(ctx): Of<Ctx>,
    Who(caller): Who,
    Id(job): Id,
    Key(key): Key,
    Take(Nothing {}): Take<Nothing>,
) -> Answer<Json<TakenWire>> {
    ctx.halt.lets_begin()?;
    Ok(Json(ctx.jobs(&caller).under(key).start(job).await?.into()))
}

/// From which queue.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Queue {
    /// Its name.
    queue: String,
}

async fn take(
    Of(ctx): Of<Ctx>,
    Who(caller): Who,
    Key(key): Key,
    Take(from): Take<Queue>,
) -> Answer<Json<Option<TakenWire>>> {
    ctx.halt.lets_begin()?;
    let tenant = ctx.tenant_of(&caller);
    let taken = ctx.jobs(&caller).under(key).take(&tenant, &from.queue.into()).await?;
    Ok(Json(taken.map(TakenWire::from)))
}

/// How far an attempt is.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Progress {
    /// Which attempt.
    attempt: u32,
    /// Of a hundred.
    #[schemars(range(max = 100))]
    percent: u8,
    /// In words.
    #[serde(default)]
    detail: Option<String>,
}

async fn progress(
    Of(ctx): Of<Ctx>,
    Who(caller): Who,
    Id(job): Id,
    Take(told): Take<Progress>,
) -> Answer<Json<JobWire>> {
    let at = (job, told.attempt);
    Ok(Json(ctx.jobs(&caller).progress(at, told.percent, told.detail).await?.into()))
}

/// What an attempt left.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Complete {
    /// Which attempt.
    attempt: u32,
    /// Anything.
    #[serde(default)]
    result: Option<String>,
}

async fn complete(
    Of(ctx): Of<Ctx>,
    Who(caller): Who,
    Id(job): Id,
    Take(told): Take<Complete>,
) -> Answer<Json<JobWire>> {
    Ok(Json(ctx.jobs(&caller).complete((job, told.attempt), told.result).await?.into()))
}

/// Why an attempt failed.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Fail {
    /// Which attempt.
    attempt: u32,
    /// In words.
    error: String,
    /// Whether no other attempt can fare better.
    #[serde(default)]
    for_good: bool,
}

async fn fail(
    Of(ctx): Of<Ctx>,
    Who(caller): Who,
    Id(job): Id,
    Take(told): Take<Fail>,
) -> Answer<Json<JobWire>> {
    let at = (job, told.attempt);
    Ok(Json(ctx.jobs(&caller).fail(at, told.error, !told.for_good).await?.into()))
}
