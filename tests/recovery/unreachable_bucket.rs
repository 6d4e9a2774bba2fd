//! The worker's disk knows less than the bucket, and the bucket can't be asked when the next run begins: it is gone, or answers 503. The recording waits for it and says
//! so; what it hears meanwhile is recorded. Whenever the bucket is back, before a stop or after one, what it had confirmed is final and
//! named.

use std::time::Duration;

use rand::SeedableRng;
use rand::rngs::StdRng;
use serde_json::Value;
use tokio::time::sleep;

use crate::HANG_LIMIT;
use crate::disk::files;
use crate::kill_run::KillRun;
use crate::oracle::Oracle;
use crate::poorer_journal::{ErrorClass, copy_dir, damage, print_told};
use crate::rest::Make;
use crate::seed;
use crate::test_env::{Options, TestEnv};

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
        suffer(ErrorClass::NoJournal, Make::Both, Back::BeforeTheStop, seed),
        suffer(ErrorClass::OldCopy, Make::Both, Back::AfterTheStop, seed),
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "long; make faults runs it"]
async fn what_it_confirmed_is_final_and_named_whatever_is_damaged() {
    let seed = seed("the bucket is out of reach, long");
    for make in [Make::Both, Make::Mix, Make::Individual] {
        for back in [Back::BeforeTheStop, Back::AfterTheStop, Back::AfterAnotherKill] {
            tokio::join!(
                suffer(ErrorClass::NoJournal, make, back, seed),
                suffer(ErrorClass::OldCopy, make, back, seed + 1),
                suffer(ErrorClass::BitInJournal(0.5), make, back, seed + 2),
                suffer(ErrorClass::CutJournal(0.3), make, back, seed + 3),
            );
        }
    }
}

/// Records, shuts the bucket off, kills the worker and damages what it left; the bucket is back later.
async fn suffer(error_class: ErrorClass, make: Make, back: Back, seed: u64) {
    let (mut random, what) = (StdRng::seed_from_u64(seed), format!("{error_class:?}, {make:?}, back {back:?}"));
    let mut kill_run = KillRun::at(TestEnv::with(Options { make, ..Options::default() }).await, 1).await;
    sleep(Duration::from_secs(3)).await;
    let copy = kill_run.test_env.data.with_extension("old");
    kill_run.worker().freeze().await;
    copy_dir(&kill_run.test_env.data, &copy);
    kill_run.worker().resume();
    sleep(Duration::from_secs(7)).await;
    // A playlist whose PUT was cut off may land for a minute, and is watched so long.
    until(&what, async || files(&kill_run.test_env.data.join("spool")).is_empty()).await;
    match error_class {
        ErrorClass::NoJournal | ErrorClass::BitInJournal(_) => kill_run.test_env.cutoff_proxy.shut(),
        _ => kill_run.test_env.cutoff_proxy.be_busy(),
    }
    kill_run.kill();
    sleep(Duration::from_millis(300)).await;
    let task = kill_run.recordings[0].task.clone();
    let oracle = Oracle::of(&kill_run.test_env, &task);
    damage(error_class, &kill_run.test_env.data, &copy, &mut random);
    kill_run.start();
    kill_run.ready().await;
    let waits = |event: &Value| event["payload"]["details"]["reason"] == "waits_for_bucket";
    until(&what, async || kill_run.rest.log(&task.sid).await.iter().any(waits)).await;
    let known = kill_run.rest.query(&task).await.unwrap().1;
    assert_eq!(
        (&known["state"], &known["upload"]["state"]),
        (&"recovering".into(), &"retrying".into()),
        "{what}: {known}"
    );
    sleep(Duration::from_secs(2)).await;
    if back == Back::BeforeTheStop {
        kill_run.test_env.cutoff_proxy.open();
        until(&what, async || kill_run.rest.query(&task).await.unwrap().1["state"] == "recording").await;
        sleep(Duration::from_secs(3)).await;
        kill_run.stop().await;
    } else {
        kill_run.stop().await;
        if back == Back::AfterAnotherKill {
            kill_run.crash().await;
        }
        sleep(Duration::from_secs(1)).await;
        kill_run.test_env.cutoff_proxy.open();
    }
    let manifest = oracle.manifest(&kill_run.test_env).await;
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
