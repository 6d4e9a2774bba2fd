//! All peer connections on one UDP port.
//!
//! One task reads the shared socket and hands each datagram to the peer connection it is for: a STUN request names it in its
//! USERNAME (RFC 8445 section 7.2.2: our fragment comes first) and is signed with its password, a STUN response answers a check of
//! its own, everything else comes from an address that is known to be its client's (`routes`). Whatever matches nothing is
//! dropped. Each peer connection sees an ordinary socket, given to it by a [`SocketRuntime`] of its own; the address of that
//! socket means nothing outside, so candidates in descriptions are rewritten to [`UdpMux::candidates`].

mod routes;
mod socket;
mod stun;

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use tokio::net::UdpSocket;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;
use webrtc::runtime::Runtime;

use super::limits::MAX_DATAGRAMS;
use channel_client::peer::SocketRuntime;
use routes::Routes;
use socket::MuxSocket;

/// The receive buffer asked of the kernel, in bytes; it may grant less. About two seconds of 200 talkers.
const RECEIVE_BUFFER: usize = 8 * 1024 * 1024;

/// The send buffer asked of the kernel, in bytes.
const SEND_BUFFER: usize = 4 * 1024 * 1024;

/// The largest datagram that is read; longer ones are cut, and then fail their checks.
const MAX_DATAGRAM: usize = 2_048;

/// The shared port. Dropping the last handle closes it.
#[derive(Debug)]
pub(super) struct UdpMux {
    shared: Arc<Shared>,
    candidates: Vec<SocketAddr>,
    _reader: AbortOnDropHandle<()>,
}

#[derive(Debug)]
struct Shared {
    socket: UdpSocket,
    routes: Mutex<Routes>,
}

/// One peer connection's place on the port. Dropping it removes its routes.
#[derive(Debug)]
pub(super) struct Endpoint {
    shared: Arc<Shared>,
    id: u64,
    inbound: Mutex<mpsc::Receiver<Datagram>>,
}

/// What a client's requests to a peer connection carry (RFC 8445 section 7.1.1): both halves stand in our description.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct IceCredentials<'a> {
    /// Our fragment of the user name.
    pub(super) ufrag: &'a str,
    /// What requests are signed with.
    pub(super) password: &'a str,
}

/// A received datagram.
#[derive(Debug)]
struct Datagram {
    from: SocketAddr,
    bytes: Bytes,
}

impl UdpMux {
    /// Binds the port. `announce` is the address that clients are told, where it isn't the bound one.
    pub(super) fn bind(listen: SocketAddr, announce: Option<IpAddr>) -> io::Result<Self> {
        let socket = socket2::Socket::new(socket2::Domain::for_address(listen), socket2::Type::DGRAM, None)?;
        // A smaller buffer than asked for is no failure: the kernel's limit may not be ours to raise.
        let _ = socket.set_recv_buffer_size(RECEIVE_BUFFER);
        let _ = socket.set_send_buffer_size(SEND_BUFFER);
        socket.set_nonblocking(true)?;
        socket.bind(&listen.into())?;
        let socket = UdpSocket::from_std(socket.into())?;
        let bound = socket.local_addr()?;
        let candidates = announced(bound, announce).into_iter().map(|ip| SocketAddr::new(ip, bound.port())).collect();
        let shared = Arc::new(Shared { socket, routes: Mutex::default() });
        let reader = tokio::spawn(read(Arc::clone(&shared)));
        Ok(Self { shared, candidates, _reader: AbortOnDropHandle::new(reader) })
    }

    /// Where clients reach the port; never empty.
    pub(super) fn candidates(&self) -> &[SocketAddr] {
        &self.candidates
    }

    /// A place for one more peer connection.
    pub(super) fn endpoint(&self) -> Arc<Endpoint> {
        let (sender, inbound) = mpsc::channel(MAX_DATAGRAMS);
        let id = self.shared.routes().add(sender);
        Arc::new(Endpoint { shared: Arc::clone(&self.shared), id, inbound: Mutex::new(inbound) })
    }
}

impl Shared {
    fn routes(&self) -> std::sync::MutexGuard<'_, Routes> {
        self.routes.lock().expect("nothing panics while it holds the routes")
    }
}

impl Endpoint {
    /// What the peer connection is built on.
    pub(super) fn runtime(self: &Arc<Self>) -> Arc<dyn Runtime> {
        let endpoint = Arc::clone(self);
        // The socket that the peer connection bound is closed; only its address is kept, as the name that the connection knows
        // its one local candidate by.
        SocketRuntime::build("tokio, one udp port", move |socket| {
            Ok(Arc::new(MuxSocket::new(Arc::clone(&endpoint), socket.local_addr()?)))
        })
    }

    /// The address to build the peer connection with.
    pub(super) fn bind_address(&self) -> SocketAddr {
        let v6 = self.shared.socket.local_addr().is_ok_and(|address| address.is_ipv6());
        let ip: IpAddr = if v6 { Ipv6Addr::LOCALHOST.into() } else { Ipv4Addr::LOCALHOST.into() };
        SocketAddr::new(ip, 0)
    }

    /// Routes requests with these credentials here. To be called with every local description before it is sent: an ICE restart
    /// changes them, and the old ones stay good until the endpoint goes.
    pub(super) fn listen_for(&self, credentials: IceCredentials<'_>) {
        self.shared.routes().name(self.id, credentials);
    }
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        self.shared.routes().remove(self.id);
    }
}

async fn read(shared: Arc<Shared>) {
    let mut buffer = vec![0; MAX_DATAGRAM];
    loop {
        match shared.socket.recv_from(&mut buffer).await {
            Ok((len, from)) => {
                let datagram = Datagram { from, bytes: Bytes::copy_from_slice(&buffer[..len]) };
                shared.routes().deliver(datagram, Instant::now());
            }
            // An ICMP answer to an earlier datagram of ours, and nothing to do with the next one.
            Err(error) => tracing::debug!(%error, "udp port"),
        }
    }
}

/// The addresses to announce for a socket bound to `bound`.
fn announced(bound: SocketAddr, announce: Option<IpAddr>) -> Vec<IpAddr> {
    match announce {
        Some(ip) => vec![ip],
        None if !bound.ip().is_unspecified() => vec![bound.ip()],
        None => outbound_address(bound).into_iter().chain([loopback(bound)]).collect(),
    }
}

/// The address that packets to anywhere would leave from; nothing is sent to find out.
fn outbound_address(bound: SocketAddr) -> Option<IpAddr> {
    let (any, somewhere): (IpAddr, IpAddr) = if bound.is_ipv6() {
        (Ipv6Addr::UNSPECIFIED.into(), Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1).into())
    } else {
        (Ipv4Addr::UNSPECIFIED.into(), Ipv4Addr::new(192, 0, 2, 1).into())
    };
    let probe = std::net::UdpSocket::bind((any, 0)).ok()?;
    probe.connect((somewhere, 9)).ok()?;
    probe.local_addr().ok().map(|address| address.ip()).filter(|ip| !ip.is_unspecified())
}

const fn loopback(bound: SocketAddr) -> IpAddr {
    if bound.is_ipv6() { IpAddr::V6(Ipv6Addr::LOCALHOST) } else { IpAddr::V4(Ipv4Addr::LOCALHOST) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_announced_address_wins_over_the_bound_one() {
        let bound: SocketAddr = "10.0.0.1:7882".parse().unwrap();
        let public: IpAddr = "203.0.113.9".parse().unwrap();
        assert_eq!(announced(bound, Some(public)), [public]);
        assert_eq!(announced(bound, None), [bound.ip()]);
        let any = announced("0.0.0.0:7882".parse().unwrap(), None);
        assert!(any.contains(&Ipv4Addr::LOCALHOST.into()), "a wildcard is reachable on this machine");
    }

    #[tokio::test]
    async fn a_datagram_reaches_the_endpoint_that_its_request_names() {
        let mux = UdpMux::bind("127.0.0.1:0".parse().unwrap(), None).unwrap();
        let (one, two) = (mux.endpoint(), mux.endpoint());
        one.listen_for(IceCredentials { ufrag: "one1", password: "first" });
        two.listen_for(IceCredentials { ufrag: "two2", password: "second" });
        let client = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        client.connect(mux.candidates()[0]).await.unwrap();
        for bytes in [stun::binding_request("two2:x", Some("second"), [1; 12]), b"media".to_vec()] {
            client.send(&bytes).await.unwrap();
            let got = std::future::poll_fn(|cx| two.inbound.lock().unwrap().poll_recv(cx)).await.unwrap();
            assert_eq!((got.bytes.as_ref(), got.from), (bytes.as_slice(), client.local_addr().unwrap()));
        }
        assert!(one.inbound.lock().unwrap().try_recv().is_err());
    }
}
