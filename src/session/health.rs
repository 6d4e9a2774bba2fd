//! How a recording does at the moment of the question: who is heard, and how much of it is safe. Pure.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::recording::{self, Cause, PlaylistId, Source, SourceId, TrackKind};
use crate::units::{Ticks, Uid};

/// How a recording does.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Health {
    /// Who is to be recorded and is in the channel, or has a playlist; ordered by uid.
    pub uids: Vec<UidHealth>,
    /// The files of the mix; none without one.
    pub mix: Option<WaitingBytes>,
}

/// How one uid does.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UidHealth {
    /// Who.
    pub uid: Uid,
    /// Milliseconds since its last packet with sound arrived; none before the first, and when nothing is taken any more.
    pub last_packet_age_ms: Option<u64>,
    /// How loud it was in the second that lies about two seconds back, in dBFS; none where nobody knows.
    pub level_dbfs: Option<f32>,
    /// The files of its own playlist; none without one.
    pub stock: Option<WaitingBytes>,
    /// The files of the playlists of its further sources.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub sources: BTreeMap<SourceId, WaitingBytes>,
    /// What it publishes at present and can't be read.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unreadable: Vec<UnreadableTrack>,
}

/// A publication that can't be read: what it says is missing while it is not muted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UnreadableTrack {
    /// What its sound comes from.
    pub track_source: Source,
    /// Why it can't be read.
    pub reason: Cause,
}

impl UnreadableTrack {
    fn of(kind: TrackKind) -> Option<Self> {
        Some(Self { track_source: kind.source, reason: kind.coding.unreadable()? })
    }
}

impl UidHealth {
    fn waiting_by_uid(&self) -> impl Iterator<Item = WaitingBytes> {
        self.stock.into_iter().chain(self.sources.values().copied())
    }

    fn waiting_by_uid_mut(&mut self) -> impl Iterator<Item = &mut WaitingBytes> {
        self.stock.iter_mut().chain(self.sources.values_mut())
    }
}

/// Where the media files of a playlist are. Playlists themselves do not count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WaitingBytes {
    /// Bytes that the bucket confirmed.
    pub bytes_safe: u64,
    /// Bytes that were made and that the bucket did not confirm yet.
    pub bytes_spooled: u64,
}

impl Health {
    /// How things are at `now`.
    pub(super) fn at<'a>(
        now: Ticks,
        uids: Vec<recording::Health>,
        waiting_by_uid: impl Iterator<Item = (&'a PlaylistId, WaitingBytes)>,
    ) -> Self {
        let uid = |uid: recording::Health| UidHealth {
            last_packet_age_ms: uid.last_packet.map(|at| (now - at).as_ms()),
            level_dbfs: uid.level_dbfs,
            uid: uid.uid,
            stock: None,
            sources: BTreeMap::new(),
            unreadable: uid.unreadable.into_iter().filter_map(UnreadableTrack::of).collect(),
        };
        let mut health = Self { uids: uids.into_iter().map(uid).collect(), mix: None };
        health.restock(waiting_by_uid);
        health
    }

    /// Takes note of what was made and what was stored.
    pub(super) fn restock<'a>(&mut self, waiting_by_uid: impl Iterator<Item = (&'a PlaylistId, WaitingBytes)>) {
        for (playlist, stock) in waiting_by_uid {
            match playlist {
                PlaylistId::Mix => self.mix = Some(stock),
                PlaylistId::Individual(uid) => self.of(uid).stock = Some(stock),
                PlaylistId::Source { uid, source } => _ = self.of(uid).sources.insert(*source, stock),
            }
        }
    }

    /// Nothing is taken any more: who is heard means nothing.
    pub(super) fn hush(&mut self) {
        for uid in &mut self.uids {
            (uid.last_packet_age_ms, uid.level_dbfs) = (None, None);
            uid.unreadable.clear();
        }
        self.uids.retain(|uid| uid.waiting_by_uid().next().is_some());
    }

    /// The bucket confirmed everything.
    pub(super) fn restored_to_primary(&mut self) {
        let waiting_by_uid = self.uids.iter_mut().flat_map(UidHealth::waiting_by_uid_mut).chain(self.mix.as_mut());
        for stock in waiting_by_uid {
            stock.bytes_safe += std::mem::take(&mut stock.bytes_spooled);
        }
    }

    /// The media files of one playlist; none where it has none.
    pub fn waiting_of(&self, playlist: &PlaylistId) -> Option<WaitingBytes> {
        match playlist {
            PlaylistId::Mix => self.mix,
            PlaylistId::Individual(uid) => self.known(uid).and_then(|known| known.stock),
            PlaylistId::Source { uid, source } => self.known(uid).and_then(|known| known.sources.get(source)).copied(),
        }
    }

    /// All playlists together.
    pub fn total(&self) -> WaitingBytes {
        let waiting_by_uid = self.uids.iter().flat_map(UidHealth::waiting_by_uid).chain(self.mix);
        waiting_by_uid.fold(WaitingBytes::default(), |total, stock| WaitingBytes {
            bytes_safe: total.bytes_safe + stock.bytes_safe,
            bytes_spooled: total.bytes_spooled + stock.bytes_spooled,
        })
    }

    fn known(&self, uid: &Uid) -> Option<&UidHealth> {
        self.uids.iter().find(|known| known.uid == *uid)
    }

    fn of(&mut self, uid: &Uid) -> &mut UidHealth {
        let place = self.uids.binary_search_by(|known| known.uid.cmp(uid)).unwrap_or_else(|place| {
            let new = UidHealth {
                uid: uid.clone(),
                last_packet_age_ms: None,
                level_dbfs: None,
                stock: None,
                sources: BTreeMap::new(),
                unreadable: Vec::new(),
            };
            self.uids.insert(place, new);
            place
        });
        &mut self.uids[place]
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::recording::Segment;
    use crate::session::plan::tests::plan;
    use crate::session::publication::Publication;
    use crate::units::WallMs;

    fn uid(name: &str) -> Uid {
        Uid::new(name).unwrap()
    }

    #[test]
    fn ages_and_stocks_are_told_uid_by_uid() {
        let mut publication = Publication::new(plan(), WallMs(1_700_000_000_000));
        let own = PlaylistId::Individual(uid("7"));
        let init = publication.begin(&own, 5);
        let (start, duration, bytes) = (Ticks::ZERO, Ticks::from_secs(6), Bytes::from_static(b"segment"));
        publication.add(&Segment { playlist: own, index: 0, start, duration, bytes });
        publication.stored(&init);
        let heard = |name, last_packet| recording::Health {
            uid: uid(name),
            last_packet,
            level_dbfs: Some(-20.0),
            unreadable: Vec::new(),
        };
        let now = Ticks::from_secs(10);
        let uids = vec![heard("5", Some(Ticks::from_ms(9_980))), heard("8", None)];
        let mut health = Health::at(now, uids, publication.waiting_by_uid());
        let event_dedup: Vec<_> = health.uids.iter().map(|uid| (uid.uid.as_str(), uid.last_packet_age_ms)).collect();
        assert_eq!(event_dedup, [("5", Some(20)), ("7", None), ("8", None)]);
        assert_eq!(health.uids[1].stock, Some(WaitingBytes { bytes_safe: 5, bytes_spooled: 7 }));
        assert_eq!(health.total(), WaitingBytes { bytes_safe: 5, bytes_spooled: 7 });
        health.restored_to_primary();
        assert_eq!(health.total(), WaitingBytes { bytes_safe: 12, bytes_spooled: 0 });
        health.hush();
        assert_eq!(health.uids.len(), 1, "those without files are gone with their sound");
    }
}
