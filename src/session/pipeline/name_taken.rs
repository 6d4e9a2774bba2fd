//! A name that is taken: the bucket holds another object there than the recording made, and nothing is put over it.
//!
//! A segment that is there was confirmed in an earlier run of which the worker's disk knows nothing, so it counts as it is if it lies in
//! the same place: the ledger learns where it holds more or less. Where it can't be read, or has another length, it stays where it is, and
//! what was made is put under another name, with the vendor's prefix `bak<n>_`
//! (docs/protocol/agora.md section 4.1). Of init segments and whole files the bucket's one counts. A playlist or a document, which only a
//! write-once bucket refuses, counts as settled with the text that is there. Event 2 says so each time.

use bytes::Bytes;

use super::Pipeline;
use crate::callback::event::{RecordingEvent, UploadWarning, Warning};
use crate::recording::Segment;
use crate::session::fixed::FixedSegment;
use crate::session::in_bucket::{LOOK_TIME, MAX_SEGMENT_BYTES, place};
use crate::session::objects::Stored;
use crate::session::publication::Change;
use crate::storage::{Confirmed, Held, ObjectKind, Proof, SpoolError, SpooledObject};

/// What is said of a name that is taken; `key` is the whole one.
pub(in crate::session) const fn name_taken(file_name: String) -> RecordingEvent {
    RecordingEvent::Warning(Warning::Upload(UploadWarning::NameTaken { file_name }))
}

impl Pipeline {
    /// Goes on with what the bucket holds, or under another name.
    pub(super) async fn name_is_taken(&mut self, object: SpooledObject, held: Option<Held>) -> Result<(), SpoolError> {
        let (name, kind) = (object.name.clone(), object.kind);
        tracing::warn!(sid = %self.context.plan.sid, name, ?held, "the bucket holds another object of this name, which stays");
        let backup_place = self.publication.place_of(&name);
        let change = match (kind, self.publication.playlist_named(&name)) {
            (ObjectKind::Playlist, Some(playlist)) => self.publication.playlist_kept(&playlist),
            (ObjectKind::Playlist | ObjectKind::Document, _) => Change::default(),
            (ObjectKind::Segment, _) if !self.publication.is_promised() => {
                self.segment_is_taken(&object, held.is_some()).await?
            }
            _ => {
                if let Some(Held { size: Some(size), sha256: Some(sha256), .. }) = held {
                    self.objects.insert(name.clone(), Stored { kind, size, sha256 });
                }
                self.unconfirmed.remove(&name);
                self.publication.stored(&name)
            }
        };
        self.queue.let_go(object);
        self.append_events(vec![name_taken(self.context.plan.key(&name))]).await;
        self.react(change).await?;
        self.restored_to_primary(backup_place);
        // The ledger may have learned that more is kept, and nothing else may happen until the manifest is written.
        if self.earlier_runs.is_none() {
            self.account();
        }
        Ok(())
    }

    async fn segment_is_taken(&mut self, object: &SpooledObject, readable: bool) -> Result<Change, SpoolError> {
        let made = self.context.spool.read(object).await?;
        let held = if readable { self.segment_in_bucket(&object.name).await } else { None };
        match held {
            Some((fixed, bytes)) => {
                let segment = Segment {
                    playlist: fixed.playlist.clone(),
                    index: 0,
                    start: fixed.entry.start,
                    duration: fixed.entry.duration,
                    bytes: made,
                };
                self.compare_with(&fixed, &segment, Some(bytes));
                let Stored { size, sha256, .. } = fixed.stored.clone();
                self.publication.resized(&object.name, size);
                let confirmed = Confirmed { size, sha256, proof: Proof::Length };
                self.write_stored(&object.name, object.kind, &confirmed).await;
                self.objects.insert(object.name.clone(), fixed.stored);
                self.unconfirmed.remove(&object.name);
                Ok(self.publication.stored(&object.name))
            }
            None => {
                if let Some(name) = self.publication.rename(&object.name) {
                    let silenced = self.silenced.remove(&object.name);
                    self.unconfirmed.remove(&object.name);
                    if silenced {
                        self.silenced.insert(name.clone());
                    }
                    self.put(&name, object.kind, made).await?;
                }
                Ok(Change::default())
            }
        }
    }

    /// What lies under a segment's name, if it lies in the same place.
    async fn segment_in_bucket(&self, name: &str) -> Option<(FixedSegment, Bytes)> {
        let (playlist, entry) = self.publication.waiting_entry(name)?;
        let (playlist, entry) = (playlist.clone(), entry?.clone());
        let bucket = self.queue.bucket();
        let bytes = bucket.get_within(LOOK_TIME, &bucket.key(name), MAX_SEGMENT_BYTES).await.ok()??;
        place(name, &bytes).filter(|held| *held == entry)?;
        let stored = Stored::of(ObjectKind::Segment, &bytes);
        Some((FixedSegment { playlist, entry, stored, in_bucket: true, silenced: false }, bytes))
    }
}
