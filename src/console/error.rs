//! Why the console refuses a request, and the JSON answer that says so.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use crate::error_class::{Blame, Classify, ErrorClass};
use crate::units::InvalidId;

/// Why the console refused a request.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConsoleError {
    /// There is no such page.
    #[error("there is no such page; the voice room is at /room")]
    NoSuchPage,
    /// Tokens and credentials are handed out by the development server alone.
    #[error("this server hands out no credentials; paste a token and REST credentials into the page")]
    NotDevelopment,
    /// The request came from a page of another site, or under a host name that is not loopback's.
    #[error("this is answered only to the room page itself; open it as http://127.0.0.1 or http://localhost")]
    Foreign,
    /// The body is not `{"room": …, "name": …}`.
    #[error("send a JSON body with room and name: {0}")]
    BadBody(String),
    /// The room's or the member's name is not one.
    #[error("choose another name: {0}")]
    BadName(#[from] InvalidId),
    /// The token could not be made.
    #[error("the token could not be made: {0}")]
    Mint(String),
}

impl Classify for ConsoleError {
    fn error_class(&self) -> ErrorClass {
        match self {
            Self::NoSuchPage => ErrorClass::caller("no_such_page"),
            Self::NotDevelopment => ErrorClass::caller("not_development"),
            Self::Foreign => ErrorClass::caller("foreign_page"),
            Self::BadBody(_) => ErrorClass::caller("bad_body"),
            Self::BadName(_) => ErrorClass::caller("bad_name"),
            Self::Mint(_) => ErrorClass::ours("mint_failed", false),
        }
    }
}

impl IntoResponse for ConsoleError {
    /// A JSON object with `code` and `reason`, as every answer that is not a page.
    fn into_response(self) -> Response {
        let status = match &self {
            Self::NoSuchPage | Self::NotDevelopment => StatusCode::NOT_FOUND,
            Self::Foreign => StatusCode::FORBIDDEN,
            Self::BadBody(_) | Self::BadName(_) => StatusCode::BAD_REQUEST,
            Self::Mint(_) => StatusCode::INTERNAL_SERVER_ERROR,
        };
        let error_class = self.error_class();
        if error_class.blame == Blame::Ours {
            tracing::error!(code = error_class.code, "{self}");
        }
        (status, Json(serde_json::json!({ "code": status.as_u16(), "reason": self.to_string() }))).into_response()
    }
}
