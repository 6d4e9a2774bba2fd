//! Pages for people, embedded in the binary: the first page at `/`, the voice room at `/room`, the REST API at `/docs`.
//!
//! The voice room is served to anybody who reaches the HTTP port; it holds no secrets. It needs a channel URL, a token and REST
//! credentials to be of use, and asks the person to paste them. Only a development server on loopback hands them out
//! ([`DevSettings`]), and only to pages that it served itself.
//!
//! `make page` builds the page from `src/console/web` into `src/console/dist`; without that the crate compiles and serves a
//! page that says so.

mod dev;
mod document;
mod error;
mod home;
mod pages;
mod policy;
mod reference;

use std::sync::Arc;

use axum::Router;
use axum::routing::{get, post};

pub use dev::{DevBucket, DevSettings, Mint};
pub use error::ConsoleError;

/// What the pages are allowed and told.
#[derive(Clone, Default)]
pub struct Settings {
    /// Places beyond our own port that the page may talk to: buckets (`http`, `https`) and channel servers (`ws`, `wss`).
    /// Only scheme, host and port count.
    pub origins: Vec<url::Url>,
    /// Set in the development server alone.
    pub dev: Option<DevSettings>,
    /// The OpenAPI document that `/docs` tells.
    pub api: Option<&'static serde_json::Value>,
}

/// The routes `/`, `/room` and `/docs`, and below them.
pub fn router(settings: Settings) -> Router {
    let (api, home) = (settings.api, home::router(settings.dev.is_some()));
    let pages = pages::Pages::new(policy::content_security_policy(&settings));
    let page_routes = Router::new()
        .route("/room", get(pages::index))
        .route("/room/", get(pages::to_index))
        .route("/room/{file}", get(pages::file))
        .with_state(Arc::new(pages));
    let dev_routes = Router::new()
        .route("/room/session", get(dev::session))
        .route("/room/token", post(dev::token))
        .layer(axum::extract::DefaultBodyLimit::max(dev::BODY_LIMIT))
        .with_state(Arc::new(settings.dev));
    let reference = api.map(reference::router).unwrap_or_default();
    page_routes.merge(dev_routes).merge(reference).merge(home)
}
