//! Handing over: a queue for each who takes spans, and the task that empties it, lot by lot. One who
//! takes nothing for a while costs a bounded queue, of which the oldest go; they are counted and said.
//! A lot that is refused is offered again when the next is due, and not before.

use std::{
    collections::VecDeque,
    future::Future,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use greenroom_actors::{limits, ports::Clock};
use opentelemetry_sdk::{error::OTelSdkResult, trace::SpanData};
use tokio::sync::Notify;

use crate::telemetry::otel::{MetricTaker, Reader, SpanTaker};

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
    lost: u64,
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

    fn lot(&self) -> Vec<SpanData> {
        self.with(|held| {
            let count = held.spans.len().min(LOT);
            held.spans.drain(..count).collect()
        })
    }

    /// Puts a lot that was refused back before all others.
    fn give_back(&self, lot: Vec<SpanData>) {
        self.with(|held| {
            lot.into_iter().rev().for_each(|span| held.spans.push_front(span));
            held.trim();
        });
    }

    fn lost(&self) -> u64 {
        self.with(|held| std::mem::take(&mut held.lost))
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
#[derive(Debug, Default)]
struct Mood {
    is_away: bool,
}

impl Mood {
    fn takes(&mut self, what: &str, taken: &Result<(), String>, lost: u64) {
        match taken {
            Ok(()) if std::mem::take(&mut self.is_away) => {
                tracing::info!(what, lost, "they are taken again");
            }
            Ok(()) if lost > 0 => tracing::warn!(what, lost, "more came than were taken"),
            Ok(()) => {}
            Err(why) => {
                if !std::mem::replace(&mut self.is_away, true) {
                    tracing::warn!(what, why, "they are not taken for now");
                }
            }
        }
    }
}

/// Hands spans over until there are no more.
pub(super) async fn spans(taker: Arc<dyn SpanTaker>, post: Arc<Post>, wait: Wait) {
    let mut mood = Mood::default();
    loop {
        tokio::select! {
            biased;
            () = post.closing.closed() => {}
            // One who is away is not asked the more often the more there is.
            () = post.full.notified(), if !mood.is_away => {}
            () = wait.clock.after(wait.every_ms) => {}
        }
        let is_last = post.closing.is_closed();
        loop {
            let lot = post.lot();
            if lot.is_empty() {
                break;
            }
            let taken = in_time(&wait, taker.take(lot.clone())).await;
            let is_taken = taken.is_ok();
            if !is_taken {
                post.give_back(lot);
            }
            mood.takes("spans", &taken, if is_taken { post.lost() } else { 0 });
            if !is_taken {
                break;
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
    let mut mood = Mood::default();
    loop {
        tokio::select! {
            biased;
            () = closing.closed() => {}
            () = wait.clock.after(wait.every_ms) => {}
        }
        let is_last = closing.is_closed();
        let taken = match reader.read() {
            // An empty word says nothing and costs a connection.
            Ok(metrics) if metrics.scope_metrics().next().is_none() => Ok(()),
            Ok(metrics) => in_time(&wait, taker.take(&metrics)).await,
            Err(why) => Err(why),
        };
        mood.takes("metrics", &taken, 0);
        if is_last {
            return over(move || taker.end()).await;
        }
    }
}

async fn in_time(wait: &Wait, taking: impl Future<Output = OTelSdkResult>) -> Result<(), String> {
    tokio::select! {
        biased;
        taken = taking => taken.map_err(|error| error.to_string()),
        () = wait.clock.after(limits::EXPORT_MS) => {
            Err(format!("nothing within {} ms", limits::EXPORT_MS))
        }
    }
}

/// Says goodbye, which may block.
async fn over(end: impl FnOnce() -> OTelSdkResult + Send + 'static) {
    let ended = tokio::task::spawn_blocking(end).await;
    if let Ok(Err(error)) = ended {
        tracing::debug!(%error, "an exporter did not end well");
    }
}

#[cfg(test)]
mod tests;
