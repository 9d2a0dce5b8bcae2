//! What changes in the house, told while somebody looks: which sessions, at most four times a second, and
//! how the house is. Nothing is kept for a reader: one that was away looks at everything anew.

use std::{convert::Infallible, sync::Arc};

use axum::{
    extract::State as Of,
    response::{
        IntoResponse,
        sse::{Event as Sent, Sse},
    },
};
use futures_util::{future::BoxFuture, stream};
use serde::Serialize;
use tokio::sync::{
    broadcast::{self, error::RecvError},
    watch,
};

use super::{
    Ctx,
    accept::over,
    events::{BEAT_MS, End, Pass, sent},
    problem::Answer,
    pulse::{Changed, Changes},
    routes::{Gives, Route},
    take::Who,
    token::Caller,
};

/// How often the status is told.
const STATUS_MS: u64 = 2_000;
/// Silent ticks after which a beat is due.
const BEATS: u64 = BEAT_MS / STATUS_MS;

pub(super) fn routes() -> Vec<Route> {
    vec![Route::get("/v1/changes", "What changes in the house", watch_house).with(Gives::Events)]
}

async fn watch_house(Of(ctx): Of<Ctx>, Who(caller): Who) -> Answer<impl IntoResponse> {
    let watching = Watching {
        changes: ctx.pulse.changes(),
        stopped: ctx.halt.end(),
        status_at: Box::pin(std::future::ready(())),
        silent: 0,
        over: false,
        _pass: Pass::take(&ctx, caller.no)?,
        caller,
        ctx,
    };
    let events = stream::unfold(watching, |mut watching| async move {
        watching.next().await.map(|event| (Ok::<_, Infallible>(event), watching))
    });
    Ok(Sse::new(events))
}

/// Somebody who looks.
struct Watching {
    ctx: Ctx,
    caller: Caller,
    changes: broadcast::Receiver<Arc<Changes>>,
    stopped: watch::Receiver<bool>,
    status_at: BoxFuture<'static, ()>,
    silent: u64,
    over: bool,
    _pass: Pass,
}

/// What is to be told next.
enum Next {
    Status,
    Changes(Arc<Changes>),
    Missed,
    End(&'static str),
}

#[derive(Serialize)]
struct Told<'a> {
    sessions: Vec<&'a Changed>,
    /// Roots of trees that were deleted, with all below them.
    deleted: Vec<String>,
    more: bool,
}

impl Watching {
    async fn next(&mut self) -> Option<Sent> {
        while !self.over {
            let next = tokio::select! {
                biased;
                () = over(&mut self.stopped) => Next::End("the server ends"),
                _why = self.ctx.runtime.ended() => Next::End("the runtime has ended"),
                () = &mut self.status_at => Next::Status,
                changed = self.changes.recv() => match changed {
                    Ok(changes) => Next::Changes(changes),
                    Err(RecvError::Lagged(_missed)) => Next::Missed,
                    Err(RecvError::Closed) => Next::End("the server ends"),
                },
            };
            let told = match next {
                Next::Status => self.status().await,
                Next::Changes(changes) => self.told(&changes),
                Next::Missed => {
                    let (sessions, deleted) = (Vec::new(), Vec::new());
                    Some(sent("changed", &Told { sessions, deleted, more: true }))
                }
                Next::End(why) => return self.end(why),
            };
            if told.is_some() {
                return told;
            }
        }
        None
    }

    async fn status(&mut self) -> Option<Sent> {
        self.status_at = self.ctx.clock.after(STATUS_MS);
        match self.ctx.status(&self.caller).await {
            Ok(status) => Some(sent("status", &status)),
            // It will be told when it can be.
            Err(_trouble) => {
                self.silent += 1;
                self.silent.is_multiple_of(BEATS).then(|| Sent::default().comment("alive"))
            }
        }
    }

    fn told(&self, changes: &Changes) -> Option<Sent> {
        let own = self.caller.tenant.as_ref();
        let sessions = changes.sessions.iter();
        let sessions: Vec<_> =
            sessions.filter(|one| own.is_none_or(|own| one.tenant.as_ref() == Some(own))).collect();
        let gone = changes.gone.iter().filter(|one| own.is_none_or(|own| one.tenant == *own));
        let deleted: Vec<String> = gone.map(|one| one.root.to_string()).collect();
        let is_anything = changes.more || !sessions.is_empty() || !deleted.is_empty();
        is_anything.then(|| sent("changed", &Told { sessions, deleted, more: changes.more }))
    }

    fn end(&mut self, why: &'static str) -> Option<Sent> {
        self.over = true;
        Some(sent("end", &End { why }))
    }
}
