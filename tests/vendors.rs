//! Vendors as they go wrong, over real sockets, seen through an adapter or through a whole runtime.
//! Each row of the catalogue of their faults names what holds it, here or where it stands.
//!
//! | Row | Fault | Held by |
//! | --- | --- | --- |
//! | V1 | cut anywhere | `cut`; at every byte of every synthetic stream: `tests/replay.rs` `a_stream_cut_at_any_byte_is_whole_or_a_failure_and_never_a_short_answer` |
//! | V2 | re-chunked | `src/net/tests.rs` `events_are_the_same_however_their_bytes_arrive`, `lines_are_the_same_however_their_bytes_arrive`; `tests/replay.rs` `the_synthetic_exchanges_are_read_right_in_pieces_of_every_size` |
//! | V3 | no protocol | `malformed` |
//! | V4 | status and body | `status`; the table: `src/providers/failure/tests.rs` `every_row_decides_something_that_no_other_would`, `every_status_is_decided_whatever_the_body` |
//! | V5 | hangs | `hang` |
//! | V6 | without an end | `caps` |
//! | V7 | arguments | `ids`; each kind: `actors/src/policy/turn/tests/hostile.rs` `arguments_that_are_none_are_told_to_the_model_and_start_nothing` |
//! | V8 | no text, no TLS, a lying length | `malformed` |
//! | V9 | usage | `usage` |
//! | V10 | redirects | `status` `a_redirect_is_not_followed_and_no_other_host_sees_the_credential` |
//! | V11 | late answers | `hang` `an_answer_to_a_call_that_was_given_up_changes_nothing` |
//! | V12 | hostile ids | `ids` |
//! | O6 | a limit that hits all | `storm`; the gate's own figures: `tests/it/gate.rs` |
//!
//! Beside the rows: `opaque`, what only its vendor understands; `family`, one tree on two vendors;
//! `shapes`, requests as vendors have accepted them.

#![allow(
    unreachable_pub,
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "test code: its helpers stand outside test functions, its processes have an environment and print figures"
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
