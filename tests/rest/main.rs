//! The REST API from the outside: a scripted channel on one side, the embedded bucket and callback receivers on the other.

#![allow(clippy::unwrap_used, reason = "a test that can't go on has failed")]

use test_support::{binary, channel, receiver, talker, world, write_once};

mod echoing_bucket;
mod media;
mod secret_scan;

mod absent_uids;
mod alarms_after_restart;
mod app_limits;
mod backup;
mod bad_input;
mod binary_privacy;
mod bucket_failures;
mod call_bounds;
mod callbacks;
mod calls_during_recovery;
mod conflicts;
mod connection_limits;
mod cors;
mod delivery_attempts;
mod empty_channel_crash;
mod end_reasons;
mod ends_after_restart;
mod event_log_outage;
mod failed_joins;
mod failing_disk;
mod failover_events;
mod full_disk;
mod idempotency_keys;
mod image_files;
mod inside_addresses;
mod journal_before_playlist;
mod listing;
mod log;
mod lost_journal;
mod member_memory;
mod metrics;
mod missing_seal_key;
#[cfg(feature = "aac")]
mod mpeg_ts;
mod odd_requests;
mod open_files;
mod playlists_name_confirmed;
mod query;
mod readme_commands;
mod redelivery;
mod rejected_calls;
mod rendition_limits;
mod rendition_recovery;
mod renditions;
mod resources;
mod restart;
mod restart_in_absence;
mod restart_in_idle_room;
mod restore_from_backup;
mod second_death;
mod secrets;
mod session_states;
mod several_sources;
mod shutdown;
mod signals;
mod spool_bounds;
mod stalls;
mod starts_do_not_wait;
mod stop;
mod tenant_attacks;
mod tenants;
mod test_events;
mod token_expiry;
mod unreadable_tracks;
mod whole_recording;
mod write_once_bucket;
mod write_only_keys;
mod wrong_seal_key;
