//! An app server: calls the worker wherever it is now, and gets no answer while it is dead.

use reqwest::Method;
use serde_json::{Value, json};

use crate::test_env::{APP, CUSTOMER};
use crate::worker::Door;

/// What a recording makes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Make {
    /// A mix, and each uid alone.
    #[default]
    Both,
    /// The mix alone.
    Mix,
    /// Each uid alone.
    Individual,
}

impl Make {
    /// The mode in a call's path.
    pub(crate) const fn mode(self) -> &'static str {
        if matches!(self, Self::Individual) { "individual" } else { "mix" }
    }
}

/// A connection to the API.
#[derive(Clone)]
pub(crate) struct Rest {
    http: reqwest::Client,
    door: Door,
    /// What recordings make: `avFileType`.
    pub(crate) kinds: &'static [&'static str],
    pub(crate) make: Make,
}

/// A recording as its caller knows it.
#[derive(Clone, Debug)]
pub(crate) struct Task {
    pub(crate) room: String,
    pub(crate) uid: String,
    pub(crate) resource: String,
    pub(crate) sid: String,
    pub(crate) mode: &'static str,
}

impl Rest {
    pub(crate) fn new(door: &Door) -> Self {
        Self { http: reqwest::Client::new(), door: door.clone(), kinds: &["hls"], make: Make::Both }
    }

    /// Where the worker answers now.
    pub(crate) fn address(&self) -> Option<String> {
        self.door.borrow().clone()
    }

    /// Status and body; nothing when nobody answered.
    pub(crate) async fn call(&self, method: Method, path: &str, body: Option<&Value>) -> Option<(u16, Value)> {
        let (status, _, body) = self.answer(method, path, body).await?;
        Some((status, body))
    }

    /// Like [`Self::call`], with the header `Retry-After`.
    pub(crate) async fn answer(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Option<(u16, Option<String>, Value)> {
        let mut request = self.http.request(method, format!("{}{path}", self.address()?));
        request = request.basic_auth(CUSTOMER.0, Some(CUSTOMER.1));
        if let Some(body) = body {
            request = request.json(body);
        }
        let answer = request.send().await.ok()?;
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        let text = answer.bytes().await.ok()?;
        let body = serde_json::from_slice(&text).unwrap_or(Value::Null);
        let retry = headers.get("retry-after").and_then(|value| value.to_str().ok()).map(str::to_owned);
        Some((status, retry, body))
    }

    pub(crate) async fn get(&self, path: &str) -> Option<(u16, Value)> {
        self.call(Method::GET, path, None).await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Option<(u16, Value)> {
        self.call(Method::POST, path, Some(body)).await
    }

    /// A resource for a recorder in `room`.
    pub(crate) async fn acquire(&self, room: &str, uid: &str) -> Option<String> {
        let body = json!({ "cname": room, "uid": uid, "clientRequest": {} });
        let (status, answer) = self.post(&format!("/v1/apps/{APP}/cloud_recording/acquire"), &body).await?;
        assert_eq!(status, 200, "acquire: {answer}");
        Some(answer["resourceId"].as_str().unwrap().to_owned())
    }

    /// Asks for a recording with this resource; the same call each time.
    pub(crate) async fn start(&self, resource: &str, room: &str, uid: &str) -> Option<(u16, Value)> {
        let (status, _, body) = self.start_answer(resource, room, uid).await?;
        Some((status, body))
    }

    /// Like [`Self::start`], with the header `Retry-After`.
    pub(crate) async fn start_answer(
        &self,
        resource: &str,
        room: &str,
        uid: &str,
    ) -> Option<(u16, Option<String>, Value)> {
        let config =
            json!({ "channelType": 0, "streamTypes": 0, "maxIdleTime": 30, "alsoIndividual": self.make == Make::Both });
        let body = json!({ "cname": room, "uid": uid, "clientRequest": {
            "recordingConfig": config, "recordingFileConfig": { "avFileType": self.kinds }
        } });
        let path = format!("/v1/apps/{APP}/cloud_recording/resourceid/{resource}/mode/{}/start", self.make.mode());
        self.answer(Method::POST, &path, Some(&body)).await
    }

    /// Acquires and starts while the worker lives.
    pub(crate) async fn record(&self, room: &str, uid: &str) -> Task {
        let resource = self.acquire(room, uid).await.expect("the worker answers");
        let (status, answer) = self.start(&resource, room, uid).await.expect("the worker answers");
        assert_eq!(status, 200, "start: {answer}");
        let sid = answer["sid"].as_str().unwrap().to_owned();
        Task { room: room.into(), uid: uid.into(), resource, sid, mode: self.make.mode() }
    }

    pub(crate) async fn query(&self, task: &Task) -> Option<(u16, Value)> {
        self.get(&task.path("query")).await
    }

    /// Stops; with `at_once` the answer does not wait for the bucket.
    pub(crate) async fn stop(&self, task: &Task, at_once: bool) -> Option<(u16, Value)> {
        let body = json!({ "cname": task.room, "uid": task.uid, "clientRequest": { "async_stop": at_once } });
        self.post(&task.path("stop"), &body).await
    }

    /// The whole log of a recording.
    pub(crate) async fn log(&self, sid: &str) -> Vec<Value> {
        let path = format!("/v1/apps/{APP}/recordings/{sid}/events");
        let (status, answer) = self.get(&path).await.expect("the worker answers");
        assert_eq!(status, 200, "events: {answer}");
        answer["events"].as_array().unwrap().clone()
    }
}

impl Task {
    fn path(&self, action: &str) -> String {
        let Self { resource, sid, mode, .. } = self;
        format!("/v1/apps/{APP}/cloud_recording/resourceid/{resource}/sid/{sid}/mode/{mode}/{action}")
    }
}
