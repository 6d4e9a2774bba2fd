//! Storage, through its public face: the embedded bucket with real clients, and the way from the spool to a bucket that fails.

#![allow(clippy::unwrap_used, reason = "a test that can't go on has failed")]

use test_support::write_once;

mod a_destination_is_proven;
mod answers_that_are_thinned_out;
mod embedded_bucket;
mod endpoints_as_they_are_pasted;
mod fault_matrix;
mod fault_proxy;
mod late_puts_are_harmless;
mod names_that_are_taken;
mod nobody_holds_the_bucket;
mod odd_store;
mod places_are_shared;
mod playlists_never_run_ahead;
mod recording;
mod rig;
mod scripted;
mod stores_say_how_to_address_them;
mod support;
mod uploads_outlive_faults;
mod versitygw_takes_a_recording;
mod whole_files_are_streamed;
mod wire;
mod write_once_buckets;
