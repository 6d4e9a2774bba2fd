//! The apps of the configuration, as the channel management API asks for them.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::http::HeaderValue;
use axum::response::{IntoResponse, Response};

use crate::api::Credentials;
use crate::channel_server::rest;
use crate::config::{ChannelChoice, Config};
use crate::units::AppId;

/// Credentials, and whose channels are in the embedded server.
pub(super) struct Directory {
    credentials: Arc<Credentials>,
    embedded: BTreeSet<AppId>,
}

impl Directory {
    pub(super) fn new(config: &Config, credentials: Arc<Credentials>) -> Self {
        let embedded = config.apps.iter().filter(|app| matches!(app.channel, ChannelChoice::Embedded));
        Self { credentials, embedded: embedded.map(|app| app.id.clone()).collect() }
    }
}

impl rest::Directory for Directory {
    fn admit(&self, authorization: Option<&HeaderValue>, app: &str) -> Result<AppId, Box<Response>> {
        self.credentials.admit(authorization, app).map_err(|refusal| Box::new(refusal.into_response()))
    }

    fn apps(&self, authorization: Option<&HeaderValue>) -> Result<Vec<AppId>, Box<Response>> {
        self.credentials.apps(authorization).map_err(|refusal| Box::new(refusal.into_response()))
    }

    fn hosts(&self, app: &AppId) -> bool {
        self.embedded.contains(app)
    }
}

#[cfg(test)]
mod tests {
    use axum::http::StatusCode;
    use axum::http::header::RETRY_AFTER;
    use rest::Directory as _;

    use super::*;
    use crate::api::KeyPair;

    #[test]
    fn the_limit_of_an_app_is_one_for_both_apis() {
        let text = include_str!("../../../deploy/cloud-recorder.toml");
        let config = Config::parse(text, std::iter::empty()).unwrap();
        let app = config.apps[0].id.clone();
        let pair = KeyPair { key: "id".into(), secret: "secret".to_owned().into(), apps: [app.clone()].into() };
        let credentials = Arc::new(Credentials::new(vec![pair]).with_limits([(app.clone(), 1)]));
        let directory = Directory::new(&config, Arc::clone(&credentials));
        let header = HeaderValue::from_static("Basic aWQ6c2VjcmV0");
        assert!(directory.apps(Some(&header)).is_ok() && credentials.admit(Some(&header), app.as_str()).is_ok());
        let refused = directory.admit(Some(&header), app.as_str()).unwrap_err();
        assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
        assert!(refused.headers().contains_key(RETRY_AFTER));
    }
}
