//! A body cut into what a vendor sends one at a time: server-sent events, or lines of JSON. The
//! cutting is done on bytes, so that a character split over two chunks stays whole; what is not
//! finished when the body ends is dropped, and the vendor's end is then missing as well. A last line
//! that lacks only its line feed is finished: no half of an object is one.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    task::{Context, Poll},
};

use bytes::{Bytes, BytesMut};
use futures_util::{Stream, StreamExt as _, TryStreamExt as _};
use greenroom_actors::limits;
use serde::de::IgnoredAny;
use sse_stream::SseByteStream;
use tokio_util::{
    codec::{Decoder, FramedRead, LinesCodec, LinesCodecError},
    io::StreamReader,
};

use super::{Body, Broken};

/// How a vendor cuts its stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    /// Server-sent events.
    Events,
    /// A JSON object a line.
    Lines,
}

/// One of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Frame {
    /// The event's name, where it has one.
    pub(crate) name: Option<String>,
    /// What it says.
    pub(crate) data: String,
}

/// The frames of a body.
pub(crate) struct Frames(Pin<Box<dyn Stream<Item = Result<Frame, Broken>> + Send>>);

impl Frames {
    pub(crate) fn new(framing: Framing, body: Body) -> Self {
        Self::of(framing, body)
    }

    /// The frames of any stream of bytes, for tests as well.
    pub(crate) fn of(
        framing: Framing,
        bytes: impl Stream<Item = Result<Bytes, Broken>> + Send + Unpin + 'static,
    ) -> Self {
        match framing {
            Framing::Events => Self(Box::pin(events(bytes))),
            Framing::Lines => Self(Box::pin(lines(bytes))),
        }
    }
}

impl Stream for Frames {
    type Item = Result<Frame, Broken>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.as_mut().poll_next(cx)
    }
}

fn events(
    bytes: impl Stream<Item = Result<Bytes, Broken>> + Send + Unpin + 'static,
) -> impl Stream<Item = Result<Frame, Broken>> + Send {
    let unfinished = Arc::new(AtomicUsize::new(0));
    let metered = Metered { bytes, unfinished: Arc::clone(&unfinished) };
    SseByteStream::new(metered).filter_map(move |event| {
        unfinished.store(0, Relaxed);
        std::future::ready(match event {
            // A block without data (a lone id, a retry time) says nothing to a client.
            Ok(event) => event.data.map(|data| Ok(Frame { name: event.event, data })),
            Err(sse_stream::Error::Body(error)) => Some(Err(match error.downcast::<Broken>() {
                Ok(broken) => *broken,
                Err(error) => Broken::Cut { why: error.to_string() },
            })),
            Err(_not_text) => Some(Err(Broken::NotText)),
        })
    })
}

/// Refuses to hold more than one event may be long. It counts from the event before, whose end may
/// lie within a chunk, so it may let pass a chunk more than that.
struct Metered<S> {
    bytes: S,
    unfinished: Arc<AtomicUsize>,
}

impl<S: Stream<Item = Result<Bytes, Broken>> + Unpin> Stream for Metered<S> {
    type Item = Result<Bytes, Broken>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let polled = self.bytes.poll_next_unpin(cx);
        if let Poll::Ready(Some(Ok(chunk))) = &polled {
            let before = self.unfinished.fetch_add(chunk.len(), Relaxed);
            if before > limits::WIRE_EVENT_BYTES {
                return Poll::Ready(Some(Err(too_large())));
            }
        }
        polled
    }
}

fn lines(
    bytes: impl Stream<Item = Result<Bytes, Broken>> + Send + Unpin + 'static,
) -> impl Stream<Item = Result<Frame, Broken>> + Send {
    let reader = StreamReader::new(bytes.map_err(std::io::Error::other));
    let codec = LinesCodec::new_with_max_length(limits::WIRE_EVENT_BYTES);
    FramedRead::new(reader, Finished(codec)).filter_map(|line| {
        std::future::ready(match line {
            Ok(line) if line.trim().is_empty() => None,
            Ok(data) => Some(Ok(Frame { name: None, data })),
            Err(LinesCodecError::MaxLineLengthExceeded) => Some(Err(too_large())),
            Err(LinesCodecError::Io(error)) => Some(Err(broken(error))),
        })
    })
}

/// Lines; where the body ends amid one there is none, whatever it is cut in.
struct Finished(LinesCodec);

impl Decoder for Finished {
    type Item = String;
    type Error = LinesCodecError;

    fn decode(&mut self, bytes: &mut BytesMut) -> Result<Option<String>, LinesCodecError> {
        self.0.decode(bytes)
    }

    fn decode_eof(&mut self, bytes: &mut BytesMut) -> Result<Option<String>, LinesCodecError> {
        // Asked once more when nothing is left, which the inner codec is not made for.
        if bytes.is_empty() {
            return Ok(None);
        }
        if let Some(line) = self.0.decode(bytes)? {
            return Ok(Some(line));
        }
        let rest = bytes.split();
        let is_whole = serde_json::from_slice::<IgnoredAny>(&rest).is_ok();
        Ok(std::str::from_utf8(&rest).ok().filter(|_| is_whole).map(str::to_owned))
    }
}

fn broken(error: std::io::Error) -> Broken {
    if error.kind() == std::io::ErrorKind::InvalidData {
        return Broken::NotText;
    }
    let why = error.to_string();
    match error.into_inner().map(|inner| inner.downcast::<Broken>()) {
        Some(Ok(broken)) => *broken,
        Some(Err(_)) | None => Broken::Cut { why },
    }
}

const fn too_large() -> Broken {
    Broken::TooLarge { what: "one event", max: limits::WIRE_EVENT_BYTES }
}
