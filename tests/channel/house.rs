//! A channel server on ports of its own.

use std::time::Duration;

use cloud_recorder::channel::jwt;
use cloud_recorder::channel_server::{AppKeys, ChannelServer, Limits, RoomEvent, Settings};
use cloud_recorder::clock;
use cloud_recorder::units::{AppId, Cname, Uid};
use secrecy::SecretString;
use serde_json::{Value, json};
use tokio_util::task::AbortOnDropHandle;

pub(crate) const APP: &str = "0123456789abcdef0123456789abcdef";
pub(crate) const CERTIFICATE: &str = "fedcba9876543210fedcba9876543210";
pub(crate) const KEY: &str = "devkey";

pub(crate) struct House {
    pub(crate) server: ChannelServer,
    /// `127.0.0.1:port`
    pub(crate) address: String,
    _http: AbortOnDropHandle<()>,
}

impl House {
    pub(crate) async fn open() -> Self {
        Self::with(Limits::default()).await
    }

    pub(crate) async fn with(limits: Limits) -> Self {
        let settings = Settings {
            apps: vec![AppKeys { app_id: app(), certificate: Some(CERTIFICATE.to_owned().into()) }],
            api_key: KEY.to_owned(),
            api_secret: secret(),
            udp_listen: ([127, 0, 0, 1], 0).into(),
            announce: None,
            limits,
        };
        let server = ChannelServer::start(settings).await.unwrap();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let router = server.router();
        let http = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { server, address, _http: AbortOnDropHandle::new(http) }
    }

    /// Waits until the server says that `event` happened; to be subscribed before what causes it.
    pub(crate) fn watch(&self) -> Watch {
        Watch(self.server.news())
    }
}

pub(crate) struct Watch(tokio::sync::broadcast::Receiver<cloud_recorder::channel_server::RoomNews>);

impl Watch {
    pub(crate) async fn until(&mut self, wanted: impl Fn(&RoomEvent) -> bool) -> RoomEvent {
        let search = async {
            loop {
                let event = self.0.recv().await.unwrap().event;
                if wanted(&event) {
                    return event;
                }
            }
        };
        tokio::time::timeout(Duration::from_secs(20), search).await.expect("the event never came")
    }
}

pub(crate) fn app() -> AppId {
    AppId::new(APP).unwrap()
}

pub(crate) fn secret() -> SecretString {
    "devsecret-devsecret-devsecret-000".to_owned().into()
}

pub(crate) fn room() -> Cname {
    Cname::new("room").unwrap()
}

pub(crate) fn uid(text: &str) -> Uid {
    Uid::new(text).unwrap()
}

/// A LiveKit token for `room`, with these further grants.
pub(crate) fn token(identity: &str, grants: &Value) -> String {
    let mut video = json!({ "roomJoin": true, "room": "room" });
    video.as_object_mut().unwrap().extend(grants.as_object().unwrap().clone());
    let exp = clock::now().0 / 1000 + 600;
    jwt::mint(&json!({ "iss": KEY, "sub": identity, "exp": exp, "video": video }), &secret())
}

pub(crate) fn recorder_token(identity: &str) -> String {
    token(identity, &json!({ "canPublish": false, "canPublishData": false, "hidden": true, "recorder": true }))
}
