//! The built binary and its signals: SIGHUP reads the configuration again, SIGUSR1 and SIGUSR2 do nothing; a service manager hears what
//! the worker is about; examples of secrets are refused where others reach the worker.

use std::cell::RefCell;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::binary::Binary;
use crate::world::until;

const APP: &str = "0123456789abcdef0123456789abcdef";

fn config(folder: &Path, secret: &str, listen: &str) -> PathBuf {
    let file = folder.join("worker.toml");
    let data = folder.join("data");
    let text = format!(
        "[server]\nlisten = \"{listen}\"\ndata_dir = {data:?}\ndisk_reserve_mib = 1\n[channel_server]\nenabled = false\n\
         [[apps]]\nid = \"{APP}\"\ncustomer_id = \"id\"\ncustomer_secret = \"{secret}\"\n\
         channel = {{ livekit = {{ url = \"ws://127.0.0.1:1\", api_key = \"key\", api_secret = \"secret\" }} }}\n"
    );
    std::fs::write(&file, text).unwrap();
    file
}

async fn status(binary: &Binary, secret: &str) -> u16 {
    let url = format!("{}/v1/apps/{APP}/recordings", binary.url);
    reqwest::Client::new().get(url).basic_auth("id", Some(secret)).send().await.unwrap().status().as_u16()
}

/// The manager's socket, and what came that nobody waited for yet.
struct Manager(UnixDatagram, RefCell<Vec<String>>);

impl Manager {
    /// Waits for something that begins so; what came before it is forgotten.
    async fn hears(&self, word: &str) {
        until(async || {
            let (mut heard, mut buffer) = (self.1.borrow_mut(), [0; 256]);
            while let Ok(len) = self.0.recv(&mut buffer) {
                heard.push(String::from_utf8_lossy(&buffer[..len]).into_owned());
            }
            let found = heard.iter().position(|said| said.starts_with(word))?;
            drop(heard.drain(..=found));
            Some(())
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_changes_credentials_and_ends_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let file = config(folder.path(), "first", "127.0.0.1:0");
    let socket = folder.path().join("notify");
    let manager = Manager(UnixDatagram::bind(&socket).unwrap(), RefCell::default());
    manager.0.set_nonblocking(true).unwrap();
    let watchdog = Duration::from_secs(2).as_micros().to_string();
    let environment = [("NOTIFY_SOCKET", socket.to_str().unwrap()), ("WATCHDOG_USEC", watchdog.as_str())];
    let binary = Binary::serve(folder.path(), &file, &environment).await;
    manager.hears("READY=1").await;
    manager.hears("WATCHDOG=1").await;
    manager.hears("WATCHDOG=1").await;

    for signal in ["-USR1", "-USR2"] {
        binary.signal(signal);
    }
    config(folder.path(), "second", "127.0.0.1:0");
    assert_eq!((status(&binary, "first").await, status(&binary, "second").await), (200, 401), "not yet");
    binary.signal("-HUP");
    manager.hears("RELOADING=1\nMONOTONIC_USEC=").await;
    manager.hears("READY=1").await;
    assert_eq!((status(&binary, "first").await, status(&binary, "second").await), (401, 200));

    std::fs::write(&file, "this is no configuration").unwrap();
    binary.signal("-HUP");
    manager.hears("READY=1").await;
    assert_eq!(status(&binary, "second").await, 200, "what can't be read changes nothing");
    binary.stop().await;
    manager.hears("STOPPING=1").await;
}

#[test]
fn examples_are_refused_where_others_reach_them() {
    let folder = tempfile::tempdir().unwrap();
    let file = config(folder.path(), "change-me-secret", "0.0.0.0:0");
    let serve =
        Command::new(env!("CARGO_BIN_EXE_cloud-recorder")).args(["serve", "--config"]).arg(&file).output().unwrap();
    let said = String::from_utf8_lossy(&serve.stderr);
    assert_eq!(serve.status.code(), Some(1), "{said}");
    assert!(said.contains("apps[0].customer_secret") && said.contains("0.0.0.0:0"), "{said}");
    assert!(!said.contains("change-me-secret"), "{said}");
    assert!(!folder.path().join("data").exists(), "nothing was started");
}
