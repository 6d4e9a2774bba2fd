//! docs/protocol/agora.md section 1 and the first lines of section 3: paths, methods, credentials, and what answers where no call is.

use axum::body::Body;
use axum::http::{Method, Request};
use serde_json::json;

use crate::binary::Binary;
use crate::contract::{accepted, bare, path, turned_away};
use crate::world::{APP, OTHER_APP, World};

const NO_ROUTE: &str = "no Route matched with those values";

/// 1, the table of calls: each with its method and path, and no other.
#[tokio::test(flavor = "multi_thread")]
async fn each_call_has_its_method_and_path() {
    let world = World::new().await;
    let task = world.record("mix", "room", "1", &world.client()).await;
    let layout = json!({ "clientRequest": { "mixedVideoLayout": 1 } }).to_string();
    for (action, method, body) in [
        ("query", Method::GET, ""),
        ("update", Method::POST, layout.as_str()),
        ("updateLayout", Method::POST, layout.as_str()),
        ("stop", Method::POST, "{\"clientRequest\":{\"async_stop\":true}}"),
    ] {
        for wrong in [Method::GET, Method::POST, Method::PUT, Method::DELETE, Method::PATCH] {
            if wrong != method {
                let row = format!("1 {action} as {wrong}");
                turned_away(&row, &world.call(wrong, &task.path(action), "{}").await, 404, NO_ROUTE);
            }
        }
        accepted(&format!("1 {action}"), &world.call(method, &task.path(action), body.to_owned()).await);
    }
    for (row, method, unknown) in [
        ("1 acquire as GET", Method::GET, path("acquire")),
        ("1 case counts", Method::POST, path("Acquire")),
        ("1 start as GET", Method::GET, path("resourceid/x/mode/mix/start")),
        ("3 code 8, no cloud_recording in the path", Method::POST, format!("/v1/apps/{APP}/acquire")),
        ("1 NCS IP list, recording docs", Method::GET, "/v1/ncs/ip".to_owned()),
        ("1 NCS IP list, RTC docs", Method::GET, "/v2/ncs/ip".to_owned()),
    ] {
        turned_away(row, &world.call(method, &unknown, "{}").await, 404, NO_ROUTE);
    }
}

/// 3, gateway: the five refusals that carry a message and no code.
#[tokio::test]
async fn the_gateway_has_its_words() {
    let world = World::new().await;
    let acquire = path("acquire");
    turned_away("3 gateway 401, no header", &world.send(bare("POST", &acquire)).await, 401, "Unauthorized");
    let wrong = "Invalid authentication credentials";
    let answer = world.call_as("key:wrong", Method::POST, &acquire, "{}").await;
    turned_away("3 gateway 401, wrong secret", &answer, 401, wrong);
    let token = Request::post(&acquire).header("authorization", "Bearer 007abc").body(Body::from("{}")).unwrap();
    turned_away("1 auth: an RTC token opens nothing", &world.send(token).await, 401, wrong);
    let foreign = acquire.replace(APP, OTHER_APP);
    turned_away("3 gateway 400", &world.post(&foreign, json!({})).await, 400, "appid is invalid");
    turned_away("3 gateway 404", &world.get("/v1/apps").await, 404, NO_ROUTE);
    let long = world.call(Method::POST, &acquire, vec![b' '; 1 << 20]).await;
    turned_away("413, as the gateway says it", &long, 413, "Request size limit exceeded");
}

/// X-Request-ID on every answer, also of doors that know only other methods.
#[tokio::test(flavor = "multi_thread")]
async fn no_door_answers_without_json_and_an_id() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("config.toml");
    let data = toml::Value::String(folder.path().join("data").to_string_lossy().into_owned());
    let text = format!(
        "[server]\nlisten = \"127.0.0.1:0\"\ndata_dir = {data}\n[channel_server]\nudp_listen = \"127.0.0.1:0\"\n\
         [[apps]]\nid = \"{APP}\"\ncertificate = \"{APP}\"\ncustomer_id = \"id\"\ncustomer_secret = \"secret\"\n"
    );
    std::fs::write(&config, text).unwrap();
    let worker = Binary::serve(folder.path(), &config, &[]).await;
    let client = reqwest::Client::new();
    for (method, path, status) in [
        (Method::POST, "/room", 404),
        (Method::DELETE, "/rtc/validate", 404),
        (Method::GET, "/nowhere", 404),
        (Method::POST, "/livez", 404),
        (Method::GET, "/dev/v1/nothing", 404),
        (Method::GET, "/dev/v1/projects", 401),
        (Method::GET, "/livez", 200),
    ] {
        let url = format!("{}{path}", worker.url);
        let answer = client.request(method.clone(), url).header("x-request-id", "mine").send().await.unwrap();
        assert_eq!(answer.status().as_u16(), status, "{method} {path}");
        assert_eq!(answer.headers()["x-request-id"], "mine", "{method} {path}");
        let body: serde_json::Value = answer.json().await.unwrap();
        assert!(body.is_object(), "{method} {path}: {body}");
    }
    worker.stop().await;
}
