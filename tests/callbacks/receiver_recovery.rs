use cloud_recorder::callback::{Dispatcher, signature};
use cloud_recorder::store::Store;
use secrecy::SecretString;

use crate::receiver::{Answer, Receiver};
use crate::world::{SECRET, app, happen, new_session, settings, settled, start};

#[tokio::test]
async fn a_receiver_that_fails_in_every_way_and_recovers_gets_every_event_in_order() {
    let script = [
        Answer::Status(500),
        Answer::Status(304),
        Answer::Drop,
        Answer::Status(200),
        Answer::Hang,
        Answer::Status(404),
        Answer::Drop,
        Answer::Hang,
    ];
    let receiver = Receiver::scripted(&script).await;
    let store = Store::in_memory().await.unwrap();
    let app = app('a');
    let sid = start(&store, &new_session(&app, 1)).await;
    let dispatcher = Dispatcher::spawn(store.clone(), settings(&[(&app, &receiver.url)])).unwrap();

    let events = happen(&store, &sid, 6).await;
    dispatcher.nudge(&app);
    settled(&store, std::slice::from_ref(&sid)).await;

    let heard = receiver.heard(sid.as_str());
    assert_eq!(heard.iter().map(|attempt| attempt.sequence()).collect::<Vec<_>>(), [0, 1, 2, 3, 4, 5]);
    for (attempt, event) in heard.iter().zip(&events) {
        assert_eq!(attempt.notice_id(), event.notice_id);
    }
    receiver.assert_stable_notice_ids();

    let attempts = receiver.attempts();
    assert!(attempts.len() >= events.len() + script.len() - 1, "each failure was repeated: {}", attempts.len());
    let sequences: Vec<u64> = attempts.iter().map(|attempt| attempt.sequence()).collect();
    assert!(sequences.is_sorted(), "no event overtakes another: {sequences:?}");
    let sent: Vec<u64> = attempts.iter().map(|attempt| attempt.json["notifyMs"].as_u64().unwrap()).collect();
    assert!(sent[0] < sent[sent.len() - 1], "notifyMs is the time of the attempt");
    for attempt in &attempts {
        let secret = SecretString::from(SECRET);
        assert_eq!(attempt.headers[signature::HEADER_V1], signature::v1(&secret, &attempt.body));
        assert_eq!(attempt.headers[signature::HEADER_V2], signature::v2(&secret, &attempt.body));
        assert_eq!(attempt.headers["content-type"], "application/json");
    }
}

#[tokio::test]
async fn many_sessions_of_one_receiver_keep_their_orders() {
    let script: Vec<Answer> = (0..40).map(|number| Answer::Status(if number % 3 == 0 { 503 } else { 200 })).collect();
    let receiver = Receiver::scripted(&script).await;
    let store = Store::in_memory().await.unwrap();
    let app = app('a');
    let dispatcher = Dispatcher::spawn(store.clone(), settings(&[(&app, &receiver.url)])).unwrap();
    let mut sids = Vec::new();
    for number in 1..=20 {
        let sid = start(&store, &new_session(&app, number)).await;
        happen(&store, &sid, 4).await;
        dispatcher.nudge(&app);
        sids.push(sid);
    }
    settled(&store, &sids).await;
    for sid in &sids {
        let heard: Vec<u64> = receiver.heard(sid.as_str()).iter().map(|attempt| attempt.sequence()).collect();
        assert_eq!(heard, [0, 1, 2, 3]);
    }
    receiver.assert_stable_notice_ids();
}
