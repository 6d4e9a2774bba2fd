//! The embedded files, with the headers that a browser needs to trust them.

use std::borrow::Cow;
use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use axum::response::{IntoResponse, Redirect, Response};
use rust_embed::RustEmbed;
use sha2::{Digest, Sha256};

use super::ConsoleError;

#[derive(RustEmbed)]
#[folder = "src/console/dist"]
struct Dist;

const INDEX: &str = "index.html";

/// Shown when the crate was built before the page was.
const NOT_BUILT: &str = include_str!("pages/not_built.html");

/// What every file is served with.
pub(super) struct Pages {
    policy: HeaderValue,
}

impl Pages {
    pub(super) fn new(policy: String) -> Self {
        Self { policy: HeaderValue::try_from(policy).expect("the policy is made of origins, which are ASCII") }
    }

    pub(super) fn answer(&self, name: &str, content: Cow<'static, [u8]>, request: &HeaderMap) -> Response {
        let etag = etag(&content);
        let mut headers = HeaderMap::new();
        let content_type = match name.rsplit_once('.').map_or("", |(_, extension)| extension) {
            "html" => "text/html; charset=utf-8",
            "js" => "text/javascript; charset=utf-8",
            "css" => "text/css; charset=utf-8",
            "svg" => "image/svg+xml",
            _ => "text/plain; charset=utf-8",
        };
        let fixed: [(HeaderName, &'static str); 5] = [
            (header::CONTENT_TYPE, content_type),
            // The names carry no version, so a browser asks each time and is told 304.
            (header::CACHE_CONTROL, "no-cache"),
            (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
            (header::REFERRER_POLICY, "no-referrer"),
            (HeaderName::from_static("permissions-policy"), "microphone=(self), camera=(), geolocation=()"),
        ];
        headers.extend(fixed.map(|(name, value)| (name, HeaderValue::from_static(value))));
        headers.insert(header::CONTENT_SECURITY_POLICY, self.policy.clone());
        let known = request.get(header::IF_NONE_MATCH).is_some_and(|value| value == etag.as_str());
        headers.insert(header::ETAG, HeaderValue::try_from(etag).expect("an etag is quoted hexadecimal"));
        if known {
            return (StatusCode::NOT_MODIFIED, headers).into_response();
        }
        (headers, content).into_response()
    }
}

/// `GET /room`.
pub(super) async fn index(State(pages): State<Arc<Pages>>, request: HeaderMap) -> Response {
    let content = Dist::get(INDEX).map_or(Cow::Borrowed(NOT_BUILT.as_bytes()), |file| file.data);
    pages.answer(INDEX, content, &request)
}

/// `GET /room/`: the page's links are relative to `/room`.
pub(super) async fn to_index() -> Redirect {
    Redirect::permanent("../room")
}

/// `GET /room/<file>`.
pub(super) async fn file(
    State(pages): State<Arc<Pages>>,
    Path(name): Path<String>,
    request: HeaderMap,
) -> Result<Response, ConsoleError> {
    let file = Dist::get(&name).filter(|_| !name.starts_with('.')).ok_or(ConsoleError::NoSuchPage)?;
    Ok(pages.answer(&name, file.data, &request))
}

/// Half of the content's SHA-256, quoted.
fn etag(content: &[u8]) -> String {
    let digest: [u8; 32] = Sha256::digest(content).into();
    format!("\"{:032x}\"", digest[..16].iter().fold(0_u128, |sum, byte| sum << 8 | u128::from(*byte)))
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::http::Request;
    use tower::ServiceExt;

    use super::super::{Settings, router};
    use super::*;

    async fn get(path: &str, etag: Option<&HeaderValue>) -> Response {
        let mut request = Request::get(path).body(Body::empty()).unwrap();
        if let Some(etag) = etag {
            request.headers_mut().insert(header::IF_NONE_MATCH, etag.clone());
        }
        router(Settings::default()).oneshot(request).await.unwrap()
    }

    #[tokio::test]
    async fn the_page_is_html_under_a_strict_policy_and_is_revalidated() {
        let response = get("/room", None).await;
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(response.headers()[header::CONTENT_TYPE], "text/html; charset=utf-8");
        assert!(
            response.headers()[header::CONTENT_SECURITY_POLICY].to_str().unwrap().starts_with("default-src 'none'")
        );
        let again = get("/room", Some(&response.headers()[header::ETAG])).await;
        assert_eq!(again.status(), StatusCode::NOT_MODIFIED);
    }

    #[tokio::test]
    async fn what_is_not_embedded_is_not_found() {
        for path in ["/room/none.js", "/room/.gitignore", "/room/..%2f..%2fCargo.toml"] {
            assert_eq!(get(path, None).await.status(), StatusCode::NOT_FOUND, "{path}");
        }
    }
}
