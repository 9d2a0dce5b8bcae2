//! What every implementation of a port must do, in memory or on disk, here or on another machine.
//! A law panics when it is broken; its name says what it holds.

mod blobs;
mod catalog;
mod durable;
mod erase;
mod journal;
mod open;
mod sample;

use std::sync::Arc;

pub use durable::durable;

use crate::ports::{Blobs, Catalog, Journal};

/// The laws of a journal. `make` gives an empty one each time.
pub async fn journal<J: Journal>(make: impl Fn() -> J) {
    let fresh = || -> Arc<dyn Journal> { Arc::new(make()) };
    journal::a_claim_raises_the_token_by_one_and_promises_the_tail(fresh()).await;
    journal::frames_come_back_as_they_were_written(fresh()).await;
    journal::a_log_that_does_not_exist_is_empty(fresh()).await;
    journal::a_log_that_nobody_claimed_takes_nothing(fresh()).await;
    journal::a_log_is_born_with_its_first_frame_only_where_there_is_none(fresh()).await;
    journal::of_two_that_begin_a_log_at_once_only_one_gets_through(fresh()).await;
    journal::a_former_owner_is_fenced(fresh()).await;
    journal::a_frame_out_of_place_is_fenced(fresh()).await;
    journal::a_fenced_frame_takes_no_neighbour_with_it(fresh()).await;
    journal::of_two_owners_writing_at_once_only_one_gets_through(fresh()).await;
    journal::many_logs_written_at_once_have_no_gaps(fresh()).await;
    journal::pages_join_without_gap_or_overlap(fresh()).await;
    journal::a_page_of_large_frames_is_bounded_by_their_bytes(fresh()).await;
    journal::kinds_of_logs_do_not_mix(fresh()).await;
    journal::an_append_whose_caller_left_is_written_whole_or_not_at_all(fresh()).await;
}

/// The laws of a catalog that follows a journal. `make` gives an empty one each time.
pub async fn catalog<S: Journal + Catalog>(make: impl Fn() -> S) {
    catalog::a_session_line_is_replaced_by_the_next(&make()).await;
    catalog::lines_are_filtered_and_come_in_pages(&make()).await;
    catalog::sleepers_are_found_by_their_time(&make()).await;
    open::an_approval_is_listed_until_it_closes(&make()).await;
    open::approvals_come_by_expiry_and_by_tenant(&make()).await;
    open::approvals_are_paged_counted_and_found_by_their_id(&make()).await;
    open::open_jobs_are_counted_by_state_and_the_last_changed_come_first(&make()).await;
    catalog::a_branch_counts_all_children_however_many(&make()).await;
    catalog::an_input_is_found_by_its_key(&make()).await;
    catalog::a_later_word_on_a_call_replaces_the_earlier(&make()).await;
    catalog::totals_are_by_session_subtree_model_agent_and_all(&make()).await;
    catalog::checkpoints_come_oldest_first(&make()).await;
    catalog::roots_are_found_by_what_is_below_them(&make()).await;
    catalog::trees_are_counted_and_told_with_what_each_spent(&make()).await;
    catalog::a_job_line_is_replaced_by_the_next_and_lists_come_in_pages(&make()).await;
    catalog::pages_of_jobs_join_from_either_end_whoever_comes_or_goes(&make()).await;
    catalog::a_job_line_is_brought_up_to_its_log_and_no_further(&make()).await;
    catalog::a_fenced_frame_changes_nothing_in_the_catalog(&make()).await;
}

/// The laws of deleting, for a store that is all three. `make` gives an empty one each time.
pub async fn erasure<S: Journal + Catalog + Blobs>(make: impl Fn() -> S) {
    erase::a_tree_goes_whole_and_takes_nothing_of_others_along(&make()).await;
    erase::a_tree_at_work_stays_unless_the_house_has_taken_who_works_off_the_stage(&make()).await;
    erase::what_a_fork_goes_on_from_stays_until_the_fork_is_gone(&make()).await;
    erase::a_former_owner_writes_nothing_behind_a_deletion(&Arc::new(make())).await;
}

/// The laws of a place for blobs. `make` gives an empty one each time.
pub async fn blobs<B: Blobs>(make: impl Fn() -> B) {
    blobs::bytes_come_back_by_their_hash(&make()).await;
    blobs::the_same_bytes_are_the_same_blob(&make()).await;
    blobs::what_was_not_kept_is_not_there(&make()).await;
    blobs::pieces_are_the_blob_that_their_bytes_are(&make()).await;
    blobs::pieces_that_cannot_be_read_are_not_kept_and_harm_nobody(&make()).await;
}
