//! One connection, from its first byte to its last, or until its place is another's.

use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::Router;
use axum::body::{Body, Bytes, HttpBody};
use axum::extract::ConnectInfo;
use axum::http::header::RETRY_AFTER;
use axum::http::{Request, Response, StatusCode};
use axum::response::IntoResponse;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use serde_json::json;
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;
use tower::{Service, ServiceExt};

use super::body::{Incoming, Outgoing};
use super::client_ip;
use super::registry::ConnectionPermit;
use super::socket::Socket;

pub(super) async fn serve(
    stream: TcpStream,
    address: SocketAddr,
    place: Arc<ConnectionPermit>,
    router: Router,
    stop: CancellationToken,
) {
    let _ = stream.set_nodelay(true);
    let socket = TokioIo::new(Socket::new(stream, Arc::clone(&place)));
    let desk = TowerToHyperService::new(RequestService { router, address, place: Arc::clone(&place) });
    let mut builder = Builder::new(TokioExecutor::new()).http1_only();
    // Heads have their time from the place, which knows a pause between requests from a head that does not come.
    builder.http1().header_read_timeout(None);
    let mut connection = pin!(builder.serve_connection_with_upgrades(socket, desk));
    let mut stopping = false;
    loop {
        tokio::select! {
            served = connection.as_mut() => {
                if let Err(error) = served {
                    tracing::trace!(%error, "a connection ended");
                }
                return;
            }
            () = place.over() => return,
            () = stop.cancelled(), if !stopping => {
                stopping = true;
                connection.as_mut().graceful_shutdown();
            }
        }
    }
}

/// Answers the requests of a connection.
#[derive(Clone)]
struct RequestService {
    router: Router,
    address: SocketAddr,
    place: Arc<ConnectionPermit>,
}

impl<B> Service<Request<B>> for RequestService
where
    B: HttpBody<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let Self { router, address, place } = self.clone();
        place.works();
        Box::pin(async move {
            let client = client_ip(Some(address.ip()), request.headers(), &place.limits().trusted_proxies);
            let Some(under_way) = place.request(client) else {
                let response = busy();
                place.answered();
                return Ok(response);
            };
            let mut request = request.map(|body| Incoming::wrap(body, &place));
            request.extensions_mut().insert(ConnectInfo(address));
            let response = router.oneshot(request).await?;
            if response.status() == StatusCode::SWITCHING_PROTOCOLS {
                place.upgraded(under_way);
                return Ok(response);
            }
            Ok(response.map(|inner| Body::new(Outgoing { inner, place, _request: under_way })))
        })
    }
}

fn busy() -> Response<Body> {
    let message = "too many requests of this address are under way; try again in a few seconds";
    (StatusCode::SERVICE_UNAVAILABLE, [(RETRY_AFTER, "3")], axum::Json(json!({ "message": message }))).into_response()
}
