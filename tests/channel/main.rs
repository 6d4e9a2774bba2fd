//! Rooms from outside: what the embedded channel server does with clients of every kind.

#![allow(clippy::unwrap_used, reason = "a test that can't go on has failed")]

mod bots_end_for_a_reason;
mod bots_leave_nothing_behind;
mod channel_rest_lists;
mod client;
mod closed_rooms_are_waited_for;
mod deaf_bots_join_anew;
mod ear;
mod events_are_the_vendors;
mod every_documented_call_is_one;
mod forged_addresses_take_no_media;
mod goodbyes_are_answered;
mod hostile_clients_harm_only_themselves;
mod hosts_and_audience;
mod house;
mod kicking_rules_are_enforced;
mod lost_sockets_are_replaced;
mod members_come_and_go;
mod one_app_leaves_others_their_places;
mod recorders_are_hidden;
mod refusals_say_which_error;
mod rest;
mod resume_keeps_the_member;
mod rights_end_in_time;
mod road;
mod rooms_close_after_the_last_member;
mod selections_are_followed;
mod talkers_are_heard;
