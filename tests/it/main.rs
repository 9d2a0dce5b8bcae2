//! The one integration binary: real files, real processes, real signals.

mod heart;
mod stage;
mod store;
