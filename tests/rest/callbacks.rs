//! The news of a whole recording at the customer's receiver: in order, complete, each with its place in the log.

use cloud_recorder::callback::LogChain;
use cloud_recorder::units::Sid;

use crate::receiver::{Answer, Receiver};
use crate::talker::Talker;
use crate::world::{APP, Options, Task, World, unchained, until};

#[tokio::test(flavor = "multi_thread")]
async fn the_receiver_hears_what_the_log_says() {
    let receiver = Receiver::scripted(&[Answer::Status(500), Answer::Status(503)]).await;
    let world = World::with(Options { callbacks: Some(receiver.url.clone()), ..Options::default() }).await;
    let task = world.record("individual", "room", "1", &world.client()).await;
    let scripted_channel = world.channel.scripted_channel(&task.sid);
    scripted_channel.enter(0, "7", 1).await;
    scripted_channel.talk(&mut [Talker::new(1, 440.0)], 0, 5000).await;
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
    let plain: String = bucket_log.lines().map(|line| format!("{}\n", unchained(line))).collect();
    assert_eq!(paged(&world, &task, 2).await, plain, "bucket, query and callback say the same, byte for byte");
    let sid = Sid::new(&task.sid).unwrap();
    let stored = world.store.events(&sid, None, 1000).await.unwrap();
    let mut chain = LogChain::default();
    assert_eq!(stored.iter().map(|event| chain.line(event)).collect::<String>(), bucket_log);
}

/// The log as lines, read in pages of this many.
async fn paged(world: &World, task: &Task, limit: usize) -> String {
    let (mut text, mut after) = (String::new(), String::new());
    loop {
        let path = format!("/v1/apps/{APP}/recordings/{}/events?after={after}&limit={limit}", task.sid);
        let page = world.get(&path).await.body;
        let events = page["events"].as_array().unwrap();
        assert!(events.len() <= limit);
        for event in events {
            text.push_str(&format!("{event}\n"));
        }
        if events.is_empty() {
            assert_eq!(page["next"].to_string(), after, "an empty page leaves the reader where it is");
            return text;
        }
        after = page["next"].to_string();
    }
}
