//! What turns inputs into a recording: the core, the spool, the uploads, the publication and the events of all that. The same for
//! a live session and for one that is recovered from the journal.

mod checkpoint;
mod copies;
mod earlier_runs;
mod failover;
mod files;
mod fixed;
mod held_back;
mod name_taken;
mod packed;
mod pending_bucket;
mod replicator;
mod stored;
mod tails;
mod unread_primary;
mod vouched;

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use sha2::{Digest, Sha256};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep};

pub(super) use self::checkpoint::{CheckpointRead, Position};
use self::earlier_runs::EarlierRuns;
use self::failover::Failover;
use self::files::{Files, Finished};
use self::held_back::HeldBack;
pub(super) use self::name_taken::name_taken;
use self::packed::Recent;
use self::unread_primary::{Answer, UnreadPrimary};
use super::backup::{Backup, BackupTask};
use super::context::SessionContext;
use super::event_dedup::EventDedup;
use super::fixed::FixedSegments;
use super::manifest::{EventsPrefix, Sources};
use super::objects::{Objects, Stored};
use super::presence::Presence;
use super::publication::{Change, Publication};
use super::speech::Speech;
use super::upload::{SpoolState, UploadWatch};
use super::uploaded::{Failure, Uploaded, Uploads};
use super::{Health, Report, State};
use crate::callback::event::{PROGRESS_COMPLETE, RecordingEvent, Warning};
use crate::recording::{Output, Pauses, PlaylistId, Recorder, Segment, Spec, TimedInput};
use crate::storage::{
    Bucket, Confirmed, ObjectKind, SpoolError, SpooledObject, UploadError, UploadQueue, UploadReport,
};
use crate::store::{SessionUpdate, StoreError};
use crate::units::{Ticks, WallMs};

/// How long a recording that is made again waits before it asks a full disk once more.
const ROOM_TIMEOUT: Duration = Duration::from_secs(1);
/// How far apart two events 33 are at least (docs/protocol/agora.md section 5.1).
const PROGRESS_EVERY: Duration = Duration::from_secs(60);

/// What happens to a recording in the making without anybody's doing.
pub(super) enum Happened {
    /// The uploader reports something.
    Uploaded(UploadReport),
    /// A whole file was made, or could not be made.
    Made(Finished),
    /// There is something to do about the second bucket.
    Backup(BackupTask),
    /// What a bucket holds, of which that was not known; none: it is time to ask.
    Held(Option<Answer>),
}

/// Why a recording can't be taken up again.
#[derive(Debug, thiserror::Error)]
pub(in crate::session) enum Trouble {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Spool(#[from] SpoolError),
}

/// A recording in the making.
pub(super) struct Pipeline {
    context: SessionContext,
    start: WallMs,
    recorder: Recorder,
    publication: Publication,
    queue: UploadQueue,
    reports: mpsc::Receiver<UploadReport>,
    objects: Objects,
    /// Media files that are in the spool and not confirmed, by name.
    unconfirmed: BTreeMap<String, Stored>,
    speech: Speech,
    progress_told: Instant,
    watch: UploadWatch,
    event_dedup: EventDedup,
    backup: Backup,
    /// Final playlists that were handed over ahead of what they name.
    promised: Vec<(String, Stored)>,
    /// While the recording is made again from its journal.
    earlier_runs: Option<EarlierRuns>,
    /// While it goes on without a bucket's word.
    unread_primary: Option<UnreadPrimary>,
    /// Copies that were fetched from the second bucket, until they take their places.
    copies: HashMap<String, SpooledObject>,
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

impl Pipeline {
    /// Begins; tick 0 is at the start of `spec`.
    pub(super) fn new(context: SessionContext, spec: Spec, uploads: Uploads) -> Self {
        Self::with(context, spec.start, Recorder::new(spec), uploads)
    }

    fn with(context: SessionContext, start: WallMs, recorder: Recorder, (queue, reports): Uploads) -> Self {
        Self {
            publication: Publication::new(context.plan.clone(), start),
            files: Files::new(&context),
            recorder,
            backup: Backup::new(context.backup.clone()),
            promised: Vec::new(),
            context,
            start,
            queue,
            reports,
            objects: Objects::default(),
            unconfirmed: BTreeMap::new(),
            speech: Speech::default(),
            progress_told: Instant::now(),
            watch: UploadWatch::default(),
            event_dedup: EventDedup::default(),
            earlier_runs: None,
            unread_primary: None,
            copies: HashMap::new(),
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
    pub(super) async fn emit(&mut self, update: SessionUpdate, mut events: Vec<RecordingEvent>) {
        events.retain(|event| self.event_dedup.is_new(event));
        if !events.is_empty() || update != SessionUpdate::default() {
            self.context.event_writer.record(update, events).await;
        }
    }

    /// What was said.
    pub(super) const fn event_dedup(&self) -> &EventDedup {
        &self.event_dedup
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
        let (ledger, health) = (
            Arc::new(self.recorder.ledger()),
            Health::at(now, self.recorder.health(), self.publication.waiting_by_uid()),
        );
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
                    self.append_events(vec![RecordingEvent::AudioStreamState { uid, receiving, at }]).await;
                }
                Output::Unreadable { uid, kind, number, at } => {
                    let said = Warning::unreadable_track(&uid, kind, number, self.start.plus(at));
                    self.append_events(said.map(RecordingEvent::Warning).into_iter().collect()).await;
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
        if shipped && self.earlier_runs.is_none() {
            self.account();
        }
        Ok(())
    }

    /// Waits for what happens without anybody's doing: to uploads, to whole files, to the second bucket. Cancelling loses nothing.
    pub(super) async fn next(&mut self) -> Happened {
        let due = self.backup_due();
        tokio::select! {
            Some(report) = self.reports.recv() => Happened::Uploaded(report),
            made = self.files.made() => Happened::Made(made),
            events = self.backup.next(due) => Happened::Backup(events),
            answer = UnreadPrimary::next(&mut self.unread_primary) => Happened::Held(answer),
        }
    }

    /// Waits for what the uploader reports, for ever where it has nothing more to say. Cancelling loses nothing.
    pub(super) async fn next_report(&mut self) -> UploadReport {
        match self.reports.recv().await {
            Some(report) => report,
            None => std::future::pending().await,
        }
    }

    /// A report that waits to be taken.
    pub(super) fn waiting_report(&mut self) -> Option<UploadReport> {
        self.reports.try_recv().ok()
    }

    /// Does what follows from what happened.
    pub(super) async fn handle(&mut self, happened: Happened) -> Result<(), SpoolError> {
        match happened {
            Happened::Uploaded(report) => return self.uploaded(report).await,
            Happened::Made(made) => {
                self.take_made(made).await;
                self.make_full_files().await;
            }
            Happened::Backup(events) => self.tend_backup(events).await,
            Happened::Held(answer) => {
                self.poll_unread_primary(answer).await;
                self.refresh();
            }
        }
        Ok(())
    }

    /// Takes note of what the uploader reports.
    pub(super) async fn uploaded(&mut self, report: UploadReport) -> Result<(), SpoolError> {
        let progress = self.progress();
        match self.watch.take(report, &self.context, &progress) {
            Uploaded::Confirmed { name, kind, confirmed } => self.confirmed(name, kind, confirmed).await?,
            Uploaded::Failed(failure) => self.failed(failure).await,
            Uploaded::Recovered(said) => {
                self.refresh();
                self.append_events(said.into_iter().collect()).await;
            }
            Uploaded::Taken { object, held } => self.name_is_taken(object, held).await?,
            Uploaded::Unchanged => {}
        }
        Ok(())
    }

    async fn confirmed(&mut self, name: String, kind: ObjectKind, confirmed: Confirmed) -> Result<(), SpoolError> {
        let place = self.publication.place_of(&name);
        self.write_stored(&name, kind, &confirmed).await;
        let change = match (kind, self.publication.playlist_named(&name)) {
            (ObjectKind::Playlist, Some(playlist)) => self.publication.playlist_stored(&playlist, &confirmed.sha256),
            _ => self.media_stored(&name, &confirmed.sha256),
        };
        self.objects.add(name, kind, confirmed);
        self.react(change).await?;
        self.restored_to_primary(place);
        self.end_backup(false).await;
        self.refresh();
        self.record_progress().await;
        if kind == ObjectKind::Segment {
            self.make_full_files().await;
        }
        Ok(())
    }

    /// Uploads a document beside the playlists.
    pub(super) async fn upload_document(&mut self, name: &str, text: String) -> Result<(), SpoolError> {
        self.put(name, ObjectKind::Document, text.into()).await
    }

    /// Whether the bucket holds everything, final playlists included.
    pub(super) fn is_complete(&self) -> bool {
        self.unread_primary.is_none() && self.publication.is_complete()
    }

    /// The way to the bucket.
    pub(super) fn queue(&self) -> UploadQueue {
        self.queue.clone()
    }

    /// What is known now.
    pub(super) fn report(&self) -> Report {
        self.context.report.borrow().clone()
    }

    /// Changes what is known.
    pub(super) fn note(&self, change: impl FnOnce(&mut Report)) {
        self.context.report.send_modify(change);
    }

    /// The manifest's text.
    pub(super) fn manifest(&self, presence: &Presence, events: Option<EventsPrefix>) -> String {
        let (report, start, objects) = (&self.report(), self.start, &self.expected());
        let Self { speech, publication, .. } = self;
        let key = &|name: &str| self.context.plan.key(name);
        let peaks = self.recorder.peaks();
        Sources { report, start, presence, speech, objects, publication, peaks, events, key }.render()
    }

    /// Plan, log and report of the session.
    pub(super) const fn context(&self) -> &SessionContext {
        &self.context
    }

    /// Wall time at tick 0.
    pub(super) const fn start(&self) -> WallMs {
        self.start
    }

    /// What the last words of a recording need of it.
    pub(super) fn into_log_parts(self) -> (SessionContext, Uploads, UploadWatch, EventDedup) {
        let Self { context, queue, reports, watch, event_dedup, .. } = self;
        (context, (queue, reports), watch, event_dedup)
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
        let core = self.core_of(&segment);
        let segment = self.packed(segment).await;
        let name = self.publication.add(&segment);
        self.keep_core(&name, core).await?;
        self.context.metrics.segment_made();
        let begins = self.slice_start(&segment.playlist, segment.start, segment.start + segment.duration);
        self.append_events(begins.into_iter().collect()).await;
        match self.put(&name, ObjectKind::Segment, segment.bytes.clone()).await {
            Err(SpoolError::NoRoom(_)) => self.lose(&name, &segment).await,
            checkpoint => checkpoint,
        }
    }

    async fn react(&mut self, change: Change) -> Result<(), SpoolError> {
        if let Some(playlist) = change.grown {
            self.upload_playlist(&playlist).await?;
        }
        if let Some(playlist) = change.listed {
            let file_list = self.context.plan.file(&playlist).key;
            self.append_events(vec![RecordingEvent::FileInfos { file_list }]).await;
        }
        Ok(())
    }

    async fn upload_playlist(&mut self, playlist: &PlaylistId) -> Result<(), SpoolError> {
        if self.is_held_back(playlist) || self.is_end_doubted(playlist) {
            return Ok(());
        }
        let Some((name, text)) = self.publication.render(playlist) else { return Ok(()) };
        self.publication.handed_over(playlist, format!("{:x}", Sha256::digest(&text)));
        let text = Bytes::from(text);
        // The live playlist is another name for the same text: nothing depends on it, and the end waits for it as for everything that
        // was handed over.
        for name in [Some(name), self.context.plan.live_playlist(playlist)].into_iter().flatten() {
            let checkpoint = self.put_into_spool(&name, ObjectKind::Playlist, text.clone()).await?;
            // It names only what the bucket confirmed: a segment that the bucket refuses must not hold it back.
            self.queue.submit_ready(checkpoint);
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
        let checkpoint = self.put_into_spool(name, kind, bytes).await?;
        self.hand_over(checkpoint.clone());
        self.copy(&checkpoint);
        Ok(())
    }

    /// Puts an object into the spool, where there is room for it.
    async fn put_into_spool(
        &mut self,
        name: &str,
        kind: ObjectKind,
        bytes: Bytes,
    ) -> Result<SpooledObject, SpoolError> {
        let checkpoint = loop {
            match self.context.spool.put(name, kind, bytes.clone()).await {
                // The journal has the sound: better late than lost.
                Err(SpoolError::NoRoom(_)) if self.earlier_runs.is_some() => sleep(ROOM_TIMEOUT).await,
                checkpoint => break checkpoint,
            }
        };
        self.spooled(matches!(checkpoint, Err(SpoolError::NoRoom(_)))).await;
        checkpoint
    }

    /// Keeps silence in the place of a segment for which there is no room: what was said there is lost, and booked so.
    async fn lose(&mut self, name: &str, segment: &Segment) -> Result<(), SpoolError> {
        let (start, end) = (segment.start, segment.start + segment.duration);
        tracing::error!(sid = %self.context.plan.sid, name, "a segment is lost: neither disk nor memory has room for it");
        self.recorder.lose(&segment.playlist, start, end);
        let silence = self.silence(segment);
        self.unconfirmed.insert(name.to_owned(), Stored::of(ObjectKind::Segment, &silence));
        self.silenced.insert(name.to_owned());
        let checkpoint = self.context.spool.put_last_resort(name, silence).await?;
        self.hand_over(checkpoint.clone());
        self.copy(&checkpoint);
        Ok(())
    }

    /// Says when the disk takes nothing any more, and when sound is lost by that.
    async fn spooled(&mut self, lost: bool) {
        let trouble = self.context.spool.trouble();
        let state = match &trouble {
            _ if lost => SpoolState::Full,
            Some(_) => SpoolState::Memory,
            None => SpoolState::Ok,
        };
        let events = self.watch.spooled(state, trouble.as_deref(), Instant::now());
        self.append_events(events.into_iter().collect()).await;
    }

    /// An attempt to reach the bucket failed. Nothing is given up.
    async fn trouble(&mut self, name: &str, error: &UploadError, attempt: u32) {
        let progress = self.progress();
        let failure = self.watch.take_failure(name, error, attempt, &self.context, &progress);
        self.failed(failure).await;
    }

    /// An attempt failed: query says so, and the log, where it is time.
    async fn failed(&mut self, Failure { said, expired }: Failure) {
        self.refresh();
        let expired = (said.is_some() && expired).then_some(RecordingEvent::StsExpired);
        self.append_events(said.into_iter().chain(expired).collect()).await;
    }

    /// Event 33, at most once a minute and never complete: that word is the ending's. The row learns how far the recording is,
    /// for the next run of the worker.
    async fn record_progress(&mut self) {
        if self.context.report.borrow().state != State::Recording || self.progress_told.elapsed() < PROGRESS_EVERY {
            return;
        }
        self.progress_told = Instant::now();
        let (made, stored) = self.publication.counts();
        let share = stored * u64::from(PROGRESS_COMPLETE) / made.max(1);
        let share = u16::try_from(share).unwrap_or(PROGRESS_COMPLETE).min(PROGRESS_COMPLETE - 1);
        let update = SessionUpdate { summary: Some(self.context.summary()), ..SessionUpdate::default() };
        self.emit(update, vec![RecordingEvent::UploadingProgress(share)]).await;
    }

    /// Brings the report up to date, its ledger too.
    fn account(&self) {
        let ledger = Arc::new(self.recorder.ledger());
        self.note(|report| report.ledger = ledger);
        self.refresh();
    }

    async fn append_events(&mut self, events: Vec<RecordingEvent>) {
        self.emit(SessionUpdate::default(), events).await;
    }

    /// Brings the report up to date. While the recording is made again it keeps what an earlier run knew.
    fn refresh(&self) {
        if self.earlier_runs.is_some() {
            return;
        }
        let files: Vec<_> = self.listed_files();
        let (made, stored) = self.publication.counts();
        let mut upload = self.watch.report(&self.progress(), self.context.spool.memory_bytes());
        upload.backup = self.backup.report();
        self.context.report.send_modify(|report| {
            report.files = files;
            report.upload = upload;
            (report.segments_made, report.segments_stored) = (made, stored);
            report.duration_ms = self.publication.end().as_ms();
            report.health.restock(self.publication.waiting_by_uid());
        });
    }

    /// Playlists by name: the mix from the start on, the others once they begin.
    fn listed_files(&self) -> Vec<super::File> {
        let mut files = self.context.plan.report().files;
        for playlist in self.publication.playlists() {
            let playable = self.publication.is_listed(playlist);
            match files.iter_mut().find(|file| file.playlist == *playlist) {
                Some(file) => file.playable = playable,
                None => files.push(super::File { playable, ..self.context.plan.file(playlist) }),
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
