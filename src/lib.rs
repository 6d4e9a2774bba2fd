//! cloud-recorder: an app server asks over REST, a silent subscriber joins the voice channel, what was said lands in the
//! customer's bucket as HLS, signed callbacks tell the story.
//!
//! The map of the house. One way for packets: [`channel`] -> `storage` journal -> [`recording`] -> `storage` spool -> bucket.
//! One way for requests: `api` -> `session` -> [`channel`], [`recording`], `store`. One way for news: the session's event log
//! in `store` -> `callback`, `query`, the bucket. [`recording`] and [`codec`] are pure and know nobody.

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
