//! A test event: one signed request to a receiver, marked as a test, and what came of it.
//!
//! It looks like the real one, of a recording that never was: channel `test_webhook`, uid 12121212, a sid of zeros, and `"test":true`
//! in its details. It is in no log and is sent once.

use std::time::Duration;

use tokio::time::Instant;

use super::body::body;
use super::delivery::{AttemptError, Clients, attempt};
use super::settings::Target;
use super::{Settings, samples};
use crate::clock;
use crate::error_class::{Classify, ErrorClass};
use crate::units::{AppId, EventType};

/// Test events under way at a time, of all apps.
pub(super) const MAX_TRIALS: usize = 4;
/// The event that is sent when nobody says which: the recorder is in the channel.
pub const DEFAULT_TEST_EVENT: u16 = EventType::RecorderStarted.number();

/// What came of a test event.
#[derive(Debug)]
pub struct TestEventResult {
    /// Its noticeId.
    pub notice_id: String,
    /// What was sent, byte for byte.
    pub body: String,
    /// How long it took.
    pub took: Duration,
    /// The status that the receiver took it with, or why it does not have it.
    pub outcome: Result<u16, AttemptError>,
}

/// Why no test event was sent.
#[derive(Debug, thiserror::Error)]
pub enum TestEventError {
    /// The app has no receiver.
    #[error("the app has no receiver: set callback_url and callback_secret")]
    NoReceiver,
    /// There is no such event, or never from here.
    #[error("event {0} is none that is sent; the events are {list}", list = sent())]
    NoSuchEvent(u16),
    /// As many as may be are under way.
    #[error("{MAX_TRIALS} test events are under way; try again in a few seconds")]
    Busy,
    /// No HTTP client.
    #[error("the callback client can't start: {0}; check the system's TLS certificates")]
    Client(#[from] reqwest::Error),
}

impl Classify for TestEventError {
    fn error_class(&self) -> ErrorClass {
        match self {
            Self::NoReceiver => ErrorClass::caller("no_receiver"),
            Self::NoSuchEvent(_) => ErrorClass::caller("no_such_event"),
            Self::Busy => ErrorClass::ours("callback_tests_busy", true),
            Self::Client(_) => ErrorClass::ours("callback_client", false),
        }
    }
}

/// Sends a test event to a receiver from outside of a worker.
pub async fn test_once(target: &Target, app: &AppId, event_type: u16) -> Result<TestEventResult, TestEventError> {
    let targets = [(app.clone(), target.clone())].into();
    let clients = Clients::new(&Settings { targets, ..Settings::default() })?;
    test_event(&clients, target, app, event_type).await
}

/// Sends a test event.
pub(super) async fn test_event(
    clients: &Clients,
    target: &Target,
    app: &AppId,
    event_type: u16,
) -> Result<TestEventResult, TestEventError> {
    let now = clock::now();
    let notice_id = format!("{:032x}", rand::random::<u128>());
    let sample = samples::samples(now).into_iter().find(|sample| sample.number() == event_type);
    let sample = sample.ok_or(TestEventError::NoSuchEvent(event_type))?.encode().with("test", true);
    let body = body(&samples::line(app, &sample, now, notice_id.clone()), now);
    let begun = Instant::now();
    let outcome = attempt(clients, target, body.clone()).await;
    Ok(TestEventResult { notice_id, body, took: begun.elapsed(), outcome })
}

/// The numbers of what can be sent.
fn sent() -> String {
    let numbers: Vec<String> = EventType::ALL.iter().map(|one| one.number().to_string()).collect();
    numbers.join(", ")
}
