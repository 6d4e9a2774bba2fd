//! STUN from attackers: requests in the victim's name without its password, old ones of its own from elsewhere, and an attacker's own
//! with the victim's source address. Every packet of the victim arrives.

use std::io::{self, IoSliceMut};
use std::net::{SocketAddr, UdpSocket};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use cloud_recorder::channel::livekit::{IdleRoom, LiveKitChannel, Settings, Talker};
use cloud_recorder::channel::peer::SocketRuntime;
use cloud_recorder::channel::{Channel, ChannelHandle, ChannelUpdate, JoinRequest};
use cloud_recorder::recording::{Input, Selection};
use cloud_recorder::units::Sid;
use hmac::{Hmac, Mac};
use livekit_protocol::SessionDescription;
use livekit_protocol::signal_request::Message as Request;
use livekit_protocol::signal_response::Message as Response;
use serde_json::json;
use sha1::Sha1;
use webrtc::runtime::{AsyncUdpSocket, RecvMeta, Runtime, TokioRuntime, Transmit};

use crate::client::Client;
use crate::test_server::{KEY, TestServer, room, secret, token};

const OFFER: &str = include_str!("offer.sdp");
/// For two seconds of packets; no result depends on it.
const TIMEOUT: Duration = Duration::from_secs(60);

const USERNAME: u16 = 0x0006;
const MESSAGE_INTEGRITY: u16 = 0x0008;
const USE_CANDIDATE: u16 = 0x0025;
const ICE_CONTROLLED: u16 = 0x8029;
const ICE_CONTROLLING: u16 = 0x802a;

/// The victim's way to the network: what it sends can be seen, and others can send from its address.
#[derive(Default)]
struct Tapped {
    socket: Mutex<Option<UdpSocket>>,
    requests: Mutex<Vec<Vec<u8>>>,
}

impl Tapped {
    fn runtime(self: &Arc<Self>) -> Arc<dyn Runtime> {
        let tapped = Arc::clone(self);
        SocketRuntime::build("tapped", move |socket| {
            *tapped.socket.lock().unwrap() = Some(socket.try_clone()?);
            Ok(Arc::new(TappedSocket { inner: TokioRuntime.wrap_udp_socket(socket)?, tapped: Arc::clone(&tapped) }))
        })
    }

    fn forge(&self, bytes: &[u8], to: SocketAddr) {
        // A full send buffer loses one forged datagram.
        let _ = self.socket.lock().unwrap().as_ref().unwrap().send_to(bytes, to);
    }
}

struct TappedSocket {
    inner: Arc<dyn AsyncUdpSocket>,
    tapped: Arc<Tapped>,
}

impl std::fmt::Debug for TappedSocket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TappedSocket")
    }
}

impl AsyncUdpSocket for TappedSocket {
    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.inner.local_addr()
    }

    fn poll_send(&self, cx: &mut Context<'_>, transmit: &Transmit<'_>) -> Poll<io::Result<usize>> {
        if transmit.contents.starts_with(&[0, 1]) {
            self.tapped.requests.lock().unwrap().push(transmit.contents.to_vec());
        }
        self.inner.poll_send(cx, transmit)
    }

    fn poll_recv(
        &self,
        cx: &mut Context<'_>,
        buffers: &mut [IoSliceMut<'_>],
        meta: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        self.inner.poll_recv(cx, buffers, meta)
    }
}

/// A binding request, signed where there is a password.
fn binding_request(username: &[u8], further: &[(u16, &[u8])], password: Option<&[u8]>) -> Vec<u8> {
    let mut bytes = [&[0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42][..], &rand::random::<[u8; 12]>()].concat();
    let attribute = |bytes: &mut Vec<u8>, kind: u16, value: &[u8]| {
        bytes.extend(kind.to_be_bytes());
        bytes.extend(u16::try_from(value.len()).unwrap().to_be_bytes());
        bytes.extend(value);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
    };
    attribute(&mut bytes, USERNAME, username);
    attribute(&mut bytes, 0x0024, &[0x6e, 0, 1, 0xff]);
    further.iter().for_each(|(kind, value)| attribute(&mut bytes, *kind, value));
    let signature = if password.is_some() { 24 } else { 0 };
    let len = u16::try_from(bytes.len() - 20 + signature).unwrap();
    bytes[2..4].copy_from_slice(&len.to_be_bytes());
    if let Some(password) = password {
        let mut mac = Hmac::<Sha1>::new_from_slice(password).unwrap();
        mac.update(&bytes);
        attribute(&mut bytes, MESSAGE_INTEGRITY, &mac.finalize().into_bytes());
    }
    bytes
}

/// The first attribute of the kind.
fn attribute(request: &[u8], wanted: u16) -> Vec<u8> {
    let mut rest = &request[20..];
    loop {
        let (kind, len) = (u16::from_be_bytes([rest[0], rest[1]]), usize::from(u16::from_be_bytes([rest[2], rest[3]])));
        if kind == wanted {
            return rest[4..4 + len].to_vec();
        }
        rest = &rest[4 + len.next_multiple_of(4)..];
    }
}

fn line<'a>(sdp: &'a str, name: &str) -> &'a str {
    sdp.lines().find_map(|line| line.strip_prefix(name)).unwrap().trim()
}

async fn recorder(test_server: &TestServer) -> ChannelHandle {
    let url = format!("ws://{}", test_server.address);
    let channel =
        LiveKitChannel::new(Settings { url, api_key: KEY.to_owned(), api_secret: secret(), idle_room: IdleRoom::Hold })
            .unwrap();
    let sid = Sid::from_random(rand::random());
    let request = JoinRequest {
        cname: room(),
        sid,
        selection: Selection::All,
        patience: Duration::from_secs(10),
        idle: Duration::from_secs(30),
    };
    channel.join(request).await.unwrap()
}

async fn talk(talker: &Talker, sequence: u16) {
    let payload = Bytes::copy_from_slice(&[&[0xf8][..], &sequence.to_be_bytes()].concat());
    talker.send(payload, sequence, u32::from(sequence) * 960, false).await.unwrap();
    tokio::time::sleep(Duration::from_millis(5)).await;
}

/// Talks while `attack` runs before each packet, and wants all of them.
async fn unharmed(attack: impl AsyncFn(&TestServer, &Tapped, u16)) {
    let test_server = TestServer::open().await;
    let mut recorder = recorder(&test_server).await;
    let tapped = Arc::new(Tapped::default());
    let (url, pass) = (format!("ws://{}", test_server.address), token("victim", &json!({})).into());
    let mut victim = Talker::join_over(&url, &pass, tapped.runtime()).await.unwrap();
    for sequence in 0..5 {
        talk(&victim, sequence).await;
    }
    victim.heard().await;
    let attacked = async {
        for sequence in 5..205 {
            attack(&test_server, &tapped, sequence).await;
            talk(&victim, sequence).await;
        }
    };
    let heard = async {
        let mut sequences = Vec::new();
        while sequences.last() != Some(&204) {
            if let (_, ChannelUpdate::Input(Input::Packet(packet))) = recorder.updates.recv().await.unwrap() {
                sequences.push(packet.sequence);
            }
        }
        sequences
    };
    let all = tokio::time::timeout(TIMEOUT, futures_util::future::join(attacked, heard)).await;
    let ((), sequences) = all.expect("the victim went silent");
    let expected: Vec<u16> = (sequences[0]..205).collect();
    assert_eq!(sequences, expected, "nothing is lost");
    assert!(sequences[0] <= 6);
}

#[tokio::test]
async fn requests_in_the_victims_name_from_elsewhere() {
    let strangers: Vec<UdpSocket> = (0..50).map(|_| UdpSocket::bind("127.0.0.1:0").unwrap()).collect();
    unharmed(async |test_server, tapped, sequence| {
        let port = test_server.server.media_addresses()[0];
        let seen = tapped.requests.lock().unwrap().first().unwrap().clone();
        let name = attribute(&seen, USERNAME);
        let roles = [(ICE_CONTROLLED, &[0_u8; 8][..]), (ICE_CONTROLLING, &[0xff; 8]), (USE_CANDIDATE, &[])];
        let stranger = &strangers[usize::from(sequence) % strangers.len()];
        for role in roles {
            for password in [None, Some(&b"guessed"[..])] {
                stranger.send_to(&binding_request(&name, &[role], password), port).unwrap();
            }
            // An old one with something added behind its signature.
            let (kind, value) = role;
            let added = [&kind.to_be_bytes()[..], &u16::try_from(value.len()).unwrap().to_be_bytes(), value].concat();
            stranger.send_to(&[&seen[..], &added].concat(), port).unwrap();
        }
        stranger.send_to(&seen, port).unwrap();
    })
    .await;
}

#[tokio::test]
async fn an_attackers_own_requests_with_the_victims_address() {
    let credentials = tokio::sync::OnceCell::new();
    let clients = tokio::sync::OnceCell::new();
    unharmed(async |test_server, tapped, _| {
        let (name, password) = credentials
            .get_or_init(async || {
                let mut attacker = Client::join(test_server, "attacker").await;
                let offer =
                    SessionDescription { r#type: "offer".into(), sdp: OFFER.into(), id: 1, ..Default::default() };
                attacker.send(Request::Offer(offer)).await;
                let answer = |message| if let Response::Answer(answer) = message { Some(answer.sdp) } else { None };
                let sdp = attacker.until(answer).await;
                assert!(clients.set(attacker).is_ok());
                let name = format!("{}:{}", line(&sdp, "a=ice-ufrag:"), line(OFFER, "a=ice-ufrag:"));
                (name, line(&sdp, "a=ice-pwd:").to_owned())
            })
            .await;
        let controlling = (ICE_CONTROLLING, &[0xff_u8; 8][..]);
        for further in [&[controlling][..], &[controlling, (USE_CANDIDATE, &[])]] {
            let request = binding_request(name.as_bytes(), further, Some(password.as_bytes()));
            tapped.forge(&request, test_server.server.media_addresses()[0]);
        }
    })
    .await;
}
