//! G.711 through the channel server: a member that sends it alone is published as what it is, and its packets reach the bot bit for bit,
//! beside Opus and in the sections that Opus leaves.

use std::time::Duration;

use bytes::Bytes;
use cloud_recorder::channel::livekit::Talker;
use cloud_recorder::channel::peer::Codec;
use cloud_recorder::recording::{Coding, Input, Packet, Selection, Source, TrackKind};
use cloud_recorder::units::{TrackId, Uid};
use livekit_protocol::signal_request::Message as Request;
use livekit_protocol::signal_response::Message;
use livekit_protocol::{AddTrackRequest, SessionDescription, TrackSource, TrackType};
use serde_json::json;

use crate::audio_probe::AudioProbe;
use crate::client::Client;
use crate::test_server::{TestServer, token, uid};

const OFFER: &str = include_str!("offer.sdp");

async fn talker(test_server: &TestServer, identity: &str, codec: Codec) -> Talker {
    let token = token(identity, &json!({})).into();
    Talker::join_with(&format!("ws://{}", test_server.address), &token, codec).await.unwrap()
}

/// 20 ms that tell who sends them and which they are.
fn payload(codec: Codec, number: u16) -> Bytes {
    let length = if codec == Codec::Opus { 40 } else { 160 };
    let number = number.to_be_bytes();
    (0..length).map(|at| number[at % 2] ^ codec.payload_type() ^ at as u8).collect()
}

/// Sends while `until` is waited for.
async fn during<T>(talker: &Talker, codec: Codec, until: impl Future<Output = T>) -> T {
    let ticks = if codec == Codec::Opus { 960 } else { 160 };
    let send = async {
        for number in 0_u16.. {
            talker.send(payload(codec, number), number, u32::from(number) * ticks, false).await.unwrap();
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        std::future::pending::<()>().await;
    };
    tokio::select! {
        found = until => found,
        () = send => unreachable!("it never ends"),
    }
}

/// The track of a member, and what it is.
async fn track_of(audio_probe: &mut AudioProbe, of: &Uid) -> (TrackId, TrackKind) {
    match audio_probe.until(|input| matches!(input, Input::TrackAdded { uid, .. } if uid == of)).await {
        Input::TrackAdded { track, kind, .. } => (track, kind),
        _ => unreachable!("only that was wanted"),
    }
}

async fn packets(audio_probe: &mut AudioProbe, track: TrackId) -> Vec<Packet> {
    let mut heard = Vec::new();
    while heard.len() < 20 {
        let of_track = |input: &Input| matches!(input, Input::Packet(packet) if packet.track == track);
        if let Input::Packet(packet) = audio_probe.until(of_track).await {
            heard.push(packet);
        }
    }
    heard
}

async fn publishes_and_is_heard(
    test_server: &TestServer,
    audio_probe: &mut AudioProbe,
    name: &str,
    codec: Codec,
    coding: Coding,
) -> Talker {
    let talker = talker(test_server, name, codec).await;
    let (track, kind) = track_of(audio_probe, &uid(name)).await;
    assert_eq!(kind, TrackKind { source: Source::Microphone, coding }, "{name}");
    let heard = during(&talker, codec, packets(audio_probe, track)).await;
    let ticks = if codec == Codec::Opus { 960 } else { 160 };
    for packet in &heard {
        assert_eq!(packet.payload, payload(codec, packet.sequence), "{name}");
        assert_eq!(packet.timestamp, u32::from(packet.sequence) * ticks, "{name}");
    }
    let numbers: Vec<u16> = heard.iter().map(|packet| packet.sequence).collect();
    assert!(numbers.is_sorted_by(|one, next| next - one == 1), "{name}: {numbers:?}");
    talker
}

#[tokio::test]
async fn both_laws_are_heard_as_they_were_sent_beside_opus_and_in_its_place() {
    let test_server = TestServer::open().await;
    let mut audio_probe = AudioProbe::join(&test_server.address, Selection::All).await;
    let first = publishes_and_is_heard(&test_server, &mut audio_probe, "10", Codec::Pcmu, Coding::Pcmu).await;
    let second = publishes_and_is_heard(&test_server, &mut audio_probe, "11", Codec::Pcma, Coding::Pcma).await;
    let third = publishes_and_is_heard(&test_server, &mut audio_probe, "12", Codec::Opus, Coding::Opus).await;
    for talker in [first, second, third] {
        talker.leave().await;
    }
    for name in ["10", "11", "12"] {
        if !audio_probe.told.iter().any(|input| matches!(input, Input::Left { uid: left } if *left == uid(name))) {
            audio_probe.until(|input| matches!(input, Input::Left { uid: left } if *left == uid(name))).await;
        }
    }
    // The sections that they left are used again, each for another codec.
    let mut there = Vec::new();
    for (name, codec, coding) in
        [("13", Codec::Opus, Coding::Opus), ("14", Codec::Pcmu, Coding::Pcmu), ("15", Codec::Pcma, Coding::Pcma)]
    {
        there.push(publishes_and_is_heard(&test_server, &mut audio_probe, name, codec, coding).await);
    }
}

/// A section of a description in which the track `cid` is sent, with these codecs.
fn section(mid: u8, cid: &str, numbers: &str, codecs: &[&str]) -> String {
    let (media, _) = OFFER.split_once("m=application").unwrap();
    let media = &media[media.find("m=audio").unwrap()..];
    let dropped = ["a=rtpmap", "a=rtcp-fb", "a=fmtp", "a=ssrc"];
    let kept: String = media
        .lines()
        .filter(|line| !dropped.iter().any(|prefix| line.starts_with(prefix)))
        .map(|line| format!("{line}\r\n"))
        .collect();
    let codecs: String = codecs.iter().map(|line| format!("a={line}\r\n")).collect();
    let kept = kept.replace("SAVPF 111 63", &format!("SAVPF {numbers}")).replace("a=mid:0", &format!("a=mid:{mid}"));
    format!("{}a=ssrc:{mid}00 cname:client\r\n{codecs}", kept.replace("stream cid", &format!("stream {cid}")))
}

#[tokio::test]
async fn each_section_is_answered_by_itself_whatever_came_before_it() {
    let test_server = TestServer::open().await;
    let mut audio_probe = AudioProbe::join(&test_server.address, Selection::All).await;
    let mut client = Client::join(&test_server, "20").await;
    for cid in ["wide", "telephone", "microphone"] {
        let track = AddTrackRequest {
            cid: cid.to_owned(),
            r#type: TrackType::Audio.into(),
            source: TrackSource::Microphone.into(),
            ..Default::default()
        };
        client.send(Request::AddTrack(track)).await;
    }
    let (before, data) = (OFFER.find("m=audio").unwrap(), OFFER.find("m=application").unwrap());
    let head = OFFER[..before].replace("BUNDLE 0 1", "BUNDLE 1 2 3 4");
    let sections = [
        section(2, "wide", "9", &["rtpmap:9 G722/8000"]),
        section(3, "telephone", "13 8 0", &["rtpmap:13 CN/8000", "rtpmap:8 PCMA/8000", "rtpmap:0 PCMU/8000"]),
        section(
            4,
            "microphone",
            "0 96",
            &["rtpmap:0 PCMU/8000", "rtpmap:96 opus/48000/2", "fmtp:96 minptime=20;useinbandfec=0"],
        ),
    ];
    let mut answers = Vec::new();
    // The first has nothing but the data channel.
    for id in [1, 2] {
        let audio = if id == 1 { String::new() } else { sections.concat() };
        let head = if id == 1 { head.replace("BUNDLE 1 2 3 4", "BUNDLE 1") } else { head.clone() };
        let sdp = format!("{head}{}{audio}", &OFFER[data..]);
        client.send(Request::Offer(SessionDescription { r#type: "offer".into(), sdp, id, ..Default::default() })).await;
        let answer = |message| if let Message::Answer(answer) = message { Some(answer.sdp) } else { None };
        answers.push(client.until(answer).await);
    }
    let sdp = answers.pop().unwrap();
    let media: Vec<&str> = sdp.lines().filter(|line| line.starts_with("m=audio")).collect();
    let taken = ["m=audio 0 UDP/TLS/RTP/SAVPF 0", "m=audio 9 UDP/TLS/RTP/SAVPF 8", "m=audio 9 UDP/TLS/RTP/SAVPF 96"];
    assert_eq!(media, taken, "{sdp}");
    assert!(sdp.contains("a=group:BUNDLE 1 3 4\r\n") && sdp.contains("a=fmtp:96 minptime=10;useinbandfec=1"), "{sdp}");
    let mut codings = Vec::new();
    while codings.len() < 3 {
        codings.push(track_of(&mut audio_probe, &uid("20")).await.1.coding);
    }
    assert_eq!(codings, [Coding::Unsupported, Coding::Pcma, Coding::Opus]);
}
