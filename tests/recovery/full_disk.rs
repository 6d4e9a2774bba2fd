//! The worker's disk fills up. Early on new recordings are refused and everybody is told; full to the last byte, those that run go
//! on to their bucket; with room again, everything is as before and nothing is missing.

use std::time::Duration;

use serde_json::Value;
use tokio::time::{sleep, timeout};

use crate::disk::{Disk, skipped};
use crate::kill_run::{KillRun, RECORDER};
use crate::test_env::{Options, TestEnv};

/// The disk, and what is kept free of new recordings, in MiB.
const DISK: u32 = 96;
const RESERVE: u32 = 32;
/// How soon a worker notices that its disk has changed.
const NOTICE: Duration = Duration::from_secs(20);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn not_even_a_full_one() {
    let Some(disk) = Disk::small(DISK) else { return skipped("a full disk") };
    let server = format!("disk_reserve_mib = {RESERVE}\n");
    let data = Some(disk.path().join("data"));
    let mut kill_run = KillRun::at(TestEnv::with(Options { data, server, ..Options::default() }).await, 1).await;
    let resource = kill_run.rest.acquire("late", RECORDER).await.unwrap();
    sleep(Duration::from_millis(2_500)).await;
    readiness(&kill_run, 200).await;

    disk.fill_up_to(u64::from(RESERVE) / 2);
    let told = readiness(&kill_run, 503).await;
    assert!(told.to_string().contains("disk"), "/readyz says why: {told}");
    let (status, retry, body) = kill_run.rest.start_answer(&resource, "late", RECORDER).await.unwrap();
    assert!(status == 503 && retry.is_some(), "start on a disk that fills up: {status} {body}");
    assert!(body.to_string().contains("disk"), "the refusal says why: {body}");
    let (_, query) = kill_run.rest.query(&kill_run.recordings[0].task).await.unwrap();
    assert!(query.to_string().contains("disk"), "query says what is wrong: {query}");

    disk.fill();
    let before = stored(&kill_run).await;
    sleep(Duration::from_secs(6)).await;
    let meanwhile = stored(&kill_run).await - before;
    assert!(meanwhile >= 4, "two segments each of four playlists in six seconds, not {meanwhile}");

    disk.make_room();
    readiness(&kill_run, 200).await;
    let (status, body) = kill_run.rest.start(&resource, "late", RECORDER).await.unwrap();
    assert_eq!(status, 200, "start with room again: {body}");
    sleep(Duration::from_millis(2_500)).await;
    kill_run.stop().await;
    kill_run.check().await;
}

/// Waits until `/readyz` answers so; its body.
async fn readiness(kill_run: &KillRun, wanted: u16) -> Value {
    let turned = async {
        loop {
            match kill_run.rest.get("/readyz").await {
                Some((status, body)) if status == wanted => return body,
                _ => sleep(Duration::from_millis(100)).await,
            }
        }
    };
    timeout(NOTICE, turned).await.unwrap_or_else(|_| panic!("/readyz never answers {wanted}"))
}

/// Segments of the recording that its bucket holds.
async fn stored(kill_run: &KillRun) -> u64 {
    let (status, answer) =
        kill_run.rest.query(&kill_run.recordings[0].task).await.expect("a worker with a full disk answers");
    assert_eq!(status, 200, "{answer}");
    answer["segments"]["stored"].as_u64().unwrap()
}
