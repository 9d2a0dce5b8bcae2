//! A body cut into what a vendor sends one at a time: server-sent events, or lines of JSON. The
//! cutting is done on bytes, so that a character split over two chunks stays whole; what is not
//! finished when the body ends is dropped, and the vendor's end is then missing as well. A last line
//! that lacks only its line feed is finished, and so is a last event: no half of an object is one.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use bytes::{Bytes, BytesMut};
use futures_util::{Stream, StreamExt as _, TryStreamExt as _};
use greenroom_actors::limits;
use serde::de::IgnoredAny;
use tokio_util::{
    codec::{Decoder, FramedRead, LinesCodec, LinesCodecError},
    io::StreamReader,
};

use super::{Body, Broken, events::events};

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

pub(super) const fn too_large() -> Broken {
    Broken::TooLarge { what: "one event", max: limits::WIRE_EVENT_BYTES }
}
