//! Whole files beside the playlists: made of segments that the bucket has confirmed, in the background, as soon as one is full, and
//! the last ones at the end.
//!
//! The segments stay on this worker's disk until then (`SessionSpool::keep_segments`): what is in the bucket may not be ours to
//! read. The rendition manifest says which files are made; it is written before a file is handed over and before its segments go, so that after
//! a crash each file is there, or can be made. Where the room for segments ends, the files are given up, never the playlists.

use std::collections::BTreeSet;
use std::io::Write;

use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;
use tokio::task::JoinError;
use tokio_util::task::AbortOnDropHandle;

use super::{Pipeline, Stored};
use crate::callback::event::{ErrorCode, ErrorEvent, ErrorLevel, ErrorReason, Module, RecordingEvent};
use crate::codec::whole::{FileType, Roll};
use crate::recording::PlaylistId;
use crate::session::context::SessionContext;
use crate::session::{File, FilePart, Note, whole};
use crate::storage::{ObjectKind, RetainedSegments, SessionSpool, SpoolError, SpooledObject, UploadQueue};
use crate::units::Ticks;

/// Files that a worker makes at a time. One holds its tables, about 5 MB for two hours, and a segment in memory.
const MAX_MAKERS: usize = 2;

/// Places for makers, of all sessions.
static MAKERS: Semaphore = Semaphore::const_new(MAX_MAKERS);

/// See the module's documentation.
#[derive(Debug)]
pub(super) struct Files {
    kinds: Vec<FileType>,
    roll: Roll,
    rendition_manifest: RenditionManifest,
    making: Option<AbortOnDropHandle<Result<RenditionManifest, SpoolError>>>,
}

/// How the making of a file ended.
pub(in crate::session) type Finished = Result<Result<RenditionManifest, SpoolError>, JoinError>;

/// Which files were made, and whether no more will be. Kept on the disk of the worker.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(in crate::session) struct RenditionManifest {
    parts: Vec<Part>,
    /// Why no more files are made.
    given_up: Option<String>,
}

/// One part of a playlist, in as many files as kinds were asked for.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Part {
    playlist: PlaylistId,
    index: u32,
    start: Ticks,
    duration: Ticks,
    /// Segments of the playlist that this part and those before it hold.
    end: usize,
    files: Vec<Made>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Made {
    kind: FileType,
    name: String,
    stored: Stored,
}

impl Files {
    /// What the plan asks for. Segments are kept from here on, if files are to be made of them.
    pub(super) fn new(context: &SessionContext) -> Self {
        let kinds = context.plan.files.clone();
        if !kinds.is_empty() {
            context.spool.keep_segments();
        }
        Self { kinds, roll: context.roll, rendition_manifest: RenditionManifest::default(), making: None }
    }

    /// Waits for the file that is being made, for ever when none is. Cancelling loses nothing.
    pub(super) async fn made(&mut self) -> Finished {
        match &mut self.making {
            Some(making) => making.await,
            None => std::future::pending().await,
        }
    }

    /// Whether any were asked for, and not given up.
    fn are_made(&self) -> bool {
        !self.kinds.is_empty() && self.rendition_manifest.given_up.is_none()
    }
}

impl RenditionManifest {
    fn last(&self, playlist: &PlaylistId) -> Option<&Part> {
        self.parts.iter().rfind(|part| part.playlist == *playlist)
    }

    async fn write(&self, spool: &SessionSpool) -> Result<(), SpoolError> {
        let text = serde_json::to_vec(self).expect("a docket has string keys and whole numbers only");
        spool.write_note(text.into()).await
    }
}

impl Pipeline {
    /// Begins to make the next file that is full, if none is being made. Nothing waits for it.
    pub(super) async fn make_full_files(&mut self) {
        if self.earlier_runs.is_some() {
            return;
        }
        self.begin_next(false).await;
    }

    /// Begins to make the next file at the end of the recording, when every segment is in the bucket. Whether one is being made.
    pub(in crate::session) async fn make_last_files(&mut self) -> bool {
        if self.files.are_made() && !self.publication.is_complete() {
            self.give_up_files("some of it is not in its bucket".to_owned()).await;
        }
        self.begin_next(true).await
    }

    /// Takes note of a file that was made, or could not be made.
    pub(super) async fn take_made(&mut self, made: Finished) {
        self.files.making = None;
        match made {
            Ok(Ok(rendition_manifest)) => {
                self.files.rendition_manifest = rendition_manifest;
                // The bucket may have been quicker.
                self.refresh();
            }
            Ok(Err(error)) => {
                let why = self.context.spool.keeping_trouble().unwrap_or_else(|| error.to_string());
                self.give_up_files(why).await;
            }
            Err(stopped) => self.give_up_files(stopped.to_string()).await,
        }
    }

    /// Learns which files an earlier run made; `left` is what it left in the spool.
    pub(super) async fn take_up_files(&mut self, left: &[SpooledObject]) -> Result<(), SpoolError> {
        if self.files.kinds.is_empty() {
            return Ok(());
        }
        let Some(note) = self.context.spool.note().await? else { return Ok(()) };
        let rendition_manifest: RenditionManifest =
            serde_json::from_slice(&note).unwrap_or_else(|error| RenditionManifest {
                given_up: Some(format!("what was noted of them is damaged ({error})")),
                ..RenditionManifest::default()
            });
        for made in rendition_manifest.parts.iter().flat_map(|part| &part.files) {
            // What left the spool was confirmed.
            if !left.iter().any(|object| object.name == made.name) {
                self.objects.insert(made.name.clone(), made.stored.clone());
            }
        }
        if let Some(why) = &rendition_manifest.given_up {
            self.context.spool.give_up_keeping(why.clone()).await?;
        }
        self.files.rendition_manifest = rendition_manifest;
        Ok(())
    }

    /// The files that the bucket has confirmed.
    pub(super) fn whole_files(&self) -> Vec<File> {
        let file = |part: &Part, made: &Made| File {
            key: self.context.plan.key(&made.name),
            playlist: part.playlist.clone(),
            playable: true,
            part: Some(FilePart {
                kind: made.kind,
                index: part.index,
                start: part.start,
                duration: part.duration,
                bytes: made.stored.size,
            }),
        };
        let parts = self.files.rendition_manifest.parts.iter();
        let all = parts.flat_map(|part| part.files.iter().map(move |made| (part, made)));
        let there = all.filter(|(_, made)| self.objects.has(&made.name, &made.stored));
        let mut files: Vec<File> = there.map(|(part, made)| file(part, made)).collect();
        files.sort_by(|one, other| one.playlist.cmp(&other.playlist));
        files
    }

    /// Begins to make the next file: one that is full, or at the end what is left. Whether one is being made now.
    async fn begin_next(&mut self, last: bool) -> bool {
        if self.files.making.is_some() {
            return true;
        }
        if !self.files.are_made() {
            return false;
        }
        if let Some(why) = self.context.spool.keeping_trouble() {
            self.give_up_files(why).await;
            return false;
        }
        let Some((part, segments)) = self.next_part(last) else { return false };
        let channels = part.playlist.channels(self.context.plan.profile);
        let names = self
            .files
            .kinds
            .iter()
            .map(|kind| (*kind, self.context.plan.stem(&part.playlist).whole(*kind, part.index)));
        let maker = Maker {
            spool: self.context.spool.clone(),
            queue: self.queue.clone(),
            rendition_manifest: self.files.rendition_manifest.clone(),
            names: names.collect(),
            part,
            segments,
            channels,
        };
        self.files.making = Some(AbortOnDropHandle::new(self.context.tasks.spawn(maker.run())));
        true
    }

    /// The next part that can be made, and the names of its segments.
    fn next_part(&self, last: bool) -> Option<(Part, Vec<String>)> {
        self.publication.playlists().find_map(|playlist| {
            let before = self.files.rendition_manifest.last(playlist);
            let (first, index) = before.map_or((0, 0), |part| (part.end, part.index + 1));
            let stored = || self.publication.stored_from(playlist, first);
            let (from, to) = (stored().next()?.start, stored().last()?.end());
            // Else a look at each segment would come with each confirmation.
            let may_be_full =
                to - from >= self.files.roll.length || self.context.spool.kept_bytes() > self.files.roll.bytes;
            let sizes = stored().map(|entry| (entry.duration, self.objects.size(&entry.name)));
            let full = if may_be_full { self.files.roll.fill(sizes) } else { None };
            let count = full.or_else(|| last.then(|| stored().count()))?;
            let (segments, durations): (Vec<String>, Vec<u64>) =
                stored().take(count).map(|entry| (entry.name.clone(), entry.duration.0)).unzip();
            let (duration, playlist) = (Ticks(durations.iter().sum()), playlist.clone());
            Some((Part { playlist, index, start: from, duration, end: first + count, files: Vec::new() }, segments))
        })
    }

    /// No more files are made: says so. The playlists hold everything.
    async fn give_up_files(&mut self, why: String) {
        let text = format!(
            "no more whole files (mp4, ogg) are made of this recording: {why}; the HLS playlists hold all of it"
        );
        tracing::warn!(sid = %self.context.plan.sid, "{text}");
        self.files.rendition_manifest.given_up = Some(why.clone());
        if let Err(error) = self.context.spool.give_up_keeping(why).await {
            tracing::warn!(sid = %self.context.plan.sid, "segments that are kept for nothing stay behind: {error}");
        }
        if let Err(error) = self.files.rendition_manifest.write(&self.context.spool).await {
            tracing::warn!(sid = %self.context.plan.sid, "the next run of the worker finds out by itself: {error}");
        }
        self.note(|report| {
            if !report.notes.contains(&Note::FilesGivenUp) {
                report.notes.push(Note::FilesGivenUp);
            }
        });
        let said = ErrorEvent::new(Module::Uploader, ErrorLevel::Minor, ErrorCode::FileOperation, text);
        self.append_events(vec![RecordingEvent::Error(said.because(ErrorReason::FilesGivenUp))]).await;
    }
}

/// Makes the files of one part.
struct Maker {
    spool: SessionSpool,
    queue: UploadQueue,
    rendition_manifest: RenditionManifest,
    part: Part,
    segments: Vec<String>,
    names: Vec<(FileType, String)>,
    channels: u8,
}

impl Maker {
    async fn run(self) -> Result<RenditionManifest, SpoolError> {
        let _place = MAKERS.acquire().await.expect("the places of makers are never closed");
        let Self { spool, queue, mut rendition_manifest, mut part, segments, names, channels } = self;
        let mut objects = Vec::new();
        for (kind, name) in names {
            let what = object_kind(kind);
            // A stream is told from others by its file's place; nothing depends on it.
            let serial = part.index + 1;
            let recipe = move |kept: &RetainedSegments<'_>, out: &mut dyn Write| {
                whole::write(kind, channels, serial, kept.len(), &|number| kept.read(number), out)
            };
            let (object, file) = spool.make(&name, what, segments.clone(), recipe).await?;
            let sha256 = hex::encode(file.sha256);
            part.files.push(Made { kind, name, stored: Stored { kind: what, size: file.size, sha256 } });
            objects.push(object);
        }
        rendition_manifest.parts.push(part);
        rendition_manifest.write(&spool).await?;
        objects.into_iter().for_each(|object| queue.submit(object));
        if let Err(error) = spool.release(BTreeSet::from_iter(segments)).await {
            tracing::warn!("segments that are in a whole file stay on the disk: {error}");
        }
        Ok(rendition_manifest)
    }
}

const fn object_kind(kind: FileType) -> ObjectKind {
    match kind {
        FileType::Mp4 => ObjectKind::Mp4,
        FileType::Ogg => ObjectKind::Ogg,
    }
}
