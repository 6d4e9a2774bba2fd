//! What a recorder says of itself besides its outputs: the ledger, how everybody does, waveforms; and what it is told of segments
//! that could not be kept.

use super::{MAX_LENGTH, Recorder};
use crate::recording::mixer::Mixer;
use crate::recording::{Health, Ledger, Peaks, PlaylistId, UidWaveform};
use crate::units::Ticks;

impl Recorder {
    /// What the recording holds and lacks, as far as it is written.
    pub fn ledger(&self) -> Ledger {
        Ledger { uids: self.uids.values().filter_map(|index| self.members[*index].entry()).collect() }
    }

    /// How those do that are to be recorded and are in the channel, ordered by uid. Cheap: nothing is computed but a logarithm each.
    pub fn health(&self) -> Vec<Health> {
        let health = |index: &usize| {
            let member = &self.members[*index];
            let level_dbfs = match &self.mixer {
                Some(mixer) => member.timeline.as_ref().and_then(|_| mixer.level(*index)),
                None => member.level(),
            };
            let last_packet = member.last_packet.map(|at| Ticks(at as u64));
            let listed = member.selected && member.presence.now().present;
            listed.then(|| Health { uid: member.uid.clone(), last_packet, level_dbfs })
        };
        self.uids.values().filter_map(health).collect()
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
            Some(UidWaveform { uid: member.uid.clone(), waveform: waveform? })
        };
        Peaks { mix: self.mixer.as_ref().map(Mixer::waveform), uids: self.uids.values().filter_map(waveform).collect() }
    }

    /// TEMPORARY
    pub fn adopt(&mut self, playlist: &PlaylistId, from: Ticks, to: Ticks) {
        let _ = (playlist, from, to, &self.finished);
    }

    /// A segment of `playlist` that lay at `from..to` could not be kept (disk full; [`crate::recording::Segment::silenced`] fills its place).
    /// What was booked as recorded there is now missing, for cause [`crate::recording::Cause::DiskFull`]; what was a gap stays that gap.
    ///
    /// The stretch of an individual playlist is lost for its uid, that of the mix for every uid. The ledger speaks of the
    /// recording as a whole: where a session of both modes loses one of its playlists, the sound counts as missing though the
    /// other may hold it, so that no playlist with a hole is ever called complete. What both lose counts once.
    ///
    /// The journal does not know of it: a recovery that makes the segment again has another chance to keep it.
    pub fn lose(&mut self, playlist: &PlaylistId, from: Ticks, to: Ticks) {
        let (from, to) = (from.min(MAX_LENGTH).0 as i64, to.min(MAX_LENGTH).0 as i64);
        match playlist {
            PlaylistId::Mix => self.members.iter_mut().for_each(|member| member.lose(from, to)),
            PlaylistId::Individual(uid) => {
                if let Some(member) = self.uids.get(uid) {
                    self.members[*member].lose(from, to);
                }
            }
        }
    }
}
