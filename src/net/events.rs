//! Server-sent events of a body, from its bytes. What some services get wrong is made up for here, so
//! that no adapter meets it: a body that is plain JSON under an event stream's type is one event, and a
//! last event that lacks only the blank line behind it is one as well. Half of one is none: at the
//! body's end it counts only as a whole JSON value, or as the word that closes a stream.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    },
    task::{Context, Poll},
};

use bytes::{Bytes, BytesMut};
use futures_util::{Stream, StreamExt as _};
use greenroom_actors::limits;
use serde::de::IgnoredAny;
use sse_stream::SseByteStream;

use super::{
    Broken,
    frames::{Frame, too_large},
};

/// What closes a stream where no JSON does.
const CLOSING: &str = "[DONE]";

pub(super) fn events(
    bytes: impl Stream<Item = Result<Bytes, Broken>> + Send + Unpin + 'static,
) -> impl Stream<Item = Result<Frame, Broken>> + Send {
    let state = Arc::new(State::default());
    let fed = Fed { bytes, state: Arc::clone(&state), shape: Shape::Unknown };
    SseByteStream::new(fed).filter_map(move |event| {
        state.unfinished.store(0, Relaxed);
        let ended = state.ended.load(Relaxed);
        std::future::ready(match event {
            // A block without data (a lone id, a retry time) says nothing to a client.
            Ok(event) => event
                .data
                .filter(|data| !ended || is_whole(data))
                .map(|data| Ok(Frame { name: event.event, data })),
            Err(sse_stream::Error::Body(error)) => Some(Err(match error.downcast::<Broken>() {
                Ok(broken) => *broken,
                Err(error) => Broken::Cut { why: error.to_string() },
            })),
            // The body ended within a character, so what it ended in is no event.
            Err(_cut) if ended => None,
            Err(_not_text) => Some(Err(Broken::NotText)),
        })
    })
}

fn is_whole(data: &str) -> bool {
    let data = data.trim();
    data == CLOSING
        || data.starts_with(['{', '[']) && serde_json::from_str::<IgnoredAny>(data).is_ok()
}

/// What the bytes say to who reads the events.
#[derive(Default)]
struct State {
    /// Bytes since the last event.
    unfinished: AtomicUsize,
    /// Whether the body has ended. Whoever reads asks for more only when every event before is out, so
    /// what comes from here on was not finished.
    ended: AtomicBool,
}

/// What the body is, which its first byte tells.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Shape {
    Unknown,
    Events,
    Plain,
}

/// Feeds the reader. It refuses to hold more than one event may be long: it counts from the event
/// before, whose end may lie within a chunk, so it may let pass a chunk more than that.
struct Fed<S> {
    bytes: S,
    state: Arc<State>,
    shape: Shape,
}

impl<S: Stream<Item = Result<Bytes, Broken>> + Unpin> Stream for Fed<S> {
    type Item = Result<Bytes, Broken>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.state.ended.load(Relaxed) {
            return Poll::Ready(None);
        }
        self.bytes.poll_next_unpin(cx).map(|polled| match polled {
            Some(Ok(chunk)) => {
                let before = self.state.unfinished.fetch_add(chunk.len(), Relaxed);
                let fits = before <= limits::WIRE_EVENT_BYTES;
                Some(if fits { Ok(self.shape.feed(chunk)) } else { Err(too_large()) })
            }
            Some(Err(broken)) => Some(Err(broken)),
            None => {
                self.state.ended.store(true, Relaxed);
                Some(Ok(Bytes::from_static(b"\n\n")))
            }
        })
    }
}

impl Shape {
    /// A chunk as the reader is to see it; of plain JSON each line becomes one of an event's.
    fn feed(&mut self, chunk: Bytes) -> Bytes {
        if *self == Self::Events {
            return chunk;
        }
        let mut fed = BytesMut::with_capacity(chunk.len() + 8);
        for byte in chunk.iter().copied() {
            let is_first = *self == Self::Unknown;
            match byte {
                // The mark of the byte order may come before the first byte that says something.
                0xef | 0xbb | 0xbf | b' ' | b'\t' | b'\r' | b'\n' if is_first => {}
                b'{' | b'[' if is_first => {
                    *self = Self::Plain;
                    fed.extend_from_slice(b"\ndata:");
                }
                _other if is_first => {
                    *self = Self::Events;
                    return chunk;
                }
                b'\n' => {
                    fed.extend_from_slice(b"\ndata:");
                    continue;
                }
                b'\r' => continue,
                _other => {}
            }
            fed.extend_from_slice(&[byte]);
        }
        fed.freeze()
    }
}
