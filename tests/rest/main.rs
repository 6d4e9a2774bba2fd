//! The REST API from the outside: a scripted channel on one side, the embedded bucket and callback receivers on the other.

#![allow(clippy::unwrap_used, reason = "a test that can't go on has failed")]

use test_support::{binary, channel, receiver, talker, world, write_once};

mod echoing_bucket;
mod media;
mod needles;

mod a_backup_takes_over;
mod a_bucket_that_fails_loses_nothing;
mod a_disk_that_fails_refuses_new_recordings;
mod a_failover_is_told;
mod a_full_disk_ends_no_recording;
mod a_key_makes_a_start_safe;
mod a_lost_journal_is_told;
mod a_missing_sealing_key_is_not_made_anew;
mod a_playlist_waits_for_the_journal;
mod a_recording_from_acquire_to_the_bucket;
mod a_second_death_adds_nothing;
mod a_stall_is_no_idle_time;
mod a_stopped_worker_hands_over;
mod a_worker_that_died_goes_on;
mod a_worker_that_dies_in_an_absence;
mod a_worker_that_dies_while_nobody_is_there;
mod a_write_once_bucket_is_written_once;
mod absent_uids_cost_nothing;
mod alarms_are_raised_again_after_a_restart;
mod an_empty_channel_ends_with_the_crash;
mod another_sealing_key_says_so;
mod apps_have_limits;
mod bad_input_is_refused_by_name;
mod callbacks_tell_the_story;
mod calls_are_bounded;
mod calls_that_do_not_fit_are_told;
mod calls_work_while_a_recording_returns;
mod conflicts_and_repetition;
mod ends_survive_the_worker;
mod every_attempt_can_be_seen;
mod every_end_has_a_reason;
mod every_odd_request_of_real_callers;
mod every_state_is_named;
mod few_open_files_are_enough;
mod keys_that_may_not_read_say_so;
mod letters_get_a_second_chance;
mod lost_recordings_are_found;
mod members_cost_little_memory;
mod metrics_name_what_happens;
mod names_that_lead_inside_get_nothing;
mod no_secret_is_written_anywhere;
mod nobody_holds_the_port;
mod only_what_is_in_the_bucket_is_named;
mod pages_call_where_their_origin_is_allowed;
mod queries_are_true_now;
mod receivers_can_be_tested;
mod resources_expire;
#[cfg(feature = "aac")]
mod segments_in_ts;
mod several_sources_have_playlists_of_their_own;
mod spools_are_bounded;
mod stops_are_idempotent;
mod tenants_are_apart;
mod tenants_attack_each_other;
mod the_binary_keeps_to_itself;
mod the_bot_may_not_get_in;
mod the_first_commands_work;
mod the_image_has_what_it_is_built_from;
mod the_log_tells_what_happens;
mod the_log_waits_for_its_database;
mod the_worker_hears_its_signals;
mod tokens_end_recordings;
mod unreadable_tracks_are_told;
mod what_only_the_backup_has_comes_home;
mod whole_files_are_given_up_first;
mod whole_files_lie_beside_the_playlists;
mod whole_files_outlive_the_worker;
