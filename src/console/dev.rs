//! What the development server alone hands out to its own page: a token for a room, and everything that a recording needs.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::extract::rejection::JsonRejection;
use axum::http::StatusCode;
use axum::http::header::{self, HeaderMap};
use axum::response::{IntoResponse, Response};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::{Value, json};

use super::ConsoleError;
use crate::units::{AppId, Cname, Uid};

/// Bytes of a request body.
pub(super) const BODY_LIMIT: usize = 4096;

/// Makes a token that lets a uid into a channel and publish there.
pub type Mint =
    Arc<dyn Fn(&Cname, &Uid) -> Result<SecretString, Box<dyn std::error::Error + Send + Sync>> + Send + Sync>;

/// What the page is told when it runs on the development server.
///
/// Whoever reaches the port can read all of it, so it must be set only where the server listens on loopback alone.
#[derive(Clone)]
pub struct DevSettings {
    /// The development app.
    pub app_id: AppId,
    /// The channel server, `ws://…`; `None` when it is mounted on the same port as the page.
    pub channel_url: Option<url::Url>,
    /// User name of the REST API's Basic authorisation.
    pub rest_key: String,
    /// Its password.
    pub rest_secret: SecretString,
    /// Where recordings go.
    pub bucket: DevBucket,
    /// Makes the tokens of `POST /room/token`.
    pub mint: Mint,
}

/// The development server's bucket; its objects are readable without credentials.
#[derive(Clone)]
pub struct DevBucket {
    /// `http://host:port` of the S3 server.
    pub endpoint: url::Url,
    /// The bucket's name.
    pub name: String,
    /// S3 access key id.
    pub access_key: String,
    /// S3 secret access key.
    pub secret_key: SecretString,
}

/// `POST /room/token`.
#[derive(Deserialize)]
pub(super) struct TokenRequest {
    room: String,
    name: String,
}

/// `GET /room/session`: the app, its REST credentials and a complete storageConfig; 204 where nothing is handed out.
pub(super) async fn session(
    State(dev): State<Arc<Option<DevSettings>>>,
    headers: HeaderMap,
) -> Result<Response, ConsoleError> {
    let dev = match own_page(dev.as_ref().as_ref(), &headers) {
        Err(ConsoleError::NotDevelopment) => return Ok(StatusCode::NO_CONTENT.into_response()),
        outcome => outcome?,
    };
    let endpoint = dev.bucket.endpoint.as_str().trim_end_matches('/');
    let session = json!({
        "appId": dev.app_id,
        "url": url(dev),
        "rest": { "key": dev.rest_key, "secret": dev.rest_secret.expose_secret() },
        "storageConfig": {
            "vendor": 11,
            "region": 0,
            "bucket": dev.bucket.name,
            "accessKey": dev.bucket.access_key,
            "secretKey": dev.bucket.secret_key.expose_secret(),
            "fileNamePrefix": ["room"],
            "extensionParams": { "endpoint": endpoint },
        },
        "playback": format!("{endpoint}/{}/", dev.bucket.name),
    });
    Ok(Json(session).into_response())
}

/// `POST /room/token {"room", "name"}`: a token for one member of one room.
pub(super) async fn token(
    State(dev): State<Arc<Option<DevSettings>>>,
    headers: HeaderMap,
    body: Result<Json<TokenRequest>, JsonRejection>,
) -> Result<Json<Value>, ConsoleError> {
    let dev = own_page(dev.as_ref().as_ref(), &headers)?;
    let Json(request) = body.map_err(|rejection| ConsoleError::BadBody(rejection.body_text()))?;
    let (room, name) = (Cname::new(&request.room)?, Uid::new(&request.name)?);
    let token = (dev.mint)(&room, &name).map_err(|error| ConsoleError::Mint(error.to_string()))?;
    Ok(Json(json!({ "token": token.expose_secret(), "url": url(dev), "appId": dev.app_id })))
}

fn url(dev: &DevSettings) -> Option<&str> {
    dev.channel_url.as_ref().map(url::Url::as_str)
}

/// The development settings, for a request that our own page made.
///
/// A page of another site may make the browser send the request, and may even read the answer when its host name is made to
/// resolve to loopback; so the host name must be loopback's, and a browser that says where the request comes from must name us.
fn own_page<'a>(dev: Option<&'a DevSettings>, headers: &HeaderMap) -> Result<&'a DevSettings, ConsoleError> {
    let dev = dev.ok_or(ConsoleError::NotDevelopment)?;
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let loopback = text(header::HOST).is_some_and(|host| {
        url::Url::parse(&format!("http://{host}/")).is_ok_and(|url| match url.host() {
            Some(url::Host::Domain(name)) => name == "localhost",
            Some(url::Host::Ipv4(address)) => address.is_loopback(),
            Some(url::Host::Ipv6(address)) => address.is_loopback(),
            None => false,
        })
    });
    let same_site = text(header::HeaderName::from_static("sec-fetch-site"))
        .is_none_or(|site| ["same-origin", "none"].contains(&site));
    if loopback && same_site { Ok(dev) } else { Err(ConsoleError::Foreign) }
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::http::Request;
    use http_body_util::BodyExt;
    use tower::ServiceExt;

    use super::super::{Settings, router};
    use super::*;

    fn dev() -> DevSettings {
        DevSettings {
            app_id: AppId::new(&"ab".repeat(16)).unwrap(),
            channel_url: None,
            rest_key: "key".into(),
            rest_secret: "rest-secret".into(),
            bucket: DevBucket {
                endpoint: "http://127.0.0.1:9000".parse().unwrap(),
                name: "recordings".into(),
                access_key: "access".into(),
                secret_key: "bucket-secret".into(),
            },
            mint: Arc::new(|room, name| Ok(format!("token of {name} for {room}").into())),
        }
    }

    async fn ask(dev: Option<DevSettings>, request: Request<Body>) -> (StatusCode, Value) {
        let response = router(Settings { dev, ..Settings::default() }).oneshot(request).await.unwrap();
        let status = response.status();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (status, serde_json::from_slice(&body).unwrap_or_default())
    }

    fn get_session(host: &str, site: Option<&str>) -> Request<Body> {
        let mut request = Request::get("/room/session").header("host", host);
        if let Some(site) = site {
            request = request.header("sec-fetch-site", site);
        }
        request.body(Body::empty()).unwrap()
    }

    fn post_token(body: &str) -> Request<Body> {
        let request = Request::post("/room/token").header("host", "localhost:8080");
        request.header("content-type", "application/json").body(Body::from(body.to_owned())).unwrap()
    }

    #[tokio::test]
    async fn the_development_servers_page_learns_all_that_a_recording_needs() {
        for host in ["127.0.0.1:8080", "localhost:8080", "[::1]:8080"] {
            let (status, session) = ask(Some(dev()), get_session(host, Some("same-origin"))).await;
            assert_eq!(status, StatusCode::OK, "{host}");
            assert_eq!(session["rest"], json!({ "key": "key", "secret": "rest-secret" }));
            assert_eq!(session["storageConfig"]["extensionParams"]["endpoint"], "http://127.0.0.1:9000");
            assert_eq!(session["playback"], "http://127.0.0.1:9000/recordings/");
        }
    }

    #[tokio::test]
    async fn nobody_else_learns_it() {
        let (status, answer) = ask(None, get_session("127.0.0.1:8080", None)).await;
        assert_eq!((status, answer), (StatusCode::NO_CONTENT, Value::Null));
        let (status, answer) = ask(None, post_token(r#"{"room":"stage","name":"a"}"#)).await;
        assert_eq!((status, &answer["code"]), (StatusCode::NOT_FOUND, &json!(404)));
        for (host, site) in [("evil.example:8080", None), ("127.0.0.1:8080", Some("cross-site")), ("", None)] {
            let (status, _) = ask(Some(dev()), get_session(host, site)).await;
            assert_eq!(status, StatusCode::FORBIDDEN, "{host:?} {site:?}");
        }
    }

    #[tokio::test]
    async fn a_token_is_minted_for_a_valid_room_and_name() {
        let (status, answer) = ask(Some(dev()), post_token(r#"{"room":"stage","name":"Jörg"}"#)).await;
        assert_eq!((status, &answer["token"]), (StatusCode::OK, &json!("token of Jörg for stage")));
        for body in [r#"{"room":"../x","name":"a"}"#, r#"{"room":"stage","name":""}"#, r#"{"room":1}"#, "nonsense"] {
            let (status, answer) = ask(Some(dev()), post_token(body)).await;
            assert_eq!(status, StatusCode::BAD_REQUEST, "{body}");
            assert!(answer["reason"].is_string(), "{body}");
        }
    }
}
