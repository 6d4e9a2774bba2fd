//! What is delivered to an app's receiver: of a recording's log, or of what happens in a channel.
//!
//! Both lie in tables of one shape, so that order, repetition and dead letters are one mechanism. Lines belong to a stream (a
//! recording, or a channel from its first member to its end) and are numbered in it; a stream is delivered in order.

use sqlx::sqlite::SqliteRow;

use super::StoreError;
use crate::units::{AppId, WallMs};

/// See the module's documentation. Implemented by [`super::Event`] and [`super::ChannelNotice`] and nothing else.
pub trait Deliverable: Table + Clone + std::fmt::Debug + Send + Sync + 'static {
    /// Whose.
    fn app(&self) -> &AppId;
    /// The id of its stream: the recording's sid, or that of the channel's session.
    fn stream(&self) -> &str;
    /// Its place in the stream, from 0.
    fn sequence(&self) -> u64;
    /// The same on every attempt.
    fn notice_id(&self) -> &str;
    /// The vendor's number for it.
    fn event_type(&self) -> u16;
    /// When it was written down.
    fn written(&self) -> WallMs;
}

/// Where lines of a kind lie. Outside of the store it means nothing, so nobody else can implement [`Deliverable`].
pub trait Table: Sized {
    /// The table with the state of each delivery.
    const DELIVERIES: &'static str;
    /// The table of attempts.
    const ATTEMPTS: &'static str;
    /// All that [`Self::read`] reads, and the state of the delivery; a condition on `d` follows.
    const SELECT: &'static str;
    /// The event's number, as an expression over a row of [`Self::DELIVERIES`].
    const EVENT_TYPE: &'static str;

    /// The line in a row.
    fn read(row: &SqliteRow) -> Result<Self, StoreError>;
}
