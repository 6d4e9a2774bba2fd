//! cloud-recorder: an app server calls a REST API, a hidden subscriber joins the voice channel, the audio becomes HLS in the
//! customer's bucket, signed callbacks report progress.
//!
//! Packets go from [`channel`] to the journal ([`storage`]), through [`recording`], into the spool and to the bucket. Requests go from
//! [`api`] to [`session`], and from there to [`channel`], [`recording`] and [`store`]. Events go into the session's event log in [`store`],
//! and from there to [`callback`], to queries and to the bucket. [`recording`] and [`codec`] come from `recorder-core` and are pure.

#![forbid(unsafe_code)]

pub mod api;
pub mod callback;
pub mod cli;
pub mod config;
pub mod console;
pub mod session;
pub mod store;

pub use channel_client as channel;
pub use channel_server;
pub use recorder_core::{codec, error_class, recording, units};
pub use recorder_edge::{address_policy, clock, metrics, serving};
pub use recorder_storage as storage;
