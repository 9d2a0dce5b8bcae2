//! One effect for one key: a POST that is sent again under the same `Idempotency-Key` gets the first
//! one's answer, one that comes while the first is at work waits for it, and another request under the
//! key is refused. Answers are kept in memory for a while; behind that, opening, forking and speaking are
//! one by their key in the log itself, and the other orders change nothing when they are repeated.

use std::sync::{Mutex, PoisonError};

use axum::{
    body::{Body, Bytes},
    extract::{FromRequestParts as _, Request, State},
    http::{StatusCode, header},
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use greenroom_actors::domain::ids::Timestamp;
use sha2::{Digest as _, Sha256};
use std::collections::{HashMap, VecDeque};
use tokio::sync::watch;

use super::{
    Ctx,
    problem::{Problem, problem},
    take::{self, Who},
};

/// Answers that are remembered: at 1 KB each some 20 MB.
const KEPT: usize = 20_000;
/// For how long: who asks later than that asks the log.
const KEPT_MS: u64 = 24 * 3_600_000;
/// The largest answer that is remembered; a POST's answer is a line about a session. A larger one is
/// given once, and asking again does it again.
const ANSWER_BYTES: usize = 64 * 1_024;
/// The largest answer that there is.
const ANSWER_BYTES_MAX: usize = 64 * 1_024 * 1_024;

/// Which token, and its key: two tokens of one name are two.
type Name = (u32, String);
type Print = [u8; 32];

/// An answer as it was given.
#[derive(Clone, Debug)]
struct Given {
    status: StatusCode,
    kind: Option<header::HeaderValue>,
    body: Bytes,
}

#[derive(Clone, Debug)]
enum Entry {
    /// The first is at work; who waits is told when there is an answer, or none any more.
    Working(Print, watch::Receiver<Option<Given>>),
    Done(Print, Given, Timestamp),
}

/// What was answered under which key.
#[derive(Debug, Default)]
pub(super) struct Keys {
    all: Mutex<Remembered>,
}

#[derive(Debug, Default)]
struct Remembered {
    entries: HashMap<Name, Entry>,
    /// The order in which they were done, so that the oldest are forgotten first.
    order: VecDeque<Name>,
}

/// The first of its key. Dropped without an answer, the next one is the first.
struct First<'k> {
    keys: &'k Keys,
    name: Name,
    print: Print,
    answer: watch::Sender<Option<Given>>,
}

/// What is to be done with a request.
enum Turn<'k> {
    Go(First<'k>),
    Wait(watch::Receiver<Option<Given>>),
    Again(Given),
    Another,
}

impl Keys {
    fn begin(&self, name: Name, print: Print, now: Timestamp) -> Turn<'_> {
        let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        all.forget(now);
        match all.entries.get(&name) {
            Some(Entry::Working(other, _) | Entry::Done(other, ..)) if *other != print => {
                Turn::Another
            }
            Some(Entry::Working(_, answer)) => Turn::Wait(answer.clone()),
            Some(Entry::Done(_, given, _)) => Turn::Again(given.clone()),
            None => {
                let (answer, waiting) = watch::channel(None);
                all.entries.insert(name.clone(), Entry::Working(print, waiting));
                Turn::Go(First { keys: self, name, print, answer })
            }
        }
    }
}

impl Remembered {
    fn forget(&mut self, now: Timestamp) {
        while let Some(oldest) = self.order.front() {
            let is_old = match self.entries.get(oldest) {
                Some(Entry::Done(.., at)) => now.since_ms(*at) > KEPT_MS,
                Some(Entry::Working(..)) | None => true,
            };
            if !is_old && self.order.len() <= KEPT {
                break;
            }
            if let Some(oldest) = self.order.pop_front() {
                self.entries.remove(&oldest);
            }
        }
    }
}

impl First<'_> {
    fn done(self, given: Given, now: Timestamp) {
        let mut all = self.keys.all.lock().unwrap_or_else(PoisonError::into_inner);
        let done = Entry::Done(self.print, given.clone(), now);
        all.entries.insert(self.name.clone(), done);
        all.order.push_back(self.name.clone());
        drop(all);
        self.answer.send_replace(Some(given));
    }
}

impl Drop for First<'_> {
    fn drop(&mut self) {
        let mut all = self.keys.all.lock().unwrap_or_else(PoisonError::into_inner);
        if matches!(all.entries.get(&self.name), Some(Entry::Working(..))) {
            all.entries.remove(&self.name);
        }
    }
}

impl Given {
    fn response(self, is_first: bool) -> Response {
        let mut response = (self.status, self.body).into_response();
        let headers = response.headers_mut();
        if let Some(kind) = self.kind {
            headers.insert(header::CONTENT_TYPE, kind);
        }
        if !is_first {
            headers.insert("idempotent-replay", header::HeaderValue::from_static("true"));
        }
        response
    }
}

/// In front of every route that changes something.
pub(super) async fn once(State(ctx): State<Ctx>, request: Request, next: Next) -> Response {
    match keyed(&ctx, request, next).await {
        Ok(response) => response,
        Err(problem) => problem.into_response(),
    }
}

async fn keyed(ctx: &Ctx, request: Request, next: Next) -> Result<Response, Problem> {
    let Some(key) = take::key(request.headers())? else { return Ok(next.run(request).await) };
    let (mut parts, body) = request.into_parts();
    let Who(caller) = Who::from_request_parts(&mut parts, ctx).await?;
    let body = take::read(body, ctx).await?;
    let mut print = Sha256::new();
    for piece in [parts.method.as_str().as_bytes(), parts.uri.path().as_bytes(), &body] {
        print.update((piece.len() as u64).to_be_bytes());
        print.update(piece);
    }
    let (name, print) = ((caller.no, key), print.finalize().into());
    loop {
        match ctx.keys.begin(name.clone(), print, ctx.clock.running()) {
            Turn::Go(first) => {
                let request = Request::from_parts(parts, Body::from(body));
                return finish(ctx, first, next.run(request).await).await;
            }
            Turn::Again(given) => return Ok(given.response(false)),
            Turn::Another => {
                let words = "the Idempotency-Key was used for another request; take a fresh one";
                return Err(problem("key_reused", words));
            }
            Turn::Wait(mut answer) => {
                // Where the first broke off without an answer, this one is the first now.
                if let Ok(given) = answer.wait_for(Option::is_some).await
                    && let Some(given) = given.clone()
                {
                    return Ok(given.response(false));
                }
            }
        }
    }
}

/// Remembers an answer that will stay the same. One that may be better next time is not kept.
async fn finish(ctx: &Ctx, first: First<'_>, response: Response) -> Result<Response, Problem> {
    let status = response.status();
    let passes = status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS;
    if passes {
        return Ok(response);
    }
    let kind = response.headers().get(header::CONTENT_TYPE).cloned();
    let (parts, body) = response.into_parts();
    let body = axum::body::to_bytes(body, ANSWER_BYTES_MAX).await;
    let Ok(body) = body else {
        return Err(problem("internal", "the answer broke off"));
    };
    if body.len() <= ANSWER_BYTES {
        let given = Given { status, kind, body: body.clone() };
        first.done(given, ctx.clock.running());
    }
    Ok(Response::from_parts(parts, Body::from(body)))
}
