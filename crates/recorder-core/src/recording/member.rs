//! One uid of the channel, or a further source of one: what is known of it, its timeline once it is recorded, its playlist, and whether
//! packets come. Which of a uid's tracks belong to which of its sources, [`super::recorder`] knows.

mod absence;
mod handover;
mod history;
mod silence;
mod unreadable;
mod vouched;

use serde::{Deserialize, Serialize};

use self::absence::Absence;
use self::history::History;
use self::silence::Silence;
use self::unreadable::Unreadable;
use super::individual::Individual;
use super::meter::Meter;
use super::open_gap::Chunk;
use super::peaks::{PeakSource, Waveform};
use super::presence::{GRACE, Presence};
use super::receiving::Receiving;
use super::stretches::Stretches;
use super::timeline::{Clash, Timeline};
use super::timeline_writer::STALL;
use super::{Cause, Coding, Output, Packet, PlaylistId, Source, SourceId, TrackKind, TrackLedger};
use crate::codec::g711;
use crate::units::{Ticks, TrackId, Uid};

/// Most tracks that a source has at a time: that is published anew before it ends, or whose others are silent.
pub(super) const MAX_TRACKS: usize = 4;

/// How long before the channel's last sign of life a member's last packet may have come for its outage to begin there.
const CLOSE: i64 = Ticks::from_secs(5).0 as i64;

/// How long after the channel is in reach again a member's first packet may come for the outage to be the reason of the silence until
/// then.
const SETTLING: i64 = Ticks::from_secs(5).0 as i64;

/// How long what was known of a member is remembered after it was written: what explains a hole may be told a minute later.
const REMEMBERED: i64 = Ticks::from_secs(65).0 as i64;

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
    /// Its tracks, the first published first, and whether they are muted.
    pub(super) tracks: Vec<(TrackId, bool)>,
    absence: Option<Absence>,
    /// Since when the channel is in reach again, until its first packet comes.
    #[serde(default)]
    reached: Option<i64>,
    /// What is known of a silence after its last packet.
    #[serde(default)]
    silence: Silence,
    /// Which further source of the uid; none for its own sound.
    #[serde(default)]
    pub(super) source: Option<SourceId>,
    /// What its tracks are, or were; none before the first.
    #[serde(default)]
    pub(super) kind: Option<Source>,
    /// Its tracks that can't be read.
    #[serde(default)]
    unreadable: Unreadable,
    /// Its tracks over the last seconds.
    #[serde(default)]
    history: History,
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
            reached: None,
            silence: Silence::default(),
            source: None,
            kind: None,
            unreadable: Unreadable::default(),
            history: History::default(),
        }
    }

    /// Its playlist.
    pub(super) fn playlist(&self) -> PlaylistId {
        PlaylistId::of(&self.uid, self.source)
    }

    /// In the channel.
    pub(super) fn joined(&mut self, at: i64) {
        self.presence.change(at, |state| {
            state.present = true;
            state.dead &= state.publishing;
        });
        self.is_present_again();
        self.returns(at);
    }

    /// Out of the channel, with all its tracks.
    pub(super) fn left(&mut self, at: i64) {
        (self.absence, self.reached) = (None, None);
        self.goes(at);
        self.presence.change(at, |state| (state.present, state.dead) = (false, false));
        self.overloaded(false, at);
        for (track, _) in std::mem::take(&mut self.tracks) {
            self.forget(track);
        }
        self.unreadable.clear();
        self.look(at);
    }

    /// Publishes.
    pub(super) fn add(&mut self, track: TrackId, muted: bool, at: i64) {
        self.tracks.push((track, muted));
        self.comes_back(muted, at);
        self.presence.change(at, |state| (state.present, state.dead) = (true, false));
        if let Some(timeline) = &mut self.timeline {
            timeline.announce(track, at);
        }
        self.look(at);
    }

    /// All coders become what they would be if they were put away and taken up again.
    pub(super) fn restart_coders(&mut self) {
        self.timeline.iter_mut().for_each(Timeline::restart_coders);
    }

    /// The publication ended.
    pub(super) fn remove(&mut self, track: TrackId, at: i64) {
        self.tracks.retain(|(known, _)| *known != track);
        self.unreadable.remove(track);
        self.overloaded(false, at);
        self.forget(track);
        self.look(at);
    }

    /// Muted or unmuted.
    pub(super) fn mute(&mut self, track: TrackId, muted: bool, at: i64) {
        for (_, state) in self.tracks.iter_mut().filter(|(known, _)| *known == track) {
            *state = muted;
        }
        self.unreadable.mute(track, muted);
        self.look(at);
    }

    /// Whether no packet is to come: nothing is published, or all of it is muted.
    pub(super) fn is_hushed(&self) -> bool {
        self.tracks.iter().all(|(_, muted)| *muted)
    }

    /// A packet came of any source of the uid that is not muted; only asked of its own.
    pub(super) fn receives(&mut self, at: i64, out: &mut impl Extend<Output>) {
        self.receiving.packet(&self.uid, at, out);
    }

    /// None is to come any more from any of them.
    pub(super) fn receives_no_more(&mut self, at: i64, out: &mut impl Extend<Output>) {
        self.receiving.stop(&self.uid, at, out);
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
            self.unreadable.look(selected, at);
            self.report_unreadable(at, out);
        }
    }

    /// The channel is in reach again.
    pub(super) fn is_reached(&mut self, at: i64) {
        let now = self.presence.now();
        if now.down {
            self.presence.change(at, |state| state.down = false);
            self.reached = (now.present && now.publishing && !now.muted).then_some(at);
        }
    }

    /// A packet of a track that is not muted came at `at`: if it was being heard before the channel was lost, it is out of reach until
    /// then.
    fn is_heard_after_outage(&mut self, at: i64) {
        if let Some(reached) = self.reached.take().filter(|reached| at - reached <= SETTLING) {
            self.presence.change_until(reached, at, |state| state.down = true);
            self.correct(reached, at);
        }
    }

    /// The channel is out of reach, which was noticed at `at`. Its last sign of life came at `since`; for this member the outage begins
    /// with its own last packet, if that is close.
    pub(super) fn is_cut_off(&mut self, since: i64, at: i64) {
        self.reached = None;
        self.silence.forget_report();
        // A worker that was dead knows of no packet since.
        let last = self.last_packet.filter(|_| !self.presence.now().dead);
        let from = last.filter(|last| (0..=CLOSE).contains(&(since - last))).unwrap_or(since);
        self.presence.change(from, |state| state.down = true);
        if self.presence.now().present {
            self.correct(from, at);
        }
    }

    /// Whether it was sending when the channel gave its last sign of life.
    pub(super) fn was_sending(&self, since: i64) -> bool {
        self.last_packet.is_some_and(|last| since - last <= CLOSE)
    }

    /// This worker did not hear in `from..to`, for `cause`.
    pub(super) fn is_not_heard(&mut self, from: i64, to: i64, cause: Cause) {
        self.presence.deafen(from, to, cause);
        if let Some(timeline) = &mut self.timeline {
            timeline.deafen(from, to, cause, &self.presence);
        }
    }

    /// It was there `from..at` as it is now, and could not be heard: the recorder was outside.
    pub(super) fn is_unheard(&mut self, from: i64, at: i64) {
        let now = self.presence.now();
        if !now.present || from >= at {
            return;
        }
        self.presence.change_until(from, at, |state| {
            (state.present, state.publishing, state.muted) = (true, now.publishing, now.muted);
        });
        if !now.publishing || now.muted {
            return;
        }
        self.is_not_heard(from, at, Cause::RecorderOutside);
        if let Some(timeline) = self.timeline.as_mut().filter(|_| !now.excluded) {
            timeline.rebook(from, at, &[Cause::Left, Cause::NotPublishing], Cause::RecorderOutside);
        }
    }

    /// A packet of one of its tracks, which is of a `kind`; whether it is to be recorded, and comes of a track that is not muted.
    pub(super) fn packet(&mut self, packet: &Packet, kind: TrackKind, at: i64) -> bool {
        if self.unreadable.holds(packet.track) {
            self.timeline.iter_mut().filter(|_| self.selected).for_each(Timeline::offer_unreadable);
            return false;
        }
        let track = self.tracks.iter().find(|(track, _)| *track == packet.track).copied();
        let heard = !packet.payload.is_empty() && track.is_some_and(|(_, muted)| !muted);
        if !packet.payload.is_empty() {
            self.silence.sounds(packet);
            self.last_packet = Some(at);
        }
        if heard {
            self.is_heard_again(at);
            self.is_heard_after_outage(at);
        }
        let Some(timeline) = self.timeline.as_mut().filter(|_| self.selected) else {
            return false;
        };
        match track {
            Some(_) if kind.coding.law().is_some() => {
                let timestamp = g711::timestamp(packet.timestamp);
                timeline.offer(&Packet { timestamp, ..packet.clone() }, kind, at);
            }
            Some(_) => timeline.offer(packet, TrackKind { coding: Coding::Opus, ..kind }, at),
            None => timeline.refuse(packet),
        }
        heard
    }

    /// Begins the timeline at tick 0, if it is time to; `segment`: with a playlist of its own.
    pub(super) fn begin(&mut self, segment: Option<Ticks>, out: &mut impl Extend<Output>) {
        if self.selected && (!self.tracks.is_empty() || !self.unreadable.is_empty()) {
            self.open(segment, out);
        }
    }

    fn open(&mut self, segment: Option<Ticks>, out: &mut impl Extend<Output>) {
        if self.timeline.is_none() {
            let mut timeline = Timeline::default();
            if segment.is_none() {
                timeline.is_mixed_alone();
            }
            self.timeline = Some(timeline);
            self.individual = segment.map(|segment| Individual::new(self.playlist(), segment, out));
        }
    }

    /// Writes up to `horizon`; leaves the pieces in `chunks`. If two of its tracks sound at once, and there is `room` for another source,
    /// it stops there: see [`Timeline::step`].
    pub(super) fn step(&mut self, time: (i64, i64), room: bool, chunks: &mut Vec<Chunk>) -> Option<Clash> {
        match &mut self.timeline {
            Some(timeline) => timeline.step(time, room, &self.presence, chunks),
            None => None,
        }
    }

    /// Writes everything that belongs before `end`; as [`Member::step`].
    pub(super) fn write_out(&mut self, end: i64, room: bool, chunks: &mut Vec<Chunk>) -> Option<Clash> {
        self.timeline.as_mut().and_then(|timeline| timeline.write_out(end, room, &self.presence, chunks))
    }

    /// Takes the pieces of a step.
    pub(super) fn stepped(&mut self, now: i64, horizon: i64, chunks: &[Chunk], out: &mut impl Extend<Output>) {
        self.receiving.step(&self.uid, now, out);
        let Some(timeline) = &mut self.timeline else {
            self.presence.forget(horizon.min(0));
            self.unreadable.forget(horizon);
            return;
        };
        self.unreadable.book(timeline);
        self.presence.forget(timeline.cursor() - REMEMBERED);
        if let Some(individual) = &mut self.individual {
            chunks.iter().for_each(|chunk| individual.write(chunk, &self.presence, out));
        }
    }

    /// Writes silence up to `end` behind `chunks` and closes the playlist.
    pub(super) fn finish(&mut self, end: i64, chunks: &mut Vec<Chunk>, out: &mut impl Extend<Output>) {
        let Some(timeline) = &mut self.timeline else {
            return;
        };
        timeline.finish(end, &self.presence, chunks);
        self.unreadable.book(timeline);
        if let Some(individual) = &mut self.individual {
            chunks.iter().for_each(|chunk| individual.write(chunk, &self.presence, out));
            individual.close(out);
        }
    }

    /// What its timeline holds in `from..to` could not be kept.
    pub(super) fn lose(&mut self, from: i64, to: i64) {
        if let Some(timeline) = &mut self.timeline {
            timeline.lose(from, to);
        }
    }

    /// Of what was written since it was asked last, what lies in the stretches of a playlist that holds it could not be kept.
    pub(super) fn lose_all(&mut self, lost: &Stretches) {
        let own = (!lost.is_empty()).then(|| self.playlist());
        if let Some(timeline) = &mut self.timeline {
            timeline.lose_all(own.map_or([&[], &[]], |own| [lost.of(&own), lost.of_the_mix()]));
        }
    }

    /// Takes the levels out of its timeline's next pieces.
    pub(super) fn listen(&mut self, chunks: &[Chunk]) {
        for chunk in chunks {
            if let Chunk::Sound { at, duration, level: Some(level), .. } = chunk {
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

    /// The entry in the ledger, once it was to be recorded; `adopted` are the stretches whose sound was kept as the bucket held it.
    pub(super) fn entry(&self, adopted: &[(i64, i64)]) -> Option<TrackLedger> {
        self.timeline.as_ref().map(|timeline| timeline.ledger_builder().entry(&self.uid, self.source, adopted))
    }

    /// When the present must be looked at again even if nothing arrives, in ticks of arrival; `behind` is the look-ahead.
    pub(super) fn next_wake(&self, behind: i64) -> Option<i64> {
        let cut = self.individual.as_ref().and_then(|individual| individual.next_cut(&self.presence));
        let cut = cut.map(|cut| cut.0 as i64 + behind);
        [cut, self.receiving.deadline()].into_iter().flatten().min()
    }

    /// Whether a step would give the same silence however long it were, if nothing arrives; `now` is the present.
    pub(super) fn is_still(&self, now: i64) -> bool {
        let still = |timeline: &Timeline| timeline.is_still(now) && self.presence.is_settled(timeline.cursor());
        self.receiving.deadline().is_none() && self.timeline.as_ref().is_none_or(still)
    }

    /// Completes what format 1 did not hold.
    pub(super) fn is_of_format_1(&mut self) {
        self.timeline.iter_mut().for_each(Timeline::is_of_format_1);
    }

    /// Brings its presence in line with the tracks. While nobody knows its tracks since a restart, they count as before.
    fn look(&mut self, at: i64) {
        self.history.note(at, &self.tracks);
        let (publishing, muted) = (!self.tracks.is_empty(), self.is_hushed());
        let before = self.presence.now();
        let unknown = self.absence.as_ref().is_some_and(Absence::is_unknown);
        if !unknown && (before.publishing, before.muted) != (publishing, publishing && muted) {
            self.presence.change(at, |state| (state.publishing, state.muted) = (publishing, publishing && muted));
        }
        self.unreadable.look(self.selected, at);
    }

    fn forget(&mut self, track: TrackId) {
        if let Some(timeline) = &mut self.timeline {
            let gone = timeline.remove(track);
            self.history.rename(track, gone);
        }
    }

    /// What was taken for a stall in `from..to` has the cause that is known now.
    fn correct(&mut self, from: i64, to: i64) {
        if let Some(timeline) = &mut self.timeline {
            timeline.attribute(from - GRACE, to, STALL, &self.presence);
        }
    }
}
