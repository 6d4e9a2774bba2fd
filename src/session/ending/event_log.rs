//! The event log as the bucket gets it, rendered from the store.

use sha2::{Digest, Sha256};

use crate::callback::LogChain;
use crate::session::manifest::EventsPrefix;
use crate::store::{Store, StoreError};
use crate::units::Sid;

/// Events read from the store in one go.
const PAGE: u32 = 1000;

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

    /// How much it is, and its hash.
    pub(super) fn covered(&self) -> EventsPrefix {
        EventsPrefix { lines: self.lines, sha256: sha256_hex(self.text.as_bytes()) }
    }
}

/// SHA-256 in lower-case hexadecimal.
pub(super) fn sha256_hex(bytes: &[u8]) -> String {
    format!("{:x}", Sha256::digest(bytes))
}
