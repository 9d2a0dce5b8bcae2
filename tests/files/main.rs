//! The file tools on real files: what they open, what they never open whatever is tried, and that
//! a write is whole at any moment.

#![allow(
    unreachable_pub,
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "test code: its helpers stand outside test functions, its processes have an environment and say how far they are"
)]
#![cfg(target_os = "linux")]

mod edits;
mod hostile;
mod killed;
mod model;
mod race;
mod reads;
mod runs;
mod stage;
mod walks;
mod writes;
