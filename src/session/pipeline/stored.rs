//! What the bucket confirmed is written down before a playlist names it, so that another run of the worker takes it as it is.

use std::time::Duration;

use tokio::time::timeout;

use super::Pipeline;
use crate::recording::PlaylistId;
use crate::session::objects::Stored;
use crate::session::publication::Change;
use crate::storage::journal::{Record, StoredObject};
use crate::storage::{Confirmed, ObjectKind};
use crate::units::Ticks;

/// How long a playlist waits for the journal to note what it names; a disk that takes longer has other trouble.
const FLUSH_TIME: Duration = Duration::from_secs(2);

impl Pipeline {
    /// Makes the confirmation of a media object durable. Where the disk refuses that, the bucket itself is the only witness; the
    /// recording goes on. Where that can't be read there is none, and playlists wait ([`super::held_back`]).
    pub(super) async fn write_stored(&mut self, name: &str, kind: ObjectKind, confirmed: &Confirmed) {
        let Some(object) = self.stored_object(name, kind, confirmed) else { return };
        if !self.write_down(std::slice::from_ref(&object)).await && !self.finished {
            self.is_unwritten(object);
        }
    }

    /// Whether these confirmations are durable now.
    pub(super) async fn write_down(&self, objects: &[StoredObject]) -> bool {
        let sid = &self.context.plan.sid;
        for object in objects {
            let (sid, name, object) = (sid.clone(), &object.name, object.clone());
            if let Err(error) = self.context.journal.append(&Record::Stored { sid, object }) {
                tracing::warn!(sid = %self.context.plan.sid, name, "that the bucket holds it is not in the journal: {error}");
                return false;
            }
        }
        // A disk that refuses everything would hold up the recording once for each object.
        if self.context.journal.trouble().is_some() {
            return false;
        }
        match timeout(FLUSH_TIME, self.context.journal.flush()).await {
            Ok(Ok(())) => return true,
            Ok(Err(error)) => tracing::warn!(%sid, "what the bucket holds is not noted on the disk yet: {error}"),
            Err(_) => tracing::warn!(%sid, "the disk takes long to note what the bucket holds"),
        }
        false
    }

    /// A media file is in the bucket, with these bytes.
    pub(super) fn media_stored(&mut self, name: &str, sha256: &str) -> Change {
        self.silenced.remove(name);
        if let Some(made) = self.unconfirmed.remove(name)
            && made.sha256 != sha256
        {
            // The file in the spool was damaged on the disk before it was read; what the bucket confirmed is final all the same.
            tracing::error!(sid = %self.context.plan.sid, name, "the bucket got other bytes than were made; check the disk");
        }
        self.publication.stored(name)
    }

    fn stored_object(&self, name: &str, kind: ObjectKind, confirmed: &Confirmed) -> Option<StoredObject> {
        let (playlist, start, duration) = match kind {
            ObjectKind::Playlist | ObjectKind::Document => return None,
            ObjectKind::Mp4 | ObjectKind::Ogg => (PlaylistId::Mix, Ticks::ZERO, Ticks::ZERO),
            ObjectKind::Init | ObjectKind::Segment => {
                let (playlist, entry) = self.publication.waiting_entry(name)?;
                let place = entry.map_or((Ticks::ZERO, Ticks::ZERO), |entry| (entry.start, entry.duration));
                (playlist.clone(), place.0, place.1)
            }
        };
        let sha256 = parse_sha256(&confirmed.sha256)?;
        let silenced = self.silenced.contains(name);
        Some(StoredObject {
            name: name.to_owned(),
            kind,
            playlist,
            start,
            duration,
            size: confirmed.size,
            sha256,
            silenced,
        })
    }
}

impl Stored {
    /// What the journal says that the bucket holds.
    pub(in crate::session) fn of_record(object: &StoredObject) -> Self {
        let sha256 = hex::encode(object.sha256);
        Self { kind: object.kind, size: object.size, sha256 }
    }
}

/// 64 hexadecimal digits as bytes.
fn parse_sha256(text: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    hex::decode_to_slice(text, &mut bytes).ok()?;
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_read_and_nothing_else_is() {
        assert_eq!(parse_sha256(&"0f".repeat(32)), Some([0x0f; 32]));
        for text in ["", "0f", &"0g".repeat(32), &"0f".repeat(33), &"é".repeat(32)] {
            assert_eq!(parse_sha256(text), None, "{text}");
        }
    }
}
