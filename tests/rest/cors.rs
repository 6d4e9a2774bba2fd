//! Browsers: a page of an origin that the app allows may call, and no other; nothing changes for who is no browser.

use axum::body::Body;
use axum::http::{Method, Request, StatusCode};
use tower::ServiceExt;

use crate::world::{APP, OTHER_APP, Options, World};

const CONSOLE: &str = "https://console.example.com";

async fn world() -> World {
    World::with(Options { origins: vec![CONSOLE.to_owned()], ..Options::default() }).await
}

fn preflight(app: &str, method: &str, origin: &str) -> Request<Body> {
    Request::builder()
        .method(Method::OPTIONS)
        .uri(format!("/v1/apps/{app}/cloud_recording/acquire"))
        .header("origin", origin)
        .header("access-control-request-method", method)
        .header("access-control-request-headers", "authorization,content-type")
        .body(Body::empty())
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_preflight_needs_no_credentials() {
    let world = world().await;
    let answer = world.router().oneshot(preflight(APP, "POST", CONSOLE)).await.unwrap();
    assert_eq!(answer.status(), StatusCode::NO_CONTENT);
    let header = |name: &str| answer.headers().get(name).map(|value| value.to_str().unwrap());
    assert_eq!(header("access-control-allow-origin"), Some(CONSOLE));
    assert_eq!(header("access-control-allow-methods"), Some("POST"));
    assert_eq!(header("access-control-allow-headers"), Some("authorization,content-type"));
    assert_eq!((header("access-control-allow-credentials"), header("vary")), (None, Some("origin")));
}

#[tokio::test(flavor = "multi_thread")]
async fn others_are_told_nothing() {
    let world = world().await;
    for request in [
        preflight(APP, "POST", "https://elsewhere.example.com"),
        preflight(APP, "POST", "null"),
        preflight(APP, "DELETE", CONSOLE),
        preflight(OTHER_APP, "POST", CONSOLE),
    ] {
        let answer = world.router().oneshot(request).await.unwrap();
        assert_eq!(answer.status(), StatusCode::NOT_FOUND);
        assert!(!answer.headers().contains_key("access-control-allow-origin"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_can_read_answers_and_refusals() {
    let world = world().await;
    let call = async |origin: Option<&str>, credentials: bool| {
        let path = format!("/v1/apps/{APP}/recordings/{}", "0".repeat(32));
        let mut request = Request::builder().uri(path);
        if let Some(origin) = origin {
            request = request.header("origin", origin);
        }
        if credentials {
            request = request.header("authorization", "Basic a2V5OnNlY3JldA==");
        }
        let answer = world.send(request.body(Body::empty()).unwrap()).await;
        (
            answer.status,
            answer.headers.get("access-control-allow-origin").map(|value| value.to_str().unwrap().to_owned()),
        )
    };
    let allowed = Some(CONSOLE.to_owned());
    assert_eq!(call(Some(CONSOLE), true).await, (StatusCode::NOT_FOUND, allowed.clone()));
    assert_eq!(call(Some(CONSOLE), false).await, (StatusCode::UNAUTHORIZED, allowed));
    assert_eq!(call(Some("https://elsewhere.example.com"), true).await, (StatusCode::NOT_FOUND, None));
    assert_eq!(call(None, true).await, (StatusCode::NOT_FOUND, None));
}
