//! The news of a whole recording at the customer's receiver: in order, complete, each with its place in the log.

use serde_json::Value;

use crate::receiver::{Answer, Receiver};
use crate::talker::Talker;
use crate::world::{Wishes, World, until};

#[tokio::test(flavor = "multi_thread")]
async fn the_receiver_hears_what_the_log_says() {
    let receiver = Receiver::scripted(&[Answer::Status(500), Answer::Status(503)]).await;
    let world = World::with(Wishes { callbacks: Some(receiver.url.clone()), ..Wishes::default() }).await;
    let task = world.record("individual", "room", "1", &world.client()).await;
    let stage = world.channel.stage(&task.sid);
    stage.enter(0, "7", 1).await;
    stage.talk(&mut [Talker::new(1, 440.0)], 0, 5000).await;
    world.stop(&task).await;
    let heard = until(async || {
        let heard = receiver.heard(&task.sid);
        heard.last().is_some_and(|last| last.json["eventType"] == 11).then_some(heard)
    })
    .await;
    let log = world.log(&task).await;
    assert_eq!(heard.len(), log.len());
    for (attempt, line) in heard.iter().zip(&log) {
        assert_eq!(attempt.json["noticeId"], line["noticeId"]);
        assert_eq!(attempt.json["payload"], line["payload"]);
        assert!(attempt.headers.contains_key("agora-signature") && attempt.headers.contains_key("agora-signature-v2"));
    }
    let bucket_log = until(async || {
        let path = world.objects().join(format!("rec/{}_room_events.jsonl", task.sid));
        let text = std::fs::read_to_string(path).ok()?;
        (text.lines().count() == log.len()).then_some(text)
    })
    .await;
    for (line, known) in bucket_log.lines().zip(&log) {
        assert_eq!(serde_json::from_str::<Value>(line).unwrap(), *known, "bucket, query and callback say the same");
    }
}
