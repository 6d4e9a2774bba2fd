//! The REST API for people, at `/docs`: the OpenAPI document as one page.
//!
//! It is HTML made once from the document and a style sheet, both from this binary: no script, nothing from another host, so
//! its policy allows nothing but the style sheet and an empty icon.

mod fields;
mod operations;
mod page;
mod prose;

use axum::Router;
use axum::response::Redirect;
use axum::routing::get;
use serde_json::Value;

use super::document;

const STYLE: &str = concat!(include_str!("web/src/palette.css"), include_str!("pages/reference.css"));

/// The routes `/docs` and below it, for this OpenAPI document.
pub(super) fn router(openapi: &Value) -> Router {
    document::router("/docs", page::render(openapi), "/docs/reference.css", STYLE).route("/docs/", get(to_index))
}

/// The page's links are relative to `/docs`.
async fn to_index() -> Redirect {
    Redirect::permanent("../docs")
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::http::{HeaderMap, Request, StatusCode, header};
    use http_body_util::BodyExt;
    use serde_json::json;
    use tower::ServiceExt;

    use super::super::policy::STATIC;
    use super::*;

    fn document() -> Value {
        let field = json!({ "type": "string", "description": "Says <b>what</b> `x < y` is" });
        json!({
            "info": { "title": "a & b", "version": "1.2.3", "description": "One.\n\nTwo." },
            "tags": [{ "name": "Things", "description": "About things" }],
            "paths": { "/things/{id}": { "get": {
                "tags": ["Things"], "operationId": "thing", "summary": "Look at a thing",
                "parameters": [{ "$ref": "#/components/parameters/id" }],
                "responses": { "200": {
                    "description": "The thing",
                    "content": { "application/json": {
                        "schema": { "$ref": "#/components/schemas/Thing" },
                        "examples": { "one": { "value": { "name": "</pre><script>alert(1)</script>" } } },
                    } },
                } },
            } } },
            "components": {
                "parameters": { "id": { "name": "id", "in": "path", "required": true, "schema": { "type": "string" } } },
                "schemas": { "Thing": { "type": "object", "properties": { "name": field }, "required": ["name"] } },
            },
        })
    }

    async fn get(path: &str) -> (StatusCode, HeaderMap, String) {
        let response = router(&document()).oneshot(Request::get(path).body(Body::empty()).unwrap()).await.unwrap();
        let (head, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        (head.status, head.headers, String::from_utf8(body.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn the_page_tells_the_document_and_loads_its_own_style_alone() {
        let (status, headers, html) = get("/docs").await;
        assert_eq!(
            (status, &headers[header::CONTENT_TYPE]),
            (StatusCode::OK, &"text/html; charset=utf-8".parse().unwrap())
        );
        assert_eq!(headers[header::CONTENT_SECURITY_POLICY], STATIC);
        for text in
            ["a &amp; b", "Look at a thing", "The thing", "<code>x &lt; y</code>", "id=\"thing\"", "id=\"shape-Thing\""]
        {
            assert!(html.contains(text), "{text}: {html}");
        }
        assert_eq!(html.matches(" src=").count(), 0);
        let links: Vec<&str> = html.split(" href=\"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
        let own =
            |link: &&&str| link.starts_with('#') || ["docs/reference.css", "openapi.json", "data:,"].contains(*link);
        assert_eq!(links.iter().find(|link| !own(link)), None);
        assert!(!html.contains("style="), "the policy forbids it");
    }

    #[tokio::test]
    async fn nothing_of_the_document_becomes_markup() {
        let (_, _, html) = get("/docs").await;
        assert!(!html.contains("<script") && !html.contains("<b>"), "{html}");
        assert!(html.contains("&lt;script&gt;"));
    }

    #[tokio::test]
    async fn the_style_sheet_is_there() {
        let (status, headers, css) = get("/docs/reference.css").await;
        assert_eq!(
            (status, &headers[header::CONTENT_TYPE]),
            (StatusCode::OK, &"text/css; charset=utf-8".parse().unwrap())
        );
        assert!(!css.contains("url(") && !css.contains("@import"));
        assert_eq!(get("/docs/other.css").await.0, StatusCode::NOT_FOUND);
    }
}
