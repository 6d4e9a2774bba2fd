//! The OpenAPI document has the channel management calls that there are, and no others.

use cloud_recorder::api::openapi::DOCUMENT;
use reqwest::Method;
use serde_json::{Value, json};

use crate::rest::call;
use crate::test_server::{APP, TestServer};

const METHODS: [Method; 5] = [Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE];

#[tokio::test]
async fn a_documented_call_is_answered_and_any_other_method_is_not() {
    let test_server = TestServer::open().await;
    let paths = DOCUMENT["paths"].as_object().unwrap().iter().filter(|(path, _)| path.starts_with("/dev/v1/"));
    let mut answered = 0;
    for (path, item) in paths {
        let short = path.trim_start_matches("/dev/v1/");
        let full = short.replace("{appid}", APP).replace("{channelName}", "room").replace("{uid}", "527");
        for method in METHODS {
            let (status, answer) = call(&test_server, method.clone(), &full, Some(json!({ "appid": APP }))).await;
            let unknown = status == 404 && answer == json!({ "message": "no Route matched with those values" });
            let documented: Option<&Value> = item.get(method.as_str().to_lowercase());
            assert_eq!(unknown, documented.is_none(), "{method} {path}: {answer}");
            answered += usize::from(!unknown);
        }
    }
    assert!(answered >= 15, "{answered}");
}
