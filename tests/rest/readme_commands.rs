//! What a development server prints for a first recording, pasted into a shell.

use std::process::{Command, Stdio};

use serde_json::Value;

use crate::world::until;

/// A running development server. It is killed when dropped.
struct Server(std::process::Child);

impl Drop for Server {
    fn drop(&mut self) {
        // A child that is gone already needs no killing.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_banner_can_be_pasted() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    let ports = ["SERVER__LISTEN", "BUCKET__LISTEN", "CHANNEL_SERVER__UDP_LISTEN"];
    let child = Command::new(env!("CARGO_BIN_EXE_cloud-recorder"))
        .args(["serve", "--data-dir"])
        .arg(folder.path().join("data"))
        .envs(ports.map(|port| (format!("CLOUD_RECORDER__{port}"), "127.0.0.1:0")))
        .stdout(std::fs::File::create(&out).unwrap())
        .stderr(Stdio::null())
        .spawn();
    let _server = Server(child.unwrap());
    let said = || std::fs::read_to_string(&out).unwrap();
    until(async || said().contains("\"endReason\"").then_some(())).await;
    let banner = said();
    let commands: String =
        banner.lines().filter_map(|line| line.strip_prefix("  ")).map(|line| format!("{line}\n")).collect();
    let shell = tokio::task::spawn_blocking(move || Command::new("sh").args(["-c", &commands]).output().unwrap());
    let shell = shell.await.unwrap();
    let (printed, errors) =
        (String::from_utf8(shell.stdout).unwrap(), String::from_utf8_lossy(&shell.stderr).into_owned());
    let mut answers = serde_json::Deserializer::from_str(&printed).into_iter::<Value>();
    let mut answer = || answers.next().unwrap_or_else(|| panic!("{printed}{errors}")).unwrap();
    let (query, stop) = (answer(), answer());
    assert_eq!(query["state"], "recording", "{printed}{errors}");
    assert_eq!((&stop["sid"], &stop["cname"]), (&query["sid"], &"demo".into()), "{printed}{errors}");
    let playlist = format!("/recordings/{}_demo.m3u8", query["sid"].as_str().unwrap());
    let last = printed.lines().last().unwrap();
    assert!(last.contains("http://127.0.0.1:") && last.ends_with(&playlist), "{printed}");
}
