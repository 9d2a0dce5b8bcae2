//! The HTTP face as its clients meet it: real sockets on the loopback, requests written by hand, a real
//! store. What each route needs is read from the document that the face itself serves, so that a new
//! route is in these tests on the day it is made. Each row of the catalogue of attacks and of crowds names
//! what holds it, here or where it stands.
//!
//! | Row | What | Held by |
//! | --- | --- | --- |
//! | A1 | every route, every token | `door` `every_route_wants_a_token_that_is_known_and_for_it` |
//! | A2 | where it listens | `door` `it_listens_where_others_reach_it_only_when_that_is_said` |
//! | A3, A4 | other names, other sites | `door` `who_calls_it_by_another_name_or_from_another_site_is_sent_away` |
//! | A5 | changes by other ways | `door` `a_change_is_asked_for_with_json_and_by_no_other_way` |
//! | A6 | tokens elsewhere | `door` `a_token_is_taken_from_one_header_and_from_nowhere_else` |
//! | A7 | too large, too deep, too long | `door` `what_is_too_large_too_deep_or_too_long_is_refused` |
//! | A8, O8 | slow on purpose | `pace` |
//! | A9 | one request in another | `door` `no_request_hides_in_another` |
//! | A10 | spellings of paths | `door` `no_spelling_of_a_path_passes_by_the_door` |
//! | A11 | guessed tokens | `src/http/token.rs`: all are compared, and a token has no equality; the time: `cargo bench --bench http -- guesses` |
//! | A12 | others' ids | `frontier` |
//! | A13 | races for one answer | `questions`, as many as `GREENROOM_CROWD` says |
//! | A14 | addresses that lead inside | a caller names a way of the house and no address; what tools fetch: `src/net/guard.rs` |
//! | A15 | scripts in what was said | the lane `tests/page/run` |
//! | A16 | metrics | `door` as every route; bounded names: `src/telemetry/labels.rs` |
//! | A17 | too often | `door` `who_asks_too_often_is_told_when_to_come_again`, `src/http/rates.rs` |
//! | A18 | keys | `keys`, as many rounds as `GREENROOM_CROWD` says |
//! | A19 | the switch | `watching` `the_switch_stops_everything_and_lets_nothing_begin`, `crowd` |
//! | A20 | what refusals say | `refusals` |
//! | O1 | a full house | `cargo bench --bench http -- house` |
//! | O2, O9, O10, O12 | a crowd, its questions, a long log, a stop | `crowd`, as many as `GREENROOM_CROWD` says |
//! | O4 | readers who do not read | `live` `who_reads_nothing_holds_nobody_up_and_can_come_back` |
//! | O7 | a vendor's outage | `tests/it/gate.rs` |
//! | O11 | every queue | `tests/it/waits` and invariant I22 |

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
#[path = "http/crowd.rs"]
mod crowd;
#[path = "http/door.rs"]
mod door;
#[path = "http/figures.rs"]
mod figures;
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
#[path = "http/refusals.rs"]
mod refusals;
#[path = "http/theatre.rs"]
mod theatre;
#[path = "http/turns.rs"]
mod turns;
#[path = "http/watching.rs"]
mod watching;
