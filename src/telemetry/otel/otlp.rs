//! An exporter that speaks the OpenTelemetry protocol: as protocol buffers over HTTP, through the one
//! client, or over gRPC. The messages are those of the protocol's own crate. It never tries again by
//! itself: what is refused for now is an error and comes with the next lot; what is refused for good is
//! lost, and said.

mod grpc;
mod http;

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use greenroom_actors::ports::Clock;
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

use super::{Collector, Protocol};
use crate::net::{NetError, Patience, Proxies};

/// Collectors are near and answer at once; one that does not is asked again later.
const PATIENCE: Patience = Patience { connect_ms: 2_000, first_byte_ms: 5_000, idle_ms: 5_000 };

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
    #[error("send spans with the header {name:?}: it is none")]
    NoHeader {
        /// Its name.
        name: String,
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
    /// It may be taken later.
    ForNow(String),
    /// It never will be.
    ForGood(String),
}

#[derive(Debug)]
enum Way {
    Http(http::Http),
    Grpc(grpc::Grpc),
}

/// A collector. Clones share its connections.
#[derive(Clone, Debug)]
pub struct Otlp {
    way: Arc<Way>,
    resource: Arc<ResourceAttributesWithSchema>,
    /// A collector that takes nothing of what we say would else be told of each time.
    is_refused: Arc<AtomicBool>,
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
            Protocol::Http => Way::Http(http::Http::new(collector, clock, proxies)?),
            Protocol::Grpc => Way::Grpc(grpc::Grpc::new(collector)?),
        };
        Ok(Self {
            way: Arc::new(way),
            resource: Arc::default(),
            is_refused: Arc::new(AtomicBool::new(false)),
        })
    }

    /// How many of what was sent the collector threw away, or why it took none.
    fn said(&self, what: &'static str, answer: Result<i64, Refused>) -> OTelSdkResult {
        let told = match answer {
            Ok(0) => {
                self.is_refused.store(false, Ordering::Relaxed);
                return Ok(());
            }
            Ok(lost) => format!("{lost} of a lot were not taken"),
            Err(Refused::ForGood(why)) => why,
            Err(Refused::ForNow(why)) => return Err(OTelSdkError::InternalFailure(why)),
        };
        if !self.is_refused.swap(true, Ordering::Relaxed) {
            tracing::warn!(what, why = told, "the collector refuses what it is sent; that is lost");
        }
        Ok(())
    }
}

impl SpanExporter for Otlp {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let resource_spans = group_spans_by_resource_and_scope(batch, &self.resource);
        let request = ExportTraceServiceRequest { resource_spans };
        let answer = match &*self.way {
            Way::Http(http) => http.spans(&request).await,
            Way::Grpc(grpc) => grpc.spans(request).await,
        };
        self.said("spans", answer)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.resource = Arc::new(resource.into());
    }
}

impl PushMetricExporter for Otlp {
    async fn export(&self, metrics: &ResourceMetrics) -> OTelSdkResult {
        let request = ExportMetricsServiceRequest::from(metrics);
        let answer = match &*self.way {
            Way::Http(http) => http.metrics(&request).await,
            Way::Grpc(grpc) => grpc.metrics(request).await,
        };
        self.said("metrics", answer)
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

/// An address as it may be shown: without what may be a credential in it.
fn shown(endpoint: &str) -> String {
    endpoint.rsplit('@').next().unwrap_or_default().to_owned()
}
