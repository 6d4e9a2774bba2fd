//! Answers and refusals: JSON always, refusals with the vendor's `message`.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use crate::rules::RuleError;
use recorder_core::error_class::{Blame, Classify};

/// Why a call is not answered with 200.
#[derive(Debug)]
pub(super) enum Refusal {
    /// By whoever checks credentials.
    Gateway(Box<Response>),
    /// Unknown path or wrong method.
    NoRoute,
    /// A field that is missing or wrong; the text names it.
    Invalid(String),
    /// A body that says it isn't JSON.
    MediaType,
    /// A body that is too long, or broke off.
    TooLarge,
    /// The app's channels are in another server.
    Elsewhere,
    /// Projects are what the configuration says.
    Fixed,
    /// A rule can't be made or changed.
    Rule(RuleError),
}

impl From<RuleError> for Refusal {
    fn from(error: RuleError) -> Self {
        Self::Rule(error)
    }
}

impl Refusal {
    pub(super) fn response(self) -> Response {
        let (status, message) = match self {
            Self::Gateway(response) => return *response,
            Self::NoRoute => (StatusCode::NOT_FOUND, "no Route matched with those values".to_owned()),
            Self::Invalid(message) => (StatusCode::BAD_REQUEST, message),
            Self::MediaType => {
                (StatusCode::UNSUPPORTED_MEDIA_TYPE, "set the header Content-Type to application/json".to_owned())
            }
            Self::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "Request size limit exceeded".to_owned()),
            Self::Elsewhere => (
                StatusCode::NOT_FOUND,
                "this worker does not host the app's channels: they are in the LiveKit server that its configuration names; \
                 ask that server"
                    .to_owned(),
            ),
            Self::Fixed => (
                StatusCode::FORBIDDEN,
                "projects can't be changed here: they are the apps in the worker's configuration file".to_owned(),
            ),
            Self::Rule(error) => {
                if error.error_class().blame == Blame::Ours {
                    tracing::error!(code = error.error_class().code, "{error}");
                }
                let status = match &error {
                    RuleError::Unknown => StatusCode::NOT_FOUND,
                    RuleError::TooMany => StatusCode::FORBIDDEN,
                    RuleError::Keeper(_) => StatusCode::INTERNAL_SERVER_ERROR,
                };
                let ours = matches!(error, RuleError::Keeper(_));
                (status, if ours { "the rule could not be kept; try again".to_owned() } else { error.to_string() })
            }
        };
        (status, Json(json!({ "message": message }))).into_response()
    }
}

/// 200 with the statistics calls' envelope.
pub(super) fn data(data: &Value) -> Response {
    Json(json!({ "success": true, "data": data })).into_response()
}
