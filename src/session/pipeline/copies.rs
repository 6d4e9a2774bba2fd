//! What only the second bucket holds of a recording that is made again: copies of which neither the worker's disk nor the recording's own
//! bucket knows, since an older copy of the disk was put back. They are taken into the spool as if they had never left it, so that they
//! are final, are named, and come home as everything does.

use std::collections::{BTreeSet, HashSet};

use bytes::Bytes;
use futures_util::{StreamExt, stream};

use super::Pipeline;
use super::fixed::MAX_SEGMENT_BYTES;
use crate::codec::names::Role;
use crate::recording::PlaylistId;
use crate::session::fixed::FixedSegment;
use crate::session::in_bucket::{self, LOOK_TIME};
use crate::session::objects::Stored;
use crate::storage::journal::StoredObject;
use crate::storage::{Bucket, BucketError, ObjectKind, SpoolError, SpooledObject};
use crate::units::Ticks;

/// Requests at a time.
const FETCHES_AT_ONCE: usize = 8;

/// What was taken from there.
#[derive(Debug, Default)]
pub(super) struct Fetched {
    /// In the spool now.
    pub(super) objects: Vec<SpooledObject>,
    /// Where the recording ends, if a playlist there has its end.
    pub(super) ended: Option<Ticks>,
}

impl Pipeline {
    /// Takes what the second bucket alone holds. `home`: what the recording's own bucket does, as far as it said so.
    pub(super) async fn fetch_copies(
        &mut self,
        home: Option<&BTreeSet<String>>,
        confirmed: &[StoredObject],
    ) -> Result<Fetched, SpoolError> {
        let Some(means) = &self.context.backup else { return Ok(Fetched::default()) };
        let bucket = means.bucket(&self.context.plan.folder());
        let mut fetched = Fetched::default();
        let names = match self.copies(&bucket, &mut fetched).await {
            Ok(names) => names,
            Err(error) => {
                tracing::warn!(sid = %self.context.plan.sid, "what the backup holds is not known: {error}");
                return Ok(fetched);
            }
        };
        let wanted: Vec<(String, PlaylistId)> = {
            let journal = confirmed.iter().map(|object| object.name.as_str());
            let published = self.publication.entries().map(|entry| entry.name.as_str());
            let spooled =
                self.earlier_runs.iter().flat_map(|earlier_runs| earlier_runs.left.keys()).map(String::as_str);
            let bucket = home.into_iter().flatten().map(String::as_str);
            let known: HashSet<&str> = journal.chain(published).chain(spooled).chain(bucket).collect();
            let unknown = names.into_iter().filter(|name| !known.contains(name.as_str()));
            let segment = |name: String| match self.context.plan.file_named(&name) {
                Some((playlist, Role::Segment)) => Some((name, playlist)),
                _ => None,
            };
            unknown.filter_map(segment).collect()
        };
        let fetch = |(name, playlist): (String, PlaylistId)| {
            let bucket = bucket.clone();
            async move { (bucket.get_within(LOOK_TIME, &bucket.key(&name), MAX_SEGMENT_BYTES).await, name, playlist) }
        };
        let mut copies = stream::iter(wanted).map(fetch).buffered(FETCHES_AT_ONCE);
        while let Some((got, name, playlist)) = copies.next().await {
            match got {
                Ok(Some(bytes)) => fetched.objects.extend(self.take_copy(name, playlist, bytes).await?),
                Ok(None) => {}
                Err(error) => {
                    tracing::warn!(sid = %self.context.plan.sid, name, "a copy in the backup stays there: {error}")
                }
            }
        }
        if !fetched.objects.is_empty() {
            let count = fetched.objects.len();
            tracing::warn!(sid = %self.context.plan.sid, count, "only the backup had a part of this recording; it comes home");
        }
        Ok(fetched)
    }

    async fn copies(&self, bucket: &Bucket, fetched: &mut Fetched) -> Result<BTreeSet<String>, BucketError> {
        let plan = &self.context.plan;
        let names = in_bucket::list(bucket, plan).await?;
        for playlist in in_bucket::playlists_of(plan, &names) {
            if let Some(text) = in_bucket::read_playlist(bucket, plan, &playlist).await? {
                fetched.ended = fetched.ended.max(text.ended.then(|| text.end()));
            }
        }
        Ok(names)
    }

    /// One that lies where nothing else is known to lie.
    async fn take_copy(
        &mut self,
        name: String,
        playlist: PlaylistId,
        bytes: Bytes,
    ) -> Result<Option<SpooledObject>, SpoolError> {
        let Some(entry) = in_bucket::place(&name, &bytes) else { return Ok(None) };
        let stored = Stored::of(ObjectKind::Segment, &bytes);
        let segment = FixedSegment { playlist, entry, stored, in_bucket: false, silenced: false };
        let behind = self.publication.end_of(&segment.playlist) <= segment.entry.start;
        if !behind || !self.fixed.insert(segment) {
            return Ok(None);
        }
        let object = self.context.spool.put(&name, ObjectKind::Segment, bytes).await?;
        if let Some(earlier_runs) = &mut self.earlier_runs {
            earlier_runs.left.insert(name, object.clone());
        }
        Ok(Some(object))
    }
}
