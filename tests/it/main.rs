//! The one integration binary: real files, real processes, real signals.

mod heart;
mod isolation;
mod ledger;
mod props;
mod restart;
mod stage;
mod store;
mod waits;
mod workshop;
