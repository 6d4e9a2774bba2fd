//! Callbacks from the log to a receiver: order, repetition, signatures, restarts, and what a dead receiver may cost.

#![allow(clippy::unwrap_used, reason = "a test that can't go on has failed")]

use test_support::receiver;

mod a_dead_receiver_costs_others_nothing;
mod agora_events_are_documented;
mod agora_events_channel;
mod agora_events_delivery;
mod agora_events_envelope;
mod agora_events_filter;
mod agora_events_recording;
mod any_text_stays_canonical;
mod both_schools_of_signature_checks;
mod channel_events_have_a_lane_of_their_own;
mod dead_letters_stay_visible;
mod every_failure_is_outlived;
mod logs_of_older_versions_are_read;
mod node;
mod one_start_wins;
mod receiver_fails_and_recovers;
mod redirects_are_not_followed;
mod restart_loses_nothing;
mod secrets_are_sealed_on_disk;
mod world;
