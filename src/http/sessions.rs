//! Sessions: opened, listed, read, renamed, put away and taken out, forked, cancelled, released, given a
//! goal. Each order is in the log when it is answered; that it was carried out is heard in the events.

use axum::{Json, extract::State as Of, http::StatusCode};
use greenroom_actors::domain::{
    agent::ModelChoice,
    catalog::{SessionFilter, SessionRow, Status},
    event::{CancelTarget, Event, ForkPoint, Goal},
    ids::{Position, SessionId, TenantId, TurnId},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Ctx,
    problem::{Answer, Problem, problem},
    routes::Route,
    take::{Asked, Id, Key, Take, Who, is_name},
    token::{Caller, Scope},
    tree::cursor,
    wire::{Accepted, GoalWire, Line, Nothing, Page, State, next, rows},
};

pub(super) fn routes() -> Vec<Route> {
    let act = |summary| (Scope::Act, summary);
    vec![
        Route::get("/v1/sessions", "Sessions, the newest first", list)
            .asks::<Wishes>()
            .gives::<Page<Line>>(),
        Route::post("/v1/sessions", act("Opens a session of an agent"), open)
            .takes::<NewSession>()
            .gives::<Line>()
            .status(201),
        Route::get("/v1/sessions/{session}", "A session, with the agent it pinned", read)
            .gives::<Whole>(),
        Route::delete(
            "/v1/sessions/{session}",
            (Scope::Admin, "Deletes it and all below it, for good"),
            delete,
        )
        .gives::<Deleted>(),
        Route::post("/v1/sessions/{session}/resume", act("Wakes a session that sleeps"), resume)
            .takes::<Nothing>()
            .gives::<Line>(),
        Route::post("/v1/sessions/{session}/rename", act("Gives it a name"), rename)
            .takes::<Named>()
            .gives::<Line>(),
        Route::post("/v1/sessions/{session}/archive", act("Puts it away"), archive)
            .takes::<Nothing>()
            .gives::<Line>(),
        Route::post("/v1/sessions/{session}/unarchive", act("Takes it out again"), unarchive)
            .takes::<Nothing>()
            .gives::<Line>(),
        Route::post(
            "/v1/sessions/{session}/fork",
            act("Opens one that goes on from a frame"),
            fork,
        )
        .takes::<At>()
        .gives::<Line>()
        .status(201),
        Route::post("/v1/sessions/{session}/cancel", act("Stops it and everybody below"), cancel)
            .takes::<Stop>()
            .gives::<Accepted>()
            .status(202),
        Route::post(
            "/v1/sessions/{session}/release",
            (Scope::Admin, "Lets it back after a quarantine"),
            release,
        )
        .takes::<Release>()
        .gives::<Line>(),
        Route::get("/v1/sessions/{session}/goal", "What it is for", goal)
            .gives::<Option<GoalWire>>(),
        Route::put("/v1/sessions/{session}/goal", act("Says what it is for"), set_goal)
            .takes::<GoalWire>()
            .gives::<GoalWire>(),
        Route::delete("/v1/sessions/{session}/goal", act("Takes its goal away"), clear_goal)
            .gives::<Accepted>(),
    ]
}

/// Which sessions.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Wishes {
    /// The `next` of the page before.
    #[schemars(extend("format" = "uuid"))]
    after: Option<String>,
    /// At most so many.
    #[schemars(range(min = 1, max = 500))]
    limit: Option<usize>,
    /// Only of this agent.
    agent: Option<String>,
    /// Only in this state.
    state: Option<State>,
    /// Only of this session's tree.
    #[schemars(extend("format" = "uuid"))]
    root: Option<String>,
    /// Those put away, too.
    archived: Option<bool>,
}

async fn list(
    Of(ctx): Of<Ctx>,
    Who(caller): Who,
    Asked(wishes): Asked<Wishes>,
) -> Answer<Json<Page<Line>>> {
    let limit = rows(wishes.limit)?;
    let is_id = |_odd| problem("invalid", "`root` is no session's id");
    let root = wishes.root.as_deref().map(str::parse).transpose().map_err(is_id)?;
    let filter = SessionFilter {
        tenant: caller.tenant.clone(),
        root,
        status: wishes.state.map(Status::from).into_iter().collect(),
        archived: wishes.archived.unwrap_or(false),
        agent: wishes.agent.map(Into::into),
        after: cursor(&ctx, &caller, wishes.after.as_deref()).await?,
        rows: limit,
        newest: true,
        ..SessionFilter::default()
    };
    let found = ctx.reading.sessions(filter).await?;
    let next = next(&found, limit, |row| row.session.to_string());
    let items = ctx.lines(found).await?;
    Ok(Json(Page { items, next }))
}

/// A session to be opened.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewSession {
    /// Its agent, by name.
    agent: String,
    /// Its own name.
    #[serde(default)]
    name: Option<String>,
    /// Whose data it is; a token of one tenant opens for that one alone.
    #[serde(default)]
    tenant: Option<String>,
}

async fn open(
    Of(ctx): Of<Ctx>,
    Who(caller): Who,
    Key(key): Key,
    Take(new): Take<NewSession>,
) -> Answer<(StatusCode, Json<Line>)> {
    // Looked at first: a session must not be there because its name was refused.
    for (what, text) in [("name", &new.name), ("tenant", &new.tenant)] {
        text.as_deref().map_or(Ok(()), |text| is_name(what, text))?;
    }
    let wanted: Option<TenantId> = new.tenant.map(Into::into);
    let tenant = match (caller.tenant.clone(), wanted) {
        (Some(own), Some(wanted)) if own != wanted => {
            return Err(problem("forbidden", "this token opens sessions of its own tenant alone"));
        }
        (Some(own), _) => own,
        (None, wanted) => wanted.unwrap_or_else(|| ctx.options.tenant.clone()),
    };
    ctx.halt.lets_begin()?;
    let acting = ctx.runtime.on_behalf_of(caller.name.clone());
    let agent = new.agent.into();
    let session = acting.open(&agent, tenant, key.as_ref()).await?;
    // Under a key it may be there already, and then it must be the one that is asked for.
    if ctx.line(&caller, session).await?.agent != agent {
        return Err(reused());
    }
    if let Some(name) = new.name {
        acting.rename(session, &name).await?;
    }
    let row = settled(&ctx, &caller, session).await?;
    Ok((StatusCode::CREATED, Json(row)))
}

/// A key that made another session, which this server does not remember but the store does.
fn reused() -> Problem {
    problem("key_reused", "the Idempotency-Key was used for another request; take a fresh one")
}

/// The line of a session as it is after an order.
async fn settled(ctx: &Ctx, caller: &Caller, session: SessionId) -> Answer<Line> {
    let row = ctx.line(caller, session).await?;
    ctx.told(row).await
}

/// A session with what it is made of.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Whole {
    #[serde(flatten)]
    line: Line,
    /// The agent that it pinned when it was opened.
    agent_spec: AgentWire,
}

/// What an agent is, as far as faces show it: its instructions are in the log's first frame.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct AgentWire {
    model: String,
    provider: Option<String>,
    /// The tools it may have.
    tools: Vec<String>,
}

async fn read(Of(ctx): Of<Ctx>, Who(caller): Who, Id(session): Id) -> Answer<Json<Whole>> {
    let row = ctx.line(&caller, session).await?;
    let first = ctx.reading.page(session, Position(0), 1).await?;
    let events = first.into_iter().flat_map(|frame| frame.events);
    let pinned = events.into_iter().find_map(|event| match event {
        Event::SessionOpened { rendered, .. } => Some(rendered),
        _ => None,
    });
    let agent_spec = pinned.map_or_else(
        || AgentWire { model: String::new(), provider: None, tools: Vec::new() },
        |pinned| AgentWire {
            model: pinned.agent.model.to_string(),
            provider: pinned.agent.provider.map(|name| name.to_string()),
            tools: pinned.tools.into_iter().map(|tool| tool.name.to_string()).collect(),
        },
    );
    Ok(Json(Whole { line: ctx.told(row).await?, agent_spec }))
}

async fn resume(
    Of(ctx): Of<Ctx>,
    Who(caller): Who,
    Id(session): Id,
    Take(Nothing {}): Take<Nothing>,
) -> Answer<Json<Line>> {
    ctx.line(&caller, session).await?;
    ctx.halt.lets_begin()?;
    ctx.runtime.wake(session);
    Ok(Json(settled(&ctx, &caller, session).await?))
}

/// What was deleted.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Deleted {
    session: String,
    /// How many sessions went, itself among them.
    sessions: u64,
}

/// What cannot be taken back is for those who administer, of their own tenant where they have one.
async fn delete(Of(ctx): Of<Ctx>, Who(caller): Who, Id(session): Id) -> Answer<Json<Deleted>> {
    ctx.line(&caller, session).await?;
    let sessions = ctx.runtime.on_behalf_of(caller.name).delete(session).await?;
    Ok(Json(Deleted { session: session.to_string(), sessions }))
}

/// A name.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Named {
    name: String,
}

async fn rename(
    Of(ctx): Of<Ctx>,
    Who(caller): Who,
    Id(session): Id,
    Take(named): Take<Named>,
) -> Answer<Json<Line>> {
    ctx.line(&caller, session).await?;
    ctx.runtime.on_behalf_of(caller.name.clone()).rename(session, &named.name).await?;
    Ok(Json(settled(&ctx, &caller, session).await?))
}

async fn archive(
    of: Of<Ctx>,
    who: Who,
    id: Id,
    Take(Nothing {}): Take<Nothing>,
) -> Answer<Json<Line>> {
    put_away(of, who, id, true).await
}

async fn unarchive(
    of: Of<Ctx>,
    who: Who,
    id: Id,
    Take(Nothing {}): Take<Nothing>,
) -> Answer<Json<Line>> {
    put_away(of, who, id, false).await
}

async fn put_away(
    Of(ctx): Of<Ctx>,
    Who(caller): Who,
    Id(session): Id,
    archived: bool,
) -> Answer<Json<Line>> {
    ctx.line(&caller, session).await?;
    ctx.runtime.on_behalf_of(caller.name.clone()).archive(session, archived).await?;
    Ok(Json(settled(&ctx, &caller, session).await?))
}

/// A frame to go on from.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct At {
    /// Its position; the last one where none is named.
    #[serde(default)]
    at: Option<u64>,
    /// The model that it goes on with; its own where none is named.
    #[serde(default)]
    model: Option<String>,
    /// Who serves that model, where it is not who serves its own.
    #[serde(default)]
    provider: Option<String>,
}

async fn fork(
    Of(ctx): Of<Ctx>,
    Who(caller): Who,
    Id(session): Id,
    Key(key): Key,
    Take(At { at, model, provider }): Take<At>,
) -> Answer<(StatusCode, Json<Line>)> {
    let SessionRow { position: last, .. } = ctx.line(&caller, session).await?;
    let at = at.map_or(last, Position);
    let model = choice(model, provider)?;
    if at == Position(0) || at > last {
        let words = format!("there is no frame {at} of {session}: expected 1 to {last}");
        return Err(problem("unprocessable", words));
    }
    ctx.halt.lets_begin()?;
    let acting = ctx.runtime.on_behalf_of(caller.name.clone());
    let fork = acting.fork_on(session, at, model.clone(), key.as_ref()).await?;
    let first = ctx.reading.page(fork, Position(0), 1).await?;
    let is_asked_for = |event: &Event| {
        let wanted = ForkPoint { session, at };
        let Event::SessionOpened { fork: Some(point), rendered, .. } = event else { return false };
        let is_on = |model: &ModelChoice| rendered.agent.model == model.model;
        *point == wanted && model.as_ref().is_none_or(is_on)
    };
    if !first.iter().flat_map(|frame| &frame.events).any(is_asked_for) {
        return Err(reused());
    }
    Ok((StatusCode::CREATED, Json(settled(&ctx, &caller, fork).await?)))
}

/// The model that is asked for, if one is.
fn choice(model: Option<String>, provider: Option<String>) -> Answer<Option<ModelChoice>> {
    match (model, provider) {
        (None, None) => Ok(None),
        (None, Some(_)) => Err(problem("unprocessable", "expected `model` beside `provider`")),
        (Some(model), provider) => {
            Ok(Some(ModelChoice { model: model.into(), provider: provider.map(Into::into) }))
        }
    }
}

/// What to stop.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Stop {
    /// Why, for the log.
    #[serde(default)]
    reason: Option<String>,
    /// Only this turn; everything where none is named.
    #[serde(default)]
    turn: Option<u32>,
}

async fn cancel(
    Of(ctx): Of<Ctx>,
    Who(caller): Who,
    Id(session): Id,
    Take(stop): Take<Stop>,
) -> Answer<(StatusCode, Json<Accepted>)> {
    ctx.line(&caller, session).await?;
    let target = match stop.turn {
        Some(turn) => CancelTarget::Turn { turn: TurnId(turn) },
        None => CancelTarget::Everything,
    };
    let reason = stop.reason.as_deref().unwrap_or("cancelled over HTTP");
    ctx.runtime.on_behalf_of(caller.name).cancel(session, target, reason).await?;
    Ok((StatusCode::ACCEPTED, Json(Accepted { session: session.to_string() })))
}

/// How to let it back.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Release {
    /// Whether the step that failed is closed instead of repeated.
    #[serde(default)]
    skip: bool,
}

async fn release(
    Of(ctx): Of<Ctx>,
    Who(caller): Who,
    Id(session): Id,
    Take(release): Take<Release>,
) -> Answer<Json<Line>> {
    ctx.line(&caller, session).await?;
    ctx.halt.lets_begin()?;
    ctx.runtime.on_behalf_of(caller.name.clone()).release(session, release.skip).await?;
    Ok(Json(settled(&ctx, &caller, session).await?))
}

async fn goal(
    Of(ctx): Of<Ctx>,
    Who(caller): Who,
    Id(session): Id,
) -> Answer<Json<Option<GoalWire>>> {
    let goal = ctx.line(&caller, session).await?.goal;
    let goal =
        goal.map(|goal| GoalWire { objective: goal.objective, token_budget: goal.token_budget });
    Ok(Json(goal))
}

async fn set_goal(
    Of(ctx): Of<Ctx>,
    Who(caller): Who,
    Id(session): Id,
    Take(goal): Take<GoalWire>,
) -> Answer<Json<GoalWire>> {
    ctx.line(&caller, session).await?;
    let GoalWire { objective, token_budget } = goal.clone();
    let wanted = Goal { objective, token_budget };
    ctx.runtime.on_behalf_of(caller.name).set_goal(session, Some(wanted)).await?;
    Ok(Json(goal))
}

async fn clear_goal(Of(ctx): Of<Ctx>, Who(caller): Who, Id(session): Id) -> Answer<Json<Accepted>> {
    ctx.line(&caller, session).await?;
    ctx.runtime.on_behalf_of(caller.name).set_goal(session, None).await?;
    Ok(Json(Accepted { session: session.to_string() }))
}
