//! What a recorder says of itself besides its outputs: the ledger, how everybody does, waveforms; and what it is told of segments
//! that could not be kept.

use std::collections::BTreeMap;

use super::{MAX_LENGTH, Recorder};
use crate::recording::member::Member;
use crate::recording::mixer::Mixer;
#[cfg(doc)]
use crate::recording::stretches::MAX_STRETCHES;
use crate::recording::{
    Cause, Gap, Health, Ledger, PacketCounts, Peaks, PlaylistId, SourceId, TrackLedger, UidWaveform,
};
use crate::units::{Ticks, Uid};

impl Recorder {
    /// What the recording holds and lacks, as far as it is written.
    pub fn ledger(&self) -> Ledger {
        let mode = self.spec.mode;
        let mut entries: BTreeMap<(Uid, Option<SourceId>), TrackLedger> = BTreeMap::new();
        for (playlist, uid, stretches) in self.adopted.of_uids_alone(mode).filter(|(.., known)| !known.is_empty()) {
            let source = playlist.source();
            entries.insert((uid.clone(), source), adopted_only(uid, source, &stretches));
        }
        for member in &self.members {
            let entry = member.entry(&self.adopted.in_all_of(&member.playlist(), mode));
            entries.extend(entry.map(|entry| ((member.uid.clone(), member.source), entry)));
        }
        Ledger {
            uids: entries.into_values().collect(),
            unattributed: self.unknown_tracks.entry(self.adopted.of_the_mix()),
            adopted_ms: Ticks(self.adopted.length() as u64).as_ms(),
        }
    }

    /// How those do that are to be recorded and are in the channel, ordered by uid. Cheap: nothing is computed but a logarithm each.
    pub fn health(&self) -> Vec<Health> {
        let level = |index: &usize| match &self.mixer {
            Some(mixer) => self.members[*index].timeline.as_ref().and_then(|_| mixer.level(*index)),
            None => self.members[*index].level(),
        };
        let health = |(uid, sources): (&Uid, &Vec<usize>)| {
            let member = &self.members[*sources.first()?];
            let last_packet = sources.iter().filter_map(|source| self.members[*source].last_packet).max();
            let level_dbfs = sources.iter().filter_map(level).reduce(f32::max);
            let listed = member.selected && member.presence.now().present;
            let last_packet = last_packet.map(|at| Ticks(at as u64));
            listed.then(|| Health { uid: uid.clone(), last_packet, level_dbfs, unreadable: member.unreadable() })
        };
        self.uids.iter().filter_map(health).collect()
    }

    /// Waveforms for players, as far as the sound is known.
    pub fn peaks(&self) -> Peaks {
        let waveform = |index: &usize| {
            let member = &self.members[*index];
            member.timeline.as_ref()?;
            let waveform = match &self.mixer {
                Some(mixer) => mixer.waveform_of(*index),
                None => member.waveform(),
            };
            Some(UidWaveform { uid: member.uid.clone(), waveform: waveform?, source: member.source })
        };
        let uids = self.uids.values().flatten().filter_map(waveform).collect();
        Peaks { mix: self.mixer.as_ref().map(Mixer::waveform), uids }
    }

    /// A segment of `playlist` that lay at `from..to` could not be kept (disk full; [`crate::recording::Segment::silenced`] fills its place).
    /// What was booked as recorded there is now missing, for cause [`crate::recording::Cause::DiskFull`]; what was a gap stays that gap.
    /// What is not written yet is lost when it is written, so that a replay can be told at any moment; what is told twice is lost once.
    ///
    /// The stretch of an individual playlist is lost for its uid, or its source, that of the mix for everybody. The ledger speaks of the
    /// recording as a whole: where a session of both modes loses one of its playlists, the sound counts as missing though the
    /// other may hold it, so that no playlist with a hole is ever called complete. What both lose counts once.
    ///
    /// The journal does not know of it: a recovery that makes the segment again has another chance to keep it.
    pub fn lose(&mut self, playlist: &PlaylistId, from: Ticks, to: Ticks) {
        let (from, to) = (from.min(MAX_LENGTH).0 as i64, to.min(MAX_LENGTH).0 as i64);
        self.lost.add(playlist, from, to);
        match playlist {
            PlaylistId::Mix => self.members.iter_mut().for_each(|member| member.lose(from, to)),
            PlaylistId::Individual(uid) | PlaylistId::Source { uid, .. } => {
                let sources = self.sources_of(uid);
                let source = sources.into_iter().find(|source| self.members[*source].source == playlist.source());
                source.into_iter().for_each(|source| self.members[source].lose(from, to));
            }
        }
    }

    /// The opposite of [`Recorder::lose`]: the bucket holds a segment of `playlist` at `from..to` that is richer than what this recorder
    /// was told, and it was kept as it was. What is missing there because the worker's record of it is lost
    /// ([`Cause::WorkerRestart`], [`Cause::JournalDamaged`], [`Cause::UnknownSource`]) counts as recorded; the gap stays listed, with
    /// [`Cause::Adopted`]. Other gaps stay as they are. The verdict is partial from then on: nobody knows whether something is missing in
    /// such a stretch.
    ///
    /// The stretch of an individual playlist is its uid's, that of the mix everybody's. A session of both modes makes two playlists
    /// of a uid's sound: there a stretch counts as recorded where both were adopted. What is not written yet is remembered. At most
    /// 4,096 stretches that are apart from each other are; past it their sound stays booked as missing.
    pub fn adopt(&mut self, playlist: &PlaylistId, from: Ticks, to: Ticks) {
        self.adopted.add(playlist, from.min(MAX_LENGTH).0 as i64, to.min(MAX_LENGTH).0 as i64);
    }
}

impl Recorder {
    /// As [`Recorder::adopt`], where what the bucket holds of a uid's own playlist shows that its sender paused (DTX): nothing was said
    /// there, so beside a mix it needs none of it.
    pub fn adopt_pause(&mut self, playlist: &PlaylistId, from: Ticks, to: Ticks) {
        self.adopted.add_pause(playlist, from.min(MAX_LENGTH).0 as i64, to.min(MAX_LENGTH).0 as i64);
    }

    /// Others wrote down that `uid` was being heard where this recorder's inputs are lost: from `from` until `to`, and what it said there
    /// is missing ([`Cause::JournalDamaged`]), or, without a `to`, from `from` on, as if its track had been announced then. Who is known
    /// to be heard already, or is not to be recorded, stays as it is.
    pub fn vouch(&mut self, uid: &Uid, from: Ticks, to: Option<Ticks>) {
        let Some(member) = self.member(uid).filter(|_| !self.finished) else { return };
        let segment = self.spec.mode.keeps_individuals().then(|| self.spec.segment.ticks());
        let ticks = |at: Ticks| at.min(MAX_LENGTH).0 as i64;
        self.members[member].vouched(ticks(from), to.map(ticks), segment, &mut self.out);
    }

    /// Whether it was ever told of this uid.
    pub fn knows(&self, uid: &Uid) -> bool {
        self.uids.contains_key(uid)
    }

    /// Whether anybody is known to be in the channel whose sound is to be recorded.
    pub fn is_anybody_due(&self) -> bool {
        self.members.iter().any(Member::is_due)
    }

    /// Nobody was heard in `from..to`, since the worker was dead, and what it knew of those who were to be heard is lost with its record:
    /// the whole stretch is missing, once, of nobody knows whom.
    pub fn unheard(&mut self, from: Ticks, to: Ticks) {
        self.unknown_tracks.unheard(from.min(MAX_LENGTH).0 as i64, to.min(MAX_LENGTH).0 as i64);
    }
}

/// The entry of a uid, or a further source, that nothing is known of but that the bucket holds sound of it.
fn adopted_only(uid: &Uid, source: Option<SourceId>, stretches: &[(i64, i64)]) -> TrackLedger {
    let gap = |(from, to): &(i64, i64)| Gap { from: Ticks(*from as u64), to: Ticks(*to as u64), cause: Cause::Adopted };
    let gaps: Vec<Gap> = stretches.iter().map(gap).collect();
    let recorded_ms = gaps.iter().map(|gap| gap.to - gap.from).fold(Ticks::ZERO, |sum, length| sum + length).as_ms();
    TrackLedger {
        uid: uid.clone(),
        expected_ms: recorded_ms,
        recorded_ms,
        concealed_ms: 0,
        missing_ms: 0,
        gaps,
        gaps_omitted: 0,
        packets: PacketCounts::default(),
        samples: PacketCounts::default(),
        overlaid_ms: BTreeMap::new(),
        source,
        transcoded_from: Default::default(),
    }
}
