//! Playlists that wait until what they name is written down.
//!
//! The journal notes what the bucket confirmed before a playlist names it. While the disk takes nothing the bucket itself is the witness,
//! and the playlists go on. Where its credentials may not read there is no other witness than the journal: a playlist then waits for it,
//! as long as the recording runs. At the end it is given out all the same, since nothing of it is made again.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::time::Instant;

use super::Pipeline;
use crate::recording::PlaylistId;
use crate::storage::SpoolError;
use crate::storage::journal::StoredObject;

/// Most confirmations that are remembered for the journal. Past it the playlists wait for the recording's end.
const MAX_UNWRITTEN: usize = 1 << 16;

/// How far apart two attempts to write them down are.
const TRY_EVERY: Duration = Duration::from_secs(1);

/// See the module's documentation.
#[derive(Debug, Default)]
pub(super) struct HeldBack {
    /// What the bucket confirmed and the journal does not have.
    unwritten: Vec<StoredObject>,
    /// More than are remembered.
    overflow: bool,
    /// Playlists that would have been given out.
    playlists: BTreeSet<PlaylistId>,
    tried: Option<Instant>,
}

impl HeldBack {
    fn is_due(&self) -> bool {
        self.tried.is_none_or(|tried| tried.elapsed() >= TRY_EVERY)
    }
}

impl Pipeline {
    /// The journal does not have that the bucket holds this object.
    pub(super) fn is_unwritten(&mut self, object: StoredObject) {
        if self.queue.bucket().abilities().readable != Some(false) {
            return;
        }
        if self.held_back.unwritten.len() < MAX_UNWRITTEN {
            self.held_back.unwritten.push(object);
        } else {
            self.held_back.overflow = true;
        }
        self.held_back.tried = Some(Instant::now());
    }

    /// Whether a playlist has to wait, which is remembered.
    pub(super) fn is_held_back(&mut self, playlist: &PlaylistId) -> bool {
        let waits = !self.finished && !self.held_back.unwritten.is_empty();
        if waits && self.held_back.playlists.insert(playlist.clone()) {
            tracing::warn!(sid = %self.context.plan.sid, ?playlist, "a playlist waits until the disk notes what it names");
        }
        waits
    }

    /// Writes down what could not be written, if the disk takes it now, and gives out the playlists that waited.
    pub(super) async fn release_playlists(&mut self) -> Result<(), SpoolError> {
        let HeldBack { unwritten, overflow, .. } = &self.held_back;
        if unwritten.is_empty() || *overflow || self.finished || !self.held_back.is_due() {
            return Ok(());
        }
        self.held_back.tried = Some(Instant::now());
        if self.context.journal.trouble().is_some() || !self.write_down(&self.held_back.unwritten).await {
            return Ok(());
        }
        self.held_back.unwritten.clear();
        for playlist in std::mem::take(&mut self.held_back.playlists) {
            self.upload_playlist(&playlist).await?;
        }
        Ok(())
    }
}
