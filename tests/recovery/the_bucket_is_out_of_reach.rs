//! The worker's disk knows less than the bucket, and the bucket can't be asked when the next run begins. The recording waits for it and says
//! so; what it hears meanwhile is recorded. Whenever the bucket is back, before a stop or after one, what it had confirmed is final and
//! named.

use std::time::Duration;

use rand::SeedableRng;
use rand::rngs::StdRng;
use serde_json::Value;
use tokio::time::sleep;

use crate::HANG_LIMIT;
use crate::disk::files;
use crate::oracle::Oracle;
use crate::place::{Place, Wishes};
use crate::poorer_journal::{Fault, copy_dir, damage, print_told};
use crate::rest::Make;
use crate::seed;
use crate::stage::Stage;

/// So much more than what is silent may be told as missing, in milliseconds: before somebody is in the channel.
const TOLD_TOO_MUCH_MS: u64 = 1_500;

/// When the bucket is back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Back {
    /// While the recording waits for it.
    BeforeTheStop,
    /// When it was stopped.
    AfterTheStop,
    /// When the worker has died once more, and the recording was stopped.
    AfterAnotherKill,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_it_confirmed_is_final_and_named() {
    let seed = seed("the bucket is out of reach");
    tokio::join!(
        suffer(Fault::NoJournal, Make::Both, Back::BeforeTheStop, seed),
        suffer(Fault::OldCopy, Make::Both, Back::AfterTheStop, seed),
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "long; make faults runs it"]
async fn what_it_confirmed_is_final_and_named_whatever_is_damaged() {
    let seed = seed("the bucket is out of reach, long");
    for make in [Make::Both, Make::Mix, Make::Individual] {
        for back in [Back::BeforeTheStop, Back::AfterTheStop, Back::AfterAnotherKill] {
            tokio::join!(
                suffer(Fault::NoJournal, make, back, seed),
                suffer(Fault::OldCopy, make, back, seed + 1),
                suffer(Fault::BitInJournal(0.5), make, back, seed + 2),
                suffer(Fault::CutJournal(0.3), make, back, seed + 3),
            );
        }
    }
}

/// Records, shuts the bucket off, kills the worker and damages what it left; the bucket is back later.
async fn suffer(fault: Fault, make: Make, back: Back, seed: u64) {
    let (mut random, what) = (StdRng::seed_from_u64(seed), format!("{fault:?}, {make:?}, back {back:?}"));
    let mut stage = Stage::at(Place::with(Wishes { make, ..Wishes::default() }).await, 1).await;
    sleep(Duration::from_secs(3)).await;
    let copy = stage.place.data.with_extension("old");
    stage.worker().freeze().await;
    copy_dir(&stage.place.data, &copy);
    stage.worker().resume();
    sleep(Duration::from_secs(7)).await;
    // A playlist whose PUT was cut off may land for a minute, and is watched so long.
    until(&what, async || files(&stage.place.data.join("spool")).is_empty()).await;
    stage.place.gate.shut();
    stage.kill();
    sleep(Duration::from_millis(300)).await;
    let task = stage.recordings[0].task.clone();
    let oracle = Oracle::of(&stage.place, &task);
    damage(fault, &stage.place.data, &copy, &mut random);
    stage.start();
    stage.ready().await;
    let waits = |event: &Value| event["payload"]["details"]["reason"] == "waits_for_bucket";
    until(&what, async || stage.rest.log(&task.sid).await.iter().any(waits)).await;
    let known = stage.rest.query(&task).await.unwrap().1;
    assert_eq!(
        (&known["state"], &known["upload"]["state"]),
        (&"recovering".into(), &"retrying".into()),
        "{what}: {known}"
    );
    sleep(Duration::from_secs(2)).await;
    if back == Back::BeforeTheStop {
        stage.place.gate.open();
        until(&what, async || stage.rest.query(&task).await.unwrap().1["state"] == "recording").await;
        sleep(Duration::from_secs(3)).await;
        stage.stop().await;
    } else {
        stage.stop().await;
        if back == Back::AfterAnotherKill {
            stage.crash().await;
        }
        sleep(Duration::from_secs(1)).await;
        stage.place.gate.open();
    }
    let manifest = oracle.manifest(&stage.place).await;
    oracle.check(&what);
    oracle.check_named(&what);
    assert_eq!(manifest["verdict"], "partial", "{what}: {}", manifest["ledger"]);
    let silent = oracle.lost(&what, &manifest);
    print_told(&what, 1, &silent, &manifest);
    // With both kinds of playlists the sound counts as missing where one of them lacks it, and the mix comes later.
    let lag = if make == Make::Both { 2 * TOLD_TOO_MUCH_MS } else { 0 };
    for (uid, silent) in silent {
        let uids = manifest["ledger"]["uids"].as_array().into_iter().flatten();
        let missing: u64 =
            uids.filter(|entry| entry["uid"] == uid).filter_map(|entry| entry["missingMs"].as_u64()).sum();
        assert!(
            missing <= silent + TOLD_TOO_MUCH_MS + lag,
            "{what}: {uid} is silent for {silent} ms, and {missing} ms are told: {}",
            manifest["ledger"]
        );
    }
}

async fn until(what: &str, check: impl AsyncFn() -> bool) {
    let checked = async {
        while !check().await {
            sleep(Duration::from_millis(20)).await;
        }
    };
    assert!(tokio::time::timeout(HANG_LIMIT, checked).await.is_ok(), "{what}: it does not come");
}
