//! Every route in one table: how it is called, what it takes and gives, which scope it needs and who
//! answers. The router, the doors in front of it, the OpenAPI document and the tests are made from it.

use axum::{
    Router,
    handler::Handler,
    http::Method,
    middleware::from_fn_with_state,
    routing::{MethodFilter, MethodRouter, on},
};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use std::net::SocketAddr;

use super::{
    Ctx, agents, approvals, changes, checkpoints,
    door::{self, Names},
    events, frames, halt, jobs, keys, models, openapi, page,
    problem::{Problem, problem},
    sessions, status,
    token::Scope,
    tools, totals, tree, turns,
};

/// Makes the schema of a type.
type Shape = fn(&mut SchemaGenerator) -> Schema;

/// What an answer is made of.
#[derive(Clone, Copy)]
pub(super) enum Gives {
    /// JSON of this shape.
    Json(Shape),
    /// Server-sent events.
    Events,
    /// Plain text.
    Text,
    /// The document itself.
    Document,
}

/// One route.
pub(super) struct Route {
    pub(super) method: Method,
    pub(super) path: &'static str,
    /// What a token must be for; none for what everybody may see.
    pub(super) scope: Option<Scope>,
    pub(super) summary: &'static str,
    pub(super) query: Option<Shape>,
    pub(super) body: Option<Shape>,
    pub(super) status: u16,
    pub(super) gives: Gives,
    run: MethodRouter<Ctx>,
}

fn shape<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<T>()
}

impl Route {
    /// To look at something: it changes nothing and may be called at will.
    pub(super) fn get<H, T>(path: &'static str, summary: &'static str, run: H) -> Self
    where
        H: Handler<T, Ctx>,
        T: 'static,
    {
        let run = on(MethodFilter::GET, run);
        Self::new(Method::GET, path, (Scope::Read, summary), run)
    }

    /// To have something done.
    pub(super) fn post<H, T>(path: &'static str, says: (Scope, &'static str), run: H) -> Self
    where
        H: Handler<T, Ctx>,
        T: 'static,
    {
        Self::new(Method::POST, path, says, on(MethodFilter::POST, run))
    }

    /// To put something in the place of what is there.
    pub(super) fn put<H, T>(path: &'static str, says: (Scope, &'static str), run: H) -> Self
    where
        H: Handler<T, Ctx>,
        T: 'static,
    {
        Self::new(Method::PUT, path, says, on(MethodFilter::PUT, run))
    }

    /// To take something away.
    pub(super) fn delete<H, T>(path: &'static str, says: (Scope, &'static str), run: H) -> Self
    where
        H: Handler<T, Ctx>,
        T: 'static,
    {
        Self::new(Method::DELETE, path, says, on(MethodFilter::DELETE, run))
    }

    fn new(
        method: Method,
        path: &'static str,
        (scope, summary): (Scope, &'static str),
        run: MethodRouter<Ctx>,
    ) -> Self {
        let (query, body, status, gives) = (None, None, 200, Gives::Text);
        Self { method, path, scope: Some(scope), summary, query, body, status, gives, run }
    }

    /// Everybody may.
    fn open(mut self) -> Self {
        self.scope = None;
        self
    }

    /// Its query has these wishes.
    pub(super) fn asks<T: JsonSchema>(mut self) -> Self {
        self.query = Some(shape::<T>);
        self
    }

    /// Its body is this.
    pub(super) fn takes<T: JsonSchema>(mut self) -> Self {
        self.body = Some(shape::<T>);
        self
    }

    /// Its answer is this.
    pub(super) fn gives<T: JsonSchema>(mut self) -> Self {
        self.gives = Gives::Json(shape::<T>);
        self
    }

    /// Its answer is something else than JSON of a shape.
    pub(super) fn with(mut self, gives: Gives) -> Self {
        self.gives = gives;
        self
    }

    /// Its answer has this status when all went well.
    pub(super) const fn status(mut self, status: u16) -> Self {
        self.status = status;
        self
    }

    /// Whether it changes something, so that a key makes it one effect.
    pub(super) fn changes(&self) -> bool {
        self.method != Method::GET
    }
}

/// All of them.
pub(super) fn all() -> Vec<Route> {
    let mut all = vec![
        Route::get("/healthz", "Whether the server answers", status::healthy).open(),
        Route::get("/readyz", "Whether the runtime works", status::ready),
        Route::get("/metrics", "Figures as Prometheus reads them", status::metrics),
        Route::get("/openapi.json", "This document", openapi::serve).with(Gives::Document),
    ];
    all.extend(status::routes());
    all.extend(agents::routes());
    all.extend(models::routes());
    all.extend(sessions::routes());
    all.extend(turns::routes());
    all.extend(frames::routes());
    all.extend(events::routes());
    all.extend(tree::routes());
    all.extend(changes::routes());
    all.extend(approvals::routes());
    all.extend(checkpoints::routes());
    all.extend(tools::routes());
    all.extend(totals::routes());
    all.extend(jobs::routes());
    all.extend(halt::routes());
    all
}

/// The router of an app that serves it itself.
pub(super) fn router(ctx: &Ctx) -> Router {
    router_at(ctx, None)
}

/// The router with every door, as it is called at this address.
pub(super) fn router_at(ctx: &Ctx, at: Option<SocketAddr>) -> Router {
    let mut router = Router::new();
    for route in all() {
        let changes = route.changes();
        let mut run = route.run;
        if changes {
            run = run.route_layer(from_fn_with_state(Ctx::clone(ctx), keys::once));
        }
        if let Some(scope) = route.scope {
            let state = (Ctx::clone(ctx), scope);
            run = run.route_layer(from_fn_with_state(state, door::inner));
        }
        router = router.route(route.path, run);
    }
    router = page::mounted(router);
    let names = Names::new(&ctx.options.hosts, at);
    router
        .fallback(nowhere)
        .method_not_allowed_fallback(not_so)
        .with_state(Ctx::clone(ctx))
        .layer(from_fn_with_state((Ctx::clone(ctx), names), door::outer))
}

async fn nowhere() -> Problem {
    problem("not_found", "no such address; GET /openapi.json lists those that there are")
}

async fn not_so() -> Problem {
    problem("method_not_allowed", "GET /openapi.json says which methods an address takes")
}
