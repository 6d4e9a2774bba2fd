//! What lies on disk and in the customer's bucket.
//!
//! The way of a byte: [`journal`] (what arrived, durable within a second) -> recording core -> spool (what was made, durable
//! until the bucket confirmed it) -> bucket.

pub mod journal;
