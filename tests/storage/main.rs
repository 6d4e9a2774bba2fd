//! Storage, through its public face: the embedded bucket with real clients, and the way from the spool to a bucket that fails.

#![allow(clippy::unwrap_used, reason = "a test that can't go on has failed")]

use test_support::write_once;

mod addressing_style;
mod bucket_limits;
mod destination_probe;
mod embedded_bucket;
mod endpoints;
mod fault_matrix;
mod fault_proxy;
mod faulty_line;
mod late_puts;
mod odd_store;
mod playlist_order;
mod recording;
mod rendition_streams;
mod scripted;
mod support;
mod taken_names;
mod thin_answers;
mod upload_fairness;
mod upload_faults;
mod upload_run;
mod versitygw;
mod write_once_buckets;
