//! A caller of the channel management API.

use reqwest::{Client, Method};
use serde_json::Value;

use crate::house::{CREDENTIALS, House};

/// The status and the JSON of an answer, which every answer is and carries an id with.
pub(crate) async fn call(house: &House, method: Method, path: &str, body: Option<Value>) -> (u16, Value) {
    let mut request = Client::new().request(method, format!("http://{}/dev/v1/{path}", house.address));
    request = request.header("authorization", CREDENTIALS);
    if let Some(body) = body {
        request = request.json(&body);
    }
    let answer = request.send().await.unwrap();
    assert!(answer.headers().contains_key("x-request-id"));
    (answer.status().as_u16(), answer.json().await.unwrap())
}

pub(crate) async fn get(house: &House, path: &str) -> Value {
    let (status, answer) = call(house, Method::GET, path, None).await;
    assert_eq!(status, 200, "{answer}");
    answer
}

/// A call about rules that has to succeed.
pub(crate) async fn rule(house: &House, method: Method, body: Value) -> Value {
    let (status, answer) = call(house, method, "kicking-rule", Some(body)).await;
    assert_eq!((status, &answer["status"]), (200, &Value::from("success")), "{answer}");
    answer
}
