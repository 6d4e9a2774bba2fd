//! A recording that is made again around segments that are final: they take their places as they are, what lies between is made to
//! their borders, and the ledger learns where they hold more or less than the journal gives.

use std::time::Duration;

use bytes::Bytes;

use super::Pipeline;
use crate::codec::{silent, ts};
use crate::recording::{PlaylistId, Segment, sounding, without};
use crate::session::fixed::{FixedSegment, Stretch};
use crate::session::in_bucket::MAX_SEGMENT_BYTES;
use crate::session::objects::Stored;
use crate::storage::{Confirmed, Proof, SpoolError};
use crate::units::Ticks;

/// How long one look at a final segment in the bucket may take.
const LOOK_TIME: Duration = Duration::from_secs(5);
/// A final segment that is larger by this factor than what the journal gives holds more sound, where nobody can look into it.
pub(super) const RICHER: (u64, u64) = (3, 2);

/// Stretches of sound, in order and apart.
type Spans = Vec<(Ticks, Ticks)>;

impl Pipeline {
    /// Whether nothing that is final touches a segment of the core.
    pub(super) fn is_free(&self, segment: &Segment) -> bool {
        let end = self.fixed.end_of(&segment.playlist);
        end <= segment.start && self.publication.end_of(&segment.playlist) <= segment.start
    }

    /// Takes the parts of a segment of the core that are not held already, and what is held in its place.
    pub(super) async fn add_around_fixed(&mut self, segment: Segment) -> Result<(), SpoolError> {
        let length = self.context.plan.segment.ticks();
        let end = self.publication.end_of(&segment.playlist);
        if let Some(over) = self.publication.last_of(&segment.playlist).filter(|_| end > segment.start) {
            // A silent object that is final covers more than the segment that it was compared with.
            if silent::is_silent_object(over.duration, length) {
                self.lose_sound(&segment, end);
            }
        }
        let from = end.max(segment.start);
        for stretch in self.fixed.cut(&segment.playlist, from, segment.start + segment.duration) {
            match stretch {
                Stretch::Made(from, to) if silent::is_silent_object(segment.duration, length) => {
                    self.add_silence(&segment.playlist, from, to).await?;
                }
                Stretch::Made(from, to) => {
                    let part = segment.part(from, to, length).expect("the core's segments are whole");
                    let Some(part) = part else { continue };
                    for (from, to) in part.lost {
                        self.recorder.lose(&segment.playlist, from, to);
                    }
                    self.add_made(part.segment).await?;
                }
                Stretch::Fixed(fixed) => self.add_fixed(fixed, Some(&segment)).await?,
            }
        }
        Ok(())
    }

    /// Fills a stretch of a playlist with silence.
    async fn add_silence(&mut self, playlist: &PlaylistId, from: Ticks, to: Ticks) -> Result<(), SpoolError> {
        for silence in Segment::silence(playlist.clone(), from, to, self.context.plan.segment.ticks()) {
            for piece in self.pieces(silence) {
                self.add_made(piece).await?;
            }
        }
        Ok(())
    }

    /// What sounds in a segment of the core before `end` is not in its playlist.
    fn lose_sound(&mut self, segment: &Segment, end: Ticks) {
        for (from, to) in sounding(&segment.bytes).unwrap_or_default() {
            if from < end {
                self.recorder.lose(&segment.playlist, from, to.min(end));
            }
        }
    }

    /// The core has no more of a playlist: what is final behind its end follows, and silence between.
    pub(super) async fn add_fixed_rest(&mut self, playlist: &PlaylistId) -> Result<(), SpoolError> {
        let to = self.fixed.end_of(playlist);
        self.add_without_core(playlist, to).await
    }

    /// Playlists that earlier runs made and of which the journal knows nothing.
    pub(super) async fn add_fixed_playlists(&mut self) -> Result<(), SpoolError> {
        let unknown: Vec<_> =
            self.fixed.playlists().filter(|playlist| !self.publication.is_begun(playlist)).cloned().collect();
        for playlist in unknown {
            tracing::warn!(sid = %self.context.plan.sid, ?playlist, "the journal knows nothing of a playlist in the bucket");
            let init = playlist.init_segment(self.context.plan.profile);
            self.begin(&playlist, init).await?;
            self.add_fixed_rest(&playlist).await?;
        }
        Ok(())
    }

    /// Ends the playlists that the core did not end because it does not know them, as long as the others.
    pub(super) async fn close_fixed_playlists(&mut self) -> Result<(), SpoolError> {
        let end = self.publication.end();
        for playlist in self.publication.unclosed() {
            self.add_without_core(&playlist, end).await?;
            if self.publication.close(&playlist) {
                self.upload_playlist(&playlist).await?;
            }
        }
        Ok(())
    }

    /// Extends a playlist to `to` with what is final, and silence.
    pub(super) async fn add_without_core(&mut self, playlist: &PlaylistId, to: Ticks) -> Result<(), SpoolError> {
        let from = self.publication.end_of(playlist);
        for stretch in self.fixed.cut(playlist, from, to) {
            match stretch {
                Stretch::Made(from, to) => {
                    self.add_silence(playlist, from, to).await?;
                }
                Stretch::Fixed(fixed) => self.add_fixed(fixed, None).await?,
            }
        }
        Ok(())
    }

    /// A final segment takes its place; `made` is what the core made there.
    async fn add_fixed(&mut self, fixed: FixedSegment, made: Option<&Segment>) -> Result<(), SpoolError> {
        let playlist = fixed.playlist.clone();
        self.publication.add_entry(&playlist, fixed.entry.clone(), fixed.stored.size);
        let begins = self.slice_start(&playlist, fixed.entry.start, fixed.entry.end());
        self.append_events(begins.into_iter().collect()).await;
        if let Some(made) = made {
            self.compare(&fixed, made).await;
        }
        let name = fixed.entry.name;
        // What was in the spool may have been confirmed before the core came this far.
        let confirmed = !fixed.in_bucket && self.objects.holds(&name);
        if confirmed {
            let Stored { size, sha256, .. } = fixed.stored.clone();
            self.write_stored(&name, fixed.stored.kind, &Confirmed { size, sha256, proof: Proof::Length }).await;
        }
        if fixed.in_bucket || confirmed {
            self.objects.insert(name.clone(), fixed.stored);
            let change = self.publication.stored(&name);
            self.react(change).await?;
        } else {
            self.unconfirmed.insert(name, fixed.stored);
        }
        Ok(())
    }

    /// Books where a final segment holds more or less than what the journal gives.
    async fn compare(&mut self, fixed: &FixedSegment, made: &Segment) {
        let entry = &fixed.entry;
        let length = self.context.plan.segment.ticks();
        let part = match made.part(entry.start, entry.end(), length).ok().flatten() {
            Some(part) => Some(self.packed(part.segment).await),
            None => None,
        };
        let same = |part: &Segment| {
            (part.start, part.duration) == (entry.start, entry.duration)
                && Stored::of(fixed.stored.kind, &part.bytes).sha256 == fixed.stored.sha256
        };
        if part.as_ref().is_some_and(same) {
            return;
        }
        let bytes = self.fixed_bytes(fixed).await;
        let by_part = self.is_ts() || silent::is_silent_object(made.duration, length);
        let made = part.as_ref().filter(|_| by_part).unwrap_or(made);
        self.compare_with(fixed, made, bytes);
    }

    /// The same with the bytes of the final segment, where they could be had.
    pub(super) fn compare_with(&mut self, fixed: &FixedSegment, made: &Segment, bytes: Option<Bytes>) {
        let (entry, playlist) = (&fixed.entry, &made.playlist);
        let pauses = bytes.as_ref().filter(|_| playlist.uid().is_some()).and_then(|bytes| {
            let pauses = self.pauses.entry(playlist.clone()).or_default();
            pauses.of(bytes).ok()
        });
        let held = bytes.and_then(|bytes| sounding_in(&bytes));
        let held: Spans = match held {
            Some(spans) => spans,
            None if fixed.silenced => Vec::new(),
            None if fixed.stored.size * RICHER.1 > made.bytes.len() as u64 * RICHER.0 => {
                vec![(entry.start, entry.end())]
            }
            None => return,
        };
        let ours = sounding_in(&made.bytes).unwrap_or_default();
        let within = |(from, to): &(Ticks, Ticks)| ((*from).max(entry.start), (*to).min(entry.end()));
        let ours: Spans = ours.iter().map(within).filter(|(from, to)| from < to).collect();
        for (from, to) in without(&ours, &held) {
            self.recorder.lose(playlist, from, to);
        }
        for (from, to) in held {
            self.recorder.adopt(playlist, from, to);
        }
        for (from, to) in pauses.unwrap_or_default() {
            self.recorder.adopt_pause(playlist, from, to);
        }
    }

    async fn fixed_bytes(&self, fixed: &FixedSegment) -> Option<Bytes> {
        let name = &fixed.entry.name;
        let left = self
            .earlier_runs
            .as_ref()
            .and_then(|earlier_runs| earlier_runs.left.get(name))
            .or_else(|| self.copies.get(name));
        let left = left.filter(|_| !fixed.in_bucket);
        if let Some(object) = left
            && let Ok(bytes) = self.context.spool.read(object).await
        {
            return Some(bytes);
        }
        // What was in the spool may have been confirmed meanwhile.
        let bucket = self.queue.bucket();
        let got = bucket.get_within(LOOK_TIME, &bucket.key(name), MAX_SEGMENT_BYTES).await;
        got.inspect_err(|error| tracing::debug!(name, "a final segment can't be looked at: {error}")).ok()?
    }
}

/// Where the bytes of a segment hold packets of sound, whatever it is packed in.
fn sounding_in(bytes: &[u8]) -> Option<Spans> {
    if ts::is_ts(bytes) { ts::note(bytes).map(|note| note.spans()) } else { sounding(bytes).ok() }
}
