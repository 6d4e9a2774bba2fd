//! Takes the channel server's events to the store, from where their receivers get them.

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::callback::Intake;
use crate::channel_server::{ChannelEvent, ChannelEvents, Missed};
use crate::store::NewChannelNotice;

/// The way from the rooms to the store. [`ChannelNews::finish`] ends it.
#[derive(Debug)]
pub(super) struct ChannelNews {
    task: JoinHandle<()>,
    stop: CancellationToken,
}

impl ChannelNews {
    /// Takes what happens from now on.
    pub(super) fn spawn(events: ChannelEvents, intake: Intake) -> Self {
        let stop = CancellationToken::new();
        Self { task: tokio::spawn(pump(events, intake, stop.clone())), stop }
    }

    /// Waits until all that has happened is in the store; not long.
    pub(super) async fn finish(self) {
        self.stop.cancel();
        if let Err(error) = self.task.await {
            tracing::error!(%error, "the last channel events are lost");
        }
    }
}

/// Never waits for the store, so that the rooms' own queue holds only what happened just now.
async fn pump(mut events: ChannelEvents, intake: Intake, stop: CancellationToken) {
    loop {
        tokio::select! {
            next = events.next() => match next {
                Some(next) => take(&intake, next),
                None => break,
            },
            () = stop.cancelled() => break,
        }
    }
    while let Some(next) = events.try_next() {
        take(&intake, next);
    }
    intake.finish().await;
}

fn take(intake: &Intake, next: Result<ChannelEvent, Missed>) {
    match next {
        Ok(event) if intake.wants(&event.app, event.event_type()) => _ = intake.offer(notice(&event)),
        Ok(_) => {}
        Err(Missed(count)) => intake.lost(count),
    }
}

fn notice(event: &ChannelEvent) -> NewChannelNotice {
    NewChannelNotice {
        app: event.app.clone(),
        session: event.session.clone(),
        event_type: event.event_type(),
        payload: event.payload(),
    }
}
