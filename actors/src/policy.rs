//! Layer 1: pure decisions. No async, no clocks, no randomness, no logging: everything that a
//! decision depends on is an argument, and everything it causes is a return value.

pub mod budget;
pub mod catalog;
pub mod fair;
pub mod gate;
pub mod jobs;
pub mod recovery;
pub mod reliability;
pub mod replay;
pub mod rules;
mod shell;
pub mod turn;

/// What the analysis of shell commands foresees, for tests that look at what really happens.
#[cfg(feature = "testing")]
pub mod foresight {
    pub use super::shell::{ANY, Foreseen, Foretold, How, foretell};
}
