//! Tools on a real machine: real processes, real signals, real attacks. Where the kernel lacks what a
//! test needs the test fails and says so.

#![allow(
    unreachable_pub,
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    clippy::too_many_lines,
    reason = "test code: it measures real time, prints figures, and its helpers stand outside test functions"
)]
#![cfg(target_os = "linux")]

mod approved;
mod covers;
mod faults;
mod fences;
mod hands;
mod home;
mod layers;
mod pool;
mod roles;
mod whole;
