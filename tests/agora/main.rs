//! The contract with callers of the original, row by row: `agora_<section>_*` are the rows of docs/protocol/agora.md, `callers_<section>_*`
//! the lines of docs/protocol/callers.md. Each case names its row. docs/compatibility.md is the index: every row with the test that covers
//! it, here or elsewhere, or why it is refused; `compatibility_page` holds it to that.
//!
//! `citations` holds every citation of the repository to what is there.
//!
//! Sections 5 and 6, events, are in tests/callbacks, tests/rest/callbacks.rs and tests/channel.

#![allow(clippy::unwrap_used, reason = "a test that can't go on has failed")]

use test_support::{binary, channel, talker, world};

mod contract;
mod readers;

mod agora_1_acquire;
mod agora_1_gateway;
mod agora_1_query;
mod agora_1_stop;
mod agora_1_update;
mod agora_2_idle;
mod agora_2_start;
mod agora_2_storage;
mod agora_3_errors;
mod agora_4_files;
mod agora_8_names;
mod callers_1_requests;
mod callers_2_answers;
mod callers_4_bucket;
mod citations;
mod compatibility_page;
