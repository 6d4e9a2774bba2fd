//! Calls from pages in browsers (the Fetch standard's CORS protocol): pages of other origins may call for an app that allows theirs.
//!
//! The credentials of a call stand in its `Authorization` header, which the page sets itself; no cookies are allowed or used.

use axum::http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_HEADERS,
    ACCESS_CONTROL_REQUEST_METHOD, ORIGIN, VARY,
};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode};
use axum::response::{IntoResponse, Response};

use super::{Credentials, path};

/// How long a browser may remember what a preflight allowed, in seconds.
const MAX_AGE: HeaderValue = HeaderValue::from_static("600");

/// What a page may read of an answer beside its body.
const EXPOSED: HeaderValue = HeaderValue::from_static("x-request-id, retry-after");

/// The answer to a browser that asks whether a page may make a call; none where the request is something else, or it may not.
pub(super) fn preflight(credentials: &Credentials, head: &Parts) -> Option<Response> {
    if head.method != Method::OPTIONS {
        return None;
    }
    let asked = head.headers.get(ACCESS_CONTROL_REQUEST_METHOD)?;
    let call = path::parse(&Method::from_bytes(asked.as_bytes()).ok()?, head.uri.path())?;
    let mut response = StatusCode::NO_CONTENT.into_response();
    let headers = response.headers_mut();
    if !allow(credentials, call.app, head, headers) {
        return None;
    }
    headers.insert(ACCESS_CONTROL_ALLOW_METHODS, asked.clone());
    if let Some(wanted) = head.headers.get(ACCESS_CONTROL_REQUEST_HEADERS) {
        headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, wanted.clone());
    }
    headers.insert(ACCESS_CONTROL_MAX_AGE, MAX_AGE);
    Some(response)
}

/// Lets the page that made a call read its answer, where the app allows that; says whether it does.
pub(super) fn allow(credentials: &Credentials, app: &str, head: &Parts, answer: &mut HeaderMap) -> bool {
    let Some(origin) = head.headers.get(ORIGIN).filter(|origin| credentials.allows_origin(app, origin)) else {
        return false;
    };
    answer.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
    answer.insert(ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED);
    answer.append(VARY, HeaderValue::from_static("origin"));
    true
}
