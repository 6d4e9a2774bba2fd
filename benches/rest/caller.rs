//! An app server with one connection, and what it had to wait.

use std::time::Duration;

use anyhow::{Context, ensure};
use reqwest::{Client, Method, StatusCode};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::worker::{APP, CUSTOMER, SECRET, Worker};

/// The calls of a recording, in their order.
pub(crate) const CALLS: [&str; 4] = ["acquire", "start", "query", "stop"];

/// See the module's documentation.
pub(crate) struct Caller {
    http: Client,
    url: String,
    storage: Value,
}

impl Caller {
    pub(crate) fn new(worker: &Worker) -> Self {
        Self { http: Client::new(), url: worker.url.clone(), storage: worker.storage() }
    }

    /// How long `GET /livez` took.
    pub(crate) async fn livez(&self) -> anyhow::Result<Duration> {
        let begin = Instant::now();
        let answer = self.http.get(format!("{}/livez", self.url)).send().await?;
        ensure!(answer.status() == StatusCode::OK, "/livez answered {}", answer.status());
        answer.bytes().await?;
        Ok(begin.elapsed())
    }

    /// Records an idle channel; how long each of the [`CALLS`] took. `number` tells callers apart.
    pub(crate) async fn cycle(&self, number: usize) -> anyhow::Result<[Duration; 4]> {
        let cname = format!("idle-{number}");
        let body = |client: Value| json!({ "cname": cname, "uid": "900001", "clientRequest": client });
        let (acquire, answer) = self.call(Method::POST, "acquire", body(json!({}))).await?;
        let resource = format!("resourceid/{}", text(&answer, "resourceId")?);
        let client =
            json!({ "recordingConfig": { "channelType": 0, "streamTypes": 0 }, "storageConfig": self.storage });
        let (start, answer) = self.call(Method::POST, &format!("{resource}/mode/mix/start"), body(client)).await?;
        let task = format!("{resource}/sid/{}/mode/mix", text(&answer, "sid")?);
        let (query, answer) = self.call(Method::GET, &format!("{task}/query"), Value::Null).await?;
        ensure!(answer["state"] == "recording", "the recording is not under way: {answer}");
        let (stop, answer) = self.call(Method::POST, &format!("{task}/stop"), body(json!({}))).await?;
        ensure!(answer["code"] == 435, "nobody spoke, and yet: {answer}");
        Ok([acquire, start, query, stop])
    }

    async fn call(&self, method: Method, path: &str, body: Value) -> anyhow::Result<(Duration, Value)> {
        let begin = Instant::now();
        let request = self.http.request(method, format!("{}/v1/apps/{APP}/cloud_recording/{path}", self.url));
        let request = request.basic_auth(CUSTOMER, Some(SECRET));
        let request = if body.is_null() { request } else { request.json(&body) };
        let answer = request.send().await?;
        let status = answer.status();
        let answer = answer.json().await?;
        let took = begin.elapsed();
        ensure!(status.is_success(), "{path} was answered {status}: {answer}");
        Ok((took, answer))
    }
}

fn text<'a>(answer: &'a Value, field: &str) -> anyhow::Result<&'a str> {
    answer[field].as_str().with_context(|| format!("no {field} in {answer}"))
}

/// How long calls took.
#[derive(Clone, Debug, Default)]
pub(crate) struct Times(Vec<Duration>);

impl Times {
    pub(crate) fn add(&mut self, took: Duration) {
        self.0.push(took);
    }

    pub(crate) fn merge(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    pub(crate) fn count(&self) -> usize {
        self.0.len()
    }

    /// In milliseconds; 0 without any.
    pub(crate) fn percentile(&mut self, percent: usize) -> f64 {
        self.0.sort_unstable();
        let place = (self.0.len() * percent).div_ceil(100).saturating_sub(1);
        self.0.get(place).map_or(0.0, |took| took.as_secs_f64() * 1000.0)
    }
}
