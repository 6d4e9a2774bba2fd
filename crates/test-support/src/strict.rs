//! Tests that need something of the machine: root, a loop device, a real server.

use std::path::Path;

/// Says loudly that a test is skipped, and why. Where `STRICT` is set, as in continuous integration, the test fails instead: a green run
/// has tested everything.
pub fn skipped(test: &str, why: &str) {
    let said = format!("#### SKIPPED: {test}: {why} ####");
    assert!(std::env::var_os("STRICT").is_none_or(|strict| strict.is_empty()), "{said} STRICT allows no skipping");
    println!("{said}");
}

/// A real S3 server, versitygw: the program that `CLOUD_RECORDER_VERSITYGW` names, else the one that `tests/peers/setup.sh` built. Without
/// one the test is [`skipped`].
pub fn versitygw(test: &str) -> Option<String> {
    let built = concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/peers/bin/versitygw");
    let program = std::env::var("CLOUD_RECORDER_VERSITYGW").ok().unwrap_or_else(|| built.to_owned());
    if Path::new(&program).exists() {
        return Some(program);
    }
    skipped(test, "CLOUD_RECORDER_VERSITYGW names no program, and tests/peers/setup.sh built none");
    None
}
