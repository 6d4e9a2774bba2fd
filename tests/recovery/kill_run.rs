//! Recordings with three talkers each, watched from their start to their judgement.

use cloud_recorder::clock;

use crate::checks::{Allowance, Reported, assert_right, check};
use crate::disk::files;
use crate::figures::{Figures, Kill, Kills};
use crate::playlist_watcher::PlaylistWatcher;
use crate::rest::{Rest, Task};
use crate::talkers::Talkers;
use crate::test_env::TestEnv;
use crate::worker::Worker;

/// The recorder's uid in every room.
pub(crate) const RECORDER: &str = "900001";

/// A place with recordings under way, and the worker that makes them.
pub(crate) struct KillRun {
    pub(crate) test_env: TestEnv,
    pub(crate) rest: Rest,
    pub(crate) talkers: Talkers,
    pub(crate) recordings: Vec<Recording>,
    pub(crate) kills: Kills,
    worker: Option<Worker>,
}

/// A recording under way.
pub(crate) struct Recording {
    pub(crate) task: Task,
    pub(crate) playlist_watcher: PlaylistWatcher,
    /// When stop was called and answered.
    pub(crate) stop: Option<(u64, u64)>,
}

impl KillRun {
    /// A worker that records this many rooms.
    pub(crate) async fn open(rooms: usize) -> Self {
        Self::at(TestEnv::new().await, rooms).await
    }

    pub(crate) async fn at(test_env: TestEnv, rooms: usize) -> Self {
        let rooms: Vec<String> = (0..rooms).map(|room| format!("room{room}")).collect();
        let (talkers, worker) = tokio::join!(Talkers::join(&test_env, &rooms), test_env.ready_worker());
        let mut rest = Rest::new(&test_env.door);
        (rest.kinds, rest.make) = (test_env.kinds, test_env.make);
        let started = rooms.iter().map(|room| rest.record(room, RECORDER));
        let tasks = futures_util::future::join_all(started).await;
        let recordings = tasks.into_iter().map(|task| Recording::new(&test_env, task)).collect();
        Self { test_env, rest, talkers, recordings, kills: Kills::default(), worker: Some(worker) }
    }

    /// Recordings that were started otherwise.
    pub(crate) fn of(test_env: TestEnv, talkers: Talkers, worker: Worker, recordings: Vec<Recording>) -> Self {
        let rest = Rest::new(&test_env.door);
        Self { test_env, rest, talkers, recordings, kills: Kills::default(), worker: Some(worker) }
    }

    /// The worker that runs now.
    pub(crate) fn worker(&mut self) -> &mut Worker {
        self.worker.as_mut().expect("a worker runs")
    }

    /// Kills the worker.
    pub(crate) fn kill(&mut self) {
        let at = self.worker.take().expect("a worker runs").kill();
        self.kills.0.push(Kill { at, ready: None, held_up: 0 });
    }

    /// Starts the next run; it need not answer yet.
    pub(crate) fn start(&mut self) {
        self.worker = Some(self.test_env.worker());
    }

    /// Waits until the run answers.
    pub(crate) async fn ready(&mut self) {
        let ready = self.worker().ready().await;
        if let Some(kill) = self.kills.0.last_mut() {
            kill.ready = Some(ready);
        }
    }

    /// A kill and a restart at once.
    pub(crate) async fn crash(&mut self) {
        self.kill();
        self.start();
        self.ready().await;
    }

    /// Stops every recording; every other one waits for its bucket.
    pub(crate) async fn stop(&mut self) {
        let rest = self.rest.clone();
        let running = self.recordings.iter_mut().filter(|recording| recording.stop.is_none());
        let stops = running.enumerate().map(|(index, recording)| {
            let rest = rest.clone();
            async move { recording.stop(&rest, index % 2 == 0).await }
        });
        futures_util::future::join_all(stops).await;
    }

    /// Judges everything, and says what the kills cost.
    pub(crate) async fn check(self) -> Figures {
        self.check_with(Allowance::default()).await
    }

    /// As [`Self::check`], where the scenario excuses more.
    pub(crate) async fn check_with(self, allowance: Allowance) -> Figures {
        let (problems, figures) = self.weigh(allowance).await;
        if !problems.is_empty() {
            figures.print("before the failure");
        }
        assert_right(&problems);
        figures
    }

    /// What is wrong, and what the kills cost.
    pub(crate) async fn weigh(self, allowance: Allowance) -> (Vec<String>, Figures) {
        self.talkers.assert_talking();
        let mut figures = Figures { kills: self.kills.0.len(), ..Figures::default() };
        let mut problems = Vec::new();
        for recording in &self.recordings {
            // After its end a kill costs a recording nothing.
            let ended = recording.stop.map_or(u64::MAX, |(called, _)| called);
            let machine_delay = &self.test_env.machine_delay;
            let measured = |kill: &Kill| {
                // A worker that took long to answer takes as long again to be back.
                let slow = kill.ready.map_or(0, |ready| ready - kill.at);
                Kill { held_up: machine_delay.held_up(kill.at, kill.ready.unwrap_or(kill.at)) + slow, ..*kill }
            };
            let kills = Kills(self.kills.0.iter().filter(|kill| kill.at < ended).map(measured).collect());
            let held_up = machine_delay.worst();
            let told = Reported { task: recording.task.clone(), kills, stop: recording.stop, allowance, held_up };
            let (wrong, cost) = check(&self.test_env, &told).await;
            problems.extend(wrong);
            problems.extend(recording.playlist_watcher.problems());
            figures.add(cost);
        }
        problems.extend(self.leftovers().await);
        (problems, figures)
    }

    /// What is in the bucket needs no room on the worker's disk.
    async fn leftovers(&self) -> Option<String> {
        let spool = self.test_env.data.join("spool");
        for _ in 0..100 {
            if files(&spool).is_empty() {
                return None;
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        Some(format!("the spool keeps what is in the bucket: {:?}", files(&spool)))
    }
}

impl Recording {
    pub(crate) fn new(test_env: &TestEnv, task: Task) -> Self {
        let playlist_watcher = PlaylistWatcher::of(test_env, &task);
        Self { task, playlist_watcher, stop: None }
    }

    /// Stops; an answer has to come.
    pub(crate) async fn stop(&mut self, rest: &Rest, at_once: bool) {
        self.playlist_watcher.stopping();
        let called = clock::now().0;
        let (status, answer) = rest.stop(&self.task, at_once).await.expect("a living worker answers a stop");
        assert!(status == 200 || (status == 206 && !at_once), "stop: {status} {answer}");
        // Waiting for the bucket is no part of the recording: such a stop took effect when it was called.
        self.stop = Some((called, if at_once { clock::now().0 } else { called }));
    }
}
