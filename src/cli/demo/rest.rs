//! The demo as an app server: its own REST API over HTTP, like anybody else.

use anyhow::{Context, bail};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};
use url::Url;

use crate::units::{AppId, Cname, Sid};

/// An app server's connection to the API.
pub(super) struct Rest {
    http: reqwest::Client,
    base: Url,
    app: AppId,
    user: String,
    password: SecretString,
}

/// A recording that was started.
#[derive(Clone, Debug)]
pub(super) struct Started {
    pub(super) mode: &'static str,
    pub(super) uid: &'static str,
    pub(super) resource: String,
    pub(super) sid: Sid,
}

impl Rest {
    pub(super) fn new(base: Url, app: AppId, user: String, password: SecretString) -> Self {
        Self { http: reqwest::Client::new(), base, app, user, password }
    }

    /// acquire and start.
    pub(super) async fn start(
        &self,
        cname: &Cname,
        uid: &'static str,
        mode: &'static str,
        storage: &Value,
    ) -> anyhow::Result<Started> {
        let acquire = json!({ "cname": cname, "uid": uid, "clientRequest": { "resourceExpiredHour": 24, "scene": 0 } });
        let acquired = self.call(reqwest::Method::POST, "acquire", Some(acquire)).await?;
        let resource = text(&acquired, "resourceId")?;
        let mut config = json!({ "channelType": 0, "streamTypes": 0, "maxIdleTime": 30 });
        if mode == "individual" {
            config["streamMode"] = "original".into();
            config["subscribeUidGroup"] = 1.into();
        } else {
            config["audioProfile"] = 0.into();
        }
        let request = json!({ "cname": cname, "uid": uid, "clientRequest": {
            "recordingConfig": config,
            "recordingFileConfig": { "avFileType": ["hls"] },
            "storageConfig": storage,
        }});
        let path = format!("resourceid/{resource}/mode/{mode}/start");
        let started = self.call(reqwest::Method::POST, &path, Some(request)).await?;
        let sid = Sid::new(&text(&started, "sid")?)?;
        Ok(Started { mode, uid, resource, sid })
    }

    pub(super) async fn query(&self, started: &Started) -> anyhow::Result<Value> {
        self.call(reqwest::Method::GET, &task(started, "query"), None).await
    }

    pub(super) async fn stop(&self, cname: &Cname, started: &Started) -> anyhow::Result<Value> {
        let request = json!({ "cname": cname, "uid": started.uid, "clientRequest": {} });
        self.call(reqwest::Method::POST, &task(started, "stop"), Some(request)).await
    }

    async fn call(&self, method: reqwest::Method, path: &str, body: Option<Value>) -> anyhow::Result<Value> {
        let url = format!("{}v1/apps/{}/cloud_recording/{path}", self.base, self.app);
        let mut request =
            self.http.request(method.clone(), &url).basic_auth(&self.user, Some(self.password.expose_secret()));
        if let Some(body) = body {
            request = request.json(&body);
        }
        let answer = request.send().await.with_context(|| format!("{method} {path} got no answer"))?;
        let status = answer.status();
        let body: Value = answer.json().await.with_context(|| format!("{method} {path} did not answer with JSON"))?;
        if status != reqwest::StatusCode::OK {
            bail!("{method} {path} answered {status}: {body}");
        }
        Ok(body)
    }
}

fn task(started: &Started, call: &str) -> String {
    format!("resourceid/{}/sid/{}/mode/{}/{call}", started.resource, started.sid, started.mode)
}

fn text(answer: &Value, key: &str) -> anyhow::Result<String> {
    answer[key].as_str().map(str::to_owned).with_context(|| format!("the answer holds no {key}: {answer}"))
}
