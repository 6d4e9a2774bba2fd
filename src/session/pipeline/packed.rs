//! Segments in MPEG-TS: made of the core's, as the last step before the spool ([`crate::codec::aac`], [`crate::codec::ts`]).
//!
//! Everything before that step knows the core's segments alone: recovery, final segments, cuts around them. What a segment is made
//! of beside its own packets, those of the second before it, is remembered for each playlist and part of a checkpoint.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tokio::sync::{Semaphore, SemaphorePermit};

use super::Pipeline;
use crate::codec::aac::{self, AacError, Format, Packets};
use crate::codec::container::Container;
use crate::codec::fmp4::{self, Sample};
use crate::codec::silent;
use crate::codec::ts::{self, Note};
use crate::error_class::{Classify, ErrorClass};
use crate::recording::{AudioProfile, PlaylistId, Segment, sounding};
use crate::session::plan::Plan;
use crate::units::Ticks;

/// Encoders that work at a time, of all sessions: each has 2 MB, and a processor to itself.
const MAX_ENCODERS: usize = 4;

/// Places for encoders.
static PLACES: Semaphore = Semaphore::const_new(MAX_ENCODERS);

/// Encoders that have nothing to do; at most one for each place and format.
static IDLE: Mutex<Vec<(Format, Box<dyn aac::Encoder>)>> = Mutex::new(Vec::new());

/// Bit rate of one member's track in bit/s.
const TRACK_RATE: u32 = 64_000;

/// What is remembered for the next segments: for each playlist its last packets.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Recent(BTreeMap<PlaylistId, Recently>);

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Recently {
    start: Ticks,
    samples: Vec<Sample>,
}

/// The packets before a segment with which it is packed.
#[derive(Clone, Debug, Default)]
pub(super) struct Before(Recently);

impl Before {
    /// Their bytes.
    pub(super) fn bytes(&self) -> usize {
        self.0.samples.iter().map(|sample| sample.bytes.len()).sum()
    }
}

/// Why a segment could not be packed.
#[derive(Debug, thiserror::Error)]
enum PackError {
    #[error(transparent)]
    Aac(#[from] AacError),
    #[error(transparent)]
    Segment(#[from] fmp4::Fmp4Error),
    #[error("the encoder was stopped")]
    Stopped,
}

impl Classify for PackError {
    fn error_class(&self) -> ErrorClass {
        ErrorClass::ours("aac_encoder", false)
    }
}

impl Recent {
    /// Whether nothing is remembered.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// A segment of the core follows.
    fn add(&mut self, segment: &Segment) {
        let Ok(packets) = packets(segment) else { return };
        let recently = self.0.entry(segment.playlist.clone()).or_default();
        let before = Packets { start: recently.start, samples: std::mem::take(&mut recently.samples) };
        let Packets { start, mut samples } = before.before(segment.start);
        samples.extend(packets.samples);
        *recently = Recently { start, samples };
    }

    fn before(&self, playlist: &PlaylistId, at: Ticks) -> Packets {
        let Some(recently) = self.0.get(playlist) else { return Packets::default() };
        Packets { start: recently.start, samples: recently.samples.clone() }.before(at)
    }

    /// No more than the next segments need.
    fn trimmed(&self) -> Self {
        let trim = |(playlist, recently): (&PlaylistId, &Recently)| {
            let all = Packets { start: recently.start, samples: recently.samples.clone() };
            let Packets { start, samples } = all.before(all.end());
            (playlist.clone(), Recently { start, samples })
        };
        Self(self.0.iter().map(trim).collect())
    }
}

/// What segments that are packed anew were made of, by their names.
pub(super) type Cores = BTreeMap<String, Core>;

/// A segment of the core, and what was packed with it.
#[derive(Debug)]
pub(super) struct Core {
    pub(super) segment: Segment,
    pub(super) before: Before,
    /// Whether the segment was the last one of its playlist.
    pub(super) last: bool,
    /// Its share of what all recordings of the worker may use.
    pub(super) _memory: SemaphorePermit<'static>,
}

impl Pipeline {
    /// Whether segments are packed in MPEG-TS.
    pub(super) fn is_ts(&self) -> bool {
        self.context.plan.container == Container::Ts
    }

    /// A segment of the core as the segments that are packed: MPEG-TS has no silent objects ([`silent`]), each segment is a file.
    pub(super) fn pieces(&self, segment: Segment) -> Vec<Segment> {
        let length = self.context.plan.segment.ticks();
        if !self.is_ts() || !silent::is_silent_object(segment.duration, length) {
            return vec![segment];
        }
        let mut at = segment.start;
        let piece = |duration| {
            let piece = Segment::silence_at(&segment.playlist, at, duration, length);
            at += duration;
            piece
        };
        silent::segments(segment.start, segment.duration, length).map(piece).collect()
    }

    /// A segment of the core comes next; whether it is the last one of its playlist.
    pub(super) fn remember(&mut self, segment: &Segment, last: bool) {
        if self.is_ts() {
            self.recent.add(segment);
            self.last = last && self.fixed.end_of(&segment.playlist) <= segment.start + segment.duration;
        }
    }

    /// What is remembered, for a checkpoint.
    pub(super) fn recent(&self) -> Recent {
        self.recent.trimmed()
    }

    /// The packets of a playlist before `at` with which the next segment is packed.
    pub(super) fn recent_before(&self, playlist: &PlaylistId, at: Ticks) -> Before {
        let Packets { start, samples } = self.recent.before(playlist, at);
        Before(Recently { start, samples })
    }

    /// What follows in a playlist is packed with these packets.
    pub(super) fn go_back_to(&mut self, playlist: &PlaylistId, before: Before) {
        self.recent.0.insert(playlist.clone(), before.0);
    }

    /// A segment as it goes to the bucket. Where it can't be encoded it is silent, and the ledger says so.
    pub(super) async fn packed(&mut self, segment: Segment) -> Segment {
        if !self.is_ts() {
            return segment;
        }
        match self.pack(&segment).await {
            Ok(bytes) => Segment { bytes, ..segment },
            Err(error) => {
                let (sid, error_class) = (&self.context.plan.sid, error.error_class());
                tracing::error!(%sid, code = error_class.code, "a segment is lost: {error}");
                self.recorder.lose(&segment.playlist, segment.start, segment.start + segment.duration);
                Segment { bytes: self.silence(&segment), ..segment }
            }
        }
    }

    /// Silence in a segment's place, as it goes to the bucket.
    pub(super) fn silence(&self, segment: &Segment) -> Bytes {
        if !self.is_ts() {
            return segment.silenced().bytes;
        }
        silence(
            &segment.playlist,
            segment.index,
            segment.start,
            segment.start + segment.duration,
            self.context.plan.profile,
        )
    }

    async fn pack(&self, segment: &Segment) -> Result<Bytes, PackError> {
        let format = format(&segment.playlist, self.context.plan.profile);
        let packets = packets(segment)?;
        let before = self.recent.before(&segment.playlist, segment.start);
        let note = Note::new(number(segment.index), segment.start, segment.duration, &sounding(&segment.bytes)?);
        let last = self.last;
        let place = PLACES.acquire().await.expect("the places of encoders are never closed");
        let packed =
            tokio::task::spawn_blocking(move || pack(&before, &packets, &note, last, format, &mut Lent::of(format)));
        let packed = packed.await;
        drop(place);
        Ok(packed.map_err(|_| PackError::Stopped)??)
    }
}

/// A segment of these packets; `before` are those before them, `last` says that none follow.
fn pack(
    before: &Packets,
    packets: &Packets,
    note: &Note,
    last: bool,
    format: Format,
    encoder: &mut dyn aac::Encoder,
) -> Result<Bytes, AacError> {
    let (first, border) = (aac::first_frame(note.start), note.start + note.duration);
    let end = if last { aac::end_frame(border) } else { aac::first_frame(border) };
    let frames = aac::frames(before, packets, end.max(first + 1), format, encoder)?;
    ts::segment(note, first, &frames, format.channels)
}

/// One segment, or silent object, of silence as it goes to the bucket.
pub(super) fn silent_segment(playlist: &PlaylistId, start: Ticks, duration: Ticks, plan: &Plan) -> Bytes {
    let length = plan.segment.ticks();
    if plan.container == Container::Ts {
        let index = start.0 / length.0.max(1);
        return silence(playlist, index, start, start + duration, plan.profile);
    }
    Segment::silence_at(playlist, start, duration, length).bytes
}

/// One segment of silence in MPEG-TS.
pub(super) fn silence(playlist: &PlaylistId, index: u64, from: Ticks, to: Ticks, profile: AudioProfile) -> Bytes {
    let channels = format(playlist, profile).channels;
    let first = aac::first_frame(from);
    let count = aac::first_frame(to).max(first + 1) - first;
    let note = Note::new(number(index), from, to - from, &[]);
    let frames = vec![aac::silence(channels).to_vec(); count as usize];
    ts::segment(&note, first, &frames, channels).expect("a silent frame is short")
}

/// How a playlist is encoded: a member's track in one channel, as the vendor does.
const fn format(playlist: &PlaylistId, profile: AudioProfile) -> Format {
    match playlist {
        PlaylistId::Mix => Format { channels: profile.channels(), bit_rate: profile.bit_rate() as u32 },
        PlaylistId::Individual(_) | PlaylistId::Source { .. } => Format { channels: 1, bit_rate: TRACK_RATE },
    }
}

fn number(index: u64) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX)
}

fn packets(segment: &Segment) -> Result<Packets, fmp4::Fmp4Error> {
    let read = fmp4::read_segment(&segment.bytes)?;
    let sample =
        |sample: fmp4::SegmentSample| Sample { bytes: segment.bytes.slice(sample.range), duration: sample.duration };
    Ok(Packets { start: segment.start, samples: read.samples.into_iter().map(sample).collect() })
}

/// An encoder that is made when it is needed, and goes back to the idle ones.
struct Lent {
    format: Format,
    encoder: Option<Box<dyn aac::Encoder>>,
}

impl Lent {
    fn of(format: Format) -> Self {
        let mut idle = IDLE.lock().unwrap_or_else(PoisonError::into_inner);
        let encoder = idle.iter().position(|(of, _)| *of == format).map(|at| idle.swap_remove(at).1);
        Self { format, encoder }
    }

    fn made(&mut self) -> Result<&mut Box<dyn aac::Encoder>, AacError> {
        match &mut self.encoder {
            Some(encoder) => Ok(encoder),
            none => Ok(none.insert(encoder(self.format)?)),
        }
    }
}

impl aac::Encoder for Lent {
    fn reset(&mut self) {
        if let Some(encoder) = &mut self.encoder {
            encoder.reset();
        }
    }

    fn encode(&mut self, sound: &[i16]) -> Result<Vec<u8>, AacError> {
        self.made()?.encode(sound)
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        let mut idle = IDLE.lock().unwrap_or_else(PoisonError::into_inner);
        let of_format = idle.iter().filter(|(of, _)| *of == self.format).count();
        if let Some(encoder) = self.encoder.take().filter(|_| of_format < MAX_ENCODERS) {
            idle.push((self.format, encoder));
        }
    }
}

#[cfg(feature = "aac")]
fn encoder(format: Format) -> Result<Box<dyn aac::Encoder>, AacError> {
    struct Libxaac(aac_encoder::Encoder);

    impl aac::Encoder for Libxaac {
        fn reset(&mut self) {
            self.0.reset();
        }

        fn encode(&mut self, sound: &[i16]) -> Result<Vec<u8>, AacError> {
            self.0.encode(sound).map_err(|error| AacError::Encoder(error.to_string()))
        }
    }

    let made = aac_encoder::Encoder::new(format.channels, format.budget());
    Ok(Box::new(Libxaac(made.map_err(|error| AacError::Encoder(error.to_string()))?)))
}

#[cfg(not(feature = "aac"))]
fn encoder(_: Format) -> Result<Box<dyn aac::Encoder>, AacError> {
    Err(AacError::Encoder("this worker was built without the feature `aac`".to_owned()))
}

#[cfg(test)]
#[cfg(feature = "aac")]
mod tests {
    use super::*;
    use crate::codec::opus::Encoder;

    const MIX: PlaylistId = PlaylistId::Mix;
    const SECONDS: u64 = 2;

    /// Segments of a tone that goes on.
    fn segments(count: u64) -> Vec<Segment> {
        let mut encoder = Encoder::new(1, 64_000, 5).unwrap();
        let sample = |n: u64| (n as f32 * std::f32::consts::TAU * 440.0 / 48_000.0).sin() * 0.3;
        let mut packet = |at: u64| {
            let sound: Vec<f32> = (at..at + 960).map(sample).collect();
            Sample { bytes: encoder.encode(&sound).unwrap(), duration: Ticks(960) }
        };
        let segment = |index: u64| {
            let (start, duration) = (Ticks::from_secs(index * SECONDS), Ticks::from_secs(SECONDS));
            let samples: Vec<Sample> = (0..SECONDS * 50).map(|n| packet(start.0 + n * 960)).collect();
            let bytes = fmp4::media_segment(index as u32 + 1, start, &samples);
            Segment { playlist: MIX, index, start, duration, bytes }
        };
        (0..count).map(segment).collect()
    }

    fn made(recent: &Recent, segment: &Segment, encoder: &mut dyn aac::Encoder) -> Bytes {
        let note =
            Note::new(number(segment.index), segment.start, segment.duration, &sounding(&segment.bytes).unwrap());
        let before = recent.before(&MIX, segment.start);
        pack(&before, &packets(segment).unwrap(), &note, false, format(&MIX, AudioProfile::Mono64), encoder).unwrap()
    }

    #[test]
    fn a_segment_is_made_again_byte_for_byte_from_a_checkpoint_and_by_any_encoder() {
        let segments = segments(4);
        let mut recent = Recent::default();
        let mut used = Lent::of(format(&MIX, AudioProfile::Mono64));
        let mut first = Vec::new();
        for segment in &segments {
            recent.add(segment);
            first.push(made(&recent, segment, &mut used));
        }
        let mut recent = Recent::default();
        segments[..3].iter().for_each(|segment| recent.add(segment));
        let kept = postcard::to_stdvec(&recent.trimmed()).unwrap();
        assert!(kept.len() < 20_000, "{} bytes", kept.len());
        let mut recent: Recent = postcard::from_bytes(&kept).unwrap();
        recent.add(&segments[3]);
        let mut fresh = encoder(format(&MIX, AudioProfile::Mono64)).unwrap();
        assert_eq!(made(&recent, &segments[3], fresh.as_mut()), first[3]);
        let read = ts::read(&first[3]).unwrap();
        assert_eq!((read.note.start, read.note.duration), (Ticks::from_secs(6), Ticks::from_secs(2)));
        assert_eq!(read.note.spans(), [(Ticks::from_secs(6), Ticks::from_secs(8))]);
        let frames: usize = first.iter().map(|file| ts::read(file).unwrap().blocks.len()).sum();
        assert_eq!(frames as u64, aac::first_frame(Ticks::from_secs(8)), "every frame once");
        let rate = first[2].len() as u64 * 8 / SECONDS;
        assert!((60_000..76_000).contains(&rate), "{rate} bit/s, headers of all kinds included");
    }

    #[test]
    fn silence_costs_next_to_nothing_and_says_that_it_is_silent() {
        let (from, to) = (Ticks::from_secs(6), Ticks::from_secs(12));
        let file = silence(&MIX, 1, from, to, AudioProfile::Stereo192);
        let note = ts::note(&file).unwrap();
        assert_eq!((note.start, note.duration, note.spans().len()), (from, to - from, 0));
        assert!(file.len() < 12_000, "{} bytes", file.len());
        assert_eq!(ts::read(&file).unwrap().channels, 2);
    }
}
