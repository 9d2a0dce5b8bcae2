//! Layer 3: messages and typed addresses, one file per actor. Callers never see an actor's enum;
//! they hold an address that finds the actor again after a restart.

pub mod address;
pub mod gate;
pub mod jobs;
pub mod lease;
pub mod ledger;
pub mod permission;
pub mod session;
pub mod tool_pool;
pub mod wing;
