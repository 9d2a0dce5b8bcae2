//! The protocol over HTTP: a POST for spans, one for metrics, and what their answers mean.

use std::sync::Arc;

use bytes::Bytes;
use greenroom_actors::ports::Clock;
use opentelemetry_proto::tonic::collector::{
    metrics::v1::{ExportMetricsServiceRequest, ExportMetricsServiceResponse},
    trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse},
};
use prost::Message;
use reqwest::{
    Method, StatusCode, Url,
    header::{CONTENT_TYPE, HeaderMap, HeaderValue},
};

use super::{Otlpless, PATIENCE, Refused, address, headers};
use crate::{
    net::{Net, Outgoing, Proxies, wait_ms},
    telemetry::otel::Collector,
};

const EXAMPLE: &str = "http://HOST:4318";
/// Bytes of an answer that are read: a number and a sentence.
const ANSWER: usize = 64 << 10;
/// How long they are waited for: the status has said already whether the lot is taken, and one that is
/// waited for longer than its lot may take would be offered again.
const ANSWER_MS: u64 = 1_000;

/// A collector that is reached over HTTP.
#[derive(Debug)]
pub(super) struct Http {
    net: Net,
    traces: Url,
    metrics: Url,
    headers: HeaderMap,
}

impl Http {
    /// `/v1/traces` and `/v1/metrics` are below its address.
    pub(super) fn new(
        collector: &Collector,
        clock: Arc<dyn Clock>,
        proxies: Option<&Proxies>,
    ) -> Result<Self, Otlpless> {
        let base = address(collector, EXAMPLE)?;
        let below = |path: &str| {
            let mut url = base.clone();
            if let Ok(mut segments) = url.path_segments_mut() {
                // What the address asks for behind its path stays there.
                segments.pop_if_empty().extend(["v1", path]);
            }
            url
        };
        let (traces, metrics) = (below("traces"), below("metrics"));
        let mut headers = headers(collector)?;
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-protobuf"));
        let net = Net::new(clock, PATIENCE, proxies)?;
        Ok(Self { net, traces, metrics, headers })
    }

    pub(super) async fn spans(&self, request: &ExportTraceServiceRequest) -> Result<i64, Refused> {
        let answer = self.post(&self.traces, request).await?;
        let answer = ExportTraceServiceResponse::decode(answer).unwrap_or_default();
        Ok(answer.partial_success.map_or(0, |part| part.rejected_spans))
    }

    pub(super) async fn metrics(
        &self,
        request: &ExportMetricsServiceRequest,
    ) -> Result<i64, Refused> {
        let answer = self.post(&self.metrics, request).await?;
        let answer = ExportMetricsServiceResponse::decode(answer).unwrap_or_default();
        Ok(answer.partial_success.map_or(0, |part| part.rejected_data_points))
    }

    async fn post(&self, url: &Url, message: &impl Message) -> Result<Bytes, Refused> {
        let outgoing = Outgoing {
            method: Method::POST,
            url: url.clone(),
            headers: self.headers.clone(),
            body: Bytes::from(message.encode_to_vec()),
        };
        let answer = self.net.send(outgoing).await;
        let answer =
            answer.map_err(|error| Refused::ForNow { why: error.to_string(), wait_ms: None })?;
        let status = answer.status();
        let wait_ms = wait_ms(answer.headers(), self.net.clock().now());
        // It is read whatever it says, so that the connection can be used again.
        let body = tokio::select! {
            biased;
            body = self.net.body(answer).beginning(ANSWER) => body,
            () = self.net.clock().after(ANSWER_MS) => Bytes::new(),
        };
        let why = || format!("the collector answers {status}");
        match status {
            _ if status.is_success() => Ok(body),
            StatusCode::TOO_MANY_REQUESTS
            | StatusCode::BAD_GATEWAY
            | StatusCode::SERVICE_UNAVAILABLE
            | StatusCode::GATEWAY_TIMEOUT => Err(Refused::ForNow { why: why(), wait_ms }),
            _ => Err(Refused::ForGood(why())),
        }
    }
}
