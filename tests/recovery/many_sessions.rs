//! A worker starts with five hundred finished and fifty open sessions in its store and its journal: it answers soon, and every one
//! of the fifty goes on or comes to its end.

use std::process::Command;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};

use crate::checks::assert_right;
use crate::event_log_check;
use crate::kill_run::RECORDER;
use crate::rest::{Rest, Task};
use crate::session_copies::SessionCopies;
use crate::test_env::{APP, TestEnv};
use crate::worker::BINARY;

const FINISHED: usize = 500;
const OPEN: usize = 50;
/// Sound in the journal of each open session, in seconds.
const SOUND_SECS: u64 = 10;
/// A worker that takes this long to answer is broken; how long it does take is printed.
const READY: Duration = Duration::from_secs(30);
/// How long fifty recordings may take to notice that nobody is there, and to end.
const ENDS: Duration = Duration::from_secs(90);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn five_hundred_and_fifty() {
    let test_env = TestEnv::new().await;
    let rest = Rest::new(&test_env.door);
    let worker = test_env.ready_worker().await;
    let over = rest.record("over", RECORDER).await;
    sleep(Duration::from_millis(500)).await;
    rest.stop(&over, false).await.unwrap();
    assert!(event_log_check::ends(&test_env, &over.sid).await, "the model comes to its end");
    let running = rest.record("running", RECORDER).await;
    // The journal is synced once a second at least.
    sleep(Duration::from_millis(1_200)).await;
    worker.kill();

    let session_copies = SessionCopies::at(&test_env, &running).await;
    for number in 1..FINISHED {
        session_copies.finished(&over, number).await;
    }
    let mut tasks = vec![running.clone()];
    for number in 1..OPEN {
        tasks.push(session_copies.open(&running, number, SOUND_SECS).await);
    }
    session_copies.close().await;

    let begin = Instant::now();
    let mut worker = test_env.worker();
    timeout(READY, worker.ready()).await.expect("it answers");
    println!("a restart with {FINISHED} finished and {OPEN} open sessions: ready after {:?}", begin.elapsed());
    for task in &tasks {
        let (status, answer) = rest.query(task).await.unwrap();
        assert_eq!((status, &answer["sid"]), (200, &task.sid.as_str().into()), "{answer}");
    }
    let (status, answer) = rest.get(&format!("/v1/apps/{APP}/recordings/{}", over.sid)).await.unwrap();
    assert_eq!((status, answer["state"].as_str()), (200, Some("ended")), "{answer}");

    let mut problems = Vec::new();
    // One is stopped; the others find that nobody is there.
    let (status, answer) = rest.stop(&tasks[1], true).await.unwrap();
    assert_eq!(status, 200, "stop: {answer}");
    let all = futures_util::future::join_all(tasks.iter().map(|task| event_log_check::ends(&test_env, &task.sid)));
    let ended = timeout(ENDS, all).await.expect("every one comes to its end");
    println!("all over after {:?}", begin.elapsed());
    for (task, ended) in tasks.iter().zip(ended) {
        if !ended {
            problems.push(format!("{}: never ended", task.sid));
        }
    }
    tasks[1..].iter().for_each(|task| problems.extend(whole(&test_env, task)));
    assert_right(&problems);
}

/// The playlist of the one who talked is complete and holds what was in the journal.
fn whole(test_env: &TestEnv, task: &Task) -> Option<String> {
    let uid = crate::sound_check::Voice::Tone.uid();
    let playlist = test_env.objects().join(format!("{}_{}__uid_s_{uid}__uid_e_audio.m3u8", task.sid, task.room));
    let verified = Command::new(BINARY).args(["verify", "--json"]).arg(&playlist).output().unwrap();
    let report: serde_json::Value = serde_json::from_slice(&verified.stdout).unwrap_or_default();
    let long = report["seconds"].as_f64().is_some_and(|seconds| seconds >= SOUND_SECS as f64);
    (!verified.status.success() || !long).then(|| format!("{}: {report}", task.sid))
}
