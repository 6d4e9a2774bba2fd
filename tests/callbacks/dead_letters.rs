use std::time::Duration;

use cloud_recorder::callback::{Dispatcher, Settings};
use cloud_recorder::store::{DeliveryState, Event, Store, UndeliveredFilter};

use crate::receiver::{Answer, Receiver};
use crate::world::{app, happen, new_session, settings, settled, start};

#[tokio::test]
async fn an_event_given_up_is_kept_with_its_reason_and_lets_the_next_one_pass() {
    let receiver = Receiver::scripted(&[Answer::Status(500)]).await;
    let app = app('a');
    let store = Store::in_memory().await.unwrap();
    let sid = start(&store, &new_session(&app, 1)).await;
    let events = happen(&store, &sid, 3).await;
    let settings = Settings { give_up_after: Duration::ZERO, ..settings(&[(&app, &receiver.url)]) };
    let _dispatcher = Dispatcher::spawn(store.clone(), settings).unwrap();
    settled(&store, std::slice::from_ref(&sid)).await;

    let dead = store.dead_letters::<Event>(&app, UndeliveredFilter::Dead, None, None, 10).await.unwrap();
    assert_eq!(dead.len(), 1);
    assert_eq!((&dead[0].event, dead[0].attempts), (&events[0], 1));
    assert_eq!(
        dead[0].last_error.as_deref(),
        Some("the receiver answered 500 Internal Server Error; it has to answer 200 or another 2xx")
    );
    let deliveries = store.deliveries(&sid, None, 10).await.unwrap();
    assert!(deliveries[1..].iter().all(|delivery| matches!(delivery.state, DeliveryState::Delivered(_))));
}

#[tokio::test]
async fn a_reason_never_holds_the_receivers_url() {
    let receiver = Receiver::scripted(&[]).await;
    let url = receiver.url.clone();
    drop(receiver);
    let app = app('a');
    let store = Store::in_memory().await.unwrap();
    let sid = start(&store, &new_session(&app, 1)).await;
    happen(&store, &sid, 1).await;
    let settings = Settings { give_up_after: Duration::ZERO, ..settings(&[(&app, &url)]) };
    let _dispatcher = Dispatcher::spawn(store.clone(), settings).unwrap();
    settled(&store, std::slice::from_ref(&sid)).await;
    let reason = store.dead_letters::<Event>(&app, UndeliveredFilter::Dead, None, None, 10).await.unwrap()[0]
        .last_error
        .clone()
        .unwrap();
    assert!(reason.starts_with("the receiver can't be reached: "), "{reason}");
    assert!(!reason.contains("private") && !reason.contains("notify"), "{reason}");
}
