use std::time::Duration;

use cloud_recorder::callback::{Dispatcher, Schedule, Settings};
use cloud_recorder::store::{Event, Store, UndeliveredFilter};
use cloud_recorder::units::{AppId, Sid};

use crate::receiver::{Answer, Receiver};
use crate::world::{app, happen, new_session, settings, settled, start, until};

const FOR_EVER: Duration = Duration::from_secs(24 * 60 * 60);

#[tokio::test]
async fn a_hanging_receiver_holds_a_few_connections_and_delays_nobody() {
    let (dead, healthy) = (Receiver::always(Answer::Hang).await, Receiver::scripted(&[]).await);
    let (dead_app, healthy_app) = (app('d'), app('a'));
    let store = Store::in_memory().await.unwrap();
    many_sessions(&store, &dead_app, 30).await;
    let settings = Settings {
        patience: FOR_EVER,
        at_once_per_target: 3,
        at_once: 4,
        ..settings(&[(&dead_app, &dead.url), (&healthy_app, &healthy.url)])
    };
    let dispatcher = Dispatcher::spawn(store.clone(), settings).unwrap();
    until(async || dead.attempts().len() == 3).await;

    let sid = start(&store, &new_session(&healthy_app, 100)).await;
    happen(&store, &sid, 5).await;
    dispatcher.nudge(&healthy_app);
    dispatcher.nudge(&dead_app);
    settled(&store, std::slice::from_ref(&sid)).await;
    assert_eq!(healthy.heard(sid.as_str()).len(), 5);
    assert_eq!(dead.attempts().len(), 3, "thirty sessions share the target's few places");
}

#[tokio::test]
async fn a_refusing_receiver_is_asked_by_one_session_at_a_time() {
    let (dead, healthy) = (Receiver::always(Answer::Status(500)).await, Receiver::scripted(&[]).await);
    let (dead_app, healthy_app) = (app('d'), app('a'));
    let store = Store::in_memory().await.unwrap();
    many_sessions(&store, &dead_app, 30).await;
    let settings = Settings {
        schedule: Schedule::new(vec![FOR_EVER]),
        at_once_per_target: 3,
        ..settings(&[(&dead_app, &dead.url), (&healthy_app, &healthy.url)])
    };
    let dispatcher = Dispatcher::spawn(store.clone(), settings).unwrap();
    until(async || !dead.attempts().is_empty()).await;

    let sid = start(&store, &new_session(&healthy_app, 100)).await;
    happen(&store, &sid, 20).await;
    dispatcher.nudge(&healthy_app);
    settled(&store, std::slice::from_ref(&sid)).await;
    dispatcher.shutdown().await;
    assert_eq!(healthy.heard(sid.as_str()).len(), 20);
    assert!(dead.attempts().len() <= 3, "after the first failures the other sessions wait without asking");
}

#[tokio::test]
async fn a_receiver_that_comes_back_gets_what_waited() {
    let receiver = Receiver::scripted(&vec![Answer::Status(503); 12]).await;
    let app = app('a');
    let store = Store::in_memory().await.unwrap();
    let sids = many_sessions(&store, &app, 10).await;
    let _dispatcher = Dispatcher::spawn(store.clone(), settings(&[(&app, &receiver.url)])).unwrap();
    settled(&store, &sids).await;
    assert!(sids.iter().all(|sid| receiver.heard(sid.as_str()).len() == 2));
}

#[tokio::test]
async fn news_after_a_dead_letter_wakes_a_lane_whose_receiver_failed_last() {
    let receiver = Receiver::scripted(&[Answer::Status(500)]).await;
    let app = app('a');
    let store = Store::in_memory().await.unwrap();
    let settings = Settings { give_up_after: Duration::ZERO, ..settings(&[(&app, &receiver.url)]) };
    let dispatcher = Dispatcher::spawn(store.clone(), settings).unwrap();
    let sid = start(&store, &new_session(&app, 1)).await;
    happen(&store, &sid, 1).await;
    dispatcher.nudge(&app);
    settled(&store, std::slice::from_ref(&sid)).await;
    assert_eq!(store.dead_letters::<Event>(&app, UndeliveredFilter::Dead, None, None, 10).await.unwrap().len(), 1);
    happen(&store, &sid, 1).await;
    dispatcher.nudge(&app);
    settled(&store, std::slice::from_ref(&sid)).await;
    assert_eq!(receiver.heard(sid.as_str()).len(), 2);
}

async fn many_sessions(store: &Store, app: &AppId, count: u8) -> Vec<Sid> {
    let mut sids = Vec::new();
    for number in 1..=count {
        let sid = start(store, &new_session(app, number)).await;
        happen(store, &sid, 2).await;
        sids.push(sid);
    }
    sids
}
