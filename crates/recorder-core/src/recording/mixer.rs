//! Everybody in one playlist. The mix is planned in spans of 20 ms slots, behind the present, with every packet of a span known:
//! a span is made in the cheapest honest way that its plan says.
//!
//! Invariants:
//! * The sound of slot `n` is what was made in `n * 20 ms .. (n + 1) * 20 ms` of the wall timeline, to the sample.
//! * While nobody is heard nothing is decoded or encoded. The encoder starts afresh a slot before the next sound, and the slot
//!   before that holds the frame that makes every decoder start afresh too, so that both begin alike.
//! * What is in a slot does not depend on when it was planned.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::attendance::Attendance;
use super::limiter::{AHEAD, BLOCK, Limiter};
use super::mix_buffer::MixBuffer;
use super::mix_source::MixSource;
use super::open_gap::Chunk;
use super::peaks::{PeakSource, Wave, Waveform};
use super::segmenter::Segmenter;
use super::{AudioProfile, Output, PlaylistId};
use crate::codec::opus::{self, ResumableEncoder};
use crate::units::Ticks;

/// One slot: 20 ms.
const SLOT: i64 = Ticks::from_ms(20).0 as i64;

/// How far beyond the end of a slot packets must be known: the decoders' lag and the limiter's look-ahead.
const KNOWN_BEYOND: i64 = opus::LOOKAHEAD.0 as i64 + (AHEAD * BLOCK) as i64;

/// How long the mix goes on being encoded after the last sound.
const ENCODER_TAIL: i64 = Ticks::from_ms(500).0 as i64;

/// How long before a sound it begins to be encoded.
const LEAD: i64 = SLOT + KNOWN_BEYOND;

/// Silence that is not written before it is known what follows.
const HELD_BACK: i64 = 2 * SLOT;

/// libopus's best; at 64 kbit/s mono it costs little more than less (docs/protocol/media.md section 5).
const COMPLEXITY: i32 = 10;

/// Longest span that is made at once: what is summed has to fit in memory.
const LONGEST_SPAN: i64 = Ticks::from_secs(5).0 as i64;

/// How a span is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Plan {
    /// Nobody is heard: constant packets. `resumes`: somebody is heard after it.
    Silence {
        /// The last packet makes decoders start afresh.
        resumes: bool,
    },
    /// Decode who has packets, sum, limit, encode.
    Mix,
}

/// Slots that are made in one way: `from..to` in ticks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Span {
    from: i64,
    to: i64,
    plan: Plan,
}

/// The pieces of one uid that are not in the mix yet.
#[derive(Debug, Serialize, Deserialize)]
struct Part {
    mix_source: MixSource,
    chunks: VecDeque<Chunk>,
}

/// See the module's documentation.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Mixer {
    profile: AudioProfile,
    segmenter: Segmenter,
    parts: Vec<Part>,
    /// Stretches in which somebody is heard, in order, apart from each other.
    heard: VecDeque<(i64, i64)>,
    cursor: i64,
    mix_buffer: MixBuffer,
    limiter: Limiter,
    /// What it sounds like, for players.
    wave: Wave,
    /// Exists while somebody is heard.
    encoder: Option<ResumableEncoder>,
}

impl Mixer {
    /// A mix from tick 0 on.
    pub(super) fn new(profile: AudioProfile, segment: Ticks, out: &mut impl Extend<Output>) -> Self {
        let channels = usize::from(profile.channels());
        Self {
            profile,
            segmenter: Segmenter::new(PlaylistId::Mix, segment, profile.channels(), out),
            parts: Vec::new(),
            heard: VecDeque::new(),
            cursor: 0,
            mix_buffer: MixBuffer::new(channels),
            limiter: Limiter::new(channels),
            wave: Wave::default(),
            encoder: None,
        }
    }

    /// Takes the next pieces of the timeline of uid number `index`.
    pub(super) fn listen(&mut self, index: usize, chunks: &[Chunk]) {
        let channels = self.profile.channels();
        while self.parts.len() <= index {
            self.parts.push(Part { mix_source: MixSource::new(channels), chunks: VecDeque::new() });
        }
        for chunk in chunks {
            // Pauses that were caught up with lie behind the mix and need not wait.
            if chunk.end() >= self.cursor {
                self.parts[index].chunks.push_back(chunk.clone());
            }
            if MixSource::is_audible(chunk) {
                self.hear(chunk.at(), chunk.end());
            }
        }
    }

    /// Makes what can be made when all timelines are known up to `horizon`.
    pub(super) fn run(&mut self, horizon: i64, attendance: Attendance<'_>, out: &mut impl Extend<Output>) {
        self.make((horizon - KNOWN_BEYOND).div_euclid(SLOT) * SLOT, false, attendance, out);
    }

    /// Makes everything up to `end`, to one slot, and closes the playlist.
    pub(super) fn finish(&mut self, end: i64, attendance: Attendance<'_>, out: &mut impl Extend<Output>) {
        self.make((end + SLOT - 1).div_euclid(SLOT) * SLOT, true, attendance, out);
        self.segmenter.close(out);
    }

    /// All coders become what they would be if they were put away and taken up again.
    pub(super) fn restart_coders(&mut self) {
        self.encoder.iter_mut().for_each(ResumableEncoder::restart);
        self.parts.iter_mut().for_each(|part| part.mix_source.restart_decoder());
    }

    /// The position at or after which the open segment will close, and what must be known beyond it; none while the channel is empty
    /// and nothing is to come that a segment would be made of.
    pub(super) fn next_cut(&self, attendance: Attendance<'_>) -> Option<i64> {
        let cursor = self.segmenter.cursor().0 as i64;
        let idle = self.is_still() && self.segmenter.is_at_border() && attendance.is_empty_from(cursor);
        (!idle).then(|| self.segmenter.next_cut().0 as i64 + KNOWN_BEYOND + HELD_BACK)
    }

    /// Whether nobody is heard at its end or behind it, as far as is known.
    pub(super) fn is_still(&self) -> bool {
        self.encoder.is_none()
            && self.heard.back().is_none_or(|(_, end)| end.saturating_add(ENCODER_TAIL) <= self.cursor)
    }

    /// The level of uid number `index`, in dBFS.
    pub(super) fn level(&self, index: usize) -> Option<f32> {
        self.parts.get(index).map(|part| part.mix_source.meter.dbfs(self.cursor))
    }

    /// The waveform of the mix.
    pub(super) fn waveform(&self) -> Waveform {
        self.wave.waveform(PeakSource::Decoded)
    }

    /// The waveform of uid number `index`.
    pub(super) fn waveform_of(&self, index: usize) -> Option<Waveform> {
        self.parts.get(index).map(|part| part.mix_source.meter.wave.waveform(PeakSource::Decoded))
    }

    fn make(&mut self, until: i64, last_word: bool, attendance: Attendance<'_>, out: &mut impl Extend<Output>) {
        while let Some(span) = self.plan(until, last_word) {
            match span.plan {
                Plan::Silence { resumes } => self.silence(span, resumes, attendance, out),
                Plan::Mix => self.mix(span, out),
            }
            self.cursor = span.to;
            self.mix_buffer.turn(span.to);
        }
    }

    /// The next span that ends by `until`.
    fn plan(&mut self, until: i64, last_word: bool) -> Option<Span> {
        while self.heard.front().is_some_and(|(_, end)| end.saturating_add(ENCODER_TAIL) <= self.cursor) {
            self.heard.pop_front();
        }
        let from = self.cursor;
        let next = self.heard.front().map(|(start, end)| {
            let begins = (start - LEAD).div_euclid(SLOT) * SLOT;
            (begins.max(from), (end + ENCODER_TAIL + SLOT - 1).div_euclid(SLOT) * SLOT)
        });
        let span = match next {
            Some((begins, ends)) if begins <= from => {
                Span { from, to: ends.min(until).min(from + LONGEST_SPAN), plan: Plan::Mix }
            }
            Some((begins, _)) if begins <= until => Span { from, to: begins, plan: Plan::Silence { resumes: true } },
            // What may turn out to be the last slot before a sound stays back, since it holds another packet then.
            _ => {
                let to = if last_word { until } else { until - HELD_BACK };
                Span { from, to, plan: Plan::Silence { resumes: false } }
            }
        };
        (span.to > from).then_some(span)
    }

    fn silence(&mut self, span: Span, resumes: bool, attendance: Attendance<'_>, out: &mut impl Extend<Output>) {
        self.encoder = None;
        self.limiter.rest();
        self.play(span.to);
        for part in &mut self.parts {
            part.mix_source.rest(span.to);
        }
        let mut written = span.from;
        for (from, to) in attendance.of(span.from, span.to).into_iter().chain([(span.to, span.to)]) {
            // Only a slot in which the channel is empty from its beginning to its end counts as empty.
            let (from, to) = (from.div_euclid(SLOT) * SLOT, (to + SLOT - 1).div_euclid(SLOT) * SLOT);
            for (end, empty) in [(from, true), (to, false)] {
                if end > written {
                    let (part, last) = (Ticks((end - written) as u64), end == span.to);
                    self.segmenter.silence(part, resumes && last, empty, out);
                    written = end;
                }
            }
        }
    }

    fn mix(&mut self, span: Span, out: &mut impl Extend<Output>) {
        self.play(span.to + KNOWN_BEYOND);
        let length = (span.to - span.from) as usize;
        self.limiter.run(self.mix_buffer.front(length + AHEAD * BLOCK), length / BLOCK);
        let profile = self.profile;
        let encoder = self.encoder.get_or_insert_with(|| {
            ResumableEncoder::new(profile.channels(), profile.bit_rate(), COMPLEXITY)
                .expect("libopus makes encoders of 1 or 2 channels at 48 kHz unless memory is out")
        });
        let mut at = span.from;
        for slot in self.mix_buffer.front(length).chunks(SLOT as usize * usize::from(profile.channels())) {
            let packet = encoder.encode(slot).expect("libopus encodes 20 ms of finite samples");
            self.segmenter.push(packet, Ticks(SLOT as u64), out);
            self.wave.mark(at, slot.iter().fold(0.0, |peak, sample| sample.abs().max(peak)));
            at += SLOT;
        }
    }

    /// Lets everybody play what begins before `until`.
    fn play(&mut self, until: i64) {
        for Part { mix_source, chunks } in &mut self.parts {
            while let Some(chunk) = chunks.front().filter(|chunk| chunk.at() < until) {
                mix_source.play(chunk, &mut self.mix_buffer);
                chunks.pop_front();
            }
        }
    }

    /// Notes that somebody is heard in `from..to`.
    fn hear(&mut self, from: i64, to: i64) {
        let near = |(start, end): &(i64, i64)| from <= end + LEAD + ENCODER_TAIL && to + LEAD + ENCODER_TAIL >= *start;
        let (mut from, mut to) = (from, to);
        let first = self.heard.iter().position(near);
        while let Some((start, end)) = first.and_then(|first| self.heard.get(first)).copied().filter(near) {
            (from, to) = (from.min(start), to.max(end));
            if let Some(first) = first {
                self.heard.remove(first);
            }
        }
        let place = self.heard.partition_point(|(start, _)| *start < from);
        self.heard.insert(place, (from, to));
    }
}

#[cfg(test)]
mod tests;
