//! A body as it comes: bytes, until it ends, breaks or is silent for too long. Any byte counts as a
//! sign of life, also one that no event comes of, such as a vendor's ping; how long the whole may
//! take is the caller's deadline.
//!
//! One timer serves a whole silence: a chunk only notes the time, and the timer, when it rings, looks
//! how long ago the last one came. So a stream of many small chunks costs no timer each.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::{Buf as _, Bytes, BytesMut};
use futures_util::{Stream, StreamExt as _, future::BoxFuture};
use greenroom_actors::{domain::ids::Timestamp, ports::Clock};

use super::{Broken, innermost};

type Chunks = Pin<Box<dyn Stream<Item = Result<Bytes, reqwest::Error>> + Send>>;

/// The bytes of an answer.
pub(crate) struct Body {
    chunks: Chunks,
    clock: Arc<dyn Clock>,
    idle_ms: u64,
    heard_at: Timestamp,
    alarm: Option<BoxFuture<'static, ()>>,
}

impl Body {
    pub(super) fn new(
        chunks: impl Stream<Item = Result<Bytes, reqwest::Error>> + Send + 'static,
        clock: Arc<dyn Clock>,
        idle_ms: u64,
    ) -> Self {
        let heard_at = clock.running();
        Self { chunks: Box::pin(chunks), clock, idle_ms, heard_at, alarm: None }
    }

    /// The whole of it, if it is no larger than this.
    pub(crate) async fn whole(mut self, max: usize) -> Result<Bytes, Broken> {
        let mut all = BytesMut::new();
        while let Some(chunk) = self.next().await {
            let chunk = chunk?;
            if all.len().saturating_add(chunk.len()) > max {
                return Err(Broken::TooLarge { what: "its body", max });
            }
            all.extend_from_slice(&chunk);
        }
        Ok(unmarked(all))
    }

    /// The beginning of it: what has come when it ends, breaks or is this long.
    pub(crate) async fn beginning(mut self, max: usize) -> Bytes {
        let mut all = BytesMut::new();
        while let Some(Ok(chunk)) = self.next().await {
            let room = max.saturating_sub(all.len()).min(chunk.len());
            all.extend_from_slice(chunk.get(..room).unwrap_or_default());
            if all.len() >= max {
                break;
            }
        }
        unmarked(all)
    }
}

/// Without the mark of the byte order that some services put before their JSON.
fn unmarked(mut all: BytesMut) -> Bytes {
    if all.starts_with(b"\xef\xbb\xbf") {
        all.advance(3);
    }
    all.freeze()
}

impl Stream for Body {
    type Item = Result<Bytes, Broken>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        match this.chunks.as_mut().poll_next(cx) {
            Poll::Ready(Some(Ok(chunk))) => {
                this.heard_at = this.clock.running();
                return Poll::Ready(Some(Ok(chunk)));
            }
            Poll::Ready(Some(Err(error))) => {
                return Poll::Ready(Some(Err(Broken::Cut { why: innermost(&error) })));
            }
            Poll::Ready(None) => return Poll::Ready(None),
            Poll::Pending => {}
        }
        loop {
            if let Some(alarm) = &mut this.alarm {
                ready!(alarm.as_mut().poll(cx));
            }
            let silent_ms = this.clock.running().since_ms(this.heard_at);
            let Some(left_ms) = this.idle_ms.checked_sub(silent_ms).filter(|left| *left > 0) else {
                return Poll::Ready(Some(Err(Broken::SilentAmid { ms: this.idle_ms })));
            };
            this.alarm = Some(this.clock.after(left_ms));
        }
    }
}
