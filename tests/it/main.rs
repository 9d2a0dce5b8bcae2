//! The one integration binary: real files, real processes, real signals.

#![allow(
    unreachable_pub,
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::too_many_lines,
    clippy::disallowed_methods,
    clippy::let_underscore_must_use,
    reason = "test code: figures are printed, a scenario is told in one piece, its helpers stand outside test functions, its processes have an environment"
)]

mod approvals;
mod cancel;
mod channels;
mod children;
mod delete;
mod embed;
mod gate;
mod heart;
mod house;
mod isolation;
mod jobs;
mod killed;
mod leaks;
mod ledger;
mod models;
mod parts;
mod props;
mod restart;
mod runtimes;
mod secrets;
mod sessions;
mod stage;
mod storage;
mod store;
mod waits;
mod workshop;
