//! An exporter that speaks the OpenTelemetry protocol: as protocol buffers over HTTP, through the one
//! client, or over gRPC. The messages are those of the protocol's own crate. It never tries again by
//! itself: what is refused for now is an error and comes with the next lot, and not before the moment that
//! the collector names; what is refused for good is lost, counted, and said.

mod grpc;
mod http;

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicBool, AtomicI64, Ordering},
};

use greenroom_actors::{domain::ids::Timestamp, ports::Clock};
use opentelemetry_proto::{
    tonic::collector::{
        metrics::v1::ExportMetricsServiceRequest, trace::v1::ExportTraceServiceRequest,
    },
    transform::{
        common::tonic::ResourceAttributesWithSchema,
        trace::tonic::group_spans_by_resource_and_scope,
    },
};
use opentelemetry_sdk::{
    Resource,
    error::{OTelSdkError, OTelSdkResult},
    metrics::{Temporality, data::ResourceMetrics, exporter::PushMetricExporter},
    trace::{SpanData, SpanExporter},
};
use reqwest::{
    Url,
    header::{
        CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, TE, TRANSFER_ENCODING,
    },
};
use secrecy::ExposeSecret as _;

use super::{Collector, Protocol};
use crate::net::{NetError, Patience, Proxies};

/// Collectors are near and answer at once; one that does not is asked again later.
const PATIENCE: Patience = Patience { connect_ms: 2_000, first_byte_ms: 5_000, idle_ms: 5_000 };
/// Another length would cut each message off, and nobody would be told.
const OWN: [HeaderName; 4] = [CONTENT_LENGTH, CONTENT_TYPE, TE, TRANSFER_ENCODING];
/// A collector may ask to be left alone for as long as this. Some thousand spans wait that long, and one
/// that names a year by mistake, or by another clock, must not end the matter.
const LEFT_ALONE_MS: u64 = 300_000;

/// Why there is no such exporter.
#[derive(Debug, thiserror::Error)]
pub enum Otlpless {
    /// Its address.
    #[error("send spans to {url:?}: an address such as {example} was expected")]
    NoAddress {
        /// What was said, without a credential.
        url: String,
        /// What it may look like.
        example: &'static str,
    },
    /// A header.
    #[error("send spans with the header {name:?}: its value is none")]
    NoHeader {
        /// Its name.
        name: String,
    },
    /// A header's name. It is not shown: who writes a colon for `=` has half a credential there.
    #[error("send spans with a header whose name is none")]
    NoHeaderName,
    /// A header that says how a request is written.
    #[error("send spans with the header {name:?}: the protocol sets it itself")]
    OwnHeader {
        /// Its name.
        name: HeaderName,
    },
    /// The client.
    #[error(transparent)]
    Net(#[from] NetError),
    /// TLS of the other client.
    #[error("set up TLS for gRPC")]
    Tls(#[source] tonic::transport::Error),
}

/// Why something was not taken.
#[derive(Debug)]
enum Refused {
    /// It may be taken later; not before so long, where the collector says so.
    ForNow { why: String, wait_ms: Option<u64> },
    /// It never will be.
    ForGood(String),
}

#[derive(Debug)]
enum Way {
    Http(Box<http::Http>),
    Grpc(Box<grpc::Grpc>),
}

/// What came so far of spans, or of metrics.
#[derive(Debug, Default)]
struct Course {
    /// A collector that takes nothing of what we say would else be told of each time.
    is_refused: AtomicBool,
    /// How many were refused for good, and why the last of them.
    lost: Mutex<(u64, String)>,
    /// Until when it asked to be left alone, as the clock runs.
    until: AtomicI64,
}

impl Course {
    fn count(&self, more: u64, why: &str) {
        // Nothing in here panics between two changes.
        let mut lost = self.lost.lock().unwrap_or_else(PoisonError::into_inner);
        lost.0 = lost.0.saturating_add(more);
        why.clone_into(&mut lost.1);
    }

    fn lost(&self) -> (u64, String) {
        std::mem::take(&mut self.lost.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// A collector. Clones share its connections.
#[derive(Clone)]
pub struct Otlp {
    way: Arc<Way>,
    clock: Arc<dyn Clock>,
    resource: Arc<ResourceAttributesWithSchema>,
    spans: Arc<Course>,
    metrics: Arc<Course>,
}

impl std::fmt::Debug for Otlp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Its address may hold a credential.
        f.write_str("Otlp")
    }
}

impl Otlp {
    /// Speaks to this one; over HTTP through these proxies, where there are any.
    ///
    /// # Errors
    /// When its address or a header is none, or no client can be made.
    pub fn new(
        collector: &Collector,
        clock: Arc<dyn Clock>,
        proxies: Option<&Proxies>,
    ) -> Result<Self, Otlpless> {
        let way = match collector.protocol {
            Protocol::Http => {
                Way::Http(Box::new(http::Http::new(collector, Arc::clone(&clock), proxies)?))
            }
            Protocol::Grpc => Way::Grpc(Box::new(grpc::Grpc::new(collector)?)),
        };
        Ok(Self {
            way: Arc::new(way),
            clock,
            resource: Arc::default(),
            spans: Arc::default(),
            metrics: Arc::default(),
        })
    }

    /// Whether the collector may be asked now.
    fn may_ask(&self, course: &Course) -> OTelSdkResult {
        let left_ms =
            Timestamp(course.until.load(Ordering::Relaxed)).since_ms(self.clock.running());
        match left_ms {
            0 => Ok(()),
            ms => {
                let why = format!("the collector asks to be left alone for {ms} ms");
                Err(OTelSdkError::InternalFailure(why))
            }
        }
    }

    /// What the collector made of so many.
    fn said(
        &self,
        (what, course): (&'static str, &Course),
        count: usize,
        answer: Result<i64, Refused>,
    ) -> OTelSdkResult {
        let (lost, why) = match answer {
            Ok(0) => {
                course.is_refused.store(false, Ordering::Relaxed);
                return Ok(());
            }
            Ok(lost) => (u64::try_from(lost).unwrap_or_default(), "some of a lot".to_owned()),
            Err(Refused::ForGood(why)) => (count as u64, why),
            Err(Refused::ForNow { why, wait_ms }) => {
                let wait_ms = wait_ms.unwrap_or_default().min(LEFT_ALONE_MS);
                let until = self.clock.running().plus_ms(wait_ms);
                course.until.store(until.0, Ordering::Relaxed);
                return Err(OTelSdkError::InternalFailure(why));
            }
        };
        course.count(lost, &why);
        if !course.is_refused.swap(true, Ordering::Relaxed) {
            tracing::warn!(what, why, lost, "the collector refuses what it is sent; that is lost");
        }
        Ok(())
    }
}

impl SpanExporter for Otlp {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        self.may_ask(&self.spans)?;
        let count = batch.len();
        let resource_spans = group_spans_by_resource_and_scope(batch, &self.resource);
        let request = ExportTraceServiceRequest { resource_spans };
        let answer = match &*self.way {
            Way::Http(http) => http.spans(&request).await,
            Way::Grpc(grpc) => grpc.spans(request).await,
        };
        self.said(("spans", &self.spans), count, answer)
    }

    fn shutdown_with_timeout(&self, _timeout: std::time::Duration) -> OTelSdkResult {
        let (lost, why) = self.spans.lost();
        if lost > 0 {
            tracing::error!(lost, why, "spans were refused for good");
        }
        Ok(())
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.resource = Arc::new(resource.into());
    }
}

impl PushMetricExporter for Otlp {
    async fn export(&self, metrics: &ResourceMetrics) -> OTelSdkResult {
        self.may_ask(&self.metrics)?;
        let request = ExportMetricsServiceRequest::from(metrics);
        let answer = match &*self.way {
            Way::Http(http) => http.metrics(&request).await,
            Way::Grpc(grpc) => grpc.metrics(request).await,
        };
        // What is refused of figures that add up comes again with the next.
        self.said(("metrics", &self.metrics), 0, answer)
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _timeout: std::time::Duration) -> OTelSdkResult {
        Ok(())
    }

    fn temporality(&self) -> Temporality {
        Temporality::Cumulative
    }
}

/// Its address, where that is one.
fn address(collector: &Collector, example: &'static str) -> Result<Url, Otlpless> {
    let text = &collector.endpoint;
    let url = Url::parse(text).ok();
    let url = url.filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    url.ok_or_else(|| Otlpless::NoAddress { url: shown(text), example })
}

/// The headers of each request.
fn headers(collector: &Collector) -> Result<HeaderMap, Otlpless> {
    let mut headers = HeaderMap::new();
    for (name, value) in &collector.headers {
        let key = HeaderName::try_from(name.as_str());
        let key = key.map_err(|_error| Otlpless::NoHeaderName)?;
        if OWN.contains(&key) {
            return Err(Otlpless::OwnHeader { name: key });
        }
        let value = HeaderValue::try_from(value.expose_secret());
        let mut value = value.map_err(|_error| Otlpless::NoHeader { name: name.clone() })?;
        value.set_sensitive(true);
        headers.insert(key, value);
    }
    Ok(headers)
}

/// An address as it may be shown: without what may be a credential in it.
fn shown(endpoint: &str) -> String {
    let (place, query) = endpoint.split_once(['?', '#']).unwrap_or((endpoint, ""));
    // Where its host begins nobody knows then.
    let place = if query.contains('@') { "" } else { place };
    place.rsplit('@').next().unwrap_or_default().to_owned()
}
