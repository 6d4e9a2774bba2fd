//! One run of the built binary. `kill` is SIGKILL by its id, with nothing left to tidy up.

use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use cloud_recorder::clock;
use tokio::sync::{mpsc, watch};

use crate::HANG_LIMIT;

/// The program under test.
pub(crate) const BINARY: &str = env!("CARGO_BIN_EXE_cloud-recorder");

/// Where the worker can be called, while it can.
pub(crate) type Door = watch::Sender<Option<String>>;

/// A running worker.
pub(crate) struct Worker {
    child: Child,
    said: mpsc::UnboundedReceiver<String>,
    door: Door,
    log: PathBuf,
}

impl Worker {
    /// Starts the program; it answers once [`Self::ready`] returns.
    pub(crate) fn spawn(config: &Path, log: &Path, door: &Door) -> Self {
        let errors = OpenOptions::new().create(true).append(true).open(log).unwrap();
        let mut command = Command::new(BINARY);
        command.args(["serve", "--config"]).arg(config).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(errors);
        let mut child = command.spawn().unwrap();
        let (says, said) = mpsc::unbounded_channel();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        std::thread::spawn(move || lines.map_while(Result::ok).all(|line| says.send(line).is_ok()));
        Self { child, said, door: door.clone(), log: log.to_owned() }
    }

    /// Waits until it says where it listens, and opens the door; wall time of that in milliseconds.
    pub(crate) async fn ready(&mut self) -> u64 {
        let address = async {
            while let Some(line) = self.said.recv().await {
                if let Some(rest) = line.strip_prefix("REST API") {
                    return Some(rest.trim().trim_end_matches("/v1/apps/…").to_owned());
                }
            }
            None
        };
        let address = tokio::time::timeout(HANG_LIMIT, address).await.expect("the worker does not become ready");
        let address = address.unwrap_or_else(|| panic!("the worker ended:\n{}", last_words(&self.log)));
        self.door.send_replace(Some(address));
        clock::now().0
    }

    /// SIGKILL; wall time of it in milliseconds.
    pub(crate) fn kill(mut self) -> u64 {
        self.end()
    }

    /// SIGTERM. The door stays open: what it still answers is for the scenario to see.
    pub(crate) fn terminate(&self) {
        self.signal("TERM");
    }

    /// Stops the process where it is; returns when none of its threads is in the kernel.
    pub(crate) async fn freeze(&self) {
        self.signal("STOP");
        let tasks = format!("/proc/{}/task", self.child.id());
        let stopped = |stat: String| stat.rsplit(')').next().is_some_and(|rest| rest.trim_start().starts_with('T'));
        loop {
            let threads = std::fs::read_dir(&tasks).unwrap().flatten();
            let mut stats = threads.filter_map(|thread| std::fs::read_to_string(thread.path().join("stat")).ok());
            if stats.all(stopped) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    /// Lets a frozen process go on.
    pub(crate) fn resume(&self) {
        self.signal("CONT");
    }

    /// Lets the process run for some two milliseconds of each half second.
    pub(crate) async fn starve(&self, time: Duration) {
        let turn = "kill -CONT $0; sleep 0.001; kill -STOP $0; sleep 0.497";
        let script = format!("i=0; while [ $i -lt $1 ]; do {turn}; i=$((i+1)); done; kill -CONT $0");
        let (id, turns) = (self.child.id().to_string(), (time.as_millis() / 500).to_string());
        let starving =
            tokio::task::spawn_blocking(move || Command::new("sh").args(["-c", &script, &id, &turns]).status());
        assert!(starving.await.unwrap().unwrap().success());
    }

    /// What the process has used of its processors.
    pub(crate) fn used(&self) -> Duration {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap();
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
        // In hundredths of a second, in user mode and in the kernel.
        let ticks: u64 = fields[11..13].iter().map(|ticks| ticks.parse::<u64>().unwrap()).sum();
        Duration::from_millis(ticks * 10)
    }

    /// Waits until it ended by itself.
    pub(crate) async fn ended(&mut self, patience: Duration) -> Option<ExitStatus> {
        let ended = async {
            loop {
                if let Some(status) = self.child.try_wait().unwrap() {
                    return status;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let status = tokio::time::timeout(patience, ended).await.ok();
        if status.is_some() {
            self.door.send_replace(None);
        }
        status
    }

    fn end(&mut self) -> u64 {
        self.door.send_replace(None);
        let at = clock::now().0;
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
        at
    }

    fn signal(&self, name: &str) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args([&format!("-{name}"), &id]).status().unwrap().success());
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.end();
    }
}

/// The end of a log.
pub(crate) fn last_words(log: &Path) -> String {
    let lines: Vec<String> =
        File::open(log).map(|file| BufReader::new(file).lines().map_while(Result::ok).collect()).unwrap_or_default();
    lines[lines.len().saturating_sub(40)..].join("\n")
}
