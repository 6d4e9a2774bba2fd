//! Nothing is lost, proven on the built binary: it is killed, its power is cut, its disk fills up, its bucket dies. Talkers, channel
//! server, bucket and callback receiver live in the test's process and go on.
//!
//! `RECOVERY_SEED` sets the seed that decides when things happen; each test prints the one that it used. `RECOVERY_KEEP` keeps the
//! folder of a test that failed; `RECOVERY_SCENES` picks scenes of the poorer journals. `make faults` runs the long forms, which are ignored here.

#![allow(clippy::unwrap_used, reason = "a test that can't go on has failed")]

use test_support::{receiver, write_once};

mod audio_probe;
mod checks;
mod cutoff_proxy;
mod disk;
mod event_log_check;
mod figures;
mod kill_run;
mod machine_delay;
mod oracle;
mod playlist_watcher;
mod rest;
mod session_copies;
mod sound_check;
mod talkers;
mod test_env;
mod torn_journal;
mod upgrade;
mod worker;

mod drain;
mod failing_disks;
mod full_disk;
mod kill_phases;
mod kills;
mod many_sessions;
mod poorer_journal;
mod power_cuts;
mod stalls;
mod torn_journals;
mod unreachable_bucket;

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
