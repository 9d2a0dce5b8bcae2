//! A session as it happens: its frames from a cursor on, without a gap and none twice, and between them
//! the pieces that no log keeps. A reader costs a cursor and a short queue: one that is too slow is told
//! how much it missed, and is given the frames from the log.

use std::{collections::VecDeque, convert::Infallible};

use axum::{
    extract::State as Of,
    http::HeaderMap,
    response::{
        IntoResponse,
        sse::{Event as Sent, Sse},
    },
};
use futures_util::stream::{self, Stream};
use greenroom_actors::{
    domain::{
        event::Event,
        ids::{CallId, CallNo, ModelCallNo, Position, SessionId},
        model::ModelEvent,
    },
    runtime::{Heard, Listener, Note},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use super::{
    Ctx,
    accept::over,
    problem::{Answer, problem},
    routes::{Gives, Route},
    take::{Asked, Id, Who},
    wire::FrameWire,
};

/// How often a silent stream says that it lives: proxies give up after half a minute.
pub(super) const BEAT_MS: u64 = 15_000;
/// Frames that are read from the log at once, at most, and how long they should be together: the next
/// page has as many as would fit if they were as long as those of the last.
const READ: usize = 64;
const READ_BYTES: usize = 128 * 1_024;

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::get(
            "/v1/sessions/{session}/events",
            "A session as it happens; `Last-Event-ID` or `after` resumes",
            follow,
        )
        .asks::<Wishes>()
        .with(Gives::Events),
    ]
}

/// From where on.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Wishes {
    /// The last frame that is known.
    after: Option<u64>,
}

/// A stream that counts as one of its token's for as long as it is open.
pub(super) struct Pass {
    ctx: Ctx,
    token: u32,
}

impl Pass {
    pub(super) fn take(ctx: &Ctx, token: u32) -> Answer<Self> {
        if ctx.rates.open_stream(token) {
            return Ok(Self { ctx: Ctx::clone(ctx), token });
        }
        Err(problem("busy", "this token follows too much at once").again_in(5))
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        self.ctx.rates.close_stream(self.token);
    }
}

async fn follow(
    Of(ctx): Of<Ctx>,
    Who(caller): Who,
    Id(session): Id,
    Asked(wishes): Asked<Wishes>,
    headers: HeaderMap,
) -> Answer<impl IntoResponse> {
    let row = ctx.line(&caller, session).await?;
    let told =
        headers.get("last-event-id").map(|id| id.to_str().ok().and_then(|id| id.parse().ok()));
    let cursor = match told {
        Some(Some(id)) => id,
        Some(None) => return Err(problem("invalid", "Last-Event-ID is no id of this stream")),
        None => wishes.after.unwrap_or(0),
    };
    // A frame that was committed a moment ago may not be in the line yet, but it is in the log.
    if cursor > row.position.0 && cursor > ctx.reading.tail(session).await?.0 {
        let words = format!("the log ends at {}: nobody was given {cursor}", row.position);
        return Err(problem("invalid", words));
    }
    let following = Following {
        // It listens before it reads, so that nothing falls between.
        listener: ctx.runtime.follow(session),
        stopped: ctx.halt.end(),
        _pass: Pass::take(&ctx, caller.no)?,
        ctx,
        session,
        root: row.root,
        cursor: Position(cursor),
        // Nothing is known of their length yet.
        rows: 4,
        called: None,
        ready: VecDeque::new(),
        stage: Stage::Reading,
    };
    Ok(Sse::new(following.events()))
}

/// Where a reader is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Behind the log's end.
    Reading,
    /// At it.
    Listening,
    /// The last event is out.
    Over,
}

/// One reader.
struct Following {
    ctx: Ctx,
    session: SessionId,
    /// The root of its tree, with which it may be deleted.
    root: SessionId,
    /// The last frame that was given out.
    cursor: Position,
    /// Frames that are asked for at once.
    rows: usize,
    /// The last model call whose whole answer was: pieces of it come too late.
    called: Option<ModelCallNo>,
    listener: Listener,
    stopped: watch::Receiver<bool>,
    ready: VecDeque<Sent>,
    stage: Stage,
    _pass: Pass,
}

#[derive(Serialize)]
struct Piece<'a> {
    call: String,
    kind: &'static str,
    text: &'a str,
}

#[derive(Serialize)]
struct Progress<'a> {
    call: String,
    label: &'a str,
}

#[derive(Serialize)]
struct Lagged {
    missed: u64,
}

#[derive(Serialize)]
pub(super) struct End {
    pub(super) why: &'static str,
}

/// An event with a value as JSON.
pub(super) fn sent<T: Serialize>(name: &str, value: &T) -> Sent {
    let text = serde_json::to_string(value).unwrap_or_default();
    Sent::default().event(name).data(text)
}

impl Following {
    fn events(self) -> impl Stream<Item = Result<Sent, Infallible>> {
        stream::unfold(self, |mut following| async move {
            following.next().await.map(|event| (Ok(event), following))
        })
    }

    async fn next(&mut self) -> Option<Sent> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Some(event);
            }
            match self.stage {
                Stage::Reading => self.read().await,
                Stage::Listening => self.listen().await,
                Stage::Over => return None,
            }
        }
    }

    /// The next frames of the log.
    async fn read(&mut self) {
        let frames = match self.ctx.reading.page(self.session, self.cursor, self.rows).await {
            Ok(frames) => frames,
            Err(error) => {
                tracing::warn!(session = %self.session, %error, "a reader was sent away");
                return self.end("the log cannot be read");
            }
        };
        if frames.is_empty() {
            self.stage = Stage::Listening;
        }
        let (many, mut bytes) = (frames.len(), 0);
        for frame in frames {
            let position = frame.envelope.position;
            self.saw(&frame.events);
            bytes += self.give(position, &FrameWire::of(self.session, frame));
        }
        let fit = (READ_BYTES * many).checked_div(bytes).unwrap_or(READ);
        self.rows = fit.clamp(1, READ);
    }

    /// Gives a frame out; how long it is.
    fn give(&mut self, position: Position, frame: &FrameWire) -> usize {
        self.cursor = position;
        let text = serde_json::to_string(frame).unwrap_or_default();
        let bytes = text.len();
        let event = Sent::default().event("frame").data(text);
        self.ready.push_back(event.id(position.to_string()));
        bytes
    }

    fn saw(&mut self, events: &[Event]) {
        for event in events {
            if let Event::ModelCallFinished { call, .. } | Event::ModelCallFailed { call, .. } =
                event
            {
                self.called = self.called.max(Some(*call));
            }
        }
    }

    async fn listen(&mut self) {
        let heard = tokio::select! {
            biased;
            heard = self.listener.next() => Ok(heard),
            () = over(&mut self.stopped) => Err("the server ends"),
            () = self.ctx.runtime.deleted(self.root) => Err("it was deleted"),
            () = self.ctx.clock.after(BEAT_MS) => {
                return self.ready.push_back(Sent::default().comment("alive"));
            }
        };
        let heard = match heard {
            Ok(heard) => heard,
            Err(why) => return self.end(why),
        };
        match heard {
            Some(Heard::Note(Note::Frame(frame))) if frame.position <= self.cursor => {}
            Some(Heard::Note(Note::Frame(frame))) if frame.position == self.cursor.next() => {
                self.saw(&frame.events);
                self.give(frame.position, &FrameWire::heard(&frame));
            }
            // Something lies between.
            Some(Heard::Note(Note::Frame(_))) => self.stage = Stage::Reading,
            Some(Heard::Note(Note::Delta { call, event })) => self.piece(call, &event),
            Some(Heard::Note(Note::Progress { call, label })) => {
                let progress = Progress { call: call.no.to_string(), label: &label };
                self.ready.push_back(sent("progress", &progress));
            }
            Some(Heard::Lagged { missed }) => {
                self.ready.push_back(sent("lagged", &Lagged { missed }));
                self.stage = Stage::Reading;
            }
            None => self.end("the runtime has ended"),
        }
    }

    fn piece(&mut self, call: CallId, event: &ModelEvent) {
        let is_late = matches!(call.no, CallNo::Model(no) if self.called >= Some(no));
        let (kind, text) = match event {
            ModelEvent::Text { delta } => ("text", delta),
            ModelEvent::Thinking { delta } => ("thinking", delta),
            ModelEvent::Limits { .. } | ModelEvent::Finished { .. } => return,
        };
        if !is_late {
            let piece = Piece { call: call.no.to_string(), kind, text };
            self.ready.push_back(sent("delta", &piece));
        }
    }

    /// The last event: who reads it knows that nothing more comes, and why.
    fn end(&mut self, why: &'static str) {
        self.ready.push_back(sent("end", &End { why }));
        self.stage = Stage::Over;
    }
}
