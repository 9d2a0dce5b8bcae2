//! The protocol over gRPC, by the clients that its crate has. The channel is made when it is first used
//! and again whenever it breaks; TLS is the one that the HTTP client has, with the machine's roots. It
//! goes through no proxy.

use std::time::Duration;

use opentelemetry_proto::tonic::collector::{
    metrics::v1::{ExportMetricsServiceRequest, metrics_service_client::MetricsServiceClient},
    trace::v1::{ExportTraceServiceRequest, trace_service_client::TraceServiceClient},
};
use secrecy::ExposeSecret as _;
use tonic::{
    Code, Request, Status,
    metadata::{Ascii, MetadataKey, MetadataMap, MetadataValue},
    transport::{Channel, ClientTlsConfig, Endpoint},
};

use super::{Otlpless, PATIENCE, Refused, shown};
use crate::telemetry::otel::Collector;

/// A collector that is reached over gRPC.
#[derive(Debug)]
pub(super) struct Grpc {
    channel: Channel,
    headers: MetadataMap,
}

impl Grpc {
    pub(super) fn new(collector: &Collector) -> Result<Self, Otlpless> {
        let text = &collector.endpoint;
        let no = || Otlpless::NoAddress { url: shown(text), example: "http://HOST:4317" };
        let endpoint = Endpoint::from_shared(text.clone()).map_err(|_error| no())?;
        let is_safe = match endpoint.uri().scheme_str() {
            Some("https") => true,
            Some("http") => false,
            Some(_) | None => return Err(no()),
        };
        let endpoint = endpoint
            .connect_timeout(Duration::from_millis(PATIENCE.connect_ms))
            .timeout(Duration::from_millis(PATIENCE.first_byte_ms));
        let endpoint = match is_safe {
            true => {
                let tls = ClientTlsConfig::new().with_native_roots();
                endpoint.tls_config(tls).map_err(Otlpless::Tls)?
            }
            false => endpoint,
        };
        let mut headers = MetadataMap::new();
        for (name, value) in &collector.headers {
            let wrong = || Otlpless::NoHeader { name: name.clone() };
            let key = name.to_ascii_lowercase().parse::<MetadataKey<Ascii>>();
            let value = MetadataValue::try_from(value.expose_secret());
            let mut value = value.map_err(|_error| wrong())?;
            value.set_sensitive(true);
            headers.insert(key.map_err(|_error| wrong())?, value);
        }
        Ok(Self { channel: endpoint.connect_lazy(), headers })
    }

    pub(super) async fn spans(&self, request: ExportTraceServiceRequest) -> Result<i64, Refused> {
        let mut client = TraceServiceClient::new(self.channel.clone());
        let answer = client.export(self.request(request)).await.map_err(refused)?;
        Ok(answer.into_inner().partial_success.map_or(0, |part| part.rejected_spans))
    }

    pub(super) async fn metrics(
        &self,
        request: ExportMetricsServiceRequest,
    ) -> Result<i64, Refused> {
        let mut client = MetricsServiceClient::new(self.channel.clone());
        let answer = client.export(self.request(request)).await.map_err(refused)?;
        Ok(answer.into_inner().partial_success.map_or(0, |part| part.rejected_data_points))
    }

    fn request<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        *request.metadata_mut() = self.headers.clone();
        request
    }
}

/// What the protocol says of each code: whether the same may be said again.
fn refused(status: Status) -> Refused {
    let why = format!("the collector answers {:?}", status.code());
    match status.code() {
        Code::Ok
        | Code::Cancelled
        | Code::DeadlineExceeded
        | Code::ResourceExhausted
        | Code::Aborted
        | Code::OutOfRange
        | Code::Unavailable
        | Code::DataLoss
        // A connection that broke is one of these as well.
        | Code::Unknown => Refused::ForNow(why),
        Code::InvalidArgument
        | Code::NotFound
        | Code::AlreadyExists
        | Code::PermissionDenied
        | Code::FailedPrecondition
        | Code::Unimplemented
        | Code::Internal
        | Code::Unauthenticated => Refused::ForGood(why),
    }
}
