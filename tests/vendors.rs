//! Vendors as they go wrong, over real sockets, seen through an adapter or through a whole runtime.
//! Each row of the catalogue of their faults names the tests that hold it, here or where they stand.

#![allow(
    unreachable_pub,
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "test code: its helpers stand outside test functions, its processes have an environment"
)]

#[path = "vendors/caps.rs"]
mod caps;
#[path = "vendors/cut.rs"]
mod cut;
#[path = "vendors/family.rs"]
mod family;
#[path = "vendors/hang.rs"]
mod hang;
#[path = "vendors/house.rs"]
mod house;
#[path = "vendors/ids.rs"]
mod ids;
#[path = "vendors/malformed.rs"]
mod malformed;
#[path = "vendors/opaque.rs"]
mod opaque;
#[allow(dead_code, clippy::let_underscore_must_use, reason = "the integration tests use the rest")]
#[path = "it/props.rs"]
mod props;
#[path = "vendors/server.rs"]
mod server;
#[path = "../examples/replay_cases/shape.rs"]
mod shape;
#[path = "vendors/shapes.rs"]
mod shapes;
#[path = "vendors/speech.rs"]
mod speech;
#[allow(dead_code, reason = "the integration tests use the rest")]
#[path = "it/stage.rs"]
mod stage;
#[path = "vendors/status.rs"]
mod status;
#[path = "vendors/storm.rs"]
mod storm;
#[path = "vendors/usage.rs"]
mod usage;
