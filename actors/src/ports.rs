//! Layer 2, traits alone: what the runtime needs of the world. Each has laws in
//! `testing::laws` that every implementation, in memory or real, must pass.
//!
//! Each port stands in a file with its own words; who writes an adapter reads one. They are known by
//! their names here alone.

mod around;
mod blobs;
mod catalog;
mod clock;
mod context;
mod hooks;
mod journal;
mod models;
mod services;
mod sight;
mod tools;

pub use around::{Around, Asked, Through};
pub use blobs::{Blobs, Pieces};
pub use catalog::Catalog;
pub use clock::{Calendar, Clock};
pub use context::{Cancel, Progress, ToolCtx};
pub use hooks::{HookTable, JobHook, NotTold};
pub use journal::{Append, AppendError, Claim, Journal, JournalError};
pub use models::{ModelEvent, ModelProvider, ModelRequest, ProviderTable};
pub use services::{RESERVED_SERVICES, ServiceError, Services};
pub use sight::Sight;
pub use tools::{Probe, Tool, ToolTable};
