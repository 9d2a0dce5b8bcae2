//! The door: whether a request may come in at all. First where it was sent to and from where, so that a
//! page of somebody else's cannot make a browser speak for its owner; then how often; then who it is and
//! whether that one may. Nothing behind it asks again, and nothing is told to who is not let in.

use std::net::SocketAddr;

use axum::{
    extract::{Request, State},
    http::{HeaderMap, HeaderValue, header},
    middleware::Next,
    response::{IntoResponse as _, Response},
};

use super::{
    Ctx,
    accept::Peer,
    problem::{Problem, problem},
    token::{Caller, Scope},
};

/// Addresses are ids and a few filters; what is longer is not one of ours.
const URI_BYTES: usize = 4_096;

/// What every answer says to browsers: nothing is loaded from elsewhere, framed, guessed or kept.
const HEADERS: [(header::HeaderName, &str); 6] = [
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'self'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
         connect-src 'self'; object-src 'none'; base-uri 'none'; form-action 'none'; \
         frame-ancestors 'none'",
    ),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::CACHE_CONTROL, "no-store"),
    (header::HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
];

/// The names it may be called by.
#[derive(Clone, Debug)]
pub(super) struct Names {
    hosts: Vec<String>,
    /// The port that it listens on, where it is known.
    port: Option<u16>,
}

impl Names {
    pub(super) fn new(own: &[String], at: Option<SocketAddr>) -> Self {
        let mut hosts: Vec<String> = own.iter().map(|name| name.to_ascii_lowercase()).collect();
        hosts.extend(["localhost", "127.0.0.1", "[::1]"].map(str::to_owned));
        if let Some(at) = at.filter(|at| !at.ip().is_unspecified()) {
            hosts.push(match at {
                SocketAddr::V4(v4) => v4.ip().to_string(),
                SocketAddr::V6(v6) => format!("[{}]", v6.ip()),
            });
        }
        Self { hosts, port: at.map(|at| at.port()) }
    }

    /// Whether `HOST` or `HOST:PORT` means this face, letter by letter.
    fn mean(&self, authority: &str) -> bool {
        let authority = authority.to_ascii_lowercase();
        self.hosts.iter().any(|host| match authority.strip_prefix(host.as_str()) {
            Some("") => true,
            Some(rest) => rest.strip_prefix(':').is_some_and(|port| self.is_port(port)),
            None => false,
        })
    }

    /// The same of the place a page came from: without a port that is another server, on the Web's own.
    fn mean_from(&self, authority: &str) -> bool {
        let port = authority.rsplit_once(':').map(|(_host, port)| port);
        let has_port = port.is_some_and(|port| self.is_port(port));
        (has_port || self.port.is_none() || self.port == Some(80)) && self.mean(authority)
    }

    /// A name with a port of its own may be that of a proxy, whose port is not ours to know.
    fn is_port(&self, text: &str) -> bool {
        let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        is_number && text.parse::<u16>().is_ok_and(|port| self.port.is_none_or(|own| own == port))
    }
}

/// The outer door: for every request, known route or not.
pub(super) async fn outer(
    State((ctx, names)): State<(Ctx, Names)>,
    mut request: Request,
    next: Next,
) -> Response {
    let mut response = match look(&ctx, &names, &request) {
        Ok(counted) => {
            request.extensions_mut().insert(counted);
            next.run(request).await
        }
        Err(problem) => problem.into_response(),
    };
    let headers = response.headers_mut();
    for (name, value) in &HEADERS {
        if !headers.contains_key(name) {
            headers.insert(name.clone(), HeaderValue::from_static(value));
        }
    }
    response
}

/// By what a request was counted at the outer door.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Counted {
    Address,
    Token,
}

fn look(ctx: &Ctx, names: &Names, request: &Request) -> Result<Counted, Problem> {
    let (uri, headers) = (request.uri(), request.headers());
    if uri.path_and_query().is_some_and(|uri| uri.as_str().len() > URI_BYTES) {
        return Err(problem("too_long", format!("expected at most {URI_BYTES} bytes of address")));
    }
    host(names, uri.authority().map(|authority| authority.as_str()), headers)?;
    origin(names, headers)?;
    let peer = request.extensions().get::<Peer>();
    let Some(Peer(address)) = peer else { return Ok(Counted::Address) };
    // All who call from this machine have one address: who shows a token is counted by that one alone, so
    // that a process without one shuts nobody out.
    let is_near = address.ip().to_canonical().is_loopback();
    let (counted, by) = match is_near.then(|| caller(ctx, headers)).flatten() {
        Some(caller) => (ctx.rates.token(caller.no, ctx.clock.running()), Counted::Token),
        None => (ctx.rates.address(address.ip(), ctx.clock.running()), Counted::Address),
    };
    counted.map_err(too_often).map(|()| by)
}

fn too_often(seconds: u64) -> Problem {
    problem("busy", format!("too many requests; try again in {seconds} s")).again_in(seconds)
}

/// A name that leads here although it is not ours is somebody's trick with their own name server.
fn host(names: &Names, in_address: Option<&str>, headers: &HeaderMap) -> Result<(), Problem> {
    let mut told = headers.get_all(header::HOST).iter();
    let (first, second) = (told.next(), told.next());
    let first = first.and_then(|host| host.to_str().ok());
    let fits = second.is_none()
        && first.is_some_and(|host| names.mean(host))
        && in_address.is_none_or(|host| names.mean(host));
    if fits {
        return Ok(());
    }
    let words = "expected one Host header with a name of this server; `--host NAME` adds one";
    Err(problem("misdirected", words))
}

/// A browser says which page makes it ask. Only this server's own may.
fn origin(names: &Names, headers: &HeaderMap) -> Result<(), Problem> {
    let foreign = || problem("foreign_origin", "expected no Origin, or this server's own");
    for origin in headers.get_all(header::ORIGIN) {
        let origin = origin.to_str().map_err(|_unreadable| foreign())?;
        let authority = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
        if !authority.is_some_and(|authority| names.mean_from(authority)) {
            return Err(foreign());
        }
    }
    for site in headers.get_all("sec-fetch-site") {
        // `none` is a person who typed the address.
        if !matches!(site.as_bytes(), b"same-origin" | b"none") {
            return Err(foreign());
        }
    }
    Ok(())
}

/// The inner door of a route: who it is, and whether that one may do this.
pub(super) async fn inner(
    State((ctx, scope)): State<(Ctx, Scope)>,
    mut request: Request,
    next: Next,
) -> Response {
    let is_counted = request.extensions().get() == Some(&Counted::Token);
    match admit(&ctx, scope, request.headers(), is_counted) {
        Ok(caller) => {
            request.extensions_mut().insert(caller);
            next.run(request).await
        }
        Err(problem) => problem.into_response(),
    }
}

/// Who sent these headers, if they may do this.
fn admit(
    ctx: &Ctx,
    scope: Scope,
    headers: &HeaderMap,
    is_counted: bool,
) -> Result<Caller, Problem> {
    let Some(caller) = caller(ctx, headers) else {
        return Err(problem(
            "unauthorised",
            "expected `Authorization: Bearer TOKEN` with a token of this server",
        ));
    };
    if !is_counted {
        ctx.rates.token(caller.no, ctx.clock.running()).map_err(too_often)?;
    }
    if !caller.may(scope) {
        let scope = scope.word();
        return Err(problem("forbidden", format!("this token has no scope `{scope}`")));
    }
    Ok(caller)
}

/// Whose token it is, if it is one.
fn caller(ctx: &Ctx, headers: &HeaderMap) -> Option<Caller> {
    let mut told = headers.get_all(header::AUTHORIZATION).iter();
    let presented = match (told.next(), told.next()) {
        (Some(one), None) => one.to_str().ok().and_then(bearer),
        _ => None,
    };
    presented.and_then(|token| ctx.options.tokens.caller(token, ctx.clock.now()))
}

fn bearer(value: &str) -> Option<&str> {
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_own_names_mean_this_server() {
        let at = "127.0.0.1:4173".parse().ok();
        let names = Names::new(&["Green.Example".to_owned()], at);
        for own in ["localhost", "LOCALHOST:4173", "127.0.0.1:4173", "[::1]:4173", "green.example"]
        {
            assert!(names.mean(own), "{own}");
        }
        for foreign in [
            "",
            ":4173",
            "evil.example",
            "localhost.evil.example",
            "localhost.",
            "localhost:80",
            "localhost:",
            "localhost:04173x",
            "localhost:4173:4173",
            "127.1",
            "2130706433",
            "0.0.0.0",
            "[::ffff:127.0.0.1]",
            "me@localhost",
            "localhost/",
            "127.0.0.1.",
            " localhost",
        ] {
            assert!(!names.mean(foreign), "{foreign}");
        }
    }
}
