//! What the scenarios share: apps, sessions in a store, and settings with short waits.

use std::collections::HashMap;
use std::future::Future;
use std::time::Duration;

use cloud_recorder::callback::event::RecordingEvent;
use cloud_recorder::callback::{Schedule, Settings, Target};
use cloud_recorder::recording::Mode;
use cloud_recorder::store::{Binding, DeliveryState, Event, NewEvent, NewResource, NewSession, Store};
use cloud_recorder::units::{AppId, Cname, EventTypes, Sid, Uid, WallMs};
use secrecy::SecretString;
use serde_json::json;
use url::Url;

/// Keys the signatures of every target.
pub(crate) const SECRET: &str = "callback-secret";

/// A limit for tests that would otherwise hang; no result depends on it.
const HANG_LIMIT: Duration = Duration::from_secs(60);

pub(crate) fn now() -> WallMs {
    cloud_recorder::clock::now()
}

pub(crate) fn app(letter: char) -> AppId {
    AppId::new(&letter.to_string().repeat(32)).unwrap()
}

pub(crate) fn new_session(app: &AppId, number: u8) -> NewSession {
    NewSession {
        sid: Sid::from_random([number; 16]),
        app: app.clone(),
        cname: Cname::new(&format!("room-{number}")).unwrap(),
        uid: Uid::new("999").unwrap(),
        resource: format!("resource-{app}-{number}"),
        mode: Mode::Mix,
        request: json!({}),
        sealed: None,
    }
}

/// A started session.
pub(crate) async fn start(store: &Store, new: &NewSession) -> Sid {
    let resource = NewResource {
        id: new.resource.clone(),
        app: new.app.clone(),
        cname: new.cname.clone(),
        uid: new.uid.clone(),
        expired_hours: 72,
        start_parameter: None,
    };
    store.resource_create(&resource, now()).await.unwrap();
    assert_eq!(store.resource_bind(new, [0; 32], now()).await.unwrap(), Binding::Bound);
    new.sid.clone()
}

/// Writes a number of events that differ from each other.
pub(crate) async fn happen(store: &Store, sid: &Sid, count: u16) -> Vec<Event> {
    let mut events = Vec::new();
    for progress in 0..count {
        events.push(append(store, sid, RecordingEvent::UploadingProgress(progress)).await);
    }
    events
}

pub(crate) async fn append(store: &Store, sid: &Sid, new: impl Into<NewEvent>) -> Event {
    store.append_event(sid, new.into(), now()).await.unwrap()
}

/// Settings for these receivers: waits of a few milliseconds, and a receiver that does not answer within a second is late.
pub(crate) fn settings(targets: &[(&AppId, &Url)]) -> Settings {
    let target = |url: &Url| Target { private: true, ..Target::new(url.clone(), SecretString::from(SECRET)) };
    Settings {
        targets: targets.iter().map(|(app, url)| ((*app).clone(), target(url))).collect::<HashMap<_, _>>(),
        patience: Duration::from_secs(1),
        schedule: Schedule::new(vec![Duration::from_millis(5), Duration::from_millis(20)]),
        ..Settings::default()
    }
}

/// The same for receivers that want to hear of channels too.
pub(crate) fn all_settings(targets: &[(&AppId, &Url)]) -> Settings {
    let mut settings = settings(targets);
    settings.targets.values_mut().for_each(|target| target.channel = EventTypes::All);
    settings
}

/// Waits until every event of these sessions is delivered or dead.
pub(crate) async fn settled(store: &Store, sids: &[Sid]) {
    until(async || {
        for sid in sids {
            let deliveries = store.deliveries(sid, None, 1000).await.unwrap();
            let pending = |state| matches!(state, DeliveryState::Waiting | DeliveryState::Due(_));
            if deliveries.iter().any(|delivery| pending(delivery.state)) {
                return false;
            }
        }
        true
    })
    .await;
}

/// Waits until something holds.
pub(crate) async fn until<Check, Answer>(check: Check)
where
    Check: Fn() -> Answer,
    Answer: Future<Output = bool>,
{
    let held = tokio::time::timeout(HANG_LIMIT, async {
        while !check().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    held.await.expect("what the test waits for never happened");
}
