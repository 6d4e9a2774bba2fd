//! Nothing is lost, proven on the built binary: it is killed, its power is cut, its disk fills up, its bucket dies. Talkers, channel
//! server, bucket and callback receiver live in the test's process and go on.
//!
//! `RECOVERY_SEED` sets the seed that decides when things happen; each test prints the one that it used. `RECOVERY_KEEP` keeps the
//! folder of a test that failed. `make faults` runs the long forms, which are ignored here.

#![allow(clippy::unwrap_used, reason = "a test that can't go on has failed")]

use test_support::{receiver, write_once};

mod checks;
mod crowd;
mod disk;
mod ear;
mod figures;
mod forge;
mod gate;
mod oracle;
mod place;
mod rest;
mod sounds;
mod stage;
mod story;
mod tail;
mod upgrade;
mod watcher;
mod worker;
mod yardstick;

mod a_drain_hands_recordings_over;
mod a_full_disk_stops_no_recording;
mod a_restart_with_many_sessions_is_quick;
mod a_torn_journal_is_read;
mod a_worker_that_stood_still_says_so;
mod failing_disks;
mod kills_cost_a_second_at_most;
mod kills_hit_every_phase;
mod poorer_journal;
mod power_cuts_cost_no_more;
mod the_bucket_is_out_of_reach;

use std::time::Duration;

/// A limit for tests that would otherwise hang; no result depends on it.
const HANG_LIMIT: Duration = Duration::from_secs(60);

/// The seed of a test, printed so that a failure can be had again.
fn seed(test: &str) -> u64 {
    let seed = std::env::var("RECOVERY_SEED").ok().map(|text| text.parse().expect("RECOVERY_SEED is a number"));
    let seed = seed.unwrap_or_else(|| u64::from(rand::random::<u32>()));
    println!("{test}: RECOVERY_SEED={seed}");
    seed
}
