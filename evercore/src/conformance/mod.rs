//! The suite that every engine has to pass.
//!
//! Each bullet under *Behavior* of [`StorageEngine`] and
//! [`SubscriptionEngine`](crate::engine::SubscriptionEngine) has a case here, run on a fresh store. The subjects
//! `units` and `replay`, and those after them, look at the same promises through
//! [`EventStore`](crate::EventStore), as applications do. The suite is exempt from semantic versioning: a new release may ask more of an engine.
//!
//! An engine's package has `evercore` with the feature `conformance` among its dev-dependencies, and
//! `tokio` with the features `macros` and `rt-multi-thread`. It says in a [`Harness`] how a store is made and
//! opened, and the macro [`conformance_tests!`](crate::conformance_tests) writes one test for each case:
//!
//! ```
//! use evercore::conformance::Harness;
//! use evercore_memory::MemoryEngine;
//!
//! /// Keeps a store. For an engine on files it would hold a temporary directory.
//! struct Memory(MemoryEngine);
//!
//! impl Harness for Memory {
//!     type Engine = MemoryEngine;
//!
//!     async fn create() -> Self {
//!         Self(MemoryEngine::new())
//!     }
//!
//!     async fn open(&self) -> MemoryEngine {
//!         self.0.reopen()
//!     }
//! }
//!
//! evercore::conformance_tests!(Memory);
//! # fn main() {}
//! ```
//!
//! An engine that is a [`TransactionalEngine`](crate::engine::TransactionalEngine) also calls
//! [`transactional_conformance_tests!`](crate::transactional_conformance_tests) with the same harness.
//!
//! Where other processes can open the store, there is [`crash_tests!`](crate::crash_tests) besides, for a
//! [`CrashHarness`](crashes::CrashHarness).
//!
//! For an engine that keeps what it stores there is [`archive_tests!`](crate::archive_tests) besides, for an
//! [`ArchiveHarness`](archive::ArchiveHarness): a store that an early release has written is still read.
//!
//! Tests are named by subject and case, `natural_keys::keys_are_swapped_in_one_commit`. Several harnesses in
//! one file stand in modules of their own, each with its call of the macro.

#![expect(clippy::unwrap_used, reason = "cases fail by panicking, as tests do")]

mod aggregates;
pub mod archive;
mod callers_checkpoints;
mod callers_transactions;
mod checkpoints;
mod closing;
pub mod crashes;
mod definitions;
mod deliveries;
mod events;
mod exactly_once;
mod failed_deliveries;
mod fixtures;
mod followers;
mod handler_failures;
mod idempotency;
mod ids;
mod leases;
mod natural_keys;
mod observations;
mod operations;
mod ordering;
mod ownership;
mod redefinitions;
mod replay;
mod runs;
mod samples;
mod snapshots;
mod streams;
mod subscribers;
mod takeovers;
mod transactions;
mod types;
mod units;

use std::time::Duration;

use crate::engine::StorageEngine;

/// A case that takes longer waits for something that does not come.
const LIMIT: Duration = Duration::from_secs(60);

/// Says how the suite gets stores of an engine.
pub trait Harness: Sized + Send + Sync + 'static {
    /// The engine.
    type Engine: StorageEngine;

    /// Makes a new, empty store that nobody else uses. It lives as long as the harness.
    fn create() -> impl Future<Output = Self> + Send;

    /// Opens the store. Several engines may be open at once, as in several processes, and a store may be
    /// opened again after all of them were closed: what they wrote must be there.
    fn open(&self) -> impl Future<Output = Self::Engine> + Send;
}

async fn run<H: Harness, F: Future<Output = ()> + Send>(case: impl FnOnce(H) -> F + Send) {
    let harness = H::create().await;
    let done = tokio::time::timeout(LIMIT, case(harness)).await;
    assert!(done.is_ok(), "the case did not end within {LIMIT:?}");
}

/// Writes a list of cases down once: as functions that tests of other crates can call, and as the macro that
/// writes these tests. (`$dollar` is how a macro writes a macro.)
macro_rules! cases {
    (
        $dollar:tt $(#[$docs:meta])* $tests:ident calls $cases:ident for $harness:path,
        $($subject:ident { $($case:ident)* })*
    ) => {
        /// What the macro calls.
        #[doc(hidden)]
        pub mod $cases {
            $(pub mod $subject {
                #[allow(unused_imports, reason = "not every bound names an engine")]
                use crate::{conformance::{Harness, run, $subject}, engine::TransactionalEngine};

                $(pub async fn $case<H: $harness>() {
                    run($subject::$case::<H>).await;
                })*
            })*
        }

        $(#[$docs])*
        #[macro_export]
        macro_rules! $tests {
            ($dollar harness:ty) => {
                $(mod $subject {
                    #[allow(unused_imports, reason = "the harness may be named by an absolute path")]
                    use super::*;

                    $(#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
                    async fn $case() {
                        $dollar crate::conformance::$cases::$subject::$case::<$dollar harness>().await;
                    })*
                })*
            };
        }
    };
}

cases! { $
    /// Writes one test for each case of a [`TransactionalEngine`](crate::engine::TransactionalEngine), besides
    /// those of [`conformance_tests!`](crate::conformance_tests).
    transactional_conformance_tests calls transactional_cases for Harness<Engine: TransactionalEngine>,
    callers_transactions {
        what_is_finished_is_there
        what_is_rolled_back_is_not_there
        nobody_sees_it_before_it_is_finished
        several_commits_share_a_transaction
        refusals_are_those_of_a_commit
        after_a_refusal_and_a_rollback_the_store_goes_on
        a_known_key_is_repeated
        the_doorbell_rings_when_it_is_finished
        writers_wait_for_an_open_one_if_the_engine_says_so
    }
    callers_checkpoints {
        what_is_finished_has_moved
        what_is_rolled_back_is_where_it_was
        several_share_a_transaction
        from_elsewhere_it_does_not_move
        one_that_is_fenced_moves_nothing
        with_a_commit_it_is_all_or_nothing
        of_two_from_one_position_at_most_one_commits
        a_change_from_outside_comes_before_or_after_it
    }
    exactly_once {
        the_cursor_moves_with_what_was_written
        when_the_handler_fails_nothing_is_written
        over_errors_and_restarts_all_is_written_once
        a_former_owner_writes_nothing
        one_paused_in_its_transaction_writes_all_or_nothing
        a_commit_that_would_wait_for_itself_is_refused
    }
}

cases! { $
    /// Writes one test for each case of the suite; see [`conformance`](crate::conformance).
    conformance_tests calls cases for Harness,
    types {
        a_new_store_has_none
        every_name_gets_an_id_of_its_own
        a_name_keeps_its_id
        a_name_keeps_its_id_over_a_restart
        aggregate_types_and_event_types_are_apart
        names_differ_when_one_byte_differs
        names_of_255_bytes_are_kept
        callers_that_define_the_same_names_at_once_get_the_same_ids
        types_that_others_defined_are_returned_too
    }
    ids {
        ids_are_at_least_1_and_grow
        no_id_is_handed_out_twice
        no_id_is_handed_out_twice_over_a_restart
        reserving_creates_no_aggregate
    }
    aggregates {
        one_that_does_not_exist_is_none
        it_is_loaded_by_id_and_by_key
        by_id_it_is_loaded_whatever_its_type
        one_without_events_exists
        answers_come_in_the_order_of_the_requests
        the_same_request_twice_gets_the_same_answer_twice
        a_thousand_are_loaded_at_once
        version_snapshot_and_events_belong_to_one_moment
        those_of_a_type_come_once_page_by_page
        they_are_there_after_a_restart
        events_after_a_sequence_are_those_with_higher_ones
        with_a_limit_the_first_events_are_returned
        events_come_in_the_order_of_their_sequences
    }
    natural_keys {
        a_key_is_found
        a_key_is_found_within_its_type_only
        the_same_key_under_two_types_is_fine
        a_key_of_255_bytes_is_found_and_one_of_256_is_refused
        keys_differ_when_one_byte_differs
        a_taken_key_is_a_duplicate
        a_change_to_a_taken_key_is_a_duplicate
        one_key_twice_in_a_commit_is_a_duplicate
        a_key_is_given_later
        a_key_that_was_given_up_finds_nothing
        a_key_that_is_not_the_expected_one_is_a_conflict
        the_key_of_an_unknown_aggregate_does_not_change
        keys_are_swapped_in_one_commit
        keys_go_round_in_one_commit
        a_freed_key_is_reused_in_the_same_commit
        a_key_may_be_changed_to_itself
        of_many_who_take_a_key_at_once_one_gets_it
    }
    events {
        every_field_comes_back
        reference_and_metadata_may_be_missing_or_empty
        awkward_texts_come_back
        long_texts_come_back
        bytes_of_other_codecs_come_back
        times_before_1970_and_microseconds_come_back
        ten_thousand_in_one_commit
    }
    snapshots {
        without_one_all_events_are_loaded
        only_events_after_it_are_loaded
        one_of_the_last_event_leaves_no_events
        one_that_is_not_asked_for_is_ignored
        one_with_another_fingerprint_is_a_misfit
        one_at_or_before_after_is_none
        a_limit_does_not_affect_it
        a_newer_one_replaces_it
        one_of_the_same_sequence_replaces_it
        an_older_one_does_not_replace_it
        each_aggregate_has_its_own
        bytes_of_other_codecs_come_back
    }
    transactions {
        after_a_conflict_nothing_is_there
        after_a_duplicate_key_nothing_is_there
        after_an_unknown_aggregate_nothing_is_there
        nothing_is_a_commit_too
        an_append_at_a_lower_sequence_is_a_conflict
        an_append_that_leaves_a_gap_is_a_conflict
        a_new_aggregate_that_exists_is_a_conflict
        one_that_does_not_exist_is_unknown
        the_actual_sequence_is_right_after_a_winner_of_three_events
        of_two_appends_at_once_exactly_one_wins
        of_sixteen_appends_at_once_exactly_one_wins
        a_required_aggregate_that_has_changed_is_a_conflict
        a_required_aggregate_may_be_all_there_is
        a_required_aggregate_stays_until_the_commit_is_visible
        of_two_that_require_what_the_other_writes_at_most_one_wins
        opposite_orders_do_not_deadlock
        events_get_positions_in_their_order
        positions_are_above_those_of_earlier_commits
        all_events_are_recorded_at_the_time_of_the_commit
        a_thousand_aggregates_in_one_commit
        sixty_four_at_once_are_all_written
        sixty_four_that_try_again_count_to_sixty_four
        one_that_is_dropped_is_there_as_a_whole_or_not_at_all
    }
    idempotency {
        a_known_key_is_repeated_and_writes_nothing
        the_receipt_of_the_first_commit_is_handed_back
        a_commit_is_found_by_its_key
        a_commit_without_events_is_repeated_too
        a_known_key_is_looked_at_before_anything_else
        a_failed_commit_leaves_its_key_free
        keys_differ_when_one_byte_differs
        of_many_commits_at_once_one_is_made
        many_commits_to_one_aggregate_at_once_are_made_once
        a_key_is_known_after_a_restart
        a_forgotten_key_can_be_used_again
        keys_of_later_commits_stay
    }
    ordering {
        pages_of_every_size_show_every_event_once
        a_full_page_ends_at_its_last_event
        a_page_that_is_not_full_ends_at_the_head_or_further_on
        after_the_head_there_is_nothing
        a_filter_lets_through_what_all_of_its_parts_allow
        a_filter_of_no_types_lets_nothing_through
        the_filter_is_applied_before_the_limit
        a_reader_beside_writers_misses_nothing
        the_head_of_an_empty_store_is_the_start
        the_head_covers_every_commit_that_returned
        the_head_is_there_after_a_restart
        a_time_is_located_before_what_was_recorded_at_it
        a_time_after_everything_is_located_at_the_head
        the_doorbell_rings_when_events_can_be_read
        the_doorbell_rings_for_everyone_who_listens
    }
    definitions {
        a_new_store_has_none
        a_new_one_is_as_it_was_given
        one_that_is_there_stays_as_it_is
        of_many_who_define_it_at_once_all_get_the_same
        names_differ_when_one_byte_differs
        names_of_255_bytes_are_kept
        texts_come_back_as_they_were
        they_are_listed_in_the_order_of_their_names
        times_are_those_of_the_store
        everything_is_there_after_a_restart
    }
    ownership {
        one_without_an_owner_is_claimed
        one_that_somebody_else_holds_is_held
        one_that_this_owner_holds_is_claimed_again
        one_whose_lease_has_expired_is_taken_over
        the_remaining_time_of_a_lease_is_left_of_it
        a_paused_one_is_not_claimed
        one_that_is_not_there_is_unknown
        of_sixteen_claims_at_once_exactly_one_gets_it
        tokens_grow_whatever_happens
        tokens_grow_over_a_restart
        one_defined_anew_fences_the_owner_of_the_old_one
        a_token_proves_nothing_without_a_claim
        a_token_proves_one_claim_only
        a_claim_forgets_the_failure
    }
    leases {
        a_renewed_one_lasts_from_now
        one_that_has_expired_is_renewed
        one_that_was_taken_over_is_not_renewed
        those_that_are_lost_do_not_keep_others_from_being_renewed
        hundreds_are_renewed_in_one_call
        a_released_one_is_claimed_at_once
        after_a_release_the_token_is_worth_nothing
        an_expired_one_is_released_as_long_as_nobody_took_it
    }
    checkpoints {
        the_cursor_moves
        without_an_anchor_the_stored_one_stays
        from_elsewhere_it_does_not_move
        one_that_was_in_doubt_is_made_once
        of_sixteen_at_once_from_one_position_one_is_made
        with_an_expired_lease_that_nobody_took_it_is_made
        after_a_take_over_it_is_fenced
        after_a_pause_it_is_fenced
        after_a_reset_or_another_filter_it_is_fenced
        after_a_deletion_it_is_fenced
        after_a_reset_no_earlier_owner_moves_it
    }
    failed_deliveries {
        they_are_recorded_with_the_checkpoint
        a_checkpoint_that_is_not_made_records_none
        one_that_was_recorded_before_is_replaced
        they_are_listed_page_by_page
        each_subscription_has_its_own
        texts_of_errors_come_back
        a_dropped_one_is_gone_and_others_stay
        of_many_who_drop_one_at_once_one_did
        they_go_with_their_subscription_and_not_before
    }
    operations {
        one_that_is_not_there_does_not_change
        every_change_from_outside_takes_it_away
        a_paused_one_has_no_owner_until_it_is_resumed
        a_resume_does_nothing_to_one_that_is_not_paused
        another_filter_leaves_the_cursor_where_it_is
        a_reset_sets_the_cursor_and_forgets_anchor_and_failure
        pauses_stay_over_other_changes
        with_its_token_an_owner_makes_changes_and_stays_it
        an_owner_that_pauses_or_deletes_it_is_it_no_more
        with_an_old_token_nothing_changes
        a_deleted_one_is_gone
    }
    closing {
        later_calls_fail
        later_calls_about_subscriptions_fail
        the_error_names_the_engine
        closing_twice_is_fine
        other_engines_on_the_store_stay_open
        what_is_under_way_is_finished_or_refused
    }
    units {
        a_dropped_one_writes_nothing
        a_copy_from_a_dropped_one_leaves_no_gap
        a_copy_from_a_failed_one_leaves_no_gap
        a_copy_that_is_behind_is_a_conflict
        a_committed_copy_is_used_again
        it_reads_its_own_events
        it_reads_its_own_keys
        a_copy_behind_its_own_events_is_stale
        an_unknown_aggregate_is_not_found
        after_its_commit_it_is_closed
        after_a_failed_commit_it_is_closed_too
        a_taken_key_is_a_duplicate
        keys_are_swapped_in_one
        more_than_ten_thousand_events_in_one
        the_receipt_says_what_was_written
        a_required_aggregate_that_has_changed_is_a_conflict
        of_two_that_require_what_the_other_writes_at_most_one_commits
        sixty_four_at_once_with_retry_count_to_sixty_four
        those_who_load_or_create_at_once_share_one
        once_under_one_key_is_made_once
        many_under_one_key_at_once_are_made_once
        other_content_under_one_key_is_an_error
    }
    replay {
        without_a_snapshot_all_events_are_replayed
        after_a_snapshot_only_later_events_are_replayed
        a_snapshot_by_hand_is_used
        a_snapshot_that_fits_is_what_counts
        a_snapshot_of_another_shape_is_ignored
        a_snapshot_that_cannot_be_decoded_is_ignored
        nanoseconds_are_cut_off_live_and_replayed
        options_of_an_event_come_back
        after_a_restart_everything_goes_on
    }
    deliveries {
        every_filter_from_every_start_delivers_exactly_its_events
        from_the_end_of_an_empty_store_all_that_comes_later_is_delivered
        a_type_that_is_used_for_the_first_time_is_delivered
        a_commit_wakes_one_that_waits
        a_commit_by_another_engine_wakes_one_that_waits
        a_handler_may_commit_through_the_store
    }
    followers {
        beside_writers_and_over_restarts_nothing_is_lost
        after_it_is_ready_no_commit_is_missed
        one_that_is_slow_holds_back_nobody
    }
    takeovers {
        only_one_runs_it
        after_a_crash_the_lease_expires_and_another_goes_on
        a_released_one_is_taken_over_at_once
        a_lease_is_renewed_while_a_handler_works
        a_former_owner_writes_nothing
        the_handler_of_a_former_owner_is_cancelled
        changes_from_outside_stop_an_owner_in_this_process_at_once
        a_paused_one_runs_when_it_is_resumed
        one_that_is_not_there_cannot_be_changed
        one_deleted_and_made_again_fences_its_old_owner
        a_shutdown_finishes_the_batch_and_releases
        a_shutdown_ends_who_waits
    }
    redefinitions {
        another_filter_is_a_mismatch
        one_that_is_redefined_goes_on_at_its_cursor
        one_that_is_reset_starts_anew
        a_key_is_followed_to_the_aggregate_that_had_it
    }
    handler_failures {
        one_that_stops_is_right_before_the_event
        one_that_skips_records_the_event_and_goes_on
        failed_deliveries_are_dropped_by_hand
        an_error_that_passes_loses_nothing
        a_panic_is_an_error
        an_event_that_cannot_be_decoded_stops_it
        an_event_that_cannot_be_decoded_is_skipped
    }
    observations {
        what_was_handled_can_be_read_after_waiting_for_it
        what_the_filter_holds_back_need_not_be_waited_for
        what_does_not_come_is_waited_for_until_the_time_is_over
        one_that_is_behind_says_how_far
        all_are_listed_with_their_states
    }
    streams {
        what_is_not_acknowledged_comes_again
        one_that_was_taken_over_ends_with_an_error
        one_that_is_shut_down_ends
        an_ephemeral_one_is_decoded
    }
}
