//! Layer 1: pure decisions. No async, no clocks, no randomness, no logging: everything that a
//! decision depends on is an argument, and everything it causes is a return value.

pub mod budget;
pub mod catalog;
pub mod fair;
pub mod gate;
pub mod recovery;
pub mod reliability;
pub mod replay;
pub mod rules;
mod shell;
pub mod turn;
