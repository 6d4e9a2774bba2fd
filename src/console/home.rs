//! The first page, at `/`: what this server has for people and programs, and where.
//!
//! It holds no credentials and no name of an app.

use axum::Router;

use super::document;

const PAGE: &str = include_str!("pages/home.html");
const STYLE: &str = concat!(include_str!("web/src/palette.css"), include_str!("pages/home.css"));

/// What a person on the development server is told.
const DEVELOPMENT: &str = "This is a development server: the voice room needs no credentials, and the terminal that it was started in shows \
                           them, with commands to paste.";
/// What a person on any other is told.
const OTHERS: &str =
    "The voice room asks for a channel token and for REST credentials; whoever runs this server has them.";

/// The routes `/` and `/home.css`.
pub(super) fn router(development: bool) -> Router {
    let whose = if development { DEVELOPMENT } else { OTHERS };
    let html = PAGE.replace("{{version}}", env!("CARGO_PKG_VERSION")).replace("{{whose}}", whose);
    document::router("/", html, "/home.css", STYLE)
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::http::{HeaderMap, Request, StatusCode, header};
    use http_body_util::BodyExt;
    use tower::ServiceExt;

    use super::super::policy::STATIC;
    use super::*;

    async fn get(path: &str) -> (StatusCode, HeaderMap, String) {
        let response = router(true).oneshot(Request::get(path).body(Body::empty()).unwrap()).await.unwrap();
        let (head, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        (head.status, head.headers, String::from_utf8(body.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn the_first_page_leads_to_all_others_and_loads_its_own_style_alone() {
        let (status, headers, html) = get("/").await;
        assert_eq!(
            (status, &headers[header::CONTENT_TYPE]),
            (StatusCode::OK, &"text/html; charset=utf-8".parse().unwrap())
        );
        assert_eq!(headers[header::CONTENT_SECURITY_POLICY], STATIC);
        let links: Vec<&str> = html.split(" href=\"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
        assert_eq!(links, ["data:,", "home.css", "room", "docs", "openapi.json", "readyz", "livez", "metrics"]);
        assert!(!html.contains("<script") && !html.contains("style=") && !html.contains("{{"), "{html}");
        let (status, _, css) = get("/home.css").await;
        assert!(status == StatusCode::OK && !css.contains("url(") && !css.contains("@import"));
    }
}
