//! The histograms that the conventions have for whoever runs agents, models and tools: durations and
//! tokens. They only grow, from the start of the process on, and nobody collects them but who asks:
//! a reader that is read when something is to be sent. Labels are bounded as those of `/metrics` are, and
//! a model that a message made up is none here either.

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use greenroom_actors::domain::{event::Event, ids::ModelName};
use opentelemetry::{
    KeyValue,
    metrics::{Histogram, MeterProvider as _},
};
use opentelemetry_sdk::{
    Resource,
    error::OTelSdkResult,
    metrics::{
        InstrumentKind, ManualReader, Pipeline, SdkMeterProvider, Temporality,
        data::ResourceMetrics, reader::MetricReader,
    },
};

use super::{Done, Measured, Of, sketch};
use crate::telemetry::{
    labels::{Bounded, Known},
    names,
};

/// Bounds of a duration, in seconds: doubling.
const SECONDS: [f64; 14] =
    [0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92];
/// Bounds of a number of tokens: powers of four.
const TOKENS: [f64; 14] = [
    1.0,
    4.0,
    16.0,
    64.0,
    256.0,
    1024.0,
    4096.0,
    16384.0,
    65536.0,
    262_144.0,
    1_048_576.0,
    4_194_304.0,
    16_777_216.0,
    67_108_864.0,
];

/// Reads what was measured, for one who takes it.
#[derive(Clone, Debug)]
pub struct Reader(Arc<ManualReader>);

impl Reader {
    /// One that is read as its taker likes it: everything so far, or what is new.
    #[must_use]
    pub fn new(temporality: Temporality) -> Self {
        Self(Arc::new(ManualReader::builder().with_temporality(temporality).build()))
    }

    /// What was measured.
    ///
    /// # Errors
    /// When nothing measures any more.
    pub fn read(&self) -> Result<ResourceMetrics, String> {
        let mut metrics = ResourceMetrics::default();
        self.0.collect(&mut metrics).map_err(|error| error.to_string())?;
        Ok(metrics)
    }
}

impl MetricReader for Reader {
    fn register_pipeline(&self, pipeline: Weak<Pipeline>) {
        self.0.register_pipeline(pipeline);
    }

    fn collect(&self, metrics: &mut ResourceMetrics) -> OTelSdkResult {
        self.0.collect(metrics)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.0.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.0.shutdown_with_timeout(timeout)
    }

    fn temporality(&self, kind: InstrumentKind) -> Temporality {
        self.0.temporality(kind)
    }
}

/// The instruments of one house.
#[derive(Debug)]
pub struct Instruments {
    agents: Histogram<f64>,
    models: Histogram<f64>,
    tools: Histogram<f64>,
    tokens: Histogram<u64>,
    agent_names: Bounded,
    model_names: Known,
    served_names: Bounded,
    tool_names: Bounded,
    provider_names: Bounded,
    /// It holds what the readers read.
    _provider: SdkMeterProvider,
}

impl Instruments {
    /// Instruments that these read.
    #[must_use]
    pub fn new(resource: Resource, readers: impl IntoIterator<Item = Reader>) -> Self {
        let empty = SdkMeterProvider::builder().with_resource(resource);
        let provider = readers.into_iter().fold(empty, |made, one| made.with_reader(one)).build();
        let meter = provider.meter_with_scope(sketch::scope());
        let seconds = |name| {
            let histogram = meter.f64_histogram(name).with_unit(names::SECONDS);
            histogram.with_boundaries(SECONDS.to_vec()).build()
        };
        let tokens = meter.u64_histogram(names::TOKENS).with_unit(names::OF_TOKENS);
        Self {
            agents: seconds(names::AGENT_DURATION),
            models: seconds(names::DURATION),
            tools: seconds(names::TOOL_DURATION),
            tokens: tokens.with_boundaries(TOKENS.to_vec()).build(),
            agent_names: Bounded::default(),
            model_names: Known::default(),
            served_names: Bounded::default(),
            tool_names: Bounded::default(),
            provider_names: Bounded::default(),
            _provider: provider,
        }
    }

    /// Models that exist, beside those of the agents that are heard of.
    pub fn know<'n>(&mut self, models: impl IntoIterator<Item = &'n ModelName>) {
        models.into_iter().for_each(|model| self.model_names.learn(model.as_str()));
    }

    /// Learns what an event declares.
    pub fn learn(&mut self, event: &Event) {
        if let Event::SessionOpened { rendered, .. } = event {
            self.know(rendered.agent.models());
        }
    }

    /// Measures what ended.
    pub fn measure(&mut self, done: &Done) {
        let Some(Measured { ms, error, of }) = &done.measured else { return };
        let seconds = *ms as f64 / 1_000.0;
        let mut labels = Vec::with_capacity(5);
        let into = match of {
            Of::Agent { agent } => {
                labels.push(KeyValue::new(names::OPERATION, names::INVOKE_AGENT));
                labels.push(KeyValue::new(names::AGENT, self.agent_names.value(agent)));
                &self.agents
            }
            Of::Tool { tool } => {
                labels.push(KeyValue::new(names::OPERATION, names::EXECUTE_TOOL));
                labels.push(KeyValue::new(names::TOOL, self.tool_names.value(tool)));
                &self.tools
            }
            Of::Model { provider, model, served, tokens } => {
                let provider = self.provider_names.value(provider);
                labels.push(KeyValue::new(names::OPERATION, names::CHAT));
                labels.push(KeyValue::new(names::PROVIDER, provider));
                labels.push(KeyValue::new(names::REQUEST_MODEL, self.model_names.value(model)));
                if let Some(served) = served {
                    let served = self.served_names.value(served);
                    labels.push(KeyValue::new(names::RESPONSE_MODEL, served));
                }
                for (kind, count) in tokens
                    .iter()
                    .flat_map(|(input, output)| [(names::INPUT, *input), (names::OUTPUT, *output)])
                {
                    labels.push(KeyValue::new(names::TOKEN_TYPE, kind));
                    self.tokens.record(count, &labels);
                    labels.pop();
                }
                &self.models
            }
        };
        labels.extend(error.map(|error| KeyValue::new(names::ERROR, error)));
        into.record(seconds, &labels);
    }
}
