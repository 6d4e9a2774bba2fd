//! What happens in channels neither holds up what happens to recordings, nor waits for any receiver, nor is lost by a restart.

use std::time::Duration;

use cloud_recorder::callback::{Dispatcher, Intake, MAX_WAITING_NOTICES, Settings};
use cloud_recorder::metrics::Metrics;
use cloud_recorder::store::{ChannelNotice, NewChannelNotice, Store, UndeliveredFilter};
use cloud_recorder::units::{AppId, ChannelSid, EventTypes};
use serde_json::json;

use crate::receiver::{Answer, Receiver};
use crate::world::{all_settings, app, happen, new_session, now, settings, start, until};

const FOR_EVER: Duration = Duration::from_secs(24 * 60 * 60);

fn notice(app: &AppId, session: u8, event_type: u16) -> NewChannelNotice {
    let payload = json!({ "channelName": "room", "ts": 1 });
    NewChannelNotice { app: app.clone(), session: ChannelSid::from_random([session; 16]), event_type, payload }
}

#[tokio::test]
async fn hanging_channel_events_delay_no_recording() {
    let (slow, app) = (Receiver::always(Answer::Hang).await, app('a'));
    let store = Store::in_memory().await.unwrap();
    let sessions: Vec<_> = (0..40).map(|session| notice(&app, session, 101)).collect();
    store.append_channel_notices(&sessions, now()).await.unwrap();
    // All places of the channels' lane are taken for ever, of the target and of the worker.
    let places =
        Settings { patience: FOR_EVER, at_once_per_target: 2, at_once: 2, ..all_settings(&[(&app, &slow.url)]) };
    let dispatcher = Dispatcher::spawn(store.clone(), places).unwrap();
    until(async || slow.attempts().len() == 2).await;
    let sid = start(&store, &new_session(&app, 1)).await;
    happen(&store, &sid, 1).await;
    dispatcher.nudge(&app);
    until(async || slow.attempts().iter().any(|attempt| attempt.sid() == sid.as_str())).await;
}

#[tokio::test]
async fn a_refusing_receiver_of_one_app_delays_no_other() {
    let (dead, well) = (Receiver::always(Answer::Status(500)).await, Receiver::scripted(&[]).await);
    let (dead_app, well_app) = (app('d'), app('a'));
    let store = Store::in_memory().await.unwrap();
    let all: Vec<_> =
        (0..20).flat_map(|session| [notice(&dead_app, session, 101), notice(&well_app, 100 + session, 101)]).collect();
    store.append_channel_notices(&all, now()).await.unwrap();
    let _dispatcher =
        Dispatcher::spawn(store.clone(), all_settings(&[(&dead_app, &dead.url), (&well_app, &well.url)])).unwrap();
    until(async || well.attempts().len() == 20).await;
}

#[tokio::test]
async fn only_what_an_app_wants_is_taken() {
    let (receiver, wants, deaf) = (Receiver::scripted(&[]).await, app('a'), app('b'));
    let store = Store::in_memory().await.unwrap();
    let mut settings = settings(&[(&wants, &receiver.url), (&deaf, &receiver.url)]);
    settings.targets.get_mut(&wants).unwrap().channel = EventTypes::Only([101, 102].into());
    let dispatcher = Dispatcher::spawn(store.clone(), settings).unwrap();
    let intake = Intake::spawn(store.clone(), dispatcher.clone(), Metrics::default());
    for event_type in [101, 107, 108, 102] {
        assert!(intake.offer(notice(&wants, 1, event_type)));
        assert!(intake.offer(notice(&deaf, 2, event_type)), "by default no channel event is");
        assert!(intake.offer(notice(&app('c'), 3, event_type)), "nor one of an app without a receiver");
    }
    intake.finish().await;
    until(async || receiver.attempts().len() == 2).await;
    let kept = store.dead_letters::<ChannelNotice>(&wants, UndeliveredFilter::All, None, None, 10).await.unwrap();
    assert_eq!(kept.iter().map(|one| one.event.event_type).collect::<Vec<_>>(), [101, 102]);
    for other in [deaf, app('c')] {
        assert!(
            store
                .dead_letters::<ChannelNotice>(&other, UndeliveredFilter::All, None, None, 10)
                .await
                .unwrap()
                .is_empty()
        );
    }
    dispatcher.shutdown().await;
}

/// Not one task runs between the offers, so the queue is never emptied.
#[tokio::test]
async fn a_flood_is_counted_where_it_overflows() {
    let (receiver, app) = (Receiver::scripted(&[]).await, app('a'));
    let store = Store::in_memory().await.unwrap();
    let dispatcher = Dispatcher::spawn(store.clone(), all_settings(&[(&app, &receiver.url)])).unwrap();
    let intake = Intake::spawn(store, dispatcher, Metrics::default());
    let taken = (0..MAX_WAITING_NOTICES + 10).filter(|_| intake.offer(notice(&app, 1, 107))).count();
    assert_eq!(taken, MAX_WAITING_NOTICES);
}

#[tokio::test]
async fn what_was_taken_outlives_the_worker() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    let (dead, app) = (Receiver::always(Answer::Status(503)).await, app('a'));
    let store = Store::open(&path).await.unwrap();
    let dispatcher = Dispatcher::spawn(store.clone(), all_settings(&[(&app, &dead.url)])).unwrap();
    let intake = Intake::spawn(store.clone(), dispatcher.clone(), Metrics::default());
    for event_type in [101, 107, 108, 102] {
        intake.offer(notice(&app, 1, event_type));
    }
    intake.finish().await;
    until(async || !dead.attempts().is_empty()).await;
    let first = dead.attempts().remove(0);
    drop(dispatcher);
    store.close().await;

    let well = Receiver::scripted(&[]).await;
    let store = Store::open(&path).await.unwrap();
    let _dispatcher = Dispatcher::spawn(store.clone(), all_settings(&[(&app, &well.url)])).unwrap();
    until(async || well.attempts().len() == 4).await;
    let heard = well.attempts();
    assert_eq!(heard[0].notice_id(), first.notice_id(), "the same noticeId in the next run");
    let order: Vec<u64> = heard.iter().map(|attempt| attempt.json["eventType"].as_u64().unwrap()).collect();
    assert_eq!(order, [101, 107, 108, 102]);
}
