//! A recording and its second bucket: what goes there, and what its playlists say there ([`crate::session::backup`]).

use std::borrow::Cow;
use std::collections::BTreeMap;

use tokio::time::Instant;

use super::Pipeline;
use crate::error_class::Classify;
use crate::recording::PlaylistId;
use crate::session::File;
use crate::session::backup::{BackupTask, Place};
use crate::session::objects::{Objects, Stored};
use crate::storage::{ObjectKind, SpoolError, SpooledObject, UploadReport};

impl Pipeline {
    /// Does what there is to do about the second bucket.
    pub(super) async fn tend_backup(&mut self, events: BackupTask) {
        match events {
            BackupTask::Due if self.backup_due().is_some_and(|due| due <= Instant::now()) => self.begin_backup().await,
            BackupTask::Due | BackupTask::Drained => {}
            BackupTask::Reported(report) => self.backup_told(report).await,
            BackupTask::Proven => {
                let playlists: Vec<_> = self.publication.playlists().cloned().collect();
                playlists.iter().for_each(|playlist| self.copy_text(playlist));
            }
        }
        self.refresh();
    }

    /// Whether everything that is not in the recording's own bucket is in the second one, and on the disk.
    pub(in crate::session) fn is_backed_up(&self) -> bool {
        self.backup.holds(self.publication.playlists()) && self.context.spool.memory_bytes() == 0 && self.may_be_away()
    }

    /// Every playlist that was begun: where it is not in the recording's own bucket, it is in the second one.
    pub(in crate::session) fn begun_files(&self) -> Vec<File> {
        let file = |playlist| File { playable: true, ..self.context.plan.file(playlist) };
        self.publication.playlists().map(file).collect()
    }

    /// Hands over the final playlists ahead of their segments: the queue puts each after what it names.
    pub(in crate::session) async fn plan_copies(&mut self) -> Result<(), SpoolError> {
        self.end_unread_primary().await?;
        for (playlist, name, text) in self.publication.plan_copies() {
            let stored = Stored::of(ObjectKind::Playlist, text.as_bytes());
            self.publication.handed_over(&playlist, stored.sha256.clone());
            let live = self.context.plan.live_playlist(&playlist);
            for name in [Some(name), live].into_iter().flatten() {
                self.promised.push((name.clone(), stored.clone()));
                self.put(&name, ObjectKind::Playlist, text.clone().into()).await?;
            }
        }
        Ok(())
    }

    /// What the recording's own bucket will hold in the end.
    pub(super) fn expected(&self) -> Cow<'_, Objects> {
        if self.promised.is_empty() {
            return Cow::Borrowed(&self.objects);
        }
        let mut objects = self.objects.clone();
        for (name, stored) in &self.unconfirmed {
            objects.insert(name.clone(), stored.clone());
        }
        for (name, stored) in &self.promised {
            objects.insert(name.clone(), stored.clone());
        }
        Cow::Owned(objects)
    }

    /// Ends the use of the second bucket, where the recording's own is well again or has everything.
    pub(in crate::session) async fn end_backup(&mut self, complete: bool) {
        let (progress, now) = (self.progress(), Instant::now());
        let said = if complete { self.backup.end(now) } else { self.backup.end_if_well(&progress, now) };
        if said.is_some() {
            tracing::info!(sid = %self.context.plan.sid, "nothing is copied to the backup any more");
        }
        self.append_events(said.into_iter().collect()).await;
    }

    /// A spooled object goes there too, if the second bucket is used. Playlists there have texts of their own.
    pub(super) fn copy(&mut self, object: &SpooledObject) {
        if !self.backup.is_used() {
            return;
        }
        match object.kind {
            // Playlists have texts of their own there; whole files are made once all is at home.
            ObjectKind::Playlist | ObjectKind::Mp4 | ObjectKind::Ogg => {}
            ObjectKind::Document => self.backup.copy(object, None),
            ObjectKind::Init | ObjectKind::Segment => {
                // What is not waited for is at home.
                let Some(place) = self.publication.place_of(&object.name) else { return };
                if object.kind == ObjectKind::Segment {
                    self.copy_init(&place.0);
                }
                self.backup.copy(object, Some(place));
            }
        }
    }

    /// A media file is at home: what stands behind it can be named there.
    pub(super) fn restored_to_primary(&mut self, place: Option<Place>) {
        if let Some((playlist, _)) = place {
            self.copy_text(&playlist);
        }
    }

    pub(super) fn backup_due(&self) -> Option<Instant> {
        if self.earlier_runs.is_some() { None } else { self.backup.due(&self.progress()) }
    }

    async fn begin_backup(&mut self) {
        let now = Instant::now();
        let left = match self.context.spool.list().await {
            Ok(left) => left,
            Err(error) => {
                tracing::warn!(sid = %self.context.plan.sid, "what waits can't be copied to the backup: {error}");
                return self.backup.put_off(now);
            }
        };
        let (progress, wall) = (self.progress(), (self.context.clock)());
        let said = self.backup.begin(&self.context.plan.folder(), self.context.spool.clone(), &progress, (now, wall));
        tracing::warn!(sid = %self.context.plan.sid, waiting = progress.waiting_objects, "what waits is copied to the backup");
        let playlists = self.publication.playlists();
        self.backup.expect(playlists.map(|playlist| (playlist.clone(), self.publication.made(playlist))).collect());
        // Of a file that was made again the newer version counts; documents of an earlier run are out of date.
        let whole = self.publication.is_promised();
        let current = left.into_iter().filter(|object| whole || object.kind != ObjectKind::Document);
        let newest: BTreeMap<String, SpooledObject> = current.map(|object| (object.name.clone(), object)).collect();
        let mut newest: Vec<_> = newest.into_values().collect();
        newest.sort_by_key(|object| object.order);
        newest.iter().for_each(|object| self.copy(object));
        let playlists: Vec<_> = self.publication.playlists().cloned().collect();
        for playlist in playlists {
            self.copy_init(&playlist);
        }
        self.append_events(said.into_iter().collect()).await;
    }

    async fn backup_told(&mut self, report: UploadReport) {
        match report {
            UploadReport::Confirmed { name, kind, confirmed } => {
                self.context.metrics.backed_up(confirmed.size);
                self.backup.count(confirmed.size);
                match kind {
                    ObjectKind::Playlist => {
                        if let Some(playlist) = self.publication.playlist_named(&name) {
                            self.backup.text_landed(&playlist);
                            self.copy_text(&playlist);
                        }
                    }
                    _ => {
                        if let Some(place) = self.backup.settle(&name) {
                            self.backup.holds_now(&place);
                            self.copy_text(&place.0);
                        }
                    }
                }
            }
            UploadReport::Gone { name } => match self.backup.settle(&name) {
                // Its own bucket has it; here its segments need it all the same.
                Some((playlist, None)) => self.copy_init(&playlist),
                Some((playlist, Some(_))) => self.copy_text(&playlist),
                None => {}
            },
            UploadReport::Retrying { name, error, attempt } => {
                let error_class = error.error_class();
                self.context.metrics.backup_failed(error_class.code);
                let sid = &self.context.plan.sid;
                if self.backup.changes(error_class.code) {
                    tracing::warn!(%sid, name, code = error_class.code, "the backup takes no copies, they are tried again: {error}");
                } else {
                    tracing::debug!(%sid, name, code = error_class.code, attempt, "a copy to the backup is tried again: {error}");
                }
                let said = self.backup.failed(error_class, attempt, Instant::now());
                self.append_events(said.into_iter().collect()).await;
            }
            UploadReport::Recovered => {
                tracing::info!(sid = %self.context.plan.sid, "the backup takes copies again");
                let said = self.backup.recovered();
                self.append_events(said.into_iter().collect()).await;
            }
            UploadReport::Taken { object, held } => {
                tracing::warn!(sid = %self.context.plan.sid, name = %object.name, ?held, "the backup holds another object of this name");
                // Nothing there counts as ours: what needs it waits for the recording's own bucket.
                self.backup.settle(&object.name);
                if let Some(playlist) = self.publication.playlist_named(&object.name) {
                    self.backup.text_is_taken(&playlist);
                }
                self.backup.let_go(object);
            }
            UploadReport::Settled { .. } => {}
        }
    }

    /// Sees that a playlist's init segment gets there: from the spool, or made again where it came home before.
    fn copy_init(&mut self, playlist: &PlaylistId) {
        if self.is_ts() {
            // There is none to wait for.
            return self.backup.holds_now(&(playlist.clone(), None));
        }
        let name = self.publication.init_of(playlist);
        if !self.backup.needs_init(playlist, &name) {
            return;
        }
        let bytes = playlist.init_segment(self.context.plan.profile);
        self.backup.put_init(playlist, &name, bytes);
    }

    /// Puts a playlist's text there, if it has more to say than the last one and that one is there.
    fn copy_text(&mut self, playlist: &PlaylistId) {
        let Some((held, event_dedup)) = self.backup.ready_for_text(playlist) else { return };
        if let Some(copy) = self.publication.copy(playlist, held, event_dedup) {
            self.backup.put_text(playlist, copy);
        }
    }
}
