//! Who makes spans and metrics: one task that hears the house's frames, and for each who takes some a
//! task that hands them over (`sending`). What was not heard is read from the log; what happened before
//! the start was told by whoever ran then, and is only listened to, so that what is still open ends well.
//! Which is which the wall's clock says, and it may be set: what comes behind a frame that was heard is new
//! whatever it says, and a log that is ahead of it is not new.
//!
//! ```text
//!   frames ──▶ hearing ──▶ the queue of each exporter ──▶ sending ──▶ a collector
//!                 │  (bounded; the oldest go)
//!                 ╰──────▶ instruments ◀── read ── sending
//! ```
//!
//! Nobody here is waited for by a session: frames come from the bus, which forgets what is not fetched.

mod sending;

use std::{collections::HashSet, sync::Arc};

use futures_util::future::{BoxFuture, join_all};
use greenroom_actors::{
    Runtime,
    domain::{
        catalog::SessionFilter,
        event::Event,
        ids::{Position, SessionId, Timestamp},
    },
    limits,
    owned::Owned,
    ports::Clock,
    runtime::{CallError, Heard, Listener, Note, Reading, Setup},
};
use secrecy::ExposeSecret as _;
use tokio::sync::oneshot;

use crate::{
    config::Environment,
    telemetry::{
        otel::{
            Collector, Follower, Instruments, MetricTaker, Otlp, Otlpless, Reader, SpanTaker,
            Vendors,
        },
        redact::Secrets,
    },
};

use sending::{Closing, Post, Wait};

use super::clock;

/// Who takes spans and metrics.
#[derive(Default)]
pub struct Exports {
    /// The collector that they are sent to, where there is one.
    pub collector: Option<Collector>,
    /// Who else takes spans.
    pub spans: Vec<Box<dyn SpanTaker>>,
    /// Who else takes metrics.
    pub metrics: Vec<Box<dyn MetricTaker>>,
    /// Who serves the house's models.
    pub vendors: Vendors,
}

impl std::fmt::Debug for Exports {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Exports").field("collector", &self.collector).finish_non_exhaustive()
    }
}

impl Exports {
    /// Makes the exporter to the collector one of those who take something, and its credentials secrets;
    /// before the house begins, so that what begins with it is told.
    pub(super) async fn open(
        mut self,
        secrets: &Secrets,
        setup: &Setup,
    ) -> Result<Opened, Otlpless> {
        if let Some(collector) = &self.collector {
            secrets.learn_address(&collector.endpoint);
            for (_, value) in &collector.headers {
                let value = value.expose_secret().trim();
                secrets.learn(value);
                // Behind the name of its scheme, which is none.
                value.split_once(' ').into_iter().for_each(|(_, rest)| secrets.learn(rest.trim()));
            }
            let otlp = Otlp::new(collector, clock(), Some(&Environment::read().proxies))?;
            self.spans.push(Box::new(otlp.clone()));
            self.metrics.push(Box::new(otlp));
        }
        self.vendors.default = setup.providers.first().map(|provider| provider.name());
        let now = clock().now();
        let is_wanted = !self.spans.is_empty() || !self.metrics.is_empty();
        let since = if is_wanted { behind(&Reading::new(&setup.deps), now).await } else { now };
        Ok(Opened { exports: self, since })
    }
}

/// Now, or behind everything that is in the store: a clock that was set back, or begins anew with its
/// machine, must not tell a whole store again.
async fn behind(reading: &Reading, now: Timestamp) -> Timestamp {
    let filter = SessionFilter { archived: true, ..SessionFilter::default() };
    let rows = match reading.all_sessions(filter).await {
        Ok(rows) => rows,
        Err(error) => {
            tracing::debug!(%error, "sessions cannot be read for their spans");
            return now;
        }
    };
    let last = rows.iter().map(|row| row.updated_at.plus_ms(1)).max();
    last.map_or(now, |last| last.max(now))
}

/// Those who take something, before the house begins.
pub(super) struct Opened {
    exports: Exports,
    /// Before that somebody else told it.
    since: Timestamp,
}

impl Opened {
    /// Starts making and sending, where anybody takes something.
    pub(super) fn staff(self, runtime: &Runtime, clock: Arc<dyn Clock>) -> Option<Exporting> {
        let Self { exports: Exports { collector, spans, metrics, vendors }, since } = self;
        if spans.is_empty() && metrics.is_empty() {
            return None;
        }
        let named = collector.unwrap_or_else(|| Collector::at(""));
        let (rhythm, resource) = (named.rhythm, named.identity.resource(clock.new_session().0));
        let (mut tasks, mut ends) = (Vec::new(), Vec::new());
        let mut begin = |sending: BoxFuture<'static, ()>| {
            let (over, end) = oneshot::channel();
            tasks.push(Owned::spawn(async move {
                sending.await;
                // Whoever waited may have given up.
                over.send(()).ok();
            }));
            ends.push(end);
        };
        let (mut posts, mut closings, mut readers) = (Vec::new(), Vec::new(), Vec::new());
        for mut taker in spans {
            taker.belong(&resource);
            let post = Arc::new(Post::default());
            let wait = Wait { clock: Arc::clone(&clock), every_ms: rhythm.spans_ms };
            begin(Box::pin(sending::spans(taker.into(), Arc::clone(&post), wait)));
            closings.push(post.closing());
            posts.push(post);
        }
        for taker in metrics {
            let (closing, reader) = (Closing::default(), Reader::new(taker.wants()));
            let wait = Wait { clock: Arc::clone(&clock), every_ms: rhythm.metrics_ms };
            let what = (closing.clone(), reader.clone());
            begin(Box::pin(sending::metrics(taker.into(), what, wait)));
            closings.push(closing);
            readers.push(reader);
        }
        // It listens before it reads, so that nothing falls between.
        let listener = runtime.subscribe_to_frames();
        let kept = posts.clone();
        let mut instruments = Instruments::new(resource, readers);
        instruments.know(&runtime.known_models());
        let hearing = Hearing {
            reading: runtime.reading(),
            since,
            follower: Follower::new(vendors),
            unread: HashSet::new(),
            instruments,
            posts,
            closings,
        };
        tasks.push(Owned::spawn(hearing.run(listener)));
        Some(Exporting { _tasks: tasks, ends, posts: kept })
    }
}

/// The tasks, until they are told to end.
#[derive(Debug)]
pub(super) struct Exporting {
    _tasks: Vec<Owned>,
    ends: Vec<oneshot::Receiver<()>>,
    posts: Vec<Arc<Post>>,
}

impl Exporting {
    /// Waits until the last lots are handed over, behind the end of the house. `false` when that took
    /// too long.
    pub(super) async fn ended(self, clock: &Arc<dyn Clock>) -> bool {
        let is_over = tokio::select! {
            biased;
            ends = join_all(self.ends) => ends.iter().all(Result::is_ok),
            () = clock.after(limits::EXPORT_END_MS) => false,
        };
        for (lost, why) in self.posts.iter().map(|post| post.left()).filter(|(lost, _)| *lost > 0) {
            tracing::error!(lost, why, "spans were not taken before the end; they are lost");
        }
        if !is_over {
            tracing::error!(
                "an exporter is not done in time; what it was offered last may be lost"
            );
        }
        is_over
    }
}

struct Hearing {
    reading: Reading,
    since: Timestamp,
    follower: Follower,
    /// Sessions whose log was begun and not read to its end.
    unread: HashSet<SessionId>,
    instruments: Instruments,
    posts: Vec<Arc<Post>>,
    closings: Vec<Closing>,
}

impl Hearing {
    async fn run(mut self, mut listener: Listener) {
        // What was taken up before anybody listened.
        self.sweep().await;
        while let Some(heard) = listener.next().await {
            match heard {
                Heard::Note(Note::Frame(frame)) => {
                    let heard = self.follower.heard(frame.session);
                    if frame.position == heard.next() {
                        let when = (frame.position, frame.at);
                        // Whatever its clock says, it happens now.
                        self.hear(frame.session, when, &frame.events, true);
                    } else if frame.position > heard {
                        self.read_on(frame.session, Some(frame.position)).await;
                    }
                }
                Heard::Note(Note::Delta { .. } | Note::Progress { .. }) => {}
                Heard::Lagged { .. } => self.sweep().await,
            }
        }
        self.sweep().await;
        // The instruments are read until the last has sent.
        self.closings.iter().for_each(Closing::close);
        std::future::pending::<()>().await;
    }

    fn hear(
        &mut self,
        session: SessionId,
        (position, at): (Position, Timestamp),
        events: &[Event],
        is_ours: bool,
    ) {
        events.iter().for_each(|event| self.instruments.learn(event));
        let done = self.follower.hear(session, (position, at), events);
        for done in done.into_iter().filter(|_| is_ours) {
            self.instruments.measure(&done);
            for post in &self.posts {
                post.put(done.span.clone());
            }
        }
    }

    /// Hears what of a session was not heard, up to the one of its frames that is heard now, if any, and
    /// beyond.
    fn read_on(&mut self, session: SessionId, now: Option<Position>) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            let mut after = self.follower.heard(session);
            let is_first = after == Position(0) || self.unread.contains(&session);
            if is_first {
                self.unread.insert(session);
            }
            loop {
                let frames = match self.reading.page(session, after, limits::READ_FRAMES).await {
                    Ok(frames) => frames,
                    // Its spans stay open; the session itself is told by whoever looks after it.
                    Err(error) => {
                        return tracing::debug!(%session, %error, "no spans of this session");
                    }
                };
                let Some(last) = frames.last() else { break };
                after = last.envelope.position;
                for frame in &frames {
                    if let Some(other) = self.follower.lacks(session, &frame.events) {
                        self.read_on(other, None).await;
                    }
                    let (position, at) = (frame.envelope.position, frame.envelope.at);
                    let is_ours = !is_first
                        || now.is_some_and(|now| position >= now)
                        || (at >= self.since && at > self.follower.forgot());
                    self.hear(session, (position, at), &frame.events, is_ours);
                }
            }
            self.unread.remove(&session);
        })
    }

    /// Hears what was missed of everybody who moved since the start.
    async fn sweep(&mut self) {
        let filter = SessionFilter { archived: true, ..SessionFilter::default() };
        let rows = match self.reading.all_sessions(filter).await {
            Ok(rows) => rows,
            Err(CallError::Ended { .. }) => return,
            Err(error) => return tracing::debug!(%error, "sessions cannot be read for their spans"),
        };
        for row in rows {
            let heard = self.follower.heard(row.session);
            let is_new = heard > Position(0) || row.updated_at >= self.since;
            if is_new && heard < row.position {
                self.read_on(row.session, None).await;
            }
        }
    }
}

#[cfg(test)]
mod tests;
