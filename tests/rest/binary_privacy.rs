//! What a worker writes is for its own user: its files whatever the umask, and a log that is text where it is no terminal. Whoever
//! reads log and banner may go away.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::world::until;

const BINARY: &str = env!("CARGO_BIN_EXE_cloud-recorder");

/// How long a worker that was told to stop may take, and how often it is looked at.
const STOP_TIMEOUT: Duration = Duration::from_secs(60);
const STOP_LOOK: Duration = Duration::from_millis(20);

/// A folder's or file's mode.
fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

/// Everything below a folder.
fn below(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries
        .flat_map(|path| if path.is_dir() { [vec![path.clone()], below(&path)].concat() } else { vec![path] })
        .collect()
}

/// A running worker. It is killed when dropped.
struct Worker(Child);

impl Drop for Worker {
    fn drop(&mut self) {
        // A child that is gone already needs no killing.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// `serve` with everything embedded on free ports, started with this umask; output and log go to files of `folder`.
fn serve(folder: &Path, umask: &str) -> Worker {
    let config = folder.join("worker.toml");
    let text = r#"
[server]
listen = "127.0.0.1:0"
[channel_server]
udp_listen = "127.0.0.1:0"
[bucket]
enabled = true
listen = "127.0.0.1:0"
secret_key = "0123456789abcdef"
[[apps]]
id = "0123456789abcdef0123456789abcdef"
certificate = "fedcba9876543210fedcba9876543210"
customer_id = "customer"
customer_secret = "0123456789abcdef"
"#;
    std::fs::write(&config, text).unwrap();
    let file = |name: &str| std::fs::File::create(folder.join(name)).unwrap();
    let script = format!(r#"umask {umask}; exec "$0" serve --config "$1" --data-dir "$2""#);
    let mut command = Command::new("sh");
    command.args(["-c", &script, BINARY]).arg(&config).arg(folder.join("data"));
    command.env("RUST_LOG", "debug").env("TERM", "xterm-256color").stdout(file("out")).stderr(file("err"));
    Worker(command.spawn().unwrap())
}

async fn until_it_serves(folder: &Path) -> String {
    let out = folder.join("out");
    until(async || std::fs::read_to_string(&out).ok().filter(|said| said.contains("\nData "))).await
}

/// Tells it to stop, and waits until it has.
async fn stop(mut worker: Worker) {
    let told = Command::new("kill").args(["-TERM", &worker.0.id().to_string()]).status();
    assert!(told.unwrap().success());
    let mut waited = Duration::ZERO;
    let status = loop {
        if let Some(status) = worker.0.try_wait().unwrap() {
            break status;
        }
        assert!(waited < STOP_TIMEOUT, "the worker does not stop");
        tokio::time::sleep(STOP_LOOK).await;
        waited += STOP_LOOK;
    };
    assert!(status.success(), "{status}");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_other_user_can_read_what_a_worker_writes() {
    for umask in ["022", "000"] {
        let folder = tempfile::tempdir().unwrap();
        let worker = serve(folder.path(), umask);
        until_it_serves(folder.path()).await;
        stop(worker).await;
        let data = folder.path().join("data");
        let written = [vec![data.clone()], below(&data)].concat();
        let names: Vec<_> = written.iter().map(|path| path.file_name().unwrap().to_str().unwrap()).collect();
        for expected in ["journal", "spool", "bucket", "recorder.db", "seal.key"] {
            assert!(names.contains(&expected), "{names:?}");
        }
        for path in &written {
            let expected = if path.is_dir() { 0o700 } else { 0o600 };
            assert_eq!(mode(path), expected, "{} under umask {umask}", path.display());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_older_version_left_open_is_closed_at_the_start() {
    let folder = tempfile::tempdir().unwrap();
    stop_after_start(folder.path()).await;
    let data = folder.path().join("data");
    // A sealing key that others can read is refused: it always was 0600.
    let all = [vec![data.clone()], below(&data)].concat();
    for path in all.into_iter().filter(|path| !path.ends_with("seal.key")) {
        let open = if path.is_dir() { 0o755 } else { 0o644 };
        std::fs::set_permissions(&path, Permissions::from_mode(open)).unwrap();
    }
    stop_after_start(folder.path()).await;
    for name in ["", "journal", "spool", "bucket"] {
        assert_eq!(mode(&data.join(name)), 0o700, "{name}");
    }
    assert_eq!(mode(&data.join("recorder.db")), 0o600);
}

async fn stop_after_start(folder: &Path) {
    let worker = serve(folder, "022");
    until_it_serves(folder).await;
    stop(worker).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_in_a_file_is_plain_text() {
    let folder = tempfile::tempdir().unwrap();
    stop_after_start(folder.path()).await;
    for name in ["out", "err"] {
        let text = std::fs::read(folder.path().join(name)).unwrap();
        assert!(!text.is_empty() && !text.contains(&0x1b), "{name} has escapes: {}", String::from_utf8_lossy(&text));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_goes_on_when_nobody_reads_its_banner_and_its_log() {
    let folder = tempfile::tempdir().unwrap();
    let first = serve(folder.path(), "022");
    until_it_serves(folder.path()).await;
    stop(first).await;
    let config = folder.path().join("worker.toml");
    let text = std::fs::read_to_string(&config)
        .unwrap()
        .replace("listen = \"127.0.0.1:0\"\n[channel", &format!("listen = \"127.0.0.1:{}\"\n[channel", free_port()));
    std::fs::write(&config, &text).unwrap();
    let port = text.split("127.0.0.1:").nth(1).unwrap().split('"').next().unwrap().to_owned();
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut command = Command::new(BINARY);
    command.args(["serve", "--config"]).arg(&config).arg("--data-dir").arg(folder.path().join("data"));
    command.env("RUST_LOG", "debug").stdin(Stdio::null()).stdout(writer.try_clone().unwrap()).stderr(writer);
    let worker = Worker(command.spawn().unwrap());
    let url = format!("http://127.0.0.1:{port}/livez");
    let get = async || reqwest::get(&url).await.ok().filter(|answer| answer.status().is_success()).map(drop);
    until(get).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    until(get).await;
    stop(worker).await;
}

/// A port that nobody listens on right now.
fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}
