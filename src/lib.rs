//! Greenroom's adapters: what implements the runtime's ports on this machine.

pub mod clock;
pub mod store;
