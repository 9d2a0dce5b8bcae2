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
    header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue},
};
use secrecy::ExposeSecret as _;

use super::{Otlpless, PATIENCE, Refused, shown};
use crate::{
    net::{Net, Outgoing, Proxies},
    telemetry::otel::Collector,
};

/// Bytes of an answer that are read: a number and a sentence.
const ANSWER: usize = 64 << 10;

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
        let base = collector.endpoint.trim_end_matches('/');
        let below = |path: &str| {
            let url = Url::parse(&format!("{base}/v1/{path}")).ok();
            let url = url.filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
            let no = || Otlpless::NoAddress { url: shown(base), example: "http://HOST:4318" };
            url.ok_or_else(no)
        };
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-protobuf"));
        for (name, value) in &collector.headers {
            let wrong = || Otlpless::NoHeader { name: name.clone() };
            let key = HeaderName::try_from(name.as_str()).map_err(|_error| wrong())?;
            let mut value =
                HeaderValue::try_from(value.expose_secret()).map_err(|_error| wrong())?;
            value.set_sensitive(true);
            headers.insert(key, value);
        }
        let (traces, metrics) = (below("traces")?, below("metrics")?);
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
        let answer = answer.map_err(|error| Refused::ForNow(error.to_string()))?;
        let status = answer.status();
        // It is read whatever it says, so that the connection can be used again.
        let body = self.net.body(answer).beginning(ANSWER).await;
        let why = || format!("the collector answers {status}");
        match status {
            _ if status.is_success() => Ok(body),
            StatusCode::TOO_MANY_REQUESTS
            | StatusCode::BAD_GATEWAY
            | StatusCode::SERVICE_UNAVAILABLE
            | StatusCode::GATEWAY_TIMEOUT => Err(Refused::ForNow(why())),
            _ => Err(Refused::ForGood(why())),
        }
    }
}
