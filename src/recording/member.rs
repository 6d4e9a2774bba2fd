//! One uid of the channel: what is known of it, its timeline once it is recorded, its playlist, and whether packets come.

mod absence;

use serde::{Deserialize, Serialize};

use self::absence::Absence;
use super::hole::Piece;
use super::individual::Individual;
use super::meter::Meter;
use super::peaks::{PeakSource, Waveform};
use super::pen::STALL;
use super::presence::{GRACE, Presence};
use super::receiving::Receiving;
use super::timeline::Timeline;
use super::{Output, Packet, TrackLedger};
use crate::units::{Ticks, TrackId, Uid};

/// Most tracks that a uid has at a time; past it the oldest counts as removed.
const MAX_TRACKS: usize = 16;

/// See the module's documentation.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Member {
    /// Who.
    pub(super) uid: Uid,
    /// Whether it is to be recorded.
    pub(super) selected: bool,
    /// How things stood and stand.
    pub(super) presence: Presence,
    /// Exists from when a selected uid first publishes.
    pub(super) timeline: Option<Timeline>,
    individual: Option<Individual>,
    receiving: Receiving,
    /// When its last packet with sound arrived.
    pub(super) last_packet: Option<i64>,
    /// The levels that its packets say, if they do and nobody decodes them.
    levels: Option<Meter>,
    tracks: Vec<(TrackId, bool)>,
    absence: Option<Absence>,
}

impl Member {
    /// Nobody knows anything of it yet.
    pub(super) fn new(uid: Uid, selected: bool) -> Self {
        let mut presence = Presence::new();
        presence.change(0, |state| state.excluded = !selected);
        Self {
            uid,
            selected,
            presence,
            timeline: None,
            individual: None,
            receiving: Receiving::default(),
            last_packet: None,
            levels: None,
            tracks: Vec::new(),
            absence: None,
        }
    }

    /// In the channel.
    pub(super) fn joined(&mut self, at: i64) {
        self.presence.change(at, |state| {
            state.present = true;
            state.dead &= state.publishing;
        });
        self.is_met();
    }

    /// Out of the channel, with all its tracks.
    pub(super) fn left(&mut self, at: i64, out: &mut impl Extend<Output>) {
        self.absence = None;
        self.presence.change(at, |state| (state.present, state.dead) = (false, false));
        self.overloaded(false, at);
        for (track, _) in std::mem::take(&mut self.tracks) {
            self.forget(track);
        }
        self.look(at, out);
    }

    /// Publishes; the track that gives way.
    pub(super) fn add(
        &mut self,
        track: TrackId,
        muted: bool,
        at: i64,
        out: &mut impl Extend<Output>,
    ) -> Option<TrackId> {
        let oldest = (self.tracks.len() >= MAX_TRACKS).then(|| self.tracks.remove(0).0);
        if let Some(oldest) = oldest {
            self.forget(oldest);
        }
        self.tracks.push((track, muted));
        self.comes_back(muted, at);
        self.presence.change(at, |state| (state.present, state.dead) = (true, false));
        if let Some(timeline) = &mut self.timeline {
            timeline.mute(track, muted, at);
        }
        self.look(at, out);
        oldest
    }

    /// The publication ended.
    pub(super) fn remove(&mut self, track: TrackId, at: i64, out: &mut impl Extend<Output>) {
        self.tracks.retain(|(known, _)| *known != track);
        self.overloaded(false, at);
        self.forget(track);
        self.look(at, out);
    }

    /// Muted or unmuted.
    pub(super) fn mute(&mut self, track: TrackId, muted: bool, at: i64, out: &mut impl Extend<Output>) {
        for (_, state) in self.tracks.iter_mut().filter(|(known, _)| *known == track) {
            *state = muted;
        }
        if let Some(timeline) = &mut self.timeline {
            timeline.mute(track, muted, at);
        }
        self.look(at, out);
    }

    /// Packets of one of its tracks are dropped before they get here, or not any more.
    pub(super) fn overloaded(&mut self, overloaded: bool, at: i64) {
        if self.presence.now().overloaded != overloaded {
            self.presence.change(at, |state| state.overloaded = overloaded);
        }
    }

    /// To be recorded, or not any more.
    pub(super) fn select(&mut self, selected: bool, at: i64, out: &mut impl Extend<Output>) {
        if self.selected != selected {
            self.selected = selected;
            self.presence.change(at, |state| state.excluded = !selected);
            self.look(at, out);
        }
    }

    /// The channel is out of reach since `from`, which was noticed at `at`; or in reach again.
    pub(super) fn reach(&mut self, down: bool, from: i64, at: i64) {
        self.presence.change(from, |state| state.down = down);
        if down && self.presence.now().present {
            self.correct(from, at);
        }
    }

    /// A packet of one of its tracks.
    pub(super) fn packet(&mut self, packet: &Packet, at: i64, out: &mut impl Extend<Output>) {
        if !packet.payload.is_empty() {
            self.last_packet = Some(at);
            if self.tracks.iter().any(|(track, muted)| *track == packet.track && !muted) {
                self.is_heard_again(at);
            }
        }
        if let Some(timeline) = self.timeline.as_mut().filter(|_| self.selected) {
            timeline.offer(packet, at);
            if !packet.payload.is_empty() && self.tracks.iter().any(|(track, muted)| *track == packet.track && !muted) {
                self.receiving.packet(&self.uid, at, out);
            }
        }
    }

    /// Begins the timeline at tick 0, if it is time to; `segment`: with a playlist of its own.
    pub(super) fn begin(&mut self, segment: Option<Ticks>, out: &mut impl Extend<Output>) {
        if self.timeline.is_some() || !self.selected || self.tracks.is_empty() {
            return;
        }
        let mut timeline = Timeline::default();
        for (track, muted) in &self.tracks {
            timeline.mute(*track, *muted, 0);
        }
        self.timeline = Some(timeline);
        self.individual = segment.map(|segment| Individual::new(&self.uid, segment, out));
    }

    /// Writes up to `horizon`; leaves the pieces in `pieces`.
    pub(super) fn step(&mut self, now: i64, horizon: i64, pieces: &mut Vec<Piece>, out: &mut impl Extend<Output>) {
        self.receiving.step(&self.uid, now, out);
        let Some(timeline) = &mut self.timeline else {
            self.presence.forget(horizon.min(0));
            return;
        };
        timeline.step(now, horizon, &self.presence, pieces);
        self.presence.forget(timeline.cursor());
        if let Some(individual) = &mut self.individual {
            pieces.iter().for_each(|piece| individual.write(piece, out));
        }
    }

    /// Writes everything up to `end` and closes the playlist.
    pub(super) fn finish(&mut self, end: i64, pieces: &mut Vec<Piece>, out: &mut impl Extend<Output>) {
        let Some(timeline) = &mut self.timeline else {
            return;
        };
        timeline.finish(end, &self.presence, pieces);
        if let Some(individual) = &mut self.individual {
            pieces.iter().for_each(|piece| individual.write(piece, out));
            individual.close(out);
        }
    }

    /// What its timeline holds in `from..to` could not be kept.
    pub(super) fn lose(&mut self, from: i64, to: i64) {
        if let Some(timeline) = &mut self.timeline {
            timeline.lose(from, to);
        }
    }

    /// Takes the levels out of its timeline's next pieces.
    pub(super) fn listen(&mut self, pieces: &[Piece]) {
        for piece in pieces {
            if let Piece::Sound { at, duration, level: Some(level), .. } = piece {
                self.levels.get_or_insert_default().level(*at, *duration, *level);
            }
        }
    }

    /// The level that its packets say, in dBFS.
    pub(super) fn level(&self) -> Option<f32> {
        self.levels.as_ref().map(|levels| levels.dbfs(self.written().unwrap_or_default()))
    }

    /// The waveform of what its packets say.
    pub(super) fn waveform(&self) -> Option<Waveform> {
        self.levels.as_ref().map(|levels| levels.wave.waveform(PeakSource::AudioLevel))
    }

    /// How far its timeline is written; `None` without one.
    pub(super) fn written(&self) -> Option<i64> {
        self.timeline.as_ref().map(Timeline::cursor)
    }

    /// The entry in the ledger, once it was to be recorded.
    pub(super) fn entry(&self) -> Option<TrackLedger> {
        self.timeline.as_ref().map(|timeline| timeline.account().entry(&self.uid))
    }

    /// When the present must be looked at again even if nothing arrives, in ticks of arrival; `behind` is the look-ahead.
    pub(super) fn next_wake(&self, behind: i64) -> Option<i64> {
        let cut = self.individual.as_ref().map(|individual| individual.next_cut().0 as i64 + behind);
        [cut, self.receiving.deadline()].into_iter().flatten().min()
    }

    /// Brings presence and receiving in line with the tracks. While nobody knows its tracks since a restart, they count as before.
    fn look(&mut self, at: i64, out: &mut impl Extend<Output>) {
        let (publishing, muted) = (!self.tracks.is_empty(), self.tracks.iter().all(|(_, muted)| *muted));
        let before = self.presence.now();
        let unknown = self.absence.as_ref().is_some_and(Absence::is_unknown);
        if !unknown && (before.publishing, before.muted) != (publishing, publishing && muted) {
            self.presence.change(at, |state| (state.publishing, state.muted) = (publishing, publishing && muted));
        }
        if muted || !self.selected {
            self.receiving.stop(&self.uid, at, out);
        }
    }

    fn forget(&mut self, track: TrackId) {
        if let Some(timeline) = &mut self.timeline {
            timeline.remove(track);
        }
    }

    /// What was taken for a stall in `from..to` has the cause that is known now.
    fn correct(&mut self, from: i64, to: i64) {
        if let Some(timeline) = &mut self.timeline {
            timeline.explain(from - GRACE, to, STALL, &self.presence);
        }
    }
}
