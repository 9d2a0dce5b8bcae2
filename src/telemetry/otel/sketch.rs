//! A span while it is put together, and the SDK's shape of a finished one. Whoever makes one says what
//! it is of; when it was, whose it is and how it ended is written here, in one way for all.

use std::time::{Duration, SystemTime};

use greenroom_actors::domain::{
    ids::Timestamp,
    span::{SpanId, TraceId},
};
use opentelemetry::{
    InstrumentationScope, KeyValue, Value,
    trace::{
        Event, SpanContext, SpanId as OtelSpanId, SpanKind, Status, TraceFlags,
        TraceId as OtelTraceId, TraceState,
    },
};
use opentelemetry_sdk::trace::{SpanData, SpanEvents, SpanLinks};

use crate::telemetry::names;

/// Events of one span at most; the first are kept. A turn that waits out an overload for a day has some
/// thousands.
const EVENTS: usize = 128;

/// What happened within a span, up to a most.
#[derive(Clone, Debug, Default)]
pub(super) struct Marks {
    events: Vec<Event>,
    dropped: u32,
}

impl Marks {
    pub(super) fn add(&mut self, name: &'static str, at: Timestamp, attribute: KeyValue) {
        if self.events.len() >= EVENTS {
            self.dropped = self.dropped.saturating_add(1);
            return;
        }
        self.events.push(Event::new(name, moment(at), vec![attribute], 0));
    }
}

/// A span that has ended.
#[derive(Debug)]
pub(super) struct Sketch {
    pub(super) trace: TraceId,
    pub(super) id: SpanId,
    pub(super) parent: Option<SpanId>,
    pub(super) name: String,
    pub(super) kind: SpanKind,
    pub(super) start: Timestamp,
    pub(super) end: Timestamp,
    pub(super) attributes: Vec<KeyValue>,
    pub(super) marks: Marks,
    /// What went wrong, in one word. Who ends well says nothing: that all is well is not a span's to say.
    pub(super) error: Option<&'static str>,
}

impl Sketch {
    pub(super) fn with(&mut self, name: &'static str, value: impl Into<Value>) {
        self.attributes.push(KeyValue::new(name, value));
    }

    pub(super) fn ms(&self) -> u64 {
        self.end.since_ms(self.start)
    }

    pub(super) fn done(mut self) -> SpanData {
        self.attributes.extend(self.error.map(|error| KeyValue::new(names::ERROR, error)));
        let mut events = SpanEvents::default();
        events.events = self.marks.events;
        events.dropped_count = self.marks.dropped;
        let parent = self.parent.map(|parent| OtelSpanId::from_bytes(parent.0));
        SpanData {
            span_context: SpanContext::new(
                OtelTraceId::from_bytes(self.trace.0),
                OtelSpanId::from_bytes(self.id.0),
                TraceFlags::SAMPLED,
                false,
                TraceState::NONE,
            ),
            parent_span_id: parent.unwrap_or(OtelSpanId::INVALID),
            parent_span_is_remote: false,
            span_kind: self.kind,
            name: self.name.into(),
            start_time: moment(self.start),
            // A clock set back makes no span that ends before it begins.
            end_time: moment(self.end.max(self.start)),
            attributes: self.attributes,
            dropped_attributes_count: 0,
            events,
            links: SpanLinks::default(),
            status: self.error.map_or(Status::Unset, |_| Status::error("")),
            instrumentation_scope: scope(),
        }
    }
}

/// Who says all this.
pub(super) fn scope() -> InstrumentationScope {
    InstrumentationScope::builder(names::SERVICE).with_version(env!("CARGO_PKG_VERSION")).build()
}

fn moment(at: Timestamp) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_millis(u64::try_from(at.0).unwrap_or_default())
}
