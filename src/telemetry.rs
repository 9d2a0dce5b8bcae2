//! What happened, as others want to read it: metrics, traces, and spans. It knows the
//! events and nothing of the runtime that tells them; nothing else in the house counts anything. What
//! must not be read by anybody is taken out here as well, whoever says it: `redact`.

pub mod metrics;
pub mod names;
pub mod otel;
pub mod redact;
pub mod trace;

mod families;
mod labels;
mod spans;

/// An error with what caused it, in one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}
