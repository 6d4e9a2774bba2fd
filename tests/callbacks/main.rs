//! Callbacks from the log to a receiver: order, repetition, signatures, restarts, and what a dead receiver may cost.

#![allow(clippy::unwrap_used, reason = "a test that can't go on has failed")]

use test_support::receiver;

mod agora_events_are_documented;
mod agora_events_channel;
mod agora_events_delivery;
mod agora_events_envelope;
mod agora_events_filter;
mod agora_events_recording;
mod canonical_json;
mod channel_events;
mod dead_letters;
mod dead_receiver;
mod failures;
mod node;
mod older_logs;
mod receiver_recovery;
mod redirects;
mod restart;
mod sealed_secrets;
mod signatures;
mod start_races;
mod world;
