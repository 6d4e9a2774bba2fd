//! What goes over the wire: request bodies into `session`'s types, what sessions know into answers.

pub(super) mod acquire;
pub(super) mod answer;
pub(super) mod fields;
mod hash;
mod layout;
pub(super) mod start;
mod storage;
mod subscribe;
pub(super) mod task;
mod who;

pub(super) use hash::of as digest;
pub(super) use who::Claimed;
