//! A talker's side of the signalling: requests out, answers to what the server says.

use std::sync::Arc;
use std::time::Duration;

use livekit_protocol::{
    Ping, SignalTarget, TrickleRequest, signal_request::Message as Request, signal_response::Message as Response,
};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{MissedTickBehavior, interval};
use webrtc::peer_connection::RTCIceCandidateInit;

use super::super::signal::{Lost, Socket};
use super::peers::{Publisher, Subscriber};

/// How often the server hears of us; it forgets a silent client after 15 s.
const PING_EVERY: Duration = Duration::from_secs(5);

/// Where the answers go.
pub(super) struct Answers {
    pub(super) publisher: Arc<Publisher>,
    pub(super) published: Option<oneshot::Sender<String>>,
    pub(super) heard: watch::Sender<bool>,
}

/// Runs until the requests end or the socket does.
pub(super) async fn run(mut socket: Socket, mut requests: mpsc::Receiver<Request>, mut answers: Answers) {
    let subscriber = match Subscriber::new().await {
        Ok(subscriber) => subscriber,
        Err(error) => {
            tracing::warn!(%error, "the talker can't build its receiving connection");
            return;
        }
    };
    let mut pings = interval(PING_EVERY);
    pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let lost = loop {
        let step = tokio::select! {
            request = requests.recv() => match request {
                Some(request) => socket.send(request).await,
                None => break None,
            },
            message = socket.next() => match message {
                Ok(message) => handle(message, &mut socket, &subscriber, &mut answers).await,
                Err(lost) => Err(lost),
            },
            _ = pings.tick() => socket.send(Request::PingReq(Ping::default())).await,
        };
        if let Err(lost) = step {
            break Some(lost);
        }
    };
    match lost {
        Some(Lost(why)) => tracing::debug!(why, "the talker's signalling ended"),
        None => socket.close().await,
    }
    subscriber.close().await;
}

async fn handle(
    message: Response,
    socket: &mut Socket,
    subscriber: &Subscriber,
    answers: &mut Answers,
) -> Result<(), Lost> {
    let media = |error: webrtc::error::Error| Lost(format!("the media description was refused: {error}"));
    match message {
        Response::Offer(offer) => {
            let answer = subscriber.answer(offer).await.map_err(media)?;
            socket.send(Request::Answer(answer)).await?;
        }
        Response::Answer(answer) => answers.publisher.answered(answer.sdp).await.map_err(media)?,
        Response::Trickle(TrickleRequest { candidate_init, target, .. }) => {
            // An empty or odd candidate is no reason to leave: others lead to the same server.
            if let Ok(candidate) = serde_json::from_str::<RTCIceCandidateInit>(&candidate_init) {
                let added = if target == SignalTarget::Publisher as i32 {
                    answers.publisher.candidate(candidate).await
                } else {
                    subscriber.candidate(candidate).await
                };
                if let Err(error) = added {
                    tracing::debug!(%error, "a candidate was not usable");
                }
            }
        }
        Response::TrackPublished(published) => {
            if let (Some(told), Some(track)) = (answers.published.take(), published.track) {
                // The join was given up: nobody wants to know.
                let _ = told.send(track.sid);
            }
        }
        Response::TrackSubscribed(_) => {
            answers.heard.send_replace(true);
        }
        Response::Leave(leave) => return Err(Lost(format!("the server said goodbye: {:?}", leave.reason()))),
        _ => {}
    }
    Ok(())
}
