//! Handing over: a queue for each who takes spans, and the task that empties it, lot by lot. One who
//! takes nothing for a while costs a bounded queue, of which the oldest go; they are counted and said.
//! A lot that is refused is offered again when the next is due, and not before; one amid which its
//! exporter panics is not offered again, for it would do so again.

mod asking;

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use greenroom_actors::ports::Clock;
use opentelemetry_sdk::{error::OTelSdkResult, metrics::Temporality, trace::SpanData};
use tokio::sync::Notify;

use crate::telemetry::otel::{MetricTaker, Reader, SpanTaker};

use asking::{Said, asked};

/// How many spans are handed over at once, at most; with so many waiting, at once.
const LOT: usize = 512;
/// How many wait for one who takes none: half a minute of a busy house, at some kilobytes each.
const HELD: usize = 8_192;

/// How long to wait, by which clock.
pub(super) struct Wait {
    pub(super) clock: Arc<dyn Clock>,
    pub(super) every_ms: u64,
}

#[derive(Debug, Default)]
struct Held {
    spans: VecDeque<SpanData>,
    /// Of the lot that is being offered: it is neither here nor taken.
    in_hand: usize,
    lost: u64,
    /// Why the last lot that was offered was not taken.
    why: String,
}

/// That there will be no more.
#[derive(Clone, Debug, Default)]
pub(super) struct Closing(Arc<(AtomicBool, Notify)>);

impl Closing {
    pub(super) fn close(&self) {
        self.0.0.store(true, Ordering::Release);
        self.0.1.notify_one();
    }

    fn is_closed(&self) -> bool {
        self.0.0.load(Ordering::Acquire)
    }

    async fn closed(&self) {
        self.0.1.notified().await;
    }
}

/// Spans that wait for one who takes them.
#[derive(Debug, Default)]
pub(super) struct Post {
    held: Mutex<Held>,
    /// A lot is full.
    full: Notify,
    closing: Closing,
}

impl Post {
    fn with<T>(&self, change: impl FnOnce(&mut Held) -> T) -> T {
        // Nothing in here panics between two changes.
        change(&mut self.held.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn put(&self, span: SpanData) {
        let waiting = self.with(|held| {
            held.spans.push_back(span);
            held.trim();
            held.spans.len()
        });
        if waiting >= LOT {
            self.full.notify_one();
        }
    }

    pub(super) fn closing(&self) -> Closing {
        self.closing.clone()
    }

    pub(super) fn lot(&self) -> Vec<SpanData> {
        self.with(|held| {
            held.in_hand = held.spans.len().min(LOT);
            held.spans.drain(..held.in_hand).collect()
        })
    }

    /// Puts a lot that was refused back before all others.
    fn give_back(&self, lot: Vec<SpanData>, why: &str) {
        self.with(|held| {
            held.in_hand = 0;
            why.clone_into(&mut held.why);
            lot.into_iter().rev().for_each(|span| held.spans.push_front(span));
            held.trim();
        });
    }

    /// The lot that was offered is taken: how many were lost since the last that was.
    fn taken(&self) -> u64 {
        self.with(|held| {
            held.in_hand = 0;
            std::mem::take(&mut held.lost)
        })
    }

    /// It is lost.
    fn broken(&self, why: &str) {
        self.with(|held| {
            why.clone_into(&mut held.why);
            let gone = std::mem::take(&mut held.in_hand);
            held.lost = held.lost.saturating_add(gone as u64);
        });
    }

    /// How many are lost when nobody is offered anything any more, with those that were not said yet, and
    /// why the last of them.
    pub(super) fn left(&self) -> (u64, String) {
        self.with(|held| {
            let waiting = (held.spans.len() + held.in_hand) as u64;
            (held.lost.saturating_add(waiting), held.why.clone())
        })
    }
}

impl Held {
    fn trim(&mut self) {
        let over = self.spans.len().saturating_sub(HELD);
        self.spans.drain(..over);
        self.lost = self.lost.saturating_add(over as u64);
    }
}

/// Whether one takes what it is offered; each change is said once.
#[derive(Debug)]
struct Mood {
    what: &'static str,
    /// Why it takes nothing, while it takes nothing.
    away: Option<String>,
}

impl Mood {
    const fn about(what: &'static str) -> Self {
        Self { what, away: None }
    }

    fn takes(&mut self, lost: u64) {
        if self.away.take().is_some() {
            tracing::info!(what = self.what, lost, "they are taken again");
        } else if lost > 0 {
            tracing::warn!(what = self.what, lost, "more came than were taken");
        }
    }

    fn is_away(&mut self, why: &str) {
        if self.away.replace(why.to_owned()).is_none() {
            tracing::warn!(what = self.what, why, "they are not taken for now");
        }
    }
}

/// Hands spans over until there are no more.
pub(super) async fn spans(taker: Arc<dyn SpanTaker>, post: Arc<Post>, wait: Wait) {
    let mut mood = Mood::about("spans");
    loop {
        tokio::select! {
            biased;
            () = post.closing.closed() => {}
            // One who is away is not asked the more often the more there is.
            () = post.full.notified(), if mood.away.is_none() => {}
            () = wait.clock.after(wait.every_ms) => {}
        }
        let is_last = post.closing.is_closed();
        loop {
            let lot = post.lot();
            if lot.is_empty() {
                break;
            }
            let (takes, offered) = (Arc::clone(&taker), lot.clone());
            let asking = async move { takes.take(offered).await };
            match asked(&wait, &mut mood, asking).await {
                Said::Taken => mood.takes(post.taken()),
                Said::Refused(why) => {
                    post.give_back(lot, &why);
                    mood.is_away(&why);
                    break;
                }
                Said::Broke(why) => {
                    post.broken(&why);
                    mood.is_away(&why);
                    break;
                }
            }
        }
        if is_last {
            return over(move || taker.end()).await;
        }
    }
}

/// Hands metrics over until nothing is measured any more.
pub(super) async fn metrics(
    taker: Arc<dyn MetricTaker>,
    (closing, reader): (Closing, Reader),
    wait: Wait,
) {
    let mut mood = Mood::about("metrics");
    // What is new is read once, so it is kept until it is taken; everything so far is read again.
    let is_new_only = taker.wants() != Temporality::Cumulative;
    let mut kept = None;
    loop {
        tokio::select! {
            biased;
            () = closing.closed() => {}
            () = wait.clock.after(wait.every_ms) => {}
        }
        let is_last = closing.is_closed();
        for _ in 0..=usize::from(kept.is_some()) {
            let read = kept.take().map_or_else(|| reader.read().map(Arc::new), Ok);
            let metrics = match read {
                Ok(metrics) => metrics,
                Err(why) => {
                    mood.is_away(&why);
                    break;
                }
            };
            // An empty word says nothing and costs a connection.
            if metrics.scope_metrics().next().is_none() {
                break;
            }
            let (takes, offered) = (Arc::clone(&taker), Arc::clone(&metrics));
            let asking = async move { takes.take(&offered).await };
            match asked(&wait, &mut mood, asking).await {
                Said::Taken => mood.takes(0),
                Said::Refused(why) => {
                    kept = is_new_only.then_some(metrics);
                    mood.is_away(&why);
                    break;
                }
                Said::Broke(why) => {
                    mood.is_away(&why);
                    break;
                }
            }
        }
        if is_last {
            if let Some(why) = &mood.away {
                tracing::error!(why, "the last metrics were not taken; they are lost");
            }
            return over(move || taker.end()).await;
        }
    }
}

/// Says goodbye, which may block.
async fn over(end: impl FnOnce() -> OTelSdkResult + Send + 'static) {
    match tokio::task::spawn_blocking(end).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!(%error, "an exporter did not end well"),
        Err(error) => tracing::debug!(%error, "an exporter did not end at all"),
    }
}

#[cfg(test)]
mod tests;
