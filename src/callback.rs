//! Events: what the vendor's callbacks look like, how they are signed, and how they reach their receivers.
//!
//! Two products are told: what happens to recordings (productId 3), a line each of the log in [`crate::store`], and what happens
//! in channels of the embedded server (productId 1), which is written there on its way out.
//!
//! Invariants:
//! * A callback is a line in the store; nothing here invents, drops or reorders one (invariant 2).
//! * Bodies are canonical JSON: both ways in which receivers check signatures agree (docs/protocol/callers.md section 3).
//! * Per recording, and per session of a channel, one event is under way at a time; the next one goes when the receiver has
//!   answered 200, or after a day of trying, when the event is a dead letter. The same event has the same `noticeId` on every
//!   attempt.
//! * A receiver that is slow or dead costs the others nothing, and neither a recording nor a channel ever waits for one. Events of
//!   channels never hold up events of recordings.
//! * Events that an app does not want are passed over: they stay in the log, with their numbers.

mod body;
mod chain;
mod circuit;
mod delivery;
mod delivery_worker;
mod dispatcher;
pub mod event;
mod inside;
mod intake;
pub mod samples;
mod settings;
pub mod signature;
mod test_event;

pub use body::{body, channel_body, log_line};
pub use chain::{FIRST as FIRST_LINK, LogChain, link};
pub use delivery::AttemptError;
pub use dispatcher::{Dispatcher, DispatcherError};
pub use intake::{Intake, MAX_WAITING_NOTICES};
pub use settings::{Schedule, Settings, Target};
pub use test_event::{DEFAULT_TEST_EVENT, TestEventError, TestEventResult, test_once};
