//! The disk fails while the bucket is well, and the worker dies: full, with errors (EIO), read-only; in a mix and in individual tracks,
//! together and each alone. The recording goes on into the bucket, and what the bucket confirmed is final.

use std::time::Duration;

use tokio::time::sleep;

use crate::HANG_LIMIT;
use crate::disk::{Disk, Failing, skipped};
use crate::kill_run::KillRun;
use crate::oracle::Oracle;
use crate::poorer_journal::print_told;
use crate::rest::Make;
use crate::test_env::{Options, Store, TestEnv};

/// How a disk fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trouble {
    Full,
    Fails(Failing),
}

const TROUBLES: [Trouble; 3] = [Trouble::Full, Trouble::Fails(Failing::Errors), Trouble::Fails(Failing::ReadOnly)];

impl Trouble {
    fn disk(self) -> Option<Disk> {
        match self {
            Self::Full => Disk::small(48),
            Self::Fails(how) => Disk::that_fails(how),
        }
    }

    fn begin(self, disk: &Disk) {
        match self {
            Self::Full => disk.fill(),
            Self::Fails(_) => disk.fail(),
        }
    }

    /// Nobody uses the disk.
    fn end(self, disk: &Disk) {
        match self {
            Self::Full => disk.make_room(),
            Self::Fails(_) => disk.heal(),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_and_a_kill_leave_the_bucket_as_it_was() {
    die_on(Trouble::Full, Options::default()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_with_errors_and_a_kill_leave_the_bucket_as_it_was() {
    die_on(Trouble::Fails(Failing::Errors), Options { make: Make::Individual, ..Options::default() }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "long; make faults runs it"]
async fn a_failing_disk_and_a_kill_leave_the_bucket_as_it_was() {
    for trouble in TROUBLES {
        for make in [Make::Both, Make::Mix, Make::Individual] {
            die_on(trouble, Options { make, ..Options::default() }).await;
        }
        for store in [Store::WriteOnce, Store::WriteOnly] {
            die_on(trouble, Options { store, ..Options::default() }).await;
        }
    }
}

/// Records, lets the disk fail, kills the worker, lets the next run go on with a disk that is well.
async fn die_on(trouble: Trouble, wishes: Options) {
    let what = format!("{trouble:?}, {:?}, {:?}", wishes.store, wishes.make);
    let Some(disk) = trouble.disk() else { return skipped(&what) };
    let store = wishes.store;
    let (data, server) = (Some(disk.path().join("data")), "disk_reserve_mib = 8\n".to_owned());
    let mut kill_run = KillRun::at(TestEnv::with(Options { data, server, ..wishes }).await, 1).await;
    sleep(Duration::from_secs(6)).await;
    kill_run.worker().freeze().await;
    trouble.begin(&disk);
    kill_run.worker().resume();
    sleep(Duration::from_secs(9)).await;
    let task = kill_run.recordings[0].task.clone();
    if matches!(store, Store::Embedded | Store::Versitygw) {
        // On a slow machine it takes longer.
        for _ in 0..HANG_LIMIT.as_secs() {
            if Oracle::of(&kill_run.test_env, &task).seconds() > 9.0 {
                break;
            }
            sleep(Duration::from_secs(1)).await;
        }
    }
    kill_run.kill();
    sleep(Duration::from_millis(300)).await;
    let oracle = Oracle::of(&kill_run.test_env, &task);
    match store {
        Store::WriteOnce => {}
        // What the journal can't note is not named.
        Store::WriteOnly => assert!(oracle.seconds() < 9.0, "{what}: {} s are named", oracle.seconds()),
        _ => assert!(oracle.seconds() > 9.0, "{what}: the bucket goes on, but has {} s", oracle.seconds()),
    }
    trouble.end(&disk);
    kill_run.start();
    kill_run.ready().await;
    sleep(Duration::from_secs(4)).await;
    oracle.check(&what);
    kill_run.stop().await;
    let manifest = oracle.manifest(&kill_run.test_env).await;
    oracle.check(&format!("{what}, after the end"));
    assert_eq!(manifest["verdict"], "partial", "{what}: {}", manifest["ledger"]);
    let silent = oracle.lost(&what, &manifest);
    print_told(&what, 1, &silent, &manifest);
    drop(kill_run);
}
