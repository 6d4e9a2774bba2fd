//! What the bucket itself says that it holds of a recording: the last witness, when everything on the worker's disk may be poorer.
//!
//! Asked once when a recording is made again. The playlists there name segments with their lengths, a list of the keys tells what else
//! was put. Where the credentials may not read or list, nothing is learned: a PUT that finds another object under its name
//! ([`crate::storage::UploadReport::Taken`]) is the second chance. A bucket that does not answer is asked again
//! ([`crate::session::pipeline`]): the journal's word alone ([`InBucket::noted`]) may be less than what is there.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures_util::{StreamExt, TryStreamExt, stream};

use super::fixed::FixedSegment;
use super::objects::Stored;
use super::plan::Plan;
use super::publication::Publication;
use crate::codec::names::Role;
use crate::codec::playlist::{Entry, Playlist};
use crate::codec::{fmp4, ts};
use crate::recording::PlaylistId;
use crate::storage::journal::StoredObject;
use crate::storage::{Bucket, BucketError, Listed, ObjectKind};
use crate::units::Ticks;

/// How long one request may take.
pub(super) const LOOK_TIME: Duration = Duration::from_secs(10);
/// Requests at a time.
const LOOKS_AT_ONCE: usize = 8;
/// Most keys of one recording that are listed.
const MAX_KEYS: usize = 300_000;
/// Most prefixes `bak<n>_` that are looked for.
const MAX_PREFIXES: u32 = 16;
/// Longest segment that is read back, in bytes: 15 s at 510 kbit/s, and some.
pub(super) const MAX_SEGMENT_BYTES: u64 = 2 << 20;
/// Longest playlist that is read, in bytes: a month of segments.
const MAX_PLAYLIST_BYTES: u64 = 64 << 20;

/// See the module's documentation.
#[derive(Debug, Default)]
pub(super) struct InBucket {
    /// Segments behind those that the publication knows, those that a playlist names first.
    pub(super) segments: Vec<FixedSegment>,
    /// Init segments, by name.
    pub(super) inits: Vec<(String, Stored)>,
    /// Where the recording ends, if a playlist there has its end.
    pub(super) ended: Option<Ticks>,
    /// Every name that is there; `None` where that could not be had.
    names: Option<BTreeSet<String>>,
    /// Whether a playlist could be read.
    is_read: bool,
}

/// What is known before the bucket is asked.
#[derive(Clone, Debug)]
pub(super) struct Question {
    pub(super) plan: Plan,
    /// What the journal says that the bucket confirmed.
    pub(super) confirmed: Vec<StoredObject>,
    /// The playlists that were begun.
    playlists: BTreeSet<PlaylistId>,
    /// Names of the segments that need not be looked at.
    published: BTreeSet<String>,
}

/// What is known of a segment before it is looked at.
struct Known {
    playlist: PlaylistId,
    name: String,
    /// Its place, where a playlist or the journal says it.
    entry: Option<Entry>,
    stored: Option<Stored>,
    silenced: bool,
}

impl Question {
    /// What the bucket holds beside the segments that the publication has.
    pub(super) fn beside(plan: &Plan, confirmed: &[StoredObject], publication: &Publication) -> Self {
        let published = publication.entries().map(|entry| entry.name.clone()).collect();
        let playlists = publication.playlists().cloned().collect();
        Self { plan: plan.clone(), confirmed: confirmed.to_vec(), playlists, published }
    }

    /// The same beside those that are known to be in it.
    pub(super) fn beside_stored(plan: &Plan, confirmed: &[StoredObject], publication: &Publication) -> Self {
        let published = publication.stored_entries().map(|entry| entry.name.clone()).collect();
        Self { published, ..Self::beside(plan, confirmed, publication) }
    }

    fn playlists(&self, names: Option<&BTreeSet<String>>) -> BTreeSet<PlaylistId> {
        match names {
            Some(names) => playlists_of(&self.plan, names).collect(),
            None => {
                let mix = self.plan.mode.mixes().then_some(PlaylistId::Mix);
                let confirmed = self.confirmed.iter().filter(|object| !object.kind.is_whole());
                let known = confirmed.map(|object| object.playlist.clone());
                mix.into_iter().chain(known).chain(self.playlists.iter().cloned()).collect()
            }
        }
    }
}

impl InBucket {
    /// What the journal alone says.
    pub(super) async fn noted(bucket: &Bucket, asked: &Question) -> Self {
        let (mut found, mut known, mut order) = (Self::default(), BTreeMap::new(), Vec::new());
        for object in &asked.confirmed {
            found.take_confirmed(object, &mut known, &mut order);
        }
        // Each is known whole, so nothing is asked.
        found.look_at(bucket, known, order, asked).await.unwrap_or_default()
    }

    /// Looks. An error says that another look may tell.
    pub(super) async fn look(bucket: &Bucket, asked: &Question) -> Result<Self, BucketError> {
        let plan = &asked.plan;
        let mut found = Self::default();
        match list(bucket, plan).await {
            Ok(names) => found.names = Some(names),
            Err(error) if error.may_be_read_later() => return Err(error),
            Err(error) => tracing::info!(sid = %plan.sid, "what the bucket holds can't be listed: {error}"),
        }
        let mut known: BTreeMap<String, Known> = BTreeMap::new();
        let mut order = Vec::new();
        for playlist in asked.playlists(found.names.as_ref()) {
            let Some(text) = read_playlist(bucket, plan, &playlist).await? else { continue };
            found.is_read = true;
            found.ended = found.ended.max(text.ended.then(|| text.end()));
            for entry in text.entries.into_iter().filter(|entry| !text.gaps.contains(&entry.name)) {
                order.push(entry.name.clone());
                let (name, playlist) = (entry.name.clone(), playlist.clone());
                let segment = Known { playlist, name, entry: Some(entry), stored: None, silenced: false };
                known.insert(segment.name.clone(), segment);
            }
        }
        for object in &asked.confirmed {
            found.take_confirmed(object, &mut known, &mut order);
        }
        for name in found.names.iter().flatten() {
            let Some((playlist, Role::Segment)) = plan.file_named(name) else { continue };
            if !known.contains_key(name) {
                order.push(name.clone());
                let segment = Known { playlist, name: name.clone(), entry: None, stored: None, silenced: false };
                known.insert(name.clone(), segment);
            }
        }
        found.look_at(bucket, known, order, asked).await
    }

    /// Whether it neither names its objects nor gives a playlist: nobody knows what it holds beside what the journal says.
    pub(super) const fn is_blind(&self) -> bool {
        self.names.is_none() && !self.is_read
    }

    /// Every name that is there; `None` where that could not be had.
    pub(super) const fn names(&self) -> Option<&BTreeSet<String>> {
        self.names.as_ref()
    }

    /// Looks at the segments that the publication does not know.
    async fn look_at(
        mut self,
        bucket: &Bucket,
        mut known: BTreeMap<String, Known>,
        order: Vec<String>,
        asked: &Question,
    ) -> Result<Self, BucketError> {
        let wanted = order.into_iter().filter_map(|name| known.remove(&name));
        let wanted: Vec<Known> = wanted.filter(|known| !asked.published.contains(&known.name)).collect();
        let looks = stream::iter(wanted).map(|known| known.look(bucket)).buffered(LOOKS_AT_ONCE);
        self.segments = looks.try_filter_map(|segment| async { Ok(segment) }).try_collect().await?;
        Ok(self)
    }

    /// Whether the bucket holds an object of this name; `None`: it does not say.
    pub(super) async fn holds(&self, bucket: &Bucket, name: &str) -> Option<bool> {
        if let Some(names) = &self.names {
            return Some(names.contains(name));
        }
        let held = bucket.head_within(LOOK_TIME, &bucket.key(name)).await;
        held.ok().map(|held| held.is_some())
    }

    fn take_confirmed(&mut self, object: &StoredObject, known: &mut BTreeMap<String, Known>, order: &mut Vec<String>) {
        let stored = Stored::of_record(object);
        match object.kind {
            ObjectKind::Init => self.inits.push((object.name.clone(), stored)),
            ObjectKind::Segment => {
                let segment = known.entry(object.name.clone()).or_insert_with(|| {
                    order.push(object.name.clone());
                    let (start, duration) = (object.start, object.duration);
                    let entry = Some(Entry { name: object.name.clone(), start, duration });
                    let (playlist, name) = (object.playlist.clone(), object.name.clone());
                    Known { playlist, name, entry, stored: None, silenced: false }
                });
                (segment.stored, segment.silenced) = (Some(stored), object.silenced);
            }
            ObjectKind::Playlist | ObjectKind::Document | ObjectKind::Mp4 | ObjectKind::Ogg => {}
        }
    }
}

impl Known {
    /// Reads what is not known of it.
    async fn look(self, bucket: &Bucket) -> Result<Option<FixedSegment>, BucketError> {
        let Self { playlist, name, entry, stored, silenced } = self;
        let (entry, stored) = match (entry, stored) {
            (Some(entry), Some(stored)) => (entry, stored),
            (entry, stored) => {
                let got = bucket.get_within(LOOK_TIME, &bucket.key(&name), MAX_SEGMENT_BYTES).await;
                let bytes = match got {
                    Ok(Some(got)) => got,
                    Ok(None) => return Ok(None),
                    Err(error) if error.may_be_read_later() => return Err(error),
                    Err(error) => {
                        tracing::warn!(name, "a segment in the bucket can't be read: {error}");
                        return Ok(None);
                    }
                };
                let Some(entry) = entry.or_else(|| place(&name, &bytes)) else { return Ok(None) };
                (entry, stored.unwrap_or_else(|| Stored::of(ObjectKind::Segment, &bytes)))
            }
        };
        Ok(Some(FixedSegment { playlist, entry, stored, in_bucket: true, silenced }))
    }
}

/// Where a segment says that it lies.
pub(super) fn place(name: &str, bytes: &[u8]) -> Option<Entry> {
    if ts::is_ts(bytes) {
        let note = ts::note(bytes)?;
        return Some(Entry { name: name.to_owned(), start: note.start, duration: note.duration });
    }
    let read = fmp4::read_segment(bytes).ok()?;
    Some(Entry { name: name.to_owned(), start: read.base, duration: read.duration() })
}

/// The playlists whose files are among these names.
pub(super) fn playlists_of<'a>(
    plan: &Plan,
    names: impl IntoIterator<Item = &'a String>,
) -> impl Iterator<Item = PlaylistId> {
    let lists = names.into_iter().filter(|name| name.ends_with(".m3u8"));
    lists.filter_map(|name| plan.file_named(name)).map(|(playlist, _)| playlist)
}

/// The names of a recording's objects, also those with a prefix `bak<n>_`.
async fn list(bucket: &Bucket, plan: &Plan) -> Result<BTreeSet<String>, BucketError> {
    Ok(list_sizes(bucket, plan).await?.into_keys().collect())
}

/// The same, each with its bytes.
pub(super) async fn list_sizes(bucket: &Bucket, plan: &Plan) -> Result<BTreeMap<String, u64>, BucketError> {
    let entry = |listed: Listed| (listed.key.rsplit('/').next().unwrap_or(&listed.key).to_owned(), listed.size);
    let listed = bucket.list_within(LOOK_TIME, &bucket.key(plan.sid.as_str()), MAX_KEYS).await?;
    let mut names: BTreeMap<String, u64> = listed.into_iter().map(entry).collect();
    for number in 1..=MAX_PREFIXES {
        let key = bucket.key(&format!("bak{number}_{}", plan.sid));
        let listed = bucket.list_within(LOOK_TIME, &key, MAX_KEYS).await?;
        if listed.is_empty() {
            break;
        }
        names.extend(listed.into_iter().map(entry));
    }
    Ok(names)
}

/// The text of a playlist in a bucket. An error says that another look may tell.
pub(super) async fn read_playlist(
    bucket: &Bucket,
    plan: &Plan,
    playlist: &PlaylistId,
) -> Result<Option<Playlist>, BucketError> {
    let name = plan.stem(playlist).playlist();
    let got = bucket.get_within(LOOK_TIME, &bucket.key(&name), MAX_PLAYLIST_BYTES).await;
    let text = match got {
        Ok(Some(text)) => text,
        Ok(None) => return Ok(None),
        Err(error) if error.may_be_read_later() => return Err(error),
        Err(error) => {
            tracing::info!(sid = %plan.sid, name, "a playlist in the bucket can't be read: {error}");
            return Ok(None);
        }
    };
    let read = Playlist::parse(&String::from_utf8_lossy(&text));
    let read = read
        .inspect_err(|error| tracing::error!(sid = %plan.sid, name, "a playlist in the bucket is not ours: {error}"));
    Ok(read.ok())
}
