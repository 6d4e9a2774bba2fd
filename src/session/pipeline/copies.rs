//! What only the second bucket holds of a recording that is made again: copies of which neither the worker's disk nor the recording's own
//! bucket knows, since an older copy of the disk was put back or the spool is lost. They are taken into the spool as if they had never left
//! it, so that they are final, are named, and come home as everything does.
//!
//! Where the second bucket can't be asked and the journal may be poorer than it, what is made waits for it ([`super::unread_primary`]), for
//! [`TIMEOUT`] at most. Event 1 says that the recording waits, and that it waited in vain.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::time::Duration;

use futures_util::{StreamExt, stream};

use super::Pipeline;
use crate::callback::event::{ErrorCode, ErrorEvent, ErrorLevel, ErrorReason, Module, RecordingEvent};
use crate::codec::names::Role;
use crate::error_class::Classify;
use crate::recording::PlaylistId;
use crate::session::fixed::FixedSegment;
use crate::session::in_bucket::{self, LOOK_TIME, MAX_SEGMENT_BYTES};
use crate::session::objects::Stored;
use crate::session::plan::Plan;
use crate::storage::journal::StoredObject;
use crate::storage::{Bucket, ObjectKind, SessionSpool, SpoolError, SpooledObject, UploadError};
use crate::units::Ticks;

/// How long a recording waits for a second bucket that can't be asked what it holds.
pub(super) const TIMEOUT: Duration = Duration::from_secs(600);
/// Requests at a time.
const FETCHES_AT_ONCE: usize = 8;

/// A segment that was fetched, and what the spool has of it.
pub(super) type Copy = (FixedSegment, SpooledObject);

/// What the second bucket is asked.
pub(super) struct Ask {
    bucket: Bucket,
    plan: Plan,
    spool: SessionSpool,
    /// What need not be fetched.
    known: HashSet<String>,
    /// What the spool has, with its bytes: a copy of other bytes was confirmed there by an earlier run, and counts before it.
    spooled: HashMap<String, u64>,
}

/// What was taken from there.
#[derive(Debug, Default)]
pub(super) struct Fetched {
    /// In the spool now.
    pub(super) copies: Vec<Copy>,
    /// Where the recording ends, if a playlist there has its end.
    pub(super) ended: Option<Ticks>,
    /// Why there may be more.
    pub(super) error: Option<UploadError>,
}

impl Ask {
    /// These need not be fetched either.
    pub(super) fn beside<'a>(mut self, names: impl Iterator<Item = &'a str>) -> Self {
        self.known.extend(names.map(str::to_owned));
        self
    }

    /// These need not be fetched either, if the copies have as many bytes.
    pub(super) fn beside_spooled<'a>(mut self, objects: impl Iterator<Item = &'a SpooledObject>) -> Self {
        let segments = objects.filter(|object| object.kind == ObjectKind::Segment);
        self.spooled.extend(segments.map(|object| (object.name.clone(), object.size)));
        self.spooled.keys().for_each(|name| _ = self.known.remove(name));
        self
    }

    fn is_wanted(&self, name: &str, size: u64) -> bool {
        !self.known.contains(name) && self.spooled.get(name) != Some(&size)
    }

    /// Fetches into the spool what is not known.
    pub(super) async fn fetch(self) -> Fetched {
        let mut fetched = Fetched::default();
        fetched.error = self.fetch_into(&mut fetched).await.err();
        if let Some(error) = &fetched.error {
            tracing::warn!(sid = %self.plan.sid, "what the backup holds is not known: {error}");
        }
        if !fetched.copies.is_empty() {
            let count = fetched.copies.len();
            tracing::warn!(sid = %self.plan.sid, count, "only the backup had a part of this recording; it comes home");
        }
        fetched
    }

    async fn fetch_into(&self, fetched: &mut Fetched) -> Result<(), UploadError> {
        let Self { bucket, plan, spool, .. } = self;
        let names = in_bucket::list_sizes(bucket, plan).await?;
        for playlist in in_bucket::playlists_of(plan, names.keys()) {
            if let Some(text) = in_bucket::read_playlist(bucket, plan, &playlist).await? {
                fetched.ended = fetched.ended.max(text.ended.then(|| text.end()));
            }
        }
        let wanted = names.into_iter().filter(|(name, size)| self.is_wanted(name, *size));
        let wanted = wanted.filter_map(|(name, _)| match plan.file_named(&name) {
            Some((playlist, Role::Segment)) => Some((name, playlist)),
            _ => None,
        });
        let fetch = |(name, playlist): (String, PlaylistId)| async move {
            (bucket.get_within(LOOK_TIME, &bucket.key(&name), MAX_SEGMENT_BYTES).await, name, playlist)
        };
        let mut got = stream::iter(wanted).map(fetch).buffered(FETCHES_AT_ONCE);
        while let Some((got, name, playlist)) = got.next().await {
            let bytes = match got {
                Ok(Some(bytes)) => bytes,
                Ok(None) => continue,
                Err(error) if error.may_be_read_later() => return Err(error.into()),
                Err(error) => {
                    tracing::warn!(sid = %plan.sid, name, "a copy in the backup stays there: {error}");
                    continue;
                }
            };
            let Some(entry) = in_bucket::place(&name, &bytes) else { continue };
            let stored = Stored::of(ObjectKind::Segment, &bytes);
            let object = spool.put(&name, ObjectKind::Segment, bytes).await?;
            let segment = FixedSegment { playlist, entry, stored, in_bucket: false, silenced: false };
            fetched.copies.push((segment, object));
        }
        Ok(())
    }
}

/// Whether asking again may tell.
pub(super) fn may_be_asked_later(error: &UploadError) -> bool {
    match error {
        UploadError::Bucket(error) => error.may_be_read_later(),
        UploadError::Spool(_) => true,
    }
}

impl Pipeline {
    /// What to ask the second bucket, where there is one. `home`: what the recording's own bucket holds, as far as it said so; `lacking`:
    /// what is to be fetched though its name is known.
    pub(super) fn ask_copies<'a>(
        &self,
        home: Option<&BTreeSet<String>>,
        confirmed: &[StoredObject],
        lacking: impl Iterator<Item = &'a str>,
    ) -> Option<Ask> {
        let Self { context, fixed, earlier_runs, .. } = self;
        let bucket = context.backup.as_ref()?.bucket(&context.plan.folder());
        let journal = confirmed.iter().map(|object| object.name.as_str());
        let published = self.publication.entries().map(|entry| entry.name.as_str());
        let fixed = fixed.iter().map(|segment| segment.entry.name.as_str());
        let all = published.chain(fixed);
        let mut known: HashSet<String> = all.map(str::to_owned).collect();
        lacking.for_each(|name| _ = known.remove(name));
        let (plan, spool) = (context.plan.clone(), context.spool.clone());
        let ask = Ask { bucket, plan, spool, known, spooled: HashMap::new() };
        let ask = ask.beside_spooled(earlier_runs.iter().flat_map(|earlier_runs| earlier_runs.left.values()));
        // What the recording's own bucket confirmed counts before all others.
        Some(ask.beside(journal.chain(home.into_iter().flatten().map(String::as_str))))
    }

    /// Takes what the second bucket alone holds of a recording that is made again; `held`: the names in its own bucket, where it told them.
    /// Answers with what lies behind all that a checkpoint knows, and with the end of the recording, if a playlist there has it.
    pub(super) async fn fetch_copies(
        &mut self,
        held: Option<&BTreeSet<String>>,
        confirmed: &[StoredObject],
    ) -> Fetched {
        let lacking = self.earlier_runs.iter().flat_map(|earlier_runs| &earlier_runs.lacking);
        let Some(ask) = self.ask_copies(held, confirmed, lacking.map(String::as_str)) else {
            return Fetched::default();
        };
        let mut fetched = ask.fetch().await;
        let (back, copies): (Vec<_>, Vec<_>) =
            fetched.copies.into_iter().partition(|(segment, _)| self.is_lacking(segment));
        for (segment, object) in back {
            if let Some(earlier_runs) = &mut self.earlier_runs {
                earlier_runs.lacking.remove(&segment.entry.name);
                earlier_runs.left.insert(segment.entry.name, object.clone());
                earlier_runs.back.push(object);
            }
        }
        fetched.copies = copies;
        if let Some(earlier_runs) = &mut self.earlier_runs {
            earlier_runs.copies = fetched.error.take();
        }
        fetched
    }

    /// Whether this is what a checkpoint calls unconfirmed and the spool has no more, byte for byte.
    fn is_lacking(&self, copy: &FixedSegment) -> bool {
        let lacking =
            self.earlier_runs.as_ref().is_some_and(|earlier_runs| earlier_runs.lacking.contains(&copy.entry.name));
        lacking && self.unconfirmed.get(&copy.entry.name) == Some(&copy.stored)
    }

    /// Inserts those that lie where the recording's own bucket has nothing, before what the spool has there, and removes the others. Answers
    /// with what is `left` in the spool without those in whose place they lie, and with them.
    pub(super) async fn take_copies(
        &mut self,
        copies: Vec<Copy>,
        mut left: Vec<SpooledObject>,
    ) -> (Vec<SpooledObject>, Vec<SpooledObject>) {
        let mut taken = Vec::new();
        for (segment, object) in copies {
            let behind = self.publication.end_of(&segment.playlist) <= segment.entry.start;
            let over = if behind { self.fixed.insert_over(segment) } else { None };
            let Some(over) = over else {
                self.forget_spooled(Some(object.clone()), &object.name).await;
                continue;
            };
            if !over.is_empty() {
                left = self.without_useless(left, &over).await;
            }
            if let Some(earlier_runs) = &mut self.earlier_runs {
                earlier_runs.left.insert(object.name.clone(), object.clone());
            }
            taken.push(object);
        }
        (left, taken)
    }

    /// Hands over what the second bucket had of that.
    pub(super) fn resume_back(&mut self) {
        let back = self.earlier_runs.as_mut().map(|earlier_runs| std::mem::take(&mut earlier_runs.back));
        self.resume(back.unwrap_or_default());
    }

    /// The journal may be poorer than the second bucket, which could not be asked: what is made from here on waits for it.
    pub(in crate::session) async fn wait_for_copies(&mut self) -> Result<(), SpoolError> {
        let Some(earlier_runs) = &mut self.earlier_runs else { return Ok(()) };
        let Some(error) = earlier_runs.copies.take() else { return Ok(()) };
        let lost = std::mem::take(&mut earlier_runs.lost);
        let kept_back = std::mem::take(&mut earlier_runs.kept_back);
        if may_be_asked_later(&error) {
            let what = "what is made waits on the disk until that has answered, for ten minutes at most";
            self.tell_of_copies(&error, ErrorReason::WaitsForBackup, ErrorLevel::Medium, what).await;
            self.doubt_copies(lost, kept_back, error.error_class().code);
            return Ok(());
        }
        self.resume(kept_back);
        self.copies_stay(&error).await;
        self.replace_all_lost(lost).await
    }

    /// What only the second bucket holds stays there.
    pub(super) async fn copies_stay(&mut self, error: &UploadError) {
        let what =
            "the recording goes on without knowing; what only the backup holds stays there, and may be in no playlist";
        self.tell_of_copies(error, ErrorReason::BackupNotAsked, ErrorLevel::Major, what).await;
    }

    /// Where the second bucket is, and what it says, is the operator's: the event has the fault's code alone.
    async fn tell_of_copies(
        &mut self,
        error: &UploadError,
        reason: fn(&'static str) -> ErrorReason,
        level: ErrorLevel,
        what: &str,
    ) {
        let code = error.error_class().code;
        let text = format!(
            "the worker's journal lacks a part of this recording, and its backup can't be asked what it holds; {what}"
        );
        tracing::error!(sid = %self.context.plan.sid, code, "{text}: {error}");
        let said = ErrorEvent::new(Module::Uploader, level, ErrorCode::StorageConfiguration, text);
        self.append_events(vec![RecordingEvent::Error(said.because(reason(code)))]).await;
    }
}
