//! Tools that act on this machine, each behind the `Tool` port.

pub mod files;
