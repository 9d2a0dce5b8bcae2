//! Greenroom: adapters that implement the runtime's ports on this machine, faces that use its
//! handle, and `app`, the only file that knows both. The runtime itself is `greenroom_actors`.

pub mod app;
pub mod cli;
pub mod clock;
pub mod config;
pub mod store;
