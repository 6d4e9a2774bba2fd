//! The second bucket of an app: where a recording goes too while its own bucket takes nothing.
//!
//! When the oldest object of a recording has waited for [`BackupSettings::after`], all media that the spool holds are copied there, and
//! from then on what is made, until the own bucket is well again. Copies take nothing from the spool: an object leaves it only when
//! its own bucket confirmed it, so coming home is the usual upload. Nothing runs, and no connection is made, before that time.
//!
//! A playlist there goes by invariant 1 as well: it names what is there. What the own bucket confirmed before it could be copied stands in
//! it as a gap of its length, so that position stays wall time. Whether what is there can be put again is found out when the use begins,
//! with one small object; no text is put before, and where it can't, only the final ones are. What was copied by an earlier run of the
//! worker and is home by now is such a gap too: this run knows for sure only of the home.

mod copying;
mod index;
mod trouble;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::task::AbortOnDropHandle;

pub(super) use self::index::{ObjectIndex, Place};
use self::trouble::Trouble;
use super::BackupSettings;
use super::tasks::Tasks;
use super::upload::BackupUse;
use crate::callback::event::{BackupState, RecordingEvent, Warning};
use crate::error_class::{Classify, ErrorClass};
use crate::recording::PlaylistId;
use crate::storage::{Bucket, CopyQueue, Destination, KeyPrefix, Progress, SessionSpool, UploadReport, Uploader};
use crate::units::WallMs;

/// A use of an earlier run goes on after this time, or with the first attempt that fails.
const RESUME_AFTER: Duration = Duration::from_secs(10);
/// How far apart two attempts to find out what the bucket can do are.
const PROVE_AGAIN: Duration = Duration::from_secs(5);
/// After this time a use that could not begin is tried again.
const BEGIN_AGAIN: Duration = Duration::from_secs(60);

/// What a second bucket is used with.
#[derive(Clone)]
pub(super) struct BackupTarget {
    pub(super) settings: BackupSettings,
    pub(super) uploader: Arc<Uploader>,
    pub(super) tasks: Tasks,
}

impl BackupTarget {
    /// The second bucket of a recording; `folder` is the recording's own prefix.
    pub(super) fn bucket(&self, folder: &KeyPrefix) -> Bucket {
        let destination = self.settings.destination.clone();
        let prefix = destination.prefix.around(folder);
        let bucket = Bucket::connect(&Destination { prefix, ..destination });
        bucket.remembered(self.uploader.destinations())
    }
}

/// A recording's second bucket, used or not.
#[derive(Default)]
pub(super) struct Backup {
    target: Option<BackupTarget>,
    using: Option<Using>,
    index: ObjectIndex,
    /// An earlier run of the worker used it, since then, and did not say that this was over.
    resumed: Option<WallMs>,
    /// A use that could not begin is not tried again before.
    not_before: Option<Instant>,
    trouble: Trouble,
    objects: u64,
    bytes: u64,
}

/// While it is used.
struct Using {
    since: WallMs,
    begun: Instant,
    queue: CopyQueue,
    reports: mpsc::Receiver<UploadReport>,
    /// What was handed over and is not settled; where media belong.
    handed: HashMap<String, Option<Place>>,
    texts: BTreeMap<PlaylistId, Text>,
    /// Nothing that was handed over is on its way, nor in doubt.
    drained: bool,
    bucket: Bucket,
    /// While it is being found out what the bucket can do.
    proof: Option<AbortOnDropHandle<()>>,
}

/// How far a playlist's text was given out there.
#[derive(Clone, Copy, Debug, Default)]
struct Text {
    segments: usize,
    ended: bool,
    on_its_way: bool,
}

/// What there is to do about a second bucket.
#[derive(Debug)]
pub(super) enum BackupTask {
    /// It is time to use it.
    Due,
    /// The copies say something.
    Reported(UploadReport),
    /// Everything that was handed over is there for good.
    Drained,
    /// What the bucket can do is known as far as it will be: texts can be put.
    Proven,
}

impl Backup {
    pub(super) fn new(target: Option<BackupTarget>) -> Self {
        Self { target, ..Self::default() }
    }

    /// An earlier run of the worker used it.
    pub(super) fn resume(&mut self, since: Option<WallMs>) {
        self.resumed = since.filter(|_| self.target.is_some());
    }

    /// Whether it is used now.
    pub(super) const fn is_used(&self) -> bool {
        self.using.is_some()
    }

    /// When it is to be used, as far as `progress` of the way to the own bucket tells.
    pub(super) fn due(&self, progress: &Progress) -> Option<Instant> {
        let after = self.target.as_ref().filter(|_| self.using.is_none())?.settings.after;
        let waits = progress.oldest?;
        let due = match self.resumed {
            None => waits + after,
            Some(_) if progress.trouble.is_some() => waits,
            Some(_) => waits + after.min(RESUME_AFTER),
        };
        Some(due.max(self.not_before.unwrap_or(due)))
    }

    /// Waits for what there is to do; `due` is what [`Self::due`] said. For ever when nothing is. Cancelling loses nothing.
    pub(super) async fn next(&mut self, due: Option<Instant>) -> BackupTask {
        match (&mut self.using, due) {
            (Some(using), _) => {
                let watched = using.is_quiet() && !using.drained;
                tokio::select! {
                    biased;
                    Some(report) = using.reports.recv() => BackupTask::Reported(report),
                    () = proven(&mut using.proof) => {
                        using.proof = None;
                        BackupTask::Proven
                    }
                    () = using.queue.drained(), if watched => {
                        using.drained = true;
                        BackupTask::Drained
                    }
                    else => std::future::pending().await,
                }
            }
            (None, Some(due)) => {
                sleep_until(due).await;
                BackupTask::Due
            }
            (None, None) => std::future::pending().await,
        }
    }

    /// Begins to use it; what is to be said of that. `folder` is the recording's own prefix.
    pub(super) fn begin(
        &mut self,
        folder: &KeyPrefix,
        spool: SessionSpool,
        progress: &Progress,
        (now, wall): (Instant, WallMs),
    ) -> Option<RecordingEvent> {
        let BackupTarget { uploader, tasks, .. } = self.target.clone()?;
        let bucket = self.target.as_ref()?.bucket(folder);
        let (queue, reports) = uploader.spawn_copies(bucket.clone(), spool);
        let proof = (!bucket.is_known()).then(|| AbortOnDropHandle::new(tasks.spawn(prove(bucket.clone()))));
        let known = self.resumed.take();
        let since = known.unwrap_or(wall);
        self.using = Some(Using {
            since,
            begun: now,
            queue,
            reports,
            handed: HashMap::new(),
            texts: BTreeMap::new(),
            drained: false,
            bucket,
            proof,
        });
        let reason = progress.trouble.map_or("slow", |error_class| error_class.code);
        let Progress { waiting_objects, waiting_bytes, .. } = *progress;
        let begun = BackupState::Begun { reason, waiting_objects, waiting_bytes };
        known.is_none().then(|| warning(since, begun))
    }

    /// It could not begin.
    pub(super) fn put_off(&mut self, now: Instant) {
        self.not_before = Some(now + BEGIN_AGAIN);
    }

    /// Ends the use if the own bucket is well again; what is to be said of that.
    pub(super) fn end_if_well(&mut self, progress: &Progress, now: Instant) -> Option<RecordingEvent> {
        let after = self.target.as_ref()?.settings.after;
        let well = progress.trouble.is_none() && progress.oldest.is_none_or(|waits| now - waits < after);
        if well { self.end(now) } else { None }
    }

    /// Ends the use; what is to be said of that, if it was used.
    pub(super) fn end(&mut self, now: Instant) -> Option<RecordingEvent> {
        self.trouble.end();
        match (self.using.take(), self.resumed.take()) {
            (Some(using), _) => Some(ended(using.since, Some(millis(now - using.begun)))),
            (None, Some(since)) => Some(ended(since, None)),
            (None, None) => None,
        }
    }

    /// For query; none while it is not used.
    pub(super) fn report(&self) -> Option<BackupUse> {
        let using = self.using.as_ref()?;
        let (state, code, attempts) = self.trouble.report();
        Some(BackupUse {
            since_ms: using.since,
            state,
            code: code.map(str::to_owned),
            attempts,
            objects: self.objects,
            bytes: self.bytes,
            waiting_objects: using.queue.progress().waiting_objects,
            away: false,
        })
    }

    /// Something was confirmed there.
    pub(super) const fn count(&mut self, bytes: u64) {
        self.objects += 1;
        self.bytes += bytes;
    }

    /// Whether a failure with this code is another state of the backup bucket than the one before.
    pub(super) fn changes(&self, code: &str) -> bool {
        self.trouble.report().1 != Some(code)
    }

    /// An attempt to copy failed; what is to be said of it.
    pub(super) fn failed(&mut self, error_class: ErrorClass, attempts: u32, now: Instant) -> Option<RecordingEvent> {
        let since = self.using.as_ref()?.since;
        self.trouble.failed(error_class, attempts, now, since)
    }

    /// An attempt succeeded again; what is to be said of it.
    pub(super) fn recovered(&mut self) -> Option<RecordingEvent> {
        let since = self.using.as_ref()?.since;
        self.trouble.recovered(since)
    }
}

impl Using {
    /// Whether nothing that was handed over waits for an answer.
    fn is_quiet(&self) -> bool {
        self.proof.is_none() && self.handed.is_empty() && !self.texts.values().any(|text| text.on_its_way)
    }
}

/// Finds out what the bucket can do. One that is out of reach is asked again; what it refuses stays unknown.
async fn prove(bucket: Bucket) {
    while let Err(error) = bucket.prove().await {
        tracing::debug!("what the backup can do is not known: {error}");
        if !error.error_class().retry {
            return;
        }
        sleep(PROVE_AGAIN).await;
    }
}

/// Waits for the proof, for ever without one.
async fn proven(proof: &mut Option<AbortOnDropHandle<()>>) {
    match proof {
        // One that failed tells nothing.
        Some(proof) => drop(proof.await),
        None => std::future::pending().await,
    }
}

/// What is said when the own bucket has what it lacked.
pub(super) const fn ended(since: WallMs, lasted_ms: Option<u64>) -> RecordingEvent {
    warning(since, BackupState::Ended { lasted_ms })
}

const fn warning(since: WallMs, state: BackupState) -> RecordingEvent {
    RecordingEvent::Warning(Warning::Backup { since, state })
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::StorageConfigParts;
    use crate::storage::{RetryPolicy, vendor};

    const AFTER: Duration = Duration::from_secs(300);

    fn backup() -> Backup {
        let parts: StorageConfigParts = serde_json::from_value(serde_json::json!({
            "vendor": 11, "bucket": "backup", "accessKey": "a", "secretKey": "s",
            "extensionParams": { "endpoint": "http://127.0.0.1:1" },
        }))
        .unwrap();
        let settings = BackupSettings { destination: vendor::destination(&parts).unwrap(), after: AFTER };
        let uploader = Arc::new(Uploader::new(RetryPolicy::default(), 1));
        Backup::new(Some(BackupTarget { settings, uploader, tasks: Tasks::default() }))
    }

    #[tokio::test]
    async fn it_is_due_when_the_oldest_object_has_waited_and_never_without_one() {
        let (mut backup, now) = (backup(), Instant::now());
        let waiting = Progress { oldest: Some(now), ..Progress::default() };
        assert_eq!(backup.due(&Progress::default()), None);
        assert_eq!(Backup::new(None).due(&waiting), None);
        assert_eq!(backup.due(&waiting), Some(now + AFTER));
        backup.put_off(now + AFTER);
        assert_eq!(backup.due(&waiting), Some(now + AFTER + BEGIN_AGAIN));
    }

    #[tokio::test]
    async fn what_an_earlier_run_began_goes_on_with_the_first_failure() {
        let (mut backup, now) = (backup(), Instant::now());
        backup.resume(Some(WallMs(7)));
        let waiting = Progress { oldest: Some(now), ..Progress::default() };
        assert_eq!(backup.due(&waiting), Some(now + RESUME_AFTER));
        let failing = Progress { trouble: Some(ErrorClass::destination("bucket_busy", true)), ..waiting };
        assert_eq!(backup.due(&failing), Some(now));
        assert_eq!(backup.end_if_well(&failing, now), None);
        let said = backup.end_if_well(&Progress::default(), now).unwrap().encode();
        assert_eq!((&said.details["state"], &said.details["sinceMs"]), (&"ended".into(), &7.into()));
        assert_eq!(backup.end_if_well(&Progress::default(), now), None, "once");
    }

    #[tokio::test]
    async fn it_ends_when_nothing_old_waits_any_more() {
        let (dir, now) = (tempfile::tempdir().unwrap(), Instant::now());
        let spool = crate::storage::Spool::open(dir.path(), u64::MAX).unwrap();
        let app = crate::units::AppId::new("0123456789abcdef0123456789abcdef").unwrap();
        let spool = spool.session(&app, &crate::units::Sid::from_random([1; 16])).unwrap();
        let mut backup = backup();
        let old = Progress { oldest: Some(now), waiting_objects: 3, ..Progress::default() };
        let begun = backup.begin(&KeyPrefix::default(), spool, &old, (now + AFTER, WallMs(5))).unwrap().encode();
        assert_eq!(
            begun.details.to_string(),
            r#"{"msgName":"cloud_recording_warning","module":1,"warnCode":32,"state":"begun","sinceMs":5,"reason":"slow","waitingObjects":3,"waitingBytes":0}"#
        );
        assert!(backup.report().is_some() && backup.due(&old).is_none());
        assert_eq!(backup.end_if_well(&old, now + AFTER), None);
        let young = Progress { oldest: Some(now + AFTER), ..Progress::default() };
        assert_eq!(
            backup.end_if_well(&young, now + 2 * AFTER - Duration::from_secs(1)).unwrap().encode().details["lastedMs"],
            299_000
        );
        assert_eq!(backup.report(), None);
    }
}
