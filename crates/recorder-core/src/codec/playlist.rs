//! HLS media playlists (RFC 8216), written and read through hls_m3u8.
//!
//! Invariants: media sequence 0 and no segment ever dropped; EVENT while recording, VOD with ENDLIST after it; the printed
//! durations of the first n segments add up to the end of segment n on the timeline to half a microsecond, for any n, so
//! that nothing drifts.
//!
//! An entry is an object. One of several fragments (a silent object) is listed as so many segments, each a byte range of it.

mod parse;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use hls_m3u8::tags::{ExtXMap, ExtXProgramDateTime};
use hls_m3u8::types::PlaylistType;
use hls_m3u8::{MediaPlaylist, MediaSegment};
use serde::{Deserialize, Serialize};

pub use parse::PlaylistError;

use super::fmp4::Fragment;
use super::silent;
use crate::units::{TICKS_PER_SECOND, Ticks, WallMs};

/// How far apart the wall-clock times are at least: on each segment they would triple the size of a day's playlist.
const DATE_TIME_EVERY: Ticks = Ticks::from_secs(60);

/// One playlist, as far as it goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Playlist {
    /// Nominal segment length in seconds. Players poll by it and it must not change while the recording runs.
    pub target: u32,
    /// Name of the init segment; empty where segments need none.
    pub map: String,
    /// Wall time at tick 0.
    pub start: WallMs,
    /// The segments, from tick 0 on, each starting where the one before ended.
    pub entries: Vec<Entry>,
    /// Whether no more segments will come.
    pub ended: bool,
    /// Names of segments that are not beside this playlist: only the customer's own bucket has them. They keep their time, marked with
    /// `EXT-X-GAP` (draft-pantos-hls-rfc8216bis section 4.4.4.7); players that don't know the tag find nothing under the name.
    pub gaps: BTreeSet<String>,
    /// The byte ranges of entries that are listed by them, by name. Those of a silent object need not be here to be listed: they
    /// follow from its place.
    pub fragments: BTreeMap<String, Vec<Fragment>>,
}

/// One segment as it is listed.
struct Listed<'a> {
    entry: &'a Entry,
    start: Ticks,
    duration: Ticks,
    /// The part of the object, where it is not all of it or is said to be.
    bytes: Option<(u64, u64)>,
}

/// The tag of a segment that is not there.
const GAP: &str = "#EXT-X-GAP";

/// The vendor's tag where a track starts (docs/protocol/agora.md section 4.3). One stands before the first segment: nothing interrupts
/// these playlists. Players that don't know it pass over it.
const TRACK_EVENT: &str = "#EXT-X-AGORA-TRACK-EVENT";

/// One segment of a playlist.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// File name, relative to the playlist.
    pub name: String,
    /// Position of its first sample.
    pub start: Ticks,
    /// Its length.
    pub duration: Ticks,
}

impl Entry {
    /// Position of the first sample after it.
    pub fn end(&self) -> Ticks {
        self.start + self.duration
    }
}

impl Playlist {
    /// An empty playlist: a recording that has just started.
    pub fn new(target: u32, map: String, start: WallMs) -> Self {
        Self {
            target,
            map,
            start,
            entries: Vec::new(),
            ended: false,
            gaps: BTreeSet::new(),
            fragments: BTreeMap::new(),
        }
    }

    /// Where the last segment ends.
    pub fn end(&self) -> Ticks {
        self.entries.last().map_or(Ticks::ZERO, Entry::end)
    }

    /// The playlist's text.
    pub fn render(&self) -> String {
        let mut next_date_time = Ticks::ZERO;
        let listed = self.listed();
        let segments = listed.iter().enumerate().map(|(index, listed)| {
            let mut segment = MediaSegment::builder();
            segment.duration(listed.printed()).uri(listed.entry.name.as_str());
            if let Some((from, to)) = listed.bytes {
                segment.byte_range(from as usize..to as usize);
            }
            if index == 0 && !self.map.is_empty() {
                segment.map(ExtXMap::new(self.map.as_str()));
            }
            if index == 0 || listed.start >= next_date_time {
                segment.program_date_time(ExtXProgramDateTime::new(self.start.plus(listed.start).date_time()));
                next_date_time = listed.start + DATE_TIME_EVERY;
            }
            segment.build().expect("a segment with a duration and a uri is complete")
        });
        let playlist = MediaPlaylist::builder()
            .target_duration(self.target_duration(&listed))
            .playlist_type(if self.ended { PlaylistType::Vod } else { PlaylistType::Event })
            .has_independent_segments(true)
            .has_end_list(self.ended)
            .segments(segments.collect::<Vec<_>>())
            .build()
            .expect("no segment is longer than the target duration, which is made from all of them");
        self.polished(&playlist.to_string(), &listed)
    }

    /// The segments, in order.
    fn listed(&self) -> Vec<Listed<'_>> {
        let length = Ticks::from_secs(self.target.into());
        let mut listed = Vec::with_capacity(self.entries.len());
        for entry in &self.entries {
            let told = self.fragments.get(&entry.name);
            let known = || silent::fragments(entry.start, entry.duration, length);
            let silent = told.is_none() && silent::is_silent_object(entry.duration, length);
            let fragments = if silent { known() } else { told.cloned().unwrap_or_default() };
            if fragments.is_empty() {
                listed.push(Listed { entry, start: entry.start, duration: entry.duration, bytes: None });
            }
            let (mut start, mut from) = (entry.start, 0);
            for Fragment { duration, bytes } in fragments {
                listed.push(Listed { entry, start, duration, bytes: Some((from, from + bytes)) });
                (start, from) = (start + duration, from + bytes);
            }
        }
        listed
    }

    /// The nominal length, or the longest segment rounded to the nearest second if that is more (RFC 8216 section 4.3.3.1).
    /// A segment that closes a packet late does not change it.
    fn target_duration(&self, listed: &[Listed<'_>]) -> Duration {
        let longest = listed.iter().map(|listed| listed.duration).max().unwrap_or_default();
        let rounded = (longest.0 + TICKS_PER_SECOND / 2) / TICKS_PER_SECOND;
        Duration::from_secs(rounded.max(self.target.into()))
    }

    /// The value of [`TRACK_EVENT`]: milliseconds since 1970 of the first sample.
    fn track_event(&self) -> String {
        format!("EVENT=START,TRACK_TYPE=AUDIO,TIME={}", self.start.0)
    }

    /// Writes four things that hls_m3u8 does not: the media sequence of zero, since simple readers look for the line, where the track
    /// starts, durations with their exact six decimals (it prints `2.5090630000000003`), and gaps.
    fn polished(&self, text: &str, listed: &[Listed<'_>]) -> String {
        let mut listed = listed.iter();
        let mut start = Some(format!("{TRACK_EVENT}:{}\n", self.track_event()));
        let mut out = String::with_capacity(text.len() + 64);
        for line in text.lines() {
            if line.starts_with("#EXTINF:") {
                let listed = listed.next().expect("hls_m3u8 prints one EXTINF a segment");
                out.push_str(&start.take().unwrap_or_default());
                if self.gaps.contains(&listed.entry.name) {
                    out.push_str(GAP);
                    out.push('\n');
                }
                let duration = listed.printed();
                out.push_str(&format!("#EXTINF:{}.{:06},", duration.as_secs(), duration.subsec_micros()));
            } else {
                out.push_str(line);
            }
            out.push('\n');
            if line.starts_with("#EXT-X-TARGETDURATION:") {
                out.push_str("#EXT-X-MEDIA-SEQUENCE:0\n");
            }
        }
        out
    }
}

impl Listed<'_> {
    /// The length of a segment as it is printed: the difference of its end and its start in whole microseconds.
    fn printed(&self) -> Duration {
        Duration::from_micros(micros(self.start + self.duration) - micros(self.start))
    }
}

/// The nearest whole microsecond. A tick is 20.8 of them, so that ticks come back exactly from it.
fn micros(at: Ticks) -> u64 {
    (at.0 * 1000 + 24) / 48
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn playlist(lengths: &[u64], ended: bool) -> Playlist {
        let mut playlist = Playlist::new(6, "a_init.mp4".into(), WallMs(1_700_000_000_042));
        for (index, length) in lengths.iter().enumerate() {
            let entry = Entry { name: format!("a_{index}.m4s"), start: playlist.end(), duration: Ticks(*length) };
            playlist.entries.push(entry);
        }
        playlist.ended = ended;
        playlist
    }

    #[test]
    fn a_running_playlist_is_an_event_without_an_end() {
        assert_eq!(
            playlist(&[288_000, 288_960], false).render(),
            "#EXTM3U\n#EXT-X-VERSION:6\n#EXT-X-TARGETDURATION:6\n#EXT-X-MEDIA-SEQUENCE:0\n#EXT-X-PLAYLIST-TYPE:EVENT\n\
             #EXT-X-INDEPENDENT-SEGMENTS\n#EXT-X-MAP:URI=\"a_init.mp4\"\n\
             #EXT-X-PROGRAM-DATE-TIME:2023-11-14T22:13:20.042Z\n\
             #EXT-X-AGORA-TRACK-EVENT:EVENT=START,TRACK_TYPE=AUDIO,TIME=1700000000042\n\
             #EXTINF:6.000000,\na_0.m4s\n#EXTINF:6.020000,\na_1.m4s\n"
        );
    }

    #[test]
    fn a_finished_playlist_is_vod_with_an_end() {
        assert_eq!(
            playlist(&[120_435], true).render(),
            "#EXTM3U\n#EXT-X-VERSION:6\n#EXT-X-TARGETDURATION:6\n#EXT-X-MEDIA-SEQUENCE:0\n#EXT-X-PLAYLIST-TYPE:VOD\n\
             #EXT-X-INDEPENDENT-SEGMENTS\n#EXT-X-MAP:URI=\"a_init.mp4\"\n\
             #EXT-X-PROGRAM-DATE-TIME:2023-11-14T22:13:20.042Z\n\
             #EXT-X-AGORA-TRACK-EVENT:EVENT=START,TRACK_TYPE=AUDIO,TIME=1700000000042\n\
             #EXTINF:2.509063,\na_0.m4s\n#EXT-X-ENDLIST\n"
        );
    }

    #[test]
    fn an_empty_playlist_renders_and_reads_back() {
        for ended in [false, true] {
            let text = playlist(&[], ended).render();
            assert!(text.contains("#EXT-X-MEDIA-SEQUENCE:0\n") && !text.contains("EXTINF"), "{text}");
        }
    }

    #[test]
    fn wall_clock_times_come_about_once_a_minute() {
        let text = playlist(&[288_000; 21], true).render();
        let times: Vec<&str> = text.lines().filter(|line| line.contains("DATE-TIME")).collect();
        assert_eq!(times.len(), 3);
        assert!(times[1].ends_with("22:14:20.042Z"), "{times:?}");
    }

    #[test]
    fn the_target_duration_stands_still_unless_a_segment_is_much_too_long() {
        assert!(playlist(&[288_000 + 5760], false).render().contains("#EXT-X-TARGETDURATION:6\n"));
        assert!(playlist(&[312_000], false).render().contains("#EXT-X-TARGETDURATION:7\n"));
    }

    #[test]
    fn printed_durations_do_not_drift_in_24_hours() {
        let text = playlist(&[288_041; 14_398], true).render();
        let sum: f64 = text
            .lines()
            .filter_map(|line| line.strip_prefix("#EXTINF:")?.strip_suffix(','))
            .inspect(|printed| assert_eq!(printed.len(), "6.000854".len(), "{printed}"))
            .map(|printed| printed.parse::<f64>().unwrap())
            .sum();
        assert!((sum - 288_041.0 * 14_398.0 / 48_000.0).abs() < 2e-6, "{sum}");
    }

    /// Six seconds, a minute in one object, six seconds.
    fn with_a_silent_object() -> Playlist {
        playlist(&[288_000, 2_880_000, 288_000], true)
    }

    #[test]
    fn a_silent_object_is_listed_by_byte_ranges_no_longer_than_the_target_duration() {
        let text = with_a_silent_object().render();
        assert!(text.contains("#EXT-X-TARGETDURATION:6\n"), "{text}");
        let ranges: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("#EXT-X-BYTERANGE:")).collect();
        let fragments = silent::fragments(Ticks::from_secs(6), Ticks::from_secs(60), Ticks::from_secs(6));
        let mut from = 0;
        assert_eq!((ranges.len(), fragments.len()), (10, 10));
        for (range, fragment) in ranges.iter().zip(&fragments) {
            assert_eq!(**range, format!("{}@{from}", fragment.bytes));
            from += fragment.bytes;
        }
        assert_eq!(text.matches("#EXTINF:6.000000,\na_1.m4s\n").count(), 10);
        assert_eq!(text.matches("#EXT-X-BYTERANGE").count(), 10, "the others are whole files");
    }

    #[test]
    fn byte_ranges_read_back_and_one_object_is_one_entry() {
        let mut written = with_a_silent_object();
        let mut read = Playlist::parse(&written.render()).unwrap();
        assert_eq!((&read.entries, read.fragments["a_1.m4s"].len()), (&written.entries, 10));
        assert_eq!(read.render(), written.render());
        read.fragments.clear();
        assert_eq!(read, written);
        written.fragments.insert("a_2.m4s".into(), vec![Fragment { duration: Ticks(288_000), bytes: 77 }]);
        written.gaps.insert("a_1.m4s".into());
        let text = written.render();
        assert!(text.contains("#EXT-X-BYTERANGE:77@0\n#EXTINF:6.000000,\na_2.m4s\n"), "{text}");
        assert_eq!(text.matches("#EXT-X-GAP\n#EXTINF:6.000000,\na_1.m4s\n").count(), 10);
        let read = Playlist::parse(&text).unwrap();
        assert_eq!((&read.entries, &read.gaps), (&written.entries, &written.gaps));
        assert_eq!(read.fragments["a_2.m4s"], written.fragments["a_2.m4s"]);
    }

    #[test]
    fn what_is_not_there_keeps_its_time_and_is_marked() {
        let mut written = playlist(&[288_000, 288_000, 288_000], true);
        written.gaps.insert("a_1.m4s".into());
        let text = written.render();
        assert!(
            text.contains("a_0.m4s\n#EXT-X-GAP\n#EXTINF:6.000000,\na_1.m4s\n#EXTINF:6.000000,\na_2.m4s\n"),
            "{text}"
        );
        assert_eq!(Playlist::parse(&text).unwrap(), written);
    }

    proptest! {
        #[test]
        fn playlists_read_back_as_written(
            lengths in proptest::collection::vec(1_u64..800_000, 1..60), ended: bool, start in 0_u64..4_000_000_000_000,
        ) {
            let mut written = playlist(&lengths, ended);
            written.start = WallMs(start);
            written.target = 20;
            prop_assert_eq!(Playlist::parse(&written.render()).unwrap(), written);
        }
    }
}
