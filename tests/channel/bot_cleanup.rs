//! Joining and leaving frees everything: tasks, connections, the server's seat.

use std::time::Duration;

use cloud_recorder::channel::ChannelHandle;
use cloud_recorder::recording::Selection;

use crate::audio_probe::{AudioProbe, Speech};
use crate::test_server::{TestServer, uid};

const CYCLES: usize = 20;

fn tasks() -> usize {
    tokio::runtime::Handle::current().metrics().num_alive_tasks()
}

#[tokio::test]
async fn twenty_bots_come_and_go() {
    let test_server = TestServer::open().await;
    let _ann = Speech::begin(&test_server.address, "ann").await;
    let mut before = None;
    for _ in 0..=CYCLES {
        let mut audio_probe = AudioProbe::join(&test_server.address, Selection::All).await;
        let track = audio_probe.track_of(&uid("ann")).await;
        audio_probe.hear(track, 3).await;
        let ChannelHandle { updates, selection, .. } = audio_probe.handle;
        drop(updates);
        let gone = tokio::time::timeout(Duration::from_secs(20), selection.closed()).await;
        gone.expect("the membership lives on without a listener");
        // The first one shows how many tasks there are without a bot.
        let settled = async {
            let mut last = tasks();
            loop {
                tokio::time::sleep(Duration::from_millis(250)).await;
                let now = tasks();
                if before.is_some_and(|before| now <= before) || (before.is_none() && now == last) {
                    return now;
                }
                last = now;
            }
        };
        let now = tokio::time::timeout(Duration::from_secs(20), settled).await.expect("tasks of a bot live on");
        before.get_or_insert(now);
    }
}
