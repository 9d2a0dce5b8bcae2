//! Tools on a real machine: real processes, real signals, real attacks. Where the kernel lacks what a
//! test needs the test fails and says so. Each row of the catalogue of what tools do wrong names what holds it.
//!
//! | Row | What | Held by |
//! | --- | --- | --- |
//! | T1 | it hangs | `faults` `a_hang_is_ended_at_its_deadline_and_keeps_what_it_printed` |
//! | T2, T3 | somebody stays behind, with the pipe, away from everybody | `faults` `whatever_it_leaves_behind_ends_with_it`, `a_deadline_and_a_cancel_take_the_daemons_along`; of a killed runtime: `roles` |
//! | T4 | it forks without end | `faults` `a_fork_bomb_stays_small_and_goes_with_its_deadline`, `a_crowd_that_never_stops_forking_leaves_a_processor_whole`; what others notice: `cargo bench --bench neighbours` |
//! | T5 | it prints without end | `faults` `output_without_end_is_read_to_its_end_in_little_memory`, `whole` |
//! | T6 | it takes all memory | `faults` `a_memory_bomb_ends_itself_alone` |
//! | T7 | it computes without end | `faults` `who_computes_for_long_leaves_a_processor_to_others_with_all_that_it_started`; what others notice: `cargo bench --bench neighbours` |
//! | T8 | it fills the disk | `faults` `a_disk_is_not_filled` |
//! | T9 | files become links meanwhile | `tests/files/race.rs` |
//! | T10 | it cannot be started | `faults` `what_cannot_be_started_is_said_in_words`, `a_name_that_is_no_text_is_a_name` |
//! | T11 | it ignores, stops, ends in any way | `faults` `who_ignores_term_or_stops_itself_is_killed`, `every_way_to_end_is_reported_truly` |
//! | T12 | it asks, it speaks to the terminal | `faults` `nobody_answers_and_nothing_is_obeyed` |
//! | T13 | it tells what it was given | `faults` `only_the_variables_that_are_meant_are_there`; secrets in all places: `tests/cli/canaries.rs` |
//! | T14 | it has what is not its own | `faults` `only_three_descriptors_are_inherited` |
//! | T16 | a worker panics | `pool` |
//! | T17 | it is cancelled at any moment | `faults` `a_cancel_at_any_moment_is_a_cancel_or_the_real_result_and_leaves_nobody` |

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
