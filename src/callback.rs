//! The news: what the vendor's callbacks look like, how they are signed, and how they reach their receivers.
//!
//! Invariants:
//! * A callback is a line of the log in [`crate::store`]; nothing here invents, drops or reorders one (law 2).
//! * Bodies are canonical JSON: both ways in which receivers check signatures agree (facts/callers.md section 3).
//! * A receiver that is slow or dead costs the others nothing, and a recording never waits for a receiver.

mod body;
pub mod event;
pub mod signature;

pub use body::{body, log_line};
