use std::time::Duration;

use cloud_recorder::callback::{Dispatcher, Settings};
use cloud_recorder::store::{DeliveryState, Store};

use crate::receiver::{Answer, Receiver};
use crate::world::{app, happen, new_session, settings, settled, start, until};

/// The worker dies with an attempt under way: dropping the dispatcher aborts it like a kill does.
#[tokio::test]
async fn a_restart_in_the_middle_neither_loses_nor_skips() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store.db");
    let script = [Answer::Status(200), Answer::Status(200), Answer::Status(500), Answer::Hang];
    let receiver = Receiver::scripted(&script).await;
    let app = app('a');

    let store = Store::open(&path).await.unwrap();
    let sid = start(&store, &new_session(&app, 1)).await;
    let mut events = happen(&store, &sid, 5).await;
    let patient = Settings { patience: Duration::from_secs(24 * 60 * 60), ..settings(&[(&app, &receiver.url)]) };
    let dispatcher = Dispatcher::spawn(store.clone(), patient).unwrap();
    until(async || receiver.attempts().len() == 4).await;
    drop(dispatcher);
    events.extend(happen(&store, &sid, 3).await);
    let states: Vec<_> =
        store.deliveries(&sid, None, 10).await.unwrap().into_iter().map(|delivery| delivery.state).collect();
    assert!(
        matches!(states[1], DeliveryState::Delivered(_)) && matches!(states[2], DeliveryState::Due(_)),
        "{states:?}"
    );
    store.close().await;

    let store = Store::open(&path).await.unwrap();
    assert_eq!(store.events(&sid, None, 100).await.unwrap(), events);
    let dispatcher = Dispatcher::spawn(store.clone(), settings(&[(&app, &receiver.url)])).unwrap();
    settled(&store, std::slice::from_ref(&sid)).await;
    dispatcher.shutdown().await;

    let heard = receiver.heard(sid.as_str());
    assert_eq!(heard.iter().map(|attempt| attempt.sequence()).collect::<Vec<_>>(), (0..8).collect::<Vec<_>>());
    for (attempt, event) in heard.iter().zip(&events) {
        assert_eq!(attempt.notice_id(), event.notice_id);
    }
    receiver.assert_stable_notice_ids();
}
