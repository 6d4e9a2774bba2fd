//! A bot that is in its channel and hears nobody, while the server says that somebody speaks.

use std::net::SocketAddr;
use std::time::Duration;

use cloud_recorder::channel::ChannelUpdate;
use cloud_recorder::recording::{Input, Selection};
use futures_util::{SinkExt, StreamExt};
use livekit_protocol::{
    JoinResponse, ParticipantInfo, SignalRequest, SignalResponse, SpeakerInfo, SpeakersChanged, TrackInfo,
    signal_request, signal_response,
};
use prost::Message as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message as Frame;

use crate::audio_probe::AudioProbe;

/// What the server saw a bot do, and when.
#[derive(Debug, PartialEq, Eq)]
enum Seen {
    Joined,
    Left,
}

async fn send(socket: &mut WebSocketStream<TcpStream>, message: signal_response::Message) {
    let frame = SignalResponse { message: Some(message) }.encode_to_vec();
    // A bot that leaves does not listen any more.
    let _ = socket.send(Frame::Binary(frame.into())).await;
}

/// A server whose members publish and speak, and that forwards no sound: `ann` speaks without a pause once she is subscribed.
async fn mute_server(listener: TcpListener, muted: bool, seen: mpsc::UnboundedSender<(Instant, Seen)>) {
    while let Ok((stream, _)) = listener.accept().await {
        let mut socket = tokio_tungstenite::accept_async(stream).await.unwrap();
        let track = TrackInfo { sid: "TR_ann".to_owned(), muted, ..Default::default() };
        let own = ParticipantInfo { sid: "PA_own".to_owned(), ..Default::default() };
        let ann = ParticipantInfo {
            sid: "PA_ann".to_owned(),
            identity: "ann".to_owned(),
            tracks: vec![track],
            ..Default::default()
        };
        let join = JoinResponse {
            participant: Some(own),
            other_participants: vec![ann],
            ping_interval: 5,
            ping_timeout: 15,
            ..Default::default()
        };
        send(&mut socket, signal_response::Message::Join(join)).await;
        seen.send((Instant::now(), Seen::Joined)).unwrap();
        let speaker = SpeakerInfo { sid: "PA_ann".to_owned(), level: 0.5, active: true };
        let speaks = signal_response::Message::SpeakersChanged(SpeakersChanged { speakers: vec![speaker] });
        while let Some(Ok(Frame::Binary(frame))) = socket.next().await {
            match SignalRequest::decode(frame).unwrap().message {
                Some(signal_request::Message::Subscription(_)) => send(&mut socket, speaks.clone()).await,
                Some(signal_request::Message::PingReq(_)) => {
                    let pong = signal_response::Message::PongResp(livekit_protocol::Pong::default());
                    send(&mut socket, pong).await;
                }
                Some(signal_request::Message::Leave(_)) => seen.send((Instant::now(), Seen::Left)).unwrap(),
                _ => {}
            }
        }
    }
}

async fn deaf_for(time: Duration, muted: bool) -> (Vec<(Instant, ChannelUpdate)>, Vec<(Instant, Seen)>) {
    let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let (seen, mut saw) = mpsc::unbounded_channel();
    let server = tokio::spawn(mute_server(listener, muted, seen));
    let mut audio_probe = AudioProbe::join(&address, Selection::All).await;
    tokio::time::sleep(time).await;
    server.abort();
    let told = std::iter::from_fn(|| audio_probe.handle.updates.try_recv().ok()).collect();
    (told, std::iter::from_fn(|| saw.try_recv().ok()).collect())
}

#[tokio::test(start_paused = true)]
async fn once_at_once_and_again_after_five_minutes() {
    let begun = Instant::now();
    let (told, seen) = deaf_for(Duration::from_secs(290), false).await;
    let kinds: Vec<&Seen> = seen.iter().map(|(_, seen)| seen).collect();
    assert_eq!(kinds, [&Seen::Joined, &Seen::Left, &Seen::Joined], "one new join in five minutes");
    let (left, back) = (seen[1].0, seen[2].0);
    assert!((5..8).contains(&(left - begun).as_secs()), "it left after {:?}", left - begun);
    let outages: Vec<_> = told
        .iter()
        .filter(|(_, updates)| matches!(updates, ChannelUpdate::Down { .. } | ChannelUpdate::Input(Input::ChannelUp)))
        .collect();
    let [
        (_, ChannelUpdate::Down { since: first }),
        (up, ChannelUpdate::Input(Input::ChannelUp)),
        (again, ChannelUpdate::Down { since: second }),
    ] = outages[..]
    else {
        panic!("{outages:?}");
    };
    assert!(*first - begun < Duration::from_secs(1), "nothing was heard since the join");
    assert!(*second >= back && *second <= *up + Duration::from_secs(1), "nothing was heard since the new join");
    assert!(
        *again - *up < Duration::from_secs(8),
        "that nothing is heard is told though it is not mended: {outages:?}"
    );
    let (_, seen) = deaf_for(Duration::from_secs(320), false).await;
    assert_eq!(seen.iter().filter(|(_, seen)| *seen == Seen::Joined).count(), 3, "{seen:?}");
}

#[tokio::test(start_paused = true)]
async fn who_is_muted_need_not_be_heard() {
    let (told, seen) = deaf_for(Duration::from_secs(60), true).await;
    assert_eq!(seen.len(), 1, "{seen:?}");
    assert!(!told.iter().any(|(_, updates)| matches!(updates, ChannelUpdate::Down { .. })), "{told:?}");
}
