//! A channel server on ports of its own.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use cloud_recorder::channel::jwt;
use cloud_recorder::channel_server::{AppKeys, ChannelServer, Limits, RoomEvent, Settings, rest};
use cloud_recorder::clock;
use cloud_recorder::units::{AppId, Cname, Uid};
use secrecy::SecretString;
use serde_json::{Value, json};
use tokio_util::task::AbortOnDropHandle;

pub(crate) const APP: &str = "0123456789abcdef0123456789abcdef";
pub(crate) const CERTIFICATE: &str = "fedcba9876543210fedcba9876543210";
pub(crate) const KEY: &str = "devkey";

pub(crate) struct TestServer {
    pub(crate) server: ChannelServer,
    /// `127.0.0.1:port`
    pub(crate) address: String,
    _http: AbortOnDropHandle<()>,
}

impl TestServer {
    pub(crate) async fn open() -> Self {
        Self::with(Limits::default()).await
    }

    pub(crate) async fn with(limits: Limits) -> Self {
        Self::set(Settings { limits, ..settings() }).await
    }

    pub(crate) async fn set(settings: Settings) -> Self {
        let server = ChannelServer::start(settings).await.unwrap();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let router = server.router().merge(rest::router(Some(server.clone()), Arc::new(RestClient)));
        let service = router.into_make_service_with_connect_info::<SocketAddr>();
        let http = tokio::spawn(async move { axum::serve(listener, service).await.unwrap() });
        Self { server, address, _http: AbortOnDropHandle::new(http) }
    }

    /// Waits until the server says that `event` happened; to be subscribed before what causes it.
    pub(crate) fn watch(&self) -> Watch {
        Watch(self.server.notices())
    }
}

/// One app, loopback, nothing kept.
pub(crate) fn settings() -> Settings {
    Settings {
        apps: vec![AppKeys { app_id: app(), certificate: Some(CERTIFICATE.to_owned().into()) }],
        api_key: KEY.to_owned(),
        api_secret: secret(),
        udp_listen: ([127, 0, 0, 1], 0).into(),
        announce: None,
        trusted_proxies: Vec::new(),
        rule_keeper: None,
        limits: Limits::default(),
    }
}

pub(crate) struct Watch(tokio::sync::broadcast::Receiver<channel_server::RoomNotice>);

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

/// One pair of credentials for our app and one whose channels are elsewhere.
struct RestClient;

impl rest::Directory for RestClient {
    fn admit(&self, authorization: Option<&HeaderValue>, app: &str) -> Result<AppId, Box<Response>> {
        let own = self.apps(authorization)?.into_iter().find(|own| own.as_str() == app);
        own.ok_or_else(|| Box::new((StatusCode::BAD_REQUEST, r#"{"message":"appid is invalid"}"#).into_response()))
    }

    fn apps(&self, authorization: Option<&HeaderValue>) -> Result<Vec<AppId>, Box<Response>> {
        if authorization.is_some_and(|value| value == CREDENTIALS) {
            Ok(vec![app(), app_elsewhere()])
        } else {
            Err(Box::new((StatusCode::UNAUTHORIZED, r#"{"message":"Unauthorized"}"#).into_response()))
        }
    }

    fn hosts(&self, app: &AppId) -> bool {
        *app != app_elsewhere()
    }
}

/// id:secret
pub(crate) const CREDENTIALS: &str = "Basic aWQ6c2VjcmV0";

pub(crate) fn app_elsewhere() -> AppId {
    AppId::new(&"e".repeat(32)).unwrap()
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
