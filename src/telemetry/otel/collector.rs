//! What is known of a collector before it is spoken to: where it is, in which protocol, and how this
//! program is called there. Who reads that from where is not known here.

use std::fmt;

use opentelemetry::KeyValue;
use opentelemetry_sdk::Resource;
use secrecy::SecretString;
use uuid::Uuid;

use crate::telemetry::names;

/// How often spans are handed over, unless said.
const SPANS_MS: u64 = 5_000;
/// How often metrics are.
const METRICS_MS: u64 = 60_000;

/// How a collector is spoken to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Protocol {
    /// Protocol buffers over HTTP.
    #[default]
    Http,
    /// gRPC.
    Grpc,
}

/// A collector, and how it is spoken to.
#[derive(Clone)]
pub struct Collector {
    /// Its address, such as `http://127.0.0.1:4318`; it may hold a credential.
    pub endpoint: String,
    /// In which protocol.
    pub protocol: Protocol,
    /// Headers of each request; they may be credentials.
    pub headers: Vec<(String, SecretString)>,
    /// Who says all this.
    pub identity: Identity,
    /// How often something is said.
    pub rhythm: Rhythm,
}

/// Who says what is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// What this program is called there.
    pub service: String,
    /// What else is to be known of it.
    pub attributes: Vec<(String, String)>,
}

/// How often something is handed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rhythm {
    /// Spans.
    pub spans_ms: u64,
    /// Metrics.
    pub metrics_ms: u64,
}

impl Default for Identity {
    fn default() -> Self {
        Self { service: names::SERVICE.to_owned(), attributes: Vec::new() }
    }
}

impl Identity {
    /// As the SDK has it, of this process, unless the attributes name another.
    #[must_use]
    pub fn resource(&self, process: Uuid) -> Resource {
        let more = self.attributes.iter();
        let more = more.map(|(name, value)| KeyValue::new(name.clone(), value.clone()));
        let version = KeyValue::new(names::SERVICE_VERSION, env!("CARGO_PKG_VERSION"));
        let instance = KeyValue::new(names::SERVICE_INSTANCE, process.to_string());
        let ours = [version, instance];
        let resource = Resource::builder_empty().with_attributes(ours).with_attributes(more);
        // The last word: whoever names the service means it.
        resource.with_service_name(self.service.clone()).build()
    }
}

impl Default for Rhythm {
    fn default() -> Self {
        Self { spans_ms: SPANS_MS, metrics_ms: METRICS_MS }
    }
}

impl fmt::Debug for Collector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Collector").field("identity", &self.identity).finish_non_exhaustive()
    }
}

impl Collector {
    /// One over HTTP that asks for nothing.
    #[must_use]
    pub fn at(endpoint: impl Into<String>) -> Self {
        Self {
            endpoint: endpoint.into(),
            protocol: Protocol::default(),
            headers: Vec::new(),
            identity: Identity::default(),
            rhythm: Rhythm::default(),
        }
    }

    /// The same, spoken to like this.
    #[must_use]
    pub const fn protocol(mut self, protocol: Protocol) -> Self {
        self.protocol = protocol;
        self
    }

    /// The same, with one more header.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<SecretString>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// The same, where this program has another name.
    #[must_use]
    pub fn service(mut self, name: impl Into<String>) -> Self {
        self.identity.service = name.into();
        self
    }
}
