//! The HTTP face as its clients meet it: real sockets on the loopback, requests written by hand, a real
//! store. What each route needs is read from the document that the face itself serves, so that a new
//! route is in these tests on the day it is made.

#![allow(
    unreachable_pub,
    clippy::unwrap_used,
    clippy::string_slice,
    clippy::disallowed_methods,
    reason = "test code: helpers stand outside test functions, slices cut texts of its own"
)]

#[path = "crash/chance.rs"]
mod chance;
#[path = "http/client.rs"]
mod client;
#[path = "http/door.rs"]
mod door;
#[path = "http/frontier.rs"]
mod frontier;
#[path = "http/jobs.rs"]
mod jobs;
#[path = "http/keys.rs"]
mod keys;
#[path = "http/killed.rs"]
mod killed;
#[path = "http/live.rs"]
mod live;
#[path = "http/orders.rs"]
mod orders;
#[path = "http/pace.rs"]
mod pace;
#[path = "http/questions.rs"]
mod questions;
#[path = "http/theatre.rs"]
mod theatre;
#[path = "http/turns.rs"]
mod turns;
#[path = "http/watching.rs"]
mod watching;
