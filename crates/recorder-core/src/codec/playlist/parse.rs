//! Reads playlists of this recorder back. It trusts nothing: what it does not know is refused with a sentence.

use std::collections::BTreeSet;

use hls_m3u8::MediaPlaylist;

use super::{Entry, GAP, Playlist, TRACK_EVENT};
use crate::codec::container::Container;
use crate::codec::fmp4::Fragment;
use crate::error_class::{Classify, ErrorClass};
use crate::units::{Ticks, WallMs};

/// The tags this recorder writes. Another one could cut the timeline (DISCONTINUITY) or mean what a plain reader gets wrong, so
/// nothing else passes.
const TAGS: [&str; 13] = [
    GAP,
    TRACK_EVENT,
    "#EXTM3U",
    "#EXTINF",
    "#EXT-X-VERSION",
    "#EXT-X-TARGETDURATION",
    "#EXT-X-MEDIA-SEQUENCE",
    "#EXT-X-PLAYLIST-TYPE",
    "#EXT-X-INDEPENDENT-SEGMENTS",
    "#EXT-X-MAP",
    "#EXT-X-PROGRAM-DATE-TIME",
    "#EXT-X-BYTERANGE",
    "#EXT-X-ENDLIST",
];

/// Longest segment that is believed, in seconds; this recorder writes at most 15 and a packet.
const MAX_SEGMENT_SECS: f64 = 60.0;

/// Longest complaint of the parser that is passed on, in characters.
const MAX_COMPLAINT: usize = 120;

/// Furthest that a wall-clock time may be from the timeline, in milliseconds: both are rounded once.
const DATE_TIME_TOLERANCE_MS: u64 = 1;

/// Why a text is not a playlist of this recorder.
#[derive(Debug, thiserror::Error)]
pub enum PlaylistError {
    /// Not HLS; with the beginning of what the parser says, which may quote the whole text.
    #[error("it is no HLS media playlist: {0}")]
    Hls(String),
    /// HLS that this recorder does not write.
    #[error("it holds {0}, which this recorder never writes")]
    ForeignTag(String),
    /// A duration that can't be.
    #[error("it says #EXTINF:{0}; a duration is a number of seconds from 0 to 60")]
    Duration(String),
    /// A tag that must be there once is missing or wrong.
    #[error("{0}")]
    Rule(&'static str),
    /// A wall-clock time that does not fit its place.
    #[error("the PROGRAM-DATE-TIME of {name} is {off_ms} ms off the sum of the durations before it")]
    DateTime {
        /// The segment.
        name: String,
        /// How far.
        off_ms: u64,
    },
}

impl Classify for PlaylistError {
    fn error_class(&self) -> ErrorClass {
        ErrorClass::destination("playlist_damaged", false)
    }
}

impl Playlist {
    /// Reads a playlist that [`Playlist::render`] wrote: `parse(render(p)) == p` for a playlist that holds a segment and whose
    /// nominal length is not exceeded.
    pub fn parse(text: &str) -> Result<Self, PlaylistError> {
        check_lines(text)?;
        let (text, gaps) = without_gaps(text);
        let (text, track_event, others) = without_track_events(&text);
        let hls = MediaPlaylist::try_from(text.as_str())
            .map_err(|error| PlaylistError::Hls(error.to_string().chars().take(MAX_COMPLAINT).collect()))?;
        if hls.media_sequence != 0 {
            return Err(PlaylistError::Rule("its media sequence is not 0: segments were dropped from the start"));
        }
        let target = u32::try_from(hls.target_duration.as_secs());
        let target = target.map_err(|_| PlaylistError::Rule("its target duration is more than a century"))?;
        let mut playlist = Self { ended: hls.has_end_list, gaps, ..Self::new(target, String::new(), WallMs(0)) };
        let mut micros = 0;
        for segment in hls.segments.values() {
            let start = playlist.end();
            let name = segment.uri().to_string();
            let map = segment.map.as_ref().map(|map| map.uri().as_ref());
            let date_time = segment.program_date_time.map(|tag| tag.date_time.timestamp_millis().max(0) as u64);
            if playlist.entries.is_empty() {
                let no_map = PlaylistError::Rule("its first segment has no init segment (EXT-X-MAP)");
                let no_time = PlaylistError::Rule("its first segment has no PROGRAM-DATE-TIME");
                // MPEG-TS has all that a decoder needs in each segment.
                let bare = name.ends_with(Container::Ts.ending());
                playlist.map = map.or_else(|| bare.then_some("")).ok_or(no_map)?.to_owned();
                playlist.start = WallMs(date_time.ok_or(no_time)?);
            } else if map.is_some_and(|map| map != playlist.map) {
                return Err(PlaylistError::Rule("it changes its init segment (EXT-X-MAP) on the way"));
            }
            let off_ms = date_time.map_or(0, |at| at.abs_diff(playlist.start.plus(start).0));
            if off_ms > DATE_TIME_TOLERANCE_MS {
                return Err(PlaylistError::DateTime { name, off_ms });
            }
            micros += (segment.duration.duration().as_nanos() as u64 + 500) / 1000;
            let end = Ticks((micros * 48 + 500) / 1000);
            let duration = end - start;
            match segment.byte_range.as_ref().map(|range| (range.start().unwrap_or(0) as u64, range.len() as u64)) {
                None => playlist.entries.push(Entry { name, start, duration }),
                Some((from, bytes)) => playlist.add_range(name, from, Fragment { duration, bytes })?,
            }
        }
        // Recordings of older versions have none.
        if others || track_event.is_some_and(|value| value != playlist.track_event()) {
            return Err(PlaylistError::Rule("its EXT-X-AGORA-TRACK-EVENT is not the start of its first segment alone"));
        }
        Ok(playlist)
    }

    /// The next segment is a byte range, which begins an object or goes on with the last one.
    fn add_range(&mut self, name: String, from: u64, fragment: Fragment) -> Result<(), PlaylistError> {
        let wrong = PlaylistError::Rule("one of its byte ranges does not begin where the one before it ends");
        if from == 0 {
            if self.fragments.insert(name.clone(), vec![fragment]).is_some() {
                return Err(wrong);
            }
            self.entries.push(Entry { name, start: self.end(), duration: fragment.duration });
            return Ok(());
        }
        let last = self.entries.last_mut().filter(|last| last.name == name);
        match (last, self.fragments.get_mut(&name)) {
            (Some(last), Some(known)) if known.iter().map(|known| known.bytes).sum::<u64>() == from => {
                known.push(fragment);
                last.duration += fragment.duration;
                Ok(())
            }
            _ => Err(wrong),
        }
    }
}

/// The text without its gap tags, which hls_m3u8 does not know, and the names of the segments that they mark.
fn without_gaps(text: &str) -> (String, BTreeSet<String>) {
    if !text.contains(GAP) {
        return (text.to_owned(), BTreeSet::new());
    }
    let (mut rest, mut gaps, mut marked) = (String::with_capacity(text.len()), BTreeSet::new(), false);
    for line in text.lines() {
        if line.trim() == GAP {
            marked = true;
            continue;
        }
        if marked && !line.starts_with('#') && !line.trim().is_empty() {
            gaps.insert(line.trim().to_owned());
            marked = false;
        }
        rest.push_str(line);
        rest.push('\n');
    }
    (rest, gaps)
}

/// The text without the vendor's tags, which hls_m3u8 does not know, and their values: the one before the first segment, and whether
/// there are others.
fn without_track_events(text: &str) -> (String, Option<String>, bool) {
    let (mut rest, mut value, mut others, mut begun) = (String::with_capacity(text.len()), None, false, false);
    for line in text.lines() {
        if let Some(said) = line.trim().strip_prefix(TRACK_EVENT) {
            others |= begun || value.is_some();
            value.get_or_insert_with(|| said.strip_prefix(':').unwrap_or(said).to_owned());
            continue;
        }
        begun |= !line.starts_with('#') && !line.trim().is_empty();
        rest.push_str(line);
        rest.push('\n');
    }
    (rest, value, others)
}

/// Refuses what hls_m3u8 would panic on (durations that are no durations, a quote left open) or silently accept.
fn check_lines(text: &str) -> Result<(), PlaylistError> {
    for line in text.lines().map(str::trim).filter(|line| line.starts_with("#EXT")) {
        let (tag, value) = line.split_once(':').unwrap_or((line, ""));
        if !TAGS.contains(&tag) {
            return Err(PlaylistError::ForeignTag(line.chars().take(80).collect()));
        }
        let quoted = |uri: &str| uri.find('"').is_some_and(|end| end + 1 == uri.len());
        if tag == "#EXT-X-MAP" && !value.strip_prefix("URI=\"").is_some_and(quoted) {
            return Err(PlaylistError::Rule("its EXT-X-MAP does not name a file as URI=\"…\""));
        }
        let number = |text: &str| (1..=15).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
        if tag == "#EXT-X-BYTERANGE" && !value.split_once('@').is_some_and(|(long, from)| number(long) && number(from))
        {
            return Err(PlaylistError::Rule("one of its byte ranges is not LENGTH@START"));
        }
        if tag == "#EXTINF" {
            let number = value.split(',').next().unwrap_or_default();
            if !number.parse::<f64>().is_ok_and(|seconds| (0.0..=MAX_SEGMENT_SECS).contains(&seconds)) {
                return Err(PlaylistError::Duration(number.chars().take(40).collect()));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn text() -> String {
        let mut playlist = Playlist::new(6, "i.mp4".into(), WallMs(1_700_000_000_042));
        for index in 0..12 {
            playlist.entries.push(Entry {
                name: format!("{index}.m4s"),
                start: Ticks::from_secs(6 * index),
                duration: Ticks::from_secs(6),
            });
        }
        playlist.ended = true;
        playlist.render()
    }

    #[test]
    fn what_the_recorder_never_writes_is_refused_in_words() {
        let cases = [
            ("#EXT-X-INDEPENDENT-SEGMENTS", "#EXT-X-DISCONTINUITY", "#EXT-X-DISCONTINUITY"),
            ("#EXTINF:6.000000,", "#EXTINF:-6,", "a duration is a number"),
            ("#EXTINF:6.000000,", "#EXTINF:NaN,", "a duration is a number"),
            ("#EXTINF:6.000000,", "#EXTINF:1e300,", "a duration is a number"),
            ("#EXT-X-MEDIA-SEQUENCE:0", "#EXT-X-MEDIA-SEQUENCE:3", "dropped from the start"),
            ("#EXT-X-MAP:URI=\"i.mp4\"\n", "", "EXT-X-MAP"),
            ("i.mp4\"", "i.mp4\",BYTERANGE=\"9@18446744073709551615\"", "EXT-X-MAP"),
            ("#EXT-X-PROGRAM-DATE-TIME:2023-11-14T22:13:20.042Z\n", "", "no PROGRAM-DATE-TIME"),
            ("T22:14:20.042Z", "T22:14:20.082Z", "40 ms off"),
            ("TIME=1700000000042", "TIME=1700000000043", "not the start of its first segment alone"),
            ("0.m4s\n", "0.m4s\n#EXT-X-AGORA-TRACK-EVENT:EVENT=START\n", "not the start of its first segment alone"),
            ("#EXTM3U", "<html>", "no HLS"),
            ("#EXTINF:6.000000,\n1.", "#EXT-X-BYTERANGE:5\n#EXTINF:6.000000,\n1.", "LENGTH@START"),
            ("#EXTINF:6.000000,\n1.", "#EXT-X-BYTERANGE:5@9999999999999999\n#EXTINF:6.000000,\n1.", "LENGTH@START"),
            ("#EXTINF:6.000000,\n1.", "#EXT-X-BYTERANGE:5@7\n#EXTINF:6.000000,\n1.", "does not begin where"),
        ];
        for (from, to, words) in cases {
            let broken = text().replacen(from, to, 1);
            assert_ne!(broken, text(), "{from}");
            let error = Playlist::parse(&broken).expect_err(to).to_string();
            assert!(error.contains(words), "{to}: {error}");
        }
    }

    #[test]
    fn playlists_of_older_versions_say_no_track_event() {
        let tag = format!("{TRACK_EVENT}:EVENT=START,TRACK_TYPE=AUDIO,TIME=1700000000042\n");
        let older = text().replacen(&tag, "", 1);
        assert_ne!(older, text());
        assert_eq!(Playlist::parse(&older).unwrap(), Playlist::parse(&text()).unwrap());
    }

    #[test]
    fn complaints_do_not_quote_the_whole_text() {
        let error = Playlist::parse(&"<html>".repeat(10_000)).unwrap_err().to_string();
        assert!(error.len() < 200, "{error}");
    }

    #[test]
    fn any_cut_is_an_error_or_a_shorter_playlist() {
        for cut in 0..text().len() - 2 {
            if let Ok(playlist) = Playlist::parse(&text()[..cut]) {
                assert!(playlist.entries.len() <= 12 && !playlist.ended);
            }
        }
    }

    proptest! {
        #[test]
        fn damage_is_never_a_panic(from in 0_usize..1200, length in 0_usize..30, put in "[#A-Z0-9:,=.\"\n-]{0,12}") {
            let mut broken = text();
            let from = from.min(broken.len());
            broken.replace_range(from..(from + length).min(broken.len()), &put);
            let _ = Playlist::parse(&broken);
        }
    }
}
