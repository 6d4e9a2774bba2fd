//! A command whose output nobody reads to its end stops without a word: no panic, and never the exit code of a success that it did not
//! print.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};

use crate::hls::{Hls, sine};
use crate::replayed::fixture;

const BINARY: &str = env!("CARGO_BIN_EXE_cloud-recorder");

/// 128 and the number of SIGPIPE.
const CLOSED: i32 = 141;

/// Every command that ends by itself, with output of a line and of many pages.
fn commands(folder: &Path) -> Vec<Vec<PathBuf>> {
    let hls = Hls::new(1, &sine(440.0, 20, 1));
    let playlist = folder.join("list");
    std::fs::rename(hls.folder.path(), &playlist).unwrap();
    let playlist = playlist.join("list.m3u8");
    let configuration = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/cloud-recorder.toml");
    let journal = fixture("two-talkers-dtx.journal");
    let own = |words: &[&str], path: &[&Path]| {
        words.iter().map(PathBuf::from).chain(path.iter().map(PathBuf::from)).collect::<Vec<_>>()
    };
    vec![
        own(&["reference", "openapi"], &[]),
        own(&["reference", "config"], &[]),
        own(&["config", "--config"], &[&configuration]),
        own(&["token", "hash-secret", "--generate"], &[]),
        own(&["verify"], &[&playlist]),
        own(&["verify", "--json"], &[&playlist]),
        own(&["replay", "--mode", "mix", "--out"], &[&folder.join("a"), &journal]),
        own(&["replay", "--mode", "mix", "--json", "--out"], &[&folder.join("b"), &journal]),
    ]
}

#[test]
fn a_closed_output_ends_every_command_quietly() {
    let folder = tempfile::tempdir().unwrap();
    for command in commands(folder.path()) {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let output = Command::new(BINARY).args(&command).stdout(writer).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!((output.status.code(), &*said), (Some(CLOSED), ""), "{command:?}");
    }
}

#[test]
fn the_first_line_can_be_had_alone() {
    let folder = tempfile::tempdir().unwrap();
    for command in commands(folder.path()) {
        let errors = std::fs::File::create(folder.path().join("errors")).unwrap();
        let pipe =
            Command::new("sh").args(["-c", r#""$0" "$@" | head -n 1"#, BINARY]).args(&command).stderr(errors).output();
        let (output, said) = (pipe.unwrap(), std::fs::read_to_string(folder.path().join("errors")).unwrap());
        let lines = String::from_utf8(output.stdout).unwrap();
        assert_eq!((lines.lines().count(), &*said), (1, ""), "{command:?}");
    }
}

#[test]
fn a_full_disk_under_the_output_is_an_error_with_words() {
    let status = |closed: bool| -> (ExitStatus, String) {
        let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let errors = if closed { Stdio::null() } else { Stdio::piped() };
        let output = Command::new(BINARY).args(["reference", "config"]).stdout(full).stderr(errors).output().unwrap();
        (output.status, String::from_utf8(output.stderr).unwrap())
    };
    let (code, said) = status(false);
    assert_eq!(code.code(), Some(1));
    assert!(said.contains("standard output takes nothing"), "{said}");
    assert_eq!(status(true).0.code(), Some(1));
}
