//! The journal is gone, and the bucket's keys may write and not read: nobody knows what the bucket confirmed. The log says so once, nothing
//! there is put over, and the recording goes on under other names.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::talker::Talker;
use crate::world::{Options, TestEnv, World, run_that_dies, until};
use crate::write_once::{Policy, WriteOnce};

#[test]
fn what_was_confirmed_may_be_in_no_playlist_and_the_log_says_so() {
    let outside = Runtime::new().unwrap();
    let place = Arc::new(outside.block_on(TestEnv::new()));
    let direct = place.storage(&[])["extensionParams"]["endpoint"].as_str().unwrap().to_owned();
    let bucket = outside.block_on(WriteOnce::start(&direct, Policy::WriteOnly));
    let task = run_that_dies(&place, Options::default(), async |world: World| {
        let mut client = world.client();
        client["storageConfig"]["extensionParams"]["endpoint"] = json!(bucket.endpoint);
        let task = world.record("individual", "room", "1", &client).await;
        let scripted_channel = world.scripted_channel(&task).await;
        scripted_channel.enter(0, "7", 1).await;
        scripted_channel.talk(&mut [Talker::new(1, 440.0)], 0, 7_000).await;
        until(async || (world.query(&task).await.body["segments"]["stored"].as_u64() >= Some(2)).then_some(())).await;
        task
    });
    let folder = place.objects().join("rec");
    let segments = || {
        let names = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let own = names.filter(|name| name.ends_with(".m4s"));
        own.map(|name| (name.clone(), std::fs::read(folder.join(name)).unwrap())).collect::<Vec<_>>()
    };
    let before = segments();
    std::fs::remove_dir_all(place.journal()[0].parent().unwrap()).unwrap();
    run_that_dies(&place, Options { ahead: Duration::from_secs(12), ..Options::default() }, async |world: World| {
        let scripted_channel = world.scripted_channel(&task).await;
        scripted_channel.enter(0, "7", 1).await;
        scripted_channel.talk(&mut [Talker::new(1, 660.0)], 0, 3_000).await;
        until(async || (world.query(&task).await.body["state"] == "recording").then_some(())).await;
        assert_eq!(world.stop(&task).await.status, 200);
        assert_eq!(world.over(&task).await["verdict"], "partial");
        let log = world.log(&task).await;
        let said = |event: &&Value| event["payload"]["details"]["reason"] == "bucket_not_readable";
        assert_eq!(log.iter().filter(said).count(), 1, "{log:?}");
    });
    let after = segments();
    assert!(before.len() >= 2 && before.iter().all(|object| after.contains(object)), "nothing there has changed");
}
