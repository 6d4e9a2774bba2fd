//! The event log as the bucket gets it, rendered from the store.

use std::time::Duration;

use sha2::{Digest, Sha256};

use crate::callback::LogChain;
use crate::session::manifest::EventsPrefix;
use crate::storage::Bucket;
use crate::store::{Store, StoreError};
use crate::units::Sid;

/// Events read from the store in one go.
const PAGE: u32 = 1000;
/// How long a look at the log in the bucket may take.
const LOOK_TIME: Duration = Duration::from_secs(5);
/// Longest log that is read back, in bytes.
const MAX_LOG_BYTES: u64 = 64 << 20;

/// The whole log as it is in the store. A later one of the same recording begins with the same bytes.
pub(super) struct EventLog {
    pub(super) text: String,
    lines: u64,
}

impl EventLog {
    /// Reads it.
    pub(super) async fn read(store: &Store, sid: &Sid) -> Result<Self, StoreError> {
        let (mut log, mut chain, mut after) = (Self { text: String::new(), lines: 0 }, LogChain::default(), None);
        loop {
            let page = store.events(sid, after, PAGE).await?;
            let Some(last) = page.last() else { return Ok(log) };
            after = Some(last.sequence);
            log.lines += page.len() as u64;
            page.iter().for_each(|event| log.text.push_str(&chain.line(event)));
        }
    }

    /// Whether it may be put under `name`: the log in a bucket only grows. One that has lines that this one lacks was written by a run of
    /// which this worker's database knows nothing, and stays. What can't be read is taken for an earlier text of this one.
    pub(super) async fn may_be_put(&self, bucket: &Bucket, name: &str) -> bool {
        match bucket.get_within(LOOK_TIME, &bucket.key(name), MAX_LOG_BYTES).await {
            Ok(Some(held)) => self.extends(&String::from_utf8_lossy(&held)),
            Ok(None) | Err(_) => true,
        }
    }

    /// Whether it begins with the events of another log.
    fn extends(&self, held: &str) -> bool {
        let mut ours = self.text.lines();
        held.lines().all(|line| ours.next().is_some_and(|ours| notice_id(ours) == notice_id(line)))
    }

    /// How much it is, and its hash.
    pub(super) fn covered(&self) -> EventsPrefix {
        EventsPrefix { lines: self.lines, sha256: sha256_hex(self.text.as_bytes()) }
    }
}

/// What names the event in a line.
fn notice_id(line: &str) -> Option<String> {
    let line: serde_json::Value = serde_json::from_str(line).ok()?;
    Some(line.get("noticeId")?.as_str()?.to_owned())
}

/// SHA-256 in lower-case hexadecimal.
pub(super) fn sha256_hex(bytes: &[u8]) -> String {
    format!("{:x}", Sha256::digest(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(ids: &[&str]) -> EventLog {
        let text: String = ids.iter().map(|id| format!("{{\"noticeId\":\"{id}\"}}\n")).collect();
        EventLog { lines: ids.len() as u64, text }
    }

    #[test]
    fn a_log_that_lacks_lines_of_the_one_in_the_bucket_is_not_put() {
        let ours = log(&["a", "b", "c"]);
        assert!(ours.extends("") && ours.extends(&log(&["a", "b"]).text) && ours.extends(&ours.text));
        assert!(ours.extends("{\"noticeId\":\"a\",\"prev\":\"0\"}\n"), "the words around it may differ");
        assert!(!ours.extends(&log(&["a", "b", "c", "d"]).text) && !ours.extends(&log(&["a", "x"]).text));
    }
}
