//! One signalling socket: protobuf messages in binary frames, both ways (docs/protocol/livekit.md section 3).

use std::time::Duration;

use axum::extract::ws::{CloseFrame, Message as Frame, WebSocket, close_code};
use futures_util::SinkExt;
use livekit_protocol::signal_request::Message as Request;
use livekit_protocol::signal_response::Message;
use livekit_protocol::{
    LeaveRequest, Pong, SessionDescription, SignalRequest, SignalResponse, SignalTarget, TrickleRequest,
};
use prost::Message as _;
use tokio::time::{Instant, MissedTickBehavior, interval, interval_at, sleep_until, timeout};

use super::limits::{CLOSE_HANDSHAKE, PING_INTERVAL, SOCKET_WRITE_TIMEOUT};
use super::live::MemberLink;
use super::notices::LeftReason;
use super::refresher::{REFRESH_EVERY, Refresher};
use super::room::Sending;
use recorder_edge::clock;

/// Serves a member until its socket ends. The member itself stays for a while, unless it said goodbye.
pub(super) async fn serve(mut socket: WebSocket, mut link: MemberLink, refresher: Refresher, silence: Duration) {
    let mut deadline = Instant::now() + silence;
    let mut refresh = interval_at(Instant::now() + REFRESH_EVERY, REFRESH_EVERY);
    // Behind the answer to the join, which is queued already.
    send_token(&link, &refresher);
    let mut probe = interval(PING_INTERVAL);
    probe.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let alive = tokio::select! {
            () = link.lost.cancelled() => false,
            message = link.messages.recv() => match message {
                Some(message) => write(&mut socket, encode(*message)).await,
                None => return close(socket).await,
            },
            frame = socket.recv() => match frame {
                // Reading on is what sends the answer to a goodbye.
                Some(Ok(Frame::Close(_))) => return drain(socket).await,
                Some(Ok(frame)) => {
                    deadline = Instant::now() + silence;
                    // Boxed: making a peer connection is a future of 20 KB, which every socket would hold for its life.
                    Box::pin(read(&link, frame)).await;
                    true
                }
                Some(Err(_)) | None => false,
            },
            _ = refresh.tick() => {
                send_token(&link, &refresher);
                true
            }
            _ = probe.tick() => write(&mut socket, Frame::Ping(Default::default())).await,
            () = sleep_until(deadline) => false,
        };
        if !alive {
            tracing::debug!(member = %link.member, "signalling socket ended");
            return;
        }
    }
}

fn send_token(link: &MemberLink, refresher: &Refresher) {
    if let Some(message) = refresher.message() {
        link.room.send(&link.member, message);
    }
}

/// Says one thing to a client that gets no seat, and closes.
pub(super) async fn dismiss(mut socket: WebSocket, message: Message) {
    if write(&mut socket, encode(message)).await {
        close(socket).await;
    }
}

fn encode(message: Message) -> Frame {
    Frame::Binary(SignalResponse { message: Some(message) }.encode_to_vec().into())
}

async fn write(socket: &mut WebSocket, frame: Frame) -> bool {
    matches!(timeout(SOCKET_WRITE_TIMEOUT, socket.send(frame)).await, Ok(Ok(())))
}

/// Browsers call a socket that ends without the handshake broken.
async fn close(mut socket: WebSocket) {
    let goodbye = Frame::Close(Some(CloseFrame { code: close_code::NORMAL, reason: Default::default() }));
    if write(&mut socket, goodbye).await {
        drain(socket).await;
    }
}

/// Reads until the other side has closed too, or takes too long.
async fn drain(mut socket: WebSocket) {
    let drained = timeout(CLOSE_HANDSHAKE, async { while let Some(Ok(_)) = socket.recv().await {} }).await;
    if drained.is_err() {
        let _ = socket.close().await;
    }
}

/// Only binary frames say anything.
async fn read(link: &MemberLink, frame: Frame) {
    let Frame::Binary(bytes) = frame else { return };
    match SignalRequest::decode(bytes) {
        Ok(SignalRequest { message: Some(request) }) => obey(link, request).await,
        // A request that is newer than we are.
        Ok(SignalRequest { message: None }) => {}
        Err(error) => {
            tracing::debug!(member = %link.member, %error, "not a signalling message");
            link.room.act(|room| room.remove(&link.member, LeftReason::Protocol));
        }
    }
}

async fn obey(link: &MemberLink, request: Request) {
    let (room, member) = (&link.room, &link.member);
    match request {
        Request::Offer(offer) => answer(link, offer).await,
        Request::Answer(SessionDescription { id, sdp, .. }) => room.answered(member, id, sdp),
        Request::Trickle(TrickleRequest { candidate_init, target, .. }) => {
            if target == i32::from(SignalTarget::Subscriber) {
                room.candidate(member, candidate_init);
            } else {
                link.publisher.lock().await.candidate(&candidate_init).await;
            }
        }
        Request::AddTrack(request) => room.add_track(member, request),
        Request::Mute(request) => room.act(|room| room.mute(member, &request)),
        Request::UpdateAudioTrack(request) => room.act(|room| room.update_audio(member, request)),
        Request::Subscription(request) => room.act(|room| room.subscription(member, &request)),
        Request::UpdateMetadata(request) => room.act(|room| room.update_metadata(member, request)),
        Request::Leave(LeaveRequest { .. }) => room.act(|room| room.remove(member, LeftReason::Quit)),
        Request::Ping(_) => room.send(member, Message::Pong(now_ms())),
        Request::PingReq(ping) => {
            let pong = Pong { last_ping_timestamp: ping.timestamp, timestamp: now_ms() };
            room.send(member, Message::PongResp(pong));
        }
        // What audio without simulcast has no use for, and what a client says again after a resume.
        _ => {}
    }
}

async fn answer(link: &MemberLink, offer: SessionDescription) {
    let (room, member) = (&link.room, &link.member);
    let answered = link.publisher.lock().await.answer(&offer.sdp).await;
    match answered {
        Ok(answer) => {
            let description = SessionDescription {
                r#type: "answer".to_owned(),
                sdp: answer.sdp,
                id: offer.id,
                ..SessionDescription::default()
            };
            room.send(member, Message::Answer(description));
            let sending = answer
                .sections
                .iter()
                .filter(|section| section.sends_audio())
                .filter_map(|section| Some(Sending { mid: &section.mid, cid: section.track.as_deref()? }));
            let sending: Vec<_> = sending.collect();
            room.sends(member, &sending);
        }
        Err(error) => {
            tracing::debug!(%member, %error, "the client's offer can't be answered");
            room.act(|room| room.remove(member, LeftReason::Protocol));
        }
    }
}

fn now_ms() -> i64 {
    i64::try_from(clock::now().0).unwrap_or(i64::MAX)
}
