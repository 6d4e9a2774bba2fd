//! The news: what the vendor's callbacks look like, how they are signed, and how they reach their receivers.
//!
//! Invariants:
//! * A callback is a line of the log in [`crate::store`]; nothing here invents, drops or reorders one (law 2).
//! * Bodies are canonical JSON: both ways in which receivers check signatures agree (facts/callers.md section 3).
//! * Per session one event is under way at a time; the next one goes when the receiver has answered 200, or after a day of
//!   trying, when the event is a dead letter. The same event has the same `noticeId` on every attempt.
//! * A receiver that is slow or dead costs the others nothing, and a recording never waits for a receiver.

mod body;
mod circuit;
mod delivery;
mod dispatcher;
pub mod event;
mod lane;
mod settings;
pub mod signature;

pub use body::{body, log_line};
pub use delivery::AttemptError;
pub use dispatcher::{Dispatcher, DispatcherError};
pub use settings::{Schedule, Settings, Target};
