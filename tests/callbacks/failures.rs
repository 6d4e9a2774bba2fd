//! The fault matrix of receivers: whatever one does, and in whatever mix, in the end it has every event, in order, each with one
//! noticeId over all attempts.

use std::time::Duration;

use cloud_recorder::callback::{Dispatcher, Settings};
use cloud_recorder::store::{Event, Store};
use cloud_recorder::units::{AppId, Sid};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use tokio::task::JoinSet;

use crate::receiver::{Answer, Receiver};
use crate::world::{app, happen, new_session, settings, settled, start, until};

/// Times that each failure comes in a row.
const IN_A_ROW: usize = 3;
/// Random mixes of failures; the number of each is its seed.
const MIXES: u64 = 12;
const EVENTS: u16 = 4;
const SESSIONS: u8 = 3;

/// One of each kind.
fn failures(elsewhere: &Receiver) -> Vec<Answer> {
    let statuses = [300, 304, 400, 404, 429, 500, 502, 503].map(Answer::Status);
    let redirect = Answer::Redirect(elsewhere.url.clone());
    let rest = [Answer::Hang, Answer::Drop, Answer::Reset, Answer::Trickle, redirect];
    statuses.into_iter().chain(rest).collect()
}

/// Waits as in production, only shorter.
fn impatient(targets: &[(&AppId, &url::Url)]) -> Settings {
    Settings { patience: Duration::from_millis(150), ..settings(targets) }
}

#[tokio::test]
async fn each_kind_of_failure_alone() {
    let elsewhere = Receiver::scripted(&[]).await;
    let mut cases = JoinSet::new();
    for failure in failures(&elsewhere) {
        cases.spawn(outlived(vec![failure; IN_A_ROW]));
    }
    cases.join_all().await;
    assert!(elsewhere.attempts().is_empty(), "a signed event is for the configured receiver alone");
}

#[tokio::test]
async fn any_mix_of_failures() {
    let elsewhere = Receiver::scripted(&[]).await;
    let kinds = failures(&elsewhere);
    let mut cases = JoinSet::new();
    for seed in 0..MIXES {
        let mut random = StdRng::seed_from_u64(seed);
        let length = random.random_range(5..25);
        let mut one = || match random.random_bool(0.3) {
            true => Answer::Status(200),
            false => kinds.choose(&mut random).unwrap().clone(),
        };
        cases.spawn(outlived((0..length).map(|_| one()).collect()));
    }
    cases.join_all().await;
    assert!(elsewhere.attempts().is_empty());
}

/// A receiver that behaves so, and then well, has everything in the end.
async fn outlived(script: Vec<Answer>) {
    let receiver = Receiver::scripted(&script).await;
    let store = Store::in_memory().await.unwrap();
    let app = app('a');
    let story = story(&store, &app).await;
    let sids: Vec<Sid> = story.iter().map(|(sid, _)| sid.clone()).collect();
    let dispatcher = Dispatcher::spawn(store.clone(), impatient(&[(&app, &receiver.url)])).unwrap();
    settled(&store, &sids).await;
    dispatcher.shutdown().await;
    has_everything(&receiver, &story, &script);
}

#[tokio::test]
async fn a_receiver_that_refuses_tls_until_its_url_is_right() {
    let receiver = Receiver::scripted(&[]).await;
    let mut encrypted = receiver.url.clone();
    encrypted.set_scheme("https").unwrap();
    let store = Store::in_memory().await.unwrap();
    let app = app('a');
    let story = story(&store, &app).await;
    let sids: Vec<Sid> = story.iter().map(|(sid, _)| sid.clone()).collect();

    let dispatcher = Dispatcher::spawn(store.clone(), impatient(&[(&app, &encrypted)])).unwrap();
    until(async || store.deliveries(&sids[0], None, 1).await.unwrap()[0].attempts >= 3).await;
    dispatcher.shutdown().await;
    let tried = store.deliveries(&sids[0], None, 1).await.unwrap();
    assert!(tried[0].last_error.as_deref().unwrap().starts_with("the receiver can't be reached: "), "{tried:?}");
    assert!(receiver.attempts().is_empty(), "nothing is sent in the clear");

    let _dispatcher = Dispatcher::spawn(store.clone(), impatient(&[(&app, &receiver.url)])).unwrap();
    settled(&store, &sids).await;
    has_everything(&receiver, &story, &[]);
}

/// Sessions with their events.
async fn story(store: &Store, app: &AppId) -> Vec<(Sid, Vec<Event>)> {
    let mut story = Vec::new();
    for number in 1..=SESSIONS {
        let sid = start(store, &new_session(app, number)).await;
        let events = happen(store, &sid, EVENTS).await;
        story.push((sid, events));
    }
    story
}

fn has_everything(receiver: &Receiver, story: &[(Sid, Vec<Event>)], script: &[Answer]) {
    receiver.assert_stable_notice_ids();
    let attempts = receiver.attempts().len();
    let failed = script.iter().take(attempts).filter(|answer| !matches!(answer, Answer::Status(200))).count();
    let events: usize = story.iter().map(|(_, events)| events.len()).sum();
    assert!(attempts >= events + failed, "only 2xx in time counts: {attempts} attempts after {script:?}");
    for (sid, events) in story {
        let heard = receiver.heard(sid.as_str());
        let ids: Vec<&str> = heard.iter().map(|attempt| attempt.notice_id()).collect();
        let expected: Vec<&str> = events.iter().map(|event| event.notice_id.as_str()).collect();
        assert_eq!(ids, expected, "after {script:?}");
        let attempts = receiver.attempts();
        let order: Vec<u64> =
            attempts.iter().filter(|attempt| attempt.sid() == sid.as_str()).map(|attempt| attempt.sequence()).collect();
        assert!(order.is_sorted(), "no event overtakes another: {order:?} after {script:?}");
    }
}
