//! Takes the channel server's events to the store, from where their receivers get them; at first the ends of sessions that an earlier
//! run of the worker was killed in.

use serde_json::Value;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::callback::Intake;
use crate::channel_server::{ChannelEvent, ChannelEvents, Missed, departure};
use crate::clock;
use crate::store::{ChannelNotice, NewChannelNotice, Store, StoreError, UndeliveredFilter};
use crate::units::{AppId, ChannelEventType, ChannelSid};

/// Sessions of one app that are ended for an earlier run: more rooms than one server opens.
const MAX_ENDED: u32 = 2_000;
/// Events of one session that are looked at.
const MAX_LOOKED_AT: u32 = 10_000;

/// The way from the rooms to the store. [`ChannelEventWriter::finish`] ends it.
#[derive(Debug)]
pub(super) struct ChannelEventWriter {
    task: JoinHandle<()>,
    stop: CancellationToken,
}

impl ChannelEventWriter {
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

/// Tells the ends of this app's channel sessions that an earlier run did not come to tell, where the app wants to hear of ends.
/// To be called before anybody can join.
pub(super) async fn end_earlier(store: &Store, intake: &Intake, app: &AppId) -> Result<(), StoreError> {
    let destroyed = ChannelEventType::Destroyed.number();
    if !intake.wants(app, destroyed) {
        return Ok(());
    }
    for session in store.channel_sessions_without(app, destroyed, MAX_ENDED).await? {
        let new = ends(store, app, &session).await?.into_iter();
        let new: Vec<_> = new.filter(|notice| intake.wants(app, notice.event_type)).collect();
        store.append_channel_notices(&new, clock::now()).await?;
    }
    Ok(())
}

async fn ends(store: &Store, app: &AppId, session: &ChannelSid) -> Result<Vec<NewChannelNotice>, StoreError> {
    let sid = Some(session.as_str());
    let notice = store.dead_letters::<ChannelNotice>(app, UndeliveredFilter::All, sid, None, MAX_LOOKED_AT).await?;
    let notice: Vec<_> = notice
        .into_iter()
        .filter_map(|one| {
            let event_type = ChannelEventType::of(one.event.event_type)?;
            Some((event_type, serde_json::from_str(&one.event.payload).unwrap_or_default()))
        })
        .collect();
    let news = departure(&notice, clock::now()).into_iter();
    let notice = |(event_type, payload): (ChannelEventType, Value)| NewChannelNotice {
        app: app.clone(),
        session: session.clone(),
        event_type: event_type.number(),
        payload,
    };
    Ok(news.map(notice).collect())
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
        Ok(event) if intake.wants(&event.app, event.number()) => _ = intake.offer(notice(&event)),
        Ok(_) => {}
        Err(Missed(count)) => intake.lost(count),
    }
}

fn notice(event: &ChannelEvent) -> NewChannelNotice {
    NewChannelNotice {
        app: event.app.clone(),
        session: event.session.clone(),
        event_type: event.number(),
        payload: event.payload(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::callback::{Dispatcher, Settings, Target};
    use crate::metrics::Metrics;
    use crate::units::EventTypes;

    fn app() -> AppId {
        AppId::new(&"a".repeat(32)).unwrap()
    }

    fn notice(event_type: u16) -> NewChannelNotice {
        let payload = json!({ "channelName": "room", "uid": 7, "clientSeq": 1, "ts": 1, "account": "7" });
        NewChannelNotice { app: app(), session: ChannelSid::from_random([7; 16]), event_type, payload }
    }

    async fn ended(channel: EventTypes) -> Vec<u16> {
        let store = Store::in_memory().await.unwrap();
        let target =
            Target { channel, ..Target::new("http://192.0.2.1/".parse().unwrap(), "secret".to_owned().into()) };
        let settings = Settings { targets: [(app(), target)].into(), ..Settings::default() };
        let dispatcher = Dispatcher::spawn(store.clone(), settings).unwrap();
        let intake = Intake::spawn(store.clone(), dispatcher, Metrics::default());
        store.append_channel_notices(&[notice(101), notice(107)], clock::now()).await.unwrap();
        for _ in 0..2 {
            end_earlier(&store, &intake, &app()).await.unwrap();
        }
        let all = store.dead_letters::<ChannelNotice>(&app(), UndeliveredFilter::All, None, None, 10).await.unwrap();
        all.iter().map(|one| one.event.event_type).collect()
    }

    #[tokio::test]
    async fn sessions_of_a_run_that_was_killed_end_once() {
        assert_eq!(ended(EventTypes::All).await, [101, 107, 108, 102]);
        assert_eq!(ended(EventTypes::Only([101, 102].into())).await, [101, 107, 102]);
        assert_eq!(ended(EventTypes::Only([101, 107].into())).await, [101, 107]);
    }
}
