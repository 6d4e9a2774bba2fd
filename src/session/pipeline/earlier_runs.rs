//! A recording that is made again from its journal: what an earlier run of the worker left of it, and what it need not do twice.
//!
//! What the bucket confirmed and what the spool holds is final ([`crate::session::fixed`]): it is taken as it is, whatever the journal
//! gives for its place. While the bucket can't be asked ([`super::pending_bucket`]) the journal's word of it counts.

use std::collections::{BTreeSet, HashMap, HashSet};

use bytes::Bytes;

use super::packed::silent_segment;
use super::pending_bucket::PendingBucket;
use super::vouched::Heard;
use super::{Pipeline, Trouble};
use crate::callback::event::EventKey;
use crate::session::event_dedup::EventDedup;
use crate::session::fixed::FixedSegment;
use crate::session::in_bucket::{self, InBucket, Question};
use crate::session::objects::Stored;
use crate::storage::journal::StoredObject;
use crate::storage::{ObjectKind, SpoolError, SpooledObject, UploadError};
use crate::units::Ticks;

/// What earlier runs left.
#[derive(Debug, Default)]
pub(super) struct EarlierRuns {
    /// What the spool held when the worker came back, by name.
    pub(super) left: HashMap<String, SpooledObject>,
    /// Names of what a checkpoint calls unconfirmed and the spool has no more.
    pub(super) lacking: BTreeSet<String>,
    /// Who was being heard, apart from what the journal says.
    pub(super) heard: Heard,
    /// While the bucket did not say what it holds.
    pub(super) pending_bucket: Option<PendingBucket>,
    /// The bucket may not be read, which is not said yet.
    pub(super) blind: bool,
    /// Every name in the bucket, where it told them.
    pub(super) home: Option<BTreeSet<String>>,
    /// Why the second bucket did not say what it holds.
    pub(super) copies: Option<UploadError>,
    /// What a checkpoint calls unconfirmed and neither the spool nor the bucket has: the second bucket may.
    pub(super) lost: Vec<(String, Stored)>,
    /// What of that the second bucket had.
    pub(super) back: Vec<SpooledObject>,
    /// What an earlier run left in the spool, while the second bucket did not say what it holds in its place.
    pub(super) kept_back: Vec<SpooledObject>,
}

/// What was found in the spool.
#[derive(Debug, Default)]
struct InSpool {
    /// All that can be uploaded.
    whole: Vec<SpooledObject>,
    /// Segments among it that a checkpoint does not know.
    segments: Vec<FixedSegment>,
}

impl Pipeline {
    /// What follows until [`Self::caught_up`] was recorded by an earlier run: learns what that run has said, hands over what it left in
    /// the spool, and takes what is final from there, from the bucket, and from `confirmed`, the journal's word of it. Answers with
    /// where the recording ends, if the bucket has its end. Where the bucket can't be asked now, [`Self::is_bucket_unasked`].
    pub(in crate::session) async fn replay(&mut self, confirmed: Vec<StoredObject>) -> Result<Option<Ticks>, Trouble> {
        self.event_dedup = EventDedup::load(&self.context.store, &self.context.plan.sid).await?;
        self.backup.resume(self.event_dedup.backup_since());
        self.publication.replay();
        let left = self.context.spool.list().await?;
        // What was in them is made again, or a checkpoint knows that it is lost.
        self.context.spool.remove_damaged().await?;
        self.take_up_files(&left).await?;
        for object in confirmed.iter().filter(|object| object.kind.is_whole()) {
            self.objects.insert(object.name.clone(), Stored::of_record(object));
        }
        let spooled = self.look_into_spool(left).await;
        let earlier_runs = spooled.whole.iter().map(|object| (object.name.clone(), object.clone())).collect();
        self.earlier_runs = Some(EarlierRuns { left: earlier_runs, ..EarlierRuns::default() });
        self.settle_confirmed(&confirmed);
        self.find_lacking();
        let (bucket, asked) =
            (self.queue.bucket(), Question::beside(&self.context.plan, &confirmed, &self.publication));
        let looked = InBucket::look(&bucket, &asked).await;
        let fetched = self.fetch_copies(looked.as_ref().ok().and_then(InBucket::names), &confirmed).await;
        let mut ended = None;
        match looked {
            Ok(held) => (ended, _) = self.take_held(held).await?,
            Err(error) => {
                let noted = InBucket::noted(&bucket, &asked).await;
                self.insert_fixed(noted.segments);
                self.objects.extend(noted.inits);
                self.is_unasked(confirmed.clone(), error);
            }
        }
        let over = self.insert_fixed(spooled.segments);
        let whole = self.without_useless(spooled.whole, &over).await;
        let (whole, copies) = self.take_copies(fetched.copies, whole).await;
        self.replay_until();
        self.resume(whole);
        self.resume(copies);
        self.resume_back();
        Ok(ended.or_else(|| fetched.ended.map(|ended| ended.max(self.fixed.end()))))
    }

    /// Takes what the bucket holds; where the recording ends, if the bucket has its end, and what of the spool it takes the place of.
    pub(super) async fn take_held(
        &mut self,
        mut held: InBucket,
    ) -> Result<(Option<Ticks>, Vec<FixedSegment>), Trouble> {
        if let Some(earlier_runs) = &mut self.earlier_runs {
            (earlier_runs.blind, earlier_runs.home) = (held.is_blind(), held.names().cloned());
        }
        self.settle_unconfirmed(&held).await?;
        let over = self.insert_fixed(std::mem::take(&mut held.segments));
        self.objects.extend(held.inits);
        Ok((held.ended.map(|ended| ended.max(self.fixed.end())), over))
    }

    /// Inserts final segments behind what a checkpoint knows; those of the spool in whose place another one lies.
    fn insert_fixed(&mut self, segments: Vec<FixedSegment>) -> Vec<FixedSegment> {
        let mut over = Vec::new();
        for segment in segments {
            if self.publication.end_of(&segment.playlist) > segment.entry.start {
                continue;
            }
            if segment.in_bucket {
                let (entry, stored) = (segment.entry.clone(), segment.stored.clone());
                let others = self.fixed.insert_over(segment).into_iter().flatten();
                // What is the same need not be uploaded, and does no harm.
                over.extend(others.filter(|other| other.entry != entry || other.stored.sha256 != stored.sha256));
            } else if self.fixed.overlaps(&segment) {
                over.push(segment);
            } else {
                self.fixed.insert(segment);
            }
        }
        over
    }

    /// What is left in the spool without those that nobody needs, which are removed.
    pub(super) async fn without_useless(
        &mut self,
        left: Vec<SpooledObject>,
        useless: &[FixedSegment],
    ) -> Vec<SpooledObject> {
        let names: HashSet<&str> = useless.iter().map(|segment| segment.entry.name.as_str()).collect();
        let (useless, left): (Vec<_>, Vec<_>) =
            left.into_iter().partition(|object| names.contains(object.name.as_str()));
        for object in useless {
            self.earlier_runs.iter_mut().for_each(|earlier_runs| _ = earlier_runs.left.remove(&object.name));
            if let Err(error) = self.context.spool.remove(&object).await {
                tracing::warn!(sid = %self.context.plan.sid, name = object.name, "a useless file stays in the spool: {error}");
            }
        }
        left
    }

    /// Looks anew who was heard: what is final is known.
    pub(super) fn replay_until(&mut self) {
        let heard = self.look_who_was_heard();
        if let Some(earlier_runs) = &mut self.earlier_runs {
            earlier_runs.heard = heard;
        }
    }

    /// Everything that an earlier run can have made is made again: gives out what was held back.
    pub(in crate::session) async fn caught_up(&mut self) -> Result<(), SpoolError> {
        self.ship().await?;
        self.add_fixed_playlists().await?;
        let earlier_runs = self.earlier_runs.take();
        self.pauses.clear();
        let left = earlier_runs.iter().flat_map(|earlier_runs| {
            earlier_runs.pending_bucket.iter().flat_map(|pending_bucket| &pending_bucket.left)
        });
        let left = left.chain(earlier_runs.iter().flat_map(|earlier_runs| &earlier_runs.kept_back));
        // The journal knew everything that the buckets can have.
        self.queue.resume(left.cloned().collect());
        if self.finished {
            self.close_fixed_playlists().await?;
        }
        if earlier_runs.is_none() {
            return Ok(());
        }
        let playlists: Vec<_> = self.publication.playlists().cloned().collect();
        for playlist in playlists {
            if self.event_dedup.knows(&EventKey::Listed(self.context.plan.file(&playlist).key)) {
                self.publication.is_there(&playlist);
            }
        }
        for playlist in self.publication.caught_up() {
            self.upload_playlist(&playlist).await?;
        }
        self.account();
        self.make_full_files().await;
        Ok(())
    }

    /// Where the last segment that is final ends.
    pub(in crate::session) fn fixed_end(&self) -> Ticks {
        self.fixed.end()
    }

    /// Whether media that is made again is in the spool since an earlier run, byte for byte.
    pub(super) async fn is_left(&mut self, name: &str, bytes: &Bytes) -> bool {
        let left = self.earlier_runs.as_mut().and_then(|earlier_runs| earlier_runs.left.remove(name));
        let Some(left) = left.filter(|left| left.size == bytes.len() as u64) else { return false };
        // What can't be read any more was confirmed meanwhile; putting it once more does no harm.
        self.context.spool.read(&left).await.is_ok_and(|known| known == *bytes)
    }

    /// Reads the media files in the spool that no checkpoint knows. What is damaged, and the second file of a name, is removed: it is
    /// made again, or the first one counts.
    async fn look_into_spool(&self, left: Vec<SpooledObject>) -> InSpool {
        let mut found = InSpool::default();
        let mut names: HashSet<String> = HashSet::new();
        for object in left {
            let media = matches!(object.kind, ObjectKind::Init | ObjectKind::Segment);
            let known = self.unconfirmed.get(&object.name).is_some_and(|known| known.size == object.size);
            let mut keep = !media || names.insert(object.name.clone());
            if keep && media && !known {
                match self.read_spooled(&object).await {
                    Some(segment) => found.segments.extend(segment),
                    None => keep = false,
                }
            }
            if keep {
                found.whole.push(object);
            } else if let Err(error) = self.context.spool.remove(&object).await {
                tracing::warn!(sid = %self.context.plan.sid, name = object.name, "a useless file stays in the spool: {error}");
            }
        }
        found
    }

    /// `None`: the file is damaged. A segment whose playlist its name does not tell is only uploaded.
    async fn read_spooled(&self, object: &SpooledObject) -> Option<Option<FixedSegment>> {
        let (plan, name) = (&self.context.plan, &object.name);
        let read = self.context.spool.read(object).await;
        let bytes =
            read.inspect_err(|error| tracing::error!(sid = %plan.sid, name, "a file in the spool: {error}")).ok()?;
        let playlist = plan.file_named(name).map(|(playlist, _)| playlist);
        if object.kind == ObjectKind::Init {
            let damaged = playlist.is_some_and(|playlist| playlist.init_segment(plan.profile) != bytes);
            return (!damaged).then_some(None);
        }
        let Some(entry) = in_bucket::place(name, &bytes) else {
            tracing::error!(sid = %plan.sid, name, "a file in the spool is damaged; it is made again");
            return None;
        };
        let stored = Stored::of(ObjectKind::Segment, &bytes);
        Some(playlist.map(|playlist| FixedSegment { playlist, entry, stored, in_bucket: false, silenced: false }))
    }

    /// What a checkpoint calls unconfirmed, and the journal behind it confirmed.
    fn settle_confirmed(&mut self, confirmed: &[StoredObject]) {
        for object in confirmed {
            if self.unconfirmed.remove(&object.name).is_some() {
                self.publication.stored(&object.name);
                self.objects.insert(object.name.clone(), Stored::of_record(object));
            }
        }
    }

    /// Looks what a checkpoint calls unconfirmed and the spool has no more: before anything is made again, which is unconfirmed too.
    fn find_lacking(&mut self) {
        let Some(earlier_runs) = &mut self.earlier_runs else { return };
        let names = self.unconfirmed.keys().filter(|name| !earlier_runs.left.contains_key(*name));
        earlier_runs.lacking = names.cloned().collect();
    }

    /// Takes out what a checkpoint calls unconfirmed and the spool has no more.
    pub(super) fn take_removed(&mut self) -> Vec<(String, Stored)> {
        let lacking = self
            .earlier_runs
            .as_mut()
            .map(|earlier_runs| std::mem::take(&mut earlier_runs.lacking))
            .unwrap_or_default();
        self.unconfirmed.extract_if(.., |name, _| lacking.contains(name)).collect()
    }

    /// Whether a checkpoint calls something unconfirmed that the spool has no more.
    pub(super) fn is_anything_removed(&self) -> bool {
        self.earlier_runs.as_ref().is_some_and(|earlier_runs| !earlier_runs.lacking.is_empty())
    }

    /// What is gone from the spool was confirmed, as far as nobody can tell: it leaves the spool for nothing else.
    pub(super) fn settle_as_confirmed(&mut self, gone: Vec<(String, Stored)>) {
        for (name, stored) in gone {
            self.publication.stored(&name);
            self.objects.insert(name, stored);
        }
    }

    async fn settle_unconfirmed(&mut self, held: &InBucket) -> Result<(), SpoolError> {
        let gone = self.take_removed();
        let lost = self.settle_removed_as(held, gone).await;
        match &mut self.earlier_runs {
            Some(earlier_runs) if earlier_runs.copies.is_some() => {
                earlier_runs.lost = lost;
                Ok(())
            }
            _ => self.replace_all_lost(lost).await,
        }
    }

    /// What a checkpoint calls unconfirmed and the spool has no more was confirmed later; answers with what is lost with the disk.
    pub(super) async fn settle_removed_as(
        &mut self,
        held: &InBucket,
        gone: Vec<(String, Stored)>,
    ) -> Vec<(String, Stored)> {
        let (bucket, mut lost) = (self.queue.bucket(), Vec::new());
        for (name, stored) in gone {
            if held.holds(&bucket, &name).await == Some(false) {
                lost.push((name, stored));
            } else {
                self.unconfirmed.remove(&name);
                self.publication.stored(&name);
                self.objects.insert(name, stored);
            }
        }
        lost
    }

    /// No bucket has these.
    pub(super) async fn replace_all_lost(&mut self, lost: Vec<(String, Stored)>) -> Result<(), SpoolError> {
        for (name, _) in lost {
            self.replace_lost(&name).await?;
        }
        Ok(())
    }

    /// Neither spool nor bucket has a media file, and the journal does not have its inputs: silence takes its place.
    async fn replace_lost(&mut self, name: &str) -> Result<(), SpoolError> {
        let Some((playlist, entry)) = self.publication.waiting_entry(name) else { return Ok(()) };
        let (playlist, entry) = (playlist.clone(), entry.cloned());
        tracing::error!(sid = %self.context.plan.sid, name, "neither the spool nor the bucket has a file that was made");
        let (kind, bytes) = match entry {
            None => (ObjectKind::Init, playlist.init_segment(self.context.plan.profile)),
            Some(entry) => {
                self.recorder.lose(&playlist, entry.start, entry.end());
                (ObjectKind::Segment, silent_segment(&playlist, entry.start, entry.duration, &self.context.plan))
            }
        };
        self.put(name, kind, bytes).await
    }
}
