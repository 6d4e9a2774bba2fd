//! Joining and leaving frees everything: tasks, connections, the server's seat.

use std::time::Duration;

use cloud_recorder::channel::ChannelHandle;
use cloud_recorder::recording::Selection;

use crate::ear::{Ear, Speech};
use crate::house::{House, uid};

const CYCLES: usize = 20;

fn tasks() -> usize {
    tokio::runtime::Handle::current().metrics().num_alive_tasks()
}

#[tokio::test]
async fn twenty_bots_come_and_go() {
    let house = House::open().await;
    let _ann = Speech::begin(&house.address, "ann").await;
    let mut before = None;
    for _ in 0..=CYCLES {
        let mut ear = Ear::join(&house.address, Selection::All).await;
        let track = ear.track_of(&uid("ann")).await;
        ear.hear(track, 3).await;
        let ChannelHandle { news, selection, .. } = ear.handle;
        drop(news);
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
