//! Endpoints that lead inside: refused at start by name and by address, and again at each connection, where a name that was public
//! when the recording began may lead elsewhere by then. Redirects are followed by nobody.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use cloud_recorder::address_policy::AddressPolicy;
use cloud_recorder::storage::vendor::{self, StorageConfigParts};
use cloud_recorder::storage::{Bucket, BucketError};
use serde_json::{Value, json};

use crate::world::{Options, World};

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_that_leads_inside_starts_nothing() {
    let world = World::with(Options { private_endpoints: false, ..Options::default() }).await;
    let inside = Listener::open(None).await;
    for host in ["localhost", "127.0.0.1", "2130706433", "[::1]", "[::ffff:127.0.0.1]"] {
        let resource = world.acquire("room", "1").await;
        let client = json!({ "storageConfig": storage(&format!("http://{host}:{}", inside.port)) });
        let answer = world.start(&resource, "mix", "room", "1", &client).await;
        assert_eq!((answer.status, &answer.body["code"]), (StatusCode::BAD_REQUEST, &json!(2)), "{}", answer.body);
        let reason = answer.body["reason"].as_str().unwrap();
        assert!(reason.starts_with("clientRequest.storageConfig.extensionParams.endpoint "), "{reason}");
    }
    assert_eq!(inside.heard(), 0);
}

#[tokio::test]
async fn a_name_is_looked_at_for_each_connection() {
    let inside = Listener::open(None).await;
    let parts: StorageConfigParts =
        serde_json::from_value(storage(&format!("http://localhost:{}", inside.port))).unwrap();
    let destination = vendor::destination(&parts).unwrap();
    let refused = Bucket::connect_within(&destination, AddressPolicy::Public).prove().await.unwrap_err();
    assert!(matches!(&refused, BucketError::Unreachable { sent: false, .. }), "{refused:?}");
    assert!(refused.to_string().contains("loopback, private or link-local"), "{refused}");
    assert_eq!(inside.heard(), 0);
    // The same name, for who may go there.
    let reached = Bucket::connect_within(&destination, AddressPolicy::Anywhere).prove().await.unwrap_err();
    assert!(inside.heard() > 0, "{reached}");
}

#[tokio::test]
async fn a_store_that_points_elsewhere_is_not_followed() {
    let elsewhere = Listener::open(None).await;
    for status in [
        StatusCode::MOVED_PERMANENTLY,
        StatusCode::FOUND,
        StatusCode::TEMPORARY_REDIRECT,
        StatusCode::PERMANENT_REDIRECT,
    ] {
        let pointing = Listener::open(Some((status, format!("http://127.0.0.1:{}/", elsewhere.port)))).await;
        let parts: StorageConfigParts =
            serde_json::from_value(storage(&format!("http://127.0.0.1:{}", pointing.port))).unwrap();
        let destination = vendor::destination(&parts).unwrap();
        assert!(Bucket::connect(&destination).prove().await.is_err());
        assert!(pointing.heard() > 0 && elsewhere.heard() == 0, "{status}");
    }
}

fn storage(endpoint: &str) -> Value {
    json!({
        "vendor": 11, "region": 0, "bucket": "calls", "accessKey": "access", "secretKey": "secret",
        "extensionParams": { "endpoint": endpoint },
    })
}

/// An HTTP server that counts, and answers 400 or with a redirect.
struct Listener {
    port: u16,
    heard: Arc<AtomicUsize>,
}

impl Listener {
    async fn open(redirect: Option<(StatusCode, String)>) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (port, heard) = (listener.local_addr().unwrap().port(), Arc::new(AtomicUsize::new(0)));
        let count = Arc::clone(&heard);
        let router = Router::new().fallback(async move || {
            count.fetch_add(1, Ordering::Relaxed);
            match &redirect {
                Some((status, to)) => (*status, [("location", to.clone())]).into_response(),
                None => StatusCode::BAD_REQUEST.into_response(),
            }
        });
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { port, heard }
    }

    fn heard(&self) -> usize {
        self.heard.load(Ordering::Relaxed)
    }
}
