//! What the bot joins: the port, a trait that gives member events and packets with their arrival times, and its adapter.
//!
//! The protocol's own types stay in this folder; everybody else sees [`recorder_core::recording::Input`].

#![forbid(unsafe_code)]

pub mod jwt;
pub mod livekit;
pub mod peer;

mod media_path;
mod port;

pub use media_path::MediaPath;
pub use port::{Channel, ChannelHandle, ChannelUpdate, EndReason, JoinError, JoinRequest, TokenError};
