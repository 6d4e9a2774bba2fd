//! A page that is one piece of HTML and one style sheet, both from this binary: no script, nothing from another host.

use std::borrow::Cow;
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use axum::routing::get;

use super::pages::Pages;
use super::policy::STATIC;

struct Document {
    pages: Pages,
    html: String,
    style: &'static str,
}

/// The page at `path` and its style sheet at `style_path`.
pub(super) fn router(path: &str, html: String, style_path: &str, style: &'static str) -> Router {
    let document = Document { pages: Pages::new(STATIC.to_owned()), html, style };
    Router::new().route(path, get(index)).route(style_path, get(style_sheet)).with_state(Arc::new(document))
}

async fn index(State(document): State<Arc<Document>>, request: HeaderMap) -> Response {
    document.pages.answer("index.html", Cow::Owned(document.html.clone().into_bytes()), &request)
}

async fn style_sheet(State(document): State<Arc<Document>>, request: HeaderMap) -> Response {
    document.pages.answer("style.css", Cow::Borrowed(document.style.as_bytes()), &request)
}
