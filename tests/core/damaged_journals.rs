//! `replay` of journals that are damaged or end early: what is left is made, and the command says that it is not all.

use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

use crate::replayed::fixture;

/// Replays a journal of these bytes; the exit code, the report, and what people read.
fn replay(bytes: &[u8]) -> (Option<i32>, Value, String) {
    let folder = TempDir::new().unwrap();
    let journal = folder.path().join("some.journal");
    std::fs::write(&journal, bytes).unwrap();
    let run = |more: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_cloud-recorder"));
        command.args(["replay", "--mode", "individual", "--out"]).args([folder.path(), &journal]).args(more);
        command.output().unwrap()
    };
    let (json, text) = (run(&["--json"]), run(&[]));
    assert_eq!(json.status.code(), text.status.code());
    let report = serde_json::from_slice(&json.stdout).unwrap_or_default();
    (json.status.code(), report, String::from_utf8(text.stdout).unwrap())
}

fn whole() -> Vec<u8> {
    std::fs::read(fixture("double-talk.journal")).unwrap()
}

#[test]
fn a_whole_one_is_complete() {
    let (code, report, text) = replay(&whole());
    assert_eq!((code, &report["complete"], &report["note"]), (Some(0), &Value::Bool(true), &Value::Null));
    assert!(!text.contains("incomplete"), "{text}");
}

#[test]
fn one_without_its_end_is_not() {
    let mut bytes = whole();
    bytes.truncate(bytes.len() / 2);
    let (code, report, text) = replay(&bytes);
    assert_eq!((code, &report["complete"]), (Some(1), &Value::Bool(false)));
    assert!(report["note"].as_str().unwrap().contains("does not say when the recording ended"));
    assert_eq!(report["damages"], Value::Array(Vec::new()), "a torn tail is no damage");
    assert!(report["length"].as_u64().unwrap() > 48_000 * 5 && text.contains("incomplete"), "{text}");
}

#[test]
fn a_damaged_one_is_not_and_says_where() {
    let mut bytes = whole();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    let (code, report, text) = replay(&bytes);
    assert_eq!((code, &report["complete"]), (Some(1), &Value::Bool(false)));
    let [part] = &report["damages"].as_array().unwrap()[..] else { panic!("{report}") };
    let (offset, length) = (part["offset"].as_u64().unwrap(), part["bytes"].as_u64().unwrap());
    assert!((offset..offset + length).contains(&(middle as u64)) && length < 2_000, "{part}");
    assert!(text.contains(&format!("{length} bytes at byte {offset}")) && text.contains("incomplete"), "{text}");
    let (_, sound, _) = replay(&whole());
    let lengths = [&report, &sound].map(|report| report["length"].as_u64().unwrap());
    assert!(
        lengths[0].abs_diff(lengths[1]) < 48_000 / 10,
        "the rest is there: {lengths:?}; old journals have no clock records"
    );
}

#[test]
fn a_damaged_header_costs_nothing_else() {
    let mut bytes = whole();
    bytes[3] ^= 1;
    let (code, report, _) = replay(&bytes);
    assert_eq!((code, &report["damages"][0]["offset"]), (Some(1), &Value::from(0)));
    let (_, sound, _) = replay(&whole());
    assert_eq!(report["files"], sound["files"]);
}

#[test]
fn something_else_is_refused() {
    assert_eq!(replay(b"#EXTM3U and more bytes than a header").0, Some(1));
}
