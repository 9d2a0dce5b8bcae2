//! Greenroom: adapters that implement the runtime's ports on this machine, faces that use its
//! handle, and `app`, the only file that knows both. The runtime itself is `greenroom_actors`.

pub mod agents_file;
pub mod app;
pub mod cli;
pub mod clock;
pub mod config;
mod document;
mod embed;
pub mod store;
pub mod telemetry;

pub use embed::{Builder, Runtime, Session, Tenant, TurnEvent, TurnStream, TypedTool};
pub use greenroom_actors::{
    ModelProvider, Services, Tool, ToolCtx,
    domain::{agent::AgentSpec, outcome::TurnOutcome, tool::EffectClass},
};
