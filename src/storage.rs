//! What lies on disk and in the customer's bucket.
//!
//! The way of a byte: [`journal`] (what arrived, durable within a second) -> recording core -> [`Spool`] (what was made, durable
//! until the bucket confirmed it) -> bucket. [`vendor`] says where to.

pub mod destination;
pub mod journal;
mod spool;
pub mod vendor;

pub use destination::{Credentials, Destination, Encryption, KeyPrefix};
pub use spool::{MAX_NAME_BYTES, ObjectKind, SessionSpool, Spool, SpoolError, SpooledObject};
