//! The one integration binary: real files, real processes, real signals.

mod approvals;
mod cancel;
mod children;
mod heart;
mod isolation;
mod props;
mod restart;
mod sessions;
mod stage;
mod store;
mod workshop;
