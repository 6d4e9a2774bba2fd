//! Audio through the house: what a talker sends is what a recorder gets, bit for bit, over one UDP port.

use std::time::Duration;

use bytes::Bytes;
use cloud_recorder::channel::livekit::{IdleRoom, LiveKitChannel, Settings, Talker};
use cloud_recorder::channel::{Channel, ChannelHandle, ChannelUpdate, JoinRequest};
use cloud_recorder::recording::{Input, Packet, Selection};
use cloud_recorder::units::Sid;
use serde_json::json;

use crate::client::Client;
use crate::test_server::{KEY, TestServer, app, room, secret, token, uid};

async fn recorder(test_server: &TestServer) -> ChannelHandle {
    let url = format!("ws://{}", test_server.address);
    let channel =
        LiveKitChannel::new(Settings { url, api_key: KEY.to_owned(), api_secret: secret(), idle_room: IdleRoom::Hold })
            .unwrap();
    let sid = Sid::from_random(rand::random());
    let (patience, idle) = (Duration::from_secs(10), Duration::from_secs(30));
    let request = JoinRequest { cname: room(), sid, selection: Selection::All, patience, idle };
    channel.join(request).await.unwrap()
}

async fn talker(test_server: &TestServer, identity: &str) -> Talker {
    Talker::join(&format!("ws://{}", test_server.address), &token(identity, &json!({})).into()).await.unwrap()
}

async fn updates(handle: &mut ChannelHandle) -> ChannelUpdate {
    tokio::time::timeout(Duration::from_secs(20), handle.updates.recv())
        .await
        .expect("the channel went silent")
        .unwrap()
        .1
}

async fn until<T>(handle: &mut ChannelHandle, wanted: impl Fn(ChannelUpdate) -> Option<T>) -> T {
    loop {
        if let Some(found) = wanted(updates(handle).await) {
            return found;
        }
    }
}

fn packet(updates: ChannelUpdate) -> Option<Packet> {
    if let ChannelUpdate::Input(Input::Packet(packet)) = updates { Some(packet) } else { None }
}

/// A payload that tells its sender and its number.
fn payload(sender: u8, number: u16) -> Bytes {
    let number = number.to_be_bytes();
    Bytes::copy_from_slice(&[0xf8, sender, number[0], number[1]])
}

/// Sends packets numbered as given, 20 ms apart, at `start` on both of RTP's counters.
async fn talk(talker: &Talker, sender: u8, start: u16, numbers: impl IntoIterator<Item = u16>) {
    for number in numbers {
        let timestamp = (u32::from(start) << 16).wrapping_add(u32::from(number) * 960);
        talker.send(payload(sender, number), start.wrapping_add(number), timestamp, false).await.unwrap();
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

#[tokio::test]
async fn payload_sequence_and_timestamp_arrive_as_they_were_sent() {
    let test_server = TestServer::open().await;
    let mut recorder = recorder(&test_server).await;
    let mut alice = talker(&test_server, "alice").await;
    // The first packets start the track and are heard by nobody yet.
    talk(&alice, 1, 65_500, 0..5).await;
    alice.heard().await;
    // A real gap: 60 to 69 are never sent. The sequence number wraps on the way.
    tokio::join!(talk(&alice, 1, 65_500, (5..60).chain(70..100)), async {
        let mut got = Vec::new();
        while got.last() != Some(&99) {
            let packet = until(&mut recorder, packet).await;
            let number = packet.sequence.wrapping_sub(65_500);
            assert_eq!(packet.payload, payload(1, number));
            assert_eq!(packet.timestamp, (65_500_u32 << 16).wrapping_add(u32::from(number) * 960));
            got.push(number);
        }
        let expected: Vec<_> = (got[0]..60).chain(70..100).collect();
        assert_eq!(got, expected, "nothing lost, nothing invented");
        assert!(got[0] <= 6);
    });
    alice.leave().await;
    until(&mut recorder, |updates| (updates == ChannelUpdate::Input(Input::Left { uid: uid("alice") })).then_some(()))
        .await;
}

#[tokio::test]
async fn a_track_is_announced_and_subscribed_before_its_first_packet() {
    let test_server = TestServer::open().await;
    let mut bob = Client::join(&test_server, "bob").await;
    let mut recorder = recorder(&test_server).await;
    let mut alice = talker(&test_server, "alice").await;
    let published = bob.until_update(|info| info.identity == "alice" && !info.tracks.is_empty()).await;
    assert!(published.is_publisher);
    until(&mut recorder, |updates| matches!(updates, ChannelUpdate::Input(Input::TrackAdded { .. })).then_some(()))
        .await;
    alice.heard().await;
    // So that not even the first packet is lost.
    talk(&alice, 1, 0, 0..3).await;
    assert_eq!(until(&mut recorder, packet).await.sequence, 0);
}

#[tokio::test]
async fn each_talker_has_a_track_of_its_own() {
    let test_server = TestServer::open().await;
    let mut recorder = recorder(&test_server).await;
    let (mut alice, mut bob) = tokio::join!(talker(&test_server, "alice"), talker(&test_server, "bob"));
    tokio::join!(talk(&alice, 1, 0, 0..5), talk(&bob, 2, 0, 0..5));
    tokio::join!(alice.heard(), bob.heard());
    tokio::join!(talk(&alice, 1, 0, 5..30), talk(&bob, 2, 0, 5..30));
    let mut tracks = std::collections::HashMap::new();
    let mut ended = 0;
    while ended < 2 {
        match updates(&mut recorder).await {
            ChannelUpdate::Input(Input::TrackAdded { track, uid, .. }) => _ = tracks.insert(track, uid),
            ChannelUpdate::Input(Input::Packet(packet)) => {
                let sender = ["", "alice", "bob"][usize::from(packet.payload[1])];
                assert_eq!(tracks[&packet.track].as_str(), sender);
                ended += usize::from(packet.sequence == 29);
            }
            _ => {}
        }
    }
}

#[tokio::test]
async fn mutes_and_leaves_reach_the_recorder() {
    let limits =
        channel_server::Limits { close_after: Duration::from_millis(200), ..channel_server::Limits::default() };
    let test_server = TestServer::with(limits).await;
    let mut recorder = recorder(&test_server).await;
    let mut alice = talker(&test_server, "alice").await;
    talk(&alice, 1, 0, 0..5).await;
    alice.heard().await;
    alice.mute(true).await;
    until(&mut recorder, |updates| {
        matches!(updates, ChannelUpdate::Input(Input::Muted { muted: true, .. })).then_some(())
    })
    .await;
    assert!(test_server.server.kick(&app(), &room(), &uid("alice")));
    until(&mut recorder, |updates| matches!(updates, ChannelUpdate::Input(Input::Left { .. })).then_some(())).await;
}

#[tokio::test]
async fn noise_on_the_udp_port_disturbs_nobody() {
    let test_server = TestServer::open().await;
    let mut recorder = recorder(&test_server).await;
    let mut alice = talker(&test_server, "alice").await;
    talk(&alice, 1, 0, 0..5).await;
    alice.heard().await;
    let stranger = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let port = test_server.server.media_addresses()[0];
    let noise = async {
        for seed in 0..500_u32 {
            // Every first byte: STUN, DTLS, RTP and RTCP ranges (RFC 7983), with and without the magic cookie.
            let mut bytes: Vec<u8> = (0..seed % 200).map(|n| (n * 31 + seed) as u8).collect();
            if let Some(header) = bytes.get_mut(..8).filter(|_| seed % 3 == 0) {
                header.copy_from_slice(&[0, 1, 0, 20, 0x21, 0x12, 0xa4, 0x42]);
            }
            stranger.send_to(&bytes, port).await.unwrap();
        }
    };
    let ((), (), ()) = tokio::join!(noise, talk(&alice, 1, 0, 5..60), async {
        let mut last = until(&mut recorder, packet).await.sequence;
        while last != 59 {
            let next = until(&mut recorder, packet).await.sequence;
            assert_eq!(next, last + 1);
            last = next;
        }
    });
}
