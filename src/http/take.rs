//! What a request brings, read and checked: ids in the path, wishes in the query, a body of JSON. What
//! is not understood is told with its place; nothing is read that is larger than its bound or comes too
//! slowly.

use axum::{
    body::{Body, Bytes},
    extract::{FromRequest, FromRequestParts, Path, Request},
    http::{HeaderMap, header, request::Parts},
};
use futures_util::StreamExt as _;
use greenroom_actors::{
    domain::ids::{ApprovalId, ApprovalNo, InputKey, SessionId},
    limits,
};
use serde::de::DeserializeOwned;

use super::{
    Ctx,
    problem::{Problem, problem},
    token::Caller,
};

/// A body: twice the longest input, for JSON spells some letters in six.
pub(super) const BODY_BYTES: usize = 2 * limits::INPUT_BYTES + 16 * 1_024;
/// How long a body may be silent.
const BODY_IDLE_MS: u64 = 10_000;
/// How long it may take altogether.
const BODY_MS: u64 = 30_000;

/// A name as people give them: not empty, not endless, nothing that a terminal would obey.
pub(super) fn is_name(what: &str, text: &str) -> Result<(), Problem> {
    let is_fine = (1..=NAME_BYTES).contains(&text.len()) && !text.chars().any(char::is_control);
    let words = || format!("`{what}`: expected 1 to {NAME_BYTES} bytes without control characters");
    is_fine.then_some(()).ok_or_else(|| problem("unprocessable", words()))
}

/// The longest name.
const NAME_BYTES: usize = 200;

/// Who asks.
pub(super) struct Who(pub(super) Caller);

impl FromRequestParts<Ctx> for Who {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _ctx: &Ctx) -> Result<Self, Problem> {
        // The door has put it there; a route without a door has nobody.
        let caller = parts.extensions.get::<Caller>().cloned();
        caller.map(Self).ok_or_else(|| problem("unauthorised", "expected a token"))
    }
}

/// The session of a path.
pub(super) struct Id(pub(super) SessionId);

impl FromRequestParts<Ctx> for Id {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, ctx: &Ctx) -> Result<Self, Problem> {
        let text: Path<std::collections::HashMap<String, String>> = path(parts, ctx).await?;
        parse_id(text.get("session").map(String::as_str).unwrap_or_default()).map(Self)
    }
}

async fn path<T: DeserializeOwned + Send>(
    parts: &mut Parts,
    ctx: &Ctx,
) -> Result<Path<T>, Problem> {
    let found = Path::<T>::from_request_parts(parts, ctx).await;
    found.map_err(|_odd| problem("not_found", "the address is not one of this server's"))
}

fn parse_id(text: &str) -> Result<SessionId, Problem> {
    // One spelling for each: others would pass by what compares addresses.
    let id: Option<SessionId> = text.parse().ok();
    let id = id.filter(|id| id.to_string() == text);
    id.ok_or_else(|| problem("not_found", "no such session: expected its id, a UUID in lower case"))
}

/// The question of a path.
pub(super) struct Question(pub(super) ApprovalId);

impl FromRequestParts<Ctx> for Question {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, ctx: &Ctx) -> Result<Self, Problem> {
        let Path((session, no)): Path<(String, String)> = path(parts, ctx).await?;
        let session = parse_id(&session)?;
        let digits = no.strip_prefix('a').unwrap_or(&no);
        let no = digits.parse().ok().map(ApprovalNo);
        let no = no.ok_or_else(|| problem("not_found", "no such question: expected its number"))?;
        Ok(Self(ApprovalId { session, no }))
    }
}

/// A name at the end of a path.
pub(super) struct Named(pub(super) SessionId, pub(super) String);

impl FromRequestParts<Ctx> for Named {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, ctx: &Ctx) -> Result<Self, Problem> {
        let Path((session, name)): Path<(String, String)> = path(parts, ctx).await?;
        Ok(Self(parse_id(&session)?, name))
    }
}

/// The wishes in a query; one that is not known is refused, for it would be passed by in silence.
pub(super) struct Asked<T>(pub(super) T);

impl<T: DeserializeOwned + Send> FromRequestParts<Ctx> for Asked<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, ctx: &Ctx) -> Result<Self, Problem> {
        let read = axum::extract::Query::<T>::from_request_parts(parts, ctx).await;
        let wrong = |error: axum::extract::rejection::QueryRejection| {
            problem("invalid", format!("the query is not understood: {}", error.body_text()))
        };
        read.map(|query| Self(query.0)).map_err(wrong)
    }
}

/// A body of JSON.
pub(super) struct Take<T>(pub(super) T);

impl<T: DeserializeOwned> FromRequest<Ctx> for Take<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, ctx: &Ctx) -> Result<Self, Problem> {
        is_json(request.headers())?;
        let bytes = read(request.into_body(), ctx).await?;
        // A body that may be left out altogether is an empty object.
        let bytes: &[u8] = if bytes.is_empty() { b"{}" } else { &bytes };
        parse(bytes).map(Self)
    }
}

fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    // A list would be read as an object without names.
    if bytes.trim_ascii_start().first() != Some(&b'{') {
        return Err(problem("invalid", "the body is not as expected: an object, `{…}`"));
    }
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let wrong = |place: &str, error: &serde_json::Error| {
        let place = if place == "." { "the body" } else { place };
        problem("invalid", format!("{place} is not as expected: {error}"))
    };
    let value = serde_path_to_error::deserialize(&mut reader)
        .map_err(|error| wrong(&error.path().to_string(), error.inner()))?;
    reader.end().map_err(|error| wrong(".", &error))?;
    Ok(value)
}

/// A form can be sent by any page without asking; JSON cannot.
fn is_json(headers: &HeaderMap) -> Result<(), Problem> {
    let refused = || problem("not_json", "expected `Content-Type: application/json`");
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    let kind = kind.ok_or_else(refused)?;
    let essence = kind.split(';').next().unwrap_or_default().trim();
    let is_plain = headers.get(header::CONTENT_ENCODING).is_none();
    (essence.eq_ignore_ascii_case("application/json") && is_plain).then_some(()).ok_or_else(refused)
}

/// The whole of a body, within its bounds.
pub(super) async fn read(body: Body, ctx: &Ctx) -> Result<Bytes, Problem> {
    let too_large =
        || problem("too_large", format!("expected a body of at most {BODY_BYTES} bytes"));
    let slow = || problem("timed_out", "the body came too slowly");
    let hint = axum::body::HttpBody::size_hint(&body).lower();
    if hint > BODY_BYTES as u64 {
        return Err(too_large());
    }
    let mut pieces = body.into_data_stream();
    let mut whole = Vec::new();
    let mut late = ctx.clock.after(BODY_MS);
    loop {
        let piece = tokio::select! {
            biased;
            piece = pieces.next() => piece,
            () = &mut late => return Err(slow()),
            () = ctx.clock.after(BODY_IDLE_MS) => return Err(slow()),
        };
        match piece {
            None => return Ok(whole.into()),
            Some(Ok(piece)) if whole.len() + piece.len() > BODY_BYTES => return Err(too_large()),
            Some(Ok(piece)) => whole.extend_from_slice(&piece),
            Some(Err(_cut)) => return Err(problem("invalid", "the body broke off")),
        }
    }
}

/// The key under which a request is one request, however often it is sent.
#[derive(Clone, Debug)]
pub(super) struct Key(pub(super) Option<InputKey>);

impl FromRequestParts<Ctx> for Key {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, ctx: &Ctx) -> Result<Self, Problem> {
        let Who(caller) = Who::from_request_parts(parts, ctx).await?;
        // Two who choose the same word have two keys.
        let own = |key| InputKey(format!("{}:{key}", caller.name));
        Ok(Self(key(&parts.headers)?.map(own)))
    }
}

/// The text of it, where there is one.
pub(super) fn key(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let mut told = headers.get_all("idempotency-key").iter();
    let (first, second) = (told.next(), told.next());
    let Some(first) = first else { return Ok(None) };
    let text = first.to_str().ok().filter(|text| !text.is_empty() && text.len() <= KEY_BYTES);
    match (text, second) {
        (Some(text), None) => Ok(Some(text.to_owned())),
        _ => {
            let words =
                format!("expected one Idempotency-Key of 1 to {KEY_BYTES} visible characters");
            Err(problem("invalid", words))
        }
    }
}

/// The longest key: what a log takes as an input's key, less what may be put in front of it.
const KEY_BYTES: usize = 255;
