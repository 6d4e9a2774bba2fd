//! One attempt: one event to one receiver, once.

use reqwest::header::CONTENT_TYPE;
use reqwest::redirect::Policy;
use reqwest::{Client, StatusCode};

use super::body::body;
use super::settings::{Settings, Target};
use super::signature::{HEADER_V1, HEADER_V2, v1, v2};
use crate::fault::{Explain, Fault};
use crate::store::Event;
use crate::units::WallMs;

/// Why a receiver does not have an event, as far as we know.
#[derive(Debug, thiserror::Error)]
pub enum AttemptError {
    /// It answered, but not 200.
    #[error("the receiver answered {0}; it has to answer 200")]
    Status(StatusCode),
    /// It did not answer in time.
    #[error("the receiver did not answer in time")]
    TimeOut,
    /// No connection, or it broke.
    #[error("the receiver can't be reached: {0}")]
    Unreachable(String),
}

impl Explain for AttemptError {
    fn fault(&self) -> Fault {
        match self {
            Self::Status(_) => Fault::destination("callback_refused", true),
            Self::TimeOut => Fault::destination("callback_time_out", true),
            Self::Unreachable(_) => Fault::destination("callback_unreachable", true),
        }
    }
}

/// The client for all attempts: follows no redirect, because a signed event is for the configured receiver alone, and asks
/// no proxy.
/// Without an `https` target the system's certificates are not asked for, so that a bare development machine will do.
pub(super) fn client(settings: &Settings) -> reqwest::Result<Client> {
    let builder = Client::builder()
        .redirect(Policy::none())
        .no_proxy()
        .timeout(settings.patience)
        .pool_max_idle_per_host(settings.at_once_per_target)
        .user_agent(concat!("cloud-recorder/", env!("CARGO_PKG_VERSION")));
    let encrypted = settings.targets.values().any(|target| target.url.scheme() == "https");
    if encrypted { builder.build() } else { builder.tls_certs_only([]).build() }
}

/// Sends an event. Status 200 is all that counts; the answer's body is dropped unread.
pub(super) async fn attempt(
    client: &Client,
    target: &Target,
    event: &Event,
    notify: WallMs,
) -> Result<(), AttemptError> {
    let body = body(event, notify);
    let answer = client
        .post(target.url.clone())
        .header(CONTENT_TYPE, "application/json")
        .header(HEADER_V1, v1(&target.secret, body.as_bytes()))
        .header(HEADER_V2, v2(&target.secret, body.as_bytes()))
        .body(body)
        .send()
        .await
        .map_err(failure)?;
    if answer.status() == StatusCode::OK { Ok(()) } else { Err(AttemptError::Status(answer.status())) }
}

/// The innermost cause: the outer ones only say that a request failed, and name the receiver's URL.
fn failure(error: reqwest::Error) -> AttemptError {
    if error.is_timeout() {
        return AttemptError::TimeOut;
    }
    let error = error.without_url();
    let mut cause: &dyn std::error::Error = &error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    AttemptError::Unreachable(cause.to_string())
}
