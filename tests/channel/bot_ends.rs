//! The last word of a membership.

use std::net::SocketAddr;
use std::time::Duration;

use cloud_recorder::channel::EndReason;
use cloud_recorder::channel::livekit::REJOIN_LIMIT;
use cloud_recorder::recording::Selection;
use futures_util::{SinkExt, StreamExt};
use livekit_protocol::{JoinResponse, ParticipantInfo, SignalResponse, signal_response};
use prost::Message as _;
use tokio::net::TcpListener;
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::Message as Frame;

use crate::audio_probe::AudioProbe;
use crate::client::Client;
use crate::test_server::{TestServer, app, recorder_token, room};

/// A server that welcomes one client, sends it `last` and is gone for ever.
async fn short_lived(listener: TcpListener, last: Option<signal_response::Message>) {
    let (stream, _) = listener.accept().await.unwrap();
    drop(listener);
    let mut socket = tokio_tungstenite::accept_async(stream).await.unwrap();
    let own = ParticipantInfo { sid: "PA_own".to_owned(), ..Default::default() };
    let join = signal_response::Message::Join(JoinResponse { participant: Some(own), ..Default::default() });
    for message in [Some(join), last].into_iter().flatten() {
        let frame = SignalResponse { message: Some(message) }.encode_to_vec();
        socket.send(Frame::Binary(frame.into())).await.unwrap();
    }
    // Read until the bot has nothing more to say for now, then go without a word.
    let _ = tokio::time::timeout(Duration::from_millis(100), socket.next()).await;
}

#[tokio::test(start_paused = true)]
async fn a_server_that_never_comes_back_is_given_up_in_the_end() {
    let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let server = tokio::spawn(short_lived(listener, None));
    let mut audio_probe = AudioProbe::join(&address, Selection::All).await;
    server.await.unwrap();
    let lost = Instant::now();
    let reason = audio_probe.end_at_last().await;
    assert_eq!(reason, EndReason::Unreachable);
    assert!(lost.elapsed() >= REJOIN_LIMIT, "it tried for {:?}", lost.elapsed());
    assert!(audio_probe.handle.updates.recv().await.is_none(), "nothing follows");
}

#[tokio::test]
async fn a_removed_bot_and_a_replaced_bot_say_so() {
    let test_server = TestServer::open().await;
    let _member = Client::join(&test_server, "ann").await;
    let bot = |test_server: &TestServer| {
        let members = test_server.server.rooms().swap_remove(0).members;
        members.into_iter().find(|member| member.recorder).expect("the bot is in the room").uid
    };
    let mut audio_probe = AudioProbe::join(&test_server.address, Selection::All).await;
    let identity = bot(&test_server);
    assert!(test_server.server.kick(&app(), &room(), &identity));
    assert_eq!(audio_probe.end().await, EndReason::Removed);

    let mut audio_probe = AudioProbe::join(&test_server.address, Selection::All).await;
    let identity = bot(&test_server);
    let _usurper = Client::with_token(&test_server, &recorder_token(identity.as_str())).await;
    assert_eq!(audio_probe.end().await, EndReason::DuplicateIdentity);
}
