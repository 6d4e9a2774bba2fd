//! cloud-recorder: an app server calls a REST API, a hidden subscriber joins the voice channel, the audio becomes HLS in the
//! customer's bucket, signed callbacks report progress.
//!
//! Packets go from [`channel`] to the journal ([`storage`]), through [`recording`], into the spool and to the bucket. Requests go from
//! [`api`] to [`session`], and from there to [`channel`], [`recording`] and [`store`]. Events go into the session's event log in [`store`],
//! and from there to [`callback`], to queries and to the bucket. [`recording`] and [`codec`] come from `recorder-core` and are pure.

#![forbid(unsafe_code)]

pub mod address_policy;
pub mod api;
pub mod callback;
pub mod channel;
pub mod channel_server;
pub mod cli;
pub mod clock;
pub mod config;
pub mod console;
pub mod metrics;
pub mod serving;
pub mod session;
pub mod storage;
pub mod store;

pub use recorder_core::{codec, error_class, recording, units};
