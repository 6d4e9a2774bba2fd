//! docs/protocol/agora.md section 5, delivery: one test a row; and what we add to it.

use std::time::Duration;

use cloud_recorder::callback::{Dispatcher, Schedule, Settings};
use cloud_recorder::store::{Attempt, Event, MAX_ATTEMPTS_KEPT, Store, UndeliveredFilter};

use crate::receiver::{Answer, Receiver};
use crate::world::{app, happen, new_session, settings, settled, start};

/// A receiver has 10 s to answer with HTTP 200.
#[test]
fn a_receiver_has_ten_seconds() {
    assert_eq!(Settings::default().patience, Duration::from_secs(10));
}

/// The original tries again at once, then at growing intervals, three times; here: at once (a second), growing, and for a day.
#[test]
fn it_is_sent_again_soon_then_rarely_for_a_day() {
    let waits: Vec<Duration> = (1..10).map(|failures| Schedule::default().wait(failures, 0.5)).collect();
    assert!(waits[0] <= Duration::from_secs(1) && waits.is_sorted(), "{waits:?}");
    assert!(Settings::default().give_up_after >= Duration::from_secs(24 * 3600));
}

/// The original wants 200. Here a receiver that answers 201, 202 or 204 has it too, and is not asked again.
#[tokio::test]
async fn any_2xx_is_success() {
    for status in [201, 202, 204, 206, 299] {
        let receiver = Receiver::scripted(&[Answer::Status(status), Answer::Status(status)]).await;
        let (store, app) = (Store::in_memory().await.unwrap(), app('a'));
        let sid = start(&store, &new_session(&app, 1)).await;
        happen(&store, &sid, 2).await;
        let dispatcher = Dispatcher::spawn(store.clone(), settings(&[(&app, &receiver.url)])).unwrap();
        settled(&store, std::slice::from_ref(&sid)).await;
        dispatcher.shutdown().await;
        assert_eq!(receiver.attempts().len(), 2, "each event once: {status}");
        let last = log(&store, sid.as_str()).await.pop().unwrap();
        assert_eq!((last.status, last.error), (Some(status), None));
    }
}

/// Everything else is a failure, and three retries are not the end.
#[tokio::test]
async fn anything_but_2xx_is_a_failure_and_more_than_three_retries_follow() {
    let script: Vec<Answer> = [301, 302, 304, 400, 500, 503].map(Answer::Status).into();
    let receiver = Receiver::scripted(&script).await;
    let (store, app) = (Store::in_memory().await.unwrap(), app('a'));
    let sid = start(&store, &new_session(&app, 1)).await;
    happen(&store, &sid, 1).await;
    let _dispatcher = Dispatcher::spawn(store.clone(), settings(&[(&app, &receiver.url)])).unwrap();
    settled(&store, &[sid]).await;
    assert_eq!(receiver.attempts().len(), script.len() + 1);
    receiver.assert_stable_notice_ids();
}

/// The original's console has 590, 591 and 592 for timeout, DNS and TLS; our log of attempts says it in words, with the time that each
/// took, the last ones first to stay.
#[tokio::test]
async fn each_attempt_is_written_down_with_its_answer_and_time() {
    let refused = usize::try_from(MAX_ATTEMPTS_KEPT).unwrap() + 3;
    let mut script = vec![Answer::Hang];
    script.extend(vec![Answer::Status(503); refused]);
    let receiver = Receiver::scripted(&script).await;
    let (store, app) = (Store::in_memory().await.unwrap(), app('a'));
    let sid = start(&store, &new_session(&app, 1)).await;
    happen(&store, &sid, 1).await;
    let quick = Settings { patience: Duration::from_millis(100), ..settings(&[(&app, &receiver.url)]) };
    let dispatcher = Dispatcher::spawn(store.clone(), quick).unwrap();
    settled(&store, std::slice::from_ref(&sid)).await;
    dispatcher.shutdown().await;
    let log = log(&store, sid.as_str()).await;
    assert_eq!(log.len(), MAX_ATTEMPTS_KEPT as usize);
    assert!(log.is_sorted_by_key(|attempt| attempt.at));
    let (last, failed) = log.split_last().unwrap();
    assert_eq!((last.status, &last.error), (Some(200), &None));
    assert!(failed.iter().all(|attempt| attempt.status == Some(503) && attempt.error.is_some()), "{failed:?}");
}

#[tokio::test]
async fn a_time_out_is_told_from_a_refusal_and_from_a_broken_line() {
    let receiver = Receiver::scripted(&[Answer::Hang, Answer::Status(500), Answer::Reset]).await;
    let (store, app) = (Store::in_memory().await.unwrap(), app('a'));
    let sid = start(&store, &new_session(&app, 1)).await;
    happen(&store, &sid, 1).await;
    let quick = Settings { patience: Duration::from_millis(150), ..settings(&[(&app, &receiver.url)]) };
    let _dispatcher = Dispatcher::spawn(store.clone(), quick).unwrap();
    settled(&store, std::slice::from_ref(&sid)).await;
    let log = log(&store, sid.as_str()).await;
    let words: Vec<&str> = log.iter().map(|attempt| attempt.error.as_deref().unwrap_or("")).collect();
    assert_eq!(words[0], "the receiver did not answer in time");
    assert!((log[0].took_ms, log[0].status) >= (150, None), "{log:?}");
    assert!(words[1].contains("500") && log[1].status == Some(500));
    assert!(words[2].starts_with("the receiver can't be reached") && log[2].status.is_none());
    assert_eq!((words[3], log[3].status), ("", Some(200)));
}

/// Of the only event.
async fn log(store: &Store, stream: &str) -> Vec<Attempt> {
    let all = store.dead_letters::<Event>(&app('a'), UndeliveredFilter::All, Some(stream), None, 10).await.unwrap();
    store.attempts(&all).await.unwrap().remove(0)
}
