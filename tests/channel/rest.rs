//! A caller of the channel management API.

use reqwest::{Client, Method};
use serde_json::Value;
use test_support::documented::JUDGE;

use crate::test_server::{CREDENTIALS, TestServer};

/// The status and the JSON of an answer, which every answer is and carries an id with; it is as the OpenAPI document has it.
pub(crate) async fn call(test_server: &TestServer, method: Method, path: &str, body: Option<Value>) -> (u16, Value) {
    let address = format!("http://{}/dev/v1/{path}", test_server.address).parse::<reqwest::Url>().unwrap();
    let called = (method.to_string(), address.path().to_owned());
    let mut request = Client::new().request(method, address);
    request = request.header("authorization", CREDENTIALS);
    if let Some(body) = body {
        request = request.json(&body);
    }
    let answer = request.send().await.unwrap();
    assert!(answer.headers().contains_key("x-request-id"));
    let (status, body) = (answer.status().as_u16(), answer.json().await.unwrap());
    // Headers are the business of the door that checks credentials, which is another one here.
    let documented = JUDGE.answer((&called.0, &called.1), (status, &body), |_| true);
    documented.unwrap_or_else(|problem| panic!("{problem}"));
    (status, body)
}

pub(crate) async fn get(test_server: &TestServer, path: &str) -> Value {
    let (status, answer) = call(test_server, Method::GET, path, None).await;
    assert_eq!(status, 200, "{answer}");
    answer
}

/// A call about rules that has to succeed.
pub(crate) async fn rule(test_server: &TestServer, method: Method, body: Value) -> Value {
    let (status, answer) = call(test_server, method, "kicking-rule", Some(body)).await;
    assert_eq!((status, &answer["status"]), (200, &Value::from("success")), "{answer}");
    answer
}
