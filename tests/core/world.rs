//! A small world for the core: talkers with their own clocks, a network between them and the recorder, and a listener who takes
//! the recording apart. Everything in ticks of the wall clock; deterministic.

use std::collections::BTreeMap;
use std::path::PathBuf;

use bytes::Bytes;
use cloud_recorder::codec::playlist::{Entry, Playlist};
use cloud_recorder::codec::{fmp4, opus, silent};
use cloud_recorder::recording::{
    AudioProfile, Input, Ledger, Mode, Output, Packet, PlaylistId, Recorder, SegmentLength, Selection, Source, Spec,
    TimedInput, TrackKind, TrackLedger,
};
use cloud_recorder::units::{Cname, Sid, Ssrc, Ticks, TrackId, Uid, WallMs};
use tempfile::TempDir;

/// 20 ms.
pub(crate) const FRAME: u64 = 960;
/// One second.
pub(crate) const SECOND: u64 = 48_000;
/// One millisecond.
pub(crate) const MS: u64 = 48;

/// A recording of everybody, six-second segments.
pub(crate) fn spec(mode: Mode) -> Spec {
    Spec {
        sid: Sid::new(&"5a".repeat(16)).unwrap(),
        cname: Cname::new("room").unwrap(),
        start: WallMs(1_700_000_000_000),
        mode,
        profile: AudioProfile::Mono64,
        segment: SegmentLength::default(),
        selection: Selection::All,
    }
}

/// The uid of a name.
pub(crate) fn uid(name: &str) -> Uid {
    Uid::new(name).unwrap()
}

/// A sender: an RTP clock, a sequence, a way of making payloads.
#[derive(Clone, Debug)]
pub(crate) struct Talker {
    /// Its publication.
    pub(crate) track: TrackId,
    /// Its SSRC.
    pub(crate) ssrc: Ssrc,
    /// Next sequence number.
    pub(crate) sequence: u16,
    /// RTP time of the next packet; fractions for clocks that run fast or slow.
    pub(crate) rtp: f64,
    /// RTP ticks in a tick of wall time: 1 + ppm / 1,000,000.
    pub(crate) rate: f64,
    /// The network's shortest delay.
    pub(crate) delay: u64,
    /// Counts the packets made.
    pub(crate) made: u32,
}

impl Talker {
    /// A talker whose counters begin at odd places, 30 ms away.
    pub(crate) fn new(track: u32, ssrc: u32) -> Self {
        Self {
            track: TrackId(track),
            ssrc: Ssrc(ssrc),
            sequence: 65_400,
            rtp: f64::from(u32::MAX - 100_000),
            rate: 1.0,
            delay: 30 * MS,
            made: 0,
        }
    }

    /// A packet of 20 ms with a payload of its own, captured at `captured`; the clock runs on by its length.
    pub(crate) fn say(&mut self, captured: u64) -> Sent {
        let payload = speech(self.ssrc.0, self.made);
        self.made += 1;
        self.send(captured, payload)
    }

    /// A packet with this payload; the clock runs on by 20 ms.
    pub(crate) fn send(&mut self, captured: u64, payload: Bytes) -> Sent {
        let packet = Packet {
            track: self.track,
            ssrc: self.ssrc,
            sequence: self.sequence,
            timestamp: self.rtp as u64 as u32,
            marker: false,
            level: None,
            payload,
        };
        self.sequence = self.sequence.wrapping_add(1);
        self.rtp += FRAME as f64;
        Sent { captured, arrival: captured + self.delay, packet }
    }

    /// Says something every 20 ms of its own clock, `from` till `to` of the wall clock.
    pub(crate) fn talk(&mut self, from: u64, to: u64) -> Vec<Sent> {
        let step = FRAME as f64 / self.rate;
        let count = ((to - from) as f64 / step).ceil() as u64;
        (0..count).map(|n| self.say(from + (n as f64 * step) as u64)).collect()
    }

    /// Lets its clock run without sending: DTX, or a mute with a running clock.
    pub(crate) fn pause(&mut self, wall: u64) {
        self.rtp += (wall as f64 * self.rate).round();
    }
}

/// A packet under way.
#[derive(Clone, Debug)]
pub(crate) struct Sent {
    /// When its sound was made.
    pub(crate) captured: u64,
    /// When it arrives.
    pub(crate) arrival: u64,
    /// It.
    pub(crate) packet: Packet,
}

/// A 20 ms hybrid packet that is like no other: 24 bytes that say who and which.
pub(crate) fn speech(who: u32, number: u32) -> Bytes {
    let mut payload = vec![0x78];
    payload.extend(who.to_be_bytes());
    payload.extend(number.to_be_bytes());
    payload.resize(25, 0x55);
    payload.into()
}

/// What happens in the channel, in order of arrival.
#[derive(Clone, Debug, Default)]
pub(crate) struct InputStory(Vec<(u64, Input)>);

impl InputStory {
    /// `name` joins and publishes `track`.
    pub(crate) fn joins(&mut self, at: u64, name: &str, track: u32) -> &mut Self {
        self.happens(at, Input::Joined { uid: uid(name) });
        self.happens(
            at,
            Input::TrackAdded { track: TrackId(track), uid: uid(name), muted: false, kind: TrackKind::default() },
        )
    }

    /// `name` publishes `track`, which is `source`.
    pub(crate) fn publishes(&mut self, at: u64, name: &str, track: u32, source: Source) -> &mut Self {
        let kind = TrackKind { source, ..TrackKind::default() };
        self.happens(at, Input::TrackAdded { track: TrackId(track), uid: uid(name), muted: false, kind })
    }

    /// Anything.
    pub(crate) fn happens(&mut self, at: u64, input: Input) -> &mut Self {
        self.0.push((at, input));
        self
    }

    /// Changes what happened, in order of arrival.
    pub(crate) fn rewrite(&mut self, change: impl FnOnce(Vec<(u64, Input)>) -> Vec<(u64, Input)>) -> &mut Self {
        self.0.sort_by_key(|(at, _)| *at);
        self.0 = change(std::mem::take(&mut self.0));
        self
    }

    /// Packets that arrive from `from` on arrive so much later.
    pub(crate) fn delay_packets(&mut self, from: u64, by: u64) {
        for (at, input) in &mut self.0 {
            *at += if *at >= from && matches!(input, Input::Packet(_)) { by } else { 0 };
        }
    }

    /// All of another story happens too.
    pub(crate) fn meanwhile(&mut self, other: Self) -> &mut Self {
        self.0.extend(other.0);
        self
    }

    /// Packets arrive.
    pub(crate) fn hears(&mut self, sent: impl IntoIterator<Item = Sent>) -> &mut Self {
        self.0.extend(sent.into_iter().map(|sent| (sent.arrival, Input::Packet(sent.packet))));
        self
    }

    /// In order of arrival.
    pub(crate) fn inputs(&self) -> Vec<TimedInput> {
        let mut inputs = self.0.clone();
        inputs.sort_by_key(|(at, _)| *at);
        inputs.into_iter().map(|(at, input)| TimedInput { at: Ticks(at), input }).collect()
    }

    /// Records it from tick 0 till `end`.
    pub(crate) fn record(&self, spec: Spec, end: u64) -> Recording {
        self.record_with(spec, end, |_, _| {})
    }

    /// Records it; `before` may do something to the recorder before each input.
    pub(crate) fn record_with(&self, spec: Spec, end: u64, mut before: impl FnMut(&mut Recorder, Ticks)) -> Recording {
        let mut recorder = Recorder::new(spec);
        let mut outputs = Vec::new();
        for input in self.inputs() {
            before(&mut recorder, input.at);
            recorder.push(input);
            outputs.extend(std::iter::from_fn(|| recorder.poll()));
        }
        recorder.finish(Ticks(end));
        outputs.extend(std::iter::from_fn(|| recorder.poll()));
        Recording::new(outputs, recorder.ledger(), end)
    }
}

/// A packet of a playlist.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Placed {
    /// Its first tick.
    pub(crate) at: u64,
    /// Its length.
    pub(crate) duration: u64,
    /// It.
    pub(crate) bytes: Bytes,
}

/// What came out.
#[derive(Debug)]
pub(crate) struct Recording {
    /// Everything, in order.
    pub(crate) outputs: Vec<Output>,
    /// The ledger at the end.
    pub(crate) ledger: Ledger,
    end: u64,
    playlists: BTreeMap<PlaylistId, Vec<Placed>>,
}

impl Recording {
    /// Takes the outputs apart and checks what holds for every recording: each playlist has its init segment first, its segments
    /// follow each other without a hole from tick 0, each packet is as long as it says, cuts lie on the grid, and the end is the
    /// session's end to one frame.
    pub(crate) fn new(outputs: Vec<Output>, ledger: Ledger, end: u64) -> Self {
        let mut playlists: BTreeMap<PlaylistId, Vec<Placed>> = BTreeMap::new();
        let mut closed = BTreeMap::new();
        let grid = SegmentLength::default().ticks().0;
        for output in &outputs {
            match output {
                Output::Init { playlist, bytes } => {
                    fmp4::read_init(bytes).unwrap();
                    assert!(playlists.insert(playlist.clone(), Vec::new()).is_none(), "one init segment a playlist");
                }
                Output::Segment(segment) => {
                    let placed = playlists.get_mut(&segment.playlist).expect("the init segment comes first");
                    let read = fmp4::read_segment(&segment.bytes).unwrap();
                    let mut at = placed.last().map_or(0, |last| last.at + last.duration);
                    assert_eq!((segment.start.0, read.base.0), (at, at), "segments leave no hole");
                    assert!(segment.start.0 >= segment.index * grid && segment.start.0 < segment.index * grid + 5_760);
                    for sample in read.samples {
                        let bytes = segment.bytes.slice(sample.range);
                        assert_eq!(opus::duration(&bytes).unwrap(), sample.duration);
                        placed.push(Placed { at, duration: sample.duration.0, bytes });
                        at += sample.duration.0;
                    }
                    assert_eq!(at - segment.start.0, segment.duration.0);
                    assert!(segment.duration <= silent::MAX_LENGTH);
                    let longest = read.fragments.iter().map(|fragment| fragment.duration.0).max();
                    assert!(longest <= Some(grid + 5_760), "none is longer than the target duration: {longest:?}");
                    if read.fragments.len() > 1 {
                        let known = silent::fragments(segment.start, segment.duration, Ticks(grid));
                        assert_eq!(read.fragments, known, "its place says what its byte ranges are");
                    }
                }
                Output::Closed { playlist, end } => assert!(closed.insert(playlist.clone(), end.0).is_none()),
                Output::StreamState { .. } | Output::Unreadable { .. } => {}
            }
        }
        for (playlist, placed) in &playlists {
            let length = placed.last().map_or(0, |last| last.at + last.duration);
            assert_eq!(closed.get(playlist), Some(&length));
            assert!(length.abs_diff(end) <= FRAME, "{playlist:?} is {length} ticks long, the session {end}");
        }
        Self { outputs, ledger, end, playlists }
    }

    /// The session's end.
    pub(crate) fn end(&self) -> u64 {
        self.end
    }

    /// The packets of a uid's playlist.
    pub(crate) fn individual(&self, name: &str) -> &[Placed] {
        &self.playlists[&PlaylistId::Individual(uid(name))]
    }

    /// The packets of the mix.
    pub(crate) fn mix(&self) -> &[Placed] {
        &self.playlists[&PlaylistId::Mix]
    }

    /// Writes a playlist to disk as a bucket would hold it: the folder, and the playlist's path.
    pub(crate) fn write(&self, wanted: &PlaylistId) -> (TempDir, PathBuf) {
        let folder = TempDir::new().unwrap();
        let mut list = Playlist::new(6, "init.mp4".into(), WallMs(1_700_000_000_000));
        for output in &self.outputs {
            match output {
                Output::Init { playlist, bytes } if playlist == wanted => {
                    std::fs::write(folder.path().join("init.mp4"), bytes).unwrap();
                }
                Output::Segment(segment) if segment.playlist == *wanted => {
                    let name = format!("{}.m4s", segment.index);
                    std::fs::write(folder.path().join(&name), &segment.bytes).unwrap();
                    list.entries.push(Entry { name, start: segment.start, duration: segment.duration });
                }
                _ => {}
            }
        }
        list.ended = true;
        let path = folder.path().join("list.m3u8");
        std::fs::write(&path, list.render()).unwrap();
        (folder, path)
    }

    /// The account of a uid's own sound.
    pub(crate) fn account(&self, name: &str) -> &TrackLedger {
        self.ledger.uids.iter().find(|entry| entry.uid == uid(name) && entry.source.is_none()).unwrap()
    }

    /// All playlists.
    pub(crate) fn playlists(&self) -> impl Iterator<Item = &PlaylistId> {
        self.playlists.keys()
    }

    /// Where the packets that were sent lie in a playlist, in the order sent; `None` for one that is not there.
    pub(crate) fn places_in(&self, playlist: &PlaylistId, sent: &[Sent]) -> Vec<Option<u64>> {
        let placed = self.playlists.get(playlist).into_iter().flatten();
        let places: BTreeMap<&[u8], u64> = placed.map(|placed| (&placed.bytes[..], placed.at)).collect();
        sent.iter().map(|sent| places.get(&sent.packet.payload[..]).copied()).collect()
    }

    /// Where the packets that were sent lie in a uid's playlist, in the order sent; `None` for one that is not there.
    pub(crate) fn places(&self, name: &str, sent: &[Sent]) -> Vec<Option<u64>> {
        self.places_in(&PlaylistId::Individual(uid(name)), sent)
    }

    /// Asserts that every packet is there, bit for bit, within one frame of its capture plus `delay`.
    pub(crate) fn assert_all_in_place(&self, name: &str, sent: &[Sent], delay: u64) {
        for (sent, place) in sent.iter().zip(self.places(name, sent)) {
            let place = place.unwrap_or_else(|| panic!("the packet made at {} is missing", sent.captured));
            let error = place as i64 - (sent.captured + delay) as i64;
            assert!(error.unsigned_abs() <= FRAME, "made at {}, placed at {place}: {error} ticks off", sent.captured);
        }
    }

    /// Milliseconds of the gaps with a cause.
    pub(crate) fn gap_ms(&self, name: &str, cause: cloud_recorder::recording::Cause) -> u64 {
        let gaps = self.account(name).gaps.iter().filter(|gap| gap.cause == cause);
        gaps.map(|gap| (gap.to - gap.from).as_ms()).sum()
    }
}

/// A random number generator for jitter and loss: the same numbers each time.
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    /// A number below `limit`.
    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }
}
