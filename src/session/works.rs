//! What turns inputs into a recording: the core, the spool, the uploads, the publication and the news of all that. The same for
//! a live session and for one that is recovered from the journal.

mod again;
mod copies;
mod doubt;
mod failover;
mod files;
mod fixed;
mod held_back;
mod kept;
mod packed;
mod second;
mod stored;
mod taken;
mod unasked;
mod vouched;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use sha2::{Digest, Sha256};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep};

use self::again::Again;
pub(super) use self::doubt::Answer;
use self::doubt::Doubt;
use self::failover::Failover;
use self::files::Files;
pub(super) use self::fixed::MAX_SEGMENT_BYTES;
use self::held_back::HeldBack;
pub(super) use self::kept::{Kept, Position};
use self::packed::Recent;
pub(super) use self::second::Next;
pub(super) use self::taken::name_taken;
use super::backup::Backup;
use super::ending::LastLog;
use super::fixed::FixedSegments;
use super::live::{Command, Desk};
use super::manifest::{EventsPrefix, Sources};
use super::objects::{Objects, Stored};
use super::presence::Presence;
use super::publication::{Change, Publication};
use super::speech::Speech;
use super::told::Told;
use super::upload::{SpoolState, Watch};
use super::{Health, Report, State};
use crate::callback::event::{PROGRESS_COMPLETE, RecordingEvent, Warning};
use crate::fault::Explain;
use crate::recording::{Output, Pauses, PlaylistId, Recorder, Segment, Spec, TimedInput};
use crate::storage::{
    Bucket, BucketError, ObjectKind, SpoolError, SpooledObject, UploadError, UploadQueue, UploadReport,
};
use crate::store::SessionUpdate;
use crate::units::{Ticks, WallMs};

/// How long a recording that is made again waits before it asks a full disk once more.
const ROOM_PATIENCE: Duration = Duration::from_secs(1);
/// How far apart two events 33 are at least (docs/protocol/agora.md section 5.1).
const PROGRESS_EVERY: Duration = Duration::from_secs(60);

/// A recording in the making.
pub(super) struct Works {
    desk: Desk,
    start: WallMs,
    recorder: Recorder,
    publication: Publication,
    queue: UploadQueue,
    objects: Objects,
    /// Media files that are in the spool and not confirmed, by name.
    unconfirmed: BTreeMap<String, Stored>,
    speech: Speech,
    progress_told: Instant,
    watch: Watch,
    told: Told,
    backup: Backup,
    /// Final playlists that were handed over ahead of what they name.
    promised: Vec<(String, Stored)>,
    /// While the recording is made again from its journal.
    again: Option<Again>,
    /// While it goes on without its bucket's word.
    doubt: Option<Doubt>,
    /// Since it goes on after its worker died.
    failover: Option<Failover>,
    files: Files,
    /// What earlier runs made for good and is not in a playlist yet.
    fixed: FixedSegments,
    /// What final segments tell of pauses, by playlist.
    pauses: BTreeMap<PlaylistId, Pauses>,
    /// Names of unconfirmed segments that hold silence because their sound could not be kept.
    silenced: BTreeSet<String>,
    held_back: HeldBack,
    /// Where segments are packed anew: what the next ones need of those before.
    recent: Recent,
    /// Whether the core's segment that is being added is the last one of its playlist.
    last: bool,
    /// The timeline has ended.
    finished: bool,
}

impl Works {
    /// Begins; tick 0 is at the start of `spec`.
    pub(super) fn new(desk: Desk, spec: Spec, queue: UploadQueue) -> Self {
        Self::with(desk, spec.start, Recorder::new(spec), queue)
    }

    fn with(desk: Desk, start: WallMs, recorder: Recorder, queue: UploadQueue) -> Self {
        Self {
            publication: Publication::new(desk.plan.clone(), start),
            files: Files::new(&desk),
            recorder,
            backup: Backup::new(desk.backup.clone()),
            promised: Vec::new(),
            desk,
            start,
            queue,
            objects: Objects::default(),
            unconfirmed: BTreeMap::new(),
            speech: Speech::default(),
            progress_told: Instant::now(),
            watch: Watch::default(),
            told: Told::default(),
            again: None,
            doubt: None,
            failover: None,
            fixed: FixedSegments::default(),
            pauses: BTreeMap::new(),
            silenced: BTreeSet::new(),
            held_back: HeldBack::default(),
            recent: Recent::default(),
            last: false,
            finished: false,
        }
    }

    /// Says what was not said before.
    pub(super) async fn tell(&mut self, update: SessionUpdate, mut news: Vec<RecordingEvent>) {
        news.retain(|event| self.told.is_news(event));
        if !news.is_empty() || update != SessionUpdate::default() {
            self.desk.scribe.record(update, news).await;
        }
    }

    /// What was said.
    pub(super) const fn told(&self) -> &Told {
        &self.told
    }

    /// Feeds the core.
    pub(super) fn push(&mut self, input: TimedInput) {
        self.recorder.push(input);
    }

    /// Tells the core that time passed.
    pub(super) fn advance(&mut self, now: Ticks) {
        self.recorder.advance(now);
    }

    /// When the core wants to be told that time passed.
    pub(super) fn next_wake(&self) -> Option<Ticks> {
        self.recorder.next_wake()
    }

    /// Ends the timeline at `at`.
    pub(super) fn finish(&mut self, at: Ticks) {
        self.recorder.finish(at);
        self.finished = true;
        self.note(|report| report.health.hush());
    }

    /// Brings ledger and health in the report up to `now`.
    pub(super) fn look(&self, now: Ticks) {
        let (ledger, health) =
            (Arc::new(self.recorder.ledger()), Health::at(now, self.recorder.health(), &self.publication));
        self.note(|report| (report.ledger, report.health) = (ledger, health));
    }

    /// Goes on with fresh credentials.
    pub(super) fn use_bucket(&self, bucket: Bucket) {
        self.queue.use_bucket(bucket);
    }

    /// Takes everything that the core has ready to the spool and the uploader.
    pub(super) async fn ship(&mut self) -> Result<(), SpoolError> {
        let mut outputs: VecDeque<Output> = std::iter::from_fn(|| self.recorder.poll()).collect();
        let shipped = !outputs.is_empty();
        while let Some(output) = outputs.pop_front() {
            match output {
                Output::Init { playlist, bytes } => self.begin(&playlist, bytes).await?,
                Output::Segment(segment) => {
                    let (last, end) = (is_last(&segment, &outputs), segment.start + segment.duration);
                    for piece in self.pieces(segment) {
                        self.remember(&piece, last && piece.start + piece.duration == end);
                        self.add(piece).await?;
                        self.last = false;
                    }
                }
                Output::StreamState { uid, receiving, at } => {
                    self.speech.observe(&uid, receiving, at);
                    let at = self.start.plus(at);
                    self.say(vec![RecordingEvent::AudioStreamState { uid, receiving, at }]).await;
                }
                Output::Unreadable { uid, kind, number, at } => {
                    let said = Warning::unreadable_track(&uid, kind, number, self.start.plus(at));
                    self.say(said.map(RecordingEvent::Warning).into_iter().collect()).await;
                }
                Output::Closed { playlist, .. } => {
                    self.add_fixed_rest(&playlist).await?;
                    if self.publication.close(&playlist) {
                        self.upload_playlist(&playlist).await?;
                    }
                }
            }
        }
        self.release_playlists().await?;
        if shipped && self.again.is_none() {
            self.account();
        }
        Ok(())
    }

    /// Takes note of what the uploader says.
    pub(super) async fn uploaded(&mut self, news: UploadReport) -> Result<(), SpoolError> {
        match news {
            UploadReport::Confirmed { name, kind, confirmed } => {
                self.desk.meters.uploaded(confirmed.size);
                if kind == ObjectKind::Segment {
                    self.desk.meters.segment_confirmed();
                }
                self.desk.manifest_confirmed(&name, &confirmed.sha256);
                let place = self.publication.place_of(&name);
                self.write_stored(&name, kind, &confirmed).await;
                let change = match (kind, self.publication.playlist_named(&name)) {
                    (ObjectKind::Playlist, Some(playlist)) => {
                        self.publication.playlist_stored(&playlist, &confirmed.sha256)
                    }
                    _ => self.media_stored(&name, &confirmed.sha256),
                };
                self.objects.add(name, kind, confirmed);
                self.react(change).await?;
                self.came_home(place);
                self.end_backup(false).await;
                self.refresh();
                self.tell_progress().await;
                if kind == ObjectKind::Segment {
                    self.make_full_files().await;
                }
            }
            UploadReport::Retrying { name, error, attempt } => self.trouble(&name, &error, attempt).await,
            UploadReport::Recovered => {
                tracing::info!(sid = %self.desk.plan.sid, "the bucket takes uploads again");
                let news = self.watch.recovered(&self.queue.progress(), Instant::now());
                self.refresh();
                self.say(news.into_iter().collect()).await;
            }
            UploadReport::Taken { object, held } => self.name_is_taken(object, held).await?,
            UploadReport::Settled { .. } | UploadReport::Gone { .. } => {}
        }
        Ok(())
    }

    /// Uploads a document beside the playlists.
    pub(super) async fn upload_document(&mut self, name: &str, text: String) -> Result<(), SpoolError> {
        self.put(name, ObjectKind::Document, text.into()).await
    }

    /// Whether the bucket holds everything, final playlists included.
    pub(super) fn is_complete(&self) -> bool {
        self.publication.is_complete()
    }

    /// The way to the bucket.
    pub(super) fn queue(&self) -> UploadQueue {
        self.queue.clone()
    }

    /// What is known now.
    pub(super) fn report(&self) -> Report {
        self.desk.report.borrow().clone()
    }

    /// Changes what is known.
    pub(super) fn note(&self, change: impl FnOnce(&mut Report)) {
        self.desk.report.send_modify(change);
    }

    /// The manifest's text.
    pub(super) fn manifest(&self, presence: &Presence, events: Option<EventsPrefix>) -> String {
        let (report, start, objects) = (&self.report(), self.start, &self.expected());
        let Self { speech, publication, .. } = self;
        let key = &|name: &str| self.desk.plan.key(name);
        let peaks = self.recorder.peaks();
        Sources { report, start, presence, speech, objects, publication, peaks, events, key }.render()
    }

    /// Plan, log and report of the session.
    pub(super) const fn desk(&self) -> &Desk {
        &self.desk
    }

    /// Wall time at tick 0.
    pub(super) const fn start(&self) -> WallMs {
        self.start
    }

    /// What is left to be done when the recording is over.
    pub(super) fn into_last_log(
        self,
        confirmations: mpsc::Receiver<UploadReport>,
        commands: mpsc::Receiver<Command>,
    ) -> LastLog {
        let Self { desk, queue, watch, told, .. } = self;
        LastLog { desk, queue, confirmations, commands, watch, told }
    }

    async fn begin(&mut self, playlist: &PlaylistId, bytes: Bytes) -> Result<(), SpoolError> {
        if self.is_ts() {
            self.publication.begin_bare(playlist);
            return Ok(());
        }
        let name = self.publication.begin(playlist, bytes.len() as u64);
        self.put(&name, ObjectKind::Init, bytes).await
    }

    /// Takes a segment of the core, or what of it is not held already.
    async fn add(&mut self, segment: Segment) -> Result<(), SpoolError> {
        if self.is_free(&segment) { self.add_made(segment).await } else { self.add_around_fixed(segment).await }
    }

    async fn add_made(&mut self, segment: Segment) -> Result<(), SpoolError> {
        let segment = self.packed(segment).await;
        let name = self.publication.add(&segment);
        self.desk.meters.segment_made();
        let begins = self.slice_start(&segment.playlist, segment.start, segment.start + segment.duration);
        self.say(begins.into_iter().collect()).await;
        match self.put(&name, ObjectKind::Segment, segment.bytes.clone()).await {
            Err(SpoolError::NoRoom(_)) => self.lose(&name, &segment).await,
            kept => kept,
        }
    }

    async fn react(&mut self, change: Change) -> Result<(), SpoolError> {
        if let Some(playlist) = change.grown {
            self.upload_playlist(&playlist).await?;
        }
        if let Some(playlist) = change.listed {
            let file_list = self.desk.plan.file(&playlist).key;
            self.say(vec![RecordingEvent::FileInfos { file_list }]).await;
        }
        Ok(())
    }

    async fn upload_playlist(&mut self, playlist: &PlaylistId) -> Result<(), SpoolError> {
        if self.is_held_back(playlist) {
            return Ok(());
        }
        let Some((name, text)) = self.publication.render(playlist) else { return Ok(()) };
        self.publication.handed_over(playlist, format!("{:x}", Sha256::digest(&text)));
        let text = Bytes::from(text);
        // The live playlist is another name for the same text: nothing depends on it, and the end waits for it as for everything that
        // was handed over.
        for name in [Some(name), self.desk.plan.live_playlist(playlist)].into_iter().flatten() {
            let kept = self.put_into_spool(&name, ObjectKind::Playlist, text.clone()).await?;
            // It names only what the bucket confirmed: a segment that the bucket refuses must not hold it back.
            self.queue.submit_ready(kept);
        }
        Ok(())
    }

    async fn put(&mut self, name: &str, kind: ObjectKind, bytes: Bytes) -> Result<(), SpoolError> {
        if !kind.follows() {
            // What the bucket confirmed under a name is final.
            if self.objects.holds(name) {
                self.publication.stored(name);
                return Ok(());
            }
            let stored = Stored::of(kind, &bytes);
            self.unconfirmed.insert(name.to_owned(), stored);
            if self.is_left(name, &bytes).await {
                return Ok(());
            }
        }
        let kept = self.put_into_spool(name, kind, bytes).await?;
        self.hand_over(kept.clone());
        self.copy(&kept);
        Ok(())
    }

    /// Puts an object into the spool, where there is room for it.
    async fn put_into_spool(
        &mut self,
        name: &str,
        kind: ObjectKind,
        bytes: Bytes,
    ) -> Result<SpooledObject, SpoolError> {
        let kept = loop {
            match self.desk.spool.put(name, kind, bytes.clone()).await {
                // The journal has the sound: better late than lost.
                Err(SpoolError::NoRoom(_)) if self.again.is_some() => sleep(ROOM_PATIENCE).await,
                kept => break kept,
            }
        };
        self.spooled(matches!(kept, Err(SpoolError::NoRoom(_)))).await;
        kept
    }

    /// Keeps silence in the place of a segment for which there is no room: what was said there is lost, and booked so.
    async fn lose(&mut self, name: &str, segment: &Segment) -> Result<(), SpoolError> {
        let (start, end) = (segment.start, segment.start + segment.duration);
        tracing::error!(sid = %self.desk.plan.sid, name, "a segment is lost: neither disk nor memory has room for it");
        self.recorder.lose(&segment.playlist, start, end);
        let silence = self.silence(segment);
        self.unconfirmed.insert(name.to_owned(), Stored::of(ObjectKind::Segment, &silence));
        self.silenced.insert(name.to_owned());
        let kept = self.desk.spool.put_last_resort(name, silence).await?;
        self.hand_over(kept.clone());
        self.copy(&kept);
        Ok(())
    }

    /// Says when the disk takes nothing any more, and when sound is lost by that.
    async fn spooled(&mut self, lost: bool) {
        let trouble = self.desk.spool.trouble();
        let state = match &trouble {
            _ if lost => SpoolState::Full,
            Some(_) => SpoolState::Memory,
            None => SpoolState::Ok,
        };
        let news = self.watch.spooled(state, trouble.as_deref(), Instant::now());
        self.say(news.into_iter().collect()).await;
    }

    /// An upload failed. Nothing is given up; what is to be said of it is the watch's to know.
    async fn trouble(&mut self, name: &str, error: &UploadError, attempt: u32) {
        let fault = error.fault();
        self.desk.meters.upload_failed(fault.code);
        let sid = &self.desk.plan.sid;
        if self.watch.changes(fault.code) {
            tracing::warn!(%sid, name, code = fault.code, "the bucket takes no uploads, they are tried again: {error}");
        } else {
            tracing::debug!(%sid, name, code = fault.code, attempt, "an upload is tried again: {error}");
        }
        let now = (Instant::now(), (self.desk.clock)());
        let news = self.watch.failed(error, attempt, &self.progress(), now);
        let expired = news.is_some() && matches!(error, UploadError::Bucket(BucketError::Expired { .. }));
        self.refresh();
        self.say(news.into_iter().chain(expired.then_some(RecordingEvent::StsExpired)).collect()).await;
    }

    /// Event 33, at most once a minute and never complete: that word is the ending's. The row learns how far the recording is,
    /// for the next run of the worker.
    async fn tell_progress(&mut self) {
        if self.desk.report.borrow().state != State::Recording || self.progress_told.elapsed() < PROGRESS_EVERY {
            return;
        }
        self.progress_told = Instant::now();
        let (made, stored) = self.publication.counts();
        let share = stored * u64::from(PROGRESS_COMPLETE) / made.max(1);
        let share = u16::try_from(share).unwrap_or(PROGRESS_COMPLETE).min(PROGRESS_COMPLETE - 1);
        let update = SessionUpdate { summary: Some(self.desk.summary()), ..SessionUpdate::default() };
        self.tell(update, vec![RecordingEvent::UploadingProgress(share)]).await;
    }

    /// Brings the report up to date, its ledger too.
    fn account(&self) {
        let ledger = Arc::new(self.recorder.ledger());
        self.note(|report| report.ledger = ledger);
        self.refresh();
    }

    async fn say(&mut self, news: Vec<RecordingEvent>) {
        self.tell(SessionUpdate::default(), news).await;
    }

    /// Brings the report up to date. While the recording is made again it keeps what an earlier run knew.
    fn refresh(&self) {
        if self.again.is_some() {
            return;
        }
        let files: Vec<_> = self.listed_files();
        let (made, stored) = self.publication.counts();
        let mut upload = self.watch.report(&self.progress(), self.desk.spool.memory_bytes());
        upload.backup = self.backup.report();
        self.desk.report.send_modify(|report| {
            report.files = files;
            report.upload = upload;
            (report.segments_made, report.segments_stored) = (made, stored);
            report.duration_ms = self.publication.end().as_ms();
            report.health.restock(&self.publication);
        });
    }

    /// Playlists by name: the mix from the start on, the others once they begin.
    fn listed_files(&self) -> Vec<super::File> {
        let mut files = self.desk.plan.report().files;
        for playlist in self.publication.playlists() {
            let playable = self.publication.is_listed(playlist);
            match files.iter_mut().find(|file| file.playlist == *playlist) {
                Some(file) => file.playable = playable,
                None => files.push(super::File { playable, ..self.desk.plan.file(playlist) }),
            }
        }
        files.extend(self.whole_files());
        files
    }
}

/// Whether the core closes a segment's playlist behind it.
fn is_last(segment: &Segment, rest: &VecDeque<Output>) -> bool {
    let of_playlist = rest.iter().find_map(|output| match output {
        Output::Segment(later) if later.playlist == segment.playlist => Some(false),
        Output::Closed { playlist, .. } if *playlist == segment.playlist => Some(true),
        _ => None,
    });
    of_playlist == Some(true)
}
