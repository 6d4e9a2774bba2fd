//! Rubbish of every kind: an error or a leave for its sender, nothing for the others.

use std::time::Duration;

use cloud_recorder::channel_server::Limits;
use livekit_protocol::SessionDescription;
use livekit_protocol::signal_request::Message as Request;
use livekit_protocol::{
    AddTrackRequest, MuteTrackRequest, SignalRequest, TrickleRequest, UpdateLocalAudioTrack, UpdateSubscription,
};
use prost::Message as _;
use tokio_tungstenite::tungstenite::Message as Frame;

use crate::client::Client;
use crate::test_server::TestServer;

/// An offer as a browser makes it, with one audio section.
const OFFER: &str = include_str!("offer.sdp");

fn offer(sdp: impl Into<String>) -> Request {
    Request::Offer(SessionDescription { r#type: "offer".into(), sdp: sdp.into(), id: 1, ..Default::default() })
}

/// Sends `frames`, each as a new member, and proves that another member and a newcomer are served as before.
async fn survives(frames: Vec<Frame>) {
    // However long that takes, the witness may leave the server's offer unanswered.
    let test_server = TestServer::with(Limits { answer_within: Duration::from_secs(600), ..Limits::default() }).await;
    let mut witness = Client::join(&test_server, "witness").await;
    for frame in frames {
        let mut hostile = Client::join(&test_server, "hostile").await;
        hostile.send_frame(frame).await;
        hostile.served_or_dismissed().await;
        witness.still_served().await;
    }
    Client::join(&test_server, "newcomer").await.still_served().await;
}

fn frame(request: Request) -> Frame {
    Frame::Binary(SignalRequest { message: Some(request) }.encode_to_vec().into())
}

#[tokio::test]
async fn bytes_that_are_no_message() {
    let whole = SignalRequest { message: Some(offer(OFFER)) }.encode_to_vec();
    let mut frames: Vec<_> =
        (1..40).map(|cut| Frame::Binary(whole[..cut * whole.len() / 40].to_vec().into())).collect();
    frames.extend((0..20_u8).map(|seed| {
        let noise: Vec<u8> =
            (0..200_u16).map(|n| (n.wrapping_mul(31) as u8).wrapping_mul(seed).wrapping_add(seed)).collect();
        Frame::Binary(noise.into())
    }));
    frames.extend([Frame::Binary(Vec::new().into()), Frame::Text("{\"offer\":{}}".into())]);
    survives(frames).await;
}

#[tokio::test]
async fn who_sends_no_protocol_is_told_to_leave() {
    let test_server = TestServer::open().await;
    let mut hostile = Client::join(&test_server, "hostile").await;
    hostile.send_frame(Frame::Binary(vec![0xff; 50].into())).await;
    hostile.until_leave().await;
    assert_eq!(hostile.next().await, None);
}

#[tokio::test]
async fn a_message_past_the_limit_ends_its_socket() {
    survives(vec![Frame::Binary(vec![0; 1_000_000].into())]).await;
}

#[tokio::test]
async fn descriptions_of_every_kind() {
    let twice = OFFER.replace("a=mid:1", "a=mid:0");
    let unnamed = OFFER.replace("a=mid:0\r\n", "");
    let no_ice = OFFER.lines().filter(|line| !line.starts_with("a=ice-")).map(|line| format!("{line}\r\n")).collect();
    let no_print =
        OFFER.lines().filter(|line| !line.starts_with("a=fingerprint")).map(|line| format!("{line}\r\n")).collect();
    let giant = format!("{OFFER}{}", "a=x:y\r\n".repeat(30_000));
    let wide = OFFER.replace("s=-", &format!("s={}", "x".repeat(100_000)));
    let crowded =
        (2..60).fold(OFFER.to_owned(), |sdp, mid| format!("{sdp}m=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=mid:{mid}\r\n"));
    let sdps = [twice, unnamed, no_ice, no_print, giant, wide, crowded, String::new(), "v=0".into(), "\0".repeat(100)];
    survives(sdps.into_iter().map(|sdp| frame(offer(sdp))).collect()).await;
}

#[tokio::test]
async fn descriptions_with_a_line_changed() {
    let lines: Vec<_> = OFFER.lines().collect();
    let changed = (0..lines.len()).flat_map(|at| {
        let lines = lines.clone();
        ["", "a=", "m=audio", "a=rtpmap:999999 opus", "a=extmap:99999999999 x", "a=fmtp:-1 \u{ffff}", "a=ssrc:-5 x"]
            .map(move |text| {
                let mut lines = lines.clone();
                lines[at] = text;
                lines.join("\r\n") + "\r\n"
            })
    });
    survives(changed.map(|sdp| frame(offer(sdp))).collect()).await;
}

#[tokio::test]
async fn an_offer_of_video_alone_is_answered_without_it() {
    use livekit_protocol::signal_response::Message;
    let test_server = TestServer::open().await;
    let mut alice = Client::join(&test_server, "alice").await;
    alice.send(offer(OFFER.replace("m=audio", "m=video").replace("opus/48000/2", "VP8/90000"))).await;
    let answer = alice.until(|message| if let Message::Answer(answer) = message { Some(answer) } else { None }).await;
    let video = answer.sdp.lines().find(|line| line.starts_with("m=video")).unwrap_or("m=video 0");
    assert!(video.starts_with("m=video 0"), "{video}");
    alice.still_served().await;
}

#[tokio::test]
async fn requests_about_what_is_not_there() {
    let text = "x".repeat(5_000);
    let requests = [
        Request::Answer(SessionDescription { sdp: OFFER.into(), id: 1, r#type: "answer".into(), ..Default::default() }),
        Request::Answer(SessionDescription { sdp: text.clone(), id: 0, r#type: "answer".into(), ..Default::default() }),
        Request::Answer(SessionDescription { sdp: text.clone(), id: 77, ..Default::default() }),
        Request::Trickle(TrickleRequest { candidate_init: text.clone(), ..Default::default() }),
        Request::Trickle(TrickleRequest {
            candidate_init: "{\"candidate\":\"x\"}".into(),
            target: 7,
            ..Default::default()
        }),
        Request::AddTrack(AddTrackRequest { cid: text.clone(), r#type: -3, source: 99, ..Default::default() }),
        Request::Mute(MuteTrackRequest { sid: text.clone(), muted: true }),
        Request::Subscription(UpdateSubscription {
            track_sids: vec![text.clone(); 40],
            subscribe: true,
            ..Default::default()
        }),
        Request::UpdateAudioTrack(UpdateLocalAudioTrack { track_sid: text, features: vec![-1; 100] }),
    ];
    survives(requests.into_iter().map(frame).collect()).await;
}

#[tokio::test]
async fn candidates_without_end() {
    let test_server = TestServer::open().await;
    let mut alice = Client::join(&test_server, "alice").await;
    for port in 1..2_000_u16 {
        let candidate = format!("{{\"candidate\":\"candidate:1 1 udp 1 192.0.2.1 {port} typ host\",\"sdpMid\":\"0\"}}");
        for target in [0, 1] {
            let trickle = TrickleRequest { candidate_init: candidate.clone(), target, ..Default::default() };
            alice.send(Request::Trickle(trickle)).await;
        }
    }
    alice.still_served().await;
}
