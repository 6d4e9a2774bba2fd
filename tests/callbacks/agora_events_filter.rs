//! The least that the vendor tells customers to subscribe to, 1, 11, 12, 31 and 40 (docs/protocol/agora.md section 5.1), and any other
//! choice: what is not wanted is not sent, stays in the log, and changes neither number nor noticeId of the rest.

use cloud_recorder::callback::event::{ExitStatus, RecordingEvent};
use cloud_recorder::callback::{Dispatcher, Settings};
use cloud_recorder::store::{DeliveryState, Store};
use cloud_recorder::units::{AppId, EventTypes, Sid};
use url::Url;

use crate::receiver::{Answer, Receiver};
use crate::world::{app, append, new_session, settings, settled, start};

fn choosing(app: &AppId, url: &Url, wanted: &[u16]) -> Settings {
    let mut settings = settings(&[(app, url)]);
    let target = settings.targets.get_mut(app).unwrap();
    target.recording = EventTypes::Only(wanted.iter().copied().collect());
    settings
}

fn exit() -> RecordingEvent {
    RecordingEvent::SessionExit { status: ExitStatus::Normal, verdict: None, end_reason: None }
}

/// 40, 30, 33, 33, 31, 11.
async fn story(store: &Store, app: &AppId, number: u8) -> Sid {
    let sid = start(store, &new_session(app, number)).await;
    let story = [
        RecordingEvent::RecorderStarted,
        RecordingEvent::UploaderStarted,
        RecordingEvent::UploadingProgress(1),
        RecordingEvent::UploadingProgress(2),
        RecordingEvent::Uploaded { files: Vec::new(), verdict: None },
        exit(),
    ];
    for new in story {
        append(store, &sid, new).await;
    }
    sid
}

#[tokio::test]
async fn the_minimum_set_arrives_with_the_numbers_of_the_log() {
    let receiver = Receiver::scripted(&[Answer::Status(500)]).await;
    let (store, app) = (Store::in_memory().await.unwrap(), app('a'));
    let sid = story(&store, &app, 1).await;
    let _dispatcher = Dispatcher::spawn(store.clone(), choosing(&app, &receiver.url, &[1, 11, 12, 31, 40])).unwrap();
    settled(&store, std::slice::from_ref(&sid)).await;
    let heard = receiver.heard(sid.as_str());
    let numbers: Vec<u64> = heard.iter().map(|attempt| attempt.sequence()).collect();
    assert_eq!(numbers, [0, 4, 5]);
    let log = store.events(&sid, None, 100).await.unwrap();
    assert_eq!(log.len(), 6, "the log has everything");
    assert!(heard.iter().all(|attempt| {
        let line = &log[attempt.sequence() as usize];
        attempt.notice_id() == line.notice_id && attempt.json["eventType"] == line.event_type
    }));
    let states = store.deliveries(&sid, None, 100).await.unwrap();
    let filtered = states.iter().filter(|one| matches!(one.state, DeliveryState::Filtered(_))).count();
    assert_eq!(filtered, 3);
}

#[tokio::test]
async fn who_wants_nothing_is_asked_nothing() {
    let receiver = Receiver::always(Answer::Status(500)).await;
    let (store, app) = (Store::in_memory().await.unwrap(), app('a'));
    let sids = [story(&store, &app, 1).await, story(&store, &app, 2).await];
    let dispatcher = Dispatcher::spawn(store.clone(), choosing(&app, &receiver.url, &[])).unwrap();
    settled(&store, &sids).await;
    append(&store, &sids[0], exit()).await;
    dispatcher.nudge(&app);
    settled(&store, &sids).await;
    assert!(receiver.attempts().is_empty());
}

#[tokio::test]
async fn a_choice_counts_for_what_waits_already_and_not_for_what_was_passed_over() {
    let receiver = Receiver::scripted(&[]).await;
    let (store, app) = (Store::in_memory().await.unwrap(), app('a'));
    let sid = story(&store, &app, 1).await;
    let dispatcher = Dispatcher::spawn(store.clone(), choosing(&app, &receiver.url, &[40])).unwrap();
    settled(&store, std::slice::from_ref(&sid)).await;
    dispatcher.shutdown().await;
    append(&store, &sid, RecordingEvent::UploadingProgress(3)).await;
    let _dispatcher = Dispatcher::spawn(store.clone(), settings(&[(&app, &receiver.url)])).unwrap();
    settled(&store, std::slice::from_ref(&sid)).await;
    let numbers: Vec<u64> = receiver.heard(sid.as_str()).iter().map(|attempt| attempt.sequence()).collect();
    assert_eq!(numbers, [0, 6], "a wider choice brings back nothing");
}
