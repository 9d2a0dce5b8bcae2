//! For tests of this project and of its users: stand-ins for the world that can be made to fail,
//! and the laws that every implementation of a port must pass.

pub mod clock;
pub mod harness;
pub mod laws;
pub mod memory;
