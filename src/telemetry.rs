//! What happened, as others want to read it: metrics today, traces and spans later. It knows the
//! events and nothing of the runtime that tells them; nothing else in the house counts anything.

pub mod metrics;

mod families;
mod labels;
mod spans;
