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
