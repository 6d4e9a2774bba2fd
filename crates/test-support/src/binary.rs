//! The built binary, serving: everything that it writes lies in one folder.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::Duration;

use crate::world::until;

/// How long a worker that was told to stop may take.
const STOP_TIMEOUT: Duration = Duration::from_secs(60);

/// A running `cloud-recorder serve`. It is killed when dropped.
pub struct Binary {
    child: Child,
    /// `http://127.0.0.1:port`
    pub url: String,
    out: PathBuf,
}

impl Binary {
    /// Starts it with this configuration, logs and all into files of `folder`, and waits until it serves.
    pub async fn serve(folder: &Path, config: &Path, environment: &[(&str, &str)]) -> Self {
        let mut command = Command::new(program());
        command.envs(environment.iter().copied());
        Self::run(folder, config, command).await
    }

    /// The same of a worker that may open `files` files at most, and can't raise that.
    pub async fn serve_with(files: u32, folder: &Path, config: &Path) -> Self {
        let mut command = Command::new("sh");
        command.args(["-c", &format!("ulimit -n {files} && exec \"$@\""), "sh"]).arg(program());
        Self::run(folder, config, command).await
    }

    async fn run(folder: &Path, config: &Path, mut command: Command) -> Self {
        let number = (0..).find(|number| !log(folder, *number, "out").exists()).unwrap();
        let file = |kind: &str| File::create(log(folder, number, kind)).unwrap();
        let child =
            command.args(["serve", "--config"]).arg(config).stdout(file("out")).stderr(file("err")).spawn().unwrap();
        let mut binary = Self { child, url: String::new(), out: log(folder, number, "out") };
        until(async || std::fs::read_to_string(&binary.out).unwrap().contains("\nData ").then_some(())).await;
        binary.url = binary.said("REST API");
        binary
    }

    /// `http://address:port` of one of the things that it said it serves.
    pub fn said(&self, what: &str) -> String {
        let said = std::fs::read_to_string(&self.out).unwrap();
        let line = said.lines().find(|line| line.starts_with(what)).unwrap();
        format!("http://{}", line.split("http://").nth(1).unwrap().split('/').next().unwrap())
    }

    /// Its private memory in KiB: no file's pages, nothing that was given back.
    pub fn memory_kib(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).unwrap();
        line.trim().trim_end_matches(" kB").parse().unwrap()
    }

    /// Sends it a signal (`-HUP`).
    pub fn signal(&self, signal: &str) {
        let told = Command::new("kill").args([signal, &self.child.id().to_string()]).status().unwrap();
        assert!(told.success());
    }

    /// Tells it to stop, and waits until it has.
    pub async fn stop(mut self) {
        self.signal("-TERM");
        let mut waited = Duration::ZERO;
        while self.child.try_wait().unwrap().is_none() {
            assert!(waited < STOP_TIMEOUT, "the worker does not stop");
            tokio::time::sleep(Duration::from_millis(20)).await;
            waited += Duration::from_millis(20);
        }
    }
}

impl Drop for Binary {
    fn drop(&mut self) {
        // A child that is gone already needs no killing.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Cargo builds it beside the folder of the test that runs.
fn program() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    test.ancestors().nth(2).unwrap().join("cloud-recorder")
}

fn log(folder: &Path, number: u32, kind: &str) -> PathBuf {
    folder.join(format!("worker-{number}.{kind}"))
}
