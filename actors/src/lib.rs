//! The runtime of Greenroom. Reading order: `domain` (values), `policy` (pure decisions), `ports`
//! (what it needs of the world), `protocol` (messages), the actors, `supervisor`, `runtime` (the
//! only door).
//!
//! It refuses HTTP, SQL, a vendor's JSON, the clock and the environment: its dependency list lacks
//! them, and `tests/tidy.rs` keeps it so. The invariants are numbered in `README.md`.

#![forbid(unsafe_code)]
#![warn(missing_docs, clippy::wildcard_enum_match_arm)]
#![cfg_attr(
    test,
    allow(
        clippy::wildcard_enum_match_arm,
        reason = "a test that looks for one event among many decides nothing about the others"
    )
)]

pub mod domain;
pub mod limits;

pub mod policy;

pub mod fault;
pub mod log;
pub mod owned;
pub mod ports;

pub mod protocol;

pub mod bus;
mod directory;

pub mod gate;
mod jobs;
pub mod ledger;
pub mod permission;
mod session;
pub mod tool_pool;

mod supervisor;

pub mod runtime;
pub mod scripted;
#[cfg(feature = "testing")]
pub mod testing;

pub use owned::Owned;
pub use ports::{Clock, JournalError, ModelProvider, Probe, ServiceError, Services, Tool, ToolCtx};
pub use runtime::Runtime;
