//! A new socket after a lost one: a resume of the same membership if the server still knows it, else a new membership.

use std::time::Duration;

use livekit_protocol::SyncState;
use livekit_protocol::signal_request::Message as Request;
use livekit_protocol::signal_response::Message as Response;
use tokio::time::Instant;

use super::{Exit, Membership, Verdict, last_sign_of_media, peer_event, verdict};
use crate::livekit::address::ResumeReason;
use crate::livekit::backoff::Backoff;
use crate::livekit::signal::{Lost, Socket};
use crate::{ChannelUpdate, EndReason, JoinError};
use recorder_core::recording::Input;

/// How long a bot tries to reach its channel again before it gives up. A server that is restarted or replaced within this
/// time costs the recording a gap and no more.
pub const REJOIN_LIMIT: Duration = Duration::from_secs(5 * 60);

/// How long after the loss a resume is tried at least; later the server has given our place away, unless media still flows.
const RESUME_LIMIT: Duration = Duration::from_secs(20);

/// How long one attempt may take.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(10);

/// Without a socket and without a packet for this long, the channel counts as down.
const MEDIA_STALL: Duration = Duration::from_secs(1);

/// How to come back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Recovery {
    /// The same membership on a new socket; media may go on meanwhile.
    Resume(ResumeReason),
    /// A new membership and a new peer connection.
    Rejoin,
}

impl Recovery {
    /// How to go on after some time without a socket. While media flows there is no hurry to give the membership up.
    fn after(self, elapsed: Duration, down: bool) -> Self {
        if elapsed > RESUME_LIMIT && down { Self::Rejoin } else { self }
    }
}

/// More time than this between two attempts is not the server's: this worker stood still.
const LONGEST_STEP: Duration = Duration::from_secs(30);

/// Trouble that is not over until a socket has lasted.
#[derive(Debug)]
pub(super) struct Trouble {
    /// How long it has lasted, without the time in which this worker stood still.
    lasted: Duration,
    seen: Instant,
    backoff: Backoff,
}

impl Trouble {
    fn since(seen: Instant) -> Self {
        Self { lasted: Duration::ZERO, seen, backoff: Backoff::default() }
    }

    fn has_lasted(&mut self) -> Duration {
        self.lasted += std::mem::replace(&mut self.seen, Instant::now()).elapsed().min(LONGEST_STEP);
        self.lasted
    }
}

type Opened = Result<(Socket, Response), JoinError>;

impl Membership {
    /// Brings a new socket, or the end.
    pub(super) async fn recover(&mut self, mut recovery: Recovery) -> Result<Socket, Exit> {
        let lost = Instant::now();
        let mut expected = false;
        loop {
            recovery = recovery.after(lost.elapsed(), self.outbox.is_down());
            if recovery == Recovery::Rejoin {
                self.detach().await;
            }
            let trouble = self.trouble.get_or_insert_with(|| Trouble::since(lost));
            if trouble.has_lasted() > REJOIN_LIMIT {
                return Err(Exit::Ended(EndReason::Unreachable));
            }
            // A server that just told us to join anew is there; that happens once a recovery.
            let wait =
                if std::mem::take(&mut expected) { Duration::ZERO } else { trouble.backoff.next(rand::random()) };
            let attempt = self.attempt(recovery, wait);
            let (mut socket, first) = match self.meanwhile(lost, attempt).await? {
                Ok(opened) => opened,
                Err(error) => {
                    tracing::debug!(room = self.room, %error, ?recovery, "the channel is not reached yet");
                    if self.waiting.absent.is_some() {
                        self.send(ChannelUpdate::Down { since: Instant::now() }).await;
                    }
                    if matches!(error, JoinError::Refused(_)) {
                        self.passes.forget();
                    }
                    continue;
                }
            };
            match first {
                // A server that has not forgotten the room yet lets nobody else into what it gives us.
                Response::Join(join) if self.is_of_the_closed_room(&join) => {
                    tracing::info!(room = self.room, "the room is still being closed");
                    socket.close().await;
                }
                Response::Join(join) => {
                    tracing::info!(room = self.room, "joined anew");
                    self.detach().await;
                    self.enter(join).await;
                    return Ok(socket);
                }
                Response::Leave(leave) => match verdict(&leave) {
                    Verdict::End(reason) => return Err(Exit::Ended(reason)),
                    Verdict::Wait { deleted } => return Err(Exit::Closed { deleted }),
                    Verdict::Resume => {}
                    Verdict::Rejoin => {
                        expected = recovery != Recovery::Rejoin;
                        recovery = Recovery::Rejoin;
                    }
                },
                // Anything else on a resumed socket means that the server knows us.
                first if recovery != Recovery::Rejoin => match self.resumed(&mut socket, first).await {
                    Ok(()) => return Ok(socket),
                    Err(Exit::Lost { why, recovery: next }) => {
                        tracing::info!(room = self.room, why, "the resumed socket is lost");
                        recovery = next;
                    }
                    Err(exit) => return Err(exit),
                },
                _ => tracing::info!(room = self.room, "the first message is no join response"),
            }
        }
    }

    /// One attempt after a wait; owns all it needs, so that the membership can work meanwhile.
    fn attempt(&mut self, recovery: Recovery, wait: Duration) -> impl Future<Output = Opened> + use<> {
        self.passes.hold(self.waiting.empty_timeout());
        if self.waiting.absent.is_some() {
            // What the server sent is of the room that it has closed.
            self.passes.forget();
        }
        let url = match recovery {
            Recovery::Resume(reason) => self.address.resume(&self.sid, reason),
            Recovery::Rejoin => self.address.join(),
        };
        let token = self.passes.newest(&self.room, recorder_edge::clock::now());
        async move {
            tokio::time::sleep(wait).await;
            tokio::time::timeout(ATTEMPT_TIMEOUT, Socket::open(url, token))
                .await
                .unwrap_or_else(|_| Err(JoinError::Unreachable(format!("no answer within {ATTEMPT_TIMEOUT:?}"))))
        }
    }

    /// What goes on without a socket until `attempt` is done: media arrives, or stops to.
    async fn meanwhile(&mut self, lost: Instant, attempt: impl Future<Output = Opened>) -> Result<Opened, Exit> {
        tokio::pin!(attempt);
        loop {
            let stalled = last_sign_of_media(&self.outbox, lost) + MEDIA_STALL;
            tokio::select! {
                () = self.outbox.closed() => return Err(Exit::Left),
                opened = &mut attempt => return Ok(opened),
                event = peer_event(&mut self.subscriber) => {
                    // A connection that fails now is what the resume is for; its deadline runs from the new socket on.
                    let _ = self.peer_event(None, event).await;
                }
                () = tokio::time::sleep_until(stalled), if !self.outbox.is_down() => {
                    // From here on what is published can't be subscribed, however well the way of the media may be.
                    let since = last_sign_of_media(&self.outbox, lost);
                    if since + MEDIA_STALL <= Instant::now() {
                        self.send(ChannelUpdate::Down { since }).await;
                    }
                }
            }
        }
    }

    /// The server knows us: tells it what we have, and goes on.
    async fn resumed(&mut self, socket: &mut Socket, first: Response) -> Result<(), Exit> {
        tracing::info!(room = self.room, "resumed");
        let exchange = self.subscriber.as_ref().and_then(|subscriber| subscriber.last_exchange()).cloned();
        let (offer, answer) = exchange.unzip();
        let subscription = Some(self.subscriptions.held());
        socket
            .send(Request::SyncState(SyncState { offer, answer, subscription, ..Default::default() }))
            .await
            .map_err(|Lost(why)| Exit::from(Lost(why)))?;
        self.snapshot_comes = true;
        if !self.timers.is_connecting() {
            self.send(ChannelUpdate::Input(Input::ChannelUp)).await;
        }
        match first {
            Response::Reconnect(_) => Ok(()),
            first => self.answer(socket, first).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flowing_media_is_not_given_up_for_a_lost_socket() {
        let resume = Recovery::Resume(ResumeReason::SignalDisconnected);
        let long = RESUME_LIMIT + Duration::from_secs(1);
        assert_eq!(resume.after(long, false), resume);
        assert_eq!(resume.after(RESUME_LIMIT, true), resume);
        assert_eq!(resume.after(long, true), Recovery::Rejoin);
        assert_eq!(Recovery::Rejoin.after(Duration::ZERO, false), Recovery::Rejoin);
    }
}
