//! The embedded channel server: rooms that unmodified LiveKit SDKs join, audio only (facts/livekit.md).

pub mod token;
