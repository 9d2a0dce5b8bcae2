//! The collector of spans and metrics, as the environment names it by the usual variables. None is
//! named unless somebody names its address; and then a value that is none is refused, not passed over.

use percent_encoding::percent_decode_str;
use secrecy::{ExposeSecret as _, SecretString};

use super::Environment;
use crate::telemetry::otel::{Collector, Protocol};

/// A variable with a value that is none.
#[derive(Debug, thiserror::Error)]
#[error("{name} is {found}: {expected} was expected")]
pub struct Unfit {
    /// Its name.
    pub name: &'static str,
    /// What was found, where that is no secret.
    pub found: String,
    /// What it may be.
    pub expected: &'static str,
}

impl Environment {
    /// The collector that is named, where one is.
    ///
    /// # Errors
    /// When a variable about it has a value that is none.
    pub fn collector(&self) -> Result<Option<Collector>, Unfit> {
        let disabled = match self.set("OTEL_SDK_DISABLED").map(|word| word.to_ascii_lowercase()) {
            None => false,
            Some(word) => match word.as_str() {
                "true" => true,
                "false" => false,
                _ => return Err(unfit("OTEL_SDK_DISABLED", &word, "true or false")),
            },
        };
        let endpoint = self.set("OTEL_EXPORTER_OTLP_ENDPOINT").filter(|_| !disabled);
        let Some(endpoint) = endpoint else { return Ok(None) };
        let mut collector = Collector::at(endpoint).protocol(self.protocol()?);
        for (name, value) in self.pairs("OTEL_EXPORTER_OTLP_HEADERS")? {
            collector = collector.header(name, SecretString::from(value));
        }
        let mut more = self.pairs("OTEL_RESOURCE_ATTRIBUTES")?;
        let named = more.iter().position(|(name, _)| name == "service.name");
        if let Some((_, name)) = named.map(|at| more.remove(at)) {
            collector = collector.service(name);
        }
        if let Some(name) = self.set("OTEL_SERVICE_NAME") {
            collector = collector.service(name);
        }
        collector.identity.attributes = more;
        let rhythm = &mut collector.rhythm;
        rhythm.spans_ms = self.every("OTEL_BSP_SCHEDULE_DELAY")?.unwrap_or(rhythm.spans_ms);
        let metrics = self.every("OTEL_METRIC_EXPORT_INTERVAL")?;
        rhythm.metrics_ms = metrics.unwrap_or(rhythm.metrics_ms);
        Ok(Some(collector))
    }

    fn protocol(&self) -> Result<Protocol, Unfit> {
        const NAME: &str = "OTEL_EXPORTER_OTLP_PROTOCOL";
        let Some(word) = self.set(NAME) else { return Ok(Protocol::default()) };
        match word.as_str() {
            "http/protobuf" => Ok(Protocol::Http),
            "grpc" => Ok(Protocol::Grpc),
            other => Err(unfit(NAME, other, "http/protobuf or grpc")),
        }
    }

    /// A variable's text, without blanks around it; one that is empty is not set.
    fn set(&self, name: &str) -> Option<String> {
        let found = self.variables.find(name)?;
        Some(found.expose_secret().trim().to_owned()).filter(|text| !text.is_empty())
    }

    fn every(&self, name: &'static str) -> Result<Option<u64>, Unfit> {
        let Some(text) = self.set(name) else { return Ok(None) };
        let ms = text.parse().ok().filter(|ms| *ms > 0);
        ms.map(Some).ok_or_else(|| unfit(name, &text, "a number of milliseconds above 0"))
    }

    /// Pairs with commas between them and values that may be escaped. What is wrong is not shown: it may
    /// be half a credential.
    fn pairs(&self, name: &'static str) -> Result<Vec<(String, String)>, Unfit> {
        let all = self.set(name).unwrap_or_default();
        let pairs = all.split(',').map(str::trim).filter(|pair| !pair.is_empty());
        let read = pairs.map(|pair| {
            let (key, value) = pair.split_once('=').filter(|(key, _)| !key.trim().is_empty())?;
            let value = percent_decode_str(value.trim()).decode_utf8().ok()?;
            Some((key.trim().to_owned(), value.into_owned()))
        });
        let read: Option<Vec<_>> = read.collect();
        read.ok_or_else(|| Unfit {
            name,
            found: "no list of pairs".to_owned(),
            expected: "name=value, with commas between several",
        })
    }
}

fn unfit(name: &'static str, found: &str, expected: &'static str) -> Unfit {
    Unfit { name, found: format!("{found:?}"), expected }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: (&str, &str) = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:4318");

    fn found(pairs: &[(&str, &str)]) -> Result<Option<Collector>, Unfit> {
        let pairs = pairs.iter().map(|(name, value)| ((*name).into(), (*value).into()));
        Environment::found(pairs).collector()
    }

    #[test]
    fn a_collector_is_one_that_somebody_named() {
        assert!(found(&[]).unwrap().is_none());
        assert!(found(&[("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")]).unwrap().is_none());
        assert!(found(&[AT, ("OTEL_SDK_DISABLED", "TRUE")]).unwrap().is_none());
        let plain = found(&[AT, ("OTEL_SDK_DISABLED", "false")]).unwrap().unwrap();
        assert_eq!(
            (plain.protocol, plain.identity.service.as_str()),
            (Protocol::Http, "greenroom")
        );
        let named = found(&[
            AT,
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "a=b, authorization=Bearer%20hush"),
            ("OTEL_RESOURCE_ATTRIBUTES", "service.name=attic,team=a%2Cb"),
            ("OTEL_BSP_SCHEDULE_DELAY", "50"),
        ]);
        let named = named.unwrap().unwrap();
        let headers: Vec<_> = named
            .headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.expose_secret()))
            .collect();
        assert_eq!(headers, [("a", "b"), ("authorization", "Bearer hush")]);
        assert_eq!((named.protocol, named.endpoint.as_str()), (Protocol::Grpc, "http://c:4318"));
        assert_eq!(named.identity.service, "attic");
        assert_eq!(named.identity.attributes, [("team".to_owned(), "a,b".to_owned())]);
        assert_eq!((named.rhythm.spans_ms, named.rhythm.metrics_ms), (50, 60_000));
        assert!(!format!("{named:?}").contains("hush"), "{named:?}");
        let both = [AT, ("OTEL_RESOURCE_ATTRIBUTES", "service.name=a"), ("OTEL_SERVICE_NAME", "b")];
        assert_eq!(found(&both).unwrap().unwrap().identity.service, "b");
    }

    #[test]
    fn a_value_that_is_none_is_refused_by_name_and_no_header_is_shown() {
        let check = |name: &'static str, value: &str, words: &str| {
            let error = found(&[AT, (name, value)]).unwrap_err().to_string();
            assert!(error.starts_with(name) && error.contains(words), "{error}");
            assert!(!error.contains("hush"), "{error}");
        };
        let spoken = "is \"http/json\": http/protobuf or grpc was expected";
        check("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json", spoken);
        check("OTEL_SDK_DISABLED", "yes", "true or false was expected");
        check("OTEL_EXPORTER_OTLP_HEADERS", "a=b,hush", "name=value");
        check("OTEL_EXPORTER_OTLP_HEADERS", "=hush", "name=value");
        check("OTEL_RESOURCE_ATTRIBUTES", "hush", "name=value");
        check("OTEL_BSP_SCHEDULE_DELAY", "0", "a number of milliseconds above 0 was expected");
        check("OTEL_METRIC_EXPORT_INTERVAL", "soon", "a number of milliseconds");
    }
}
