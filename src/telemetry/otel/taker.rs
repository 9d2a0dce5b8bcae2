//! Whoever takes spans or metrics: the SDK's own exporters, behind traits that can be kept in a list.
//! What one refuses with an error is offered again; what it accepts it is never told twice.

use futures_util::future::BoxFuture;
use opentelemetry_sdk::{
    Resource,
    error::OTelSdkResult,
    metrics::{Temporality, data::ResourceMetrics, exporter::PushMetricExporter},
    trace::{SpanData, SpanExporter},
};

/// Takes spans.
pub trait SpanTaker: Send + Sync + 'static {
    /// Says whose spans they are, once, before any.
    fn belong(&mut self, to: &Resource);
    /// Takes some.
    fn take(&self, spans: Vec<SpanData>) -> BoxFuture<'_, OTelSdkResult>;
    /// Takes no more. It may block.
    fn end(&self) -> OTelSdkResult;
}

impl<E: SpanExporter + 'static> SpanTaker for E {
    fn belong(&mut self, to: &Resource) {
        self.set_resource(to);
    }

    fn take(&self, spans: Vec<SpanData>) -> BoxFuture<'_, OTelSdkResult> {
        Box::pin(self.export(spans))
    }

    fn end(&self) -> OTelSdkResult {
        self.shutdown()
    }
}

/// Takes metrics.
pub trait MetricTaker: Send + Sync + 'static {
    /// Whether it wants everything so far, or what is new.
    fn wants(&self) -> Temporality;
    /// Takes them as they are now.
    fn take<'a>(&'a self, metrics: &'a ResourceMetrics) -> BoxFuture<'a, OTelSdkResult>;
    /// Takes no more. It may block.
    fn end(&self) -> OTelSdkResult;
}

impl<E: PushMetricExporter> MetricTaker for E {
    fn wants(&self) -> Temporality {
        self.temporality()
    }

    fn take<'a>(&'a self, metrics: &'a ResourceMetrics) -> BoxFuture<'a, OTelSdkResult> {
        Box::pin(self.export(metrics))
    }

    fn end(&self) -> OTelSdkResult {
        self.shutdown()
    }
}
