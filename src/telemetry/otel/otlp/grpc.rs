//! The protocol over gRPC, by the clients that its crate has. The channel is made when it is first used
//! and again whenever it breaks, and another takes its place when it is silent: it would keep a connection
//! that leads nowhere for as long as the kernel does. TLS is the one that the HTTP client has, with the
//! machine's roots. It goes through no proxy.

use std::{
    error::Error as _,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use opentelemetry_proto::tonic::collector::{
    metrics::v1::{ExportMetricsServiceRequest, metrics_service_client::MetricsServiceClient},
    trace::v1::{ExportTraceServiceRequest, trace_service_client::TraceServiceClient},
};
use tonic::{
    Code, Request, Status,
    metadata::MetadataMap,
    transport::{Channel, ClientTlsConfig, Endpoint},
};
use tonic_types::StatusExt as _;

use super::{Otlpless, PATIENCE, Refused, address, headers, shown};
use crate::telemetry::otel::Collector;

const EXAMPLE: &str = "http://HOST:4317";

/// A collector that is reached over gRPC.
#[derive(Debug)]
pub(super) struct Grpc {
    endpoint: Endpoint,
    channel: Mutex<Channel>,
    headers: MetadataMap,
}

impl Grpc {
    pub(super) fn new(collector: &Collector) -> Result<Self, Otlpless> {
        let url = address(collector, EXAMPLE)?;
        let no = |_error| Otlpless::NoAddress { url: shown(&collector.endpoint), example: EXAMPLE };
        let endpoint = Endpoint::from_shared(url.to_string()).map_err(no)?;
        let endpoint = endpoint
            .connect_timeout(Duration::from_millis(PATIENCE.connect_ms))
            .timeout(Duration::from_millis(PATIENCE.first_byte_ms));
        let endpoint = match url.scheme() {
            "https" => {
                let tls = ClientTlsConfig::new().with_native_roots();
                endpoint.tls_config(tls).map_err(Otlpless::Tls)?
            }
            _ => endpoint,
        };
        let headers = MetadataMap::from_headers(headers(collector)?);
        let channel = Mutex::new(endpoint.connect_lazy());
        Ok(Self { endpoint, channel, headers })
    }

    fn channel(&self) -> Channel {
        self.channel.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) async fn spans(&self, request: ExportTraceServiceRequest) -> Result<i64, Refused> {
        let mut client = TraceServiceClient::new(self.channel());
        let answer =
            client.export(self.request(request)).await.map_err(|status| self.refused(&status))?;
        Ok(answer.into_inner().partial_success.map_or(0, |part| part.rejected_spans))
    }

    pub(super) async fn metrics(
        &self,
        request: ExportMetricsServiceRequest,
    ) -> Result<i64, Refused> {
        let mut client = MetricsServiceClient::new(self.channel());
        let answer =
            client.export(self.request(request)).await.map_err(|status| self.refused(&status))?;
        Ok(answer.into_inner().partial_success.map_or(0, |part| part.rejected_data_points))
    }

    fn request<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        *request.metadata_mut() = self.headers.clone();
        request
    }

    fn refused(&self, status: &Status) -> Refused {
        let why = format!("the collector answers {:?}", status.code());
        // What has a cause here did not come from there: no connection, or one that broke or is silent.
        if status.source().is_some() {
            let fresh = self.endpoint.connect_lazy();
            *self.channel.lock().unwrap_or_else(PoisonError::into_inner) = fresh;
            let why = format!("no answer from the collector: {:?}", status.code());
            return Refused::ForNow { why, wait_ms: None };
        }
        let wait = status.get_details_retry_info();
        let wait_ms = wait
            .as_ref()
            .and_then(|wait| wait.retry_delay)
            .map(|delay| u64::try_from(delay.as_millis()).unwrap_or(u64::MAX));
        match is_for_now(status.code(), wait.is_some()) {
            true => Refused::ForNow { why, wait_ms },
            false => Refused::ForGood(why),
        }
    }
}

/// What the protocol says of each code: whether the same may be said again.
const fn is_for_now(code: Code, names_a_wait: bool) -> bool {
    match code {
        Code::Ok
        | Code::Cancelled
        | Code::DeadlineExceeded
        | Code::Aborted
        | Code::OutOfRange
        | Code::Unavailable
        | Code::DataLoss => true,
        // It may be the lot that is too large, and would be each time.
        Code::ResourceExhausted => names_a_wait,
        Code::Unknown
        | Code::InvalidArgument
        | Code::NotFound
        | Code::AlreadyExists
        | Code::PermissionDenied
        | Code::FailedPrecondition
        | Code::Unimplemented
        | Code::Internal
        | Code::Unauthenticated => false,
    }
}
