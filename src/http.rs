//! The HTTP face: the runtime as a service that programs call and people watch. It owns what is said
//! on the wire, who may say it and how a connection is treated; it decides nothing about agents, and
//! keeps nothing that the store does not hold but figures over time and the answers to recent keys.
//!
//! ```text
//! connection ─ accept ─ door (host, origin, token, scope, rate) ─ keys ─ a route ─ the runtime's handle
//! ```
//!
//! `routes` is one table: the router, the scopes that a token needs, the OpenAPI document and the
//! tests of both are made from it, so that no route can be forgotten in one of them.
//!
//! An app that embeds the runtime mounts the same router:
//!
//! ```
//! use greenroom::{Face, FaceOptions, Runtime, Token};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let folder = tempfile::tempdir()?;
//! # let path = folder.path().join("greenroom.db");
//! let runtime = Runtime::builder().store(path).script("agent *\n  say Yes.").start().await?;
//! let token = Token::fresh()?;
//! let face = Face::new(&runtime, FaceOptions::default().token(token.admin("me")));
//! let app: axum::Router = axum::Router::new().nest_service("/agents", face.router());
//! # drop(app);
//! # runtime.shutdown().await;
//! # Ok(())
//! # }
//! ```

mod accept;
mod door;
mod keys;
mod openapi;
mod page;
mod peers;
mod problem;
mod pulse;
mod rates;
mod routes;
mod take;
mod token;
mod wire;

mod agents;
mod approvals;
mod changes;
mod checkpoints;
mod events;
mod frames;
mod halt;
mod jobs;
mod models;
mod sessions;
mod status;
mod tools;
mod totals;
mod tree;
mod turns;

#[cfg(test)]
mod tests;

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::Arc,
};

use axum::Router;
use greenroom_actors::{
    Clock, Owned, Runtime,
    domain::ids::{SessionId, TenantId, Timestamp},
    runtime::{Ended, Reading},
};

pub use accept::{ServeError, Served};
pub use token::{BadToken, Grant, Scope, Token, Tokens};

/// What a face is made of.
#[derive(Clone, Debug)]
pub struct FaceOptions {
    /// Who may do what.
    pub tokens: Tokens,
    /// Names under which it may be called, beside those of the loopback and the address it listens on.
    pub hosts: Vec<String>,
    /// Whose sessions a token for every tenant opens.
    pub tenant: TenantId,
    /// The program's version, as it is told.
    pub version: String,
    /// What holds tools' processes, in words.
    pub custody: Option<String>,
    /// Requests that one token may make in a second, for a while more than that.
    pub requests_per_second: u32,
}

impl Default for FaceOptions {
    fn default() -> Self {
        Self {
            tokens: Tokens::default(),
            hosts: Vec::new(),
            tenant: "default".into(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            custody: None,
            requests_per_second: rates::PER_SECOND,
        }
    }
}

impl FaceOptions {
    /// One more who may call it.
    #[must_use]
    pub fn token(mut self, grant: Grant) -> Self {
        self.tokens.admit(grant);
        self
    }

    /// One more name under which it may be called, such as that of a proxy in front of it.
    #[must_use]
    pub fn host(mut self, name: impl Into<String>) -> Self {
        self.hosts.push(name.into());
        self
    }
}

/// The HTTP face of a running runtime. It ends with its last clone; the runtime goes on.
#[derive(Clone)]
pub struct Face {
    ctx: Ctx,
    /// What it hears of the house.
    _ears: Arc<[Owned]>,
}

impl std::fmt::Debug for Face {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Face")
    }
}

/// What every route is given.
type Ctx = Arc<House>;

/// The runtime as routes see it.
struct House {
    runtime: Runtime,
    reading: Reading,
    clock: Arc<dyn Clock>,
    options: FaceOptions,
    began: Timestamp,
    keys: keys::Keys,
    rates: rates::Rates,
    pulse: pulse::Pulse,
    outcomes: tree::Outcomes,
    lists: models::Lists,
    halt: halt::Switch,
    /// The document that describes the routes, made once.
    document: std::sync::OnceLock<bytes::Bytes>,
}

impl House {
    /// Whether a session is this caller's to see.
    fn sees(&self, who: &token::Caller, tenant: &TenantId) -> bool {
        who.tenant.as_ref().is_none_or(|own| own == tenant)
    }

    /// Its line where it is this caller's; of others not even that they exist is told.
    async fn line(
        &self,
        who: &token::Caller,
        session: SessionId,
    ) -> Result<greenroom_actors::domain::catalog::SessionRow, problem::Problem> {
        let row = self.reading.session(session).await?;
        row.filter(|row| self.sees(who, &row.tenant)).ok_or_else(|| problem::no_session(session))
    }
}

impl Face {
    /// A face of this runtime. It hears from now on; nobody can reach it before it is served or mounted.
    #[must_use]
    pub fn new(runtime: &Runtime, options: FaceOptions) -> Self {
        let clock = runtime.clock();
        let ctx = Arc::new(House {
            reading: runtime.reading(),
            began: clock.now(),
            keys: keys::Keys::default(),
            rates: rates::Rates::new(options.requests_per_second),
            pulse: pulse::Pulse::default(),
            outcomes: tree::Outcomes::default(),
            lists: models::Lists::default(),
            halt: halt::Switch::new(runtime.clone()),
            document: std::sync::OnceLock::new(),
            runtime: runtime.clone(),
            clock,
            options,
        });
        let ears = [
            Owned::spawn(pulse::listen(Arc::clone(&ctx), runtime.subscribe_to_frames())),
            Owned::spawn(pulse::sample(Arc::clone(&ctx))),
        ];
        Self { ctx, _ears: ears.into() }
    }

    /// Every route behind its door, to be mounted in a program's own server. Where that server listens
    /// the names it may be called by must be said, with [`FaceOptions::host`].
    pub fn router(&self) -> Router {
        routes::router(&self.ctx)
    }

    /// The OpenAPI document of its routes, as `/openapi.json` serves it.
    #[must_use]
    pub fn openapi(&self) -> serde_json::Value {
        openapi::document(&routes::all(), &self.ctx.options.version)
    }

    /// Returns when the runtime behind it has ended, and why.
    pub async fn ended(&self) -> Ended {
        self.ctx.runtime.ended().await
    }

    /// Listens and serves until what is returned is dropped or ended.
    ///
    /// # Errors
    /// When the address is not the machine's own and no token was declared for it, or cannot be had.
    pub async fn serve(&self, at: SocketAddr, openly: bool) -> Result<Served, ServeError> {
        accept::serve(self, at, openly).await
    }
}

/// Where it listens unless somebody says otherwise.
pub(crate) const USUAL: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 4_173);
