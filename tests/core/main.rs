//! The recording core and its artefacts, judged by tools that this project did not write. One scenario a file.

#![allow(clippy::unwrap_used, reason = "a test that can't go on has failed")]

mod ear;
mod hls;
mod segments_are_read_by_others;
mod talkers_can_be_told_apart;
mod verify_says_what_is_wrong;
