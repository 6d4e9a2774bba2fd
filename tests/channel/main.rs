//! Rooms from outside: what the embedded channel server does with clients of every kind.

#![allow(clippy::unwrap_used, reason = "a test that can't go on has failed")]

mod app_limits;
mod audio_probe;
mod bot_cleanup;
mod bot_ends;
mod channel_events;
mod client;
mod closed_rooms;
mod deaf_bots;
mod documented_calls;
mod forged_addresses;
mod hidden_recorders;
mod hostile_clients;
mod join_refusals;
mod kicking_rules;
mod leaving;
mod lost_sockets;
mod media;
mod members;
mod rest;
mod rest_lists;
mod resume;
mod roles;
mod room_close;
mod signal_proxy;
mod subscriptions;
mod telephones_are_heard;
mod test_server;
mod token_expiry;
