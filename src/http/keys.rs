//! One effect for one key: a POST that is sent again under the same `Idempotency-Key` gets the first
//! one's answer, one that comes while the first is at work waits for it, and another request under the
//! key is refused. The first is a task of this face and not of its connection: who goes away before the
//! answer comes back for it. Answers are kept in memory for a while; behind that, opening, forking,
//! speaking, asking for a job and taking one are one by their key in the log itself: an attempt is found
//! again as long as it is at work, and one that died with the runtime is nobody's and begins anew. A
//! refusal is not kept: it may be mended meanwhile.

use std::{
    collections::{HashMap, VecDeque},
    future::Future,
    sync::{Arc, Mutex, PoisonError},
};

use axum::{
    body::{Body, Bytes},
    extract::{FromRequestParts as _, Request, State},
    http::{StatusCode, header},
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use greenroom_actors::{Owned, domain::ids::Timestamp};
use sha2::{Digest as _, Sha256};
use tokio::sync::watch;

use super::{
    Ctx,
    problem::{Problem, problem},
    take::{self, Who},
};

/// Answers that are remembered, and how long they are together.
const KEPT: usize = 20_000;
const KEPT_BYTES: usize = 32 * 1_024 * 1_024;
/// For how long: who asks later than that asks the log.
const KEPT_MS: u64 = 24 * 3_600_000;
/// The largest answer that is remembered; a POST's answer is a line about a session. A larger one is
/// given once: only of a job that is taken there is one, and the log knows that.
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
    /// When to try again.
    again: Option<header::HeaderValue>,
    body: Bytes,
}

#[derive(Debug)]
enum Entry {
    /// The first is at work; who waits is told when there is an answer, or none any more.
    Working(Print, watch::Receiver<Option<Given>>, Option<Owned>),
    Done(Print, Given, Timestamp),
}

/// What was answered under which key.
#[derive(Clone, Debug, Default)]
pub(super) struct Keys {
    all: Arc<Mutex<Remembered>>,
}

#[derive(Debug, Default)]
struct Remembered {
    entries: HashMap<Name, Entry>,
    /// The order in which they were done, so that the oldest are forgotten first.
    order: VecDeque<Name>,
    bytes: usize,
}

/// The first of its key. Let go of without an answer, the next one is the first.
struct First {
    keys: Keys,
    name: Name,
    print: Print,
    answer: watch::Sender<Option<Given>>,
}

/// What is to be done with a request.
enum Turn {
    Go(First, watch::Receiver<Option<Given>>),
    Wait(watch::Receiver<Option<Given>>),
    Again(Given),
    Another,
}

impl Keys {
    fn with<T>(&self, see: impl FnOnce(&mut Remembered) -> T) -> T {
        see(&mut self.all.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn begin(&self, name: Name, print: Print, now: Timestamp) -> Turn {
        self.with(|all| {
            all.forget(now);
            match all.entries.get(&name) {
                Some(Entry::Working(other, ..) | Entry::Done(other, ..)) if *other != print => {
                    Turn::Another
                }
                Some(Entry::Working(_, answer, _)) => Turn::Wait(answer.clone()),
                Some(Entry::Done(_, given, _)) => Turn::Again(given.clone()),
                None => {
                    let (answer, waiting) = watch::channel(None);
                    let working = Entry::Working(print, waiting.clone(), None);
                    all.entries.insert(name.clone(), working);
                    Turn::Go(First { keys: self.clone(), name, print, answer }, waiting)
                }
            }
        })
    }

    /// Keeps the task of a first one, unless it is done already; where it failed at once, another may be
    /// the first by now.
    fn keep(&self, name: &Name, answer: &watch::Receiver<Option<Given>>, task: Owned) {
        self.with(|all| {
            if let Some(Entry::Working(_, waiting, own)) = all.entries.get_mut(name)
                && waiting.same_channel(answer)
            {
                *own = Some(task);
            }
        });
    }
}

impl Remembered {
    fn forget(&mut self, now: Timestamp) {
        while let Some(oldest) = self.order.front() {
            let is_old = match self.entries.get(oldest) {
                Some(Entry::Done(.., at)) => now.since_ms(*at) > KEPT_MS,
                Some(Entry::Working(..)) | None => true,
            };
            if !is_old && self.order.len() <= KEPT && self.bytes <= KEPT_BYTES {
                break;
            }
            let Some(oldest) = self.order.pop_front() else { break };
            if let Some(Entry::Done(_, given, _)) = self.entries.remove(&oldest) {
                self.bytes -= given.body.len();
            }
        }
    }
}

impl First {
    /// Tells whoever waits, and remembers what will stay the same.
    fn done(self, given: Given, now: Timestamp) {
        if given.status.is_success() && given.body.len() <= ANSWER_BYTES {
            self.keys.with(|all| {
                all.bytes += given.body.len();
                all.entries.insert(self.name.clone(), Entry::Done(self.print, given.clone(), now));
                all.order.push_back(self.name.clone());
            });
        }
        self.answer.send_replace(Some(given));
    }
}

impl Drop for First {
    fn drop(&mut self) {
        let name = &self.name;
        let working = self.keys.with(|all| match all.entries.get(name) {
            Some(Entry::Working(..)) => all.entries.remove(name),
            Some(Entry::Done(..)) | None => None,
        });
        // Its task is this one, and may be let go of only when nobody is inside the lock.
        drop(working);
    }
}

impl Given {
    fn response(self, is_first: bool) -> Response {
        let mut response = (self.status, self.body).into_response();
        let headers = response.headers_mut();
        if let Some(kind) = self.kind {
            headers.insert(header::CONTENT_TYPE, kind);
        }
        if let Some(again) = self.again {
            headers.insert(header::RETRY_AFTER, again);
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
    let (answer, is_first) = match ctx.keys.begin(name.clone(), print, ctx.clock.running()) {
        Turn::Go(first, answer) => {
            let request = Request::from_parts(parts, Body::from(body));
            let task = finish(Ctx::clone(ctx), first, next.run(request));
            ctx.keys.keep(&name, &answer, Owned::spawn(task));
            (answer, true)
        }
        Turn::Wait(answer) => (answer, false),
        Turn::Again(given) => return Ok(given.response(false)),
        Turn::Another => {
            let words = "the Idempotency-Key was used for another request; take a fresh one";
            return Err(problem("key_reused", words));
        }
    };
    given(answer).await.map(|given| given.response(is_first)).ok_or_else(broken)
}

fn broken() -> Problem {
    problem("unavailable", "the request broke off; send it again under the same key").again_in(1)
}

/// The answer, once there is one; nothing where there will be none.
async fn given(mut answer: watch::Receiver<Option<Given>>) -> Option<Given> {
    answer.wait_for(Option::is_some).await.ok()?.clone()
}

/// Carries a request out and tells what came of it.
async fn finish(ctx: Ctx, first: First, response: impl Future<Output = Response>) {
    let response = response.await;
    let status = response.status();
    let headers = response.headers();
    let kind = headers.get(header::CONTENT_TYPE).cloned();
    let again = headers.get(header::RETRY_AFTER).cloned();
    // The answers of these routes are whole, and this is more than any of them may be.
    let body = axum::body::to_bytes(response.into_body(), ANSWER_BYTES_MAX).await;
    if let Ok(body) = body {
        first.done(Given { status, kind, again, body }, ctx.clock.running());
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    const PRINT: Print = [7; 32];

    fn name() -> Name {
        (1, "key".to_owned())
    }

    fn begun(keys: &Keys) -> (First, watch::Receiver<Option<Given>>) {
        match keys.begin(name(), PRINT, Timestamp(0)) {
            Turn::Go(first, answer) => (first, answer),
            Turn::Wait(_) | Turn::Again(_) | Turn::Another => panic!("somebody else is the first"),
        }
    }

    fn fine() -> Given {
        Given { status: StatusCode::OK, kind: None, again: None, body: Bytes::new() }
    }

    #[tokio::test]
    async fn who_comes_after_one_that_failed_at_once_is_not_stopped_by_it() {
        let keys = Keys::default();
        let (failed, its) = begun(&keys);
        // Its task has ended before anybody kept it, and the next has begun.
        let ended = Owned::spawn(async move { drop(failed) });
        assert!(given(its.clone()).await.is_none(), "it was let go of without an answer");
        let (first, answer) = begun(&keys);
        let (go, gone) = tokio::sync::oneshot::channel::<()>();
        let task = Owned::spawn(async move {
            gone.await.unwrap();
            first.done(fine(), Timestamp(1));
        });
        keys.keep(&name(), &answer, task);
        keys.keep(&name(), &its, ended);
        let waiting = match keys.begin(name(), PRINT, Timestamp(0)) {
            Turn::Wait(answer) => answer,
            Turn::Go(..) | Turn::Again(_) | Turn::Another => panic!("it is at work"),
        };
        go.send(()).expect("it is at work");
        assert_eq!(given(answer).await.map(|given| given.status), Some(StatusCode::OK));
        assert_eq!(given(waiting).await.map(|given| given.status), Some(StatusCode::OK));
        assert!(matches!(keys.begin(name(), PRINT, Timestamp(2)), Turn::Again(_)));
    }

    #[tokio::test]
    async fn who_waits_for_one_that_is_stopped_is_told_and_does_not_hang() {
        let keys = Keys::default();
        let (first, answer) = begun(&keys);
        let task = Owned::spawn(async move {
            std::future::pending::<()>().await;
            drop(first);
        });
        let Turn::Wait(waiting) = keys.begin(name(), PRINT, Timestamp(0)) else { panic!() };
        assert!(given(waiting.clone()).now_or_never().is_none());
        drop(task);
        assert!(given(waiting).await.is_none());
        assert!(given(answer).await.is_none());
        drop(begun(&keys));
    }
}
