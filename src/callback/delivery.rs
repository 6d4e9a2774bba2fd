//! One attempt: one body to one receiver, once.

use reqwest::header::CONTENT_TYPE;
use reqwest::redirect::Policy;
use reqwest::{Client, StatusCode};

use super::inside::{self, PublicOnly};
use super::settings::{Settings, Target};
use super::signature::{HEADER_V1, HEADER_V2, v1, v2};
use crate::error_class::{Classify, ErrorClass};

/// Why a receiver does not have an event, as far as we know.
#[derive(Debug, thiserror::Error)]
pub enum AttemptError {
    /// It answered, but no 2xx.
    #[error("the receiver answered {0}; it has to answer 200 or another 2xx")]
    Status(StatusCode),
    /// It did not answer in time.
    #[error("the receiver did not answer in time")]
    TimeOut,
    /// No connection, or it broke.
    #[error("the receiver can't be reached: {0}")]
    Unreachable(String),
}

impl Classify for AttemptError {
    fn error_class(&self) -> ErrorClass {
        match self {
            Self::Status(_) => ErrorClass::destination("callback_refused", true),
            Self::TimeOut => ErrorClass::destination("callback_time_out", true),
            Self::Unreachable(_) => ErrorClass::destination("callback_unreachable", true),
        }
    }
}

impl AttemptError {
    /// The status that was answered, if one was.
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Status(status) => Some(status.as_u16()),
            Self::TimeOut | Self::Unreachable(_) => None,
        }
    }
}

/// The clients for all attempts: they follow no redirect, because a signed event is for the configured receiver alone, and ask
/// no proxy.
#[derive(Debug)]
pub(super) struct Clients {
    /// For receivers anywhere.
    open: Client,
    /// For receivers that have to be public.
    guarded: Client,
}

impl Clients {
    /// Without an `https` target the system's certificates are not asked for, so that a bare development machine will do.
    pub(super) fn new(settings: &Settings) -> reqwest::Result<Self> {
        let encrypted = settings.targets.values().any(|target| target.url.scheme() == "https");
        let builder = || {
            let builder = Client::builder()
                .redirect(Policy::none())
                .no_proxy()
                .timeout(settings.patience)
                .pool_max_idle_per_host(settings.at_once_per_target)
                .user_agent(concat!("cloud-recorder/", env!("CARGO_PKG_VERSION")));
            if encrypted { builder } else { builder.tls_certs_only([]) }
        };
        Ok(Self { open: builder().build()?, guarded: builder().dns_resolver(PublicOnly).build()? })
    }
}

/// Sends a body, and gives the status that the receiver took it with. Any 2xx will do: the vendor asks for 200, and receivers that answer
/// 201, 202 or 204 have what was sent all the same. The answer's body is dropped unread.
pub(super) async fn attempt(clients: &Clients, target: &Target, body: String) -> Result<u16, AttemptError> {
    let client = if target.private { &clients.open } else { &clients.guarded };
    if !target.private {
        inside::refuse_literal(&target.url).map_err(|problem| AttemptError::Unreachable(problem.into()))?;
    }
    let answer = client
        .post(target.url.clone())
        .header(CONTENT_TYPE, "application/json")
        .header(HEADER_V1, v1(&target.secret, body.as_bytes()))
        .header(HEADER_V2, v2(&target.secret, body.as_bytes()))
        .body(body)
        .send()
        .await
        .map_err(failure)?;
    let status = answer.status();
    if status.is_success() { Ok(status.as_u16()) } else { Err(AttemptError::Status(status)) }
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

#[cfg(test)]
mod tests {
    use secrecy::SecretString;

    use super::*;

    async fn tried(url: &str, private: bool) -> String {
        let target = Target { private, ..Target::new(url.parse().unwrap(), SecretString::from("secret")) };
        let clients = Clients::new(&Settings::default()).unwrap();
        attempt(&clients, &target, "{}".into()).await.unwrap_err().to_string()
    }

    #[tokio::test]
    async fn receivers_inside_are_asked_only_with_leave() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        for host in ["127.0.0.1", "localhost", "0x7f.1", "[::ffff:127.0.0.1]"] {
            let url = format!("http://{host}:{port}/");
            let refused = tried(&url, false).await;
            assert!(refused.contains("private"), "{host}: {refused}");
            let asked = tried(&url, true).await;
            assert!(!asked.contains("private"), "{host} is asked, and nobody is there: {asked}");
        }
    }
}
