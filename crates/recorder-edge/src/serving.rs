//! HTTP ports that nobody can hold: who connects and then lets the port wait gives way to who comes next.
//!
//! * **Time.** A request's head, its body and the reading of its answer have limits each; so has a connection between two requests.
//! * **Number.** Connections are bounded in all and by address (of IPv6 by /64). Behind a trusted proxy, which has one address for
//!   everybody, the requests under way are bounded by the address that the proxy names.
//! * **Who gives way.** Where a bound is reached, the connection that has kept the port waiting for longest is closed for the new one: of
//!   the same address where that is the bound, else of all. A connection whose request is being answered is never closed for
//!   another; if there is no other, the new one is.
//!
//! So a stranger who opens all connections there are, and a caller whose bodies never come, cost others nothing but a connection that
//! was idle.

mod body;
mod connection;
mod origin;
mod registry;
mod socket;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

pub use body::TooSlow;
pub use origin::client_ip;

use registry::Registry;

/// How long an accept waits that failed for want of descriptors: what is closed meanwhile makes room.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// What is bounded how.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Connections at once.
    pub connections: usize,
    /// Connections of one address at once; behind a trusted proxy, requests.
    pub per_address: usize,
    /// From a request's first byte, or from the connection's begin, to the end of the request's head.
    pub head: Duration,
    /// Between two requests.
    pub idle: Duration,
    /// For bodies.
    pub body: BodyTime,
    /// How long a client may take nothing of an answer.
    pub answer: Duration,
    /// Proxies whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Arc<[IpAddr]>,
}

/// How long bodies may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyTime {
    /// From the first look at a body to its end: for calls, whose bodies are small.
    Whole(Duration),
    /// From one piece of a body to the next: for objects, which may be of any size.
    Pause(Duration),
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 4_096,
            per_address: 1_024,
            head: Duration::from_secs(10),
            idle: Duration::from_secs(75),
            body: BodyTime::Whole(Duration::from_secs(20)),
            answer: Duration::from_secs(30),
            trusted_proxies: Arc::default(),
        }
    }
}

/// Serves until `stop`, and then until the requests under way are answered. Dropping it closes all connections; sockets that were
/// upgraded are whose they are. Handlers find the client's address as `ConnectInfo<SocketAddr>`.
pub async fn serve(listener: TcpListener, router: Router, limits: Limits, stop: CancellationToken) {
    let registry = Registry::new(limits);
    let mut connections = JoinSet::new();
    loop {
        let (stream, address) = tokio::select! {
            accepted = accept(&listener) => accepted,
            _ = connections.join_next(), if !connections.is_empty() => continue,
            () = stop.cancelled() => break,
        };
        // Who gets no place is closed at once.
        if let Some(place) = registry.enter(address.ip()) {
            connections.spawn(connection::serve(stream, address, place, router.clone(), stop.clone()));
        }
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
}

async fn accept(listener: &TcpListener) -> (TcpStream, SocketAddr) {
    loop {
        match listener.accept().await {
            Ok(accepted) => return accepted,
            // The client's: it was gone before it was let in.
            Err(error)
                if matches!(
                    error.kind(),
                    std::io::ErrorKind::ConnectionAborted | std::io::ErrorKind::ConnectionReset
                ) => {}
            Err(error) => {
                tracing::warn!(%error, "a connection can't be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}
