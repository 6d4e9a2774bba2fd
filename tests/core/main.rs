//! The recording core and its artefacts, judged by tools that this project did not write. One scenario a file.

#![allow(clippy::unwrap_used, reason = "a test that can't go on has failed")]

mod a_full_disk_costs_what_it_took;
mod a_restart_in_a_pause;
mod a_restart_is_named_and_nothing_else_is_missing;
mod a_restart_of_three_hours;
mod absences_are_named;
mod adopted_from_the_bucket;
mod any_story_holds;
mod coders_restart;
mod crash;
mod drifting_clocks_stay_at_wall_time;
mod ear;
mod every_packet_has_one_fate;
mod fec;
mod first_packets_are_late;
mod fixtures_replay_as_committed;
mod fixtures_sound_right;
mod g711;
mod hls;
mod journals_that_are_not_whole;
mod levels_and_waveforms;
mod mixes_sound_right;
mod network_trouble;
mod nobody_knows;
mod older_snapshots;
mod output_may_be_cut_off;
mod put_away_and_taken_up;
mod replayed;
mod segments_are_read_by_others;
mod senders_change;
mod senders_count_anew;
mod servers_fill_mutes;
mod several_sources;
mod silent_members;
mod stories;
mod taken_up_in_mid_speech;
mod talkers_can_be_told_apart;
mod the_recorder_was_outside;
mod the_worker_did_not_hear;
mod twenty_restarts_in_a_row;
mod unreadable_tracks;
mod verify_says_what_is_wrong;
mod who_is_met_again_and_who_is_not;
mod whole_files_are_read_by_others;
mod world;
