//! What the tests of several areas share: a worker in process ([`world`]) with a scripted channel ([`channel`]), the built binary
//! ([`binary`]), receivers and buckets that behave as told, and the API's document as a judge of answers ([`judge`]).
//!
//! A part that one area alone needs stands in that area's folder below `tests`.

#![allow(clippy::unwrap_used, reason = "a test that can't go on has failed")]

pub mod binary;
pub mod channel;
pub mod documented;
pub mod judge;
pub mod receiver;
pub mod talker;
pub mod world;
pub mod write_once;

mod strict;

pub use strict::{skipped, versitygw};
